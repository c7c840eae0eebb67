package council

import (
	"testing"
)

// BenchmarkThreeVoters orders entries of 700 bytes in batches of 20 among three
// groups that answer at once, without disks.
func BenchmarkThreeVoters(b *testing.B) {
	w := newWorld(b, 1, 3, 3)
	w.fsync, w.latency = 0, func(int, int) int64 { return 0 }
	w.runUntil(1000, func() bool { return w.host() != nil && w.allFollow() })
	w.run(500)
	w.runUntil(1000, func() bool { return !w.node(1).syncing && !w.node(2).syncing && !w.node(3).syncing })
	host := w.host()
	batch := make([][]byte, 20)
	for i := range batch {
		batch[i] = make([]byte, 700)
	}
	pump := func() {
		var queue []Message
		var from []*node
		collect := func(x *node) {
			for r, ok := x.group.Ready(); ok; r, ok = x.group.Ready() {
				x.group.Advance()
				x.group.SetCheckpoint(r.Applied, []byte("head"))
				for _, m := range r.Messages {
					queue, from = append(queue, m), append(from, x)
				}
			}
		}
		collect(host)
		for len(queue) > 0 {
			m, sender := queue[0], from[0]
			queue, from = queue[1:], from[1:]
			for _, x := range w.nodes {
				if x.device == m.To && m.Raft != nil {
					if err := x.group.Step(w.clock(), sender.device, m.Raft); err != nil {
						b.Fatal(err)
					}
					collect(x)
				}
			}
		}
	}
	pump()
	b.ReportAllocs()
	for b.Loop() {
		if err := host.group.Propose(batch...); err != nil {
			b.Fatal(err)
		}
		pump()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(batch)), "µs/entry")
}

// BenchmarkIdle is what an idle chat costs per beat of its host.
func BenchmarkIdle(b *testing.B) {
	w := settled(b, 1, 3, 3)
	w.run(5000)
	g, term := w.node(2).group, w.node(2).group.Term()
	now := w.clock()
	for b.Loop() {
		now.Mono += 100
		g.Heard(now, testDevice(1), 100)
		g.Confirmed(now, testDevice(1), term)
		_ = g.Deadline()
	}
}
