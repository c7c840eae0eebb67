package store

import (
	"cmp"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// Limits of a connection.
const (
	// writerCacheKiB holds the right edges of all tables of the chats that are
	// busy; readerCacheKiB a page of messages. They are most of what an open
	// profile costs in memory.
	writerCacheKiB = 1024
	readerCacheKiB = 512

	// busyTimeout bounds the wait for another connection of this process: only
	// an empty log's start and a truncating checkpoint ever make one wait.
	busyTimeout = 5 * time.Second

	// logPages is how long the write-ahead log grows before it is moved into the
	// database, in pages: 4 MiB, so that a start after a crash reads that much
	// at most twice over, and a page that changes often is moved once.
	logPages = 1000

	// logPagesMax is where the move waits for readers and cuts the file, which
	// they otherwise keep growing.
	logPagesMax = 8 * logPages
)

const (
	keepLog     = sqlite3.CHECKPOINT_PASSIVE
	truncateLog = sqlite3.CHECKPOINT_TRUNCATE
)

// source opens connections to one database.
type source struct {
	path string
	key  []byte
	vfs  string
	box  cipher.AEAD // for records that hold keys
}

func newSource(path string, key []byte, vfs string) (source, error) {
	box, err := newSecretBox(key)
	return source{path: path, key: key, vfs: vfs, box: box}, err
}

// conn is one connection with its prepared statements. One goroutine uses it at
// a time.
type conn struct {
	db         *sqlite3.Conn
	statements map[string]*sqlite3.Stmt
	box        cipher.AEAD
	logged     int // pages in the write-ahead log after the last commit

	// stale says that the write-ahead log may hold pages with secrets or contents
	// that were deleted or replaced.
	stale bool
}

// open makes a connection that knows the key and has changed nothing.
func (s source) open(flags sqlite3.OpenFlag) (*conn, error) {
	db, err := sqlite3.OpenFlags(s.uri(), flags|sqlite3.OPEN_URI)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	c := &conn{db: db, box: s.box, statements: map[string]*sqlite3.Stmt{}}
	// The key goes in by PRAGMA and not in the name, which anybody in the
	// process may ask for.
	err = db.Exec("PRAGMA hexkey = '" + hex.EncodeToString(s.key) + "'")
	if err == nil {
		err = db.BusyTimeout(busyTimeout)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("key database: %w", err), db.Close())
	}
	return c, nil
}

// uri names the file to SQLite, and the VFS with it. Only "%", "?" and "#" mean
// something in its path.
func (s source) uri() string {
	path := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.ToSlash(s.path))
	if strings.HasPrefix(path, "//") {
		path = "//" + path // a Windows share, which is no host name here
	}
	return "file:" + path + "?vfs=" + s.vfs
}

// openWriter opens the connection that writes, and makes or migrates the
// database. A newer or a foreign one is refused with nothing written.
func (s source) openWriter(makeFiles func() error) (_ *conn, err error) {
	if err := makeFiles(); err != nil {
		return nil, err
	}
	c, err := s.open(sqlite3.OPEN_READWRITE)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if _, err := c.db.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true); err != nil {
		return nil, fmt.Errorf("set up database: %w", err)
	}
	format, err := c.checkFormat(formats)
	if err != nil {
		return nil, err
	}
	if _, err := c.db.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, false); err != nil {
		return nil, fmt.Errorf("set up database: %w", err)
	}
	err = c.db.Exec(fmt.Sprintf(`
		PRAGMA page_size = %d;            -- the block of the encryption
		PRAGMA journal_mode = WAL;
		PRAGMA synchronous = FULL;        -- one sync per commit
		PRAGMA fullfsync = ON;            -- macOS: through the disk's cache as well
		PRAGMA checkpoint_fullfsync = ON;
		PRAGMA temp_store = MEMORY;       -- no plaintext outside the profile
		PRAGMA secure_delete = ON;        -- what is deleted is overwritten
		PRAGMA mmap_size = 0;
		PRAGMA cache_size = -%d;`, blockSize, writerCacheKiB))
	if err == nil {
		err = c.requireLog()
	}
	if err == nil {
		err = makeFiles() // a new database's log is made anew by SQLite
	}
	if err != nil {
		return nil, fmt.Errorf("set up database: %w", err)
	}
	c.db.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error { c.logged = pages; return nil })
	return c, c.migrate(format, formats, schemaStep)
}

