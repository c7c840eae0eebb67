// Package demes holds the nouns of DeMes, private group chat that its own
// members host: identifiers, events, members, chats and the errors that users
// see. It is the glossary; every other package speaks in these words.
//
// The one idea behind them: every device writes its own signed, numbered log
// per chat, a small council puts those events in one order, and the member who
// stands best in the network hosts. docs/protocol.md is the normative text.
//
// The package does no I/O, keeps no state and knows no other package.
package demes

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// DeviceID is the Ed25519 public key of a running node; it is also its network
// address (the libp2p peer id is derived from it).
type DeviceID [32]byte

// AccountID is the Ed25519 public key of a person.
type AccountID [32]byte

// ChatID is the hash of a chat's found event.
type ChatID [32]byte

// Hash is a SHA-256 digest.
type Hash [32]byte

// EventID names one event for ever: the device that wrote it and its number in
// that device's log of the chat, counted from 1.
type EventID struct {
	Device DeviceID
	Seq    uint64
}

// Head is a point in the settled log: everything up to and including Index has
// been consumed in Generation, and Hash is the running hash there.
// Heads are comparable within a generation (docs/protocol.md#heads).
type Head struct {
	Generation uint64
	Index      uint64
	Hash       Hash
}

// Now is an instant as the shell hands it to the pure packages. Timers use
// Mono, which never jumps; Wall is only ever shown or stamped.
type Now struct {
	Mono int64 // milliseconds since an arbitrary origin, non-decreasing
	Wall int64 // Unix time in milliseconds
}

var textEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrMalformedID says that a text is not the form of an identifier.
var ErrMalformedID = errors.New("malformed identifier")

func (d DeviceID) String() string  { return textEncoding.EncodeToString(d[:]) }
func (a AccountID) String() string { return textEncoding.EncodeToString(a[:]) }
func (c ChatID) String() string    { return textEncoding.EncodeToString(c[:]) }
func (h Hash) String() string      { return hex.EncodeToString(h[:]) }

// String gives the form used by the local API: device/seq.
func (id EventID) String() string { return id.Device.String() + "/" + strconv.FormatUint(id.Seq, 10) }

// Short is the first eight characters of the identifier, for logs and traces.
func (d DeviceID) Short() string { return d.String()[:8] }

// Short is the first eight characters of the identifier, for logs and traces.
func (c ChatID) Short() string { return c.String()[:8] }

// IsZero reports whether the identifier names nobody.
func (d DeviceID) IsZero() bool { return d == DeviceID{} }

// IsZero reports whether the identifier names no chat.
func (c ChatID) IsZero() bool { return c == ChatID{} }

// Compare orders devices by their bytes.
func (d DeviceID) Compare(other DeviceID) int { return bytes.Compare(d[:], other[:]) }

// Compare orders events by device, then by seq.
func (id EventID) Compare(other EventID) int {
	if c := id.Device.Compare(other.Device); c != 0 {
		return c
	}
	switch {
	case id.Seq < other.Seq:
		return -1
	case id.Seq > other.Seq:
		return 1
	}
	return 0
}

func parse32(text string) (out [32]byte, err error) {
	raw, err := textEncoding.DecodeString(strings.ToLower(text))
	if err != nil || len(raw) != len(out) {
		return out, ErrMalformedID
	}
	copy(out[:], raw)
	return out, nil
}

// ParseDeviceID reads the text form of a device id.
func ParseDeviceID(text string) (DeviceID, error) {
	raw, err := parse32(text)
	return DeviceID(raw), err
}

// ParseChatID reads the text form of a chat id.
func ParseChatID(text string) (ChatID, error) {
	raw, err := parse32(text)
	return ChatID(raw), err
}

// ParseEventID reads device/seq.
func ParseEventID(text string) (EventID, error) {
	device, seq, ok := strings.Cut(text, "/")
	if !ok {
		return EventID{}, ErrMalformedID
	}
	id, err := ParseDeviceID(device)
	if err != nil {
		return EventID{}, err
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || n == 0 {
		return EventID{}, ErrMalformedID
	}
	return EventID{Device: id, Seq: n}, nil
}

// Sum is the SHA-256 digest of the parts, one after the other. Callers use
// parts of fixed size, so that no two inputs run together.
func Sum(parts ...[]byte) Hash {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return Hash(h.Sum(nil))
}

// MarshalText implements encoding.TextMarshaler.
func (d DeviceID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DeviceID) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDeviceID(string(text))
	return err
}

// String gives generation:index:hash, the hash cut to eight digits.
func (h Head) String() string {
	return fmt.Sprintf("%d:%d:%s", h.Generation, h.Index, h.Hash.String()[:8])
}
