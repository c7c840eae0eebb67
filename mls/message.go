package mls

import (
	"bytes"
	"fmt"
)

// MaxMessage is the longest message accepted, in bytes. A Welcome for 1,000
// members of the post-quantum suite with its tree takes about 5 MB; the limit
// leaves room for the largest group (MaxMembers) of the classical suites.
const MaxMessage = 32 << 20

// MaxMembers is the largest group. It bounds what a forged tree can make a
// reader allocate: about 130,000 nodes.
const MaxMembers = 1 << 16

// WireFormat tells the messages apart (RFC 9420 §6).
type WireFormat uint16

const (
	WirePublic     WireFormat = 1
	WirePrivate    WireFormat = 2
	WireWelcome    WireFormat = 3
	WireGroupInfo  WireFormat = 4
	WireKeyPackage WireFormat = 5
)

// ContentType says what a public or private message carries (RFC 9420 §6).
type ContentType uint8

const (
	ContentApplication ContentType = 1
	ContentProposal    ContentType = 2
	ContentCommit      ContentType = 3
)

// Header is what a message shows to everybody. Nothing in it is verified: it is
// good for finding the group that can, and for nothing else.
type Header struct {
	WireFormat  WireFormat
	GroupID     []byte      // of public and private messages and group infos
	Epoch       uint64      // likewise
	ContentType ContentType // of public and private messages
	Suite       Suite       // of welcomes, group infos and key packages
}

// Inspect reads the header of an MLSMessage (RFC 9420 §6).
func Inspect(message []byte) (Header, error) {
	r, wire, err := openMessage(message)
	if err != nil {
		return Header{}, fmt.Errorf("inspect: %w", err)
	}
	h := Header{WireFormat: wire}
	switch wire {
	case WirePublic:
		h.GroupID, h.Epoch = r.vector(), r.uint64()
		decodeSender(&r)
		r.vector()
		h.ContentType = ContentType(r.uint8())
	case WirePrivate:
		h.GroupID, h.Epoch = r.vector(), r.uint64()
		h.ContentType = ContentType(r.uint8())
	case WireWelcome:
		h.Suite = Suite(r.uint16())
	case WireGroupInfo:
		r.uint16()
		h.Suite = Suite(r.uint16())
		h.GroupID, h.Epoch = r.vector(), r.uint64()
	case WireKeyPackage:
		r.uint16()
		h.Suite = Suite(r.uint16())
	}
	if r.err != nil {
		return Header{}, fmt.Errorf("inspect: %w", r.err)
	}
	h.GroupID = bytes.Clone(h.GroupID)
	return h, nil
}

// openMessage reads the start of an MLSMessage.
func openMessage(message []byte) (reader, WireFormat, error) {
	if len(message) > MaxMessage {
		return reader{}, 0, fmt.Errorf("message of %d bytes: %w", len(message), ErrTooLarge)
	}
	r := reader{b: message}
	version, wire := Version(r.uint16()), WireFormat(r.uint16())
	switch {
	case r.err != nil:
		return r, 0, r.err
	case version != MLS10:
		return r, 0, fmt.Errorf("protocol version %d: %w", version, ErrUnsupported)
	case wire < WirePublic || wire > WireKeyPackage:
		return r, 0, fmt.Errorf("wire format %d: %w", wire, ErrUnsupported)
	}
	return r, wire, nil
}

// decodeMessage decodes an MLSMessage of one wire format. The result owns its
// bytes: the caller may reuse message.
func decodeMessage[T any](message []byte, want WireFormat, decode func(*reader) T) (T, error) {
	var zero T
	r, wire, err := openMessage(message)
	if err != nil {
		return zero, err
	}
	if wire != want {
		return zero, fmt.Errorf("wire format %d where %d is due: %w", wire, want, ErrMalformed)
	}
	return decodeAll(bytes.Clone(r.b), decode)
}

// encodeMessage encodes an MLSMessage.
func encodeMessage(wire WireFormat, body func(*writer)) []byte {
	return encode(func(w *writer) {
		w.uint16(uint16(MLS10))
		w.uint16(uint16(wire))
		body(w)
	})
}
