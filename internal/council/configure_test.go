package council

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/demes-chat/demes"
)

// council waits until every running node agrees on the voters.
func (w *world) council(ns ...int) bool {
	return w.runUntil(10_000, func() bool {
		for _, x := range w.nodes {
			if x.up && (!slices.Equal(x.group.Voters(), devices(ns...)) || x.group.Changing() && x.group.IsHost()) {
				return false
			}
		}
		return true
	})
}

// ask lets the host do something, and repeats it while the council is busy.
func (w *world) ask(t *testing.T, what string, do func(g *Group) error) {
	t.Helper()
	var err error
	done := w.runUntil(5000, func() bool {
		host := w.host()
		if host == nil || host.syncing {
			return false
		}
		host.input(func() { err = do(host.group) })
		return err == nil || !errors.Is(err, ErrBusy) && !errors.Is(err, ErrChanging)
	})
	if !done || err != nil {
		t.Fatalf("seed %d: %s: %v\n%v", w.seed, what, err, w.trace)
	}
}

func (w *world) reconfigure(t *testing.T, ns ...int) {
	t.Helper()
	w.ask(t, fmt.Sprint("council ", ns), func(g *Group) error { return g.Reconfigure(w.clock(), devices(ns...)) })
}

func TestCouncilShrinksAndGrows(t *testing.T) {
	w := settled(t, 1, 5, 5)
	for _, ns := range [][]int{{1, 2, 3}, {1}, {1, 4, 5}, {1, 2, 3, 4, 5}, {1, 3, 5}, {1}} {
		w.reconfigure(t, ns...)
		if !w.council(ns...) {
			t.Fatalf("the council is %v, want %v", w.host().group.Voters(), ns)
		}
		if err := w.propose(fmt.Sprint(ns)); err != nil {
			t.Fatal(err)
		}
	}
	if !w.agree("[1 2 3]", "[1]", "[1 4 5]", "[1 2 3 4 5]", "[1 3 5]", "[1]") {
		t.Error("not everybody has the order")
	}
	for _, n := range []int{2, 3, 4, 5} {
		w.node(n).crash(true)
	}
	if err := w.propose("alone"); err != nil {
		t.Fatal(err)
	}
	if !w.agree("[1 2 3]", "[1]", "[1 4 5]", "[1 2 3 4 5]", "[1 3 5]", "[1]", "alone") {
		t.Error("a council of one does not settle alone")
	}
}

func TestOneChangeOfTheCouncilAtATime(t *testing.T) {
	w := settled(t, 2, 5, 3)
	host := w.host()
	host.input(func() {
		if err := host.group.Reconfigure(w.clock(), devices(1)); err != nil {
			t.Errorf("first change: %v", err)
		}
		if err := host.group.Reconfigure(w.clock(), devices(1, 4, 5)); !errors.Is(err, ErrChanging) {
			t.Errorf("second change at once: %v, want ErrChanging", err)
		}
		for _, bad := range [][]int{{}, {2}, {1, 1, 2}, {1, 9}} {
			if err := host.group.Reconfigure(w.clock(), devices(bad...)); err == nil {
				t.Errorf("council %v: accepted", bad)
			}
		}
	})
	if !w.council(1) {
		t.Errorf("the council is %v, want 1", host.group.Voters())
	}
}

func TestAShrunkCouncilSurvivesTheLossOfTheOthers(t *testing.T) {
	for seed := range uint64(20) {
		w := settled(t, seed, 3, 3)
		w.node(2).crash(false)
		w.reconfigure(t, 1) // while 3 still answers
		w.runUntil(5000, func() bool { return slices.Equal(w.node(1).group.Voters(), devices(1)) })
		w.node(3).crash(true)
		w.run(5000)
		if !w.node(1).group.IsHost() {
			t.Fatalf("seed %d: a sole voter stood down\n%v", seed, w.trace)
		}
		w.node(1).crash(true)
		w.run(1000)
		w.node(1).restart()
		if !w.runUntil(500, func() bool { return w.node(1).group.IsHost() }) {
			t.Fatalf("seed %d: a sole voter does not lead when it starts\n%v", seed, w.trace)
		}
	}
}

