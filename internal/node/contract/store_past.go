package contract

import (
	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

func testPast(s *storeTest) {
	id := chatID(1)
	a := newAuthor(id, 1)
	e := a.messages(8)
	early, late := append(settling(1, 1, e[:3]...), recordEntry(4)), settling(5, 4, e[4:6]...)
	s.commit(&chat.Batch{Chat: id, Settled: late, Events: []*demes.Event{e[6]}, Contents: []chat.Content{{Event: e[1].ID, Plain: []byte("a")}}})
	before := s.load(id)
	s.commit(&chat.Batch{Chat: id, Past: early[:2]}, &chat.Batch{Chat: id, Past: early[2:]}, &chat.Batch{Chat: id, Past: early[1:3]})
	s.restarted(func() {
		s.equal("saved beside a past", s.load(id), before)
		s.equal("the settled log before it", s.settled(id, 1, 1<<20), []chat.SettledEntry{})
		if _, ok, err := s.Event(id, e[1].ID); ok || err != nil {
			s.Errorf("an event of the past is shown: %v", err)
		}
		if got, err := s.Messages(id, 0, 0, 9); err != nil || len(got) != len(late) {
			s.Errorf("messages beside a past: got %d, %v, want %d", len(got), err, len(late))
		}
	})
	s.commit(&chat.Batch{Chat: id, Adopt: 3}, &chat.Batch{Chat: id, Adopt: 3})
	s.restarted(func() { s.equal("the adopted part", s.settled(id, 3, 1<<20), append(early[2:4:4], late...)) })
	s.commit(&chat.Batch{Chat: id, Adopt: 1})
	s.restarted(func() {
		want := append(early[:4:4], late...)
		want[1].Event = said(e[1], "a")
		s.equal("all of it", s.settled(id, 1, 1<<20), want)
	})
}

// testPastGivesWay has a device that settled another order in an earlier life take
// the proven one.
func testPastGivesWay(s *storeTest) {
	id := chatID(1)
	e := newAuthor(id, 1).messages(5)
	s.commit(&chat.Batch{Chat: id, Settled: append(settling(1, 1, e[0], e[2]), settling(3, 3, e[1])...), Events: e[3:]})
	proven := settling(1, 1, e[0], e[1], e[2], e[3])
	s.commit(&chat.Batch{Chat: id, Past: settling(1, 1, e[4])}, &chat.Batch{Chat: id, DropPast: true, Past: proven})
	s.commit(&chat.Batch{Chat: id, Adopt: 1})
	s.restarted(func() {
		s.equal("settled", s.settled(id, 1, 1<<20), proven)
		s.equal("tail", s.load(id).Tail, e[4:])
	})
	s.commit(&chat.Batch{Chat: id, DropPast: true}, &chat.Batch{Chat: id, Adopt: 1})
	s.equal("settled, when there is no past", s.settled(id, 1, 1<<20), proven)
}
