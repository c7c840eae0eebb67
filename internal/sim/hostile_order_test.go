package sim

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/demes-chat/demes/internal/wire"
)

// misled is a group in which one member was away while the others wrote, and is
// back with nobody but a villain to talk to. The villain was there to the end.
func misled(t *testing.T, seed uint64, newcomer bool) (w *World, v *villain, victim *Node) {
	t.Helper()
	w = live(t, seed, 4, lan)
	if newcomer {
		if err := w.Invite(0, []byte("sixteen bytes !!")); err != nil {
			t.Fatal(err)
		}
	}
	settleQuiet(t, w)
	rest := others(w, w.Host())
	victim = rest[0]
	w.Partition(victim.index)
	w.Run(4_000)
	for i := range 12 {
		_ = rest[1+i%2].Say(fmt.Sprint("while one is away ", i))
	}
	if newcomer { // brings a generation about
		late := w.addLate(1)[0]
		w.cut(late, victim, true)
		w.JoinBy(late.index, w.Host().index, []byte("sixteen bytes !!"))
		generation := victim.chat.Fold().Head.Generation
		if !w.Until(60_000, func() bool { return w.Host() != nil && w.Host().chat.Fold().Head.Generation > generation }) {
			t.Fatalf("seed %d: no new generation\n%s", seed, w.Describe())
		}
	}
	w.Run(3_000)
	v = turnBad(rest[1])
	w.cut(v.Node, victim, false)
	w.Run(1_000)
	return w, v, victim
}

// swapped is what follows the victim's head, in another order: two neighbours
// that know nothing of each other changed places.
func (v *villain) swapped(to *Node) []*wire.SettledEntry {
	var out []*wire.SettledEntry
	for _, s := range v.disk.settled {
		if s.Index <= to.chat.Fold().Head.Index || s.Generation != to.chat.Fold().Head.Generation {
			continue
		}
		entry := &wire.SettledEntry{Term: s.Term, LogMs: s.LogMs, Generation: s.Generation}
		if s.Event == nil {
			record := &wire.Record{}
			_ = wire.Unmarshal(s.Record, record)
			entry.What = &wire.SettledEntry_Record{Record: record}
		} else {
			entry.What = &wire.SettledEntry_Event{Event: wire.PutEvent(s.Event)}
		}
		out = append(out, entry)
	}
	for i := len(out) - 2; i > 0; i-- {
		a, b := out[i].GetEvent(), out[i+1].GetEvent()
		if a == nil || b == nil {
			continue
		}
		first, _ := wire.ReadEvent(a)
		second, _ := wire.ReadEvent(b)
		if first.ID.Device != second.ID.Device && len(second.After) == 0 {
			out[i].What, out[i+1].What = out[i+1].What, out[i].What
			return out
		}
	}
	return nil
}

// TestAProofVouchesForNoOtherWay has a villain tell an order of its own, with the
// final proof of the true one.
func TestAProofVouchesForNoOtherWay(t *testing.T) {
	for seed := range uint64(5) {
		w, v, victim := misled(t, 40+seed, false)
		proof := &wire.FinalProof{}
		if err := wire.Unmarshal(v.disk.values["final"], proof); err != nil {
			t.Fatal(err)
		}
		entries, before := v.swapped(victim), victim.chat.Fold().Head
		if entries == nil {
			t.Fatalf("seed %d: nothing to swap", w.Seed)
		}
		for n := range entries {
			v.say(victim, v.order(victim, entries[:n+1], proof))
		}
		w.Run(100)
		if got := victim.chat.Fold().Head; got != before {
			t.Fatalf("seed %d: the victim took an order that nobody signed: its head is %s, was %s", w.Seed, got, before)
		}
		w.Partition()
		goesOn(t, w)
	}
}

// TestALieOnTheWayToABaseIsForgotten has a villain hand over the true certificates,
// and an order of its own on the way to their base.
func TestALieOnTheWayToABaseIsForgotten(t *testing.T) {
	for seed := range uint64(5) {
		w, v, victim := misled(t, 50+seed, true)
		chain := &wire.Chain{}
		if err := wire.Unmarshal(v.disk.values["chain"], chain); err != nil {
			t.Fatal(err)
		}
		entries, before := v.swapped(victim), victim.chat.Fold().Head
		if entries == nil {
			t.Fatalf("seed %d: nothing to swap", w.Seed)
		}
		v.say(victim, &wire.Frame{Kind: &wire.Frame_Chain{Chain: chain}})
		for n := range entries {
			v.say(victim, v.order(victim, entries[:n+1], nil))
		}
		w.Run(100)
		if got := victim.chat.Fold().Head; got != before {
			t.Fatalf("seed %d: the victim took an order that nobody signed: its head is %s, was %s", w.Seed, got, before)
		}
		w.Partition()
		goesOn(t, w)
	}
}

// TestWhoIsNoElectorIsNotBelievedToHost has a member without a seat claim to be
// host, to one who follows the host by its word alone.
func TestWhoIsNoElectorIsNotBelievedToHost(t *testing.T) {
	w := live(t, 60, 11, lan)
	settleQuiet(t, w)
	var outside []*Node
	for _, n := range w.Up() {
		if !slices.Contains(n.chat.Fold().Electors, n.ID) {
			outside = append(outside, n)
		}
	}
	if len(outside) != 2 {
		t.Fatalf("%d of 11 members are no electors, want 2", len(outside))
	}
	v, victim := turnBad(outside[0]), outside[1]
	before, made := victim.chat.Fold().Head, v.made(3)
	for _, term := range []uint64{v.fold.Term, v.fold.Term + 1, math.MaxUint64} {
		v.claim(victim, term)
		v.say(victim, v.order(victim, made, nil))
	}
	w.Run(50)
	if got := victim.chat.Fold().Head; got != before {
		t.Fatalf("the victim took the order of a host that cannot be one: its head is %s, was %s", got, before)
	}
	goesOn(t, w)
}
