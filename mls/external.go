package mls

import (
	"fmt"
	"time"
)

// ExternalJoin says how to join by an external commit.
type ExternalJoin struct {
	Profile Profile
	// Replace, if set, removes an old leaf of the joiner in the same commit: the
	// way back in after the state was lost.
	Replace *LeafIndex
	// PSKs proves knowledge of pre-shared keys; a nil nonce is drawn.
	PSKs []PSKID
	// AuthenticatedData is signed along and visible to everybody.
	AuthenticatedData []byte
}

// JoinExternal makes an external commit (RFC 9420 §12.4.3.2) from a GroupInfo with
// an external_pub. tree is needed only if the GroupInfo comes without one.
//
// The commit must win its epoch like any other. Only then is the group real: if
// another commit won, drop it and try again with a newer GroupInfo.
func JoinExternal(groupInfo, tree []byte, o ExternalJoin, policy Policy) (g *Group, commit []byte, err error) {
	b, err := newExternal(groupInfo, tree, &o, policy)
	if err == nil {
		err = b.enterFromOutside(&o)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("join externally: %w", err)
	}
	return newGroup(b.staged.next, b.staged.encryption, policy), b.staged.Message, nil
}

// newExternal verifies a GroupInfo and starts a commit on its epoch.
func newExternal(message, tree []byte, o *ExternalJoin, policy Policy) (*commitBuilder, error) {
	info, err := ParseGroupInfo(message)
	if err != nil {
		return nil, err
	}
	s, err := o.Profile.check()
	if err != nil {
		return nil, err
	}
	public, err := info.open(s, tree, &policy)
	if err != nil {
		return nil, err
	}
	outside := &epoch{publicEpoch: public, self: nobody, secrets: new(epochSecrets)}
	b := &commitBuilder{group: &Group{policy: policy, epoch: outside}, epoch: outside, from: sender{kind: senderNewMemberCommit},
		options: new(Commit), signer: o.Profile.Key, keys: keyRing{}, staged: &Staged{base: outside, External: true}}
	data, ok := findExtension(info.Extensions, ExtensionExternalPub)
	if !ok {
		return nil, fmt.Errorf("group info without external_pub: %w", ErrUnsupported)
	}
	pub, err := decodeAll(data, (*reader).vector)
	if err != nil {
		return nil, fmt.Errorf("external_pub: %w", err)
	}
	b.kemOutput, outside.secrets.init, err = s.externalInit(pub)
	return b, err
}

// nobody is the place of one who is not a member yet.
const nobody = ^LeafIndex(0)

// proposals lists what an external commit proposes, all by value.
func (o *ExternalJoin) proposals(kemOutput []byte, nonce func() []byte) []Proposal {
	list := []Proposal{{Type: ProposalExternalInit, KEMOutput: kemOutput}}
	if o.Replace != nil {
		list = append(list, Proposal{Type: ProposalRemove, Removed: *o.Replace})
	}
	for _, id := range o.PSKs {
		if id.Nonce == nil {
			id.Nonce = nonce()
		}
		list = append(list, Proposal{Type: ProposalPSK, PSK: id})
	}
	return list
}

// enterFromOutside makes the external commit. It adds nobody by key package, so
// there is no lifetime to judge and the zero time does.
func (b *commitBuilder) enterFromOutside(o *ExternalJoin) (err error) {
	b.content = *b.group.compose(ContentCommit, Envelope{AuthenticatedData: o.AuthenticatedData})
	b.content.content.sender = b.from
	b.content.content.commit = new(commit)
	var list []proposed
	for _, p := range o.proposals(b.kemOutput, b.group.freshNonce) {
		list = append(list, proposed{Proposal: p, from: b.from})
		b.content.content.commit.proposals = append(b.content.content.commit.proposals, proposalOrRef{proposal: &p})
	}
	if b.change, err = b.epoch.apply(list, b.from, &b.group.policy, time.Time{}); err != nil {
		return err
	}
	b.next = b.epoch.newSuccessor(b.change)
	if b.place, err = b.change.tree.freeLeaf(); err != nil {
		return err
	}
	leaf := o.Profile.leaf(SourceCommit, nil)
	if err := b.change.keys.add(b.change.keys.signature, leaf.SignatureKey, b.place.node()); err != nil {
		return err
	}
	if err := b.change.tree.checkNew(b.change.keys); err != nil {
		return err
	}
	if err := b.addPath(leaf, b.change.replaced, ReasonExternal); err != nil {
		return err
	}
	if err := b.sign(time.Time{}); err != nil {
		return err
	}
	return b.conclude(time.Time{})
}
