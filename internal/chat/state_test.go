package chat

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
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
