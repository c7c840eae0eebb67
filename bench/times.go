package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/demes-chat/demes/bench/group"
)

// times are what was measured of one kind.
type times []time.Duration

// at is a percentile, 0 to 100: the time that so many were not above.
func (t times) at(percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(t))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

func (t times) String() string {
	if printTimes {
		fmt.Fprintln(os.Stderr, []time.Duration(t))
	}
	if len(t) == 0 {
		return "none"
	}
	if len(t) < 50 {
		return fmt.Sprintf("p50 %s, worst of %d %s", short(t.at(50)), len(t), short(t.at(100)))
	}
	return fmt.Sprintf("p50 %s, p99 %s", short(t.at(50)), short(t.at(99)))
}

// short shows a time with as many digits as it deserves.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
}

// watcher notes when each message was first shown and first settled, at each
// of some nodes, by their live events.
type watcher struct {
	mu      sync.Mutex
	changed *sync.Cond
	shown   map[string][]time.Time // by text, a time per node
	settled map[string][]time.Time
	hosts   []sighting
	nodes   int
	stops   []func()
}

// sighting is a node's word that it has a host.
type sighting struct {
	at   time.Time
	node int
	host string
}

func watch(g *group.Group, nodes ...*group.Node) *watcher {
	w := &watcher{shown: map[string][]time.Time{}, settled: map[string][]time.Time{}, nodes: len(nodes)}
	w.changed = sync.NewCond(&w.mu)
	for i, n := range nodes {
		w.stops = append(w.stops, n.Follow(func(e group.Event) { w.see(i, g.Chat, e) }))
	}
	return w
}

func (w *watcher) close() {
	for _, stop := range w.stops {
		stop()
	}
}

func (w *watcher) see(node int, chat string, e group.Event) {
	if e.Chat != chat {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range e.All() {
		w.note(w.shown, m.Text, node, e.At)
		if m.Position != nil {
			w.note(w.settled, m.Text, node, e.At)
		}
	}
	if e.Detail.Host != nil {
		w.hosts = append(w.hosts, sighting{e.At, node, e.Detail.Host.Device})
	}
	w.changed.Broadcast()
}

func (w *watcher) note(in map[string][]time.Time, text string, node int, at time.Time) {
	if in[text] == nil {
		in[text] = make([]time.Time, w.nodes)
	}
	if in[text][node].IsZero() {
		in[text][node] = at
	}
}

// await waits until done is content, and says whether it was in time.
func (w *watcher) await(limit time.Duration, done func() bool) bool {
	late := false
	timer := time.AfterFunc(limit, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		late = true
		w.changed.Broadcast()
	})
	defer timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !late && !done() {
		w.changed.Wait()
	}
	return done()
}

// last is when the last node had something; zero while one has it not.
func last(at []time.Time) (out time.Time) {
	for _, t := range at {
		if t.IsZero() {
			return t
		}
		if t.After(out) {
			out = t
		}
	}
	return out
}

// first is when the first node had something.
func first(at []time.Time) (out time.Time) {
	for _, t := range at {
		if !t.IsZero() && (out.IsZero() || t.Before(out)) {
			out = t
		}
	}
	return out
}
