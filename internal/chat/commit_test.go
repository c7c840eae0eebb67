package chat

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// inLiveScript plays scenes in a live chat of three that everybody may be invited
// to; two more authors wait outside. Afterwards the members still agree, and one
// more good commit holds: what was void broke nothing.
func inLiveScript(t *testing.T, suite mls.Suite, scenes []scene) {
	for _, c := range scenes {
		t.Run(c.name, func(t *testing.T) {
			s := newScriptIn(t, suite, 4)
			s.joins(s.a[1], s.a[2])
			s.starts()
			c.do(s)
			s.agree()
			s.now += RefreshGap
			s.commits(s.a[0], "")
		})
	}
}

// TestCommitsThatDoAnotherThingThanTheySay has commits whose MLS part differs from
// their changes, their author or their event: each is void, and changes nothing.
func TestCommitsThatDoAnotherThingThanTheySay(t *testing.T) {
	scenes := []scene{
		{"another author's MLS commit", func(s *script) {
			p := s.planned(s.a[1], add(s.joiner(3)))
			p.group = s.groups[s.a[0].id]
			p.order.Profile = nil
			s.plays(p, VoidKeys)
		}},
		{"an MLS commit lifted from an event of another", func(s *script) {
			change := add(s.joiner(3))
			original, staged, err := s.seals(s.planned(s.a[0], change)) // never put into the log
			if err != nil {
				s.t.Fatal(err)
			}
			staged.Discard()
			s.apply(s.write(s.a[1], s.draft(s.a[1], demes.KindCommit, original.Payload)), Consumed, VoidKeys)
		}},
		{"an MLS commit lifted from another event of its author", func(s *script) {
			original, staged, err := s.seals(s.planned(s.a[0], add(s.joiner(3))))
			if err != nil {
				s.t.Fatal(err)
			}
			staged.Discard()
			d := s.draft(s.a[0], demes.KindCommit, original.Payload)
			d.SentAt++
			s.apply(s.write(s.a[0], d), Consumed, VoidKeys)
		}},
		{"authenticated data of nothing", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)))
			p.data = []byte{}
			s.plays(p, VoidKeys)
		}},
		{"authenticated data of another hash", func(s *script) {
			p := s.planned(s.a[0])
			p.data = make([]byte, 32)
			s.plays(p, VoidKeys)
		}},
		{"an add without a proposal", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)))
			p.order.Add = nil
			s.plays(p, VoidKeys)
		}},
		{"an add proposal without a change", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)), add(s.joiner(4)))
			p.commit.Changes = p.commit.GetChanges()[:1]
			s.plays(p, VoidKeys)
		}},
		{"an add proposal and no change at all", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)))
			p.commit.Changes = nil
			s.plays(p, VoidKeys)
		}},
		{"adds in another order", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)), add(s.joiner(4)))
			p.order.Add[0], p.order.Add[1] = p.order.Add[1], p.order.Add[0]
			s.plays(p, VoidKeys)
		}},
		{"one proposal for two adds", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)), add(s.joiner(4)))
			p.order.Add = p.order.Add[:1]
			s.plays(p, VoidKeys)
		}},
		{"another key package than the request names", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)))
			p.order.Add[0] = s.named(s.joiner(3)).KeyPackage
			s.plays(p, VoidKeys)
		}},
		{"a request that names no key package", func(s *script) {
			request := s.requestWith(s.a[3], s.open(), func(b *wire.JoinBody) { b.KeyPackageHash = nil })
			p := s.planned(s.a[0], add(request))
			p.order.Add = []*mls.KeyPackage{s.named(s.joiner(3)).KeyPackage}
			s.plays(p, VoidKeys)
		}},
		{"a request that names another device's key package", func(s *script) {
			request := s.requestWith(s.a[3], s.open(), func(b *wire.JoinBody) {
				b.KeyPackageHash = s.pack(s.a[4].profile(s.t, s.suite, s.chat[:]))
			})
			s.commits(s.a[0], VoidKeys, add(request))
		}},
		{"a leaf that names another account than the request", func(s *script) {
			two := newAuthor(3)
			two.account = keyOf(888)
			request := s.requestWith(s.a[3], s.open(), func(b *wire.JoinBody) { b.KeyPackageHash = s.pack(two.profile(s.t, s.suite, s.chat[:])) })
			s.commits(s.a[0], VoidKeys, add(request))
		}},
		{"a leaf of another chat", func(s *script) {
			request := s.requestWith(s.a[3], s.open(), func(b *wire.JoinBody) { b.KeyPackageHash = s.pack(s.a[3].profile(s.t, s.suite, make([]byte, 32))) })
			p := s.planned(s.a[0], add(request))
			p.group = s.careless(s.a[0])
			s.plays(p, VoidKeys)
		}},
		{"the removal of another leaf", func(s *script) {
			p := s.planned(s.a[0], remove(s.a[1]))
			p.order.Remove = nil
			s.removes(p, s.a[2].id)
			s.plays(p, VoidKeys)
		}},
		{"a removal without a proposal", func(s *script) {
			p := s.planned(s.a[0], remove(s.a[1]))
			p.order.Remove = nil
			s.plays(p, VoidKeys)
		}},
		{"a removal twice", func(s *script) {
			p := s.planned(s.a[0], remove(s.a[1]))
			p.commit.Changes = append(p.commit.Changes, remove(s.a[1]))
			s.plays(p, VoidMalformed)
		}},
		{"a remove proposal without a change", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)))
			s.removes(p, s.a[1].id)
			s.plays(p, VoidKeys)
		}},
		{"a remove proposal by who may not, hidden in a refresh", func(s *script) {
			p := s.planned(s.a[1])
			s.removes(p, s.a[2].id)
			s.plays(p, VoidKeys)
		}},
		{"a pre-shared key in a refresh", func(s *script) {
			p := s.planned(s.a[0])
			p.order.PSKs = []mls.PSKID{s.resumption()}
			s.plays(p, VoidKeys)
		}},
		{"a pre-shared key beside an add", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)))
			p.order.PSKs = []mls.PSKID{s.resumption()}
			s.plays(p, VoidKeys)
		}},
		{"extensions in a refresh", func(s *script) {
			p := s.planned(s.a[0])
			p.order.Extensions = []mls.Extension{mls.RequiredCapabilities{}.Extension()}
			s.plays(p, VoidKeys)
		}},
		{"extensions beside a removal", func(s *script) {
			p := s.planned(s.a[0], remove(s.a[1]))
			p.order.Extensions = []mls.Extension{mls.ExternalSendersExtension()}
			s.plays(p, VoidKeys)
		}},
		{"the end of the group", func(s *script) {
			p := s.planned(s.a[0])
			p.order.Profile = nil
			p.order.ReInit = &mls.ReInit{GroupID: []byte("another group"), Version: mls.MLS10, Suite: s.suite}
			s.plays(p, VoidKeys)
		}},
		{"a proposal by reference", func(s *script) {
			group := s.careless(s.a[1])
			message, err := s.groups[s.a[2].id].Propose(mls.Proposal{Type: mls.ProposalRemove, Removed: s.groups[s.a[0].id].Self()}, mls.Envelope{})
			if err != nil {
				s.t.Fatal(err)
			}
			r, err := group.Receive(message, s.time())
			if err != nil {
				s.t.Fatal(err)
			}
			s.groups[s.a[2].id] = s.restored(s.a[2]) // forgets the proposal, which would keep it from following
			p := s.planned(s.a[1])
			p.group, p.order.References = group, [][]byte{r.Ref}
			s.plays(p, VoidKeys)
		}},
		{"no path", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)))
			p.order.SkipPath, p.order.Profile = true, nil
			s.plays(p, VoidKeys)
		}},
		{"an encrypted MLS commit", func(s *script) {
			p := s.planned(s.a[0])
			p.group = s.careless(s.a[0])
			p.order.Private = true
			s.plays(p, VoidKeys)
		}},
		{"an application message for an MLS commit", func(s *script) {
			message, err := s.groups[s.a[0].id].Send([]byte("x"), mls.Envelope{})
			if err != nil {
				s.t.Fatal(err)
			}
			s.does(s.a[0], demes.KindCommit, wire.Marshal(&wire.Commit{Epoch: s.fold.Epoch, Mls: message}), VoidKeys)
		}},
		{"a leaf of another's in the author's path", func(s *script) {
			p := s.planned(s.a[0])
			profile := s.a[1].profile(s.t, s.suite, s.chat[:])
			p.group, p.order.Profile = s.careless(s.a[0]), &profile
			s.plays(p, VoidKeys)
		}},
		{"a leaf of a stranger in the author's path", func(s *script) {
			p := s.planned(s.a[0])
			profile := s.a[3].profile(s.t, s.suite, s.chat[:])
			p.group, p.order.Profile = s.careless(s.a[0]), &profile
			s.plays(p, VoidKeys)
		}},
		{"the author's device under another account in its path", func(s *script) {
			other := newAuthor(0)
			other.account = keyOf(888)
			profile := other.profile(s.t, s.suite, s.chat[:])
			p := s.planned(s.a[0])
			p.order.Profile = &profile
			s.plays(p, VoidKeys)
		}},
		{"a change of no kind beside a good one", func(s *script) {
			p := s.planned(s.a[0], add(s.joiner(3)))
			p.commit.Changes = append(p.commit.Changes, &wire.Change{})
			s.plays(p, VoidKind)
		}},
		{"the MLS epoch before", func(s *script) {
			old := s.careless(s.a[0])
			s.commits(s.a[1], "")
			p := s.planned(s.a[0], remove(s.a[1]))
			p.group = old
			s.plays(p, VoidKeys) // it says that it is of this epoch
			p = s.planned(s.a[0], remove(s.a[1]))
			p.group, p.commit.Epoch = old, s.fold.Epoch-1
			s.plays(p, VoidEpoch)
		}},
	}
	inLiveScript(t, mls.X25519, scenes)
	inLiveScript(t, mls.XWing, scenes[:7])
}

