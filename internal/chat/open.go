package chat

import (
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// opened is an event that came, checked, or why it is none.
type opened struct {
	event *demes.Event
	err   error
}

// openEvents checks many events at once: their signatures are most of the work
// of catching up, and cores can share it.
func (c *Chat) openEvents(raws []*wire.Event) []opened {
	out := make([]opened, len(raws))
	check := func(i int) {
		if out[i].err = ErrInvalid; raws[i] != nil {
			out[i].event, out[i].err = c.openEvent(raws[i])
		}
	}
	if c.cfg.Parallel != nil && len(raws) > 1 {
		c.cfg.Parallel(len(raws), check)
		return out
	}
	for i := range raws {
		check(i)
	}
	return out
}

// openEntries checks the events that travel whole in settled entries, by place.
func (c *Chat) openEntries(entries []*wire.SettledEntry) []opened {
	raws := make([]*wire.Event, len(entries))
	for i, entry := range entries {
		raws[i] = entry.GetEvent()
	}
	return c.openEvents(raws)
}

// openEntry reads one entry; an event that travels as its mark is in the tail, one
// that travels whole was opened before.
func (c *Chat) openEntry(entry *wire.SettledEntry, o opened) (Sealed, error) {
	s := Sealed{Generation: entry.GetGeneration(), Term: entry.GetTerm(), Slot: entry.GetSlot(), LogMs: entry.GetLogMs()}
	switch what := entry.GetWhat().(type) {
	case *wire.SettledEntry_Record:
		s.Record = what.Record
	case *wire.SettledEntry_Event:
		if o.err != nil {
			return s, o.err
		}
		if c.notRemembered(o.event) {
			c.oldCopy(demes.DeviceID{}, o.event)
		}
		s.Event = o.event
	case *wire.SettledEntry_Held:
		mark := wire.GetMark(what.Held)
		e := c.tail.get(demes.EventID{Device: mark.Device, Seq: mark.Seq})
		if e == nil || e.Hash != mark.Hash {
			return s, fmt.Errorf("event %s/%d is not held: %w", mark.Device.Short(), mark.Seq, ErrInvalid)
		}
		s.Event = e
	default:
		return s, ErrInvalid
	}
	return s, nil
}

// openEvent checks an event, unless the very same one is held already.
func (c *Chat) openEvent(raw *wire.Event) (*demes.Event, error) {
	e, err := wire.ReadEvent(raw)
	if err != nil {
		return nil, err
	}
	mine := c.tail.get(e.ID)
	if mine != nil && mine.Hash == e.Hash && slices.Equal(mine.Signature, e.Signature) {
		return mine, nil
	}
	return wire.OpenEvent(raw)
}
