package node_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node"
)

const years = 10 * 365 * 24 * time.Hour

// wrongBy makes a node's clock wrong; its seconds are as long as everybody's.
func wrongBy(wrong time.Duration) func(*node.Config) {
	start := time.Now()
	return func(c *node.Config) {
		c.Now = func() demes.Now {
			return demes.Now{Mono: 1 + time.Since(start).Milliseconds(), Wall: time.Now().Add(wrong).UnixMilli()}
		}
	}
}

func TestClocksThatAreYearsOff(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.add("Alice"), w.add("Bob", wrongBy(years)), w.add("Carol", wrongBy(-years))
	id := alice.lobby("Ducks")
	ctx := context.Background()
	link := alice.invite(id)
	if v := carol.join(link, ""); v.State != demes.JoinJoined {
		t.Fatalf("with a clock that is slow: %+v", v)
	}
	if _, err := bob.Join(ctx, link, "", ""); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("with a clock that is fast a link looks old: %v", err)
	}
	j, err := bob.Join(ctx, "", alice.Describe().Addresses[0], "")
	if err != nil {
		t.Fatal(err)
	}
	w.until("Bob knocks", func() bool { return len(alice.chat(id).Knocks) > 0 })
	if err := alice.DecideKnock(ctx, id, bob.device(), true); err != nil {
		t.Fatal(err)
	}
	w.until("Bob is in", func() bool { v, err := bob.JoinStatus(ctx, j); return err == nil && v.State == demes.JoinJoined })
	if err := alice.StartChat(ctx, id); err != nil {
		t.Fatal(err)
	}
	all := []*party{alice, bob, carol}
	w.live(id, all...)
	for _, p := range all {
		p.say(id, "the time of "+p.name)
	}
	w.settled(id, 3, all...)
	for _, to := range all[1:] {
		device := to.device()
		w.until(to.name+" hosts", func() bool {
			_ = alice.Handover(ctx, id, &device)
			host := alice.chat(id).Host
			return host != nil && host.Device == device.String()
		})
		to.say(id, "hosted by "+to.name)
	}
	w.settled(id, 5, all...)
	for _, p := range all { // what it made, another's clock still takes
		dan := w.add("Dan of " + p.name)
		if v := dan.join(p.invite(id), ""); v.State != demes.JoinJoined {
			t.Errorf("by an invite of %s: %+v %v", p.name, v, v.Problem)
		}
	}
}
