package chat

import (
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// signed are n messages of one author, ready to be sent.
func signed(r *room, by *guest, n int) (out []*wire.Event) {
	c := by.chat
	m := c.fold.Members[by.id]
	seq, prev := m.LastSeq, m.LastHash
	plain, commit := wire.PutContent([16]byte{1}, &wire.MessageContent{Text: "a message of some forty characters, or so"})
	for i := range n {
		e, err := wire.SealWith(by.key, wire.Draft{
			Chat: c.id, ID: demes.EventID{Device: by.id, Seq: seq + 1}, Kind: demes.KindMessage, Prev: prev, Seen: c.fold.Head,
			Lamport: c.fold.Lamport + uint64(i) + 1, SentAt: r.clock().Wall, Content: commit,
		}, func(context demes.Hash) ([]byte, error) { return c.keys.sealContent(plain, context) })
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, wire.PutEvent(e))
		seq, prev = e.ID.Seq, e.Hash
	}
	return out
}

// BenchmarkStepEvent is what the host does with one message that arrives:
// verify, hold, open, acknowledge.
func BenchmarkStepEvent(b *testing.B) {
	r := newRoom(b, 3)
	host, by := r.host(), r.backup()
	events := signed(r, by, min(b.N, MaxTailLog))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		f := &wire.Frame{Kind: &wire.Frame_Events{Events: &wire.Events{Events: events[i%len(events) : i%len(events)+1]}}}
		_ = by.tells(host, f)
		host.chat.out = Output{}
	}
}

// BenchmarkApply is the apply rule alone, over the same ten thousand messages
// again and again.
func BenchmarkApply(b *testing.B) {
	s := newScript(b, 1)
	s.joins(s.a[1])
	s.starts()
	base, tree := s.fold.Encode(), s.fold.group.Tree()
	var entries []Sealed
	for range 10_000 {
		entries = append(entries, s.sealed(s.utterance(s.a[1], demes.KindMessage, &wire.MessageContent{Text: "a message"})))
	}
	var fold *Fold
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if i%len(entries) == 0 {
			b.StopTimer()
			state := &wire.State{}
			_ = wire.Unmarshal(base, state)
			fold, _ = decodeFold(state, tree, true)
			b.StartTimer()
		}
		if out, _ := fold.Apply(entries[i%len(entries)]); out != Consumed {
			b.Fatal("not consumed")
		}
	}
}

// BenchmarkThousandMessages sends 1,000 messages through a room of three until
// everybody has settled them: what one operation costs is for all three.
func BenchmarkThousandMessages(b *testing.B) {
	r := newRoom(b, 3)
	by := r.backup()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		want := by.chat.fold.Position + 1_000
		for i := range 1_000 {
			if _, err := by.chat.SendText(r.clock(), fmt.Sprint("message ", i), nil, ""); err != nil {
				b.Fatal(err)
			}
		}
		r.pump()
		settled := func() bool {
			for _, g := range r.guests {
				if g.chat.fold.Position < want {
					return false
				}
			}
			return true
		}
		if !r.until(20_000, settled) {
			b.Fatalf("not settled\n%s", r)
		}
	}
	b.ReportMetric(float64(b.N)*1_000/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkOpen opens a chat whose log has 10,000 settled messages.
func BenchmarkOpen(b *testing.B) {
	r := newRoom(b, 3)
	by := r.backup()
	for range 10 {
		for range 1_000 {
			_, _ = by.chat.SendText(r.clock(), "one of ten thousand", nil, "")
		}
		r.pump()
		r.run(1_000)
	}
	if by.chat.fold.Position != 10_000 {
		b.Fatalf("position %d, want 10000", by.chat.fold.Position)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := Open(by.config(), r.clock(), by.disk.saved(by.chat.id)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkView shows a chat of fifty members, all of them connected.
func BenchmarkView(b *testing.B) {
	r := newRoom(b, 3)
	c := r.host().chat
	for i := range uint64(47) {
		a := newAuthor(100 + i)
		c.fold.Members[a.id] = &Member{Device: a.id, Name: a.name}
		c.Connected(r.clock(), a.id)
	}
	for from := range c.fold.Members {
		for to := range c.fold.Members {
			c.host.reports[[2]demes.DeviceID{from, to}] = &wire.Report{From: from[:], To: to[:], P50Us: 1_000}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if v := c.View(); len(v.Members) != 50 {
			b.Fatalf("%d members", len(v.Members))
		}
	}
}
