package store

import (
	"errors"
	"time"
)

// eraseTimeout bounds how long Erase makes the writer wait for readers. Nothing
// is lost when it fails: the log is emptied at the next call.
const eraseTimeout = 200 * time.Millisecond

// Checkpoint moves the write-ahead log into the database and empties it, so that
// what was deleted (keys that were used up) is in neither file any more.
func (s *Store) Checkpoint() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return errClosed()
	}
	return problem("checkpoint", s.writer.checkpoint(truncateLog))
}

// Erase does what Checkpoint does, if secrets or contents were deleted or
// replaced since the log was emptied last. Inside the database SQLite overwrites
// what is deleted; the log is where older pages stay. What a disk keeps of blocks
// that were overwritten or cut off is out of reach, and stays encrypted.
func (s *Store) Erase() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return errClosed()
	}
	if !s.writer.stale {
		return nil
	}
	err := s.writer.db.BusyTimeout(eraseTimeout)
	if err == nil {
		err = s.writer.checkpoint(truncateLog)
	}
	return problem("erase", errors.Join(err, s.writer.db.BusyTimeout(busyTimeout)))
}

// replace inserts a row, or updates the one that has its key. Both statements
// take the same arguments. A row that is there with the same data stays.
func (c *conn) replace(insert, update string, args ...any) error {
	err := c.exec(insert, args...)
	if err != nil || c.db.Changes() > 0 {
		return err
	}
	return c.remove(update, args...)
}

// remove runs a statement that deletes or overwrites rows that must not come
// back from the disk.
func (c *conn) remove(sql string, args ...any) error {
	err := c.exec(sql, args...)
	c.stale = c.stale || c.db.Changes() > 0
	return err
}
