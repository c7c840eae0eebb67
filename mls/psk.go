package mls

import (
	"bytes"
	"fmt"
)

// MaxPSKs is how many pre-shared keys one commit may mix in.
const MaxPSKs = 64

// PSKType says where a pre-shared key comes from (RFC 9420 §8.4).
type PSKType uint8

const (
	PSKExternal   PSKType = 1
	PSKResumption PSKType = 2
)

// PSKUsage is ResumptionPSKUsage of RFC 9420 §8.4.
type PSKUsage uint8

const (
	UsageApplication PSKUsage = 1
	UsageReInit      PSKUsage = 2
	UsageBranch      PSKUsage = 3
)

// PSKID is PreSharedKeyID of RFC 9420 §8.4.
type PSKID struct {
	Type    PSKType
	ID      []byte   // of PSKExternal
	Usage   PSKUsage // of PSKResumption
	GroupID []byte   // of PSKResumption
	Epoch   uint64   // of PSKResumption
	Nonce   []byte
}

// decodePSKID is PreSharedKeyID of RFC 9420 §8.4.
func decodePSKID(r *reader) PSKID {
	id := PSKID{Type: PSKType(r.uint8())}
	switch id.Type {
	case PSKExternal:
		id.ID = r.vector()
	case PSKResumption:
		id.Usage = PSKUsage(r.uint8())
		if id.Usage < UsageApplication || id.Usage > UsageBranch {
			r.fail(ErrMalformed)
		}
		id.GroupID = r.vector()
		id.Epoch = r.uint64()
	default:
		r.fail(ErrMalformed)
	}
	id.Nonce = r.vector()
	return id
}

func (id PSKID) encode(w *writer) {
	w.uint8(uint8(id.Type))
	if id.Type == PSKExternal {
		w.vector(id.ID)
	} else {
		w.uint8(uint8(id.Usage))
		w.vector(id.GroupID)
		w.uint64(id.Epoch)
	}
	w.vector(id.Nonce)
}

func (id PSKID) equal(other PSKID) bool {
	return bytes.Equal(encode(id.encode), encode(other.encode))
}

// preSharedKey is a resolved PSK.
type preSharedKey struct {
	id     PSKID
	secret []byte
}

// foldPSKs computes psk_secret of RFC 9420 §8.4, in the order of the proposals.
func (s *suite) foldPSKs(psks []preSharedKey) ([]byte, error) {
	secret := s.zero()
	for i, psk := range psks {
		extracted, err := s.extract(s.zero(), psk.secret)
		if err != nil {
			return nil, fmt.Errorf("fold psks: %w", err)
		}
		context := encode(func(w *writer) {
			psk.id.encode(w)
			w.uint16(uint16(i))
			w.uint16(uint16(len(psks)))
		})
		input, err := s.expandWithLabel(extracted, "derived psk", context, s.nh)
		if err != nil {
			return nil, fmt.Errorf("fold psks: %w", err)
		}
		if secret, err = s.extract(input, secret); err != nil {
			return nil, fmt.Errorf("fold psks: %w", err)
		}
	}
	return secret, nil
}
