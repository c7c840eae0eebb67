package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"

	"github.com/ncruces/go-sqlite3"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// errRewritten says that a batch would change an entry that is settled.
var errRewritten = errors.New("a settled entry is there already and differs")

// Commit applies the batches in their order, in one transaction, and syncs it.
//
// After an error nothing of the call is visible, and the same batches may be
// committed again, which then has the same effect as once. One thing is open
// after an error: when the sync itself failed and the process dies before the
// next commit, the disk may turn out to have kept the batches after all.
func (s *Store) Commit(batches []*chat.Batch) error {
	if len(batches) == 0 {
		return nil
	}
	fresh := map[demes.ChatID]int64{} // chats that the transaction makes
	err := s.write("commit", func(c *conn) error {
		for _, b := range batches {
			if b == nil {
				continue // a turn that kept nothing
			}
			number, err := s.number(c, b.Chat, fresh)
			if err != nil {
				return err
			}
			if err := (change{c, number, b}).apply(); err != nil {
				return fmt.Errorf("chat %s: %w", b.Chat.Short(), err)
			}
		}
		return nil
	})
	if err == nil {
		s.remember(fresh)
	}
	return err
}

func (s *Store) remember(fresh map[demes.ChatID]int64) {
	if len(fresh) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.chats, fresh)
}

// number returns the chat's number and makes the chat when it is new. The
// caller holds s.mu.
func (s *Store) number(c *conn, id demes.ChatID, fresh map[demes.ChatID]int64) (int64, error) {
	if number, ok := s.chats[id]; ok {
		return number, nil
	}
	var number int64
	err := c.each(sqlChatNumber, func(r row) error { number = r.ColumnInt64(0); return nil }, id[:])
	if err == nil && number == 0 {
		if err = c.exec(sqlChatInsert, id[:]); err == nil {
			number = c.db.LastInsertRowID()
			err = c.exec(sqlChatUpdate, seal(chatKey(number, id), chatContent(0)), number)
		}
	}
	fresh[id] = number
	return number, err
}

func chatKey(number int64, id demes.ChatID) rowKey {
	return rowKey{table: tableChat, chat: number, name: id[:]}
}

func chatContent(generation uint64) []byte {
	var c content
	c.uint(generation)
	return c
}

// change is one batch being applied to its chat.
type change struct {
	*conn
	chat  int64
	batch *chat.Batch
}

// apply makes the batch's changes in the one order in which applying it twice is
// the same as once, and in which what a batch both drops and brings is kept: an
// event too many is found out again, one too few is lost.
func (c change) apply() error {
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"put values", c.putValues},
		{"change the council's log", c.changeRaft},
		{"unsettle", c.unsettle},
		{"drop events", c.dropEvents},
		{"hold events", c.holdEvents},
		{"settle", c.settle},
		{"keep the past", c.keepPast},
		{"keep contents", c.keepContents},
		{"forget contents", c.forgetContents},
		{"change the outbox", c.changeOutbox},
		{"change secrets", c.changeSecrets},
	} {
		if err := step.run(); err != nil {
			return wrap(step.name, err)
		}
	}
	return nil
}

func (c change) putValues() error {
	for _, v := range c.batch.Put {
		if len(v.Data) == 0 {
			if err := c.exec(sqlValueDelete, c.chat, v.Name); err != nil {
				return err
			}
			continue
		}
		sealed := seal(rowKey{table: tableValue, chat: c.chat, name: []byte(v.Name)}, v.Data)
		if err := c.exec(sqlValuePut, c.chat, v.Name, sealed); err != nil {
			return err
		}
	}
	return nil
}

func (c change) changeRaft() error {
	r := c.batch.Raft
	if r == nil {
		return nil
	}
	other, err := c.raiseGeneration(r.Generation)
	if err != nil {
		return err
	}
	if r.Reset || other {
		if err := c.exec(sqlRaftForget, c.chat); err != nil {
			return err
		}
	}
	if len(r.Entries) > 0 {
		if err := c.exec(sqlRaftCut, c.chat, r.Entries[0].Index); err != nil {
			return err
		}
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		if err := storable(e.Index); err != nil {
			return err
		}
		sealed := seal(rowKey{table: tableRaft, chat: c.chat, number: e.Index}, raftContent(e))
		if err := c.exec(sqlRaftInsert, c.chat, e.Index, sealed); err != nil {
			return err
		}
	}
	if r.CompactedTo == 0 {
		return nil
	}
	return c.exec(sqlRaftCompact, c.chat, bound(r.CompactedTo))
}

// raiseGeneration notes which generation the council's log is of and reports
// whether it was another one.
func (c change) raiseGeneration(generation uint64) (other bool, err error) {
	key := chatKey(c.chat, c.batch.Chat)
	err = c.each(sqlChatData, func(r row) error {
		raw, err := r.unseal(0, key)
		if err != nil {
			return err
		}
		kept := reader{rest: raw}
		other = kept.uint() != generation
		return kept.err
	}, c.chat)
	if err != nil || !other {
		return false, err
	}
	return true, c.exec(sqlChatUpdate, seal(key, chatContent(generation)), c.chat)
}

func (c change) unsettle() error {
	if c.batch.Unsettle == nil {
		return nil
	}
	index := bound(*c.batch.Unsettle)
	if err := c.exec(sqlUnsettleHold, c.chat, index); err != nil {
		return err
	}
	return c.exec(sqlUnsettleCut, c.chat, index)
}

func (c change) dropEvents() error {
	for _, id := range c.batch.Drop {
		if err := c.exec(sqlHeldDelete, c.chat, id.Device[:], bound(id.Seq)); err != nil {
			return err
		}
	}
	return nil
}

