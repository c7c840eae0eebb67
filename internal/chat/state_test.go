package chat

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// drawn writes a random log: every kind of event by every kind of author, good
// and void alike.
func drawn(t *rapid.T, tb testing.TB) *script {
	s := newScript(tb, 4)
	for i := range rapid.IntRange(0, 40).Draw(t, "entries") {
		by := s.a[rapid.IntRange(0, 4).Draw(t, "by")]
		other := s.a[rapid.IntRange(0, 4).Draw(t, "other")]
		s.now += rapid.Int64Range(-5_000, 60_000).Draw(t, "ms")
		invite := keyOf(5000 + uint64(rapid.IntRange(0, 3).Draw(t, "invite")))
		kind, payload := demes.KindMessage, []byte(nil)
		switch rapid.IntRange(0, 8).Draw(t, "what") {
		case 0:
			kind = demes.KindStart
		case 1:
			kind, payload = demes.KindInvite, invitePayload(invite, uint32(rapid.IntRange(0, 3).Draw(t, "uses")), s.now+rapid.Int64Range(-10, 90_000).Draw(t, "good"))
		case 2, 3:
			key := invite
			if !s.fold.Live {
				key = nil
			}
			s.tries(by, add(s.request(other, key)))
			continue
		case 4:
			s.tries(by, remove(other))
			continue
		case 5:
			kind, payload = demes.KindProfile, wire.Marshal(&wire.Profile{Name: fmt.Sprint("name ", i), Addresses: []string{"/ip4/127.0.0.1"}})
		case 6:
			if rapid.IntRange(0, 5).Draw(t, "leaves") == 0 {
				kind = demes.KindLeave
			}
		case 7:
			s.slot++
			body := hostRecord()
			body.Chat, body.Generation, body.Term = s.fold.Chat[:], s.fold.Head.Generation, s.fold.Term+1
			entry := Sealed{Generation: s.fold.Head.Generation, Term: s.fold.Term + 1, Slot: s.slot, LogMs: s.now, Record: wire.SealRecord(s.a[0].key, body)}
			if out, _ := s.fold.Apply(entry); out == Consumed {
				s.log = append(s.log, entry)
			}
			continue
		}
		e := wire.Seal(by.key, s.draft(by, kind, payload))
		entry := s.sealed(e)
		if out, _ := s.fold.Apply(entry); out == Consumed {
			s.log = append(s.log, entry)
			by.seq, by.prev = e.ID.Seq, e.Hash
		}
	}
	return s
}

// tries has anybody write a commit, which may be void or not count at all.
func (s *script) tries(by *author, changes ...*wire.Change) {
	s.t.Helper()
	p := s.planned(by, changes...)
	if p.group == nil {
		p.commit.Mls = []byte{1}
	}
	e, staged, err := s.seals(p)
	if err != nil {
		s.t.Fatal(err)
	}
	entry := s.sealed(e)
	out, void := s.fold.Apply(entry)
	if out != Consumed {
		return
	}
	s.log = append(s.log, entry)
	by.seq, by.prev = e.ID.Seq, e.Hash
	if void == "" {
		s.follow(p.commit, p.group, staged)
	} else if staged != nil {
		staged.Discard()
	}
}

func TestStateSurvivesItsEncoding(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawn(r, t)
		raw := s.fold.Encode()
		state := &wire.State{}
		if err := wire.Unmarshal(raw, state); err != nil {
			r.Fatal(err)
		}
		again, err := decodeFold(state, s.fold.group.Tree(), false)
		if err != nil {
			r.Fatalf("the state of a good log does not decode: %v", err)
		}
		if got := again.Encode(); !bytes.Equal(got, raw) {
			r.Fatalf("the state encodes to other bytes after it was decoded:\n got %x\nwant %x", got, raw)
		}
		if again.Hash() != s.fold.Hash() || demes.Sum(raw) != s.fold.Hash() {
			r.Fatal("the hash is not that of the canonical bytes")
		}
	})
}

// TestAnyPrefixIsAsGoodAsTheWholeLog folds a log from a state that was written at
// any of its entries (S9).
func TestAnyPrefixIsAsGoodAsTheWholeLog(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawn(r, t)
		cut := rapid.IntRange(0, len(s.log)).Draw(r, "cut")
		f := newFold(s.fold.Chat)
		f.Electors = []demes.DeviceID{s.a[0].id}
		fold := func(entries []Sealed) {
			for i, entry := range entries {
				if out, _ := f.Apply(entry); out != Consumed {
					r.Fatalf("entry %d was consumed once and has outcome %d now", i+1, out)
				}
			}
		}
		fold(s.log[:cut])
		if cut > 0 {
			state := &wire.State{}
			_ = wire.Unmarshal(f.Encode(), state)
			again, err := decodeFold(state, f.group.Tree(), true)
			if err != nil {
				r.Fatalf("the state after %d entries does not decode: %v", cut, err)
			}
			f = again
		}
		fold(s.log[cut:])
		if !bytes.Equal(f.Encode(), s.fold.Encode()) {
			r.Fatalf("folding on from entry %d of %d gives another state", cut, len(s.log))
		}
	})
}

