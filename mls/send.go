package mls

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
)

// MaxProposals is how many proposals wait for a commit in one epoch. It bounds
// what members can make each other store.
const MaxProposals = 1024

// Envelope says how to wrap what a member sends.
type Envelope struct {
	// AuthenticatedData is signed along and visible to everybody.
	AuthenticatedData []byte
	// Private encrypts a proposal or commit. Application data is always encrypted.
	Private bool
	// PadTo rounds the length of an encrypted content up to a multiple.
	PadTo int
}

// Send encrypts application data to the group (RFC 9420 §6.3). Store Changes
// before the message leaves: a key that is used twice protects nothing.
//
// It refuses while proposals wait for a commit (RFC 9420 §12.4).
func (g *Group) Send(data []byte, o Envelope) ([]byte, error) {
	if err := g.usable(); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	if len(g.proposals) > 0 {
		return nil, fmt.Errorf("send: %d %w", len(g.proposals), ErrPending)
	}
	a := g.compose(ContentApplication, o)
	a.wire = WirePrivate
	a.content.data = data
	if err := a.sign(g.epoch.signer, g.epoch.encoded); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	message, err := g.protect(a, o)
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	return message, nil
}

// compose starts a message of this member.
func (g *Group) compose(kind ContentType, o Envelope) *authenticated {
	a := &authenticated{wire: WirePublic, content: framedContent{groupID: g.epoch.context.GroupID,
		epoch: g.epoch.context.Epoch, sender: memberSender(g.epoch.self), authenticatedData: o.AuthenticatedData, kind: kind}}
	if o.Private {
		a.wire = WirePrivate
	}
	return a
}

// protect wraps a signed message. An encrypted one spends a generation of this
// member's ratchet.
func (g *Group) protect(a *authenticated, o Envelope) ([]byte, error) {
	e := g.epoch
	if a.wire == WirePublic {
		return bounded(a.protectPublic(e.suite, e.secrets.membership, e.encoded))
	}
	key, advance, err := g.ratchets.send(e.self, ratchetOf(a.content.kind))
	if err != nil {
		return nil, err
	}
	message, err := a.protectPrivate(e.suite, e.secrets.senderData, key, o.PadTo)
	if err == nil {
		message, err = bounded(message)
	}
	if err != nil {
		return nil, err
	}
	g.ratchets.apply(advance)
	key.erase()
	return message, nil
}

// bounded refuses to give out what no receiver would read.
func bounded(message []byte) ([]byte, error) {
	if len(message) > MaxMessage {
		return nil, fmt.Errorf("message of %d bytes: %w", len(message), ErrTooLarge)
	}
	return message, nil
}

func (k messageKey) erase() {
	clear(k.key)
	clear(k.nonce)
}

// cached is a proposal that waits for a commit.
type cached struct {
	proposed
	content []byte // AuthenticatedContent, from which it can be read again
	dirty   bool
}

// Propose makes a proposal for others to commit by reference (RFC 9420 §12.1).
// Prefer a commit that holds its proposals by value; this is for groups in which
// members that may propose are not those that commit.
func (g *Group) Propose(p Proposal, o Envelope) ([]byte, error) {
	switch p.Type {
	case ProposalAdd, ProposalRemove, ProposalPSK, ProposalReInit, ProposalExtensions:
	default:
		return nil, fmt.Errorf("propose type %d: %w", p.Type, ErrProposal)
	}
	return g.propose(proposed{Proposal: p}, o)
}

// ProposeUpdate proposes a fresh leaf key for this member (RFC 9420 §12.1.2). It
// takes effect when another member commits it.
func (g *Group) ProposeUpdate(o Envelope) ([]byte, error) {
	if err := g.usable(); err != nil {
		return nil, fmt.Errorf("propose update: %w", err)
	}
	e := g.epoch
	key, err := e.suite.kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("propose update: %w", err)
	}
	private, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("propose update: %w", err)
	}
	leaf := e.tree.leaf(e.self).renewed()
	leaf.EncryptionKey, leaf.Source = key.PublicKey().Bytes(), SourceUpdate
	if err := leaf.sign(e.signer, e.context.GroupID, e.self); err != nil {
		return nil, fmt.Errorf("propose update: %w", err)
	}
	return g.propose(proposed{Proposal: Proposal{Type: ProposalUpdate, Leaf: leaf}, key: private}, o)
}

// renewed starts a new leaf with what l says of its owner.
func (l *LeafNode) renewed() *LeafNode {
	return &LeafNode{SignatureKey: l.SignatureKey, Credential: l.Credential, Capabilities: l.Capabilities,
		Extensions: l.Extensions}
}

func (g *Group) propose(p proposed, o Envelope) ([]byte, error) {
	if err := g.usable(); err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	if p.Type == ProposalPSK && p.PSK.Nonce == nil {
		p.PSK.Nonce = g.freshNonce()
	}
	a := g.compose(ContentProposal, o)
	a.content.proposal = &p.Proposal
	if err := a.sign(g.epoch.signer, g.epoch.encoded); err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	if err := g.roomForProposal(); err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	message, err := g.protect(a, o)
	if err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	g.remember(a, p.key)
	return message, nil
}

// freshNonce draws a psk_nonce (RFC 9420 §8.4).
func (g *Group) freshNonce() []byte {
	nonce := make([]byte, g.epoch.suite.nh)
	rand.Read(nonce)
	return nonce
}

func (g *Group) roomForProposal() error {
	if len(g.proposals) >= MaxProposals {
		return fmt.Errorf("%d proposals wait: %w", len(g.proposals), ErrTooLarge)
	}
	return nil
}

// remember keeps a proposal until a commit refers to it, and returns its
// reference.
func (g *Group) remember(a *authenticated, key []byte) []byte {
	ref := a.ref(g.epoch.suite)
	g.proposals[string(ref)] = &cached{content: encode(a.encode), dirty: true,
		proposed: proposed{Proposal: *a.content.proposal, from: a.content.sender, key: key}}
	return ref
}

// Pending lists the references of proposals that wait for a commit.
func (g *Group) Pending() [][]byte {
	var refs [][]byte
	for ref := range g.proposals {
		refs = append(refs, []byte(ref))
	}
	slices.SortFunc(refs, bytes.Compare) // the same on every call
	return refs
}

// Proposed returns the proposal of a reference, if it waits.
func (g *Group) Proposed(ref []byte) (Committed, bool) {
	p, ok := g.proposals[string(ref)]
	if !ok {
		return Committed{}, false
	}
	return Committed{Proposal: p.Proposal, Proposer: LeafIndex(p.from.index), ByOutsider: p.from.kind != senderMember}, true
}
