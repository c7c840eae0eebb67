package mls

import (
	"fmt"
	"slices"
	"time"
)

// Commit says what a new commit is to do. The zero value renews this member's
// keys and nothing else, which is the way to heal after a compromise.
type Commit struct {
	Add    []*KeyPackage
	Remove []LeafIndex
	// PSKs mixes pre-shared keys in; a nil nonce is drawn.
	PSKs []PSKID
	// Extensions, if not nil, replaces the group's whole extension list.
	Extensions []Extension
	// ReInit closes the group; it stands alone.
	ReInit *ReInit
	// References names proposals that were received, to be committed before those
	// above (see Pending).
	References [][]byte
	// Profile, if set, gives this member's leaf another key, credential or
	// extensions. Otherwise they stay.
	Profile *Profile
	// SkipPath leaves out the update path where RFC 9420 §12.4 allows it. The
	// commit is cheaper and heals nothing.
	SkipPath bool
	// OmitTree leaves the ratchet tree out of the Welcome; joiners need it from
	// Group.Tree then.
	OmitTree bool

	Envelope
}

// Commit stages a commit of this member (RFC 9420 §12.4.1). at judges the
// lifetimes of added key packages. The group stays in its epoch until the commit
// was accepted and merged; an encrypted commit spends one handshake key all the
// same, because no other content may ever be encrypted with it.
func (g *Group) Commit(o Commit, at time.Time) (*Staged, error) {
	if err := g.usable(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	b := &commitBuilder{group: g, options: &o, epoch: g.epoch, from: memberSender(g.epoch.self), place: g.epoch.self,
		signer: g.epoch.signer, staged: &Staged{base: g.epoch, number: g.epoch.context.Epoch + 1, Committer: g.epoch.self,
			AuthenticatedData: slices.Clone(o.AuthenticatedData)}}
	for _, build := range []func(time.Time) error{b.propose, b.makePath, b.sign, b.conclude} {
		if err := build(at); err != nil {
			return nil, fmt.Errorf("commit: %w", err)
		}
	}
	return b.staged, nil
}

// commitBuilder makes a commit in the steps of RFC 9420 §12.4.1.
type commitBuilder struct {
	group   *Group
	options *Commit
	epoch   *epoch
	from    sender
	place   LeafIndex
	signer  *SigningKey // of the leaf after the commit

	content   authenticated
	change    *change
	next      *successor
	path      *ownPath // nil without a path
	kemOutput []byte   // of an external commit
	keys      keyRing
	staged    *Staged
}

// propose collects the proposals and applies them.
func (b *commitBuilder) propose(at time.Time) (err error) {
	var refs []proposalOrRef
	for _, ref := range b.options.References {
		refs = append(refs, proposalOrRef{ref: ref})
	}
	for _, p := range b.options.byValue(b.group) {
		refs = append(refs, proposalOrRef{proposal: &p})
	}
	b.content = *b.group.compose(ContentCommit, b.options.Envelope)
	b.content.content.commit = &commit{proposals: refs}
	list, err := b.content.content.commit.resolve(b.group.proposals, b.from)
	if err != nil {
		return err
	}
	if b.change, err = b.epoch.apply(list, b.from, &b.group.policy, at); err != nil {
		return err
	}
	b.next = b.epoch.newSuccessor(b.change)
	b.keys = b.epoch.keys.carry(b.epoch.tree, b.change.tree)
	return nil
}

// byValue lists the proposals of the options in their order.
func (o *Commit) byValue(g *Group) (list []Proposal) {
	if o.Extensions != nil {
		list = append(list, Proposal{Type: ProposalExtensions, Extensions: o.Extensions})
	}
	for _, i := range o.Remove {
		list = append(list, Proposal{Type: ProposalRemove, Removed: i})
	}
	for _, k := range o.Add {
		list = append(list, Proposal{Type: ProposalAdd, KeyPackage: k})
	}
	for _, id := range o.PSKs {
		if id.Nonce == nil {
			id.Nonce = g.freshNonce()
		}
		list = append(list, Proposal{Type: ProposalPSK, PSK: id})
	}
	if o.ReInit != nil {
		list = append(list, Proposal{Type: ProposalReInit, ReInit: o.ReInit})
	}
	return list
}

// makePath renews the committer's leaf and path.
func (b *commitBuilder) makePath(time.Time) error {
	previous := b.change.tree.leaf(b.place)
	leaf := previous.renewed()
	if p := b.options.Profile; p != nil {
		if _, err := p.check(); err != nil {
			return err
		}
		leaf, b.signer = p.leaf(SourceCommit, nil), p.Key
		if err := b.change.keys.add(b.change.keys.signature, leaf.SignatureKey, b.place.node()); err != nil {
			return err
		}
	}
	if err := b.change.tree.checkNew(b.change.keys); err != nil {
		return err
	}
	if b.options.SkipPath && b.options.Profile == nil && !b.change.needsPath {
		return nil
	}
	return b.addPath(leaf, previous, ReasonCommit)
}

// addPath puts leaf and a fresh path into the new tree and seals its secrets.
func (b *commitBuilder) addPath(leaf, previous *LeafNode, reason Reason) (err error) {
	c := b.change
	if b.path, err = c.tree.createPath(b.place, leaf, b.signer, c.groupID); err != nil {
		return err
	}
	if err := c.checkSuccessor(leaf, previous, b.place, reason); err != nil {
		return err
	}
	if err := c.tree.checkCredentialTypes(); err != nil {
		return err
	}
	if err := c.tree.encryptPath(b.path, b.next.provisional(c.tree), c.added, c.policy); err != nil {
		return err
	}
	b.content.content.commit.path = &b.path.path
	b.next.commitSecret = b.path.commitSecret
	for x, key := range b.path.keys {
		b.keys[x] = key
	}
	return nil
}

// sign signs the commit with the committer's old key and derives the next epoch.
func (b *commitBuilder) sign(time.Time) (err error) {
	if b.next.pskSecret, err = b.epoch.resolvePSKs(b.change.psks, b.change.policy); err != nil {
		return err
	}
	key := b.epoch.signer
	if b.from.kind == senderNewMemberCommit {
		key = b.signer
	}
	if err := b.content.sign(key, b.epoch.encoded); err != nil {
		return err
	}
	if err := b.next.derive(&b.content, b.change.tree); err != nil {
		return err
	}
	b.content.confirmationTag = b.next.tag
	return nil
}

// conclude fills the Staged. Wrapping the message comes last because it may spend
// a key.
func (b *commitBuilder) conclude(time.Time) (err error) {
	s, c := b.staged, b.change
	s.Leaf, s.Proposals = c.tree.leaf(b.place), c.committed()
	s.Added, s.Removed, s.ReInit = c.added, c.removed, c.reInit
	s.next = b.next.epoch(c.tree, b.place, b.signer, b.keys, c.reInit)
	s.encryption = b.next.encryption
	if len(c.added) > 0 {
		if s.Welcome, err = b.welcome(); err != nil {
			return err
		}
		if s.Welcome, err = bounded(s.Welcome); err != nil {
			return fmt.Errorf("welcome: %w", err)
		}
	}
	s.Message, err = b.group.protect(&b.content, b.options.Envelope)
	return err
}
