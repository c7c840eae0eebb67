package council

import (
	"testing"

	"go.etcd.io/raft/v3"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

func TestSilenceIsAdaptedToTheLink(t *testing.T) {
	beats := func(interval int64, gaps ...int64) *peer {
		p, now := &peer{}, int64(1000)
		p.beaten(now, interval)
		for _, gap := range gaps {
			now += gap
			p.beaten(now, interval)
		}
		return p
	}
	for _, c := range []struct {
		name string
		p    *peer
		want int64
	}{
		{"no beat yet: the group's own", &peer{}, 350},
		{"steady at 100 ms", beats(100, 100, 100, 100), 350},
		{"steady at 250 ms", beats(250, 250, 250), 875},
		{"steady at 20 ms: not below 300", beats(20, 20, 20), 300},
		{"slow at 2 s: not above 5 s", beats(2000, 2000), 5000},
		{"once 600 ms late", beats(100, 100, 700, 100), 250 + 590},
		{"once very late: not above 5 s", beats(100, 60_000), 5000},
	} {
		if got := c.p.silence(wire.FastBeat); got != c.want {
			t.Errorf("%s: S is %d ms, want %d", c.name, got, c.want)
		}
	}
	p := beats(100, 700)
	for range 600 {
		p.beaten(p.beatAt+100, 100)
	}
	if got := p.silence(wire.FastBeat); got != 350 {
		t.Errorf("a minute after one late beat: S is %d ms, want 350", got)
	}
}

// follower is elector 2 of 5 that follows 1 and heard everybody at 10 s.
func follower(t *testing.T) (*Group, int64) {
	w := settled(t, 1, 5, 5)
	g := w.node(2).group
	w.node(2).drain()
	for _, d := range devices(1, 3, 4, 5) {
		g.Heard(w.clock(), d, wire.FastBeat)
	}
	g.Confirmed(w.clock(), testDevice(1), g.Term())
	return g, w.now
}

// TestHostTakesItsOwnSuspicionBack has a host that suspected the one before it:
// that word must not count against itself, or one voter that suspects first
// campaigns alone, is ignored by those who do not yet, and loses its turn.
func TestHostTakesItsOwnSuspicionBack(t *testing.T) {
	w := settled(t, 1, 3, 3)
	g, now := w.node(2).group, w.now
	if host, _, _ := g.Host(); host != testDevice(1) {
		t.Fatal("elector 1 does not lead")
	}
	g.Heard(at(now), testDevice(1), wire.FastBeat)
	g.Confirmed(at(now), testDevice(1), g.Term())
	g.Heard(at(now+340), testDevice(3), wire.FastBeat)
	g.Tick(at(now + 351))
	if !g.Suspected() {
		t.Fatal("a host that is silent for S is not suspected")
	}
	if g.view.state != raft.StateFollower {
		t.Errorf("one suspicion of three made it %v", g.view.state)
	}
	g.Suspicion(at(now+360), testDevice(3), &wire.Suspicion{Term: g.Term()})
	if g.view.state != raft.StatePreCandidate {
		t.Errorf("with the other's suspicion, the next in the succession is %v", g.view.state)
	}
}

// TestFirstCandidateAsksAgainWhoCameLater has the first of a generation ask for
// votes before the others have entered it, as the best placed member does.
func TestFirstCandidateAsksAgainWhoCameLater(t *testing.T) {
	w := newWorld(t, 1, 3, 3)
	g, now := w.node(1).group, w.now
	g.Campaign(at(now))
	if g.view.state != raft.StatePreCandidate {
		t.Fatalf("the first of the council is %v", g.view.state)
	}
	w.node(1).drain() // nobody hears it
	retry := g.election.campaignAt
	g.Suspicion(at(now+50), testDevice(2), &wire.Suspicion{Term: 1})
	if g.election.campaignedAt != now+50 || g.election.campaignAt != retry {
		t.Errorf("asked last at %d, again at %d; want %d and %d", g.election.campaignedAt, g.election.campaignAt, now+50, retry)
	}
	g.Suspicion(at(now+60), testDevice(2), &wire.Suspicion{Term: 1})
	if g.election.campaignedAt != now+50 {
		t.Error("a repeated suspicion is asked again")
	}
}

func at(ms int64) demes.Now { return demes.Now{Mono: ms} }

func TestWhoFallsSilentWithAllOthersDoubtsItself(t *testing.T) {
	hear := func(g *Group, now int64, ns ...int) {
		for _, d := range devices(ns...) {
			g.Heard(at(now), d, wire.FastBeat)
		}
	}
	t.Run("only the host is silent", func(t *testing.T) {
		g, now := follower(t)
		hear(g, now+340, 3, 4, 5)
		g.Tick(at(now + 350))
		if !g.Suspected() {
			t.Error("a host that is silent for S is not suspected")
		}
	})
	t.Run("half of the others are silent, too", func(t *testing.T) {
		g, now := follower(t)
		hear(g, now+340, 3, 4)
		g.Tick(at(now + 351))
		if !g.Suspected() {
			t.Error("one of three others is not more than half")
		}
	})
	t.Run("most others are silent, too", func(t *testing.T) {
		g, now := follower(t)
		g.Tick(at(now + 351))
		if g.Suspected() {
			t.Error("suspected after S although everybody is silent")
		}
		if due := g.Deadline(); due < now+600 || due > now+750 {
			t.Errorf("wants the time at %d, about two S after the last word at %d", due, now)
		}
		g.Tick(at(now + 701))
		if !g.Suspected() {
			t.Error("nothing vetoes: after two S the host is suspected")
		}
	})
	t.Run("its own loop stalled", func(t *testing.T) {
		g, now := follower(t)
		due := g.Deadline()
		hear(g, due+200, 3, 4, 5)
		if g.Suspected() {
			t.Error("suspected although the time came 200 ms late")
		}
		hear(g, now+690, 3, 4, 5)
		g.Tick(at(now + 701))
		if !g.Suspected() {
			t.Error("not suspected after two S")
		}
	})
}

func TestABeatThatConfirmsNothingDoesNotCount(t *testing.T) {
	g, now := follower(t)
	for ms := int64(50); ms <= 400; ms += 50 {
		for _, d := range devices(1, 3, 4, 5) {
			g.Heard(at(now+ms), d, wire.FastBeat)
		}
		g.Confirmed(at(now+ms), testDevice(1), g.Term()-1) // an older term
		g.Confirmed(at(now+ms), testDevice(3), g.Term())   // not the host of this term
		g.Tick(at(now + ms))
	}
	if !g.Suspected() {
		t.Error("the device beats, but does not say that it is host: it must be suspected")
	}
	g.Confirmed(at(now+420), testDevice(1), g.Term())
	if g.Suspected() {
		t.Error("confirmed again, and still suspected")
	}
	withdrawn := false
	for r, ok := g.Ready(); ok; r, ok = g.Ready() {
		g.Advance()
		for _, m := range r.Messages {
			withdrawn = withdrawn || m.To == testDevice(1) && m.Suspicion.GetWithdrawn()
		}
	}
	if !withdrawn {
		t.Error("the suspicion was not withdrawn towards the host")
	}
}

func TestOneVoterAloneMovesNoHost(t *testing.T) {
	g, now := follower(t)
	g.Lost(at(now), testDevice(1))
	for ms := int64(0); ms < 20_000; ms += 100 {
		for _, d := range devices(3, 4, 5) {
			g.Heard(at(now+ms), d, wire.FastBeat)
		}
		g.Tick(at(now + ms))
	}
	if g.election.campaignedAt > now {
		t.Error("campaigned on its own suspicion")
	}
	g.Suspicion(at(now+20_000), testDevice(3), &wire.Suspicion{Term: g.Term()})
	g.Suspicion(at(now+20_000), testDevice(4), &wire.Suspicion{Term: g.Term(), Withdrawn: true})
	g.Tick(at(now + 20_100))
	if g.election.campaignedAt > now {
		t.Error("campaigned with two of five")
	}
	g.Suspicion(at(now+20_200), testDevice(5), &wire.Suspicion{Term: g.Term()})
	if g.election.campaignedAt != now+20_200 {
		t.Error("three of five suspect, it is the first in the succession, and does not campaign")
	}
}

func TestOthersSuspicionsExpire(t *testing.T) {
	g, now := follower(t)
	for _, d := range devices(3, 4) {
		g.Suspicion(at(now), d, &wire.Suspicion{Term: g.Term()})
	}
	for ms := int64(0); ms <= suspicionLife+100; ms += 100 {
		for _, d := range devices(1, 3, 4, 5) {
			g.Heard(at(now+ms), d, wire.FastBeat)
		}
		g.Confirmed(at(now+ms), testDevice(1), g.Term())
		g.Tick(at(now + ms))
	}
	g.Lost(at(now+suspicionLife+200), testDevice(1))
	if g.election.campaignedAt > now {
		t.Error("campaigned on suspicions that nobody has repeated")
	}
}

func TestARetryIsNeverFasterThanAnElection(t *testing.T) {
	w := settled(t, 1, 5, 5)
	g := w.node(2).group
	var times []int64
	g.Lost(w.clock(), testDevice(1))
	for ms := int64(0); ms < 60_000; ms += 10 {
		now := at(w.now + ms)
		if ms%1000 == 0 {
			for _, d := range devices(3, 4, 5) {
				g.Suspicion(now, d, &wire.Suspicion{Term: g.Term()})
			}
		}
		for _, d := range devices(3, 4, 5) {
			g.Heard(now, d, wire.FastBeat)
		}
		g.Tick(now)
		w.node(2).drain()
		if c := g.election.campaignedAt; len(times) == 0 || times[len(times)-1] != c {
			times = append(times, c)
		}
	}
	if len(times) < 5 || len(times) > 40 {
		t.Errorf("campaigned %d times in a minute", len(times))
	}
	for i := 2; i < len(times); i++ {
		if times[i]-times[i-1] < 2*DefaultDelta {
			t.Errorf("campaigned again after %d ms", times[i]-times[i-1])
		}
	}
}
