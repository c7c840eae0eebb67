package mls

import (
	"fmt"
	"slices"
	"time"
)

// Staged is a commit that has been checked and not yet taken. It holds the next
// epoch; the group it was staged on is unchanged until Merge, and if another
// commit wins, Staged is simply dropped (Discard).
type Staged struct {
	// Committer is the leaf that committed. Of an external commit it is the new leaf.
	Committer LeafIndex
	// External reports an external commit (RFC 9420 §12.4.3.2).
	External bool
	// Leaf is the committer's leaf after the commit.
	Leaf *LeafNode
	// Proposals lists what the commit does. The application judges here whether
	// the proposers were allowed to.
	Proposals []Committed
	// Added and Removed are places in the tree after and before the commit.
	Added, Removed []LeafIndex
	// Expelled reports that this member is among Removed: merging closes the group.
	Expelled bool
	// ReInit is set if the commit closes the group (RFC 9420 §12.1.5).
	ReInit *ReInit
	// AuthenticatedData is what the committer signed along.
	AuthenticatedData []byte

	// Message and Welcome are set for own commits. Send Welcome only once the
	// commit was accepted.
	Message, Welcome []byte

	number     uint64 // of the next epoch
	base       *epoch // nil after Merge or Discard
	next       *epoch // nil if Expelled, or after Merge or Discard
	encryption []byte
}

// Committed is a proposal of a commit.
type Committed struct {
	Proposal
	// Proposer is who proposed it: a member, unless ByOutsider.
	Proposer   LeafIndex
	ByOutsider bool
}

// Epoch is the number of the epoch that merging leads to.
func (s *Staged) Epoch() uint64 { return s.number }

// Context is the GroupContext after merging, with the new extensions. It is the
// zero value if Expelled.
func (s *Staged) Context() GroupContext {
	if s.next == nil {
		return GroupContext{}
	}
	return s.next.context
}

// Authenticator is the epoch authenticator after merging (RFC 9420 §8.7), nil if
// Expelled.
func (s *Staged) Authenticator() []byte {
	if s.next == nil {
		return nil
	}
	return slices.Clone(s.next.secrets.authenticator)
}

// Discard erases the secrets of a commit that lost.
func (s *Staged) Discard() {
	if s.next != nil {
		for _, f := range s.next.secrets.fields() {
			clear(*f)
		}
	}
	clear(s.encryption)
	s.base, s.next = nil, nil
}

// committed lists the proposals for the application.
func (c *change) committed() []Committed {
	var out []Committed
	for _, p := range c.list {
		out = append(out, Committed{Proposal: p.Proposal, Proposer: LeafIndex(p.from.index), ByOutsider: p.from.kind != senderMember})
	}
	return out
}

// resolve looks up the proposals of a commit (RFC 9420 §12.4). known holds those
// of the epoch that may be referred to.
func (c *commit) resolve(known map[string]*cached, from sender) ([]proposed, error) {
	list := make([]proposed, 0, len(c.proposals))
	for _, p := range c.proposals {
		if p.proposal != nil {
			list = append(list, proposed{Proposal: *p.proposal, from: from})
			continue
		}
		at, ok := known[string(p.ref)]
		if !ok {
			return nil, fmt.Errorf("proposal %x is not known: %w", p.ref, ErrProposal)
		}
		list = append(list, at.proposed)
	}
	return list, nil
}

// committerLeaf finds the leaf whose key must have signed a commit: the member's
// own, or that in the path of an external commit (RFC 9420 §12.4.3.2).
func (e *publicEpoch) committerLeaf(a *authenticated) (*LeafNode, error) {
	switch a.content.sender.kind {
	case senderMember:
		if l := e.tree.leaf(LeafIndex(a.content.sender.index)); l != nil {
			return l, nil
		}
		return nil, fmt.Errorf("committer %d is not a member: %w", a.content.sender.index, ErrLeaf)
	case senderNewMemberCommit:
		if a.content.commit.path != nil && a.wire == WirePublic {
			return a.content.commit.path.leaf, nil
		}
		return nil, fmt.Errorf("external commit without a path: %w", ErrPath)
	}
	return nil, fmt.Errorf("commit from sender type %d: %w", a.content.sender.kind, ErrMalformed)
}

