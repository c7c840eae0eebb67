package sim

import (
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// stale reports whether a node says that its copy of the chat is old.
func stale(n *Node) bool {
	p := n.chat.View().Problem
	return p != nil && p.Code == demes.CodeStaleCopy
}

// isOut checks that a node found out that it is an old copy: it says so, cannot
// write, claims nothing, and the others go on without it.
func isOut(t *testing.T, w *World, n *Node) {
	t.Helper()
	if !w.Until(15_000, func() bool { return stale(n) }) {
		t.Fatalf("seed %d: the old copy does not notice\n%s", w.Seed, w.Describe())
	}
	w.Until(1_000, func() bool { return !n.busy })
	if err := n.Say("from the past"); err == nil {
		t.Errorf("seed %d: an old copy can write", w.Seed)
	}
	if n.chat.Hosting() != nil {
		t.Errorf("seed %d: an old copy claims to host", w.Seed)
	}
	n.Crash() // its user stops it
	goesOn(t, w)
}

// TestARestoredBackupStopsSigning puts an old disk back into a device that has
// written since.
func TestARestoredBackupStopsSigning(t *testing.T) {
	for seed := range uint64(8) {
		w := live(t, 70+seed, 4, lan)
		settleQuiet(t, w)
		n := w.Nodes[1+seed%3]
		backup := n.disk.clone()
		for i := range 5 {
			_ = n.Say(fmt.Sprint("after the backup ", i))
		}
		settle(t, w, 10_000)
		n.Crash()
		w.Run(1_000)
		n.disk = backup
		w.check.heads[n] = demes.Head{} // it goes back on purpose
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		_ = n.Say("a message that the old copy may not sign")
		delete(w.check.own, n) // it never will be settled, and says so
		isOut(t, w, n)
	}
}

// TestABackupThatMissedNothingGoesOn restores a disk from when the device had
// written all that it ever wrote. To the host of that time it had acknowledged
// more than it has now: it catches up with the next host.
func TestABackupThatMissedNothingGoesOn(t *testing.T) {
	w := live(t, 80, 3, lan)
	settleQuiet(t, w)
	n := others(w, w.Host())[0]
	_ = n.Say("before the backup")
	settle(t, w, 5_000)
	w.Run(1_000)
	backup := n.disk.clone()
	_ = w.Host().Say("the others write on")
	settle(t, w, 5_000)
	n.Crash()
	w.Run(1_000)
	n.disk = backup
	w.check.heads[n] = demes.Head{}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	w.Run(2_000)
	host := w.Host()
	host.input(func() { _ = host.chat.Handover(host.clock(), nil) })
	w.Run(2_000)
	goesOn(t, w)
}

// TestTwoClonesAreOneTooMany runs a device and its clone one after the other, each
// with friends who do not know what the other wrote: both sign the same seq.
func TestTwoClonesAreOneTooMany(t *testing.T) {
	for seed := range uint64(8) {
		w := live(t, 90+seed, 5, lan)
		settleQuiet(t, w)
		rest := others(w, w.Host())
		n, friend := rest[0], rest[1]
		clone := n.disk.clone()
		w.Partition(n.index, friend.index)
		w.Run(6_000) // they are two of five: provisional
		_ = n.Say("what the first one wrote")
		if !w.Until(5_000, func() bool { return len(friend.chat.Unsettled()) == 1 }) {
			t.Fatalf("seed %d: the friend did not get it\n%s", w.Seed, w.Describe())
		}
		n.Crash()
		w.Run(1_000)
		w.Partition(friend.index)
		first := n.disk
		n.disk = clone
		w.check.heads[n] = demes.Head{}
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		_ = n.Say("what the clone wrote")
		settled := func() bool { return settledTexts(rest[2])["what the clone wrote"] }
		if !w.Until(10_000, settled) {
			t.Fatalf("seed %d: nobody could know, and yet it is not settled\n%s", w.Seed, w.Describe())
		}
		w.Partition() // now both are known
		delete(w.check.own, n)
		w.Run(3_000)
		if settledTexts(rest[2])["what the first one wrote"] {
			t.Fatalf("seed %d: two events of one seq took effect", w.Seed)
		}
		_ = w.Host().Say("whoever forks, the others go on")
		if !w.Until(10_000, func() bool { return settledTexts(friend)["whoever forks, the others go on"] }) {
			t.Fatalf("seed %d: the friend, who held the other branch, is stuck\n%s", w.Seed, w.Describe())
		}
		n.Crash()
		w.Run(1_000)
		n.disk = first // the first one is started again
		w.check.heads[n] = demes.Head{}
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		isOut(t, w, n)
	}
}

// TestAForkSilencesItsAuthor has a member show one branch of its log, the longer
// one, to one of the others, who writes on top of it, and another to the rest.
func TestAForkSilencesItsAuthor(t *testing.T) {
	for seed := range uint64(6) {
		w, v := besieged(t, 120+seed, 5)
		victim := others(w, w.Host())[0]
		w.Partition(victim.index, v.index)
		w.Run(4_000)
		other := *v
		for i := range 4 {
			v.offer(victim, other.write(other.draft(fmt.Sprint("shown to one alone ", i))))
		}
		w.Run(200)
		if err := victim.Say("said upon it"); err != nil {
			t.Fatal(err)
		}
		for i := range int(seed % 3) {
			v.offer(w.Host(), v.write(v.draft(fmt.Sprint("rightly, to the rest ", i))))
		}
		w.Run(1_000)
		w.Partition()
		goesOn(t, w)
		if !settledTexts(w.Host())["said upon it"] {
			t.Fatalf("seed %d: who was shown another branch is mute\n%s", w.Seed, w.Describe())
		}
		if seed%3 == 0 {
			continue // nobody was shown another one
		}
		gone := func() bool { m := w.Host().chat.Fold().Members[v.ID]; return m == nil || m.Leaving }
		if !w.Until(30_000, gone) {
			t.Fatalf("seed %d: who wrote two histories is a member still\n%s", w.Seed, w.Describe())
		}
	}
}

// TestAForkedAuthorMutesNobody has a member show one branch of its log, far ahead
// in lamports, to one, and another to the rest.
func TestAForkedAuthorMutesNobody(t *testing.T) {
	for i, lead := range []uint64{chat.MaxLamportLead, chat.MaxHeldLead} {
		w, v := besieged(t, 100+uint64(i), 6)
		victim := others(w, w.Host())[0]
		ahead := v.draft("evil")
		ahead.Lamport = v.fold.Lamport + lead
		first := v.sign(ahead)
		ahead.ID.Seq, ahead.Prev, ahead.Lamport = ahead.ID.Seq+1, first.Hash, ahead.Lamport+lead
		w.Partition(victim.index, v.index)
		w.Run(4_000)
		v.offer(victim, first)
		v.offer(victim, v.sign(ahead))
		w.Run(100)
		v.offer(w.Host(), v.write(v.draft("rightly, and another one")))
		w.Run(1_000)
		w.Partition()
		goesOn(t, w)
		for i := range 30 {
			_ = victim.Say(fmt.Sprint("not void ", i))
		}
		settle(t, w, 10_000)
		if !settledTexts(w.Host())["not void 29"] {
			t.Fatalf("seed %d: what was written on top of a branch that was dropped is void", w.Seed)
		}
	}
}
