package store_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/store"
	"github.com/demes-chat/demes/internal/wire"
)

// chatID is the chat of these tests.
var chatID = demes.ChatID{0xc4}

// newEvents returns signed messages of one device with a text of about a line.
func newEvents(from, count int) []*demes.Event {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	device := demes.DeviceID(key.Public().(ed25519.PublicKey))
	var events []*demes.Event
	for seq := from; seq < from+count; seq++ {
		prev := demes.Hash{byte(min(seq-1, 1))} // none for the first, any for the others
		events = append(events, wire.Seal(key, wire.Draft{
			Chat: chatID, ID: demes.EventID{Device: device, Seq: uint64(seq)}, Kind: demes.KindMessage,
			Prev: prev, Seen: demes.Head{Generation: 1, Index: uint64(seq)}, Lamport: uint64(seq),
			SentAt: 1_700_000_000_000, Payload: fmt.Appendf(nil, "%-200d", seq),
		}))
	}
	return events
}

func newEntries(events []*demes.Event) []chat.SettledEntry {
	var out []chat.SettledEntry
	for _, e := range events {
		out = append(out, chat.SettledEntry{
			Index: e.ID.Seq, Position: e.ID.Seq, Generation: 1, Term: 1, Slot: e.ID.Seq, LogMs: e.SentAt, Hash: e.Hash, Event: e,
		})
	}
	return out
}

