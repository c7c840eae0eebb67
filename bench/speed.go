package main

import (
	"fmt"
	"time"

	"github.com/demes-chat/demes/bench/group"
)

// trip sends messages one by one, each when the one before it is everywhere,
// and measures from the call to what is asked for. All take turns as author.
func (b *bench) trip(measure func(w *watcher, author int, text string) time.Time) times {
	g := b.live(3)
	w := watch(g, g.Nodes...)
	defer w.close()
	var out times
	for i := range trips {
		author := i % 3
		text := fmt.Sprint("trip ", i)
		begin := time.Now()
		g.Nodes[author].Send(text)
		var end time.Time
		if !w.await(group.Patience, func() bool {
			end = measure(w, author, text)
			return !end.IsZero() && !last(w.settled[text]).IsZero()
		}) {
			b.Fatalf("%q did not arrive everywhere\n%s", text, g.State())
		}
		out = append(out, end.Sub(begin))
	}
	g.UntilEqual()
	return out
}

func delivery(b *bench) string {
	return b.trip(func(w *watcher, _ int, text string) time.Time { return last(w.shown[text]) }).String()
}

func settle(b *bench) string {
	return b.trip(func(w *watcher, author int, text string) time.Time {
		if w.settled[text] == nil {
			return time.Time{}
		}
		return w.settled[text][author]
	}).String()
}

// throughput counts what is settled at all three, from the first call to the
// moment when the last node has the last message.
func throughput(b *bench) string {
	g := b.live(3)
	begin := time.Now()
	traffic := g.SendAtOnce(loadClients, g.Nodes...)
	<-time.After(loadFor)
	traffic.Stop()
	sent := time.Since(begin)
	g.UntilSettled(traffic.Accepted())
	all := time.Since(begin)
	traffic.CheckSettled(g.UntilEqual())
	n := float64(traffic.Accepted())
	return fmt.Sprintf("%.0f/s (%.0f accepted in %s, all settled after %s)", n/all.Seconds(), n, short(sent), short(all))
}

// catchUp kills a member, lets the others send, and starts it again.
func catchUp(b *bench) string {
	g := b.live(3)
	away := g.Others(g.Host())[0]
	away.Kill()
	traffic := g.SendAtOnce(loadClients, g.Running()...)
	g.Until(10*group.Patience, "the messages", func() error {
		if n := traffic.Accepted(); n < awayMessages {
			return fmt.Errorf("%d are accepted", n)
		}
		return nil
	})
	traffic.Stop()
	g.UntilEqual()
	begin := time.Now()
	away.Start()
	up := time.Since(begin)
	g.UntilSettled(traffic.Accepted())
	all := time.Since(begin)
	traffic.CheckSettled(g.UntilEqual())
	return fmt.Sprintf("%s, of which %s to start (%d messages)", short(all), short(up), traffic.Accepted())
}
