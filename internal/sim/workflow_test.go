package sim

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// lan is a network as in one house.
var lan = Net{DelayMin: 1, DelayMax: 20, Jitter: 2, Fsync: 4}

// live makes a world whose n nodes chat.
func live(t *testing.T, seed uint64, n int, net Net) *World {
	t.Helper()
	w := New(seed, n, net)
	if os.Getenv("DEMES_TRACE") != "" {
		w.Trace = &strings.Builder{}
		t.Cleanup(func() { fmt.Println(w.Trace.String()) })
	}
	if err := w.Found(); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < n; i++ {
		w.Join(i)
	}
	all := func() bool { return len(w.Up()) == n }
	if !w.Until(20_000, all) {
		t.Fatalf("not everybody joined the lobby\n%s%v", w.Describe(), w.Err())
	}
	w.Run(1_000)
	founder := w.Nodes[0]
	founder.input(func() {
		if err := founder.chat.Start(founder.clock()); err != nil {
			t.Error(err)
		}
	})
	started := func() bool {
		for i := range w.Nodes {
			if !w.Live(i) || w.Nodes[i].chat.Fold().Head.Generation == 0 {
				return false
			}
		}
		return w.Host() != nil
	}
	if !w.Until(20_000, started) {
		t.Fatalf("the chat did not start\n%s%v", w.Describe(), w.Err())
	}
	return w
}

func settle(t *testing.T, w *World, most int64) {
	t.Helper()
	if !w.Until(most, w.Settled) {
		t.Fatalf("seed %d: not settled after %d ms\n%s%v", w.Seed, most, w.Describe(), w.Err())
	}
	if err := w.Final(); err != nil {
		t.Fatalf("%v\n%s", err, w.Describe())
	}
}

func TestThreePeopleChat(t *testing.T) {
	w := live(t, 1, 3, lan)
	for i := range 30 {
		if err := w.Nodes[i%3].Say(fmt.Sprint("message ", i)); err != nil {
			t.Fatal(err)
		}
		w.Run(20)
	}
	settle(t, w, 5_000)
	if got := w.Nodes[2].chat.Fold().Position; got != 30 {
		t.Fatalf("position %d, want 30", got)
	}
}
