package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// Members and observers judge commits alike, as far as public data tells.

// hidden reports a reason to refuse a commit that nobody sees without secrets, or
// that only its author has.
func hidden(err error) bool {
	for _, secret := range []error{ErrMembership, ErrConfirmation, ErrPathSecret, ErrPSK, ErrOwnMessage} {
		if errors.Is(err, secret) {
			return true
		}
	}
	return false
}

// A commit that anybody changed on its way is refused, except for its tags: they
// are not signed, and to check them takes secrets.
func TestObserverSeesEveryByteButTheTags(t *testing.T) {
	for _, e := range entrances(t) {
		h := must[Header](t)(Inspect(e.message))
		if h.WireFormat != WirePublic || h.ContentType != ContentCommit {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			o, end := e.group.observer(), len(e.message)
			nh := o.epoch.suite.nh
			real := must[*Observed](t)(o.Commit(e.message, testTime)).Next
			confirmation, membership := end-nh, end // where the tags begin
			if e.name != "external commit" {
				confirmation, membership = end-nh-1-nh, end-nh
			}
			for i := range e.message {
				changed := bytes.Clone(e.message)
				changed[i] ^= 1
				confirms := i >= confirmation && i < confirmation+nh
				seen, err := o.Commit(changed, testTime)
				if (err == nil) != (confirms || i >= membership) {
					t.Fatalf("byte %d of %d changed: %v", i, end, err)
				}
				if err == nil && seen.Next.epoch.same(&real.epoch) == confirms {
					t.Fatalf("byte %d of %d changed: an epoch is told by its confirmation tag and not by the membership tag", i, end)
				}
				if e.enter(changed) == nil {
					t.Fatalf("byte %d of %d changed: accepted by a member", i, end)
				}
				if _, err := o.Commit(e.message[:i], testTime); err == nil {
					t.Fatalf("accepted when cut at %d of %d", i, end)
				}
			}
			check(t, e.enter(e.message))
		})
	}
}

