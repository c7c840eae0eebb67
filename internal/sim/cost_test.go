package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// BenchmarkCosts measures what a message, a join and a removal cost each device of
// a chat in the default suite: real time inside the chat, which is one core's, and
// bytes of frames. The network is virtual and the disks are free.
//
//	go test ./internal/sim -run XXX -bench Costs -benchtime 1x
func BenchmarkCosts(b *testing.B) {
	for _, n := range []int{3, 50, 250} {
		b.Run(fmt.Sprint(n, " members"), func(b *testing.B) {
			for range b.N {
				costs(b, n)
			}
		})
	}
}

func costs(b *testing.B, n int) {
	w := New(uint64(n), 3, Net{DelayMin: 1, DelayMax: 2, Suite: mls.XWing})
	if err := w.GoLive(); err != nil {
		b.Fatal(err)
	}
	w.Run(10_000)
	host := w.Host()
	author, member := others(w, host)[0], others(w, host)[1]
	secret := []byte("sixteen bytes !!")
	if err := w.Invite(host.index, secret); err != nil {
		b.Fatal(err)
	}
	w.Run(3_000)
	w.ghosts(b, n-3, secret)
	const messages = 50
	var sealing time.Duration
	cost := w.meter(func() {
		for i := range messages {
			begun := author.spent
			if err := author.Say(fmt.Sprintf("message %3d of some forty characters", i)); err != nil {
				b.Fatal(err)
			}
			sealing += author.spent - begun
			w.Run(300)
		}
		w.Run(2_000)
	})
	us := func(d time.Duration, of int) float64 { return float64(d.Microseconds()) / float64(of) }
	b.ReportMetric(us(sealing, messages), "send-µs")
	b.ReportMetric(us(cost.spent[member], messages), "receive-µs")
	b.ReportMetric(us(cost.spent[host], messages), "host-µs")
	b.ReportMetric(float64(cost.received[member])/messages, "receive-B")

	late := w.addLate(1)[0]
	cost = w.meter(func() {
		w.JoinBy(late.index, host.index, secret)
		if !w.Until(20_000, func() bool { return late.chat != nil }) {
			b.Fatalf("nobody let it in\n%s", w.Err())
		}
		w.Run(3_000)
	})
	b.ReportMetric(us(cost.spent[host], 1)/1000, "join-host-ms")
	b.ReportMetric(us(cost.spent[member], 1)/1000, "join-member-ms")
	b.ReportMetric(us(w.entering, 1)/1000, "join-joiner-ms")
	b.ReportMetric(float64(cost.received[member]), "join-member-B")
	b.ReportMetric(float64(w.welcome), "welcome-B")

	founder := w.Nodes[0]
	cost = w.meter(func() {
		if err := founder.chat.Remove(founder.clock(), late.ID); err != nil {
			b.Fatal(err)
		}
		founder.turn()
		gone := func() bool {
			return host.chat.Fold().Members[late.ID] == nil && host.chat.View().Keys.State == demes.KeysGood
		}
		if !w.Until(20_000, gone) {
			b.Fatalf("it stays\n%s", w.Err())
		}
		w.Run(3_000)
	})
	b.ReportMetric(us(cost.spent[founder], 1)/1000, "remove-author-ms")
	b.ReportMetric(us(cost.spent[member], 1)/1000, "remove-member-ms")
	b.ReportMetric(float64(cost.received[member]), "remove-member-B")
	b.ReportMetric(0, "ns/op")
}

// ghosts lets in members that are never online. They never renew their keys either,
// so that each change of keys has a ciphertext for each of them: the worst case.
func (w *World) ghosts(b *testing.B, n int, secret []byte) {
	key, err := wire.InviteKey(w.Chat, secret)
	if err != nil {
		b.Fatal(err)
	}
	host := w.Host()
	for i := range n {
		ghost := newNode(w, 100+i)
		if state := host.chat.Ask(host.clock(), ghost.ID, "127.0.0.1:1", ghost.request(key)).GetState(); state != wire.JoinAnswer_WAITING {
			b.Fatalf("ghost %d: %s", i, state)
		}
		if i%32 == 31 || i == n-1 {
			host.turn()
			if !w.Until(20_000, func() bool {
				return len(host.chat.Fold().Members) == 3+i+1 && host.chat.View().Keys.State == demes.KeysGood
			}) {
				b.Fatalf("the ghosts are not let in\n%s", w.Describe())
			}
		}
	}
	w.Run(3_000)
}

// bill is what something cost each node.
type bill struct {
	spent    map[*Node]time.Duration
	received map[*Node]int
}

func (w *World) meter(do func()) bill {
	out := bill{map[*Node]time.Duration{}, map[*Node]int{}}
	for _, n := range w.Nodes {
		out.spent[n], out.received[n] = -n.spent, -n.received
	}
	do()
	for _, n := range w.Nodes {
		out.spent[n] += n.spent
		out.received[n] += n.received
	}
	return out
}
