package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/store"
)

// run opens a profile, uses it and closes it again.
func run(t *testing.T, dir string) (restored bool) {
	t.Helper()
	s := openStore(t, dir)
	commit(t, s, &chat.Batch{Chat: chatID, Put: []chat.Value{{Name: "used", Data: []byte("x")}}})
	restored = s.Restored()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return restored
}

func readMark(t *testing.T, dir string) []byte {
	t.Helper()
	mark, err := os.ReadFile(filepath.Join(dir, "mark"))
	if err != nil {
		t.Fatal(err)
	}
	return mark
}

// move copies files of one profile over those of another.
func move(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestProfileThatGoesOnIsNotRestored(t *testing.T) {
	dir := t.TempDir()
	var last []byte
	for i := range 4 {
		if run(t, dir) {
			t.Fatalf("run %d: restored", i+1)
		}
		mark := readMark(t, dir)
		if bytes.Equal(mark, last) || len(mark) != 65 {
			t.Fatalf("run %d: the mark is %q, after %q", i+1, mark, last)
		}
		last = mark
		crashed := copyProfile(t, dir)
		if run(t, crashed) {
			t.Errorf("a copy of the whole folder after run %d: restored", i+1) // nothing here can tell it
		}
	}
}

func TestCrashIsNotRestoring(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	commit(t, s, &chat.Batch{Chat: chatID})
	for range 3 { // the process ends without a word, several times
		dir = copyProfile(t, dir)
		s := openStore(t, dir)
		if s.Restored() {
			t.Fatal("restored after a crash")
		}
		commit(t, s, &chat.Batch{Chat: chatID, Put: []chat.Value{{Name: "used", Data: []byte("x")}}})
	}
}

func TestStartCutShortIsNotRestoring(t *testing.T) {
	dir := someProfile(t)
	for range 3 { // the database has its next mark, the file has not
		before := readMark(t, dir)
		if run(t, dir) {
			t.Fatal("restored after a start that was cut short")
		}
		if err := os.WriteFile(filepath.Join(dir, "mark"), before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if run(t, dir) {
		t.Error("restored after starts that were cut short")
	}
}

// TestStartThatFailsAnywhereIsNotRestoring lets each change to the database's
// files fail, at the first start and at a later one.
func TestStartThatFailsAnywhereIsNotRestoring(t *testing.T) {
	disk := faulty()
	whole := someProfile(t)
	for _, first := range []bool{true, false} {
		for failAt := 1; ; failAt++ {
			dir := t.TempDir()
			if !first {
				dir = copyProfile(t, whole)
			}
			disk.reset(failAt, syscall.EIO, true)
			s, err := store.Open(dir, store.WithVFS("faulty"))
			if err == nil {
				s.Close()
			}
			fired := disk.fired()
			disk.reset(0, nil, false)
			if run(t, dir) {
				t.Fatalf("change %d fails: restored at the next start", failAt)
			}
			if err == nil && !fired || failAt > 200 {
				break
			}
		}
	}
}

func TestRestoredDatabaseIsNoticed(t *testing.T) {
	for name, restore := range map[string]func(backup, dir string){
		"put back into its folder":       func(backup, dir string) { move(t, backup, dir, "demes.db") },
		"put back with its mark's loss":  func(_, dir string) { os.Remove(filepath.Join(dir, "mark")) },
		"beside a mark that was emptied": func(_, dir string) { os.Truncate(filepath.Join(dir, "mark"), 0) },
		"beside another profile's mark":  func(_, dir string) { move(t, someProfile(t), dir, "mark") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := someProfile(t)
			backup := copyProfile(t, dir)
			run(t, dir)
			restore(backup, dir)
			if !run(t, dir) {
				t.Fatal("not noticed")
			}
			s := openStore(t, dir)
			if !s.Restored() {
				t.Error("forgotten at the next start")
			}
			if err := errors.Join(s.SetValue("restored", nil), s.Close()); err != nil {
				t.Fatal(err)
			}
			if run(t, dir) {
				t.Error("still said after it was cleared")
			}
			move(t, backup, dir, "demes.db")
			if !run(t, dir) {
				t.Error("not noticed the second time")
			}
		})
	}
}

func TestMarkThatIsLostTwiceIsNoticedTwice(t *testing.T) {
	dir := someProfile(t)
	for range 2 {
		if err := os.Remove(filepath.Join(dir, "mark")); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, dir)
		if !s.Restored() {
			t.Error("not noticed")
		}
		if err := errors.Join(s.SetValue("restored", nil), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackupOfOneRunAgoIsNoticed is the least that can be put back: the database
// as it was when the last run began.
func TestBackupOfOneRunAgoIsNoticed(t *testing.T) {
	dir := someProfile(t)
	backup := copyProfile(t, dir)
	s := openStore(t, dir)
	s.Close()
	move(t, backup, dir, "demes.db")
	if !run(t, dir) {
		t.Error("not noticed")
	}
}

func TestCopiedDatabaseIsNoticed(t *testing.T) {
	from := t.TempDir()
	run(t, from) // its first run
	for range 2 {
		to := t.TempDir()
		move(t, from, to, "demes.db", "key")
		if !run(t, to) {
			t.Error("not noticed")
		}
		run(t, from)
	}
}

func TestMarkIsItsOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes mean nothing here")
	}
	dir := someProfile(t)
	info, err := os.Stat(filepath.Join(dir, "mark"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mark has mode %v, %v, want 0600", info.Mode(), err)
	}
}
