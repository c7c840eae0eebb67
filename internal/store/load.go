package store

import (
	"fmt"
	"log/slog"

	"github.com/ncruces/go-sqlite3"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// Chats lists every chat of the profile, oldest first.
func (s *Store) Chats() (ids []demes.ChatID, err error) {
	err = s.read("list chats", func(c *conn) error {
		return c.each(sqlChats, func(r row) error {
			id, err := r.chatID()
			ids = append(ids, id)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// chatID reads a row of number, id and data.
func (r row) chatID() (id demes.ChatID, err error) {
	copy(id[:], r.ColumnRawBlob(1))
	_, err = r.unseal(2, chatKey(r.ColumnInt64(0), id))
	return id, err
}

// find returns the number of a chat; ok is false when there is none.
func (c *conn) find(id demes.ChatID) (number int64, ok bool, err error) {
	err = c.each(sqlChat, func(r row) error {
		number, ok = r.ColumnInt64(0), true
		_, err := r.chatID()
		return err
	}, id[:])
	return number, ok, err
}

// Load reads what a chat needs to go on; the settled log stays where it is. A
// chat that was never committed is *demes.Error unknown-chat.
func (s *Store) Load(id demes.ChatID) (*chat.Saved, error) {
	saved := &chat.Saved{Chat: id, Values: map[string][]byte{}, Secrets: map[string][]chat.Value{}}
	err := s.read("load chat", func(c *conn) error {
		number, ok, err := c.find(id)
		if err != nil {
			return err
		}
		if !ok {
			return demes.Problem(demes.CodeUnknownChat, "There is no such chat in this profile", "")
		}
		l := loading{c, number, saved, s.log}
		for _, part := range []func() error{l.values, l.raft, l.tail, l.outbox, l.secrets} {
			if err := part(); err != nil {
				return fmt.Errorf("chat %s: %w", id.Short(), err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return saved, nil
}

// loading is one chat being read.
type loading struct {
	*conn
	chat  int64
	saved *chat.Saved
	log   *slog.Logger
}

func (l loading) values() error {
	return l.each(sqlValues, func(r row) error {
		name := r.ColumnText(0)
		data, err := r.unseal(1, rowKey{table: tableValue, chat: l.chat, name: []byte(name)})
		l.saved.Values[name] = data
		return err
	}, l.chat)
}

func (l loading) raft() error {
	return l.each(sqlRaft, func(r row) error {
		index := r.number(0)
		raw, err := r.unseal(1, rowKey{table: tableRaft, chat: l.chat, number: index})
		if err != nil {
			return err
		}
		entry, err := readRaft(index, raw)
		l.saved.Raft = append(l.saved.Raft, entry)
		return err
	}, l.chat)
}

func (l loading) tail() error {
	return l.each(sqlHeld, func(r row) error {
		event, err := r.event(l.chat, 0)
		l.saved.Tail = append(l.saved.Tail, event)
		return err
	}, l.chat)
}

func (l loading) outbox() error {
	return l.each(sqlOutbox, func(r row) error {
		seq := r.number(0)
		raw, err := r.unseal(1, rowKey{table: tableOutbox, chat: l.chat, number: seq})
		if err != nil {
			return err
		}
		item, err := readOutbox(seq, raw)
		l.saved.Outbox = append(l.saved.Outbox, item)
		return err
	}, l.chat)
}

// event reads the columns device, seq and event, which begin at first, and the
// columns of its content behind them.
func (r row) event(number int64, first int) (*demes.Event, error) {
	id := r.eventID(first)
	raw, err := r.unseal(first+2, eventKey(number, id))
	if err != nil {
		return nil, err
	}
	e, err := readEvent(raw)
	if err == nil && r.ColumnType(first+3) != sqlite3.NULL {
		var kept plain
		kept, err = r.plain(number, id, first+3)
		e.Plain, e.ExpiresMs = kept.plain, kept.expires
	}
	return e, err
}

// eventID reads the columns device and seq.
func (r row) eventID(first int) demes.EventID {
	id := demes.EventID{Seq: r.number(first + 1)}
	copy(id.Device[:], r.ColumnRawBlob(first))
	return id
}

const (
	sqlChats  = `SELECT number, id, data FROM chat ORDER BY number`
	sqlChat   = `SELECT number, id, data FROM chat WHERE id = ?`
	sqlValues = `SELECT name, data FROM value WHERE chat = ? ORDER BY name`
	sqlRaft   = `SELECT idx, data FROM raft WHERE chat = ? ORDER BY idx`
	sqlHeld   = heldColumns + `WHERE e.chat = ? ORDER BY e.device, e.seq`
	sqlOutbox = `SELECT seq, data FROM outbox WHERE chat = ? ORDER BY seq`
)
