package council

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/demes-chat/demes"
)

func TestALaggingDeviceGetsASnapshotAndGoesOn(t *testing.T) {
	w := settled(t, 1, 4, 3)
	w.run(2000)
	w.node(4).crash(true)
	w.node(3).crash(true)
	for i := range 60 {
		host := w.host()
		host.input(func() {
			batch := make([][]byte, 120)
			for k := range batch {
				batch[k] = fmt.Appendf(nil, "%d.%d", i, k)
			}
			if err := host.group.Propose(batch...); err != nil {
				t.Fatal(err)
			}
		})
		w.run(300)
	}
	host := w.host()
	if kept := len(host.group.log.entries); kept > KeepEntries+compactStep*2 {
		t.Errorf("%d entries are kept in memory, at most %d", kept, KeepEntries)
	}
	if on := len(host.disk.saved.Entries); on != len(host.group.log.entries) {
		t.Errorf("%d entries on the disk, %d in memory", on, len(host.group.log.entries))
	}
	w.node(4).restart()
	w.run(300)
	w.node(3).restart()
	whole := func() bool {
		for _, x := range w.nodes {
			if len(x.disk.history) != 7200 {
				return false
			}
		}
		return true
	}
	if !w.runUntil(15_000, whole) {
		for _, x := range w.nodes {
			t.Logf("%d holds %d of 7200, applied %d", x.n, len(x.disk.history), x.group.Applied())
		}
		t.Fatalf("not everybody caught up")
	}
	if w.snapshots == 0 {
		t.Error("no snapshot was needed: the test proves nothing")
	}
	for _, x := range w.nodes[1:] {
		if !slices.EqualFunc(x.disk.history, w.nodes[0].disk.history, func(a, b Entry) bool { return a.Index == b.Index && string(a.Data) == string(b.Data) }) {
			t.Errorf("%d has another order", x.n)
		}
	}
}

func TestALostSnapshotIsSentAgain(t *testing.T) {
	w := settled(t, 2, 3, 1)
	w.node(3).crash(true)
	for i := range 50 {
		host := w.host()
		batch := make([][]byte, 120)
		for k := range batch {
			batch[k] = fmt.Appendf(nil, "%d.%d", i, k)
		}
		host.input(func() { _ = host.group.Propose(batch...) })
		w.run(300)
	}
	w.loss, w.reorder = 0.6, true
	w.node(3).restart()
	if !w.runUntil(120_000, func() bool { return len(w.node(3).disk.history) == 6000 }) {
		t.Errorf("3 holds %d of 6000 after two minutes of 60 %% loss", len(w.node(3).disk.history))
	}
}

func TestAQuietCouncilCostsNothing(t *testing.T) {
	w := settled(t, 1, 3, 3)
	if err := w.propose("x"); err != nil {
		t.Fatal(err)
	}
	w.run(5000)
	host := w.host()
	if !host.group.Quiet() || !host.group.hosting.quiet {
		t.Fatal("the host still ticks, 5 s after the last entry")
	}
	before, sent, term := len(w.trace), w.raftSent, host.group.Term()
	w.run(600_000)
	if w.raftSent != sent || len(w.trace) != before || host.group.Term() != term {
		t.Errorf("a quiet council sent %d messages in ten minutes: %v", w.raftSent-sent, w.trace[before:])
	}
	if err := w.propose("y"); err != nil || !w.agree("x", "y") {
		t.Errorf("a quiet host does not wake: %v", err)
	}
	w.run(5000)
	w.node(2).crash(false)
	w.node(3).crash(false)
	if !w.runUntil(4000, func() bool { return !host.group.IsHost() }) {
		t.Error("a quiet host does not notice that its council is gone")
	}
}

func TestAnInactiveGroupTakesNoPart(t *testing.T) {
	w := newWorld(t, 1, 3, 3)
	g, err := New(w.node(1).config(3, 3), nil)
	if err != nil {
		t.Fatal(err)
	}
	g.Tick(demes.Now{Mono: 10_000})
	g.Campaign(demes.Now{Mono: 10_000})
	if err := g.Step(demes.Now{Mono: 10_000}, testDevice(2), nil); !errors.Is(err, ErrInactive) {
		t.Errorf("Step before Activate: %v", err)
	}
	if r, ok := g.Ready(); !ok || len(r.Messages) > 0 || r.Hard == nil || r.Config == nil || g.Deadline() != 0 {
		t.Errorf("a fresh group has its first state to save and nothing to say: %+v", r)
	}
}

func TestAFrozenGroupIsSilent(t *testing.T) {
	w := settled(t, 1, 3, 3)
	host := w.host()
	_ = host.group.Propose([]byte("too late"))
	host.group.Freeze()
	if _, ok := host.group.Ready(); ok || host.group.IsHost() || host.group.Deadline() != 0 {
		t.Error("a frozen group still does something")
	}
	if err := host.group.Propose([]byte("x")); !errors.Is(err, ErrFrozen) {
		t.Errorf("Propose: %v", err)
	}
	if err := host.group.Step(w.clock(), testDevice(2), nil); !errors.Is(err, ErrFrozen) {
		t.Errorf("Step: %v", err)
	}
}

func TestProposalsAreBounded(t *testing.T) {
	w := settled(t, 1, 3, 3)
	w.isolate(1, true)
	host := w.node(1)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = host.group.Propose(make([]byte, 256<<10))
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("a host without a council takes entries without end: %v", err)
	}
	if err := host.group.Propose(make([]byte, MaxEntry+1)); err == nil {
		t.Error("an entry beyond MaxEntry was taken")
	}
	if err := w.node(2).group.Propose([]byte("x")); !errors.Is(err, ErrNotHost) {
		t.Errorf("a follower's proposal: %v", err)
	}
}

func TestSavedStateIsChecked(t *testing.T) {
	w := settled(t, 1, 3, 3)
	_ = w.propose("x")
	w.run(1000)
	good := *w.node(2).disk.saved
	for name, spoil := range map[string]func(s *Saved){
		"a gap":               func(s *Saved) { s.Entries = s.Entries[1:] },
		"a short log":         func(s *Saved) { s.Entries = nil },
		"applied beyond":      func(s *Saved) { s.Applied = 1 << 40 },
		"a foreign council":   func(s *Saved) { s.Config = []byte{8, 77} },
		"no council":          func(s *Saved) { s.Config = nil },
		"garbage for a term":  func(s *Saved) { s.Hard = []byte{0xFF} },
		"applied before that": func(s *Saved) { s.Compacted = Entry{Index: 3, Term: 2}; s.Entries = s.Entries[2:]; s.Applied = 2 },
	} {
		bad := good
		bad.Entries = slices.Clone(good.Entries)
		spoil(&bad)
		if _, err := New(w.node(2).config(3, 3), &bad); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}
