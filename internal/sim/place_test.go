package sim

import (
	"testing"

	"github.com/demes-chat/demes"
)

// place sets the one-way delay between two nodes.
func (w *World) place(a, b int, delay int64) { w.Nodes[a].links[w.Nodes[b].ID].delay = delay }

func TestTheMemberInTheMiddleHosts(t *testing.T) {
	w := New(9, 5, Net{Jitter: 1, Fsync: 2})
	for a := range 5 {
		for b := range a {
			w.place(a, b, 120)
		}
	}
	for other := range 5 {
		if other != 3 {
			w.place(3, other, 15)
		}
	}
	if err := w.GoLive(); err != nil {
		t.Fatal(err)
	}
	middle := w.Nodes[3]
	if !w.Until(10_000, func() bool { return w.Host() == middle }) {
		t.Fatalf("the best placed member does not host\n%s", w.Describe())
	}
	if first := middle.chat.View().Succession[0]; first.Device != middle.ID.String() {
		t.Errorf("first in the succession is %s", first.Name)
	}
}

func TestHostMovesWhenAnotherStandsMarkedlyBetter(t *testing.T) {
	w := live(t, 10, 4, Net{DelayMin: 30, DelayMax: 31, Fsync: 2})
	settleQuiet(t, w)
	host := w.Host()
	for _, n := range others(w, host) {
		host.links[n.ID].delay = 200
		n.measure(host)
		host.measure(n)
	}
	if !w.Until(150_000, func() bool { return w.Host() != nil && w.Host() != host }) {
		t.Fatalf("the host stays where it is far from all\n%s", w.Describe())
	}
	_ = host.Say("from the edge")
	settle(t, w, 10_000)
}

func TestHandoverToAMemberThatAnotherNames(t *testing.T) {
	for seed := range uint64(5) {
		w := live(t, seed, 3, lan)
		settleQuiet(t, w)
		rest := others(w, w.Host())
		to := rest[0]
		rest[1].input(func() {
			if err := rest[1].chat.Handover(rest[1].clock(), &to.ID); err != nil {
				t.Error(err)
			}
		})
		if !w.Until(5_000, func() bool { return w.Host() == to }) {
			t.Fatalf("seed %d: the host did not move\n%s", seed, w.Describe())
		}
		_ = rest[1].Say("after the hand-over")
		settle(t, w, 5_000)
	}
}

func TestHostThatLeavesHandsOverFirst(t *testing.T) {
	for seed := range uint64(5) {
		for _, n := range []int{2, 3, 5} {
			w := live(t, seed, n, lan)
			settleQuiet(t, w)
			host := w.Host()
			host.input(func() { host.chat.Depart(host.clock()) })
			moved := func() bool { return w.Host() != nil && w.Host() != host }
			if !w.Until(3_000, moved) {
				t.Fatalf("seed %d: of %d, nobody took over from the host that goes\n%s", seed, n, w.Describe())
			}
			host.input(func() { host.chat.Farewell(host.clock()) })
			w.Run(50)
			host.Crash()
			_ = w.Up()[0].Say("the others go on")
			settle(t, w, 8_000)
		}
	}
}

func TestMemberWhoLeavesIsRemovedAndTheRestGoOn(t *testing.T) {
	w := live(t, 11, 4, lan)
	settleQuiet(t, w)
	gone := others(w, w.Host())[0]
	gone.input(func() { _ = gone.chat.Leave(gone.clock()) })
	removed := func() bool {
		host := w.Host()
		return host != nil && host.chat.Fold().Members[gone.ID] == nil && len(host.chat.Fold().Electors) == 3
	}
	if !w.Until(60_000, removed) {
		t.Fatalf("the leaver is still a member\n%s", w.Describe())
	}
	if gone.chat.Phase() != demes.PhaseLeft && gone.chat.Phase() != demes.PhaseRemoved {
		t.Errorf("the leaver's phase is %s", gone.chat.Phase())
	}
	if err := gone.Say("one more thing"); err == nil {
		t.Error("the leaver could write")
	}
	_ = w.Host().Say("without it")
	settle(t, w, 5_000)
}

func TestCouncilShrinksAndGrows(t *testing.T) {
	w := live(t, 12, 5, lan)
	voters := func() int {
		n := 0
		if host := w.Host(); host != nil {
			for _, m := range host.chat.View().Members {
				if m.Council {
					n++
				}
			}
		}
		return n
	}
	becomes := func(n int) {
		t.Helper()
		if !w.Until(60_000, func() bool { return voters() == n }) {
			t.Fatalf("%d voters, want %d\n%s", voters(), n, w.Describe())
		}
		_ = w.Host().Say("still here")
		settle(t, w, 5_000)
	}
	becomes(5)
	rest := others(w, w.Host())
	rest[0].Crash()
	becomes(3)
	rest[1].Crash()
	rest[2].Crash()
	becomes(1)
	for _, n := range rest[:3] {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	becomes(5)
}

func TestMinorityGoesOnProvisionallyAndMerges(t *testing.T) {
	for seed := range uint64(6) {
		w := live(t, seed, 5, lan)
		settleQuiet(t, w)
		w.Run(8_000)
		w.Partition(0, 1)
		w.Run(6_000)
		for i := range 10 {
			_ = w.Nodes[i%5].Say("both sides talk")
			w.Run(200)
		}
		small := w.Nodes[0].chat
		if small.Mode() != demes.ModeProvisional || len(small.Unsettled()) == 0 {
			t.Fatalf("seed %d: the minority is not provisional\n%s", seed, w.Describe())
		}
		if text := small.View().WaitingText; text == "" {
			t.Error("it does not say whom it waits for")
		}
		w.Partition()
		settle(t, w, 15_000)
		if got := w.Nodes[4].chat.Fold().Position; got != 10 {
			t.Fatalf("seed %d: position %d, want 10", seed, got)
		}
	}
}

func TestMarkedChangeMovesTheHostWithoutWaitingForSixWindows(t *testing.T) {
	w := live(t, 14, 4, Net{DelayMin: 30, DelayMax: 31, Fsync: 2})
	settleQuiet(t, w)
	w.Run(70_000) // the minute between two voluntary moves is over
	host := w.Host()
	for _, n := range others(w, host) {
		host.links[n.ID].delay = 300
		n.measure(host)
		host.measure(n)
	}
	if !w.Until(20_000, func() bool { return w.Host() != nil && w.Host() != host }) {
		t.Fatalf("the host is still far from all\n%s", w.Describe())
	}
}
