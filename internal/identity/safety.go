package identity

import (
	"strings"
	"unicode"

	"github.com/demes-chat/demes"
)

// safetyVersion is what the hash of a safety number begins with. Another way to
// derive them gets another version, and so never looks like this one.
var safetyVersion = []byte{0, 1}

// qrPrefix begins what a safety number's QR code says. It has only characters of
// the code's alphanumeric mode, which makes the code small.
const qrPrefix = "DEMES-SAFETY:1:"

// qrAnyVersion is what all versions begin with.
const qrAnyVersion = "DEMES-SAFETY:"

// Safety is a safety number: 60 digits that two people see of each other's
// accounts, the same on both sides.
type Safety string

// SafetyOf makes the safety number of two accounts: 30 digits of each, the
// smaller half first, so that the order of the accounts does not matter.
func SafetyOf(a, b demes.AccountID) Safety {
	one, two := digitsOf(safetyVersion, a[:]), digitsOf(safetyVersion, b[:])
	if two < one {
		one, two = two, one
	}
	return Safety(one + two)
}

// String groups the digits by five.
func (s Safety) String() string { return Group(string(s)) }

// QR is what the number's QR code says.
func (s Safety) QR() string { return qrPrefix + string(s) }

// Match compares the number with what was scanned from, or read out by, the other
// side: the content of its QR code, or the digits in any grouping. An error means
// that the text is no safety number; false means that the two differ, which is
// what somebody in between would cause.
func (s Safety) Match(text string) (bool, error) {
	other, err := ReadSafety(text)
	return err == nil && other == s, err
}

// ReadSafety reads what Match compares with.
func ReadSafety(text string) (Safety, error) {
	const most = 1024 // far above any grouping of 60 digits
	if len(text) > most {
		return "", noSafety()
	}
	text = strings.ToUpper(strings.TrimSpace(text))
	rest, scanned := strings.CutPrefix(text, qrPrefix)
	if !scanned && strings.HasPrefix(text, qrAnyVersion) {
		return "", demes.Problem(demes.CodeBadInput, "The code is of another version of DeMes", "Both of you need the same version: update, then scan again.")
	}
	var digits strings.Builder
	for _, r := range rest {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case scanned || !unicode.IsSpace(r) && r != '-' && r != '.' && !unicode.Is(unicode.Cf, r):
			return "", noSafety()
		}
	}
	if digits.Len() != 2*halfDigits {
		return "", noSafety()
	}
	return Safety(digits.String()), nil
}

func noSafety() error {
	return demes.Problem(demes.CodeBadInput, "This is no safety number", "A safety number has 60 digits; its QR code begins with "+qrPrefix+" Copy or scan it whole.")
}
