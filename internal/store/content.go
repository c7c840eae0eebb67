package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

func contentKey(number int64, id demes.EventID) rowKey {
	return rowKey{table: tableContent, chat: number, name: id.Device[:], number: id.Seq}
}

func (c change) keepContents() error {
	for i := range c.batch.Contents {
		if err := c.keepContent(&c.batch.Contents[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c change) keepContent(kept *chat.Content) error {
	id := kept.Event
	if err := storable(id.Seq); err != nil {
		return err
	}
	var expires, target any
	if kept.ExpiresMs != 0 {
		expires = kept.ExpiresMs
	}
	if kept.Amends {
		target = targetColumn(kept.Target)
	}
	sealed := seal(contentKey(c.chat, id), plainContent(kept))
	return c.replace(sqlContentInsert, sqlContentUpdate, c.chat, id.Device[:], id.Seq, expires, target, sealed)
}

// targetColumn is how an amend is found by what it changes: an event, or with
// nil the chat.
func targetColumn(target *demes.EventID) []byte {
	if target == nil {
		return []byte{}
	}
	return binary.BigEndian.AppendUint64(bytes.Clone(target.Device[:]), target.Seq)
}

func (c change) forgetContents() error {
	for _, id := range c.batch.Forget {
		if err := c.remove(sqlContentDelete, c.chat, id.Device[:], bound(id.Seq)); err != nil {
			return err
		}
	}
	return nil
}

// plain reads the columns data, expires and target of an event's content, which
// begin at first.
func (r row) plain(number int64, id demes.EventID, first int) (plain, error) {
	raw, err := r.unseal(first, contentKey(number, id))
	if err != nil {
		return plain{}, err
	}
	kept, err := readPlain(raw)
	if err != nil {
		return plain{}, err
	}
	amends := r.ColumnType(first+2) != sqlite3.NULL
	if kept.expires != r.ColumnInt64(first+1) || kept.amends != amends || !bytes.Equal(kept.target, r.ColumnRawBlob(first+2)) {
		return plain{}, fmt.Errorf("the content of %s is filed as another: %w", id, errDamaged)
	}
	return kept, nil
}

// Expiring lists events whose content expires at or before a log time.
func (s *Store) Expiring(id demes.ChatID, untilMs int64, limit int) (ids []demes.EventID, nextMs int64, err error) {
	err = s.history("list expiring contents", id, func(c *conn, number int64) error {
		return c.each(sqlExpiring, func(r row) error {
			expires := r.ColumnInt64(3)
			if expires > untilMs || len(ids) >= limit {
				nextMs = expires
				return errEnough
			}
			event := r.eventID(0)
			ids = append(ids, event)
			_, err := r.plain(number, event, 2)
			return err
		}, number)
	})
	if err != nil {
		return nil, 0, err
	}
	return ids, nextMs, nil
}

// Amends returns the events that change how one of the targets is shown, or with
// none the chat: settled ones by index, then held ones in provisional order.
func (s *Store) Amends(id demes.ChatID, targets []demes.EventID) (entries []chat.SettledEntry, err error) {
	asked := [][]byte{targetColumn(nil)}
	if len(targets) > 0 {
		asked = nil
	}
	for i := range targets {
		asked = append(asked, targetColumn(&targets[i]))
	}
	slices.SortFunc(asked, bytes.Compare)
	err = s.history("read amends", id, func(c *conn, number int64) error {
		for _, target := range slices.CompactFunc(asked, bytes.Equal) {
			found, err := c.amends(number, target)
			if err != nil {
				return err
			}
			entries = append(entries, found...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, compareAmends)
	return entries, nil
}

func (c *conn) amends(number int64, target []byte) (found []chat.SettledEntry, err error) {
	err = c.each(sqlAmendsSettled, func(r row) error {
		e, err := r.entry(number)
		if err == nil && e.Void == "" {
			found = append(found, e)
		}
		return err
	}, number, target)
	if err != nil {
		return nil, err
	}
	err = c.each(sqlAmendsHeld, func(r row) error {
		e, err := r.event(number, 0)
		found = append(found, chat.SettledEntry{Event: e})
		return err
	}, number, target)
	return found, err
}

// compareAmends puts held events, which have no index, behind settled ones.
func compareAmends(a, b chat.SettledEntry) int {
	if a.Index == 0 && b.Index == 0 {
		return cmp.Or(cmp.Compare(a.Event.Lamport, b.Event.Lamport), a.Event.ID.Compare(b.Event.ID))
	}
	return cmp.Compare(a.Index-1, b.Index-1) // 0 wraps to the largest
}

const (
	sqlContentInsert = `INSERT OR IGNORE INTO content (chat, device, seq, expires, target, data)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6)`
	sqlContentUpdate = `UPDATE content SET expires = ?4, target = ?5, data = ?6
		WHERE chat = ?1 AND device = ?2 AND seq = ?3 AND data <> ?6`
	sqlContentDelete = `DELETE FROM content WHERE chat = ? AND device = ? AND seq = ?`

	sqlExpiring = `SELECT device, seq, data, expires, target FROM content
		WHERE chat = ? AND expires IS NOT NULL ORDER BY expires, device, seq`

	// CROSS makes SQLite begin with the few contents that name the target.
	sqlAmendsSettled = `SELECT e.idx, e.position, e.data, ` + eventColumns + `FROM content c
		CROSS JOIN settled e ON e.chat = c.chat AND e.device = c.device AND e.seq = c.seq WHERE c.chat = ? AND c.target = ?`
	sqlAmendsHeld = `SELECT ` + eventColumns + `FROM content c
		CROSS JOIN held e ON e.chat = c.chat AND e.device = c.device AND e.seq = c.seq WHERE c.chat = ? AND c.target = ?`
)