// The verdicts of a member and of an observer on commits whose author holds all
// keys of a member and skips every check.
func TestObserverJudgesAsMembersDo(t *testing.T) {
	w := crowd(t, X25519, 4)
	w.psks["known"] = []byte("secret")
	mallory, bob := w.members[0], w.members[1]
	crafted := func(step int, change func(*commitBuilder)) []byte {
		return must[*Staged](t)(mallory.insider(Commit{}, step, change)).Message
	}
	leaf := func(change func(l *LeafNode), place LeafIndex, groupID []byte) []byte {
		return crafted(1, func(b *commitBuilder) {
			l := *b.path.path.leaf
			change(&l)
			check(t, l.sign(b.signer, groupID, place))
			b.path.path.leaf = &l
		})
	}
	none := func(*commitBuilder) {}
	as := func(o Commit) []byte { return must[*Staged](t)(mallory.insider(o, 3, none)).Message }
	posing := mallory.profile()
	posing.Credential = Basic([]byte("m1"))
	banned := w.newMember("banned").keyPackage().KeyPackage
	expired := must[*KeyPackageSecrets](t)(NewKeyPackage(w.newMember("old").profile(), Lifetime{1, uint64(w.now.Unix()) - 1})).KeyPackage
	w.banned = "banned"
	proposal := must[[]byte](t)(w.members[2].group.Propose(Proposal{Type: ProposalRemove, Removed: 3}, Envelope{}))
	for _, m := range []*member{mallory, bob} {
		must[*Received](t)(m.group.Receive(proposal, w.now))
	}
	flip := func(b []byte, fromEnd int) []byte {
		b = bytes.Clone(b)
		b[len(b)-fromEnd] ^= 1
		return b
	}
	signed := func(key *SigningKey) []byte {
		a := mallory.group.compose(ContentCommit, Envelope{})
		a.content.commit = &commit{}
		check(t, a.sign(key, mallory.group.epoch.encoded))
		a.confirmationTag = make([]byte, 32)
		return a.protectPublic(mallory.group.epoch.suite, mallory.group.epoch.secrets.membership, mallory.group.epoch.encoded)
	}
	id, info := mallory.group.ID(), must[[]byte](t)(bob.group.GroupInfo(true))
	stranger := ExternalJoin{Profile: w.newMember("stranger").profile()}
	psk := PSKID{Type: PSKExternal, ID: []byte("unknown"), Nonce: make([]byte, 32)}
	for _, c := range []struct {
		name     string
		message  []byte
		member   error // nil: accepted
		observer error
	}{
		{"nothing wrong", as(Commit{}), nil, nil},
		{"nothing wrong, from outside", externalInsider(t, info, stranger, none), nil, nil},
		{"known psk", as(Commit{PSKs: []PSKID{{Type: PSKResumption, Usage: UsageApplication, GroupID: id, Epoch: mallory.group.Epoch()}}}), nil, nil},

		// Public: both refuse.
		{"another group", crafted(1, func(b *commitBuilder) { b.content.content.groupID = []byte("other") }), ErrWrongGroup, ErrWrongGroup},
		{"epoch before", crafted(1, func(b *commitBuilder) { b.content.content.epoch-- }), ErrWrongEpoch, ErrWrongEpoch},
		{"epoch to come", crafted(1, func(b *commitBuilder) { b.content.content.epoch++ }), ErrWrongEpoch, ErrWrongEpoch},
		{"signature of another member", signed(w.members[2].key), ErrSignature, ErrSignature},
		{"another sender", crafted(1, func(b *commitBuilder) { b.content.content.sender = memberSender(3) }), ErrSignature, ErrSignature},
		{"sender that is no member", crafted(1, func(b *commitBuilder) { b.content.content.sender = memberSender(9) }), ErrLeaf, ErrLeaf},
		{"no path", signed(mallory.key), ErrPath, ErrPath},
		{"path too short", crafted(1, func(b *commitBuilder) { b.path.path.nodes = b.path.path.nodes[:1] }), ErrPath, ErrPath},
		{"path secret missing", crafted(1, func(b *commitBuilder) { b.path.path.nodes[1].secrets = nil }), ErrPath, ErrPath},
		{"path key too short", crafted(1, func(b *commitBuilder) { b.path.path.nodes[0].encryptionKey = []byte{1} }), ErrKey, ErrKey},
		{"path key in use", crafted(1, func(b *commitBuilder) { b.path.path.nodes[0].encryptionKey = bob.group.Leaf(3).EncryptionKey }), ErrDuplicateKey, ErrDuplicateKey},
		{"another path key", crafted(1, func(b *commitBuilder) {
			b.path.path.nodes[0].encryptionKey = bytes.Repeat([]byte{9}, 32)
		}), ErrParentHash, ErrParentHash},
		{"parent hash", leaf(func(l *LeafNode) { l.ParentHash = make([]byte, 32) }, 0, id), ErrParentHash, ErrParentHash},
		{"leaf key kept", leaf(func(l *LeafNode) { l.EncryptionKey = bob.group.Leaf(0).EncryptionKey }, 0, id), ErrDuplicateKey, ErrDuplicateKey},
		{"leaf key too short", leaf(func(l *LeafNode) { l.EncryptionKey = []byte{1} }, 0, id), ErrKey, ErrKey},
		{"leaf of another source", leaf(func(l *LeafNode) { l.Source = SourceUpdate }, 0, id), ErrLeaf, ErrLeaf},
		{"leaf without the version", leaf(func(l *LeafNode) { l.Capabilities.Versions = nil }, 0, id), ErrCapability, ErrCapability},
		{"leaf with an unlisted extension", leaf(func(l *LeafNode) { l.Extensions = []Extension{{Type: 0xF00D}} }, 0, id), ErrCapability, ErrCapability},
		{"leaf for another place", leaf(func(*LeafNode) {}, 3, id), ErrSignature, ErrSignature},
		{"leaf for another group", leaf(func(*LeafNode) {}, 0, []byte("other")), ErrSignature, ErrSignature},
		{"leaf of another identity", as(Commit{Profile: &posing}), ErrCredential, ErrCredential},
		{"add of a banned member", as(Commit{Add: []*KeyPackage{banned}}), ErrCredential, ErrCredential},
		{"add of an expired key package", mallory.forge(nil, Proposal{Type: ProposalAdd, KeyPackage: expired}), ErrLifetime, ErrLifetime},
		{"remove of nobody", mallory.forge(nil, Proposal{Type: ProposalRemove, Removed: 9}), ErrProposal, ErrProposal},
		{"remove of itself", mallory.forge(nil, Proposal{Type: ProposalRemove, Removed: 0}), ErrProposal, ErrProposal},
		{"unknown reference", crafted(1, func(b *commitBuilder) {
			b.content.content.commit.proposals = []proposalOrRef{{ref: []byte("x")}}
		}), ErrProposal, ErrProposal},
		{"external commit without a path", externalInsider(t, info, stranger, func(b *commitBuilder) { b.content.content.commit.path = nil }), ErrPath, ErrPath},
		{"external init cut", externalInsider(t, info, stranger, func(b *commitBuilder) {
			b.content.content.commit.proposals = []proposalOrRef{{proposal: &Proposal{Type: ProposalExternalInit, KEMOutput: make([]byte, 31)}}}
		}), ErrProposal, ErrProposal},
		{"confirmation tag cut", crafted(2, func(b *commitBuilder) { b.content.confirmationTag = b.next.tag[:31] }), ErrConfirmation, ErrConfirmation},

		// Secret: only members refuse.
		{"membership tag", flip(as(Commit{}), 1), ErrMembership, nil},
		{"confirmation tag", crafted(2, func(b *commitBuilder) { b.content.confirmationTag = make([]byte, 32) }), ErrConfirmation, nil},
		{"confirmation tag, from outside", flip(externalInsider(t, info, stranger, none), 1), ErrConfirmation, nil},
		{"path secret", crafted(1, func(b *commitBuilder) { b.path.path.nodes[0].secrets[0].ciphertext = make([]byte, 48) }), ErrPathSecret, nil},
		{"external init for another key", externalInsider(t, info, stranger, func(b *commitBuilder) {
			b.content.content.commit.proposals = []proposalOrRef{{proposal: &Proposal{Type: ProposalExternalInit, KEMOutput: bytes.Repeat([]byte{9}, 32)}}}
		}), ErrConfirmation, nil},
		{"unknown psk", mallory.forge(nil, Proposal{Type: ProposalPSK, PSK: psk}), ErrPSK, nil},

		// What observers do not take.
		{"reference", as(Commit{References: mallory.group.Pending()}), nil, ErrProposal},
		{"reinit", as(Commit{ReInit: &ReInit{GroupID: []byte("next"), Version: MLS10, Suite: X25519}}), nil, ErrUnsupported},
		{"private commit", as(Commit{Envelope: Envelope{Private: true}}), nil, ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := bob.state()
			_, err := bob.group.Receive(c.message, w.now)
			refused(t, err, c.member)
			o := w.observe()
			seen, err := o.Commit(c.message, w.now)
			refused(t, err, c.observer)
			if c.observer == nil {
				check(t, seen.Next.epoch.tree.validate(id, nil, &o.policy))
			}
			if bob.state() != before || !o.Matches(bob.group) {
				t.Fatal("judging changed a state")
			}
		})
	}
	for _, message := range [][]byte{nil, {1}, proposal, info, banned.Bytes()} {
		if _, err := w.observe().Commit(message, w.now); err == nil {
			t.Fatalf("%x is a commit", message)
		}
	}
}

