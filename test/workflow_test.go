package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/demes-chat/demes/bench/group"
)

func TestThreeTerminalsChat(t *testing.T) {
	g := live(t, 3)
	for i, n := range g.Nodes {
		n.Send(fmt.Sprintf("hello from %d", i))
	}
	settled := g.UntilEqual()
	wantOnce(t, settled, "hello from 0", "hello from 1", "hello from 2")
	if first := *settled[0].Position; first != 1 {
		t.Errorf("the first message has the position %d, want 1", first)
	}
	for _, n := range g.Nodes {
		if chat := n.View(); chat.Next == nil || len(chat.Succession) != 3 || *chat.Next == *chat.Host {
			t.Errorf("%s does not know who is next: %s", n.Name, chat)
		}
	}
}

func TestNewMemberJoinsByLinkOfAnOfflineMember(t *testing.T) {
	long(t)
	g := live(t, 3)
	host := g.Host()
	inviter := g.Others(host)[0]
	before := inviter.View().Head.Index
	link := inviter.Invite()
	g.Until(group.Patience, "the invite to be known", func() error {
		for _, n := range g.Nodes {
			if head := n.View().Head; head.Index <= before {
				return fmt.Errorf("%s is at %d", n.Name, head.Index)
			}
		}
		return nil
	})
	inviter.Kill()
	host.Send("before the newcomer")
	newcomer := g.Add("--join", link)
	g.Until(group.Patience, "the newcomer's chat", func() error {
		for _, n := range g.Running() {
			for _, chat := range n.Chats() {
				if chat.ID == g.Chat && len(chat.Members) == 4 {
					continue
				}
				return fmt.Errorf("%s sees %s", n.Name, chat)
			}
		}
		if len(newcomer.Chats()) != 1 {
			return fmt.Errorf("the newcomer has %d chats", len(newcomer.Chats()))
		}
		return nil
	})
	newcomer.Send("I am new")
	g.UntilEqual()
	inviter.Start()
	inviter.Send("welcome")
	wantOnce(t, g.UntilEqual(), "I am new", "welcome")
}

func TestManyChatsOnOneNodeStayApart(t *testing.T) {
	long(t)
	const chats = 20
	g := live(t, 3)
	ids := []string{g.Chat}
	for i := range chats {
		ids = append(ids, g.Another(fmt.Sprint("Chat ", i)))
	}
	for _, id := range ids {
		for _, n := range g.Nodes {
			if _, err := n.TrySend(id, n.Name+" in "+id[:8]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, id := range ids {
		settled := g.UntilEqualIn(id)
		if len(settled) != 3 {
			t.Errorf("chat %.8s has %d messages, want 3", id, len(settled))
		}
		wantOnce(t, settled, "Ann in "+id[:8], "Bo in "+id[:8], "Cy in "+id[:8])
	}
}

func TestEverybodyKilledAndBack(t *testing.T) {
	long(t)
	g := live(t, 3)
	traffic := g.Send(10*time.Millisecond, 1, g.Nodes...)
	g.Until(group.Patience, "some traffic", atLeast(traffic, 100))
	for _, n := range g.Nodes {
		n.Kill()
	}
	for _, n := range g.Nodes {
		n.Start()
	}
	now := traffic.Accepted()
	g.Until(group.Patience, "more traffic", atLeast(traffic, now+60))
	traffic.Stop()
	traffic.CheckSettled(g.UntilEqual())
}

// atLeast is content when so many messages were accepted.
func atLeast(traffic *group.Traffic, n int) func() error {
	return func() error {
		if got := traffic.Accepted(); got < n {
			return fmt.Errorf("%d of %d messages are accepted", got, n)
		}
		return nil
	}
}

func TestMemberAwayForTenThousandMessages(t *testing.T) {
	long(t)
	const messages = 10_000
	g := live(t, 3)
	away := g.Others(g.Host())[0]
	away.Send("see you")
	g.UntilEqual()
	away.Kill()
	traffic := g.Send(time.Millisecond, 8, g.Others(away)...)
	g.Until(3*group.Patience, "10,000 messages", atLeast(traffic, messages))
	traffic.Stop()
	g.UntilEqual()
	away.Start()
	away.Send("I am back")
	settled := g.UntilEqual()
	if len(settled) < messages+2 {
		t.Errorf("%d messages, want more than %d", len(settled), messages+1)
	}
	if settled[len(settled)-1].Text != "I am back" {
		t.Errorf("the last message is %q", settled[len(settled)-1].Text)
	}
}
