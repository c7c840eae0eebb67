package store

import "fmt"

// keepPast keeps entries from before the settled log apart, and moves those into it
// that are proven. One statement moves them as they are: their checksums do not
// say in which of the two they stand.
func (c change) keepPast() error {
	if c.batch.DropPast {
		if err := c.exec(sqlPastDrop, c.chat); err != nil {
			return err
		}
	}
	for i := range c.batch.Past {
		e := &c.batch.Past[i]
		row, err := c.entryRow(e)
		if err == nil {
			err = c.exec(sqlPastPut, c.chat, e.Index, row.position, row.device, row.seq, row.event, row.data)
		}
		if err != nil {
			return fmt.Errorf("past index %d: %w", e.Index, err)
		}
	}
	if c.batch.Adopt == 0 {
		return nil
	}
	for _, sql := range []string{sqlPastHeld, sqlPastAdopt, sqlPastCut} {
		if err := c.exec(sql, c.chat, bound(c.batch.Adopt)); err != nil {
			return err
		}
	}
	return nil
}

const (
	sqlPastDrop = `DELETE FROM past WHERE chat = ?`
	sqlPastPut  = `INSERT OR REPLACE INTO past (chat, idx, position, device, seq, event, data) VALUES (?, ?, ?, ?, ?, ?, ?)`
	sqlPastHeld = `DELETE FROM held WHERE chat = ?1 AND (device, seq) IN
		(SELECT device, seq FROM past WHERE chat = ?1 AND idx >= ?2 AND device IS NOT NULL)`
	// What stood in their places, also as another index's event or position, goes.
	sqlPastAdopt = `INSERT OR REPLACE INTO settled (chat, idx, position, device, seq, event, data)
		SELECT chat, idx, position, device, seq, event, data FROM past WHERE chat = ? AND idx >= ?`
	sqlPastCut = `DELETE FROM past WHERE chat = ? AND idx >= ?`
)
