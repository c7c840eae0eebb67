package contract

import (
	"bytes"
	"fmt"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// putSecrets is a change of one space: names and data in turn.
func putSecrets(space string, pairs ...string) []chat.SecretChange {
	change := chat.SecretChange{Space: space}
	for i := 0; i < len(pairs); i += 2 {
		change.Put = append(change.Put, chat.Value{Name: pairs[i], Data: []byte(pairs[i+1])})
	}
	return []chat.SecretChange{change}
}

// said is an event as it comes back once something was read in it.
func said(e *demes.Event, text string) *demes.Event { return saidUntil(e, text, 0) }

// saidUntil is said for what expires.
func saidUntil(e *demes.Event, text string, expiresMs int64) *demes.Event {
	out := cloneEvent(e)
	out.Plain, out.ExpiresMs = []byte(text), expiresMs
	return out
}

func (s *storeTest) expiring(id demes.ChatID, untilMs int64, limit int, next int64, want ...demes.EventID) {
	s.Helper()
	got, nextMs, err := s.Expiring(id, untilMs, limit)
	if err != nil {
		s.Fatalf("expiring: %v", err)
	}
	s.equal(fmt.Sprintf("what expires until %d, at most %d", untilMs, limit), got, want)
	if nextMs != next {
		s.Errorf("expiring until %d, at most %d: got %d as next, want %d", untilMs, limit, nextMs, next)
	}
}

func testSecrets(s *storeTest) {
	id := chatID(1)
	for _, step := range []struct {
		name    string
		changes []chat.SecretChange
		want    map[string][]chat.Value
	}{
		{
			"first", append(putSecrets("b", "2", "two", "1", "one", "", "no name"), putSecrets("", "a\x00b\xff", "", "a", "x")...),
			map[string][]chat.Value{
				"b": {{Data: []byte("no name")}, {Name: "1", Data: []byte("one")}, {Name: "2", Data: []byte("two")}},
				"":  {{Name: "a", Data: []byte("x")}, {Name: "a\x00b\xff"}},
			},
		},
		{
			"replaced and deleted",
			[]chat.SecretChange{
				{Space: "b", Delete: []string{"", "none"}, Put: []chat.Value{{Name: "2", Data: []byte("new")}}},
				{Space: "", Delete: []string{"a", "a\x00b\xff"}},
			},
			map[string][]chat.Value{"b": {{Name: "1", Data: []byte("one")}, {Name: "2", Data: []byte("new")}}},
		},
		{
			"deleted and put at once",
			[]chat.SecretChange{{Space: "b", Delete: []string{"1", "2"}, Put: []chat.Value{{Name: "1", Data: bytes.Repeat([]byte("long"), 9000)}}}},
			map[string][]chat.Value{"b": {{Name: "1", Data: bytes.Repeat([]byte("long"), 9000)}}},
		},
		{
			"reset and put at once, in two changes",
			[]chat.SecretChange{
				{Space: "b", Reset: true, Delete: []string{"3"}, Put: []chat.Value{{Name: "3", Data: []byte("c")}}},
				{Space: "b", Put: []chat.Value{{Name: "4", Data: []byte("d")}, {Name: "4", Data: []byte("e")}}},
			},
			map[string][]chat.Value{"b": {{Name: "3", Data: []byte("c")}, {Name: "4", Data: []byte("e")}}},
		},
		{"another space reset", []chat.SecretChange{{Space: "a", Reset: true}, {Space: "c", Reset: true, Put: []chat.Value{{Name: "x", Data: []byte("y")}}}},
			map[string][]chat.Value{"b": {{Name: "3", Data: []byte("c")}, {Name: "4", Data: []byte("e")}}, "c": {{Name: "x", Data: []byte("y")}}}},
		{"all reset", []chat.SecretChange{{Space: "b", Reset: true}, {Space: "c", Reset: true}}, nil},
	} {
		s.commit(&chat.Batch{Chat: id, Secrets: step.changes})
		s.commit(&chat.Batch{Chat: id, Secrets: step.changes}) // twice is the same as once
		s.restarted(func() {
			s.equal(step.name, s.load(id), &chat.Saved{Chat: id, Values: map[string][]byte{}, Secrets: step.want})
		})
	}
}

func testContents(s *storeTest) {
	id := chatID(1)
	a := newAuthor(id, 1)
	e := a.messages(5)
	var contents []chat.Content
	for i := range 4 { // nothing was read in the last event
		contents = append(contents, chat.Content{Event: e[i].ID, Plain: fmt.Appendf(nil, "said %d", i)})
	}
	told := func(i int) *demes.Event {
		if i == 4 {
			return e[4]
		}
		return said(e[i], fmt.Sprintf("said %d", i))
	}
	look := func(settled int) func() {
		return func() {
			var tail []*demes.Event
			for i := settled; i < 5; i++ {
				tail = append(tail, told(i))
			}
			var log []chat.SettledEntry
			for i := range settled {
				log = append(log, settling(uint64(i+1), uint64(i+1), told(i))...)
			}
			s.equal("tail", s.load(id).Tail, tail)
			s.equal("settled", s.settled(id, 1, 1<<20), log)
			page, err := s.Messages(id, 0, 0, 9)
			if err != nil {
				s.Fatal(err)
			}
			s.equal("messages", page, log)
			for i := range 5 {
				got, ok, err := s.Event(id, e[i].ID)
				if err != nil || !ok {
					s.Fatalf("event %d: got %v, %v", i, ok, err)
				}
				s.equal("event", got.Event, told(i))
			}
		}
	}
	s.commit(&chat.Batch{Chat: id, Contents: contents[:2]}) // before their events, and beside them
	s.commit(&chat.Batch{Chat: id, Events: e, Contents: contents})
	s.restarted(look(0))
	plainly := e[0] // an event that brings its plain along is kept as any other
	plainly.Plain = []byte("not this")
	s.commit(&chat.Batch{Chat: id, Settled: settling(1, 1, e...)})
	plainly.Plain = nil
	s.restarted(look(5))
	s.commit(&chat.Batch{Chat: id, Settled: settling(1, 1, told(0), told(1))}) // it is no other entry for it
	two := uint64(2)
	s.commit(&chat.Batch{Chat: id, Unsettle: &two})
	s.restarted(look(2))
	s.commit(&chat.Batch{Chat: id, Drop: []demes.EventID{e[3].ID}})
	s.commit(&chat.Batch{Chat: id, Events: []*demes.Event{e[3]}})
	s.restarted(look(2))
}

func testForget(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(4)
	keep := func(i int, text string) chat.Content {
		return chat.Content{Event: e[i].ID, Plain: []byte(text), ExpiresMs: 7}
	}
	first := &chat.Batch{Chat: id, Events: e, Contents: []chat.Content{keep(0, "a"), keep(1, "b"), keep(2, "c"), keep(2, "d"), {Event: e[3].ID}}}
	second := &chat.Batch{
		Chat: id, Contents: []chat.Content{keep(0, "replaced"), keep(1, "again"), keep(3, "late")},
		Forget: []demes.EventID{e[1].ID, {Device: demes.DeviceID{9}, Seq: 9}, {Seq: 1<<64 - 1}},
	}
	s.commit(first, first)
	s.restarted(func() {
		s.equal("tail", s.load(id).Tail, []*demes.Event{saidUntil(e[0], "a", 7), saidUntil(e[1], "b", 7), saidUntil(e[2], "d", 7), e[3]})
	})
	s.commit(second, second)
	s.restarted(func() {
		s.equal("tail", s.load(id).Tail, []*demes.Event{saidUntil(e[0], "replaced", 7), e[1], saidUntil(e[2], "d", 7), saidUntil(e[3], "late", 7)})
		s.expiring(id, 7, 9, 0, e[0].ID, e[2].ID, e[3].ID)
	})
	if err := s.Commit([]*chat.Batch{{Chat: id, Contents: []chat.Content{{Event: demes.EventID{Seq: 1 << 63}}}}}); err == nil {
		s.Error("a content of an event with a seq above 2^63 was committed")
	}
}

func testExpiring(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(6)
	var contents []chat.Content
	for i, at := range []int64{300, 0, 100, 200, 100, -5} {
		contents = append(contents, chat.Content{Event: e[i].ID, Plain: []byte("x"), ExpiresMs: at})
	}
	s.commit(&chat.Batch{Chat: id, Contents: contents}) // of events that are not there
	s.restarted(func() {
		s.expiring(id, -6, 9, -5)
		s.expiring(id, 99, 9, 100, e[5].ID)
		s.expiring(id, 100, 9, 200, e[5].ID, e[2].ID, e[4].ID)
		s.expiring(id, 250, 2, 100, e[5].ID, e[2].ID)
		s.expiring(id, 1<<62, 9, 0, e[5].ID, e[2].ID, e[4].ID, e[3].ID, e[0].ID)
		s.expiring(id, 1<<62, 5, 0, e[5].ID, e[2].ID, e[4].ID, e[3].ID, e[0].ID)
		s.expiring(id, 1<<62, 0, -5)
	})
	contents[0].ExpiresMs, contents[2].ExpiresMs = 50, 0
	s.commit(&chat.Batch{Chat: id, Contents: []chat.Content{contents[0], contents[2]}, Forget: []demes.EventID{e[5].ID}})
	s.restarted(func() { s.expiring(id, 150, 9, 200, e[0].ID, e[4].ID) })
}

func testAmends(s *storeTest) {
	id := chatID(1)
	a, b := newAuthor(id, 1), newAuthor(id, 2)
	first, second := a.messages(6), b.messages(4)
	target, other, unknown := first[0].ID, first[1].ID, demes.EventID{Seq: 1<<64 - 1}
	amend := func(e *demes.Event, target *demes.EventID) chat.Content {
		return chat.Content{Event: e.ID, Plain: []byte("amend " + e.ID.String()), Target: target, Amends: true}
	}
	told := func(e *demes.Event) *demes.Event { return said(e, "amend "+e.ID.String()) }
	log := settling(1, 1, first[0], first[1], second[0], first[2], first[3], second[1])
	log[4].Void = "not allowed"
	s.commit(&chat.Batch{
		Chat: id, Events: append(append([]*demes.Event{}, first...), second...), Settled: log,
		Contents: []chat.Content{
			{Event: target, Plain: []byte("message")},
			{Event: other, Plain: []byte("an answer"), Target: &target}, // names it, and amends nothing
			amend(second[0], &target), amend(first[2], &other), amend(first[3], &target), amend(second[1], nil),
			amend(first[4], &target), amend(second[2], &target), amend(first[5], &other), amend(second[3], nil),
			{Event: demes.EventID{Seq: 77}, Amends: true, Target: &target}, // of an event that is not there
		},
	})
	entry := func(i int) chat.SettledEntry {
		out := log[i]
		out.Event = told(out.Event)
		return out
	}
	held := func(e *demes.Event) chat.SettledEntry { return chat.SettledEntry{Event: told(e)} }
	look := func(what string, want []chat.SettledEntry, targets ...demes.EventID) {
		s.Helper()
		got, err := s.Amends(id, targets)
		if err != nil {
			s.Fatalf("amends of %s: %v", what, err)
		}
		s.equal("amends of "+what, got, want)
	}
	s.restarted(func() {
		// Lamport times are 10 times the seq: second[2] stands before first[4].
		look("one", []chat.SettledEntry{entry(2), held(second[2]), held(first[4])}, target)
		look("two", []chat.SettledEntry{entry(2), entry(3), held(second[2]), held(first[4]), held(first[5])}, other, target, other, unknown)
		look("an unknown event", nil, unknown)
		look("the chat", []chat.SettledEntry{entry(5), held(second[3])})
	})
	zero := uint64(0)
	s.commit(&chat.Batch{Chat: id, Unsettle: &zero, Forget: []demes.EventID{first[4].ID}, Contents: []chat.Content{amend(first[2], &target)}})
	s.restarted(func() {
		look("one, unsettled", []chat.SettledEntry{held(second[0]), held(first[2]), held(second[2]), held(first[3])}, target)
	})
}

func testSecretsAtomic(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(3)
	content := func(i int, text string) chat.Content {
		return chat.Content{Event: e[i].ID, Plain: []byte(text), ExpiresMs: 5}
	}
	s.commit(&chat.Batch{
		Chat: id, Settled: settling(1, 1, e[0]), Events: e[1:], Contents: []chat.Content{content(0, "a"), content(1, "b")},
		Secrets: putSecrets("mls", "a", "1", "b", "2"),
	})
	before := s.load(id)
	err := s.Commit([]*chat.Batch{
		{
			Chat: id, Contents: []chat.Content{content(0, "c"), content(2, "d")}, Forget: []demes.EventID{e[1].ID},
			Secrets: []chat.SecretChange{{Space: "mls", Reset: true, Put: []chat.Value{{Name: "c", Data: []byte("3")}}}},
		},
		{Chat: id, Settled: settling(1, 1, e[2])}, // index 1 is taken
	})
	if err == nil {
		s.Fatal("a batch that rewrites a settled entry was committed")
	}
	s.restarted(func() {
		s.equal("saved", s.load(id), before)
		s.equal("settled", s.settled(id, 1, 1), settling(1, 1, saidUntil(e[0], "a", 5)))
		s.expiring(id, 5, 9, 0, e[0].ID, e[1].ID)
	})
}

func testErase(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(2)
	s.commit(&chat.Batch{
		Chat: id, Events: e, Contents: []chat.Content{{Event: e[0].ID, Plain: []byte("a")}, {Event: e[1].ID, Plain: []byte("b")}},
		Secrets: putSecrets("mls", "a", "1", "b", "2"),
	})
	s.commit(&chat.Batch{
		Chat: id, Forget: []demes.EventID{e[0].ID}, Secrets: []chat.SecretChange{{Space: "mls", Delete: []string{"a"}}},
	})
	for range 2 {
		if err := s.Erase(); err != nil {
			s.Fatalf("erase: %v", err)
		}
	}
	s.restarted(func() {
		s.equal("saved", s.load(id), &chat.Saved{
			Chat: id, Values: map[string][]byte{}, Tail: []*demes.Event{e[0], said(e[1], "b")},
			Secrets: map[string][]chat.Value{"mls": {{Name: "b", Data: []byte("2")}}},
		})
	})
}
