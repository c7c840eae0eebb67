package contract

import (
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

func testTwice(s *storeTest) {
	id := chatID(1)
	a := newAuthor(id, 1)
	e := a.messages(6)
	zero := uint64(0)
	batches := []*chat.Batch{
		{Chat: id, Events: e[:4], Put: []chat.Value{{Name: "a", Data: []byte("1")}}},
		{Chat: id, Raft: &chat.RaftChange{Generation: 1, Entries: raftEntries(1, 1, 5)}},
		{Chat: id, Settled: settling(1, 1, e[:3]...), Outbox: []chat.OutboxItem{{Seq: 7}, {Seq: 8}}},
		{Chat: id, Raft: &chat.RaftChange{Generation: 1, Entries: raftEntries(2, 4, 6), CompactedTo: 2}, OutboxDone: []uint64{7}},
		{Chat: id, Drop: []demes.EventID{e[3].ID}, Put: []chat.Value{{Name: "a"}}},
		{Chat: id, Unsettle: &zero, Settled: settling(1, 1, e[0]), Drop: []demes.EventID{e[2].ID}, Events: e[4:]},
		{Chat: id, Raft: &chat.RaftChange{Generation: 2, Reset: true, Entries: raftEntries(1, 1, 1)}},
	}
	once := NewMemoryStore()
	for _, b := range batches {
		if err := once.Commit([]*chat.Batch{b}); err != nil {
			s.Fatal(err)
		}
		s.commit(b)
		s.commit(b)
		want, _ := once.Load(id)
		s.equal("saved", s.load(id), want)
		entries, _ := once.Settled(id, 1, 1<<20)
		s.equal("settled", s.settled(id, 1, 1<<20), entries)
	}
}

func testAtomic(s *storeTest) {
	id, other := chatID(1), chatID(2)
	a := newAuthor(id, 1)
	e := a.messages(3)
	s.commit(&chat.Batch{Chat: id, Settled: settling(1, 1, e[0])})
	before := s.load(id)
	good := []*chat.Batch{
		{Chat: other, Put: []chat.Value{{Name: "a", Data: []byte("1")}}},
		{
			Chat: id, Events: e[1:], Put: []chat.Value{{Name: "a", Data: []byte("1")}}, Outbox: []chat.OutboxItem{{Seq: 1}},
			Raft: &chat.RaftChange{Generation: 1, Entries: raftEntries(1, 1, 3)}, Settled: settling(2, 2, e[1]),
		},
	}
	bad := &chat.Batch{Chat: id, Settled: settling(1, 1, e[2])} // index 1 is taken
	if err := s.Commit(append(good, bad)); err == nil {
		s.Fatal("a batch that rewrites a settled entry was committed")
	}
	s.restarted(func() {
		s.equal("saved", s.load(id), before)
		s.equal("settled", s.settled(id, 1, 1<<20), settling(1, 1, e[0]))
		chats, err := s.Chats()
		if err != nil {
			s.Fatal(err)
		}
		s.equal("chats", chats, []demes.ChatID{id})
	})
	s.commit(good...)
	s.equal("settled after the next commit", s.settled(id, 1, 1<<20), settling(1, 1, e[:2]...))
}

func testEventOnce(s *storeTest) {
	id := chatID(1)
	first, second := newAuthor(id, 1).message([]byte("one")), newAuthor(id, 1).message([]byte("other")) // one id
	s.commit(&chat.Batch{Chat: id, Events: []*demes.Event{first}}, &chat.Batch{Chat: id, Events: []*demes.Event{second}})
	s.equal("tail", s.load(id).Tail, []*demes.Event{first})
	s.commit(&chat.Batch{Chat: id, Settled: settling(1, 1, second)}) // what settles is what counts
	s.commit(&chat.Batch{Chat: id, Events: []*demes.Event{first, second}})
	s.restarted(func() {
		s.equal("tail", s.load(id).Tail, []*demes.Event{})
		s.equal("settled", s.settled(id, 1, 1), settling(1, 1, second))
	})
}

func testDrop(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(4)
	s.commit(&chat.Batch{Chat: id, Events: e, Settled: settling(1, 1, e[:2]...)})
	s.commit(&chat.Batch{Chat: id, Drop: []demes.EventID{e[1].ID, e[2].ID, {Seq: 99}}})
	s.restarted(func() {
		s.equal("tail", s.load(id).Tail, e[3:])
		s.equal("settled", s.settled(id, 1, 1<<20), settling(1, 1, e[:2]...))
	})
}

func testDropAndBring(s *storeTest) {
	id := chatID(1)
	wrong, right := newAuthor(id, 1).message([]byte("wrong branch")), newAuthor(id, 1).message([]byte("right branch"))
	s.commit(&chat.Batch{Chat: id, Events: []*demes.Event{wrong}})
	s.commit(&chat.Batch{Chat: id, Events: []*demes.Event{right}, Drop: []demes.EventID{wrong.ID}})
	s.restarted(func() { s.equal("tail", s.load(id).Tail, []*demes.Event{right}) })
}

func testRewrite(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(3)
	log := append(settling(1, 1, e[:2]...), recordEntry(3))
	s.commit(&chat.Batch{Chat: id, Settled: log})
	changed := settling(2, 2, e[1])
	changed[0].LogMs++
	for name, entries := range map[string][]chat.SettledEntry{
		"another event at a taken index": settling(2, 2, e[2]),
		"a changed entry":                changed,
		"an event settled twice":         settling(4, 3, e[0]),
		"a position given twice":         settling(4, 2, e[2]),
		"a record instead of an event":   {recordEntry(2)},
		"an event instead of a record":   settling(3, 3, e[2]),
		"an index above 2^63":            settling(1<<63, 3, e[2]),
	} {
		if err := s.Commit([]*chat.Batch{{Chat: id, Settled: entries}}); err == nil {
			s.Errorf("%s was committed", name)
		}
	}
	s.restarted(func() { s.equal("settled", s.settled(id, 1, 1<<20), log) })
}

func testUnsettle(s *storeTest) {
	id := chatID(1)
	a, b := newAuthor(id, 1), newAuthor(id, 2)
	var e []*demes.Event
	for range 3 {
		e = append(e, a.messages(1)...)
		e = append(e, b.messages(1)...)
	}
	log := append(settling(1, 1, e[:3]...), recordEntry(4))
	log = append(log, settling(5, 4, e[3:5]...)...)
	s.commit(&chat.Batch{Chat: id, Events: e, Settled: log})
	for _, index := range []uint64{9, 2, 0} {
		s.commit(&chat.Batch{Chat: id, Unsettle: &index})
		kept := log[:min(int(index), len(log))]
		tail := slices.Clone(e[min(int(index), 5):])
		slices.SortFunc(tail, func(x, y *demes.Event) int { return x.ID.Compare(y.ID) })
		s.restarted(func() {
			s.equal(fmt.Sprintf("settled up to %d", index), s.settled(id, 1, 1<<20), kept)
			s.equal(fmt.Sprintf("tail behind %d", index), s.load(id).Tail, tail)
		})
	}
}

func testResettle(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(4)
	s.commit(&chat.Batch{Chat: id, Events: e, Settled: settling(1, 1, e[:3]...)})
	one := uint64(1)
	again := settling(3, 2, e[1])
	again[0].Generation = 2
	next := append([]chat.SettledEntry{recordEntry(2)}, again...)
	s.commit(&chat.Batch{Chat: id, Unsettle: &one, Settled: next})
	s.restarted(func() {
		s.equal("settled", s.settled(id, 1, 1<<20), append(settling(1, 1, e[0]), next...))
		s.equal("tail", s.load(id).Tail, e[2:])
	})
}

func testSettledPieces(s *storeTest) {
	id := chatID(1)
	a := newAuthor(id, 1)
	var e []*demes.Event
	for i := range 20 {
		e = append(e, a.message(make([]byte, 500*i)))
	}
	log := settling(1, 1, e...)
	s.commit(&chat.Batch{Chat: id, Settled: log})
	for _, maxBytes := range []int{-1, 0, 1, 2000, 10_000, 1 << 30} {
		for from := uint64(1); from <= 20; {
			got := s.settled(id, from, maxBytes)
			if len(got) == 0 {
				s.Fatalf("settled from %d with %d bytes: got none, want at least one", from, maxBytes)
			}
			s.equal("piece", got, log[from-1:int(from)-1+len(got)])
			size := 0
			for _, entry := range got {
				size += entry.Event.Size()
			}
			if len(got) > 1 && size > maxBytes {
				s.Errorf("settled from %d: got %d bytes in %d entries, want about %d", from, size, len(got), maxBytes)
			}
			from += uint64(len(got))
		}
	}
	s.equal("behind the end", s.settled(id, 21, 1000), []chat.SettledEntry{})
	s.equal("far behind the end", s.settled(id, 1<<64-1, 1000), []chat.SettledEntry{})
}

func testSettledGap(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(4)
	s.commit(&chat.Batch{Chat: id, Settled: append(settling(10, 6, e[:2]...), settling(13, 9, e[2:]...)...)})
	s.equal("from before the log", s.settled(id, 9, 1<<20), []chat.SettledEntry{})
	s.equal("up to the gap", s.settled(id, 10, 1<<20), settling(10, 6, e[:2]...))
	s.equal("inside the gap", s.settled(id, 12, 1<<20), []chat.SettledEntry{})
	s.equal("behind the gap", s.settled(id, 13, 1<<20), settling(13, 9, e[2:]...))
}

func testPaging(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(10)
	log := []chat.SettledEntry{recordEntry(1)}
	for i, event := range e { // an entry without a position after each message
		log = append(log, settling(uint64(2*i+2), uint64(i+1), event)...)
		log = append(log, recordEntry(uint64(2*i+3)))
	}
	s.commit(&chat.Batch{Chat: id, Settled: log})
	for _, test := range []struct {
		after, before uint64
		limit         int
		want          []uint64
	}{
		{0, 0, 3, []uint64{8, 9, 10}},
		{0, 0, 99, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{0, 0, 0, nil},
		{0, 0, -1, nil},
		{4, 0, 3, []uint64{5, 6, 7}},
		{9, 0, 3, []uint64{10}},
		{10, 0, 3, nil},
		{1<<64 - 1, 0, 3, nil},
		{0, 8, 3, []uint64{5, 6, 7}},
		{0, 3, 9, []uint64{1, 2}},
		{0, 1, 9, nil},
		{0, 1<<64 - 1, 2, []uint64{9, 10}},
		{3, 8, 9, []uint64{4, 5, 6, 7}},
		{3, 8, 2, []uint64{4, 5}},
		{8, 3, 9, nil},
	} {
		found, err := s.Messages(id, test.after, test.before, test.limit)
		if err != nil {
			s.Fatal(err)
		}
		var got []uint64
		for _, entry := range found {
			got = append(got, entry.Position)
			s.equal("entry", entry, log[2*entry.Position-1])
		}
		if !slices.Equal(got, test.want) {
			s.Errorf("messages after %d, before %d, at most %d: got positions %v, want %v",
				test.after, test.before, test.limit, got, test.want)
		}
	}
}

func testRaftOverwrite(s *storeTest) {
	id := chatID(1)
	change := func(c chat.RaftChange) { s.commit(&chat.Batch{Chat: id, Raft: &c}) }
	change(chat.RaftChange{Generation: 1, Entries: raftEntries(1, 1, 6)})
	change(chat.RaftChange{Generation: 1, Entries: raftEntries(2, 4, 5)})
	s.restarted(func() {
		s.equal("overwritten", s.load(id).Raft, append(raftEntries(1, 1, 3), raftEntries(2, 4, 5)...))
	})
	change(chat.RaftChange{Generation: 1, Entries: raftEntries(3, 6, 7)})
	s.equal("appended", s.load(id).Raft[3:], append(raftEntries(2, 4, 5), raftEntries(3, 6, 7)...))
	change(chat.RaftChange{Generation: 1, Entries: raftEntries(4, 1, 1)})
	s.restarted(func() { s.equal("overwritten from the start", s.load(id).Raft, raftEntries(4, 1, 1)) })
}

func testRaftForget(s *storeTest) {
	id := chatID(1)
	for _, step := range []struct {
		name   string
		change *chat.RaftChange
		want   []chat.RaftEntry
	}{
		{"first", &chat.RaftChange{Generation: 1, Entries: raftEntries(1, 1, 6)}, raftEntries(1, 1, 6)},
		{"no change", nil, raftEntries(1, 1, 6)},
		{"compacted", &chat.RaftChange{Generation: 1, CompactedTo: 2}, raftEntries(1, 3, 6)},
		{"compacted and appended", &chat.RaftChange{Generation: 1, CompactedTo: 5, Entries: raftEntries(1, 7, 7)}, raftEntries(1, 6, 7)},
		{"compacted to the end", &chat.RaftChange{Generation: 1, CompactedTo: 1<<64 - 1}, nil},
		{"appended behind", &chat.RaftChange{Generation: 1, Entries: raftEntries(1, 8, 9)}, raftEntries(1, 8, 9)},
		{"reset", &chat.RaftChange{Generation: 1, Reset: true, Entries: raftEntries(2, 20, 21)}, raftEntries(2, 20, 21)},
		{"next generation", &chat.RaftChange{Generation: 2, Entries: raftEntries(1, 30, 31)}, raftEntries(1, 30, 31)},
		{"same generation", &chat.RaftChange{Generation: 2, Entries: raftEntries(1, 32, 32)}, raftEntries(1, 30, 32)},
		{"empty generation", &chat.RaftChange{Generation: 3}, nil},
	} {
		s.commit(&chat.Batch{Chat: id, Raft: step.change})
		s.restarted(func() { s.equal(step.name, s.load(id).Raft, step.want) })
	}
}

func testOutbox(s *storeTest) {
	id := chatID(1)
	item := func(seq uint64, text string) chat.OutboxItem {
		return chat.OutboxItem{Seq: seq, Kind: demes.KindMessage, Payload: []byte(text), SentAt: 7, Key: "k" + text}
	}
	s.commit(&chat.Batch{Chat: id, Outbox: []chat.OutboxItem{item(3, "c"), item(1, "a"), item(2, "b")}})
	s.equal("by seq", s.load(id).Outbox, []chat.OutboxItem{item(1, "a"), item(2, "b"), item(3, "c")})
	s.commit(&chat.Batch{Chat: id, Outbox: []chat.OutboxItem{item(2, "new"), item(4, "d")}, OutboxDone: []uint64{1, 4, 9}})
	s.restarted(func() {
		s.equal("after some are done", s.load(id).Outbox, []chat.OutboxItem{item(2, "new"), item(3, "c")})
	})
}