// asked lists what a policy was asked about.
type asked struct {
	reason   Reason
	index    LeafIndex
	leaf     string
	previous string
	group    string
}

func TestObserverAsksThePolicyAsMembersDo(t *testing.T) {
	w := crowd(t, X25519, 4)
	record := func(to *[]asked) Policy {
		return Policy{Credential: func(a Admission) error {
			q := asked{a.Reason, a.Index, string(a.Leaf.encoded), "", string(a.GroupID)}
			if a.Previous != nil {
				q.previous = string(a.Previous.encoded)
			}
			*to = append(*to, q)
			return nil
		}}
	}
	by, reader := w.members[2], w.members[1]
	var adds []*KeyPackage
	for i := range 3 {
		adds = append(adds, w.newMember(fmt.Sprint("n", i)).keyPackage().KeyPackage)
	}
	renamed := by.profile()
	renamed.Key = must[*SigningKey](t)(X25519.NewSigningKey())
	back := LeafIndex(3)
	info := must[[]byte](t)(by.group.GroupInfo(true))
	_, external, err := JoinExternal(info, nil, ExternalJoin{Profile: w.newMember("x").profile()}, anything)
	check(t, err)
	_, again, err := JoinExternal(info, nil, ExternalJoin{Profile: w.newMember("m3").profile(), Replace: &back}, anything)
	check(t, err)
	old := string(by.group.Leaf(by.group.Self()).encoded)
	for name, c := range map[string]struct {
		message  []byte
		previous []string
		reasons  []Reason
	}{
		"refresh":  {must[*Staged](t)(by.group.Commit(Commit{Profile: &renamed}, w.now)).Message, []string{old}, []Reason{ReasonCommit}},
		"add":      {must[*Staged](t)(by.group.Commit(Commit{Add: adds}, w.now)).Message, []string{"", "", "", old}, []Reason{ReasonAdd, ReasonAdd, ReasonAdd, ReasonCommit}},
		"no path":  {must[*Staged](t)(by.group.Commit(Commit{Add: adds[:1], SkipPath: true}, w.now)).Message, []string{""}, []Reason{ReasonAdd}},
		"external": {external, []string{""}, []Reason{ReasonExternal}},
		"return":   {again, []string{string(by.group.Leaf(3).encoded)}, []Reason{ReasonExternal}},
	} {
		t.Run(name, func(t *testing.T) {
			var member, observer []asked
			reader.group.policy = record(&member)
			must[*Received](t)(reader.group.Receive(c.message, w.now))
			o := &Observer{policy: record(&observer), epoch: reader.group.epoch.publicEpoch}
			seen := must[*Observed](t)(o.Commit(c.message, w.now))
			if !slices.Equal(member, observer) || len(observer) != len(c.reasons) {
				t.Fatalf("member asked %d times, observer %d times, or of other leaves", len(member), len(observer))
			}
			for i, q := range observer {
				if q.reason != c.reasons[i] || q.previous != c.previous[i] || q.group != string(reader.group.ID()) ||
					q.leaf != string(seen.Next.Leaf(q.index).encoded) {
					t.Errorf("question %d is of reason %d for leaf %d", i, q.reason, q.index)
				}
			}
		})
	}
	var joined []asked
	must[*Observer](t)(Observe(info, nil, record(&joined)))
	if len(joined) != 4 || joined[0].reason != ReasonTree {
		t.Fatalf("asked %d times about a tree of 4", len(joined))
	}
}

