// Package store keeps one profile durably: every chat's events, settled log,
// council log, outbox, small values, keys, and what was read in its sealed
// events, in one encrypted SQLite file.
//
// Its one idea: a batch is everything or nothing, and what a batch answered for
// is there after any crash. One connection writes, one transaction and one sync
// per Commit (write-ahead log, synchronous=FULL); a few others read beside it,
// each from one consistent snapshot.
//
// A profile is a folder, made with mode 0700 (one that was there keeps its own),
// with files of mode 0600: demes.db and its -wal and -shm (both gone after
// Close), key, lock, mark; and profile.txt, which says to people what they look
// at. The lock lives in the kernel and so ends with the process, however that
// ends.
//
// Encryption (the adiantum VFS, 4 KiB blocks) hides contents from who has the
// files and not the key. It proves nothing: therefore each row carries a
// checksum over its key and its content (row.go), which stands inside the
// encryption, where one changed bit of a block scrambles the whole block. A row
// that fails is reported as damage and never handed to the protocol. Records that
// hold keys are sealed once more, with a tag (secret.go); where one fails, the
// chat comes back without the keys of that space, and the log says so.
//
// What is deleted is to be gone: SQLite overwrites it, scrub.go the copies that
// SQLite forgets, and Erase empties the write-ahead log.
//
// None of this notices a file that was put back to an earlier state as a whole.
// Where the database alone was put back or copied, the file mark tells
// (mark.go): then Restored says so until SetValue("restored", nil). Where all of
// the folder was, nothing in it can tell; the peers' memory of this device's
// events does (docs/protocol.md).
//
// The package knows no protocol: entries of the council's log, records and
// values are bytes to it, and an event is what wire.ReadEvent makes of it.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/demes-chat/demes"
)

// Store is one open profile. Its methods may be called by any goroutine.
type Store struct {
	lock     *os.File // held until Close
	readers  *pool
	log      *slog.Logger
	restored bool

	mu sync.Mutex // guards what follows
	// Invariant: writer is the only connection that writes; nil once closed.
	writer *conn
	chats  map[demes.ChatID]int64 // numbers of chats that are committed
}

// Option changes how Open works.
type Option func(*options)

type options struct {
	key KeySource
	vfs string
	log *slog.Logger
}

// WithKey makes the profile's key come from a source other than the key file.
func WithKey(source KeySource) Option { return func(o *options) { o.key = source } }

// WithLog makes the store report to a log other than slog.Default what it could
// go on without.
func WithLog(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// Open opens the profile in dir and makes it when there is none. Errors a user
// can act on are *demes.Error: the profile is in use, newer than this program,
// damaged, or its disk is full or cannot be written.
func Open(dir string, opts ...Option) (*Store, error) {
	o := options{key: KeyFile{}, vfs: encryptedVFS, log: slog.Default()}
	for _, opt := range opts {
		opt(&o)
	}
	s, err := open(dir, o)
	if err != nil {
		return nil, unusable(dir, problem("open store", err))
	}
	return s, nil
}

func open(dir string, o options) (_ *Store, err error) {
	p, err := prepareProfile(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.lock.Close()
		}
	}()
	key, err := p.key(o.key)
	if err != nil {
		return nil, err
	}
	source, err := newSource(p.database(), key, o.vfs)
	if err != nil {
		return nil, err
	}
	writer, err := source.openWriter(p.makeFiles)
	if err != nil {
		return nil, err
	}
	restored, err := p.renewMark(writer)
	if err == nil {
		err = p.markMade()
	}
	if err != nil {
		return nil, errors.Join(err, writer.close())
	}
	writer.stale = true // a run that did not end well may have left a log
	return &Store{
		lock: p.lock, writer: writer, chats: map[demes.ChatID]int64{},
		readers: newPool(source), log: o.log, restored: restored,
	}, nil
}

// Restored reports whether the database was found to be another one than this
// folder's last run left: put back from a backup, or copied from elsewhere. Keys
// in it may have been used since. It stays so, also over restarts, until
// SetValue("restored", nil); for the run that clears it, it stays true.
func (s *Store) Restored() bool { return s.restored }

// Close waits for what is under way, moves the write-ahead log into the
// database and lets go of the profile. Closing twice is no error.
func (s *Store) Close() error {
	readers := s.readers.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return nil
	}
	checkpoint := s.writer.checkpoint(truncateLog)
	err := errors.Join(readers, checkpoint, s.writer.close(), s.lock.Close())
	s.writer = nil
	return problem("close store", err)
}

// read runs one consistent look at the profile beside the writer.
func (s *Store) read(doing string, look func(*conn) error) error {
	c, err := s.readers.take()
	if err != nil {
		return problem(doing, err)
	}
	defer s.readers.give(c)
	return problem(doing, c.transact("BEGIN", func() error { return look(c) }))
}

// write runs one transaction and syncs it.
func (s *Store) write(doing string, change func(*conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return errClosed()
	}
	err := s.writer.transact("BEGIN IMMEDIATE", func() error { return change(s.writer) })
	if err != nil {
		s.writer.stale = true // pages that did not fit into memory went to the log before
		return problem(doing, err)
	}
	s.writer.checkpointWhenDue()
	return nil
}

func errClosed() error {
	return demes.Problem(demes.CodeShuttingDown, "The profile is closed", "Start DeMes again.")
}

// Value returns a small value of the profile; nil when there is none.
func (s *Store) Value(name string) (data []byte, err error) {
	err = s.read("read profile value", func(c *conn) (err error) {
		data, err = c.profileValue(name)
		return err
	})
	return data, err
}

func (c *conn) profileValue(name string) (data []byte, err error) {
	err = c.each(sqlProfileValue, func(r row) (err error) {
		data, err = r.unseal(0, rowKey{table: tableProfile, name: []byte(name)})
		return err
	}, name)
	return data, err
}

// SetValue keeps a small value of the profile; an empty one deletes the name. The
// names "mark" and "restored" are the store's own (mark.go).
func (s *Store) SetValue(name string, data []byte) error {
	return s.write("keep profile value", func(c *conn) error { return c.setProfileValue(name, data) })
}

func (c *conn) setProfileValue(name string, data []byte) error {
	if len(data) == 0 {
		return c.exec(sqlProfileDelete, name)
	}
	return c.exec(sqlProfilePut, name, seal(rowKey{table: tableProfile, name: []byte(name)}, data))
}

const (
	sqlProfileValue  = `SELECT data FROM profile WHERE name = ?`
	sqlProfilePut    = `INSERT OR REPLACE INTO profile (name, data) VALUES (?, ?)`
	sqlProfileDelete = `DELETE FROM profile WHERE name = ?`
)

// wrap adds what was being done to an error, if there is one.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
