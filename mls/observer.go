package mls

import (
	"bytes"
	"fmt"
	"time"
)

// Observer follows a group from outside, without any secret: it knows the tree and
// the context of an epoch and judges commits by the same code as the members. It is
// for those who have to agree on which commits count, members or not.
//
// What it cannot see it does not judge: the membership tag and the confirmation
// tag, of which it checks the lengths alone, what is sealed in a path or in an
// ExternalInit, and whether there is a secret for a PSK. So it may accept a commit that
// no member can follow; and the tags are not signed, so that who carries a commit can
// break them, unless the caller protects the whole message. What it refuses, members
// refuse too, except private commits, proposals by reference and a ReInit.
//
// An Observer is never changed after it was made: Commit returns the next one,
// which shares the tree nodes that stay the same. Goroutines may share it if they
// may share Policy.Credential.
type Observer struct {
	policy Policy
	epoch  publicEpoch
}

// Observed is a commit that an Observer found valid. The application judges
// whether the committer was allowed to; then it goes on with Next or drops it.
type Observed struct {
	// Committer is the leaf that committed. Of an external commit it is the new leaf.
	Committer LeafIndex
	// External reports an external commit (RFC 9420 §12.4.3.2).
	External bool
	// Leaf is the committer's leaf after the commit.
	Leaf *LeafNode
	// HasPath reports that the commit renews the committer's keys.
	HasPath bool
	// Proposals lists what the commit does.
	Proposals []Committed
	// Added and Removed are places in the tree after and before the commit.
	Added, Removed []LeafIndex
	// AuthenticatedData is what the committer signed along.
	AuthenticatedData []byte
	// Next observes the epoch to which the commit leads.
	Next *Observer
}

// Observe starts from a GroupInfo, which it verifies together with the whole tree
// as a joiner does. tree is needed only if the GroupInfo comes without one. That
// the GroupInfo is the latest is for the ordering service to say.
func Observe(groupInfo, tree []byte, policy Policy) (*Observer, error) {
	info, err := ParseGroupInfo(groupInfo)
	if err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	s, err := info.Context.Suite.lookup()
	if err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	o := &Observer{policy: policy}
	if o.epoch, err = info.open(s, tree, &policy); err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	return o, nil
}

// observerVersion numbers the form of State.
const observerVersion = 1

// State returns the GroupContext and the confirmation tag that the last commit
// claims. With Tree, whose hash stands in the context, it is all there is to know:
// observers of one history have the same State, byte for byte.
func (o *Observer) State() []byte {
	return encode(func(w *writer) {
		w.uint8(observerVersion)
		w.raw(o.epoch.encoded)
		w.vector(o.epoch.confirmationTag)
	})
}

// Tree returns the ratchet tree (RFC 9420 §12.4.3.3).
func (o *Observer) Tree() []byte { return encode(o.epoch.tree.encode) }

// ParseObserver reads what State and Tree gave. The tree is verified in full, as a
// joiner does, unless the bytes are trusted; then only its hash is, which shows
// damage. Nothing can prove a State itself: it has to come from a source that the
// caller believes.
func ParseObserver(state, tree []byte, policy Policy, trusted bool) (*Observer, error) {
	o := &Observer{policy: policy}
	if err := o.parse(&reader{b: bytes.Clone(state)}, bytes.Clone(tree), trusted); err != nil {
		return nil, fmt.Errorf("parse observer: %w", err)
	}
	return o, nil
}

func (o *Observer) parse(r *reader, tree []byte, trusted bool) (err error) {
	if version := r.uint8(); r.err == nil && version != observerVersion {
		return fmt.Errorf("version %d: %w", version, ErrUnsupported)
	}
	context, tag := decodeGroupContext(r), r.vector()
	if err := r.finish(); err != nil {
		return err
	}
	if context.Version != MLS10 {
		return fmt.Errorf("protocol version %d: %w", context.Version, ErrUnsupported)
	}
	if o.epoch, err = restorePublic(context, tag, tree); err != nil {
		return err
	}
	if err := o.epoch.suite.checkTag(tag); err != nil || trusted {
		return err
	}
	return o.epoch.tree.validate(context.GroupID, context.Extensions, &o.policy)
}

// ID is the group's identifier.
func (o *Observer) ID() []byte { return bytes.Clone(o.epoch.context.GroupID) }

