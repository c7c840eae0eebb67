// Package identity turns a person's account into what people can write down,
// read out and keep: 24 words, safety numbers, and sealed files.
//
// Its one idea: an account is 32 bytes, and everything here is a pure function of
// such bytes and of what a person typed. What a person typed is read forgivingly
// and refused with the reason; what a file holds is trusted for nothing before it
// is authenticated.
//
// The package keeps nothing, knows no profile and no chat, and takes randomness
// as an argument. Errors that a user can act on are *demes.Error.
package identity

import (
	"crypto/sha512"
	"encoding/binary"
	"strings"
)

const (
	// SeedSize is the size of an account's seed in bytes.
	SeedSize = 32

	// groupOf is how many digits stand together, so that people can read them out.
	groupOf = 5
	// halfDigits are the digits of one account, and of a code: about 100 bits.
	halfDigits = 30
	// rounds make each try of who searches for an account or an epoch with given
	// digits cost some milliseconds (the number is Signal's).
	rounds = 5200
)

// digitsOf derives halfDigits digits from bytes: SHA-512 of a prefix and the
// bytes, then rounds times of the hash and the bytes. The first 30 bytes are read
// as six numbers of five bytes, each modulo 100000, as Signal does.
func digitsOf(prefix, data []byte) string {
	var block []byte
	hash := sha512.Sum512(append(append(block, prefix...), data...))
	for range rounds {
		block = append(append(block[:0], hash[:]...), data...)
		hash = sha512.Sum512(block)
	}
	var out strings.Builder
	for chunk := hash[:halfDigits]; len(chunk) > 0; chunk = chunk[groupOf:] {
		number := binary.BigEndian.Uint64(append([]byte{0, 0, 0}, chunk[:groupOf]...)) % 100_000
		for unit := uint64(10_000); unit > 0; unit /= 10 {
			out.WriteByte('0' + byte(number/unit%10))
		}
	}
	return out.String()
}

// Group sets a blank after every five digits.
func Group(digits string) string {
	var out strings.Builder
	for i, r := range digits {
		if i > 0 && i%groupOf == 0 {
			out.WriteByte(' ')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// codePrefix keeps a code apart from every other use of the hash.
var codePrefix = []byte("DeMes code 1")

// Code makes 30 digits, not grouped, of any bytes: that of a group is made of its
// MLS epoch authenticator, and equal codes mean the same epoch of the same group.
// It takes some milliseconds on purpose: make it once for an epoch.
func Code(data []byte) string { return digitsOf(codePrefix, data) }
