package mls

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// proposed is a proposal with the one who made it.
type proposed struct {
	Proposal
	from sender
	// key is the private leaf key of an Update that this member proposed.
	key []byte
}

// change is what a list of proposals makes of a group (RFC 9420 §12.3).
type change struct {
	list       []proposed
	tree       *tree
	extensions []Extension
	demands    demands
	removed    []LeafIndex
	replaced   *LeafNode // the leaf that an external commit removes
	added      []LeafIndex
	packages   []*KeyPackage // of added, in the same order
	psks       []PSKID
	kemOutput  []byte // of the ExternalInit
	reInit     *ReInit
	keys       *newKeys
	ownKey     []byte // private leaf key, if an Update of this member is among them
	needsPath  bool
	place      LeafIndex // the committer's leaf after the commit, set by mergeCommitter
	steps      []step    // of its path, likewise

	committer sender
	groupID   []byte
	suite     *suite
	policy    *Policy
	at        time.Time
}

// apply validates a list of proposals and applies it to a copy of the tree (RFC
// 9420 §12.2, §12.3). The epoch itself stays as it is.
func (e *publicEpoch) apply(list []proposed, committer sender, policy *Policy, at time.Time) (*change, error) {
	c := &change{list: list, tree: e.tree.clone(), extensions: e.context.Extensions, keys: newKeySet(),
		committer: committer, groupID: e.context.GroupID, suite: e.suite, policy: policy, at: at}
	if err := c.checkComposition(); err != nil {
		return nil, fmt.Errorf("proposals: %w", err)
	}
	for _, apply := range []func() error{c.applyExtensions, c.applyUpdates, c.applyRemoves, c.applyAdds, c.collect, c.checkMembers} {
		if err := apply(); err != nil {
			return nil, fmt.Errorf("proposals: %w", err)
		}
	}
	return c, nil
}

// of yields the proposals of one type in their order.
func (c *change) of(t ProposalType) func(func(*proposed) bool) {
	return func(yield func(*proposed) bool) {
		for i := range c.list {
			if c.list[i].Type == t && !yield(&c.list[i]) {
				return
			}
		}
	}
}

func (c *change) count(t ProposalType) (n int) {
	for range c.of(t) {
		n++
	}
	return n
}

// checkComposition judges which types may stand together and who may have
// proposed them (RFC 9420 §12.2, §12.1.8).
func (c *change) checkComposition() error {
	if c.committer.kind == senderNewMemberCommit {
		return c.checkExternalComposition()
	}
	if c.count(ProposalExternalInit) > 0 {
		return fmt.Errorf("external init in a member's commit: %w", ErrProposal)
	}
	if c.count(ProposalExtensions) > 1 {
		return fmt.Errorf("group context extensions twice: %w", ErrProposal)
	}
	if c.count(ProposalReInit) > 0 && len(c.list) > 1 {
		return fmt.Errorf("reinit beside other proposals: %w", ErrProposal)
	}
	for _, p := range c.list {
		c.needsPath = c.needsPath || p.Type.needsPath()
		if !p.from.mayPropose(p.Type) {
			return fmt.Errorf("proposal %d from sender type %d: %w", p.Type, p.from.kind, ErrProposal)
		}
	}
	c.needsPath = c.needsPath || len(c.list) == 0
	return nil
}

// checkExternalComposition is the second half of RFC 9420 §12.2.
func (c *change) checkExternalComposition() error {
	c.needsPath = true
	if n := c.count(ProposalExternalInit); n != 1 {
		return fmt.Errorf("%d external inits: %w", n, ErrProposal)
	}
	if n := c.count(ProposalRemove); n > 1 {
		return fmt.Errorf("%d removes in an external commit: %w", n, ErrProposal)
	}
	for _, p := range c.list {
		if p.Type != ProposalExternalInit && p.Type != ProposalRemove && p.Type != ProposalPSK {
			return fmt.Errorf("proposal %d in an external commit: %w", p.Type, ErrProposal)
		}
		if p.from.kind != senderNewMemberCommit {
			return fmt.Errorf("external commit with a proposal by reference: %w", ErrProposal)
		}
	}
	return nil
}