// TestEveryByteOfACommitCounts alters a good MLS commit at each byte that a
// signature covers.
func TestEveryByteOfACommitCounts(t *testing.T) {
	s := newScript(t, 1)
	s.joins(s.a[1])
	p := s.planned(s.a[0])
	e, staged, err := s.seals(p)
	if err != nil {
		t.Fatal(err)
	}
	staged.Discard()
	good := p.commit.GetMls()
	const tags = 33 + 33 // the confirmation and the membership tag, behind what is signed
	accepted := 0
	for i := range len(good) - tags {
		p.commit.Mls = append([]byte(nil), good...)
		p.commit.Mls[i] ^= 0x10
		trial := s.trial()
		entry := s.sealed(&demes.Event{
			ID: e.ID, Chat: e.Chat, Kind: e.Kind, Prev: e.Prev, Lamport: e.Lamport, Hash: e.Hash, Body: e.Body, Payload: wire.Marshal(p.commit),
		})
		if _, void := trial.Apply(entry); void != VoidKeys {
			accepted++
			t.Errorf("with byte %d of %d altered it is void for %q, want %q", i, len(good), void, VoidKeys)
		}
	}
	p.commit.Mls = good
	if out, void := s.trial().Apply(s.sealed(e)); out != Consumed || void != "" {
		t.Errorf("the commit as it was signed: outcome %d, void %q", out, void)
	}
}

