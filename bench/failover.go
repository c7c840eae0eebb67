package main

import (
	"fmt"
	"time"

	"github.com/demes-chat/demes/bench/group"
)

// gap is what one change of host cost.
type gap struct {
	host    time.Duration // until both others named another host
	settled time.Duration // until the first message sent afterwards was settled at its author
}

// gaps are what some changes cost.
type gaps struct{ hosts, settled times }

func (c gaps) String() string {
	return fmt.Sprintf("first message settled: %s; new host known to both: %s", c.settled, c.hosts)
}

// failover takes the host out by down, again and again, and brings it back by
// up. Its chat is active: the others have just been sending.
func (b *bench) failover(n int, down, up func(*group.Node)) (all gaps) {
	g := b.live(3)
	for i := range n {
		host := g.UntilWhole()
		others := g.Others(host)
		traffic := g.Send(5*time.Millisecond, 1, others...)
		g.Until(group.Patience, "an active chat", func() error {
			if traffic.Accepted() < failoverWarms {
				return fmt.Errorf("%d messages", traffic.Accepted())
			}
			return nil
		})
		traffic.Stop()
		cost := b.takeOut(g, i, host, others, down)
		all.hosts, all.settled = append(all.hosts, cost.host), append(all.settled, cost.settled)
		up(host)
		traffic.CheckSettled(g.UntilEqual())
	}
	return all
}

// takeOut takes the host out and sends a message in the same moment.
func (b *bench) takeOut(g *group.Group, i int, host *group.Node, others []*group.Node, down func(*group.Node)) gap {
	w := watch(g, others...)
	defer w.close()
	text := fmt.Sprint("gap ", i)
	begin := time.Now()
	down(host)
	others[0].Send(text)
	var cost gap
	if !w.await(group.Patience, func() bool {
		seen := make([]time.Time, len(others))
		for _, s := range w.hosts {
			if s.host != host.Device && s.at.After(begin) && seen[s.node].IsZero() {
				seen[s.node] = s.at
			}
		}
		cost = gap{last(seen).Sub(begin), first(w.settled[text]).Sub(begin)}
		return cost.host > 0 && cost.settled > 0
	}) {
		b.Fatalf("change %d: no new host, or nothing is settled\n%s", i, g.State())
	}
	return cost
}

func failoverKill(b *bench) string {
	return b.failover(kills, (*group.Node).Kill, func(n *group.Node) { n.Start() }).String()
}

// failoverStop takes a new group each time, and again one group for all: links
// remember for a minute how late their beats were, and are patient with them.
func failoverStop(b *bench) string {
	if !group.CanPause {
		return "this system cannot pause a process"
	}
	var fresh gaps
	for range stops {
		one := b.failover(1, (*group.Node).Pause, (*group.Node).Kill)
		fresh.hosts, fresh.settled = append(fresh.hosts, one.hosts...), append(fresh.settled, one.settled...)
		b.groups[len(b.groups)-1].Close()
	}
	again := b.failover(stops, (*group.Node).Pause, (*group.Node).Resume)
	return fmt.Sprintf("%s; again and again in one group: %s", fresh, again.settled)
}

func failoverLeave(b *bench) string {
	return b.failover(leaves, (*group.Node).Leave, func(n *group.Node) {
		if code := n.ExitCode(); code != 0 {
			b.Fatalf("%s left with exit code %d", n.Name, code)
		}
		n.Start()
	}).String()
}
