package sim

import (
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
)

// others are the running nodes but one.
func others(w *World, but *Node) (out []*Node) {
	for _, n := range w.Up() {
		if n != but {
			out = append(out, n)
		}
	}
	return out
}

func TestHostGoesDownAndTheBackupTakesOver(t *testing.T) {
	for seed := range uint64(20) {
		w := live(t, seed, 3, lan)
		settleQuiet(t, w)
		host := w.Host()
		next := host.chat.View().Next
		host.Crash()
		at := w.Now()
		if !w.Until(5_000, func() bool { return w.Host() != nil }) {
			t.Fatalf("seed %d: nobody took over\n%s", seed, w.Describe())
		}
		if w.Host().Name != next.Name {
			t.Errorf("seed %d: %s took over, %s was next in line", seed, w.Host().Name, next.Name)
		}
		t.Logf("seed %d: new host after %d ms", seed, w.Now()-at)
		_ = w.Host().Say("after the host went")
		settle(t, w, 5_000)
	}
}

func TestHostAndNextGoDownAndTheThirdGoesOn(t *testing.T) {
	for seed := range uint64(10) {
		w := live(t, seed, 5, lan)
		settleQuiet(t, w)
		w.Run(12_000) // the council has grown to five
		w.Host().Crash()
		if !w.Until(5_000, func() bool { return w.Host() != nil }) {
			t.Fatalf("seed %d: nobody took over\n%s", seed, w.Describe())
		}
		w.Host().Crash()
		if !w.Until(8_000, func() bool { return w.Host() != nil }) {
			t.Fatalf("seed %d: the third did not take over\n%s", seed, w.Describe())
		}
		_ = w.Host().Say("the third goes on")
		settle(t, w, 5_000)
	}
}

func TestMessageToTheHostThatHasJustDiedIsSettledOnce(t *testing.T) {
	for seed := range uint64(20) {
		w := live(t, seed, 3, lan)
		settleQuiet(t, w)
		host := w.Host()
		rest := others(w, host)
		for i := range 5 {
			_ = rest[i%2].Say(fmt.Sprint("into the dark ", i))
			if i == 2 {
				host.Crash()
			}
		}
		settle(t, w, 8_000)
		if got := rest[0].chat.Fold().Position; got != 5 {
			t.Fatalf("seed %d: position %d, want 5", seed, got)
		}
	}
}

func TestHostThatReturnsCatchesUp(t *testing.T) {
	for seed := range uint64(10) {
		w := live(t, seed, 3, lan)
		settleQuiet(t, w)
		host := w.Host()
		host.Crash()
		w.Until(5_000, func() bool { return w.Host() != nil })
		for i := range 20 {
			_ = others(w, nil)[i%2].Say(fmt.Sprint("while it is away ", i))
			w.Run(5)
		}
		w.Run(500)
		if err := host.Start(); err != nil {
			t.Fatal(err)
		}
		settle(t, w, 8_000)
		if got := host.chat.Fold().Position; got != 20 {
			t.Fatalf("seed %d: the returned host is at position %d, want 20", seed, got)
		}
	}
}

func TestStuckHostIsReplacedAndFenced(t *testing.T) {
	for seed := range uint64(10) {
		w := live(t, seed, 3, lan)
		settleQuiet(t, w)
		host := w.Host()
		host.Pause()
		rest := others(w, host)
		replaced := func() bool { return rest[0].chat.Hosting() != nil || rest[1].chat.Hosting() != nil }
		if !w.Until(5_000, replaced) {
			t.Fatalf("seed %d: the stuck host was not replaced\n%s", seed, w.Describe())
		}
		_ = rest[0].Say("without it")
		w.Run(3_000)
		host.Resume()
		_ = host.Say("I am back")
		settle(t, w, 8_000)
	}
}

func TestFallbackWhenNoMajorityExists(t *testing.T) {
	for seed := range uint64(10) {
		w := live(t, seed, 3, lan)
		settleQuiet(t, w)
		first := w.Host()
		first.Crash()
		w.Until(5_000, func() bool { return w.Host() != nil })
		second := w.Host()
		second.Crash()
		third := w.Up()[0]
		if !w.Until(5_000, func() bool { return third.chat.Mode() == demes.ModeProvisional }) {
			t.Fatalf("seed %d: the third does not say that it is provisional\n%s", seed, w.Describe())
		}
		for i := range 10 {
			if err := third.Say(fmt.Sprint("alone ", i)); err != nil {
				t.Fatal(err)
			}
			w.Run(50)
		}
		if got := len(third.chat.Unsettled()); got != 10 {
			t.Fatalf("seed %d: %d provisional messages, want 10", seed, got)
		}
		for _, n := range []*Node{first, second} {
			if err := n.Start(); err != nil {
				t.Fatal(err)
			}
		}
		settle(t, w, 10_000)
		if third.chat.Mode() != demes.ModeSettled || third.chat.Fold().Position != 10 {
			t.Fatalf("seed %d: not settled later\n%s", seed, w.Describe())
		}
	}
}

