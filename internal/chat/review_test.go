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