func TestHostHandsOver(t *testing.T) {
	handover := func(w *world, to int) {
		w.ask(t, "hand over", func(g *Group) error { return g.Handover(w.clock(), testDevice(to)) })
	}
	t.Run("to a voter", func(t *testing.T) {
		w := settled(t, 1, 3, 3)
		handover(w, 3)
		if err := w.node(1).group.Propose([]byte("x")); !errors.Is(err, ErrBusy) {
			t.Errorf("a proposal during a hand-over: %v, want ErrBusy", err)
		}
		if !w.runUntil(1000, func() bool { return w.host() != nil && w.host().n == 3 }) {
			t.Fatalf("3 does not lead\n%v", w.trace)
		}
	})
	t.Run("to a learner", func(t *testing.T) {
		for seed := range uint64(20) {
			w := settled(t, seed, 5, 3)
			handover(w, 5)
			if !w.runUntil(3000, func() bool { return w.host() != nil && w.host().n == 5 }) {
				t.Fatalf("seed %d: 5 does not lead\n%v", seed, w.trace)
			}
			if !w.council(1, 2, 5) {
				t.Fatalf("the council is %v, want 1 2 5", w.host().group.Voters())
			}
		}
	})
	t.Run("of the sole vote", func(t *testing.T) {
		for seed := range uint64(50) {
			w := settled(t, seed, 4, 1)
			w.loss, w.reorder = float64(seed%3)*0.1, seed%3 > 0
			began := w.now
			handover(w, 4)
			if !w.runUntil(20_000, func() bool { return w.node(4).group.IsHost() }) {
				t.Fatalf("seed %d: 4 does not lead\n%v", seed, w.trace)
			}
			if took := w.now - began; seed%3 == 0 && took > 800 {
				t.Errorf("seed %d: took %d ms", seed, took)
			}
			if !w.council(4) || !w.runUntil(10_000, w.allFollow) {
				t.Fatalf("seed %d: the council is %v, want 4\n%v", seed, w.node(4).group.Voters(), w.trace)
			}
		}
	})
	t.Run("to one that dies", func(t *testing.T) {
		w := settled(t, 3, 3, 3)
		w.node(2).crash(false)
		handover(w, 2)
		w.run(2500)
		if err := w.propose("still here"); err != nil {
			t.Errorf("the host does not go on after a lost hand-over: %v\n%v", err, w.trace)
		}
	})
	t.Run("not to one that lags or is absent", func(t *testing.T) {
		w := settled(t, 4, 3, 3)
		w.node(3).crash(true)
		w.run(1000)
		host := w.host()
		for _, to := range []demes.DeviceID{testDevice(3), testDevice(1), testDevice(9)} {
			if host.group.Handover(w.clock(), to) == nil {
				t.Errorf("handed over to %v", to.Short())
			}
		}
	})
}

func TestGoodbyeIsActedOnAtOnce(t *testing.T) {
	goodbye := func(w *world, n int) {
		for _, other := range w.nodes {
			if other.n != n {
				w.carry(w.node(n), other, func(to *node) { to.group.Goodbye(w.clock(), testDevice(n)) })
			}
		}
	}
	t.Run("of a voter, a learner takes its place", func(t *testing.T) {
		w := settled(t, 1, 4, 3)
		goodbye(w, 2)
		w.node(2).crash(false)
		if !w.council(1, 3, 4) {
			t.Errorf("the council is %v, want 1 3 4", w.host().group.Voters())
		}
	})
	t.Run("of a voter, nobody takes its place", func(t *testing.T) {
		w := settled(t, 2, 3, 3)
		goodbye(w, 2)
		w.node(2).crash(false)
		if !w.council(1) {
			t.Errorf("the council is %v, want 1", w.host().group.Voters())
		}
	})
	t.Run("of the host", func(t *testing.T) {
		w := settled(t, 3, 3, 3)
		w.run(200)
		goodbye(w, 1)
		w.node(1).crash(false)
		began := w.now
		if !w.runUntil(5000, func() bool { h := w.host(); return h != nil && h.n == 2 }) || w.now-began > 450 {
			t.Errorf("no new host after %d ms\n%v", w.now-began, w.trace)
		}
	})
}

func TestAHostThatGivesItsVoteAwayAppendsNothingMore(t *testing.T) {
	w := settled(t, 1, 3, 1)
	w.ask(t, "hand over", func(g *Group) error { return g.Handover(w.clock(), testDevice(3)) })
	host := w.node(1)
	joint := func() bool { return len(host.group.log.conf.GetVotersOutgoing()) > 0 }
	if !w.runUntil(2000, joint) {
		t.Fatal("no joint change")
	}
	// One more entry would make its log longer than that of 3, whom it then would
	// deny the vote: nobody could lead any more.
	if err := host.group.Propose([]byte("one more")); !errors.Is(err, ErrBusy) {
		t.Errorf("a proposal while the vote moves: %v, want ErrBusy", err)
	}
	host.crash(true)
	w.run(2000)
	host.restart()
	if !w.runUntil(10_000, func() bool { return w.host() != nil }) {
		t.Errorf("nobody leads after the restart\n%v", w.trace)
	}
}
