package store

import (
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"
)

// WithVFS makes the database go through another VFS of SQLite.
func WithVFS(name string) Option { return func(o *options) { o.vfs = name } }

// Lookups are the queries that must not walk through a table.
var Lookups = []string{
	sqlSettled, sqlMessagesUp, sqlMessagesDown, sqlSettledEvent, sqlHeldEvent, sqlHeld, sqlSecrets, sqlExpiring,
	sqlAmendsSettled, sqlAmendsHeld, sqlContentDelete, sqlSecretReset,
}

// LogPages is the bound of the write-ahead log.
const LogPages = logPages

// MigrateWith raises an open profile's database by steps of the test's own.
func (s *Store) MigrateWith(known int, step func(int) (string, error)) error {
	return s.writer.migrate(formats, known, step)
}

// Format reads the database's format.
func (s *Store) Format() (int, error) { return s.writer.pragma("user_version") }

// RegisterVFS makes a VFS that WithVFS can name: the store's own over base.
func RegisterVFS(name string, base vfs.VFS) { vfs.Register(name, encrypted(base)) }

// RegisterUnscrubbedVFS makes one with a planted bug: SQLite's secure_delete is
// all that erases.
func RegisterUnscrubbedVFS(name string) { vfs.Register(name, adiantum.Wrap(disk{vfs.Find("")}, nil)) }

// ExecWriter runs SQL on the connection that writes.
func (s *Store) ExecWriter(sql string) error { return s.writer.db.Exec(sql) }
