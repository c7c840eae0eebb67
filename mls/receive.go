package mls

import (
	"bytes"
	"fmt"
	"time"
)

// Received is what a message turned out to be. Kind says which of the fields
// below it are set.
type Received struct {
	Kind ContentType
	// Sender is who signed the message: the leaf whose key verified it, and the
	// only thing that says who wrote it. It is meaningless if ByOutsider.
	Sender LeafIndex
	// ByOutsider reports a proposal or external commit from outside the group.
	ByOutsider bool
	// Leaf is the sender's leaf in the epoch of the message, nil if ByOutsider.
	Leaf *LeafNode
	// AuthenticatedData is what the sender signed along.
	AuthenticatedData []byte

	Data     []byte    // of ContentApplication
	Proposal *Proposal // of ContentProposal
	Ref      []byte    // of ContentProposal
	Commit   *Staged   // of ContentCommit
}

// Receive reads a public or private message of the group (RFC 9420 §6). at is the
// time by which lifetimes are judged; members that are to agree on the validity of
// commits pass the same.
//
// Application messages and proposals take effect at once: the key of an
// encrypted one is gone, a proposal waits for its commit. A commit is only staged
// and changes nothing before Merge. On an error nothing has changed.
func (g *Group) Receive(message []byte, at time.Time) (*Received, error) {
	if g.expelled {
		return nil, fmt.Errorf("receive: %w", ErrRemoved)
	}
	r, wire, err := openMessage(message)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	var out *Received
	switch wire {
	case WirePublic:
		out, err = g.receivePublic(bytes.Clone(r.b), at)
	case WirePrivate:
		out, err = g.receivePrivate(r.b, at)
	default:
		err = fmt.Errorf("wire format %d is not for a group: %w", wire, ErrMalformed)
	}
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	return out, nil
}

// addressed checks that a message is for this group and epoch, and of a kind that
// it may still take.
func (g *Group) addressed(groupID []byte, epoch uint64, kind ContentType) error {
	if err := g.epoch.addressed(groupID, epoch); err != nil {
		return err
	}
	if kind == ContentApplication {
		return nil
	}
	return g.usable()
}

// addressed checks that a message is for this group and epoch.
func (e *publicEpoch) addressed(groupID []byte, epoch uint64) error {
	if !bytes.Equal(groupID, e.context.GroupID) {
		return ErrWrongGroup
	}
	if epoch != e.context.Epoch {
		return fmt.Errorf("epoch %d, at %d: %w", epoch, e.context.Epoch, ErrWrongEpoch)
	}
	return nil
}

// receivePublic handles a PublicMessage (RFC 9420 §6.2).
func (g *Group) receivePublic(b []byte, at time.Time) (*Received, error) {
	m, err := decodeAll(b, decodePublicMessage)
	if err != nil {
		return nil, err
	}
	if err := g.addressed(m.content.groupID, m.content.epoch, m.content.kind); err != nil {
		return nil, err
	}
	e := g.epoch
	if err := m.checkMembership(e.suite, e.secrets.membership, e.encoded); err != nil {
		return nil, err
	}
	if m.content.sender == memberSender(e.self) {
		return nil, ErrOwnMessage
	}
	if err := e.verifySender(&m.authenticated); err != nil {
		return nil, err
	}
	return g.accept(&m.authenticated, at)
}

// verifySender verifies the signature of a public message (RFC 9420 §6.1).
func (e *publicEpoch) verifySender(a *authenticated) error {
	key, err := e.senderKey(a)
	if err != nil {
		return err
	}
	return a.verify(e.suite, key, e.encoded)
}

// senderKey finds the key that must have signed a public message (RFC 9420 §6.1).
func (e *publicEpoch) senderKey(a *authenticated) ([]byte, error) {
	if a.content.kind == ContentCommit {
		l, err := e.committerLeaf(a)
		if err != nil {
			return nil, err
		}
		return l.SignatureKey, nil
	}
	from := a.content.sender
	switch from.kind {
	case senderMember:
		if l := e.tree.leaf(LeafIndex(from.index)); l != nil {
			return l.SignatureKey, nil
		}
		return nil, fmt.Errorf("sender %d is not a member: %w", from.index, ErrLeaf)
	case senderExternal:
		senders, err := externalSenders(e.context.Extensions)
		if err != nil {
			return nil, err
		}
		if from.index < uint32(len(senders)) {
			return senders[from.index].SignatureKey, nil
		}
	case senderNewMemberProposal:
		if p := a.content.proposal; p.Type == ProposalAdd {
			return p.KeyPackage.Leaf.SignatureKey, nil
		}
	}
	return nil, fmt.Errorf("no such sender: %w", ErrMalformed)
}

// receivePrivate handles a PrivateMessage (RFC 9420 §6.3). The ratchet moves only
// after everything has been verified.
func (g *Group) receivePrivate(b []byte, at time.Time) (*Received, error) {
	m, err := decodeAll(b, decodePrivateMessage)
	if err != nil {
		return nil, err
	}
	if err := g.addressed(m.groupID, m.epoch, m.kind); err != nil {
		return nil, err
	}
	if m.kind != ContentApplication { // a handshake message outlives the caller's buffer
		m, _ = decodeAll(bytes.Clone(b), decodePrivateMessage)
	}
	e := g.epoch
	from, err := m.openSender(e.suite, e.secrets.senderData)
	if err != nil {
		return nil, err
	}
	leaf := e.tree.leaf(from.leaf)
	switch {
	case leaf == nil:
		return nil, fmt.Errorf("sender %d is not a member: %w", from.leaf, ErrLeaf)
	case from.leaf == e.self:
		return nil, ErrOwnMessage
	}
	key, advance, err := g.ratchets.receive(from.leaf, ratchetOf(m.kind), from.generation)
	if err != nil {
		return nil, err
	}
	a, err := m.openContent(e.suite, from, key)
	if err != nil {
		return nil, err
	}
	if err := a.verify(e.suite, leaf.SignatureKey, e.encoded); err != nil {
		return nil, err
	}
	out, err := g.accept(a, at)
	if err != nil || out.Kind == ContentCommit {
		return out, err
	}
	g.ratchets.apply(advance)
	key.erase()
	return out, nil
}

// accept takes in authenticated content. The author is the sender whose key
// verified it.
func (g *Group) accept(a *authenticated, at time.Time) (*Received, error) {
	out := &Received{Kind: a.content.kind, Sender: LeafIndex(a.content.sender.index),
		AuthenticatedData: bytes.Clone(a.content.authenticatedData)}
	if a.content.sender.kind == senderMember {
		out.Leaf = g.epoch.tree.leaf(out.Sender)
	} else {
		out.ByOutsider = true
	}
	switch a.content.kind {
	case ContentApplication:
		out.Data = a.content.data
	case ContentProposal:
		if err := g.roomForProposal(); err != nil {
			return nil, err
		}
		if !a.content.sender.mayPropose(a.content.proposal.Type) || a.content.proposal.Type == ProposalExternalInit {
			return nil, fmt.Errorf("proposal %d from sender type %d: %w", a.content.proposal.Type, a.content.sender.kind, ErrProposal)
		}
		out.Proposal = a.content.proposal
		out.Ref = g.remember(a, nil)
	case ContentCommit:
		var err error
		if out.Commit, err = g.stage(a, at); err != nil {
			return nil, fmt.Errorf("commit: %w", err)
		}
	}
	return out, nil
}