// mayPropose is RFC 9420 §12.1.8 and §17.4.
func (s sender) mayPropose(t ProposalType) bool {
	switch s.kind {
	case senderExternal:
		return t != ProposalUpdate && t != ProposalExternalInit
	case senderNewMemberProposal:
		return t == ProposalAdd
	}
	return true
}

// applyExtensions is RFC 9420 §12.1.7; it comes first because the new list rules
// the other proposals.
func (c *change) applyExtensions() (err error) {
	for p := range c.of(ProposalExtensions) {
		c.extensions = p.Extensions
	}
	if c.demands, err = demandsOf(c.extensions); err != nil {
		return fmt.Errorf("group context extensions: %w: %w", ErrProposal, err)
	}
	return nil
}

// applyUpdates is RFC 9420 §12.1.2.
func (c *change) applyUpdates() error {
	var updated []LeafIndex
	for p := range c.of(ProposalUpdate) {
		i := LeafIndex(p.from.index)
		previous := c.tree.leaf(i)
		if p.from.kind != senderMember || p.from == c.committer || previous == nil || slices.Contains(updated, i) {
			return fmt.Errorf("update of leaf %d: %w", i, ErrProposal)
		}
		if err := c.verifySuccessor(p.Leaf, previous, i, SourceUpdate, ReasonUpdate); err != nil {
			return fmt.Errorf("update of leaf %d: %w", i, err)
		}
		if err := c.keys.addLeaf(i, p.Leaf, i.node()); err != nil {
			return err
		}
		c.tree.update(i, p.Leaf)
		updated = append(updated, i)
		if p.key != nil {
			c.ownKey = p.key
		}
	}
	for p := range c.of(ProposalRemove) {
		if slices.Contains(updated, p.Removed) {
			return fmt.Errorf("update and remove of leaf %d: %w", p.Removed, ErrProposal)
		}
	}
	return nil
}

// verifySuccessor validates another's leaf made inside the group at place i (RFC
// 9420 §7.3). previous is the leaf that it replaces, nil for an external joiner.
func (c *change) verifySuccessor(l, previous *LeafNode, i LeafIndex, source LeafSource, reason Reason) error {
	if l.Source != source {
		return fmt.Errorf("leaf source %d: %w", l.Source, ErrLeaf)
	}
	if previous != nil && bytes.Equal(l.EncryptionKey, previous.EncryptionKey) {
		return fmt.Errorf("encryption key was kept: %w", ErrDuplicateKey)
	}
	if err := l.verifySignature(c.suite, c.groupID, i); err != nil {
		return err
	}
	return c.checkSuccessor(l, previous, i, reason)
}

// checkSuccessor is the part of verifySuccessor that also binds leaves which this
// member makes itself.
func (c *change) checkSuccessor(l, previous *LeafNode, i LeafIndex, reason Reason) error {
	if err := l.checkNew(c.suite); err != nil {
		return err
	}
	if err := c.demands.check(l.Capabilities); err != nil {
		return err
	}
	return c.policy.admit(Admission{Leaf: l, Reason: reason, Index: i, Previous: previous, GroupID: c.groupID})
}

// applyRemoves is RFC 9420 §12.1.3.
func (c *change) applyRemoves() error {
	for p := range c.of(ProposalRemove) {
		if c.tree.leaf(p.Removed) == nil { // also if it was removed just now
			return fmt.Errorf("remove of leaf %d: %w", p.Removed, ErrProposal)
		}
		if c.committer == memberSender(p.Removed) {
			return fmt.Errorf("committer removes itself: %w", ErrProposal)
		}
		if c.committer.kind == senderNewMemberCommit {
			c.replaced = c.tree.leaf(p.Removed)
		}
		c.removed = append(c.removed, p.Removed)
		c.tree.drop(p.Removed)
	}
	c.tree.shrink()
	return nil
}

