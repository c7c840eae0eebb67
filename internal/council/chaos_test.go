package council

import (
	"fmt"
	"slices"
	"testing"

	"github.com/demes-chat/demes"
)

// TestOrderSurvivesEverything lets bad things happen for a minute, then good
// ones for half a minute, and looks at the invariants at every step.
func TestOrderSurvivesEverything(t *testing.T) {
	seeds := seeds(120)
	moves, settledEntries := 0, 0
	for seed := range seeds {
		w := settled(t, seed, 5, 3)
		w.loss, w.duplicate, w.reorder = 0.05, 0.03, seed%2 == 0
		for i := range 300 {
			w.misfortune(i)
			w.run(w.rng.Int64N(400))
		}
		moves += len(w.check.leaders)
		w.heal(t)
		settledEntries += len(w.nodes[0].disk.history)
	}
	t.Logf("%d entries settled under %d leaders in %d runs", settledEntries, moves, seeds)
}

// misfortune does one thing to the council.
func (w *world) misfortune(i int) {
	x := w.nodes[w.rng.IntN(len(w.nodes))]
	switch r := w.rng.IntN(100); {
	case r < 50:
		_ = w.propose(fmt.Sprint("m", i))
	case r < 58: // dies at one of its next persist steps, before or after the disk
		if x.up && w.running() > 2 {
			x.dieAt = 1 + w.rng.IntN(6)
		}
	case r < 74:
		if !x.up {
			x.dieAt = 0
			x.restart()
		}
	case r < 78:
		w.isolate(x.n, true)
		n := x.n
		w.at(500+w.rng.Int64N(4000), func() { w.isolate(n, false) })
	case r < 80: // one direction only
		key := [2]int{x.n, 1 + w.rng.IntN(5)}
		w.cut[key] = true
		w.at(2000, func() { delete(w.cut, key) })
	case r < 86:
		if host := w.host(); host != nil {
			host.input(func() { _ = host.group.Handover(w.clock(), x.device) })
		}
	case r < 94:
		if host := w.host(); host != nil {
			voters := []demes.DeviceID{host.device}
			for _, n := range w.rng.Perm(5)[:2*w.rng.IntN(3)] {
				if d := testDevice(n + 1); d != host.device {
					voters = append(voters, d)
				}
			}
			host.input(func() { _ = host.group.Reconfigure(w.clock(), voters) })
		}
	case r < 96:
		for _, other := range w.nodes {
			if x.up && other != x && other.up {
				other.input(func() { other.group.Lost(w.clock(), x.device) })
				w.at(300, func() {
					if other.up {
						other.input(func() { other.group.Connected(w.clock(), x.device) })
					}
				})
			}
		}
	}
}

func (w *world) running() (n int) {
	for _, x := range w.nodes {
		if x.up {
			n++
		}
	}
	return n
}

// heal ends all faults: within 30 s there is one host, and one order everywhere.
func (w *world) heal(t *testing.T) {
	t.Helper()
	w.loss, w.duplicate, w.reorder = 0, 0, false
	w.cut = map[[2]int]bool{}
	for _, x := range w.nodes {
		x.dieAt = 0
		if !x.up {
			x.restart()
		}
	}
	for _, x := range w.nodes {
		for _, other := range w.nodes {
			if x != other {
				x.input(func() { x.group.Connected(w.clock(), other.device) })
			}
		}
	}
	if !w.runUntil(30_000, w.allFollow) {
		t.Fatalf("seed %d: no host 30 s after all faults ended\n%v", w.seed, w.trace[max(0, len(w.trace)-40):])
	}
	same := func() bool {
		for _, x := range w.nodes {
			h := x.disk.history
			if len(h) == 0 || string(h[len(h)-1].Data) != "the end" ||
				!slices.EqualFunc(h, w.nodes[0].disk.history, func(a, b Entry) bool { return a.Index == b.Index && string(a.Data) == string(b.Data) }) {
				return false
			}
		}
		return true
	}
	done := false
	for try := 0; try < 5 && !done; try++ { // a host may still stand down and drop it
		w.runUntil(2000, func() bool {
			host := w.host()
			return host != nil && !host.syncing && w.propose("the end") == nil
		})
		done = w.runUntil(3000, same)
	}
	if !done {
		for _, x := range w.nodes {
			t.Logf("%d: %d entries, applied %d, voters %d", x.n, len(x.disk.history), x.group.Applied(), len(x.group.Voters()))
		}
		t.Fatalf("seed %d: not one order\n%v", w.seed, w.trace[max(0, len(w.trace)-40):])
	}
}

// TestCrashAtEveryPersistStep kills each node at each of its first persist
// steps after an entry was proposed, before and after its disk was written.
func TestCrashAtEveryPersistStep(t *testing.T) {
	for n := 1; n <= 3; n++ {
		for step := 1; step <= 24; step++ {
			w := settled(t, uint64(step), 3, 3)
			w.node(n).dieAt = step
			for i := range 6 {
				_ = w.propose(fmt.Sprint(i))
				w.run(120)
			}
			w.run(2000)
			if !w.node(n).up {
				w.node(n).restart()
			}
			w.heal(t)
		}
	}
}

// caught is a testing.TB whose Fatalf ends only the run it watches.
type caught struct {
	testing.TB
	what string
}

func (c *caught) Fatalf(format string, args ...any) {
	c.what = fmt.Sprintf(format, args...)
	panic(c)
}

func TestTheCheckerCatchesRottenDisks(t *testing.T) {
	for name, rot := range map[string]func(x *node){
		"a forgotten vote":              func(x *node) { x.forgetsVote = true },
		"acknowledged and lost entries": func(x *node) { x.losesTail = true },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				if what := rotten(t, seed, rot); what != "" {
					t.Logf("caught at seed %d: %s", seed, what)
					return
				}
			}
			t.Error("400 seeds did not catch it")
		})
	}
}

// rotten runs misfortunes on bad disks and returns what the checker said.
func rotten(t *testing.T, seed uint64, rot func(*node)) (what string) {
	watch := &caught{TB: t}
	defer func() {
		if recover() != nil {
			what = watch.what + " "
		}
	}()
	w := settled(t, seed, 5, 3)
	w.t = watch
	for _, x := range w.nodes {
		rot(x)
	}
	for i := range 300 {
		w.misfortune(i)
		w.run(w.rng.Int64N(400))
	}
	return ""
}
