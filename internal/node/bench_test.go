package node_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkSettled is what three nodes on one simulated network settle when 64
// senders, at two of them, wait for nothing but their own disk.
func BenchmarkSettled(b *testing.B) {
	w := newWorld(b)
	id, all := w.group("Alice", "Bob", "Carol")
	host, others := w.host(id, all...)
	senders := []*party{host, others[0]}
	before := int(host.chat(id).Position)
	var turn atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(run *testing.PB) {
		p := senders[turn.Add(1)%2]
		for run.Next() {
			if _, err := p.SendMessage(context.Background(), id, "a message of an ordinary length, as people write them", nil, ""); err != nil {
				b.Error(err)
				return
			}
		}
	})
	w.settled(id, before+b.N, all...)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkDelivered is how long one message takes from a member that is not
// host until all have settled it, on links without delay and disks without sync:
// our own part of the way.
func BenchmarkDelivered(b *testing.B) {
	w := newWorld(b)
	id, all := w.group("Alice", "Bob", "Carol")
	_, others := w.host(id, all...)
	sender, n := others[0], int(others[0].chat(id).Position)
	var spent time.Duration
	for b.Loop() {
		start := time.Now()
		sender.say(id, "hello")
		n++
		w.settled(id, n, all...)
		spent += time.Since(start)
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N)/1000, "ms/message")
}
