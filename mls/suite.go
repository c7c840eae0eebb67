package mls

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hpke"
	_ "crypto/sha256" // registers crypto.SHA256
	_ "crypto/sha512" // registers crypto.SHA384 and crypto.SHA512
	"fmt"
)

// Suite is a cipher suite (RFC 9420 §17.1).
type Suite uint16

// The suites that can be built on the standard library. 0x0003 needs
// ChaCha20-Poly1305 as a bare AEAD, 0x0004 and 0x0006 need X448 and Ed448: the
// standard library has none of them.
const (
	// X25519 is MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519.
	X25519 Suite = 0x0001
	// P256 is MLS_128_DHKEMP256_AES128GCM_SHA256_P256.
	P256 Suite = 0x0002
	// P521 is MLS_256_DHKEMP521_AES256GCM_SHA512_P521.
	P521 Suite = 0x0005
	// P384 is MLS_256_DHKEMP384_AES256GCM_SHA384_P384.
	P384 Suite = 0x0007
	// XWing is MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519 of
	// draft-ietf-mls-pq-ciphersuites: confidentiality against quantum computers,
	// classical signatures. The number is of the private range until IANA
	// assigns one; groups made under it will not interoperate after that.
	XWing Suite = 0xF04F
)

// suite holds the algorithms of a Suite. Invariant: the values in the table
// below are never changed after initialisation.
type suite struct {
	id     Suite
	name   string
	kem    hpke.KEM
	kdf    hpke.KDF
	aead   hpke.AEAD
	hash   crypto.Hash
	nh     int // KDF.Nh, bytes
	nk     int // AEAD.Nk, bytes
	npk    int // length of a public KEM key, bytes
	nenc   int // length of a KEM output, bytes
	curve  elliptic.Curve
	scheme scheme
}

// nonceSize is AEAD.Nn, 12 bytes for every suite of the table.
const nonceSize = 12

var suites = [...]suite{
	{id: X25519, name: "X25519", kem: hpke.DHKEM(ecdh.X25519()), kdf: hpke.HKDFSHA256(), aead: hpke.AES128GCM(),
		hash: crypto.SHA256, nh: 32, nk: 16, npk: 32, nenc: 32, scheme: ed25519Scheme},
	{id: P256, name: "P256", kem: hpke.DHKEM(ecdh.P256()), kdf: hpke.HKDFSHA256(), aead: hpke.AES128GCM(),
		hash: crypto.SHA256, nh: 32, nk: 16, npk: 65, nenc: 65, curve: elliptic.P256(), scheme: ecdsaScheme},
	{id: P521, name: "P521", kem: hpke.DHKEM(ecdh.P521()), kdf: hpke.HKDFSHA512(), aead: hpke.AES256GCM(),
		hash: crypto.SHA512, nh: 64, nk: 32, npk: 133, nenc: 133, curve: elliptic.P521(), scheme: ecdsaScheme},
	{id: P384, name: "P384", kem: hpke.DHKEM(ecdh.P384()), kdf: hpke.HKDFSHA384(), aead: hpke.AES256GCM(),
		hash: crypto.SHA384, nh: 48, nk: 32, npk: 97, nenc: 97, curve: elliptic.P384(), scheme: ecdsaScheme},
	{id: XWing, name: "XWing", kem: hpke.MLKEM768X25519(), kdf: hpke.HKDFSHA256(), aead: hpke.AES128GCM(),
		hash: crypto.SHA256, nh: 32, nk: 16, npk: 1216, nenc: 1120, scheme: ed25519Scheme},
}

// Suites lists what this package implements.
func Suites() []Suite {
	out := make([]Suite, len(suites))
	for i := range suites {
		out[i] = suites[i].id
	}
	return out
}

// Supported reports whether this package implements s.
func (s Suite) Supported() bool { return s.algorithms() != nil }

// String returns the short name of s, or its number.
func (s Suite) String() string {
	if a := s.algorithms(); a != nil {
		return a.name
	}
	return fmt.Sprintf("suite 0x%04X", uint16(s))
}

// algorithms returns the table entry of s, or nil.
func (s Suite) algorithms() *suite {
	for i := range suites {
		if suites[i].id == s {
			return &suites[i]
		}
	}
	return nil
}

// lookup returns the algorithms of s or ErrUnsupported.
func (s Suite) lookup() (*suite, error) {
	if a := s.algorithms(); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%v: %w", s, ErrUnsupported)
}

// scalar pads a private scalar of a NIST curve to its full length; others store
// short ones without leading zeros.
func (s *suite) scalar(private []byte) []byte {
	if s.curve == nil {
		return private
	}
	size := (s.curve.Params().N.BitLen() + 7) / 8
	return append(make([]byte, max(0, size-len(private))), private...)
}

// privateKey reads a private HPKE key.
func (s *suite) privateKey(private []byte) (hpke.PrivateKey, error) {
	key, err := s.kem.NewPrivateKey(s.scalar(private))
	if err != nil {
		return nil, ErrKey
	}
	return key, nil
}

// zero returns KDF.Nh zero bytes, the "0" of RFC 9420 §8.
func (s *suite) zero() []byte { return make([]byte, s.nh) }

// newAEAD returns the AEAD that protects messages.
func (s *suite) newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal encrypts with the message AEAD.
func (s *suite) seal(key, nonce, plaintext, aad []byte) ([]byte, error) {
	a, err := s.newAEAD(key)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nonce, plaintext, aad), nil
}

// open decrypts with the message AEAD.
func (s *suite) open(key, nonce, ciphertext, aad []byte) ([]byte, error) {
	a, err := s.newAEAD(key)
	if err != nil {
		return nil, err
	}
	out, err := a.Open(nil, nonce, ciphertext, aad)
	if err != nil {
		return nil, ErrDecrypt
	}
	return out, nil
}
