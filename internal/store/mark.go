package store

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// A mark is a random word that is renewed at every start. It stands in a file
// beside the database, and the database knows its hash: a database that was put
// back without the file, or copied to another folder, does not know the mark
// that it finds there. It is renewed in the database first; the database keeps
// the hash of the mark that stands in the file until then, because the program
// may be stopped between the two.

// Names of profile values.
const (
	markValue     = "mark"     // hash of the mark, then of the one before it
	restoredValue = "restored" // there is one once a database was found restored
)

// renewMark gives the profile its next mark and reports whether the database was
// found restored, now or in an earlier run.
func (p *profile) renewMark(c *conn) (restored bool, err error) {
	there, err := os.ReadFile(p.file(markFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read mark: %w", err)
	}
	known, err := c.profileValue(markValue)
	if err != nil && !errors.Is(err, errDamaged) {
		return false, fmt.Errorf("read mark: %w", err)
	}
	next := []byte(hex.EncodeToString(randomBytes(sha256.Size)) + "\n")
	if !p.made && known == nil && err == nil {
		// The first start. The file comes first: one that no database knows yet
		// means nothing, and so an interruption is no sign of anything.
		if err := p.writeMark(next); err != nil {
			return false, err
		}
		return false, wrap("note mark", c.noteMark(next, next, false))
	}
	if err := c.noteMark(next, there, !knows(known, there)); err != nil {
		return false, fmt.Errorf("note mark: %w", err)
	}
	if err := p.writeMark(next); err != nil {
		return false, err
	}
	noted, err := c.profileValue(restoredValue)
	if errors.Is(err, errDamaged) {
		return true, nil
	}
	return len(noted) > 0, err
}

func (p *profile) writeMark(mark []byte) error {
	return wrap("write mark", writeDurably(p.dir, markFile, mark))
}

// knows reports whether the hash of the mark is one of the known ones. A missing
// mark is none.
func knows(known, mark []byte) bool {
	hash := sha256.Sum256(mark)
	for len(known) >= len(hash) {
		if bytes.Equal(known[:len(hash)], hash[:]) {
			return len(mark) > 0
		}
		known = known[len(hash):]
	}
	return false
}

func (c *conn) noteMark(next, there []byte, restored bool) error {
	current, previous := sha256.Sum256(next), sha256.Sum256(there)
	return c.transact("BEGIN IMMEDIATE", func() error {
		if restored {
			if err := c.setProfileValue(restoredValue, []byte{1}); err != nil {
				return err
			}
		}
		return c.setProfileValue(markValue, append(current[:], previous[:]...))
	})
}

func randomBytes(size int) []byte {
	out := make([]byte, size)
	rand.Read(out) // never fails: it ends the program instead
	return out
}