// requireLog fails where SQLite silently stayed with another journal: readers
// would then stop the writer.
func (c *conn) requireLog() error {
	mode := ""
	err := c.each("PRAGMA journal_mode", func(r row) error { mode = r.ColumnText(0); return nil })
	if err == nil && mode != "wal" {
		err = fmt.Errorf("journal mode is %q, not wal: %w", mode, sqlite3.CANTOPEN)
	}
	return err
}

// openReader opens a connection that never writes.
func (s source) openReader() (*conn, error) {
	c, err := s.open(sqlite3.OPEN_READWRITE) // it may have to recover the log's index
	if err != nil {
		return nil, err
	}
	err = c.db.Exec(fmt.Sprintf(`
		PRAGMA query_only = ON;
		PRAGMA temp_store = MEMORY;
		PRAGMA mmap_size = 0;
		PRAGMA cache_size = -%d;`, readerCacheKiB))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up reader: %w", err), c.close())
	}
	return c, nil
}

func (c *conn) close() error {
	for _, s := range c.statements {
		s.Close() // its error is the last one of a step, which was reported
	}
	return c.db.Close()
}

// transact runs work between begin and commit. After an error nothing of it is
// visible.
func (c *conn) transact(begin string, work func() error) error {
	err := c.exec(begin)
	if err != nil {
		return err
	}
	if err = work(); err == nil {
		err = c.exec("COMMIT")
	}
	if err != nil && !c.db.GetAutocommit() {
		err = errors.Join(err, c.exec("ROLLBACK"))
	}
	return err
}

func (c *conn) statement(sql string) (*sqlite3.Stmt, error) {
	if s := c.statements[sql]; s != nil {
		return s, nil
	}
	s, _, err := c.db.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40q: %w", sql, err)
	}
	c.statements[sql] = s
	return s, nil
}

func bind(s *sqlite3.Stmt, args []any) (err error) {
	for i, arg := range args {
		switch v := arg.(type) {
		case int64:
			err = s.BindInt64(i+1, v)
		case uint64:
			err = s.BindInt64(i+1, int64(v))
		case string:
			err = s.BindText(i+1, v)
		case []byte:
			err = s.BindBlob(i+1, v)
		case nil:
			err = s.BindNull(i + 1)
		default:
			panic(fmt.Sprintf("store: cannot bind a %T", arg))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exec runs a statement that answers nothing.
func (c *conn) exec(sql string, args ...any) error {
	s, err := c.statement(sql)
	if err != nil {
		return err
	}
	if err := bind(s, args); err != nil {
		return err
	}
	return s.Exec()
}

// errEnough ends each early.
var errEnough = errors.New("enough")

// each calls visit for every row of the answer, until it returns an error.
func (c *conn) each(sql string, visit func(row) error, args ...any) error {
	s, err := c.statement(sql)
	if err != nil {
		return err
	}
	if err := bind(s, args); err != nil {
		return err
	}
	for s.Step() {
		if err := visit(row{s}); err != nil {
			s.Reset()
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
	}
	return s.Reset() // with the error of the last step
}

// pragma reads a number that the database's header keeps.
func (c *conn) pragma(name string) (int, error) {
	s, _, err := c.db.Prepare("PRAGMA " + name)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	defer s.Close()
	if !s.Step() {
		return 0, fmt.Errorf("read %s: %w", name, cmp.Or(s.Err(), error(sqlite3.NOTADB)))
	}
	return s.ColumnInt(0), nil
}

func (c *conn) checkpoint(mode sqlite3.CheckpointMode) error {
	_, _, err := c.db.WALCheckpoint("main", mode)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if mode == truncateLog {
		c.logged, c.stale = 0, false
	}
	return nil
}

// checkpointWhenDue keeps the write-ahead log near logPages. An error is no
// error of the commit before it, which is durable in the log; the next commit
// tries again, and what is wrong with the disk shows there.
func (c *conn) checkpointWhenDue() {
	switch {
	case c.logged >= logPagesMax:
		_ = c.checkpoint(truncateLog)
	case c.logged >= logPages:
		_ = c.checkpoint(keepLog)
	}
}
