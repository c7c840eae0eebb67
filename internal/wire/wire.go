// Package wire holds every byte of DeMes that crosses a link or stands in the
// log, with its limits. The shapes are in demes.proto; this file signs, checks
// and reads them.
//
// Its one idea: what is signed is a byte string, not a meaning. Signatures and
// hashes cover the exact bytes that were received, and nothing is ever encoded
// a second time to be compared. Every kind of signed object has a label of its
// own, so that none can pose as another (docs/protocol.md#labels).
//
// The package is pure: it decides nothing about members, order or time.
package wire

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
)

// Label separates the kinds of signed objects.
type Label string

// The labels of all signed objects.
const (
	LabelEvent      Label = "DeMes 1 event\x00"
	LabelRecord     Label = "DeMes 1 record\x00"
	LabelCert       Label = "DeMes 1 device\x00"
	LabelJoinDevice Label = "DeMes 1 join device\x00"
	LabelJoinInvite Label = "DeMes 1 join invite\x00"
	LabelReceipt    Label = "DeMes 1 receipt\x00"
	LabelHandover   Label = "DeMes 1 handover\x00"
	LabelVote       Label = "DeMes 1 vote\x00"
	LabelLeaf       Label = "DeMes 1 leaf\x00"
	LabelRejoin     Label = "DeMes 1 rejoin\x00"
)

// Errors of reading what a peer sent.
var (
	ErrMalformed = errors.New("malformed")
	ErrSignature = errors.New("bad signature")
	ErrTooLarge  = errors.New("too large")
)

// Sign signs body under the label.
func Sign(key ed25519.PrivateKey, label Label, body []byte) []byte {
	return ed25519.Sign(key, append([]byte(label), body...))
}

// Verify checks a signature of a 32-byte Ed25519 public key over body.
func Verify(public []byte, label Label, body, signature []byte) bool {
	if len(public) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(ed25519.PublicKey(public), append([]byte(label), body...), signature)
}

// Marshal encodes canonically: fields in number order, as protobuf's
// deterministic option does for messages without maps and unknown fields.
func Marshal(m proto.Message) []byte {
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("wire: own message does not encode: %v", err)) // only invalid UTF-8 of ours could
	}
	return out
}

// Unmarshal decodes what a peer or the disk gave; unknown fields are ignored.
func Unmarshal(data []byte, m proto.Message) error {
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 32}).Unmarshal(data, m); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// Bytes32 copies a 32-byte field; ok is false for any other length.
func Bytes32(b []byte) (out [32]byte, ok bool) {
	if len(b) != 32 {
		return out, false
	}
	copy(out[:], b)
	return out, true
}

// Device reads a device id field; any malformed one is the zero device, which
// is nobody.
func Device(b []byte) demes.DeviceID {
	d, _ := Bytes32(b)
	return demes.DeviceID(d)
}

// HashOf reads a hash field; a malformed one is the zero hash, which is no
// digest of anything.
func HashOf(b []byte) demes.Hash {
	h, _ := Bytes32(b)
	return demes.Hash(h)
}

// PutHead encodes a head.
func PutHead(h demes.Head) *Head {
	return &Head{Generation: h.Generation, Index: h.Index, Hash: h.Hash[:]}
}

// GetHead decodes a head; nil is the zero head.
func GetHead(h *Head) demes.Head {
	return demes.Head{Generation: h.GetGeneration(), Index: h.GetIndex(), Hash: HashOf(h.GetHash())}
}

// PutMark encodes a mark.
func PutMark(m demes.Mark) *Mark {
	return &Mark{Device: m.Device[:], Seq: m.Seq, Hash: m.Hash[:]}
}

// GetMark decodes a mark.
func GetMark(m *Mark) demes.Mark {
	return demes.Mark{Device: Device(m.GetDevice()), Seq: m.GetSeq(), Hash: HashOf(m.GetHash())}
}
