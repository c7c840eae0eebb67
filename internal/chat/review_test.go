package chat

import (
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// TestTailIsHeldAgainWhateverTheLamportsSay has an author whose lamports fall:
// after a restart its events, and what others wrote after them, are all held.
func TestTailIsHeldAgainWhateverTheLamportsSay(t *testing.T) {
	f, a := crowd(2)
	liar, honest := a[0], a[1]
	events := []*demes.Event{
		bare(liar, 1, 100, 10), bare(liar, 2, 50, 10),
		bare(honest, 1, 101, 10, demes.Mark{Device: liar.id, Seq: 2}), bare(honest, 2, 102, 10),
	}
	before := newTail()
	for _, e := range events {
		if got := before.hold(f, e); got != held {
			t.Fatalf("event %s is not held: %d", e.ID, got)
		}
	}
	after := newTail()
	after.refill(f, before.ordered())
	if after.len() != before.len() {
		t.Errorf("%d of %d events are held again", after.len(), before.len())
	}
}

// TestAPollIsNotPutOffByInputs has something that is looked at again and again
// come due though inputs come more often than that.
func TestAPollIsNotPutOffByInputs(t *testing.T) {
	for _, waits := range []struct {
		what string
		for_ func(c *Chat, other demes.DeviceID)
	}{
		{"leaving", func(c *Chat, _ demes.DeviceID) { c.own.leaving = true }},
		{"being behind", func(c *Chat, other demes.DeviceID) { c.peer(other).head.Index = c.fold.Head.Index + 10_000 }},
	} {
		r := newRoom(t, 3)
		host, to := r.host(), r.backup()
		waits.for_(to.chat, host.id)
		due := int64(0)
		for range 30 {
			r.now += 100
			to.chat.Heard(r.clock(), host.id, wire.FastBeat, host.chat.Hosting())
			if at := to.chat.Deadline(); at != 0 && at <= r.clock().Mono {
				due++
			}
		}
		if due == 0 {
			t.Errorf("%s: nothing was due in 3 s of beats", waits.what)
		}
	}
}

// TestCertificatesAreWrittenOnce has the state for joiners, which is written at
// every final checkpoint, not grow with the generations behind it.
func TestCertificatesAreWrittenOnce(t *testing.T) {
	r := newRoom(t, 3)
	base := &wire.Base{}
	for _, g := range r.guests {
		if err := wire.Unmarshal(g.disk.values["base"], base); err != nil {
			t.Fatal(err)
		}
		if len(base.GetCertificates()) > 0 && base.GetState().GetGeneration() > 0 {
			t.Errorf("%d certificates are written again", len(base.GetCertificates()))
		}
	}
}

// TestAnOrderThatWasToldBeforeItWasProvenIsTaken has a device be told an order
// further than it is proven, and learn only then that all of it is right.
func TestAnOrderThatWasToldBeforeItWasProvenIsTaken(t *testing.T) {
	r := newRoom(t, 3)
	host, behind := r.host(), r.backup()
	var third *guest
	for _, g := range r.guests {
		if g != host && g != behind {
			third = g
		}
	}
	for _, g := range []*guest{host, third} {
		g.chat.Disconnected(r.clock(), behind.id)
		behind.chat.Disconnected(r.clock(), g.id)
	}
	from := behind.chat.fold.Head.Index + 1
	for range 4 {
		if _, err := host.chat.SendText(r.clock(), "while one is away", nil, ""); err != nil {
			t.Fatal(err)
		}
	}
	r.pump()
	r.run(1_000)
	entries, err := third.disk.Settled(host.chat.id, from, wire.MaxBatch)
	if err != nil || len(entries) < 4 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	told := &wire.Settled{From: from, Head: wire.PutHead(third.chat.fold.Head), Answer: true, Last: true}
	for _, e := range entries {
		told.Entries = append(told.Entries, putEntry(e, false))
	}
	known := func(i int) {
		h := demes.Head{Generation: entries[i].Generation, Index: entries[i].Index, Hash: entries[i].Hash}
		behind.chat.log.proven = append(behind.chat.log.proven, h)
	}
	known(1)
	if err := third.tells(behind, &wire.Frame{Kind: &wire.Frame_Settled{Settled: told}}); err != nil {
		t.Fatal(err)
	}
	if got := behind.chat.fold.Head.Index; got != from+1 {
		t.Fatalf("at %d after it was told more than is proven, want %d", got, from+1)
	}
	known(len(entries) - 1)
	told.From, told.Entries = from+uint64(len(entries)), nil
	if err := third.tells(behind, &wire.Frame{Kind: &wire.Frame_Settled{Settled: told}}); err != nil {
		t.Fatal(err)
	}
	if got, want := behind.chat.fold.Head.Index, from+uint64(len(entries))-1; got != want {
		t.Errorf("at %d once all is proven, want %d", got, want)
	}
}
