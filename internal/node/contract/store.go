// Package contract holds what every implementation of the node's interfaces
// must do, as tests: TestStore for node.Store. Its one idea is that the real
// and the simulated implementation pass the same suite, so that what is found
// with the quick one holds for the other. Only tests import it.
package contract

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/node"
)

// OpenStore opens the store that is kept in a folder, or makes one there. The
// suite closes what it opens, and then opens the same folder again: a restart.
type OpenStore func(t *testing.T, dir string) node.Store

// TestStore runs the contract of node.Store.
func TestStore(t *testing.T, open OpenStore) {
	for _, test := range []struct {
		name string
		run  func(*storeTest)
	}{
		{"an empty store answers with nothing", testEmpty},
		{"what is committed comes back, also after a restart", testRoundTrip},
		{"a chat is listed from its first batch on, oldest first", testChats},
		{"profile values are kept, replaced and deleted", testProfileValues},
		{"chat values are kept, replaced and deleted", testValues},
		{"committing twice is the same as once", testTwice},
		{"a batch that fails takes the whole call with it", testAtomic},
		{"an event is stored once and stays as it is", testEventOnce},
		{"dropped events are forgotten, settled ones are not", testDrop},
		{"what a batch drops and brings is kept", testDropAndBring},
		{"settled entries are never rewritten", testRewrite},
		{"unsettling gives events back to the tail", testUnsettle},
		{"unsettling and settling in one batch", testResettle},
		{"the past is apart until it is adopted", testPast},
		{"what is adopted replaces what stood there", testPastGivesWay},
		{"the settled log is read in pieces", testSettledPieces},
		{"the settled log is read only where it is held", testSettledGap},
		{"messages are paged both ways", testPaging},
		{"entries of the council's log overwrite what is behind", testRaftOverwrite},
		{"the council's log is compacted and reset", testRaftForget},
		{"outbox items leave when they are done", testOutbox},
		{"secrets are kept by space, replaced and deleted", testSecrets},
		{"contents come with their events, wherever these stand", testContents},
		{"contents are replaced and forgotten", testForget},
		{"contents expire in order", testExpiring},
		{"amends are found by what they change", testAmends},
		{"a batch that fails takes secrets and contents with it", testSecretsAtomic},
		{"erasing takes nothing that is there", testErase},
		{"chats do not see each other", testApart},
		{"payloads of 1 MiB", testLarge},
		{"10,000 entries", testMany},
		{"readers see whole batches beside the writer", testReaders},
		{"a closed store says so", testClosed},
		{"any history equals the model's", testModel},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &storeTest{T: t, open: open, dir: t.TempDir()}
			s.Store = open(t, s.dir)
			defer func() { s.Close() }()
			test.run(s)
		})
	}
}

// storeTest is one test with its open store.
type storeTest struct {
	*testing.T
	node.Store
	open OpenStore
	dir  string
}

func (s *storeTest) restart() {
	s.Helper()
	if err := s.Close(); err != nil {
		s.Fatalf("close: %v", err)
	}
	s.Store = s.open(s.T, s.dir)
}

// restarted runs a check, restarts the store and runs it again.
func (s *storeTest) restarted(check func()) {
	s.Helper()
	check()
	s.restart()
	check()
}

func (s *storeTest) commit(batches ...*chat.Batch) {
	s.Helper()
	if err := s.Commit(batches); err != nil {
		s.Fatalf("commit: %v", err)
	}
}

func (s *storeTest) load(id demes.ChatID) *chat.Saved {
	s.Helper()
	saved, err := s.Load(id)
	if err != nil {
		s.Fatalf("load: %v", err)
	}
	return saved
}

func (s *storeTest) settled(id demes.ChatID, from uint64, maxBytes int) []chat.SettledEntry {
	s.Helper()
	entries, err := s.Settled(id, from, maxBytes)
	if err != nil {
		s.Fatalf("settled from %d: %v", from, err)
	}
	return entries
}

func (s *storeTest) equal(what string, got, want any) {
	s.Helper()
	if !same(got, want) {
		s.Fatalf("%s:\n got %+v\nwant %+v", what, plain(got), plain(want))
	}
}