func TestEverybodyOfflineAndBack(t *testing.T) {
	for seed := range uint64(10) {
		w := live(t, seed, 3, lan)
		for i := range 9 {
			_ = w.Nodes[i%3].Say(fmt.Sprint("before ", i))
		}
		w.Run(w.Rand.Int64N(300))
		for _, n := range w.Nodes {
			n.Crash()
		}
		w.Run(5_000)
		for _, n := range w.Nodes {
			if err := n.Start(); err != nil {
				t.Fatal(err)
			}
			w.Run(w.Rand.Int64N(2_000))
		}
		settle(t, w, 15_000)
	}
}

func TestJoinALiveChatWhileTheInviterIsAway(t *testing.T) {
	for seed := range uint64(10) {
		w := New(seed, 4, lan)
		if err := w.Found(); err != nil {
			t.Fatal(err)
		}
		w.Join(1)
		w.Join(2)
		w.Until(10_000, func() bool { return len(w.Up()) == 3 })
		w.Run(1_000)
		_ = w.Nodes[0].chat.Start(w.Nodes[0].clock())
		w.Nodes[0].turn()
		if !w.Until(10_000, func() bool { return w.Host() != nil && w.Host().chat.Fold().Head.Generation == 1 }) {
			t.Fatal(w.Describe())
		}
		secret := []byte("sixteen bytes !!")
		if err := w.Invite(1, secret); err != nil {
			t.Fatal(err)
		}
		settleQuiet(t, w)
		w.Nodes[1].Crash()
		w.Run(1_000)
		w.JoinBy(3, 2, secret)
		if !w.Until(20_000, func() bool { return w.Nodes[3].chat != nil }) {
			t.Fatalf("seed %d: not welcomed\n%s%v", seed, w.Describe(), w.Err())
		}
		_ = w.Nodes[3].Say("hello from the newcomer")
		settle(t, w, 10_000)
		if err := w.Nodes[1].Start(); err != nil {
			t.Fatal(err)
		}
		settle(t, w, 10_000)
		newcomer := func() bool { return w.Host() != nil && len(w.Host().chat.Fold().Electors) == 4 }
		if !w.Until(120_000, newcomer) {
			t.Fatalf("seed %d: the newcomer never became elector\n%s", seed, w.Describe())
		}
		_ = w.Nodes[3].Say("and as an elector")
		settle(t, w, 10_000)
	}
}

// settleQuiet waits until the world is at rest.
func settleQuiet(t *testing.T, w *World) {
	t.Helper()
	w.Run(3_000)
	settle(t, w, 10_000)
}

// TestAwayForLongerThanTheCouncilKeepsItsLog has a voter return after more
// entries than the council's log holds: it gets a snapshot and fetches the rest.
func TestAwayForLongerThanTheCouncilKeepsItsLog(t *testing.T) {
	if testing.Short() {
		t.Skip("6,000 messages take a while: run without -short")
	}
	w := live(t, 2, 3, lan)
	settleQuiet(t, w)
	away := others(w, w.Host())[0]
	away.Crash()
	w.Run(500)
	rest := w.Up()
	for i := range 6_000 {
		_ = rest[i%2].Say("while it is away")
		if i%40 == 0 {
			w.Run(20)
		}
	}
	settle(t, w, 20_000)
	if err := away.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, w, 30_000)
	if got := away.chat.Fold().Position; got != 6_000 {
		t.Fatalf("position %d, want 6000", got)
	}
	_ = away.Say("I am back")
	settle(t, w, 5_000)
}

func TestDelayedDroppedDoubledAndReorderedMessages(t *testing.T) {
	for seed := range uint64(6) {
		w := live(t, seed, 4, lan)
		settleQuiet(t, w)
		w.Net.Loss, w.Net.Duplicate, w.Net.Reorder, w.Net.Jitter = 0.3, 0.5, 0.5, 400
		for i := range 60 {
			_ = w.Nodes[i%4].Say(fmt.Sprint("through bad links ", i))
			w.Run(w.Rand.Int64N(150))
		}
		w.Net.Loss, w.Net.Duplicate, w.Net.Reorder, w.Net.Jitter = 0, 0, 0, 2
		settle(t, w, 15_000)
		if got := w.Nodes[0].chat.Fold().Position; got != 60 {
			t.Fatalf("seed %d: position %d, want 60", seed, got)
		}
	}
}