func (c change) holdEvents() error {
	for _, e := range c.batch.Events {
		if err := storable(e.ID.Seq); err != nil {
			return err
		}
		sealed := seal(eventKey(c.chat, e.ID), eventContent(e))
		if err := c.exec(sqlHeldInsert, c.chat, e.ID.Device[:], e.ID.Seq, sealed); err != nil {
			return err
		}
	}
	return nil
}

func eventKey(number int64, id demes.EventID) rowKey {
	return rowKey{table: tableEvent, chat: number, name: id.Device[:], number: id.Seq}
}

func entryKey(number int64, index uint64) rowKey {
	return rowKey{table: tableEntry, chat: number, number: index}
}

func (c change) settle() error {
	for i := range c.batch.Settled {
		if err := c.settleOne(&c.batch.Settled[i]); err != nil {
			return fmt.Errorf("index %d: %w", c.batch.Settled[i].Index, err)
		}
	}
	return nil
}

func (c change) settleOne(e *chat.SettledEntry) error {
	row, err := c.entryRow(e)
	if err != nil {
		return err
	}
	if e.Event != nil {
		if err := c.exec(sqlHeldDelete, c.chat, row.device, row.seq); err != nil {
			return err
		}
	}
	err = c.exec(sqlSettledInsert, c.chat, e.Index, row.position, row.device, row.seq, row.event, row.data)
	if !errors.Is(err, sqlite3.CONSTRAINT) {
		return err
	}
	return c.requireSame(e.Index, row.event, row.data, err)
}

// entryRow is an entry of a log as it is stored.
type entryRow struct {
	position, device, seq, event any
	data                         []byte
}

func (c change) entryRow(e *chat.SettledEntry) (row entryRow, err error) {
	if err := storable(e.Index, e.Position); err != nil {
		return row, err
	}
	if e.Position != 0 {
		row.position = e.Position
	}
	if e.Event != nil {
		if err := storable(e.Event.ID.Seq); err != nil {
			return row, err
		}
		row.device, row.seq = e.Event.ID.Device[:], e.Event.ID.Seq
		row.event = seal(eventKey(c.chat, e.Event.ID), eventContent(e.Event))
	}
	row.data = seal(entryKey(c.chat, e.Index), entryContent(e))
	return row, nil
}

// requireSame lets a settled entry be settled again, and not changed: entries
// only ever go away through Unsettle.
func (c change) requireSame(index uint64, event any, data []byte, conflict error) error {
	same := false
	err := c.each(sqlSettledRow, func(r row) error {
		sealed, _ := event.([]byte)
		same = bytes.Equal(r.ColumnRawBlob(0), sealed) && bytes.Equal(r.ColumnRawBlob(1), data)
		return nil
	}, c.chat, index)
	if err == nil && !same {
		err = fmt.Errorf("%w: %w", errRewritten, conflict)
	}
	return err
}

func (c change) changeOutbox() error {
	for i := range c.batch.Outbox {
		item := &c.batch.Outbox[i]
		if err := storable(item.Seq); err != nil {
			return err
		}
		sealed := seal(rowKey{table: tableOutbox, chat: c.chat, number: item.Seq}, outboxContent(item))
		if err := c.exec(sqlOutboxPut, c.chat, item.Seq, sealed); err != nil {
			return err
		}
	}
	for _, seq := range c.batch.OutboxDone {
		if err := c.exec(sqlOutboxDelete, c.chat, bound(seq)); err != nil {
			return err
		}
	}
	return nil
}

const (
	sqlChatNumber = `SELECT number FROM chat WHERE id = ?`
	sqlChatInsert = `INSERT INTO chat (id, data) VALUES (?, x'')`
	sqlChatUpdate = `UPDATE chat SET data = ? WHERE number = ?`
	sqlChatData   = `SELECT data FROM chat WHERE number = ?`

	sqlValuePut    = `INSERT OR REPLACE INTO value (chat, name, data) VALUES (?, ?, ?)`
	sqlValueDelete = `DELETE FROM value WHERE chat = ? AND name = ?`

	sqlRaftForget  = `DELETE FROM raft WHERE chat = ?`
	sqlRaftCut     = `DELETE FROM raft WHERE chat = ? AND idx >= ?`
	sqlRaftInsert  = `INSERT OR REPLACE INTO raft (chat, idx, data) VALUES (?, ?, ?)`
	sqlRaftCompact = `DELETE FROM raft WHERE chat = ? AND idx <= ?`

	sqlHeldInsert = `INSERT OR IGNORE INTO held (chat, device, seq, event) SELECT ?1, ?2, ?3, ?4
		WHERE NOT EXISTS (SELECT 1 FROM settled WHERE chat = ?1 AND device = ?2 AND seq = ?3)`
	sqlHeldDelete = `DELETE FROM held WHERE chat = ? AND device = ? AND seq = ?`

	sqlSettledInsert = `INSERT INTO settled (chat, idx, position, device, seq, event, data)
		VALUES (?, ?, ?, ?, ?, ?, ?)`
	sqlSettledRow   = `SELECT event, data FROM settled WHERE chat = ? AND idx = ?`
	sqlUnsettleHold = `INSERT OR REPLACE INTO held (chat, device, seq, event)
		SELECT chat, device, seq, event FROM settled WHERE chat = ? AND idx > ? AND device IS NOT NULL`
	sqlUnsettleCut = `DELETE FROM settled WHERE chat = ? AND idx > ?`

	sqlOutboxPut    = `INSERT OR REPLACE INTO outbox (chat, seq, data) VALUES (?, ?, ?)`
	sqlOutboxDelete = `DELETE FROM outbox WHERE chat = ? AND seq = ?`
)