func testEmpty(s *storeTest) {
	s.restarted(func() {
		id := chatID(1)
		chats, err := s.Chats()
		if err != nil || len(chats) != 0 {
			s.Errorf("chats: got %v, %v, want none", chats, err)
		}
		if saved, err := s.Load(id); !errors.Is(err, &demes.Error{Code: demes.CodeUnknownChat}) {
			s.Errorf("load of an unknown chat: got %v, %v, want the code unknown-chat", saved, err)
		}
		if got, err := s.Messages(id, 0, 0, 10); err != nil || len(got) != 0 {
			s.Errorf("messages of an unknown chat: got %v, %v, want none", got, err)
		}
		if got, err := s.Settled(id, 1, 1000); err != nil || len(got) != 0 {
			s.Errorf("settled log of an unknown chat: got %v, %v, want none", got, err)
		}
		if got, ok, err := s.Event(id, demes.EventID{Seq: 1}); err != nil || ok {
			s.Errorf("event of an unknown chat: got %v, %v, want none", got, err)
		}
		if got, next, err := s.Expiring(id, 1<<62, 10); err != nil || len(got) != 0 || next != 0 {
			s.Errorf("what expires in an unknown chat: got %v, %d, %v, want none", got, next, err)
		}
		if got, err := s.Amends(id, nil); err != nil || len(got) != 0 {
			s.Errorf("amends of an unknown chat: got %v, %v, want none", got, err)
		}
		if err := s.Erase(); err != nil {
			s.Errorf("erase with nothing there: %v", err)
		}
		if got, err := s.Value("name"); err != nil || got != nil {
			s.Errorf("unknown value: got %q, %v, want nil", got, err)
		}
		s.commit()
		s.commit(nil, nil)
	})
}

func testRoundTrip(s *storeTest) {
	id := chatID(1)
	a, b := newAuthor(id, 1), newAuthor(id, 2)
	first, second, tail := a.messages(2), b.messages(1), b.messages(2)
	failed := settling(3, 0, second...)
	failed[0].Void = "not allowed"
	entries := append(settling(1, 1, first...), append(failed, recordEntry(4))...)
	outbox := []chat.OutboxItem{
		{Seq: 3, Kind: demes.KindMessage, Payload: []byte("three"), SentAt: -1, Key: "key"},
		{Seq: 4, Kind: demes.KindLeave},
	}
	s.commit(&chat.Batch{
		Chat: id, Put: []chat.Value{{Name: "vote", Data: []byte{0, 1}}, {Name: "", Data: []byte("no name")}},
		Raft:   &chat.RaftChange{Generation: 1, Entries: append(raftEntries(1, 1, 3), chat.RaftEntry{Index: 4, Term: 1 << 63})},
		Events: append(first, tail...), Settled: entries, Outbox: outbox,
	})
	s.restarted(func() {
		s.equal("saved", s.load(id), &chat.Saved{
			Chat: id, Values: map[string][]byte{"vote": {0, 1}, "": []byte("no name")},
			Raft: append(raftEntries(1, 1, 3), chat.RaftEntry{Index: 4, Term: 1 << 63}), Tail: tail, Outbox: outbox,
		})
		s.equal("settled", s.settled(id, 1, 1<<20), entries)
		for _, want := range append(entries[:3:3], chat.SettledEntry{Event: tail[0]}) {
			got, ok, err := s.Event(id, want.Event.ID)
			if err != nil || !ok {
				s.Fatalf("event %s: got %v, %v", want.Event.ID, ok, err)
			}
			s.equal("event", got, want)
		}
		if _, ok, err := s.Event(id, demes.EventID{Device: a.device, Seq: 1<<64 - 1}); ok || err != nil {
			s.Errorf("event with the largest seq: got %v, %v, want none", ok, err)
		}
	})
}

func testChats(s *storeTest) {
	var want []demes.ChatID
	for _, number := range []byte{9, 3, 7, 1} {
		want = append(want, chatID(number))
		s.commit(&chat.Batch{Chat: chatID(number)}, &chat.Batch{Chat: chatID(9)})
	}
	s.restarted(func() {
		got, err := s.Chats()
		if err != nil {
			s.Fatal(err)
		}
		s.equal("chats", got, want)
		s.equal("a chat without content", s.load(chatID(3)), &chat.Saved{Chat: chatID(3), Values: map[string][]byte{}})
	})
}

