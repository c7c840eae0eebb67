package chat

import (
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// TestNothingLeavesBeforeItIsDurable takes an output whose batch cannot be made
// durable. By the contract its frames are dropped with it: the chat is opened
// again from what the disk has, and nobody was told anything that is lost (D1).
func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	r := newRoom(t, 3)
	g := r.backup()
	if _, err := g.chat.SendText(r.clock(), "acknowledged", nil, ""); err != nil {
		t.Fatal(err)
	}
	r.pump()
	if _, err := g.chat.SendText(r.clock(), "never durable", nil, ""); err != nil {
		t.Fatal(err)
	}
	out, more := g.chat.Output()
	if !more || out.Batch == nil || len(out.Frames) == 0 {
		t.Fatalf("a message asks for a batch and frames, got %+v", out)
	}
	c, err := Open(g.config(), r.clock(), g.disk.saved(g.chat.id)) // the batch is lost
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range r.guests {
		if other != g {
			other.chat.Disconnected(r.clock(), g.id)
		}
	}
	g.chat = c
	r.connect(g)
	r.goesOn()
	texts := map[string]int{}
	for _, s := range r.host().disk.settled {
		if s.Position != 0 {
			said, err := wire.OpenContent(s.Event, r.host().disk.plain(s.Event.ID))
			if err != nil {
				t.Errorf("the host cannot read %s: %v", s.Event.ID, err)
			}
			texts[said.GetText()]++
		}
	}
	if texts["acknowledged"] != 1 || texts["never durable"] != 0 {
		t.Errorf("settled are %v, want what was acknowledged once, and not what was lost", texts)
	}
}

// TestAChatThatIsNotAdvancedVouchesForNothing never advances a chat: it does not
// say that it holds, has voted for or has settled what may not be durable.
func TestAChatThatIsNotAdvancedVouchesForNothing(t *testing.T) {
	r := newRoom(t, 3)
	g, host := r.backup(), r.host()
	if _, err := host.chat.SendText(r.clock(), "to be settled", nil, ""); err != nil {
		t.Fatal(err)
	}
	durable := g.chat.log.durable
	first := true
	for range 40 { // the others go on; this one's disk hangs in its first output
		for _, other := range r.guests {
			if other != g {
				other.turn()
			}
		}
		if !first {
			continue
		}
		if out, more := g.chat.Output(); more && out.Batch != nil {
			first = false
		}
	}
	if first {
		t.Fatal("the chat asked for no batch")
	}
	if g.chat.log.durable != durable {
		t.Errorf("the log is durable up to %d, want %d", g.chat.log.durable, durable)
	}
	if err := host.tells(g, &wire.Frame{Kind: &wire.Frame_Fetch{Fetch: &wire.Fetch{From: durable}}}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		out, _ := g.chat.Output()
		for _, f := range out.Frames {
			if raft := f.Frame.GetRaft(); raft != nil {
				t.Errorf("a Raft message leaves while the one before is not durable")
			}
			for _, entry := range f.Frame.GetSettled().GetEntries() {
				if entry.GetEvent() != nil && f.Frame.GetSettled().GetFrom() > durable {
					t.Errorf("an entry is handed on that is not durable")
				}
			}
		}
	}
}

func TestARestartReplaysWhatTheStateLacks(t *testing.T) {
	r := newRoom(t, 3)
	for range FoldEvery / 3 {
		r.goesOn()
	}
	again := r.reopened(t)
	for _, g := range again.guests {
		if g.chat.fold.Position != r.host().chat.fold.Position {
			t.Errorf("%s is at position %d after a restart, was %d", g.name, g.chat.fold.Position, r.host().chat.fold.Position)
		}
	}
	again.goesOn()
}

func TestADamagedLogIsNotFolded(t *testing.T) {
	r := newRoom(t, 2)
	r.goesOn()
	g := r.guests[0]
	for _, c := range []struct {
		name   string
		damage func(s []SettledEntry)
	}{
		{"another hash", func(s []SettledEntry) { s[len(s)-1].Hash[0] ^= 1 }},
		{"another stamp", func(s []SettledEntry) { s[len(s)-1].LogMs += 1_000_000 }},
		{"a record that does not decode", func(s []SettledEntry) { s[len(s)-1].Event, s[len(s)-1].Record = nil, []byte{0xff} }},
		{"another generation", func(s []SettledEntry) { s[len(s)-1].Generation++ }},
	} {
		disk := g.disk.clone()
		c.damage(disk.settled)
		cfg := g.config()
		cfg.Log = disk
		if _, err := Open(cfg, r.clock(), disk.saved(g.chat.id)); err == nil {
			t.Errorf("a log with %s is opened", c.name)
		}
	}
	for name := range g.disk.values {
		disk := g.disk.clone()
		disk.values[name] = []byte{0xff, 0xff, 0xff}
		cfg := g.config()
		cfg.Log = disk
		_, _ = Open(cfg, r.clock(), disk.saved(g.chat.id)) // an error or a chat, never the end of the program
	}
}