func TestObserverJudgesLifetimesByTheTimeGiven(t *testing.T) {
	w := crowd(t, X25519, 2)
	k := w.newMember("new").keyPackage().KeyPackage
	message := must[*Staged](t)(w.members[0].group.Commit(Commit{Add: []*KeyPackage{k}}, w.now)).Message
	o := w.observe()
	for at, want := range map[time.Time]error{w.now: nil, w.now.AddDate(1, 0, 0): ErrLifetime, w.now.AddDate(-1, 0, 0): ErrLifetime} {
		_, err := o.Commit(message, at)
		refused(t, err, want)
		_, err = w.members[1].group.Receive(message, at)
		refused(t, err, want)
	}
}

// A leaf stays for long; the message that it came in does not.
func TestLeavesDoNotKeepTheirMessage(t *testing.T) {
	w := crowd(t, X25519, 2)
	k := w.newMember("new").keyPackage().KeyPackage
	staged := must[*Staged](t)(w.members[0].group.Commit(Commit{Add: []*KeyPackage{k}}, w.now))
	seen := must[*Observed](t)(w.observe().Commit(staged.Message, w.now))
	if &seen.Next.Leaf(2).encoded[0] == &seen.Proposals[0].KeyPackage.Leaf.encoded[0] {
		t.Fatal("the leaf in the tree is a part of the message")
	}
}
