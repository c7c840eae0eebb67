package contract

import (
	"maps"
	"math"
	"slices"

	"github.com/demes-chat/demes/internal/chat"
)

// keepPast is what a batch does before the settled log.
func (c *memoryChat) keepPast(u *undo, b *chat.Batch) error {
	if b.DropPast {
		for index := range c.past {
			drop(u, c.past, index)
		}
	}
	for _, e := range b.Past {
		if e.Index > math.MaxInt64 || e.Position > math.MaxInt64 || e.Event != nil && e.Event.ID.Seq > math.MaxInt64 {
			return errMemory
		}
		e.Record, e.Event = slices.Clone(e.Record), sealed(e.Event)
		put(u, c.past, e.Index, e)
	}
	if b.Adopt == 0 {
		return nil
	}
	for _, index := range slices.Sorted(maps.Keys(c.past)) {
		if index < b.Adopt {
			continue
		}
		e := c.past[index]
		drop(u, c.past, index)
		c.giveWay(u, c.settled[index])
		if e.Event != nil {
			drop(u, c.held, e.Event.ID)
			c.giveWay(u, c.settled[c.byID[e.Event.ID]])
		}
		c.giveWay(u, c.settled[c.byPosition[e.Position]])
		if err := c.settle(u, e); err != nil {
			return err
		}
	}
	return nil
}

// giveWay forgets a settled entry; the zero entry is none.
func (c *memoryChat) giveWay(u *undo, e chat.SettledEntry) {
	if e.Index == 0 {
		return
	}
	drop(u, c.settled, e.Index)
	drop(u, c.byPosition, e.Position)
	if e.Event != nil {
		drop(u, c.byID, e.Event.ID)
	}
}