// judge checks the public side of a commit and applies it to a copy of the tree
// (RFC 9420 §12.4.2). Its signature is already verified; its tags and path secrets
// are not looked at. Whatever it checks, everybody finds alike.
func (e *publicEpoch) judge(a *authenticated, known map[string]*cached, policy *Policy, at time.Time) (*change, error) {
	path := a.content.commit.path
	list, err := a.content.commit.resolve(known, a.content.sender)
	if err != nil {
		return nil, err
	}
	c, err := e.apply(list, a.content.sender, policy, at)
	if err != nil {
		return nil, err
	}
	if path == nil && c.needsPath {
		return nil, fmt.Errorf("commit without a path: %w", ErrPath)
	}
	return c, c.mergeCommitter(path)
}

// external reports an external commit.
func (c *change) external() bool { return c.committer.kind == senderNewMemberCommit }

// mergeCommitter checks the public side of a path and merges it into the new tree.
func (c *change) mergeCommitter(path *updatePath) (err error) {
	c.place = LeafIndex(c.committer.index)
	if path == nil {
		return c.tree.checkNew(c.keys)
	}
	reason, previous := ReasonCommit, c.tree.leaf(c.place)
	if c.external() {
		if c.place, err = c.tree.freeLeaf(); err != nil {
			return err
		}
		reason, previous = ReasonExternal, c.replaced
	}
	if err := c.admitPath(c.place, path, previous, reason); err != nil {
		return err
	}
	if c.steps, err = c.tree.applyPath(c.place, path, c.added); err != nil {
		return err
	}
	return c.tree.checkCredentialTypes()
}

// stage processes an authenticated commit of another member (RFC 9420 §12.4.2).
// Its signature and membership tag are already verified.
func (g *Group) stage(a *authenticated, at time.Time) (*Staged, error) {
	e := g.epoch
	c, err := e.judge(a, g.proposals, &g.policy, at)
	if err != nil {
		return nil, err
	}
	s := &Staged{base: e, number: e.context.Epoch + 1, Committer: c.place, External: c.external(), Leaf: c.tree.leaf(c.place),
		Proposals: c.committed(), Added: c.added, Removed: c.removed, ReInit: c.reInit,
		Expelled: slices.Contains(c.removed, e.self), AuthenticatedData: a.content.authenticatedData}
	if s.Expelled {
		return s, nil
	}
	keys := e.keys.carry(e.tree, c.tree)
	if c.ownKey != nil {
		if keys[e.self.node()], err = e.suite.privateKey(c.ownKey); err != nil {
			return nil, fmt.Errorf("own update: %w", ErrKey)
		}
	}
	return s, g.finish(s, a, c, keys)
}

// finish derives the next epoch and verifies the confirmation tag.
func (g *Group) finish(s *Staged, a *authenticated, c *change, keys keyRing) (err error) {
	e := g.epoch
	n := e.newSuccessor(c)
	if path := a.content.commit.path; path != nil {
		n.commitSecret, err = c.tree.decryptPath(c.steps, path, e.self, keys, n.provisional(c.tree), c.added)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrPathSecret, err)
		}
	}
	if s.External {
		external, err := e.suite.externalKey(e.secrets)
		if err != nil {
			return fmt.Errorf("external key: %w", err)
		}
		if n.initSecret, err = e.suite.acceptExternalInit(external, c.kemOutput); err != nil {
			return err
		}
	}
	if n.pskSecret, err = e.resolvePSKs(c.psks, &g.policy); err != nil {
		return err
	}
	if err = n.derive(a, c.tree); err != nil {
		return err
	}
	if !macEqual(n.tag, a.confirmationTag) {
		return fmt.Errorf("commit: %w", ErrConfirmation)
	}
	s.next = n.epoch(c.tree, e.self, e.signer, keys, c.reInit)
	s.encryption = n.encryption
	return nil
}