// trial is a fold of its own at the same state.
func (s *script) trial() *Fold {
	s.t.Helper()
	state := &wire.State{}
	if err := wire.Unmarshal(s.fold.Encode(), state); err != nil {
		s.t.Fatal(err)
	}
	f, err := decodeFold(state, s.fold.group.Tree(), true)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// open is an invite that is good for everybody, made when it is first needed.
func (s *script) open() ed25519.PrivateKey {
	s.t.Helper()
	key := keyOf(5900)
	public, _ := wire.Bytes32(key.Public().(ed25519.PublicKey))
	if s.fold.Invites[public] == nil {
		s.invites(s.a[0], 900, MaxInviteUses, 100*hour)
	}
	return key
}

// joiner is a good request of an author outside, with a key package of its own.
func (s *script) joiner(n int) *wire.JoinRequest {
	s.t.Helper()
	return s.request(s.a[n], s.open())
}

// resumption names a pre-shared key that every member has.
func (s *script) resumption() mls.PSKID {
	return mls.PSKID{Type: mls.PSKResumption, Usage: mls.UsageApplication, GroupID: s.fold.group.ID(), Epoch: s.fold.Epoch}
}

// careless is a copy of a member's group that checks nobody's credential: a
// program that means no good.
func (s *script) careless(of *author) *mls.Group {
	return s.loaded(of, mls.Policy{Credential: func(mls.Admission) error { return nil }, MaxLifetime: -1})
}

// restored is a copy of a member's group as its disk has it, without what was
// proposed to it.
func (s *script) restored(of *author) *mls.Group { return s.loaded(of, s.policy()) }

func (s *script) loaded(of *author, policy mls.Policy) *mls.Group {
	s.t.Helper()
	group, err := mls.Load(s.groups[of.id].Records(), policy)
	if err != nil {
		s.t.Fatal(err)
	}
	return group
}

func TestNewKeysNowAndThen(t *testing.T) {
	inLiveScript(t, mls.X25519, []scene{
		{"at first", func(s *script) { s.commits(s.a[1], "") }},
		{"one after the other", func(s *script) {
			s.commits(s.a[1], "")
			s.now += RefreshGap - 1
			s.commits(s.a[2], VoidRate)
			s.now++
			s.commits(s.a[2], "")
			s.commits(s.a[1], VoidRate)
		}},
		{"changes of members are free", func(s *script) {
			s.commits(s.a[1], "")
			s.commits(s.a[0], "", add(s.joiner(3)))
			s.commits(s.a[0], "", remove(s.a[3]))
			s.commits(s.a[2], VoidRate)
		}},
		{"by log time, which does not go back", func(s *script) {
			s.commits(s.a[1], "")
			s.now -= 5 * RefreshGap
			s.commits(s.a[2], VoidRate)
			s.now += 5 * RefreshGap
		}},
	})
}

// TestAnyMemberCommits has every member in turn do each thing, with both suites:
// the groups of all stay in step with the log.
func TestAnyMemberCommits(t *testing.T) {
	for _, suite := range []mls.Suite{mls.X25519, mls.XWing} {
		t.Run(fmt.Sprintf("suite %04x", uint16(suite)), func(t *testing.T) {
			s := newScriptIn(t, suite, 4)
			s.joins(s.a[1], s.a[2])
			s.starts()
			for i, by := range s.a[:3] {
				s.commits(by, "", add(s.joiner(3)), add(s.joiner(4)))
				s.does(s.a[3], demes.KindLeave, nil, "")
				s.commits(by, "", remove(s.a[3]))
				s.does(s.a[4], demes.KindLeave, nil, "")
				s.commits(s.a[(i+1)%3], "", remove(s.a[4]))
				s.now += RefreshGap
				s.commits(by, "")
			}
			if s.fold.Epoch != 2+3*4 {
				t.Errorf("epoch %d, want %d", s.fold.Epoch, 2+3*4)
			}
		})
	}
}
