package mls

import (
	"crypto/hpke"
	"fmt"
)

// GroupContext sums up a group in one epoch (RFC 9420 §8.1).
type GroupContext struct {
	Version                 Version
	Suite                   Suite
	GroupID                 []byte
	Epoch                   uint64
	TreeHash                []byte
	ConfirmedTranscriptHash []byte
	Extensions              []Extension
}

func decodeGroupContext(r *reader) GroupContext {
	return GroupContext{Version: Version(r.uint16()), Suite: Suite(r.uint16()), GroupID: r.vector(), Epoch: r.uint64(),
		TreeHash: r.vector(), ConfirmedTranscriptHash: r.vector(), Extensions: decodeExtensions(r)}
}

func (c *GroupContext) encode(w *writer) {
	w.uint16(uint16(c.Version))
	w.uint16(uint16(c.Suite))
	w.vector(c.GroupID)
	w.uint64(c.Epoch)
	w.vector(c.TreeHash)
	w.vector(c.ConfirmedTranscriptHash)
	encodeExtensions(w, c.Extensions)
}

// epochSecrets are the secrets of one epoch (RFC 9420 §8, table 4), without the
// encryption secret, which lives in the secret tree and is consumed there.
type epochSecrets struct {
	senderData    []byte
	exporter      []byte
	external      []byte
	confirmation  []byte
	membership    []byte
	resumption    []byte
	authenticator []byte
	init          []byte
}

// fields lists the secrets in the order of their stored form.
func (e *epochSecrets) fields() []*[]byte {
	return []*[]byte{&e.senderData, &e.exporter, &e.external, &e.confirmation, &e.membership, &e.resumption,
		&e.authenticator, &e.init}
}

// joinerSecret is the upper half of RFC 9420 §8, figure 22.
func (s *suite) joinerSecret(initSecret, commitSecret, context []byte) ([]byte, error) {
	extracted, err := s.extract(initSecret, commitSecret)
	if err != nil {
		return nil, fmt.Errorf("joiner secret: %w", err)
	}
	return s.expandWithLabel(extracted, "joiner", context, s.nh)
}

// memberSecret is the KDF.Extract over the joiner secret and the psk secret, from
// which the welcome and the epoch secret come.
func (s *suite) memberSecret(joiner, pskSecret []byte) ([]byte, error) {
	return s.extract(joiner, pskSecret)
}

// epoch derives the secrets of the epoch that context describes, and its
// encryption secret, from the member secret.
func (s *suite) epoch(member, context []byte) (*epochSecrets, []byte, error) {
	secret, err := s.expandWithLabel(member, "epoch", context, s.nh)
	if err != nil {
		return nil, nil, fmt.Errorf("epoch secret: %w", err)
	}
	return s.epochFrom(secret)
}

// epochFrom derives the secrets of an epoch from its epoch secret.
func (s *suite) epochFrom(secret []byte) (*epochSecrets, []byte, error) {
	e := new(epochSecrets)
	var encryption []byte
	for _, d := range []struct {
		label string
		to    *[]byte
	}{
		{"sender data", &e.senderData}, {"encryption", &encryption}, {"exporter", &e.exporter},
		{"external", &e.external}, {"confirm", &e.confirmation}, {"membership", &e.membership},
		{"resumption", &e.resumption}, {"authentication", &e.authenticator}, {"init", &e.init},
	} {
		var err error
		if *d.to, err = s.deriveSecret(secret, d.label); err != nil {
			return nil, nil, fmt.Errorf("derive %q: %w", d.label, err)
		}
	}
	clear(secret)
	return e, encryption, nil
}

// welcomeKey derives the key and nonce of a Welcome (RFC 9420 §12.4.3.1).
func (s *suite) welcomeKey(member []byte) (key, nonce []byte, err error) {
	secret, err := s.deriveSecret(member, "welcome")
	if err != nil {
		return nil, nil, fmt.Errorf("welcome secret: %w", err)
	}
	if key, err = s.expandWithLabel(secret, "key", nil, s.nk); err != nil {
		return nil, nil, fmt.Errorf("welcome key: %w", err)
	}
	nonce, err = s.expandWithLabel(secret, "nonce", nil, nonceSize)
	return key, nonce, err
}

// externalKey derives external_priv and external_pub (RFC 9420 §8).
func (s *suite) externalKey(e *epochSecrets) (hpke.PrivateKey, error) {
	return s.kem.DeriveKeyPair(e.external)
}

// export is MLS-Exporter of RFC 9420 §8.5.
func (s *suite) export(e *epochSecrets, name string, context []byte, length int) ([]byte, error) {
	secret, err := s.deriveSecret(e.exporter, name)
	if err != nil {
		return nil, err
	}
	return s.expandWithLabel(secret, "exported", s.digest(context), length)
}

// confirmedHash is confirmed_transcript_hash of RFC 9420 §8.2 after a commit.
func (s *suite) confirmedHash(interim []byte, a *authenticated) []byte {
	w := writer{b: make([]byte, 0, 1024)}
	w.raw(interim)
	w.uint16(uint16(a.wire))
	a.content.encode(&w)
	w.vector(a.signature)
	return s.digest(w.b)
}

// checkTag refuses a confirmation tag of another length than every key makes.
func (s *suite) checkTag(tag []byte) error {
	if len(tag) != s.nh {
		return fmt.Errorf("tag of %d bytes: %w", len(tag), ErrConfirmation)
	}
	return nil
}

// interimHash is interim_transcript_hash of RFC 9420 §8.2.
func (s *suite) interimHash(confirmed, confirmationTag []byte) []byte {
	w := writer{b: make([]byte, 0, 2*s.nh+8)}
	w.raw(confirmed)
	w.vector(confirmationTag)
	return s.digest(w.b)
}
