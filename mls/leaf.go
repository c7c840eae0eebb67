package mls

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// Version is a protocol version.
type Version uint16

// MLS10 is the only version there is (RFC 9420 §6).
const MLS10 Version = 1

// Capabilities lists what a client supports beyond the defaults (RFC 9420 §7.2).
// Unknown values are ignored.
type Capabilities struct {
	Versions    []Version
	Suites      []Suite
	Extensions  []ExtensionType
	Proposals   []ProposalType
	Credentials []CredentialType
}

// maxNumbers bounds each list of a Capabilities. Lists are compared with each
// other for each member, so long ones would make a group slow for everybody.
const maxNumbers = 256

func readNumbers[T ~uint16](r *reader) []T {
	b := r.vector()
	if len(b) > 2*maxNumbers {
		r.fail(ErrTooLarge)
		return nil
	}
	if len(b)%2 != 0 {
		r.fail(ErrMalformed)
		return nil
	}
	out := make([]T, len(b)/2)
	for i := range out {
		out[i] = T(uint16(b[2*i])<<8 | uint16(b[2*i+1]))
	}
	return out
}

func writeNumbers[T ~uint16](w *writer, list []T) {
	w.b = appendLength(w.b, 2*len(list))
	for _, v := range list {
		w.uint16(uint16(v))
	}
}

func decodeCapabilities(r *reader) Capabilities {
	return Capabilities{
		Versions:    readNumbers[Version](r),
		Suites:      readNumbers[Suite](r),
		Extensions:  readNumbers[ExtensionType](r),
		Proposals:   readNumbers[ProposalType](r),
		Credentials: readNumbers[CredentialType](r),
	}
}

func (c Capabilities) encode(w *writer) {
	writeNumbers(w, c.Versions)
	writeNumbers(w, c.Suites)
	writeNumbers(w, c.Extensions)
	writeNumbers(w, c.Proposals)
	writeNumbers(w, c.Credentials)
}

// supportsExtension reports whether t may be used with a holder of c.
func (c Capabilities) supportsExtension(t ExtensionType) bool {
	return t.isDefault() || slices.Contains(c.Extensions, t)
}

// supportsProposal reports whether t may be sent to a holder of c.
func (c Capabilities) supportsProposal(t ProposalType) bool {
	return t.isDefault() || slices.Contains(c.Proposals, t)
}

// satisfies checks c against a group's required capabilities (RFC 9420 §11.1).
func (c Capabilities) satisfies(need RequiredCapabilities) error {
	for _, t := range need.Extensions {
		if !c.supportsExtension(t) {
			return fmt.Errorf("extension 0x%04X: %w", uint16(t), ErrCapability)
		}
	}
	for _, t := range need.Proposals {
		if !c.supportsProposal(t) {
			return fmt.Errorf("proposal 0x%04X: %w", uint16(t), ErrCapability)
		}
	}
	for _, t := range need.Credentials {
		if !slices.Contains(c.Credentials, t) {
			return fmt.Errorf("credential 0x%04X: %w", uint16(t), ErrCapability)
		}
	}
	return nil
}

// Lifetime bounds the use of a key package, in seconds of Unix time, both ends
// included (RFC 9420 §7.2).
type Lifetime struct{ NotBefore, NotAfter uint64 }

// LifetimeOf returns the lifetime that lasts for d from start. Start an hour
// early, so that clocks that run behind accept it.
func LifetimeOf(start time.Time, d time.Duration) Lifetime {
	return Lifetime{uint64(max(0, start.Unix())), uint64(max(0, start.Add(d).Unix()))}
}

// DefaultMaxLifetime is the longest total lifetime of a key package that is
// accepted unless the policy names another: 90 days and a day for early starts.
const DefaultMaxLifetime = 91 * 24 * time.Hour

// check judges l at a time that the caller gives. limit is Policy.MaxLifetime.
func (l Lifetime) check(at time.Time, limit time.Duration) error {
	now := uint64(max(0, at.Unix()))
	if now < l.NotBefore || now > l.NotAfter {
		return fmt.Errorf("at %d, valid %d to %d: %w", now, l.NotBefore, l.NotAfter, ErrLifetime)
	}
	if limit == 0 {
		limit = DefaultMaxLifetime
	}
	if limit > 0 && l.NotAfter-l.NotBefore > uint64(limit/time.Second) {
		return fmt.Errorf("lasts longer than %v: %w", limit, ErrLifetime)
	}
	return nil
}

// LeafSource says how a leaf came into the tree (RFC 9420 §7.2).
type LeafSource uint8

const (
	SourceKeyPackage LeafSource = 1
	SourceUpdate     LeafSource = 2
	SourceCommit     LeafSource = 3
)

// LeafNode describes one member (RFC 9420 §7.2). A leaf that was decoded or
// signed is never changed; its fields are for reading.
type LeafNode struct {
	EncryptionKey []byte
	SignatureKey  []byte
	Credential    Credential
	Capabilities  Capabilities
	Source        LeafSource
	Lifetime      Lifetime // of SourceKeyPackage
	ParentHash    []byte   // of SourceCommit
	Extensions    []Extension
	Signature     []byte

	encoded []byte // the whole leaf as it is signed, sent and hashed
	signed  int    // length of the part of encoded before the signature
}

