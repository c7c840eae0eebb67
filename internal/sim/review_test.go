package sim

import (
	"testing"

	"github.com/demes-chat/demes/internal/wire"
)

// ticks lets the world go on for ms and returns how often a deadline came in it.
func ticks(w *World, ms int64) (n int) {
	before := w.ticked
	w.Run(ms)
	return w.ticked - before
}

// freeze has a node promise to a host that says no more of it.
func (n *Node) freeze(host *Node) {
	n.input(func() {
		_ = n.chat.Step(n.clock(), host.ID, &wire.Frame{
			Chat: n.world.Chat[:], Generation: n.chat.Fold().Head.Generation,
			Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Prepare{
				Prepare: &wire.Prepare{Ballot: &wire.Ballot{Round: 1, Device: host.ID[:]}},
			}}},
		})
	})
}

// TestFrozenElectorDoesNotSpin has an elector that has promised, and whose
// convener is gone, wait without work.
func TestFrozenElectorDoesNotSpin(t *testing.T) {
	w := live(t, 1, 3, lan)
	settleQuiet(t, w)
	w.Run(10_000)
	host := w.Host()
	last := others(w, host)[0]
	last.freeze(host)
	w.Run(100)
	for _, n := range w.Nodes {
		n.Crash()
	}
	_ = last.Start()
	_ = host.Start() // it remembers no more of the other: that may go on
	w.Run(1_000)
	host.Crash()
	w.Run(100_000)
	if n := ticks(w, 60_000); n > 600 {
		t.Errorf("%d ticks in a minute of waiting", n)
	}
}

// TestRemovedMemberIsNotWaitedFor removes a member to whom a frame was lost just
// before: nobody means to compare vectors with it any more.
func TestRemovedMemberIsNotWaitedFor(t *testing.T) {
	w := live(t, 2, 5, lan)
	settleQuiet(t, w)
	w.Run(20_000)
	founder, victim := w.Nodes[0], w.Nodes[4]
	founder.input(func() {
		if err := founder.chat.Remove(founder.clock(), victim.ID); err != nil {
			t.Error(err)
		}
		founder.chat.Dropped(founder.clock(), victim.ID)
	})
	if !w.Until(5_000, func() bool { return founder.chat.Fold().Members[victim.ID] == nil }) {
		t.Fatal(w.Describe())
	}
	w.Run(60_000)
	if n := ticks(w, 60_000); n > 600 {
		t.Errorf("%d ticks in a minute of rest", n)
	}
}
