package test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/demes-chat/demes/bench/group"
)

func TestNextTakesOverWhenHostIsKilled(t *testing.T) {
	g := live(t, 3)
	host := g.Host()
	host.Send("last words")
	g.UntilEqual() // a voter that lacks an entry cannot win, whoever is named next
	next := g.Of(host.View().Next.Device)
	host.Kill()
	traffic := g.Send(5*time.Millisecond, 1, g.Running()...)
	if took := g.UntilHost(func(n *group.Node) bool { return n != host }); took != next {
		t.Errorf("%s hosts; %s was named next", took.Name, next.Name)
	}
	g.Until(group.Patience, "traffic", atLeast(traffic, 100))
	traffic.Stop()
	settled := g.UntilEqual()
	traffic.CheckSettled(without(settled, "last words"))

	host.Start()
	host.Send("I was away")
	wantOnce(t, g.UntilEqual(), "last words", "I was away")
}

func TestMessagesToTheDyingHostSettleOnce(t *testing.T) {
	long(t)
	g := live(t, 3)
	for range 3 {
		host := g.UntilWhole()
		traffic := g.Send(2*time.Millisecond, 3, g.Others(host)...)
		g.Until(group.Patience, "some traffic", atLeast(traffic, 200))
		host.Kill()
		g.UntilHost(func(n *group.Node) bool { return n != host })
		now := traffic.Accepted()
		g.Until(group.Patience, "more traffic", atLeast(traffic, now+100))
		traffic.Stop()
		traffic.CheckSettled(g.UntilEqual())
		host.Start()
	}
	g.UntilEqual()
}

// without leaves out a message that was no traffic.
func without(messages []group.Message, text string) (out []group.Message) {
	for _, m := range messages {
		if m.Text != text {
			out = append(out, m)
		}
	}
	return out
}

func TestThirdOfFiveHostsWhenHostAndNextAreKilled(t *testing.T) {
	long(t)
	g := live(t, 5)
	g.Until(group.Patience, "a council of five", func() error { return council(g, 5) })
	host := g.Host()
	next := g.Of(host.View().Next.Device)
	host.Kill()
	next.Kill()
	for i, n := range g.Running() {
		n.Send(fmt.Sprint("after the end ", i))
	}
	g.UntilHost(func(n *group.Node) bool { return n != host && n != next })
	wantOnce(t, g.UntilEqual(), "after the end 0", "after the end 1", "after the end 2")
	host.Start()
	next.Start()
	wantOnce(t, g.UntilEqual(), "after the end 0", "after the end 1", "after the end 2")
}

// council is content when all see so many voters.
func council(g *group.Group, want int) error {
	for _, n := range g.Running() {
		voters := 0
		for _, m := range n.View().Members {
			if m.Council {
				voters++
			}
		}
		if voters != want {
			return fmt.Errorf("%s sees %d in the council, want %d", n.Name, voters, want)
		}
	}
	return nil
}

func TestLastOfThreeIsProvisionalUntilTheyReturn(t *testing.T) {
	long(t)
	g := live(t, 3)
	host := g.Host()
	next := g.Of(host.View().Next.Device)
	last := g.Others(host, next)[0]
	g.UntilEqual()
	host.Kill()
	next.Kill()
	last.Send("alone")
	g.Until(group.Patience, "provisional mode", func() error {
		if chat := last.View(); chat.Mode != "provisional" || !strings.Contains(chat.WaitingText, host.Name) || !strings.Contains(chat.WaitingText, next.Name) {
			return fmt.Errorf("it is %s and waits for %q", chat.Mode, chat.WaitingText)
		}
		return nil
	})
	if _, unsettled, _, err := last.Log(g.Chat); err != nil || len(unsettled) != 1 {
		t.Errorf("alone: %d unsettled messages, %v; want one", len(unsettled), err)
	}
	next.Start()
	wantOnce(t, g.UntilEqual(), "alone")
	host.Start()
	wantOnce(t, g.UntilEqual(), "alone")
}

func TestHostThatLeavesHandsOverFirst(t *testing.T) {
	long(t)
	g := live(t, 3)
	host := g.Host()
	traffic := g.Send(5*time.Millisecond, 1, g.Others(host)...)
	g.Until(group.Patience, "some traffic", atLeast(traffic, 50))
	host.Leave()
	if code := host.ExitCode(); code != 0 {
		t.Errorf("the host that leaves has the exit code %d, want 0", code)
	}
	g.UntilHost(func(n *group.Node) bool { return n != host })
	now := traffic.Accepted()
	g.Until(group.Patience, "more traffic", atLeast(traffic, now+50))
	traffic.Stop()
	traffic.CheckSettled(g.UntilEqual())
	host.Start()
	traffic.CheckSettled(g.UntilEqual())
}

func TestHostThatIsStuckIsReplacedAndFenced(t *testing.T) {
	pausing(t)
	long(t)
	g := live(t, 3)
	stuck := g.Host()
	term := stuck.View().Term
	traffic := g.Send(5*time.Millisecond, 1, g.Others(stuck)...)
	g.Until(group.Patience, "some traffic", atLeast(traffic, 50))
	stuck.Pause()
	g.UntilHost(func(n *group.Node) bool { return n != stuck })
	now := traffic.Accepted()
	g.Until(group.Patience, "more traffic", atLeast(traffic, now+50))
	stuck.Resume()
	stuck.Send("I slept")
	traffic.Stop()
	settled := g.UntilEqual()
	traffic.CheckSettled(without(settled, "I slept"))
	wantOnce(t, settled, "I slept")
	if now := stuck.View().Term; now <= term {
		t.Errorf("the host that was stuck is still in term %d, after %d", now, term)
	}
}

// TestNothingIsLostOrDoubledUnderRandomKills kills nodes of three at random,
// one at a time, while all go on sending.
func TestNothingIsLostOrDoubledUnderRandomKills(t *testing.T) {
	long(t)
	const killFor = 20 * time.Second
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	g := live(t, 3)
	traffic := g.Send(15*time.Millisecond, 2, g.Nodes...)
	kills := 0
	for end := time.Now().Add(killFor); time.Now().Before(end); kills++ {
		now := traffic.Accepted()
		g.Until(group.Patience, "traffic between kills", atLeast(traffic, now+20+random.IntN(150)))
		victim := g.Nodes[random.IntN(len(g.Nodes))]
		victim.Kill()
		now = traffic.Accepted()
		g.Until(group.Patience, "traffic without it", atLeast(traffic, now+10+random.IntN(100)))
		victim.Start()
	}
	traffic.Stop()
	settled := g.UntilEqual()
	traffic.CheckSettled(settled)
	t.Logf("%d kills, %d messages", kills, len(settled))
}
