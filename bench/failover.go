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

// failover takes the host out by down, again and again, and brings it back by
// up. Its chat is active: the others have just been sending.
func (b *bench) failover(n int, down, up func(*group.Node)) string {
	g := b.live(3)
	var hosts, settled times
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
		hosts, settled = append(hosts, cost.host), append(settled, cost.settled)
		up(host)
		traffic.CheckSettled(g.UntilEqual())
	}
	return fmt.Sprintf("first message settled: %s; new host known to both: %s", settled, hosts)
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
	return b.failover(kills, (*group.Node).Kill, func(n *group.Node) { n.Start() })
}

func failoverStop(b *bench) string {
	if !group.CanPause {
		return "this system cannot pause a process"
	}
	return b.failover(stops, (*group.Node).Pause, (*group.Node).Resume)
}

func failoverLeave(b *bench) string {
	return b.failover(leaves, (*group.Node).Leave, func(n *group.Node) {
		if code := n.ExitCode(); code != 0 {
			b.Fatalf("%s left with exit code %d", n.Name, code)
		}
		n.Start()
	})
}
