package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/demes-chat/demes/bench/group"
)

func TestMostCentralMemberHosts(t *testing.T) {
	long(t)
	g := lobby(t, 4)
	// Di is in the middle: 10 ms from everybody, who are 80 ms from each other.
	// Each link is named at one end, whose faults delay both directions.
	middle := g.Nodes[3]
	for i, n := range g.Nodes {
		links := []group.Fault{}
		for _, other := range g.Nodes[i+1:] {
			delay := 80.0
			if other == middle {
				delay = 10
			}
			links = append(links, group.Fault{Peer: other.Device, DelayMs: delay})
		}
		n.SetFaults(links...)
	}
	g.Until(group.Patience, "the delays to be measured", func() error {
		for i, row := range g.Nodes[0].View().Latency.RTT {
			for j, rtt := range row {
				if i != j && (rtt == nil || *rtt < 15) {
					return fmt.Errorf("the founder knows of %s", g.Nodes[0].View().Latency)
				}
			}
		}
		return nil
	})
	g.Nodes[0].Must("POST", "/chats/"+g.Chat+"/start", nil, nil)
	g.UntilHost(func(n *group.Node) bool { return n == middle })
	for _, n := range g.Nodes {
		n.Send("over long links from " + n.Name)
	}
	wantOnce(t, g.UntilEqual(), "over long links from Ann", "over long links from Di")
	chat := g.Nodes[0].View()
	if chat.Succession[0].Device != middle.Device {
		t.Errorf("the first in the succession is %s, want %s", chat.Succession[0].Name, middle.Name)
	}
}

func TestDelayedAndLossyLinksLoseNothing(t *testing.T) {
	long(t)
	g := live(t, 3)
	for _, n := range g.Nodes {
		n.SetFaults(group.Fault{Peer: "*", DelayMs: 20, JitterMs: 30, Loss: 0.05})
	}
	traffic := g.Send(20*time.Millisecond, 1, g.Nodes...)
	g.Until(group.Patience, "traffic over bad links", atLeast(traffic, 400))
	traffic.Stop()
	for _, n := range g.Nodes {
		n.SetFaults()
	}
	traffic.CheckSettled(g.UntilEqual())
}

func TestMemberThatIsCutOffIsProvisionalUntilHealed(t *testing.T) {
	long(t)
	g := live(t, 3)
	alone := g.Host() // the hardest: the others elect, and it finds itself fenced
	others := g.Others(alone)
	alone.SetFaults(group.Fault{Peer: "*", Cut: true})
	for _, n := range others {
		n.SetFaults(group.Fault{Peer: alone.Device, Cut: true})
	}
	g.Until(group.Patience, "provisional mode", func() error {
		if chat := alone.View(); chat.Mode != "provisional" || chat.WaitingText == "" {
			return fmt.Errorf("it is %s and waits for %q", chat.Mode, chat.WaitingText)
		}
		return nil
	})
	alone.Send("on my island")
	for _, n := range others {
		n.Send("on the mainland, " + n.Name)
	}
	g.Until(group.Patience, "the mainland's host", func() error {
		for _, n := range others {
			settled, _, _, err := n.Log(g.Chat)
			if err != nil || len(settled) != 2 {
				return fmt.Errorf("%s has %d settled, %v", n.Name, len(settled), err)
			}
		}
		return nil
	})
	if settled, unsettled, _, err := alone.Log(g.Chat); err != nil || len(settled) != 0 || len(unsettled) != 1 {
		t.Errorf("on the island: %d settled, %d unsettled, %v; want none and one", len(settled), len(unsettled), err)
	}
	for _, n := range g.Nodes {
		n.SetFaults()
	}
	wantOnce(t, g.UntilEqual(), "on my island", "on the mainland, "+others[0].Name, "on the mainland, "+others[1].Name)
}