// TestALongWayIsProvenBeforeItIsTaken fetches more than may be kept unproven: it
// is walked once for its heads, and then taken part by part.
func TestALongWayIsProvenBeforeItIsTaken(t *testing.T) {
	from, to, entries, end := longLog(t, MaxWayBytes/demes.MaxText+200)
	c := to
	c.gens.ahead = []*wire.Certificate{{Value: wire.Marshal(&wire.Value{Parent: c.fold.Head.Generation, Base: wire.PutHead(end)})}}
	c.peer(from).connected = true
	serve := func(lie bool) (taken int, most int) {
		for range 2_000 {
			at := c.wanted(from)
			if at > end.Index {
				return taken, most
			}
			part := entries[at-1 : min(int(at)+15, len(entries))]
			m := &wire.Settled{From: at, Answer: true, Head: wire.PutHead(end)}
			for _, s := range part {
				entry := putEntry(s, false)
				if lie && s.Index == end.Index-3 {
					entry.LogMs++
				}
				m.Entries = append(m.Entries, entry)
			}
			before := c.fold.Head.Index
			err := c.stepSettled(from, m)
			if lie && err != nil {
				return taken, most
			}
			if err != nil {
				t.Fatal(err)
			}
			taken += int(c.fold.Head.Index - before)
			if w := c.log.way; w != nil && !w.long {
				most = max(most, w.size)
			}
			c.Output()
			c.log.durable = c.fold.Head.Index
		}
		t.Fatal("never arrives")
		return
	}
	start := c.fold.Head
	if taken, _ := serve(true); taken != 0 || c.fold.Head != start || !c.peer(from).misled {
		t.Fatalf("%d entries of a lie were taken; the liar is known: %v", taken, c.peer(from).misled)
	}
	c.peer(from).misled = false
	taken, most := serve(false)
	if c.gens.ahead != nil { // goOn would enter; the certificate of this test has no electors
		c.gens.ahead = nil
	}
	if c.fold.Head.Index != end.Index || c.fold.Head.Hash != end.Hash {
		t.Fatalf("the way ends at %s after %d entries, want %s", c.fold.Head, taken, end)
	}
	if most > MaxWayBytes {
		t.Errorf("%d bytes were kept unproven, want at most %d", most, MaxWayBytes)
	}
}

// longLog is a log of n large messages, and a chat that has only its beginning.
func longLog(t *testing.T, n int) (from demes.DeviceID, c *Chat, entries []SettledEntry, end demes.Head) {
	s := newScript(t, 1)
	s.joins(s.a[1])
	s.starts()
	state, first := &wire.State{}, s.fold.Head.Index
	_ = wire.Unmarshal(s.fold.Encode(), state)
	text := make([]byte, demes.MaxText)
	for i := range text {
		text[i] = 'x'
	}
	disk := newMemory()
	for range first {
		entries = append(entries, SettledEntry{})
	}
	for range n {
		e := s.utterance(s.a[0], demes.KindMessage, &wire.MessageContent{Text: string(text)})
		sealed := s.sealed(e)
		sealed.Slot = 0
		s.applySealed(sealed, Consumed, "")
		entries = append(entries, SettledEntry{Index: s.fold.Head.Index, LogMs: s.fold.LogMs, Hash: s.fold.Head.Hash, Event: e})
	}
	fold, err := decodeFold(state, s.fold.group.Tree(), false)
	if err != nil {
		t.Fatal(err)
	}
	c = newChat(Config{Key: s.a[1].key, Cert: s.a[1].cert(), Log: disk, Rand: func() uint64 { return 1 }}, demes.Now{Mono: 1, Wall: at}, fold)
	c.log.first, c.log.durable, c.checked = 1, first, true
	c.phase = demes.PhaseLive
	return s.a[0].id, c, entries, s.fold.Head
}