func TestStateBeyondLimitsIsRefused(t *testing.T) {
	s := newScript(t, 1)
	s.joins(s.a[1])
	good := func() *wire.State { return s.fold.state() }
	if _, err := decodeFold(good(), s.fold.group.Tree(), false); err != nil {
		t.Fatalf("a good state: %v", err)
	}
	for _, c := range []struct {
		name   string
		change func(*wire.State)
	}{
		{"members", func(s *wire.State) { s.Members = make([]*wire.MemberState, MaxMembers+1) }},
		{"gone", func(s *wire.State) { s.Gone = make([]*wire.GoneState, MaxGone+1) }},
		{"invites", func(s *wire.State) { s.Invites = make([]*wire.InviteState, MaxInvites+1) }},
		{"electors", func(s *wire.State) { s.Electors = make([][]byte, MaxElectors+1) }},
		{"a succession", func(s *wire.State) { s.Plan = make([]*wire.Rank, MaxMembers+1) }},
		{"a member without a certificate", func(s *wire.State) { s.Members[0].Cert = nil }},
		{"a member with another's certificate", func(s *wire.State) { s.Members[0].Cert = s.Members[1].Cert }},
		{"a name of many lines", func(s *wire.State) { s.Members[0].Name = "a\nb" }},
		{"too many addresses", func(s *wire.State) { s.Members[0].Addresses = make([]string, wire.MaxAddresses+1) }},
	} {
		state := good()
		c.change(state)
		if _, err := decodeFold(state, s.fold.group.Tree(), true); err == nil {
			t.Errorf("a state with %s beyond the limits is accepted", c.name)
		}
	}
}

// TestAStateGoesWithItsTree reads a good state with trees and groups that are not
// its own.
func TestAStateGoesWithItsTree(t *testing.T) {
	for _, suite := range []mls.Suite{mls.X25519, mls.XWing} {
		s := newScriptIn(t, suite, 3)
		s.joins(s.a[1], s.a[2])
		s.starts()
		before, tree := s.fold.state(), s.fold.group.Tree()
		s.now += RefreshGap
		s.commits(s.a[1], "")
		refreshed := s.fold.group.Tree()
		s.commits(s.a[0], "", remove(s.a[2]))
		now, other := s.fold.group.Tree(), newScriptIn(t, suite, 0).fold.group
		for _, c := range []struct {
			name   string
			tree   []byte
			change func(*wire.State)
			good   bool
		}{
			{"of its own", now, func(*wire.State) {}, true},
			{"that is none", nil, func(*wire.State) {}, false},
			{"of garbage", []byte{1, 2, 3}, func(*wire.State) {}, false},
			{"of the first epoch", tree, func(*wire.State) {}, false},
			{"of the same members' epoch before", refreshed, func(*wire.State) {}, false},
			{"with a byte behind", append(slices.Clone(now), 0), func(*wire.State) {}, false},
			{"of another chat", other.Tree(), func(s *wire.State) { s.Group = other.State() }, false},
			{"without its group", now, func(s *wire.State) { s.Group = nil }, false},
			{"with the group of another epoch", tree, func(s *wire.State) { s.Group = before.Group }, false},
			{"in another epoch than it says", now, func(s *wire.State) { s.Epoch++ }, false},
			{"of another suite than it says", now, func(s *wire.State) { s.Suite ^= uint32(mls.X25519) ^ uint32(mls.XWing) }, false},
			{"without one of the members", now, func(s *wire.State) { s.Members = s.Members[1:] }, false},
			{"with a member who is not in it", now, func(s *wire.State) { s.Members = before.Members }, false},
			{"with the same number of others", now, func(s *wire.State) {
				for i, m := range before.Members {
					if string(m.Device) != string(s.Members[0].Device) && string(m.Device) != string(s.Members[1].Device) {
						s.Members = []*wire.MemberState{s.Members[0], before.Members[i]}
					}
				}
			}, false},
		} {
			for _, trusted := range []bool{true, false} {
				state := s.fold.state()
				c.change(state)
				if f, err := decodeFold(state, c.tree, trusted); (err == nil) != c.good {
					t.Errorf("a state with a tree %s (trusted: %v): %v", c.name, trusted, err)
				} else if c.good && f.Hash() != s.fold.Hash() {
					t.Errorf("a state with a tree %s has another hash", c.name)
				}
			}
		}
		if f, err := decodeFold(before, tree, false); err != nil || f.Epoch+2 != s.fold.Epoch {
			t.Errorf("the state before with its own tree: %v", err)
		}
	}
}

// TestAForgedTreeIsFoundOut has a state name a tree whose leaf nobody signed.
// What this device wrote itself it trusts; what it is given it checks.
func TestAForgedTreeIsFoundOut(t *testing.T) {
	s := newScript(t, 1)
	evil := newAuthor(1)
	evil.account = keyOf(666)
	careless := mls.Policy{Credential: func(mls.Admission) error { return nil }, MaxLifetime: -1}
	s.joins(s.a[1])
	group, err := mls.Create(s.fold.group.ID(), packageOf(t, s.a[0].profile(t, s.suite, s.chat[:])), careless)
	if err != nil {
		t.Fatal(err)
	}
	forged := evil.profile(t, s.suite, make([]byte, 32)) // chained for another chat
	staged, err := group.Commit(mls.Commit{Add: []*mls.KeyPackage{packageOf(t, forged).KeyPackage}}, s.time())
	if err != nil || group.Merge(staged) != nil {
		t.Fatal(err)
	}
	info, _ := group.GroupInfo(true)
	seen, err := mls.Observe(info, nil, careless)
	if err != nil {
		t.Fatal(err)
	}
	state := s.fold.state()
	state.Group = seen.State()
	for _, m := range state.Members {
		if wire.Device(m.Device) == evil.id {
			m.Cert = evil.cert()
		}
	}
	if _, err := decodeFold(state, group.Tree(), true); err != nil {
		t.Fatalf("trusted, it is read: %v", err)
	}
	if _, err := decodeFold(state, group.Tree(), false); err == nil {
		t.Error("a tree with a leaf that was made for another chat is believed")
	}
}
