//go:build unix

package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/store"
)

func init() {
	children["full"], children["denied"] = childFull, childDenied
}

func TestFullDiskLosesNothing(t *testing.T) {
	if got := runChild(t, "full", t.TempDir()); got != "ok" {
		t.Fatal(got)
	}
}

// childFull commits until the system refuses to let files grow, three times
// over, and goes on when it may again.
func childFull(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	var n uint64
	for round := range 3 {
		if err := limitFiles(uint64(1+round) * 1_300_000); err != nil {
			return err
		}
		for err = nil; err == nil; n++ {
			err = s.Commit(stepBatches(n + 1))
		}
		n-- // the last one failed
		if !errors.Is(err, &demes.Error{Code: demes.CodeStorageFull}) {
			return fmt.Errorf("commit on a full disk: %w", err)
		}
		for range 3 { // it stays full, and what was there stays readable
			if err := s.Commit(stepBatches(n + 1)); err == nil {
				return fmt.Errorf("step %d was committed on a full disk", n+1)
			}
			if got, err := lastStep(s); err != nil || got != n {
				return fmt.Errorf("on the full disk: stands at step %d, not %d: %w", got, n, err)
			}
		}
		if err := limitFiles(unix.RLIM_INFINITY); err != nil {
			return err
		}
		if err := s.Commit(stepBatches(n + 1)); err != nil {
			return fmt.Errorf("commit with space again: %w", err)
		}
		n++
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = store.Open(dir); err != nil {
		return err
	}
	if got, err := lastStep(s); err != nil || got != n {
		return fmt.Errorf("after a restart: stands at step %d, not %d: %w", got, n, err)
	}
	fmt.Println("ok")
	return s.Close()
}

// limitFiles sets how large a file of this process may grow, as a full disk
// would; standard output is a pipe and not bound by it.
func limitFiles(size uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(size, limit.Max)
	return unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)
}

func TestFolderWithoutRights(t *testing.T) {
	base := filepath.Join(os.TempDir(), fmt.Sprintf("demes-denied-%d", os.Getpid()))
	t.Cleanup(func() { os.RemoveAll(base) })
	if got := runChild(t, "denied", base); got != "ok" {
		t.Fatal(got)
	}
}

// childDenied opens folders that it may not read or write, as a user who is not
// root: root may do everything.
func childDenied(base string) error {
	if err := os.Mkdir(base, 0o755); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		const nobody = 65534
		if err := errors.Join(os.Chown(base, nobody, nobody), syscall.Setuid(nobody)); err != nil {
			fmt.Println("skip: cannot become another user than root:", err)
			return nil
		}
	}
	whole := filepath.Join(base, "whole")
	s, err := store.Open(whole)
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		return err
	}
	for _, spoil := range []func() error{
		func() error { return os.Chmod(filepath.Join(whole, "demes.db"), 0o400) },
		func() error { return os.Chmod(whole, 0o500) }, // nothing can be made in it
		func() error { return os.Chmod(whole, 0) },     // nothing can be seen in it
		func() error { return os.Chmod(base, 0) },
	} {
		if err := spoil(); err != nil {
			return err
		}
		s, err := store.Open(whole)
		if err == nil {
			err = fmt.Errorf("it could be opened: %w", s.Close())
		}
		if !errors.Is(err, &demes.Error{Code: demes.CodeStorage}) {
			return fmt.Errorf("open a folder without rights: %w", err)
		}
	}
	fmt.Println("ok")
	return os.Chmod(base, 0o700)
}