// applyAdds is RFC 9420 §12.1.1.
func (c *change) applyAdds() error {
	for p := range c.of(ProposalAdd) {
		k := p.KeyPackage
		if err := k.check(c.suite, c.policy, c.at); err != nil {
			return fmt.Errorf("add: %w", err)
		}
		if err := c.demands.check(k.Leaf.Capabilities); err != nil {
			return fmt.Errorf("add: %w", err)
		}
		i, err := c.tree.add(k.Leaf.apart())
		if err != nil {
			return fmt.Errorf("add: %w", err)
		}
		if err := c.policy.admit(Admission{Leaf: k.Leaf, Reason: ReasonAdd, Index: i, GroupID: c.groupID}); err != nil {
			return fmt.Errorf("add: %w", err)
		}
		if err := c.keys.addLeaf(i, k.Leaf, i.node()); err != nil {
			return err
		}
		c.added = append(c.added, i)
		c.packages = append(c.packages, k)
	}
	return nil
}

// collect takes the proposals that do not touch the tree (RFC 9420 §12.1.4 to
// §12.1.6).
func (c *change) collect() error {
	for p := range c.of(ProposalPSK) {
		id := p.PSK
		if id.Type == PSKResumption && id.Usage != UsageApplication {
			return fmt.Errorf("psk of usage %d: %w", id.Usage, ErrProposal)
		}
		if len(id.Nonce) != c.suite.nh {
			return fmt.Errorf("psk nonce of %d bytes: %w", len(id.Nonce), ErrProposal)
		}
		if slices.ContainsFunc(c.psks, id.equal) {
			return fmt.Errorf("psk twice: %w", ErrProposal)
		}
		if c.psks = append(c.psks, id); len(c.psks) > MaxPSKs {
			return fmt.Errorf("more than %d psks: %w", MaxPSKs, ErrTooLarge)
		}
	}
	for p := range c.of(ProposalExternalInit) {
		if len(p.KEMOutput) != c.suite.nenc {
			return fmt.Errorf("kem output of %d bytes: %w", len(p.KEMOutput), ErrProposal)
		}
		c.kemOutput = p.KEMOutput
	}
	for p := range c.of(ProposalReInit) {
		if p.ReInit.Version < MLS10 {
			return fmt.Errorf("reinit to version %d: %w", p.ReInit.Version, ErrProposal)
		}
		c.reInit = p.ReInit
	}
	return nil
}

// checkMembers judges what depends on all members together: credential types
// after new leaves, and new demands of the group (RFC 9420 §7.3, §12.1.7).
func (c *change) checkMembers() error {
	if len(c.keys.signature) > 0 {
		if err := c.tree.checkCredentialTypes(); err != nil {
			return err
		}
	}
	if c.count(ProposalExtensions) == 0 {
		return nil
	}
	var err error
	c.tree.members(func(i LeafIndex, l *LeafNode) bool {
		if err = c.demands.check(l.Capabilities); err != nil {
			err = fmt.Errorf("leaf %d: %w", i, err)
		}
		return err == nil
	})
	return err
}

// admitPath validates the leaf of an update path and that all its keys are new
// (RFC 9420 §12.4.2). i is the committer's place; previous its old leaf.
func (c *change) admitPath(i LeafIndex, path *updatePath, previous *LeafNode, reason Reason) error {
	if err := c.verifySuccessor(path.leaf, previous, i, SourceCommit, reason); err != nil {
		return fmt.Errorf("path leaf: %w", err)
	}
	if err := c.keys.addLeaf(i, path.leaf, nowhere); err != nil {
		return err
	}
	for _, n := range path.nodes {
		if err := c.keys.add(c.keys.encryption, n.encryptionKey, nowhere); err != nil {
			return fmt.Errorf("path: %w", err)
		}
	}
	return c.tree.checkNew(c.keys)
}
