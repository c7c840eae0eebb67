package identity

import (
	"crypto/sha512"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vectors are what testdata/vectors.json holds, for other implementations.
type vectors struct {
	Safety []safetyVector `json:"safety"`
	Codes  []codeVector   `json:"codes"`
}

type safetyVector struct {
	A      string `json:"account_a"`
	B      string `json:"account_b"`
	Digits string `json:"digits"`
	QR     string `json:"qr"`
}

type codeVector struct {
	Data   string `json:"data"`
	Digits string `json:"digits"`
}

func account(b byte) (a demes.AccountID) {
	for i := range a {
		a[i] = b + byte(i)*b
	}
	return a
}

func TestDigitsAreThoseOfTheVectors(t *testing.T) {
	var made vectors
	for _, pair := range [][2]byte{{0, 1}, {1, 2}, {2, 1}, {255, 7}} {
		a, b := account(pair[0]), account(pair[1])
		s := SafetyOf(a, b)
		made.Safety = append(made.Safety, safetyVector{fmt.Sprintf("%x", a[:]), fmt.Sprintf("%x", b[:]), s.String(), s.QR()})
	}
	for _, data := range []string{"", "a", strings.Repeat("authenticator", 5)} {
		made.Codes = append(made.Codes, codeVector{fmt.Sprintf("%x", data), Code([]byte(data))})
	}
	got, _ := json.MarshalIndent(made, "", "  ")
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/vectors.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/vectors.json")
	if err != nil || string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s (%v)", got, want, err)
	}
}

// TestDigitsFollowTheirDescription derives the digits a second time, by what the
// description says and with big numbers.
func TestDigitsFollowTheirDescription(t *testing.T) {
	a := account(3)
	hash := sha512.Sum512(slices.Concat([]byte{0, 1}, a[:]))
	for range 5200 {
		hash = sha512.Sum512(slices.Concat(hash[:], a[:]))
	}
	want := ""
	for i := range 6 {
		number := new(big.Int).SetBytes(hash[5*i : 5*i+5])
		want += fmt.Sprintf("%05d", number.Mod(number, big.NewInt(100_000)).Int64())
	}
	if got := string(SafetyOf(a, account(4))); !strings.HasPrefix(got, want) && !strings.HasSuffix(got, want) {
		t.Errorf("the digits %s hold no half %s", got, want)
	}
}

func TestBothSidesSeeTheSameDigits(t *testing.T) {
	seen := map[Safety]string{}
	for a := byte(1); a < 8; a++ {
		for b := a + 1; b < 8; b++ {
			s := SafetyOf(account(a), account(b))
			if other := SafetyOf(account(b), account(a)); s != other {
				t.Errorf("%d sees %s, %d sees %s", a, s, b, other)
			}
			if len(s) != 60 || s[:30] > s[30:] || strings.Trim(string(s), "0123456789") != "" {
				t.Errorf("%d and %d: %q are not two sorted halves of 30 digits", a, b, string(s))
			}
			if before := seen[s]; before != "" {
				t.Errorf("%d and %d have the digits of %s", a, b, before)
			}
			seen[s] = fmt.Sprint(a, " and ", b)
			if groups := strings.Fields(s.String()); len(groups) != 12 || len(groups[11]) != 5 {
				t.Errorf("groups %q", groups)
			}
		}
	}
}

func TestSafetyNumbersAreCompared(t *testing.T) {
	s, other := SafetyOf(account(1), account(2)), SafetyOf(account(1), account(3))
	for _, same := range []string{s.QR(), strings.ToLower(s.QR()), " " + s.QR() + "\n", s.String(), string(s), strings.ReplaceAll(s.String(), " ", "\n"), strings.ReplaceAll(s.String(), " ", "-")} {
		if equal, err := s.Match(same); !equal || err != nil {
			t.Errorf("%q: %v, %v", same, equal, err)
		}
	}
	for _, different := range []string{other.QR(), other.String()} {
		if equal, err := s.Match(different); equal || err != nil {
			t.Errorf("%q: %v, %v", different, equal, err)
		}
	}
	for _, none := range []string{"", "hello", string(s)[1:], string(s) + "1", "https://example.org/" + string(s), "DEMES-SAFETY:2:" + string(s), s.QR()[:20],
		strings.Repeat(" ", 5000), "DEMES-SAFETY:1:" + s.String(), strings.Repeat("٣", 60)} {
		if equal, err := s.Match(none); equal || err == nil {
			t.Errorf("%q: %v, %v; want an error", none, equal, err)
		}
	}
}

func TestCodesDiffer(t *testing.T) {
	a, b := Code([]byte{1}), Code([]byte{2})
	if len(a) != 30 || a == b || len(strings.Fields(Group(a))) != 6 {
		t.Errorf("codes %q and %q", a, b)
	}
	first := account(1)
	if strings.Contains(string(SafetyOf(account(1), account(2))), Code(first[:])) {
		t.Error("the code of an account's bytes is a half of its safety number")
	}
}

func FuzzMatch(f *testing.F) {
	s := SafetyOf(account(1), account(2))
	f.Add(s.QR())
	f.Add(s.String())
	f.Fuzz(func(t *testing.T, text string) {
		equal, err := s.Match(text)
		digits := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), qrPrefix))
		if equal && (err != nil || digits != string(s)) {
			t.Errorf("%q matches %s, %v", text, s, err)
		}
	})
}
