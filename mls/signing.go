package mls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
)

// scheme is a signature algorithm of RFC 9420 §5.1.
type scheme uint8

const (
	ed25519Scheme scheme = iota + 1 // RFC 8032, the cofactorless check of crypto/ed25519
	ecdsaScheme                     // DER signature over the suite's hash
)

// SigningKey is the private half of a leaf's signature_key. Use one per group:
// a key that several groups share never heals in all of them.
type SigningKey struct {
	suite   *suite
	ed      ed25519.PrivateKey
	ec      *ecdsa.PrivateKey
	public  []byte
	private []byte
}

// NewSigningKey makes a fresh key.
func (s Suite) NewSigningKey() (*SigningKey, error) {
	a, err := s.lookup()
	if err != nil {
		return nil, fmt.Errorf("new signing key: %w", err)
	}
	if a.scheme == ed25519Scheme {
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed)
		return s.ParseSigningKey(seed)
	}
	key, err := ecdsa.GenerateKey(a.curve, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("new signing key: %w", err)
	}
	raw, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("new signing key: %w", err)
	}
	return s.ParseSigningKey(raw)
}

// ParseSigningKey reads what Bytes gave: the 32-byte seed for Ed25519, the
// big-endian scalar for ECDSA (shorter scalars are padded).
func (s Suite) ParseSigningKey(private []byte) (*SigningKey, error) {
	a, err := s.lookup()
	if err != nil {
		return nil, fmt.Errorf("parse signing key: %w", err)
	}
	key := &SigningKey{suite: a, private: bytes.Clone(private)}
	if a.scheme == ed25519Scheme {
		if len(private) != ed25519.SeedSize {
			return nil, fmt.Errorf("parse signing key: %d bytes: %w", len(private), ErrKey)
		}
		key.ed = ed25519.NewKeyFromSeed(private)
		key.public = []byte(key.ed.Public().(ed25519.PublicKey))
		return key, nil
	}
	key.private = a.scalar(private)
	if key.ec, err = ecdsa.ParseRawPrivateKey(a.curve, key.private); err != nil {
		return nil, fmt.Errorf("parse signing key: %w", ErrKey)
	}
	if key.public, err = key.ec.PublicKey.Bytes(); err != nil {
		return nil, fmt.Errorf("parse signing key: %w", err)
	}
	return key, nil
}

// Public returns the signature_key that stands in the leaf.
func (k *SigningKey) Public() []byte { return bytes.Clone(k.public) }

// Bytes returns the private key for storage.
func (k *SigningKey) Bytes() []byte { return bytes.Clone(k.private) }

// sign is Sign of RFC 9420 §5.1.2 without the label.
func (k *SigningKey) sign(content []byte) ([]byte, error) {
	if k.suite.scheme == ed25519Scheme {
		return ed25519.Sign(k.ed, content), nil
	}
	return ecdsa.SignASN1(rand.Reader, k.ec, k.suite.digest(content))
}

// verify checks one signature. Every signature in this package goes through
// here: a batch verification would accept other crafted signatures and so let
// members disagree on whether a commit is valid.
func (s *suite) verify(public, content, signature []byte) bool {
	if s.scheme == ed25519Scheme {
		return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, content, signature)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(s.curve, public)
	return err == nil && ecdsa.VerifyASN1(key, s.digest(content), signature)
}

// checkSigningKey reports whether public could verify anything at all.
func (s *suite) checkSigningKey(public []byte) bool {
	if s.scheme == ed25519Scheme {
		return len(public) == ed25519.PublicKeySize
	}
	_, err := ecdsa.ParseUncompressedPublicKey(s.curve, public)
	return err == nil
}

// digest is Hash of the suite.
func (s *suite) digest(content []byte) []byte {
	h := s.hash.New()
	h.Write(content)
	return h.Sum(make([]byte, 0, s.nh))
}