func decodeLeafNode(r *reader) *LeafNode {
	start := r.b
	l := &LeafNode{
		EncryptionKey: r.vector(),
		SignatureKey:  r.vector(),
		Credential:    decodeCredential(r),
		Capabilities:  decodeCapabilities(r),
		Source:        LeafSource(r.uint8()),
	}
	switch l.Source {
	case SourceKeyPackage:
		l.Lifetime = Lifetime{r.uint64(), r.uint64()}
	case SourceUpdate:
	case SourceCommit:
		l.ParentHash = r.vector()
	default:
		r.fail(ErrMalformed)
	}
	l.Extensions = decodeExtensions(r)
	l.signed = len(start) - len(r.b)
	l.Signature = r.vector()
	if r.err == nil {
		n := len(start) - len(r.b)
		l.encoded = start[:n:n]
	}
	return l
}

func (l *LeafNode) encode(w *writer) { w.raw(l.encoded) }

// apart returns l with bytes of its own: a leaf stays in trees long after the
// message that it came in, which may be many times as long.
func (l *LeafNode) apart() *LeafNode { return decodeLeafNode(&reader{b: bytes.Clone(l.encoded)}) }

func (l *LeafNode) encodeUnsigned(w *writer) {
	w.vector(l.EncryptionKey)
	w.vector(l.SignatureKey)
	l.Credential.encode(w)
	l.Capabilities.encode(w)
	w.uint8(uint8(l.Source))
	switch l.Source {
	case SourceKeyPackage:
		w.uint64(l.Lifetime.NotBefore)
		w.uint64(l.Lifetime.NotAfter)
	case SourceCommit:
		w.vector(l.ParentHash)
	}
	encodeExtensions(w, l.Extensions)
}

// toBeSigned is LeafNodeTBS of RFC 9420 §7.2: a leaf made inside a group is
// bound to that group and its place.
func (l *LeafNode) toBeSigned(groupID []byte, index LeafIndex) []byte {
	w := writer{b: make([]byte, 0, l.signed+len(groupID)+8)}
	w.raw(l.encoded[:l.signed])
	if l.Source != SourceKeyPackage {
		w.vector(groupID)
		w.uint32(uint32(index))
	}
	return w.b
}

// sign completes a leaf whose fields are set.
func (l *LeafNode) sign(key *SigningKey, groupID []byte, index LeafIndex) error {
	w := writer{b: make([]byte, 0, 512)}
	l.encodeUnsigned(&w)
	l.encoded, l.signed = w.b, len(w.b)
	signature, err := key.signWithLabel("LeafNodeTBS", l.toBeSigned(groupID, index))
	if err != nil {
		return fmt.Errorf("sign leaf: %w", err)
	}
	l.Signature = signature
	w.vector(signature)
	l.encoded = w.b
	return nil
}

// verifySignature is the second step of RFC 9420 §7.3.
func (l *LeafNode) verifySignature(s *suite, groupID []byte, index LeafIndex) error {
	if !s.verifyWithLabel(l.SignatureKey, "LeafNodeTBS", l.toBeSigned(groupID, index), l.Signature) {
		return fmt.Errorf("leaf: %w", ErrSignature)
	}
	return nil
}

// checkNew is checkContent for a leaf that enters the group now: its encryption
// key must be one that can be encrypted to.
func (l *LeafNode) checkNew(s *suite) error {
	if _, err := s.kem.NewPublicKey(l.EncryptionKey); err != nil {
		return fmt.Errorf("leaf encryption key: %w", ErrKey)
	}
	return l.checkContent(s)
}

// checkContent covers the steps of RFC 9420 §7.3 that need the leaf alone:
// plausible keys, and capabilities that cover its own credential, extensions, the
// suite and the version.
func (l *LeafNode) checkContent(s *suite) error {
	if len(l.EncryptionKey) != s.npk {
		return fmt.Errorf("leaf encryption key of %d bytes: %w", len(l.EncryptionKey), ErrKey)
	}
	if !s.checkSigningKey(l.SignatureKey) {
		return fmt.Errorf("leaf signature key: %w", ErrKey)
	}
	if !slices.Contains(l.Capabilities.Versions, MLS10) || !slices.Contains(l.Capabilities.Suites, s.id) {
		return fmt.Errorf("leaf lists neither version nor suite of the group: %w", ErrCapability)
	}
	if !slices.Contains(l.Capabilities.Credentials, l.Credential.Type) {
		return fmt.Errorf("leaf does not list its own credential type: %w", ErrCapability)
	}
	for _, e := range l.Extensions {
		if !l.Capabilities.supportsExtension(e.Type) {
			return fmt.Errorf("leaf does not list its own extension 0x%04X: %w", uint16(e.Type), ErrCapability)
		}
	}
	return checkUniqueExtensions(l.Extensions)
}
