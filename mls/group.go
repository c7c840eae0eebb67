package mls

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
)

// Group is one member's view of a group. It belongs to one goroutine at a time.
//
// Everything that changes it either fails and leaves it as it was, or succeeds
// and is described by Changes, which the application stores together with what
// it made of the operation.
type Group struct {
	policy    Policy
	epoch     *epoch
	ratchets  *secretTree
	proposals map[string]*cached // of this epoch, by ProposalRef
	frozen    bool               // see Freeze
	expelled  bool               // this member was removed
	reset     bool               // an epoch began since Saved
}

// Create starts a group of one member (RFC 9420 §11). secrets is a key package of
// the creator that is used for nothing else. groupID must be unique; take 16 or
// more random bytes.
func Create(groupID []byte, secrets *KeyPackageSecrets, policy Policy, extensions ...Extension) (*Group, error) {
	s, err := secrets.KeyPackage.Suite.lookup()
	if err != nil {
		return nil, fmt.Errorf("create group: %w", err)
	}
	key, err := s.privateKey(secrets.encryption)
	if err != nil {
		return nil, fmt.Errorf("create group: %w", ErrKey)
	}
	t := &tree{suite: s, nodes: []*node{{leaf: secrets.KeyPackage.Leaf}}}
	if err := t.validate(groupID, extensions, &policy); err != nil {
		return nil, fmt.Errorf("create group: %w", err)
	}
	e := &epoch{signer: secrets.key, keys: keyRing{0: key}}
	context := GroupContext{Version: MLS10, Suite: s.id, GroupID: bytes.Clone(groupID), TreeHash: t.treeHash(),
		ConfirmedTranscriptHash: []byte{}, Extensions: slices.Clone(extensions)}
	secret := make([]byte, s.nh)
	rand.Read(secret)
	var encryption []byte
	if e.secrets, encryption, err = s.epochFrom(secret); err != nil {
		return nil, fmt.Errorf("create group: %w", err)
	}
	e.publicEpoch = newPublicEpoch(context, t, s.mac(e.secrets.confirmation, context.ConfirmedTranscriptHash))
	return newGroup(e, encryption, policy), nil
}

func newGroup(e *epoch, encryption []byte, policy Policy) *Group {
	g := &Group{policy: policy}
	g.enter(e, encryption)
	return g
}

// enter begins an epoch.
func (g *Group) enter(e *epoch, encryption []byte) {
	g.epoch = e
	g.ratchets = newSecretTree(e.suite, e.tree.leaves(), encryption)
	g.proposals = map[string]*cached{}
	g.reset = true
}

// usable refuses operations that a group in its state must not do.
func (g *Group) usable() error {
	switch {
	case g.expelled:
		return ErrRemoved
	case g.frozen:
		return fmt.Errorf("past epoch: %w", ErrClosed)
	case g.epoch.reInit != nil:
		return fmt.Errorf("reinitialised: %w", ErrClosed)
	}
	return nil
}

// Merge takes a staged commit: the group enters the next epoch and the keys of
// the old one are gone. If the commit removed this member, there is no next epoch:
// the group refuses everything from then on and Changes deletes all its records.
func (g *Group) Merge(s *Staged) error {
	if s.base == nil || s.base != g.epoch || g.frozen {
		return fmt.Errorf("merge: %w", ErrStaged)
	}
	s.base = nil
	if s.next == nil {
		g.expelled, g.reset = true, true
		g.ratchets = newSecretTree(g.epoch.suite, 1, nil)
		g.proposals = map[string]*cached{}
		return nil
	}
	g.enter(s.next, s.encryption)
	s.next, s.encryption = nil, nil
	return nil
}

// Freeze returns a view of the current epoch that outlives the next Merge and
// can do nothing but open application messages that come late. Call it just before
// Merge: it has its own copy of the message keys from here on. Hold few, and not
// for long, and store its Changes apart from the group's.
func (g *Group) Freeze() *Group {
	return &Group{policy: g.policy, epoch: g.epoch, ratchets: g.ratchets.clone(), proposals: map[string]*cached{},
		frozen: true, expelled: g.expelled, reset: true}
}

// ID is the group's identifier.
func (g *Group) ID() []byte { return bytes.Clone(g.epoch.context.GroupID) }

// Suite is the group's cipher suite.
func (g *Group) Suite() Suite { return g.epoch.suite.id }

// Epoch is the number of the current epoch.
func (g *Group) Epoch() uint64 { return g.epoch.context.Epoch }

// Self is this member's place in the tree.
func (g *Group) Self() LeafIndex { return g.epoch.self }

// Context is the GroupContext of the current epoch (RFC 9420 §8.1). Its slices
// must not be changed.
func (g *Group) Context() GroupContext { return g.epoch.context }

// Expelled reports that a merged commit removed this member.
func (g *Group) Expelled() bool { return g.expelled }

// ReInit returns the proposal that closed the group, nil while it is open.
func (g *Group) ReInit() *ReInit { return g.epoch.reInit }

// Leaf returns the leaf of a member, nil if there is none at i.
func (g *Group) Leaf(i LeafIndex) *LeafNode { return g.epoch.tree.leaf(i) }

// Members calls f for each member in the order of the tree until f returns false.
func (g *Group) Members(f func(LeafIndex, *LeafNode) bool) { g.epoch.tree.members(f) }

// Tree returns the ratchet tree for joiners that get it apart from their Welcome
// (RFC 9420 §12.4.3.3).
func (g *Group) Tree() []byte { return encode(g.epoch.tree.encode) }

// Authenticator is the epoch authenticator: members whose values agree are in
// the same epoch of the same group (RFC 9420 §8.7).
func (g *Group) Authenticator() []byte { return bytes.Clone(g.epoch.secrets.authenticator) }

// ResumptionPSK is the resumption secret of the epoch (RFC 9420 §8.6). An
// application that uses it in later epochs keeps it for Policy.PSK.
func (g *Group) ResumptionPSK() []byte { return bytes.Clone(g.epoch.secrets.resumption) }

// Export derives a secret of the epoch for the application (RFC 9420 §8.5).
func (g *Group) Export(label string, context []byte, length int) ([]byte, error) {
	if length < 0 || length > 255*g.epoch.suite.nh {
		return nil, fmt.Errorf("export %d bytes: %w", length, ErrTooLarge)
	}
	out, err := g.epoch.suite.export(g.epoch.secrets, label, context, length)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return out, nil
}
