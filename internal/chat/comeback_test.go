package chat

import (
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// wayBack is an external commit of a device before it stands in an event. Its
// device's own program checks nobody.
type wayBack struct {
	of     *author
	join   mls.ExternalJoin
	commit *wire.Commit
}

// returns is a good external commit of a device: with its voucher, in its place.
func (s *script) returns(of *author) *wayBack {
	s.t.Helper()
	profile := of.profile(s.t, s.suite, s.chat[:])
	w := &wayBack{of: of, commit: &wire.Commit{Epoch: s.fold.Epoch}, join: mls.ExternalJoin{Profile: profile}}
	w.join.AuthenticatedData = wire.SealVoucher(of.key, s.chat, s.fold.Epoch, profile.Key.Public())
	if at, is := s.leaf(of.id); is {
		w.join.Replace = &at
	}
	return w
}

// returned puts an external commit into an event of any member.
func (s *script) returned(by *author, w *wayBack, void string) {
	s.t.Helper()
	info, err := s.groups[s.a[0].id].GroupInfo(false)
	if err != nil {
		s.t.Fatal(err)
	}
	careless := mls.Policy{
		Credential: func(mls.Admission) error { return nil }, MaxLifetime: -1, PSK: func(mls.PSKID) ([]byte, error) { return []byte("shared"), nil },
	}
	group, message, err := mls.JoinExternal(info, s.fold.group.Tree(), w.join, careless)
	if err != nil {
		s.t.Fatal(err)
	}
	w.commit.Mls = message
	before := s.standing()
	s.does(by, demes.KindCommit, wire.Marshal(w.commit), void)
	if void == "" {
		delete(s.groups, w.of.id)
		s.takes(w.commit, nil, nil)
		s.groups[w.of.id] = s.again(group)
		s.agree()
	} else if after := s.standing(); after != before {
		s.t.Fatalf("an external commit that is void for %q changed the state:\n got %s\nwant %s", void, after, before)
	}
}

// TestExternalCommitsThatAreRefused has a device, or somebody in its name, take a
// place in the group from outside.
func TestExternalCommitsThatAreRefused(t *testing.T) {
	voucher := func(s *script, w *wayBack, by *author, epoch uint64) []byte {
		return wire.SealVoucher(by.key, s.chat, epoch, w.join.Profile.Key.Public())
	}
	scenes := []scene{
		{"without a voucher", func(s *script) {
			w := s.returns(s.a[1])
			w.join.AuthenticatedData = nil
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"with a voucher of garbage", func(s *script) {
			w := s.returns(s.a[1])
			w.join.AuthenticatedData = []byte{0xff}
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"with another member's voucher", func(s *script) {
			w := s.returns(s.a[1])
			w.join.AuthenticatedData = voucher(s, w, s.a[2], s.fold.Epoch)
			s.returned(s.a[2], w, VoidKeys)
		}},
		{"with a stranger's voucher", func(s *script) {
			w := s.returns(s.a[1])
			w.join.AuthenticatedData = voucher(s, w, s.a[3], s.fold.Epoch)
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"with a voucher of the epoch before", func(s *script) {
			w := s.returns(s.a[1])
			w.join.AuthenticatedData = voucher(s, w, s.a[1], s.fold.Epoch-1)
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"with a voucher for other keys", func(s *script) {
			w, other := s.returns(s.a[1]), s.returns(s.a[1])
			w.join.AuthenticatedData = other.join.AuthenticatedData
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"with a voucher of another chat", func(s *script) {
			w := s.returns(s.a[1])
			w.join.AuthenticatedData = wire.SealVoucher(s.a[1].key, demes.ChatID{9}, s.fold.Epoch, w.join.Profile.Key.Public())
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"of a device that is no member", func(s *script) { s.returned(s.a[0], s.returns(s.a[3]), VoidKeys) }},
		{"of a device that is no member in a member's place", func(s *script) {
			w := s.returns(s.a[3])
			place, _ := s.leaf(s.a[1].id)
			w.join.Replace = &place
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"of a device that was removed", func(s *script) {
			s.commits(s.a[0], "", remove(s.a[1]))
			s.returned(s.a[2], s.returns(s.a[1]), VoidKeys)
		}},
		{"of a further device of a member, which nobody added", func(s *script) {
			two := s.a[1].device(50)
			w := s.returns(two)
			place, _ := s.leaf(s.a[1].id)
			w.join.Replace = &place
			s.returned(s.a[1], w, VoidKeys)
		}},
		{"beside the old place, not in it", func(s *script) {
			w := s.returns(s.a[1])
			w.join.Replace = nil
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"in the place of somebody else", func(s *script) {
			w := s.returns(s.a[1])
			place, _ := s.leaf(s.a[2].id)
			w.join.Replace = &place
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"under another account", func(s *script) {
			other := newAuthor(1)
			other.account = keyOf(888)
			s.returned(s.a[0], s.returns(other), VoidKeys)
		}},
		{"with a leaf of another chat", func(s *script) {
			w := s.returns(s.a[1])
			w.join.Profile = s.a[1].profile(s.t, s.suite, make([]byte, 32))
			w.join.AuthenticatedData = voucher(s, w, s.a[1], s.fold.Epoch)
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"that says it changes members", func(s *script) {
			w := s.returns(s.a[1])
			w.commit.Changes = []*wire.Change{remove(s.a[2])}
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"with a pre-shared key", func(s *script) {
			w := s.returns(s.a[1])
			w.join.PSKs = []mls.PSKID{{Type: mls.PSKExternal, ID: []byte("a key")}}
			s.returned(s.a[0], w, VoidKeys)
		}},
		{"for another epoch than its event says", func(s *script) {
			w := s.returns(s.a[1])
			w.commit.Epoch++
			s.returned(s.a[0], w, VoidEpoch)
		}},
		{"of a member that has left", func(s *script) {
			s.does(s.a[1], demes.KindLeave, nil, "")
			s.returned(s.a[0], s.returns(s.a[1]), VoidRight)
		}},
		{"twice within RejoinGap", func(s *script) {
			s.returned(s.a[0], s.returns(s.a[1]), "")
			s.now += RejoinGap - 1
			s.returned(s.a[0], s.returns(s.a[1]), VoidRate)
			s.returned(s.a[0], s.returns(s.a[2]), "") // another device may
			s.now++
			s.returned(s.a[0], s.returns(s.a[1]), "")
		}},
		{"replayed", func(s *script) {
			w := s.returns(s.a[1])
			s.returned(s.a[0], w, "")
			s.now += RejoinGap
			again := &wire.Commit{Epoch: s.fold.Epoch, Mls: w.commit.GetMls()}
			s.does(s.a[2], demes.KindCommit, wire.Marshal(again), VoidKeys)
			s.does(s.a[2], demes.KindCommit, wire.Marshal(w.commit), VoidEpoch)
		}},
	}
	inLiveScript(t, mls.X25519, scenes)
	inLiveScript(t, mls.XWing, scenes[:3])
}

// TestADeviceComesBackWithNewKeys has a device that lost its keys take its place
// again: it stays the member that it was, and goes on.
func TestADeviceComesBackWithNewKeys(t *testing.T) {
	for _, suite := range []mls.Suite{mls.X25519, mls.XWing} {
		s := newScriptIn(t, suite, 3)
		s.joins(s.a[1], s.a[2])
		s.gives(s.a[0], s.a[1], demes.RoleAdmin, "")
		s.starts()
		before := *s.fold.Members[s.a[1].id]
		s.returned(s.a[2], s.returns(s.a[1]), "") // in the event of another
		s.now += RejoinGap
		s.returned(s.a[1], s.returns(s.a[1]), "") // and in its own
		after := *s.fold.Members[s.a[1].id]
		if after.Role != before.Role || after.SinceIndex != before.SinceIndex || after.RejoinedMs != s.now {
			t.Errorf("it is %+v now, was %+v", after, before)
		}
		s.says(s.a[1], "here I am again", "")
		s.commits(s.a[1], "", remove(s.a[2]))
		s.returned(s.a[0], s.returns(s.a[0]), "") // the founder, too
		if s.fold.Founder != s.a[0].id || s.fold.Members[s.a[0].id].Role != demes.RoleFounder {
			t.Error("the founder came back as another")
		}
	}
}

// again is a group read back under the policy of every member.
func (s *script) again(group *mls.Group) *mls.Group {
	s.t.Helper()
	read, err := mls.Load(group.Records(), s.policy())
	if err != nil {
		s.t.Fatal(err)
	}
	return read
}
