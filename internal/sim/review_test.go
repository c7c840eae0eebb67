package sim

import (
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
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
// TestWhoIsRemovedIsTold removes members of the council and others, while they are
// there.
func TestWhoIsRemovedIsTold(t *testing.T) {
	for seed := range uint64(6) {
		w := live(t, 140+seed, 4+int(seed%2)*3, lan)
		settleQuiet(t, w)
		founder := w.Nodes[0]
		gone := others(w, w.Host())[seed%3]
		if gone == founder {
			gone = others(w, w.Host())[(seed+1)%3]
		}
		if err := founder.chat.Remove(founder.clock(), gone.ID); err != nil {
			t.Fatal(err)
		}
		founder.turn()
		if !w.Until(10_000, func() bool { return gone.chat.Phase() == demes.PhaseRemoved }) {
			t.Fatalf("seed %d: %s does not know that it is removed\n%s", w.Seed, gone.Name, w.Describe())
		}
	}
}

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

// TestNewElectorGoesBeforeItWitnesses has the only other device of a generation
// that is planned go away half-way: the host goes on without it.
func TestNewElectorGoesBeforeItWitnesses(t *testing.T) {
	for seed := range uint64(10) {
		w := New(seed, 2, lan)
		if err := w.Found(); err != nil {
			t.Fatal(err)
		}
		w.Join(1)
		w.Until(10_000, func() bool { return len(w.Up()) == 2 })
		w.Run(1_000)
		founder, other := w.Nodes[0], w.Nodes[1]
		founder.input(func() { _ = founder.chat.Start(founder.clock()) })
		w.watch = func(_ *Node, f chat.Outgoing) {
			if f.Frame.GetConvene() != nil && other.up {
				other.Crash()
			}
		}
		w.Until(10_000, func() bool { return !other.up })
		w.watch = nil
		if !w.Until(35_000, func() bool { return w.Host() == founder && founder.chat.Fold().Head.Generation == 1 }) {
			t.Fatalf("seed %d: the founder waits for who is gone\n%s", seed, w.Describe())
		}
		_ = founder.Say("alone")
		settle(t, w, 5_000)
		_ = other.Start()
		settle(t, w, 30_000)
	}
}

// TestNoGenerationIsPlannedWithoutAMajority has two of three electors go, one of
// them for good: the third, who is the council, goes on.
func TestNoGenerationIsPlannedWithoutAMajority(t *testing.T) {
	w := live(t, 3, 3, lan)
	settleQuiet(t, w)
	w.Run(10_000)
	rest := others(w, w.Host())
	rest[0].Crash()
	w.Run(40_000)
	rest[1].input(func() { _ = rest[1].chat.Leave(rest[1].clock()) })
	w.Run(100)
	rest[1].Crash()
	w.Run(60_000)
	last := w.Up()[0]
	_ = last.Say("alone")
	w.Run(10_000)
	if n := len(last.chat.Unsettled()); n != 0 {
		t.Fatalf("%d unsettled\n%s", n, w.Describe())
	}
	_ = rest[0].Start()
	settle(t, w, 60_000)
}

// TestFrozenElectorIsTakenAlong has a host freeze itself by planning a
// generation, and be cut off: the others elect another, and the first follows.
func TestFrozenElectorIsTakenAlong(t *testing.T) {
	w := live(t, 4, 3, lan)
	settleQuiet(t, w)
	w.Run(20_000)
	host := w.Host()
	rest := others(w, host)
	frozen := rest[0]
	frozen.freeze(host)
	w.Run(2_000)
	_ = rest[1].Say("with a quorum")
	_ = frozen.Say("frozen")
	settle(t, w, 90_000)
}

// TestSubscribersFollowEveryHost has a group with members that are no electors,
// and hosts that go one after the other.
func TestSubscribersFollowEveryHost(t *testing.T) {
	long(t)
	for seed := range uint64(10) {
		w := live(t, seed, 13, Net{DelayMin: 2, DelayMax: 60, Jitter: 5, Fsync: 3})
		settleQuiet(t, w)
		for round := range 4 {
			for i, n := range w.Up() {
				_ = n.Say(fmt.Sprint("round ", round, " of ", i))
				w.Run(5)
			}
			w.Run(w.Rand.Int64N(150))
			host := w.Host()
			if host == nil {
				t.Fatal(w.Describe())
			}
			host.Crash()
			w.Until(8_000, func() bool { return w.Host() != nil })
			w.Run(2_000)
			_ = host.Start()
			settle(t, w, 10_000)
		}
	}
}

// TestLeaveIsCarriedOutByAHostThatWasRestarted has a member leave a group in
// which nothing else happens.
func TestLeaveIsCarriedOutByAHostThatWasRestarted(t *testing.T) {
	w := live(t, 6, 4, lan)
	settleQuiet(t, w)
	for _, n := range w.Nodes {
		n.Crash()
	}
	for _, n := range w.Nodes {
		_ = n.Start()
	}
	settle(t, w, 10_000)
	w.Run(200_000)
	host := w.Host()
	leaver := others(w, host)[0]
	if leaver.index == 0 {
		leaver = others(w, host)[1]
	}
	leaver.input(func() { _ = leaver.chat.Leave(leaver.clock()) })
	if !w.Until(60_000, func() bool { h := w.Host(); return h != nil && h.chat.Fold().Members[leaver.ID] == nil }) {
		t.Fatalf("who left is still a member\n%s", w.Describe())
	}
}

// TestCouncilTakesInWhoCaughtUpLate has an elector return that needs longer to
// fetch the log than to count as present.
func TestCouncilTakesInWhoCaughtUpLate(t *testing.T) {
	long(t)
	w := live(t, 2, 3, lan)
	settleQuiet(t, w)
	away := others(w, w.Host())[0]
	away.Crash()
	w.Run(25_000)
	rest := w.Up()
	for i := range 6_000 {
		_ = rest[i%2].Say("while it is away")
		if i%40 == 0 {
			w.Run(20)
		}
	}
	settle(t, w, 60_000)
	for _, n := range rest {
		away.links[n.ID].delay = 900
	}
	if err := away.Start(); err != nil {
		t.Fatal(err)
	}
	council := func() (n int) {
		for _, m := range w.Host().chat.View().Members {
			if m.Council {
				n++
			}
		}
		return n
	}
	if !w.Until(60_000, func() bool { return w.Settled() }) {
		t.Fatal(w.Describe())
	}
	w.Until(60_000, func() bool { return council() == 3 })
	if council() != 3 {
		t.Errorf("a council of %d\n%s", council(), w.Describe())
	}
}

// TestClockThatJumpsDoesNotTakeTheLogAlong has the host's clock jump by a year.
func TestClockThatJumpsDoesNotTakeTheLogAlong(t *testing.T) {
	for _, size := range []int{2, 3, 5} {
		w := live(t, 8, size, lan)
		settleQuiet(t, w)
		host := w.Host()
		host.skew = 365 * 24 * 3_600_000
		_ = host.Say("what year is it?")
		settle(t, w, 5_000)
		for _, n := range w.Nodes {
			_ = n.Say("this one")
		}
		settle(t, w, 5_000)
		if ahead := w.Nodes[0].chat.Fold().LogMs - w.now - epoch; ahead > 11*60_000 {
			t.Errorf("%d members: log time is %d days ahead", size, ahead/86_400_000)
		}
	}
}

// TestRemovalWaitsForElectorsThatAreThere has the founder remove a member while
// another is away: what remains can still certify.
func TestRemovalWaitsForElectorsThatAreThere(t *testing.T) {
	w := live(t, 9, 3, lan)
	settleQuiet(t, w)
	w.Run(20_000)
	away, victim, founder := w.Nodes[1], w.Nodes[2], w.Nodes[0]
	away.Crash()
	w.Run(2_000)
	var err error
	founder.input(func() { err = founder.chat.Remove(founder.clock(), victim.ID) })
	w.Run(30_000)
	_ = founder.Say("is anybody there?")
	w.Run(30_000)
	if n := len(founder.chat.Unsettled()); err == nil || n != 0 {
		t.Errorf("the removal is refused with %v, and %d messages are not settled", err, n)
	}
	_ = away.Start()
	settleQuiet(t, w)
	founder.input(func() { err = founder.chat.Remove(founder.clock(), victim.ID) })
	if !w.Until(60_000, func() bool { return founder.chat.Fold().Members[victim.ID] == nil }) || err != nil {
		t.Errorf("not removed: %v", err)
	}
	settle(t, w, 30_000)
}

// TestFinalDoesNotGoBackAtARestart restarts who has just entered: what it was
// welcomed with is final.
func TestFinalDoesNotGoBackAtARestart(t *testing.T) {
	w := live(t, 7, 3, lan)
	secret := []byte("sixteen bytes !!")
	if err := w.Invite(0, secret); err != nil {
		t.Fatal(err)
	}
	n := w.addLate(1)[0]
	w.JoinBy(n.index, 0, secret)
	for n.chat == nil && w.Now() < 60_000 {
		w.Run(1)
	}
	w.Run(10)
	before := n.chat.Final()
	n.Crash()
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if after := n.chat.Final(); before == 0 || after < before {
		t.Errorf("final %d, then %d", before, after)
	}
}

// TestOneCutLink has two members that never reach each other, and a third that
// reaches both.
func TestOneCutLink(t *testing.T) {
	w := live(t, 10, 3, lan)
	settleQuiet(t, w)
	host := w.Host()
	rest := others(w, host)
	w.cut(host, rest[0], true)
	w.Run(60_000)
	for i := range 5 {
		_ = rest[0].Say(fmt.Sprint("behind the wall ", i))
		_ = rest[1].Say(fmt.Sprint("in between ", i))
		w.Run(1_000)
	}
	w.Run(60_000)
	settle(t, w, 10_000)
}

// TestNewHostWithAWrongClockDoesNotTakeTheLogAlong has a device whose clock is a
// year ahead become host.
func TestNewHostWithAWrongClockDoesNotTakeTheLogAlong(t *testing.T) {
	for seed := range uint64(10) {
		w := live(t, seed, 3, lan)
		settleQuiet(t, w)
		host := w.Host()
		for _, n := range others(w, host) {
			n.skew = 365 * 24 * 3_600_000
			break
		}
		host.Crash()
		w.Until(5_000, func() bool { return w.Host() != nil })
		_ = w.Host().Say("what year is it?")
		settle(t, w, 5_000)
		if ahead := w.Up()[0].chat.Fold().LogMs - w.now - epoch; ahead > 11*60_000 {
			t.Errorf("seed %d: log time is %d days ahead", seed, ahead/86_400_000)
		}
		_ = host.Start()
		settle(t, w, 10_000)
	}
}

// TestCouncilOfOneGoesOnWhileTheOthersConveneAnother has what the one settled
// alone go back to the tail, and settle again.
func TestCouncilOfOneGoesOnWhileTheOthersConveneAnother(t *testing.T) {
	for seed := range uint64(5) {
		w := live(t, seed, 3, lan)
		settleQuiet(t, w)
		w.Run(10_000)
		host := w.Host()
		rest := others(w, host)
		for _, n := range rest {
			n.Crash()
			w.Run(25_000)
		}
		w.Partition(host.index)
		for _, n := range rest {
			_ = n.Start()
		}
		for range 10 {
			_ = host.Say("on the wrong side")
			host.input(func() { _ = host.chat.Rename(host.clock(), fmt.Sprint("name at ", w.Now()), nil) })
			_ = rest[0].Say("on the other side")
			w.Run(10_000)
		}
		unsettled := 0
		w.kept = func(_ *Node, b *chat.Batch) {
			if b.Unsettle != nil {
				unsettled++
			}
		}
		if h := host.chat.Hosting(); h == nil || rest[0].chat.Fold().Head.Generation < 2 {
			t.Fatalf("seed %d: not two councils\n%s", seed, w.Describe())
		}
		w.Partition()
		settle(t, w, 30_000)
		if unsettled == 0 {
			t.Errorf("seed %d: nothing was unsettled", seed)
		}
	}
}
