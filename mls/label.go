package mls

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
)

// label is the prefix of RFC 9420 §5.1.2, §5.1.3 and §8.
const label = "MLS 1.0 "

// mac is MAC of RFC 9420 §5.2: HMAC with the suite's hash.
func (s *suite) mac(key, content []byte) []byte {
	h := hmac.New(s.newHash, key)
	h.Write(content)
	return h.Sum(make([]byte, 0, s.nh))
}

// macEqual compares the whole of both tags in constant time; a shorter tag is
// unequal.
func macEqual(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func (s *suite) newHash() hash.Hash { return s.hash.New() }

// extract is KDF.Extract(salt, ikm).
func (s *suite) extract(salt, ikm []byte) ([]byte, error) {
	return hkdf.Extract(s.newHash, ikm, salt)
}

// expandWithLabel is ExpandWithLabel of RFC 9420 §8.
func (s *suite) expandWithLabel(secret []byte, name string, context []byte, length int) ([]byte, error) {
	info := make([]byte, 0, 2+1+len(label)+len(name)+4+len(context))
	info = binary.BigEndian.AppendUint16(info, uint16(length))
	info = appendLength(info, len(label)+len(name))
	info = append(info, label...)
	info = append(info, name...)
	info = appendLength(info, len(context))
	info = append(info, context...)
	return hkdf.Expand(s.newHash, secret, string(info), length)
}

// deriveSecret is DeriveSecret of RFC 9420 §8.
func (s *suite) deriveSecret(secret []byte, name string) ([]byte, error) {
	return s.expandWithLabel(secret, name, nil, s.nh)
}

// deriveTreeSecret is DeriveTreeSecret of RFC 9420 §9.1.
func (s *suite) deriveTreeSecret(secret []byte, name string, generation uint32, length int) ([]byte, error) {
	var context [4]byte
	binary.BigEndian.PutUint32(context[:], generation)
	return s.expandWithLabel(secret, name, context[:], length)
}

// refHash is RefHash of RFC 9420 §5.2; its label comes without the common prefix.
func (s *suite) refHash(name string, value []byte) []byte {
	w := writer{b: make([]byte, 0, len(name)+len(value)+5)}
	w.text(name)
	w.vector(value)
	return s.digest(w.b)
}

// labelled returns SignContent (RFC 9420 §5.1.2) and EncryptContext (§5.1.3),
// which have one form.
func labelled(name string, content []byte) []byte {
	w := writer{b: make([]byte, 0, 1+len(label)+len(name)+4+len(content))}
	w.b = appendLength(w.b, len(label)+len(name))
	w.b = append(w.b, label...)
	w.b = append(w.b, name...)
	w.vector(content)
	return w.b
}

// signWithLabel is SignWithLabel of RFC 9420 §5.1.2.
func (k *SigningKey) signWithLabel(name string, content []byte) ([]byte, error) {
	return k.sign(labelled(name, content))
}

// verifyWithLabel is VerifyWithLabel of RFC 9420 §5.1.2.
func (s *suite) verifyWithLabel(public []byte, name string, content, signature []byte) bool {
	return s.verify(public, labelled(name, content), signature)
}

// sealed is HPKECiphertext (RFC 9420 §7.6).
type sealed struct {
	kemOutput  []byte
	ciphertext []byte
}

func decodeSealed(r *reader) sealed {
	return sealed{kemOutput: r.vector(), ciphertext: r.vector()}
}

func (c sealed) encode(w *writer) {
	w.vector(c.kemOutput)
	w.vector(c.ciphertext)
}

// encryptWithLabel is EncryptWithLabel of RFC 9420 §5.1.3.
func (s *suite) encryptWithLabel(public []byte, name string, context, plaintext []byte) (sealed, error) {
	key, err := s.kem.NewPublicKey(public)
	if err != nil {
		return sealed{}, fmt.Errorf("encrypt %q: %w", name, ErrKey)
	}
	kemOutput, sender, err := hpke.NewSender(key, s.kdf, s.aead, labelled(name, context))
	if err != nil {
		return sealed{}, fmt.Errorf("encrypt %q: %w", name, err)
	}
	ciphertext, err := sender.Seal(nil, plaintext)
	if err != nil {
		return sealed{}, fmt.Errorf("encrypt %q: %w", name, err)
	}
	return sealed{kemOutput, ciphertext}, nil
}

// decryptWithLabel is DecryptWithLabel of RFC 9420 §5.1.3.
func (s *suite) decryptWithLabel(private hpke.PrivateKey, name string, context []byte, c sealed) ([]byte, error) {
	recipient, err := hpke.NewRecipient(c.kemOutput, private, s.kdf, s.aead, labelled(name, context))
	if err != nil {
		return nil, fmt.Errorf("decrypt %q: %w", name, ErrDecrypt)
	}
	plaintext, err := recipient.Open(nil, c.ciphertext)
	if err != nil {
		return nil, fmt.Errorf("decrypt %q: %w", name, ErrDecrypt)
	}
	return plaintext, nil
}

// externalInitLabel is the exporter label of RFC 9420 §8.3.
const externalInitLabel = label + "external init secret"

// externalInit encapsulates an init secret to external_pub (RFC 9420 §8.3).
func (s *suite) externalInit(externalPub []byte) (kemOutput, initSecret []byte, err error) {
	key, err := s.kem.NewPublicKey(externalPub)
	if err != nil {
		return nil, nil, fmt.Errorf("external init: %w", ErrKey)
	}
	kemOutput, sender, err := hpke.NewSender(key, s.kdf, s.aead, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("external init: %w", err)
	}
	initSecret, err = sender.Export(externalInitLabel, s.nh)
	return kemOutput, initSecret, err
}

// acceptExternalInit is the members' side of externalInit.
func (s *suite) acceptExternalInit(private hpke.PrivateKey, kemOutput []byte) ([]byte, error) {
	recipient, err := hpke.NewRecipient(kemOutput, private, s.kdf, s.aead, nil)
	if err != nil {
		return nil, fmt.Errorf("external init: %w", ErrDecrypt)
	}
	return recipient.Export(externalInitLabel, s.nh)
}