func testProfileValues(s *storeTest) {
	for _, v := range []struct{ name, data string }{{"a", "1"}, {"b", "2"}, {"a", "3"}, {"b", ""}, {"c", ""}} {
		if err := s.SetValue(v.name, []byte(v.data)); err != nil {
			s.Fatalf("set %s: %v", v.name, err)
		}
	}
	s.restarted(func() {
		for name, want := range map[string]string{"a": "3", "b": "", "c": ""} {
			if got, err := s.Value(name); err != nil || string(got) != want {
				s.Errorf("value %s: got %q, %v, want %q", name, got, err, want)
			}
		}
	})
}

func testValues(s *storeTest) {
	id := chatID(1)
	one := &chat.Batch{Chat: id, Put: []chat.Value{{Name: "a", Data: []byte("1")}, {Name: "b", Data: []byte("2")}}}
	two := &chat.Batch{Chat: id, Put: []chat.Value{{Name: "a", Data: []byte("3")}, {Name: "b"}, {Name: "c"}}}
	s.commit(one, two)
	s.restarted(func() { s.equal("values", s.load(id).Values, map[string][]byte{"a": []byte("3")}) })
}

func testApart(s *storeTest) {
	var batches []*chat.Batch
	for number := range byte(3) {
		id := chatID(number)
		a := newAuthor(id, 1) // the same device in every chat
		events := a.messages(4)
		batches = append(batches, &chat.Batch{
			Chat: id, Put: []chat.Value{{Name: "n", Data: []byte{number + 1}}}, Events: events,
			Settled: settling(1, 1, events[:2]...), Outbox: []chat.OutboxItem{{Seq: 9, Payload: []byte{number}}},
			Raft:     &chat.RaftChange{Generation: 1, Entries: raftEntries(uint64(number)+1, 1, 2)},
			Contents: []chat.Content{{Event: events[3].ID, Plain: []byte{number + 1}, ExpiresMs: int64(number) + 1}},
			Secrets:  putSecrets("mls", "epoch", fmt.Sprint(number)),
		})
	}
	s.commit(batches...)
	s.commit(&chat.Batch{
		Chat: chatID(1), Put: []chat.Value{{Name: "n"}}, Unsettle: new(uint64), OutboxDone: []uint64{9},
		Raft: &chat.RaftChange{Generation: 1, Reset: true}, Drop: []demes.EventID{batches[1].Events[3].ID},
		Forget: []demes.EventID{batches[1].Events[3].ID}, Secrets: []chat.SecretChange{{Space: "mls", Reset: true}},
	})
	s.restarted(func() {
		for _, number := range []byte{0, 2} {
			b := batches[number]
			s.equal("another chat", s.load(b.Chat), &chat.Saved{
				Chat: b.Chat, Values: map[string][]byte{"n": {number + 1}}, Raft: b.Raft.Entries,
				Tail: []*demes.Event{b.Events[2], saidUntil(b.Events[3], string([]byte{number + 1}), int64(number)+1)}, Outbox: b.Outbox,
				Secrets: map[string][]chat.Value{"mls": {{Name: "epoch", Data: []byte(fmt.Sprint(number))}}},
			})
			s.expiring(b.Chat, 1<<62, 9, 0, b.Events[3].ID)
			s.equal("its settled log", s.settled(b.Chat, 1, 1<<20), b.Settled)
		}
		b := batches[1]
		s.equal("the chat", s.load(b.Chat), &chat.Saved{Chat: b.Chat, Values: map[string][]byte{}, Tail: b.Events[:3]})
		s.expiring(b.Chat, 1<<62, 9, 0)
	})
}

