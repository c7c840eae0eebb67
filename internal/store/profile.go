package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/demes-chat/demes"
)

// The files of a profile.
const (
	databaseFile = "demes.db"
	keyFile      = "key"
	lockFile     = "lock"
	markFile     = "mark"
	noticeFile   = "profile.txt"
)

// notice is what profile.txt says. The file is written last when a profile is
// made, and so its presence means that there was a database.
const notice = `This folder is a DeMes profile: one person's chats on one device.

  demes.db   everything, encrypted (demes.db-wal and -shm while DeMes runs)
  key        the key of demes.db; or
  key.keychain   the name of that key in the system's keychain; or
  key.locked     that key, locked with your passphrase
  lock       keeps a second DeMes out
  mark       tells whether demes.db was put back to an earlier state

Do not copy it to run it twice. Whoever has demes.db and key can read the
chats: the key file protects only copies that were made without it.
`

// profile is a profile's folder, locked.
type profile struct {
	dir  string
	lock *os.File
	had  bool // there is a database
	made bool // there was one before, with everything beside it
}

// prepareProfile makes the folder, locks it and looks what is in it.
func prepareProfile(dir string) (*profile, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find profile folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make profile folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open profile lock: %w", err)
	}
	if err := lockExclusive(lock); err != nil {
		lock.Close()
		if errors.Is(err, errLocked) {
			return nil, inUse(dir)
		}
		return nil, fmt.Errorf("lock profile: %w", err)
	}
	p := &profile{dir: dir, lock: lock}
	if err := p.look(); err != nil {
		lock.Close()
		return nil, err
	}
	return p, nil
}

func inUse(dir string) error {
	return demes.Problem(demes.CodeProfileInUse, "DeMes is already running with the profile "+dir,
		"Use the one that runs, or start this one with another folder: --data FOLDER")
}

// look finds out whether the profile was made before. An empty database is what
// is left of a first start that was cut short, unless the notice is there: then
// there was a database and it is gone, and a new one must not take its place.
func (p *profile) look() error {
	info, err := os.Stat(p.database())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for database: %w", err)
	}
	p.had = err == nil && info.Size() > 0
	_, err = os.Stat(p.file(noticeFile))
	if p.made = err == nil; p.made && !p.had {
		return damaged("the database "+p.database()+" is missing or empty", nil)
	}
	return p.lookForLog()
}

// lookForLog finds out whether somebody took the write-ahead log of a run that
// did not end well: what was stored last stood there. Its index is made after
// the log and taken away before it, so it never is there alone; except where a
// first start was cut short, which left nothing to lose.
func (p *profile) lookForLog() error {
	_, logErr := os.Stat(p.database() + "-wal")
	_, indexErr := os.Stat(p.database() + "-shm")
	if p.made && errors.Is(logErr, fs.ErrNotExist) && indexErr == nil {
		problem := damaged("the file "+p.database()+"-wal, where the last messages stood, is missing", nil)
		problem.Detail = "Nothing was deleted now. Put the file back; or delete demes.db-shm too and start with what is in demes.db: " +
			"members send what you missed."
		return problem
	}
	return nil
}

func (p *profile) file(name string) string { return filepath.Join(p.dir, name) }
func (p *profile) database() string        { return p.file(databaseFile) }

// key asks the source for the profile's key.
func (p *profile) key(source KeySource) ([]byte, error) {
	key, err := source.Key(p.dir, !p.had)
	if errors.Is(err, ErrNoKey) {
		return nil, damaged("the key of "+p.database()+" is missing", err)
	}
	if err != nil {
		return nil, fmt.Errorf("get profile key: %w", err)
	}
	if len(key) != KeySize {
		return nil, damaged(fmt.Sprintf("the key of %s has %d bytes, not %d", p.database(), len(key), KeySize), nil)
	}
	return key, nil
}

// makeFiles makes the database's files with their mode before SQLite would make
// them with the user's default, and takes wider rights away from older ones.
func (p *profile) makeFiles() error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		path := p.database() + suffix
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("make %s: %w", filepath.Base(path), err)
		}
		err = errors.Join(restrict(file), file.Close())
		if err != nil {
			return fmt.Errorf("make %s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

// markMade writes the notice once the database is there.
func (p *profile) markMade() error {
	if p.made {
		return nil
	}
	return wrap("write profile notice", writeDurably(p.dir, noticeFile, []byte(notice)))
}

// restrict takes a file's rights away from everybody but its owner.
func restrict(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	return file.Chmod(0o600)
}

// writeDurably writes a new file so that after a crash it is there whole or not
// at all. A leftover of an earlier try is overwritten.
func writeDurably(dir, name string, data []byte) error {
	final := filepath.Join(dir, name)
	file, err := os.OpenFile(final+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(final+".new", final); err != nil {
		return err
	}
	return syncFolder(dir)
}
