package sim

import (
	"fmt"
	"testing"
)

// long skips what takes a while. With -short goes the race detector, which finds
// nothing in worlds of one goroutine.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("many worlds take a while: run without -short")
	}
}

// TestFiftyMembers has subscribers beside the council, and joins in a row.
func TestFiftyMembers(t *testing.T) {
	if testing.Short() {
		t.Skip("a large group takes a while: run without -short")
	}
	w := New(1, 50, Net{DelayMin: 2, DelayMax: 60, Jitter: 5, Fsync: 3})
	if err := w.GoLive(); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		_ = w.Nodes[i].Say(fmt.Sprint("hello from ", i))
	}
	settle(t, w, 20_000)
	w.Host().Crash()
	w.Until(8_000, func() bool { return w.Host() != nil })
	for _, n := range w.Up()[:20] {
		_ = n.Say("with another host")
	}
	settle(t, w, 20_000)
	if got := w.Host().chat.Fold().Position; got != 70 {
		t.Fatalf("position %d, want 70", got)
	}
}
