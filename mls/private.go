package mls

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// privateMessage is PrivateMessage of RFC 9420 §6.3.
type privateMessage struct {
	groupID             []byte
	epoch               uint64
	kind                ContentType
	authenticatedData   []byte
	encryptedSenderData []byte
	ciphertext          []byte
}

func decodePrivateMessage(r *reader) *privateMessage {
	return &privateMessage{groupID: r.vector(), epoch: r.uint64(), kind: ContentType(r.uint8()),
		authenticatedData: r.vector(), encryptedSenderData: r.vector(), ciphertext: r.vector()}
}

func (m *privateMessage) encode(w *writer) {
	m.encodeContentAAD(w)
	w.vector(m.encryptedSenderData)
	w.vector(m.ciphertext)
}

// encodeSenderAAD writes SenderDataAAD of RFC 9420 §6.3.2.
func (m *privateMessage) encodeSenderAAD(w *writer) {
	w.vector(m.groupID)
	w.uint64(m.epoch)
	w.uint8(uint8(m.kind))
}

// encodeContentAAD writes PrivateContentAAD of RFC 9420 §6.3.1.
func (m *privateMessage) encodeContentAAD(w *writer) {
	m.encodeSenderAAD(w)
	w.vector(m.authenticatedData)
}

// senderData is SenderData of RFC 9420 §6.3.2.
type senderData struct {
	leaf       LeafIndex
	generation uint32
	guard      [4]byte
}

const senderDataSize = 12

func (d senderData) bytes() []byte {
	b := make([]byte, 0, senderDataSize)
	b = binary.BigEndian.AppendUint32(b, uint32(d.leaf))
	b = binary.BigEndian.AppendUint32(b, d.generation)
	return append(b, d.guard[:]...)
}

func parseSenderData(b []byte) (senderData, error) {
	if len(b) != senderDataSize {
		return senderData{}, fmt.Errorf("sender data: %w", ErrMalformed)
	}
	d := senderData{leaf: LeafIndex(binary.BigEndian.Uint32(b)), generation: binary.BigEndian.Uint32(b[4:])}
	copy(d.guard[:], b[8:])
	return d, nil
}

// senderKey derives the key and nonce of RFC 9420 §6.3.2 from a sample of the
// ciphertext.
func (s *suite) senderKey(secret, ciphertext []byte) (key, nonce []byte, err error) {
	sample := ciphertext[:min(len(ciphertext), s.nh)]
	if key, err = s.expandWithLabel(secret, "key", sample, s.nk); err != nil {
		return nil, nil, err
	}
	nonce, err = s.expandWithLabel(secret, "nonce", sample, nonceSize)
	return key, nonce, err
}

// guarded is the nonce with the reuse guard of RFC 9420 §6.3.1.
func guarded(nonce []byte, guard [4]byte) []byte {
	var out [nonceSize]byte
	copy(out[:], nonce)
	for i, g := range guard {
		out[i] ^= g
	}
	return out[:]
}

// protectPrivate encrypts signed content of a member as a PrivateMessage in an
// MLSMessage (RFC 9420 §6.3). The plaintext is padded with zero bytes to a
// multiple of padTo.
func (a *authenticated) protectPrivate(s *suite, secret []byte, key messageKey, padTo int) ([]byte, error) {
	m := privateMessage{groupID: a.content.groupID, epoch: a.content.epoch, kind: a.content.kind,
		authenticatedData: a.content.authenticatedData}
	plaintext := writer{b: make([]byte, 0, len(a.content.data)+len(a.signature)+padTo+128)}
	a.content.encodeBody(&plaintext)
	a.encodeAuth(&plaintext)
	if padTo > 1 {
		plaintext.b = append(plaintext.b, make([]byte, (padTo-len(plaintext.b)%padTo)%padTo)...)
	}

	data := senderData{leaf: LeafIndex(a.content.sender.index), generation: key.generation}
	rand.Read(data.guard[:])
	var err error
	m.ciphertext, err = s.seal(key.key, guarded(key.nonce, data.guard), plaintext.b, encode(m.encodeContentAAD))
	if err != nil {
		return nil, fmt.Errorf("encrypt content: %w", err)
	}
	senderKey, senderNonce, err := s.senderKey(secret, m.ciphertext)
	if err != nil {
		return nil, fmt.Errorf("encrypt sender data: %w", err)
	}
	m.encryptedSenderData, err = s.seal(senderKey, senderNonce, data.bytes(), encode(m.encodeSenderAAD))
	if err != nil {
		return nil, fmt.Errorf("encrypt sender data: %w", err)
	}
	return encodeMessage(WirePrivate, m.encode), nil
}

// openSender decrypts who sent m (RFC 9420 §6.3.2).
func (m *privateMessage) openSender(s *suite, secret []byte) (senderData, error) {
	key, nonce, err := s.senderKey(secret, m.ciphertext)
	if err != nil {
		return senderData{}, fmt.Errorf("decrypt sender data: %w", err)
	}
	plain, err := s.open(key, nonce, m.encryptedSenderData, encode(m.encodeSenderAAD))
	if err != nil {
		return senderData{}, fmt.Errorf("decrypt sender data: %w", err)
	}
	return parseSenderData(plain)
}

// openContent decrypts the content of m (RFC 9420 §6.3.1). The sender of the
// result is the leaf whose ratchet gave the key, whatever the content claims.
func (m *privateMessage) openContent(s *suite, from senderData, key messageKey) (*authenticated, error) {
	plain, err := s.open(key.key, guarded(key.nonce, from.guard), m.ciphertext, encode(m.encodeContentAAD))
	if err != nil {
		return nil, fmt.Errorf("decrypt content: %w", err)
	}
	a := &authenticated{wire: WirePrivate, content: framedContent{groupID: m.groupID, epoch: m.epoch,
		sender: memberSender(from.leaf), authenticatedData: m.authenticatedData, kind: m.kind}}
	r := reader{b: plain}
	a.content.decodeBody(&r)
	a.decodeAuth(&r)
	if r.err != nil {
		return nil, fmt.Errorf("decrypted content: %w", r.err)
	}
	for _, b := range r.b {
		if b != 0 {
			return nil, fmt.Errorf("padding is not zero: %w", ErrMalformed)
		}
	}
	return a, nil
}