// Suite is the group's cipher suite.
func (o *Observer) Suite() Suite { return o.epoch.suite.id }

// Epoch is the number of the epoch.
func (o *Observer) Epoch() uint64 { return o.epoch.context.Epoch }

// Context is the GroupContext of the epoch (RFC 9420 §8.1). Its slices must not be
// changed.
func (o *Observer) Context() GroupContext { return o.epoch.context }

// Leaf returns the leaf of a member, nil if there is none at i.
func (o *Observer) Leaf(i LeafIndex) *LeafNode { return o.epoch.tree.leaf(i) }

// Members calls f for each member in the order of the tree until f returns false.
func (o *Observer) Members(f func(LeafIndex, *LeafNode) bool) { o.epoch.tree.members(f) }

// Commit judges a commit, which has to be a public message with all its proposals
// by value (RFC 9420 §12.4.2). at is the time by which lifetimes are judged:
// observers and members that are to agree pass the same. PSKs are left to the
// caller, who finds them in Proposals; a ReInit is refused.
func (o *Observer) Commit(message []byte, at time.Time) (*Observed, error) {
	out, err := o.commit(message, at)
	if err != nil {
		return nil, fmt.Errorf("observe commit: %w", err)
	}
	return out, nil
}

func (o *Observer) commit(message []byte, at time.Time) (*Observed, error) {
	m, err := o.open(message)
	if err != nil {
		return nil, err
	}
	a := &m.authenticated
	c, err := o.epoch.judge(a, nil, &o.policy, at)
	if err != nil {
		return nil, err
	}
	if err := m.checkTagLengths(o.epoch.suite); err != nil {
		return nil, err
	}
	if c.reInit != nil {
		return nil, fmt.Errorf("reinit: %w", ErrUnsupported)
	}
	n := o.epoch.after(c)
	n.transcribe(a, c.tree)
	return &Observed{Committer: c.place, External: c.external(), Leaf: c.tree.leaf(c.place), HasPath: a.content.commit.path != nil,
		Proposals: c.committed(), Added: c.added, Removed: c.removed, AuthenticatedData: bytes.Clone(a.content.authenticatedData),
		Next: &Observer{policy: o.policy, epoch: newPublicEpoch(n.context, c.tree, a.confirmationTag)}}, nil
}

// open reads a commit and verifies that it is for this epoch and signed by the
// leaf that it names.
func (o *Observer) open(message []byte) (*publicMessage, error) {
	m, err := decodeMessage(message, WirePublic, decodePublicMessage)
	if err != nil {
		return nil, err
	}
	if m.content.kind != ContentCommit {
		return nil, fmt.Errorf("content type %d is no commit: %w", m.content.kind, ErrMalformed)
	}
	if err := o.epoch.addressed(m.content.groupID, m.content.epoch); err != nil {
		return nil, err
	}
	for _, p := range m.content.commit.proposals {
		if p.proposal == nil {
			return nil, fmt.Errorf("proposal %x by reference, and an observer knows none: %w", p.ref, ErrProposal)
		}
	}
	return m, o.epoch.verifySender(&m.authenticated)
}

// Matches reports whether a member is in this very epoch: its whole context, the
// transcript up to the confirmation tag included, is the same.
func (o *Observer) Matches(g *Group) bool {
	return !g.expelled && o.epoch.same(&g.epoch.publicEpoch)
}

// MatchesStaged reports whether merging s leads to this very epoch. It does not if
// s was merged or discarded, or expels its member.
func (o *Observer) MatchesStaged(s *Staged) bool {
	return s.next != nil && o.epoch.same(&s.next.publicEpoch)
}

// MatchesInfo reports whether a GroupInfo is of this very epoch and signed by one
// of its members. Only its extensions are then still to be believed: of a wrong
// external_pub an external commit would come that no member can follow.
func (o *Observer) MatchesInfo(groupInfo []byte) bool {
	info, err := ParseGroupInfo(groupInfo)
	if err != nil {
		return false
	}
	return bytes.Equal(encode(info.Context.encode), o.epoch.encoded) && bytes.Equal(info.ConfirmationTag, o.epoch.confirmationTag) &&
		info.verify(o.epoch.suite, o.epoch.tree) == nil
}