func testLarge(s *storeTest) {
	id := chatID(1)
	a := newAuthor(id, 1)
	held := a.message(bytes.Repeat([]byte("held"), demes.MaxCommitPayload/4))
	done := a.message(bytes.Repeat([]byte("done"), demes.MaxCommitPayload/4))
	value := bytes.Repeat([]byte("v"), 3<<20)
	s.commit(&chat.Batch{
		Chat: id, Put: []chat.Value{{Name: "base", Data: value}}, Events: []*demes.Event{held, done},
		Settled: settling(1, 1, done),
		Raft:    &chat.RaftChange{Generation: 1, Entries: []chat.RaftEntry{{Index: 1, Term: 1, Data: value}}},
	})
	s.restarted(func() {
		saved := s.load(id)
		s.equal("tail", saved.Tail, []*demes.Event{held})
		s.equal("settled", s.settled(id, 1, 1), settling(1, 1, done))
		if !bytes.Equal(saved.Values["base"], value) || len(saved.Raft) != 1 || !bytes.Equal(saved.Raft[0].Data, value) {
			s.Error("a value or an entry of 3 MiB came back changed")
		}
	})
}

func testMany(s *storeTest) {
	const count, step = 10_000, 500
	id := chatID(1)
	a := newAuthor(id, 1)
	var want []chat.SettledEntry
	for index := uint64(1); index <= count; index += step {
		events := a.messages(step)
		entries := settling(index, index, events...)
		want = append(want, entries...)
		s.commit(&chat.Batch{Chat: id, Events: events}, &chat.Batch{Chat: id, Settled: entries})
	}
	s.restarted(func() {
		var got []chat.SettledEntry
		for from := uint64(1); ; from = got[len(got)-1].Index + 1 {
			entries := s.settled(id, from, 64<<10)
			if len(entries) == 0 {
				break
			}
			got = append(got, entries...)
		}
		s.equal("settled log", got, want)
		if tail := s.load(id).Tail; len(tail) != 0 {
			s.Errorf("tail: got %d events, want none: all are settled", len(tail))
		}
	})
}

// testReaders writes batches that each add one event, one entry and their
// number, and lets readers look for a state between two batches.
func testReaders(s *storeTest) {
	const count, readers = 100, 4
	id := chatID(1)
	a := newAuthor(id, 1)
	s.commit(&chat.Batch{Chat: id})
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			for seen := uint64(0); ; {
				saved, err := s.Load(id)
				if err != nil {
					s.Errorf("load beside the writer: %v", err)
					return
				}
				n := uint64(len(saved.Values["n"]))
				if uint64(len(saved.Tail)) != n || uint64(len(saved.Raft)) != n || n < seen {
					s.Errorf("saw %d events, %d entries and the number %d after %d: want one state, and none before",
						len(saved.Tail), len(saved.Raft), n, seen)
					return
				}
				seen = n
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for n := uint64(1); n <= count; n++ {
		err := s.Commit([]*chat.Batch{
			{Chat: id, Events: a.messages(1)},
			{Chat: id, Raft: &chat.RaftChange{Generation: 1, Entries: raftEntries(1, n, n)}},
			{Chat: id, Put: []chat.Value{{Name: "n", Data: make([]byte, n)}}},
		})
		if err != nil {
			s.Errorf("commit beside readers: %v", err)
			break
		}
	}
	close(stop)
	group.Wait()
}

func testClosed(s *storeTest) {
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		s.Fatalf("close twice: %v", err)
	}
	_, chats := s.Chats()
	_, load := s.Load(chatID(1))
	_, value := s.Value("a")
	_, _, expiring := s.Expiring(chatID(1), 1, 1)
	_, amends := s.Amends(chatID(1), nil)
	for what, err := range map[string]error{
		"commit": s.Commit([]*chat.Batch{{Chat: chatID(1)}}), "set value": s.SetValue("a", []byte("b")),
		"chats": chats, "load": load, "value": value, "expiring": expiring, "amends": amends, "erase": s.Erase(),
	} {
		if !errors.Is(err, &demes.Error{Code: demes.CodeShuttingDown}) {
			s.Errorf("%s after close: got %v, want the code shutting-down", what, err)
		}
	}
	s.Store = s.open(s.T, s.dir)
	if got := fmt.Sprint(s.Chats()); got != "[] <nil>" {
		s.Errorf("chats after reopening: got %s, want none: nothing was committed", got)
	}
}
