package store

import (
	"fmt"
	"math"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// entryOverhead is what an entry counts for beside its event or record when an
// answer is cut at a number of bytes.
const entryOverhead = 128

// Settled returns entries from an index on, without a gap, until they are about
// maxBytes; the first one is returned whatever its size.
func (s *Store) Settled(id demes.ChatID, from uint64, maxBytes int) (entries []chat.SettledEntry, err error) {
	size, next := 0, from
	err = s.history("read settled log", id, func(c *conn, number int64) error {
		return c.each(sqlSettled, func(r row) error {
			if r.number(0) != next {
				return errEnough // the log is not held from there
			}
			e, err := r.entry(number)
			if err != nil {
				return err
			}
			size += entrySize(&e)
			if len(entries) > 0 && size > maxBytes {
				return errEnough
			}
			entries = append(entries, e)
			next++
			return nil
		}, number, bound(from))
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func entrySize(e *chat.SettledEntry) int {
	size := entryOverhead + len(e.Record)
	if e.Event != nil {
		size += e.Event.Size()
	}
	return size
}

// Messages returns entries that have a position, in its order, at most limit:
// those next above after, or those next below before, or both bounds' inside
// from after on, or the newest.
func (s *Store) Messages(id demes.ChatID, after, before uint64, limit int) (found []chat.SettledEntry, err error) {
	if limit <= 0 {
		return nil, nil
	}
	sql, backward := sqlMessagesUp, after == 0
	if backward {
		sql = sqlMessagesDown
	}
	below := int64(math.MaxInt64)
	if before != 0 {
		below = bound(before - 1)
	}
	err = s.history("read messages", id, func(c *conn, number int64) error {
		return c.each(sql, func(r row) error {
			e, err := r.entry(number)
			found = append(found, e)
			return err
		}, number, bound(after), below, int64(limit))
	})
	if err != nil {
		return nil, err
	}
	if backward {
		slices.Reverse(found)
	}
	return found, nil
}

// Event finds one event. One that is held comes in an entry without an index.
func (s *Store) Event(id demes.ChatID, event demes.EventID) (entry chat.SettledEntry, ok bool, err error) {
	err = s.history("find event", id, func(c *conn, number int64) error {
		err := c.each(sqlSettledEvent, func(r row) (err error) {
			entry, err = r.entry(number)
			ok = true
			return err
		}, number, event.Device[:], bound(event.Seq))
		if err != nil || ok {
			return err
		}
		return c.each(sqlHeldEvent, func(r row) (err error) {
			entry.Event, err = r.event(number, 0)
			ok = true
			return err
		}, number, event.Device[:], bound(event.Seq))
	})
	if err != nil {
		return chat.SettledEntry{}, false, err
	}
	return entry, ok, nil
}

// history looks at one chat; one that is not there has no history.
func (s *Store) history(doing string, id demes.ChatID, look func(c *conn, number int64) error) error {
	return s.read(doing, func(c *conn) error {
		number, ok, err := c.find(id)
		if err != nil || !ok {
			return err
		}
		return wrap("chat "+id.Short(), look(c, number))
	})
}

// entry reads the columns idx, position, data, then those of an event.
func (r row) entry(number int64) (e chat.SettledEntry, err error) {
	index := r.number(0)
	raw, err := r.unseal(2, entryKey(number, index))
	if err != nil {
		return e, err
	}
	e, hasEvent, err := readEntry(index, raw)
	if err != nil {
		return e, err
	}
	if e.Position != r.number(1) {
		return e, fmt.Errorf("index %d has position %d and stands at %d: %w", index, e.Position, r.number(1), errDamaged)
	}
	if hasEvent {
		e.Event, err = r.event(number, 3)
	}
	return e, err
}

const (
	// An event stands in e; c is what was read in it.
	withContent = `LEFT JOIN content c ON c.chat = e.chat AND c.device = e.device AND c.seq = e.seq `

	eventColumns = `e.device, e.seq, e.event, c.data, c.expires, c.target `
	entryColumns = `SELECT e.idx, e.position, e.data, ` + eventColumns + `FROM settled e ` + withContent
	heldColumns  = `SELECT ` + eventColumns + `FROM held e ` + withContent

	sqlSettled      = entryColumns + `WHERE e.chat = ? AND e.idx >= ? ORDER BY e.idx`
	sqlMessagesUp   = entryColumns + `WHERE e.chat = ? AND e.position > ? AND e.position <= ? ORDER BY e.position LIMIT ?`
	sqlMessagesDown = entryColumns + `WHERE e.chat = ? AND e.position > ? AND e.position <= ? ORDER BY e.position DESC LIMIT ?`
	sqlSettledEvent = entryColumns + `WHERE e.chat = ? AND e.device = ? AND e.seq = ?`
	sqlHeldEvent    = heldColumns + `WHERE e.chat = ? AND e.device = ? AND e.seq = ?`
)