func openStore(t testing.TB, dir string, opts ...store.Option) *store.Store {
	t.Helper()
	s, err := store.Open(dir, opts...)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func commit(t testing.TB, s *store.Store, batches ...*chat.Batch) {
	t.Helper()
	if err := s.Commit(batches); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func perSecond(b *testing.B, each int, what string) {
	b.ReportMetric(float64(b.N*each)/b.Elapsed().Seconds(), what+"/s")
}

// BenchmarkHold commits one event at a time, as its arrival does.
func BenchmarkHold(b *testing.B) {
	s := openStore(b, b.TempDir())
	events := newEvents(1, b.N)
	b.ResetTimer()
	for _, e := range events {
		commit(b, s, &chat.Batch{Chat: chatID, Events: []*demes.Event{e}})
	}
	perSecond(b, 1, "commits")
}

// BenchmarkTurn commits what one message costs a council member that settles it
// at once: an entry of the council's log, the event, its settled entry, a value.
func BenchmarkTurn(b *testing.B) {
	s := openStore(b, b.TempDir())
	events := newEvents(1, b.N)
	entries := newEntries(events)
	b.ResetTimer()
	for i, e := range events {
		commit(b, s, &chat.Batch{
			Chat: chatID, Put: []chat.Value{{Name: "hard state", Data: []byte{1, 2, byte(i)}}},
			Raft: &chat.RaftChange{
				Generation: 1, CompactedTo: e.ID.Seq - min(e.ID.Seq, 100),
				Entries: []chat.RaftEntry{{Index: e.ID.Seq, Term: 1, Data: e.Body}},
			},
			Settled: entries[i : i+1],
		})
	}
	perSecond(b, 1, "commits")
}

// BenchmarkBatch holds 100 events in one commit and settles them in the next.
func BenchmarkBatch(b *testing.B) {
	const size = 100
	s := openStore(b, b.TempDir())
	events := newEvents(1, size*b.N)
	entries := newEntries(events)
	b.ResetTimer()
	for i := range b.N {
		commit(b, s, &chat.Batch{Chat: chatID, Events: events[i*size : (i+1)*size]})
		commit(b, s, &chat.Batch{Chat: chatID, Settled: entries[i*size : (i+1)*size]})
	}
	perSecond(b, size, "events")
}

// history makes a store with a settled log of 10,000 messages.
func history(t testing.TB) *store.Store {
	const count, step = 10_000, 1000
	s := openStore(t, t.TempDir())
	for from := 1; from < count; from += step {
		commit(t, s, &chat.Batch{Chat: chatID, Settled: newEntries(newEvents(from, step))})
	}
	return s
}

func BenchmarkPage(b *testing.B) {
	s := history(b)
	before := uint64(0)
	for b.Loop() {
		page, err := s.Messages(chatID, 0, before, 50)
		if err != nil {
			b.Fatal(err)
		}
		if before = 0; len(page) > 0 {
			before = page[0].Position
		}
	}
}

// BenchmarkCatchUp reads all of the log in pieces of a batch.
func BenchmarkCatchUp(b *testing.B) { catchUp(b, history(b)) }

// BenchmarkSealedCatchUp is BenchmarkCatchUp where every message was read.
func BenchmarkSealedCatchUp(b *testing.B) {
	s := history(b)
	contents, _ := newSaid(newEvents(1, 10_000))
	commit(b, s, &chat.Batch{Chat: chatID, Contents: contents})
	catchUp(b, s)
}

func catchUp(b *testing.B, s *store.Store) {
	for b.Loop() {
		for from := uint64(1); from <= 10_000; {
			entries, err := s.Settled(chatID, from, wire.MaxBatch)
			if err != nil || len(entries) == 0 {
				b.Fatal(len(entries), err)
			}
			from += uint64(len(entries))
		}
	}
	perSecond(b, 10_000, "events")
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	openStore(b, dir).Close()
	for b.Loop() {
		openStore(b, dir).Close()
	}
}

// newSaid returns what was read in the events and the keys that this took: a
// content for each, and one key record that takes the last one's place.
func newSaid(events []*demes.Event) (contents []chat.Content, secrets []chat.SecretChange) {
	for _, e := range events {
		contents = append(contents, chat.Content{Event: e.ID, Plain: fmt.Appendf(nil, "%-200d", e.ID.Seq)})
		secrets = append(secrets, chat.SecretChange{Space: "mls", Put: []chat.Value{
			{Name: fmt.Sprint("leaf ", e.ID.Seq%8), Data: fmt.Appendf(nil, "%-200d", e.ID.Seq)},
		}})
	}
	return contents, secrets
}

// BenchmarkSealedTurn is BenchmarkTurn in an encrypted chat: a content and a key
// record more.
func BenchmarkSealedTurn(b *testing.B) {
	s := openStore(b, b.TempDir())
	events := newEvents(1, b.N)
	entries := newEntries(events)
	contents, secrets := newSaid(events)
	b.ResetTimer()
	for i, e := range events {
		commit(b, s, &chat.Batch{
			Chat: chatID, Put: []chat.Value{{Name: "hard state", Data: []byte{1, 2, byte(i)}}},
			Raft: &chat.RaftChange{
				Generation: 1, CompactedTo: e.ID.Seq - min(e.ID.Seq, 100),
				Entries: []chat.RaftEntry{{Index: e.ID.Seq, Term: 1, Data: e.Body}},
			},
			Settled: entries[i : i+1], Contents: contents[i : i+1], Secrets: secrets[i : i+1],
		})
	}
	perSecond(b, 1, "commits")
}

// BenchmarkSealedBatch is BenchmarkBatch in an encrypted chat. Each event has a
// content, and changes a key record.
func BenchmarkSealedBatch(b *testing.B) {
	const size = 100
	s := openStore(b, b.TempDir())
	events := newEvents(1, size*b.N)
	entries := newEntries(events)
	contents, secrets := newSaid(events)
	b.ResetTimer()
	for i := range b.N {
		from, to := i*size, (i+1)*size
		commit(b, s, &chat.Batch{Chat: chatID, Events: events[from:to], Contents: contents[from:to], Secrets: secrets[from:to]})
		commit(b, s, &chat.Batch{Chat: chatID, Settled: entries[from:to]})
	}
	perSecond(b, size, "events")
}

// BenchmarkErase is what the writer's pause costs after 20 turns of an encrypted
// chat.
func BenchmarkErase(b *testing.B) {
	s := openStore(b, b.TempDir())
	events := newEvents(1, 1000)
	entries := newEntries(events)
	contents, secrets := newSaid(events)
	var spent time.Duration
	for round := 0; b.Loop(); round++ {
		for i := range 20 {
			at := (20*round + i) % len(events)
			commit(b, s, &chat.Batch{Chat: chatID, Settled: entries[at : at+1], Contents: contents[at : at+1], Secrets: secrets[at : at+1]})
		}
		start := time.Now()
		if err := s.Erase(); err != nil {
			b.Fatal(err)
		}
		spent += time.Since(start)
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N)/1000, "ms/erase")
}
