package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/ncruces/go-sqlite3"

	"github.com/demes-chat/demes"
)

// errDamaged says that a row does not match its checksum.
var errDamaged = errors.New("a row does not match its checksum")

// problem turns what went wrong into an error for a user. What it cannot name
// is a defect of the program and keeps the code "internal".
func problem(doing string, err error) error {
	if err == nil {
		return nil
	}
	cause := fmt.Errorf("%s: %w", doing, err)
	if known := (*demes.Error)(nil); errors.As(err, &known) {
		return &demes.Error{Code: known.Code, Title: known.Title, Detail: known.Detail, Cause: cause}
	}
	switch {
	case isFull(err):
		return &demes.Error{
			Code: demes.CodeStorageFull, Title: "The disk is full",
			Detail: "Nothing that was kept is lost. Free some space and try again.", Cause: cause,
		}
	case isDamage(err):
		return damaged("the database cannot be read", cause)
	case isDefect(err):
		return &demes.Error{
			Code: demes.CodeInternal, Title: "DeMes could not keep something because of a defect of its own",
			Detail: "Please report it, with the log.", Cause: cause,
		}
	}
	return &demes.Error{
		Code: demes.CodeStorage, Title: "The profile cannot be read or written",
		Detail: "Check that its folder belongs to you, can be written, and that the disk works.", Cause: cause,
	}
}

// unusable says which file of a folder cannot be used, and why, where the system
// says so.
func unusable(dir string, err error) error {
	var known *demes.Error
	var system syscall.Errno
	if !errors.As(err, &known) || known.Code != demes.CodeStorage || !errors.As(err, &system) {
		return err
	}
	where := dir
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		where = at.Path
	}
	return &demes.Error{
		Code: known.Code, Title: where + " cannot be used: " + system.Error(), Cause: err,
		Detail: "Make sure that the data folder " + dir + " and all that is in it belong to you and can be written, " +
			"or name another folder with --data FOLDER.",
	}
}

// damaged is the error of a profile whose files are not what they were. The
// files stay as they are: they may be all that is left.
func damaged(what string, cause error) *demes.Error {
	return &demes.Error{
		Code: demes.CodeProfileDamaged, Title: "The profile is damaged: " + what,
		Detail: "Nothing was deleted. Put back demes.db and key as they were together, or start with a new folder " +
			"(--data FOLDER) and join your chats again; members send what you missed.",
		Cause: cause,
	}
}

func newer(found, known int) error {
	return demes.Problem(demes.CodeProfileNewer,
		fmt.Sprintf("A newer DeMes wrote this profile (format %d, this one knows %d)", found, known),
		"Nothing was changed. Start the newer DeMes, or this one with another folder: --data FOLDER")
}

// isFull also takes it for a full disk when the index of the write-ahead log
// cannot grow: its space is asked for by a path of its own (disk.go).
func isFull(err error) bool {
	return errors.Is(err, sqlite3.FULL) || errors.Is(err, sqlite3.IOERR_SHMSIZE) || isDiskFull(err)
}

func isDamage(err error) bool {
	for _, code := range []error{
		errDamaged, sqlite3.CORRUPT, sqlite3.NOTADB,
		sqlite3.IOERR_SHORT_READ, sqlite3.IOERR_CORRUPTFS, sqlite3.IOERR_DATA,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// isDefect reports errors of a statement rather than of a disk.
func isDefect(err error) bool {
	for _, code := range []error{
		errNumber, errRewritten, errUnreadable, sqlite3.CONSTRAINT, sqlite3.ERROR, sqlite3.MISUSE, sqlite3.RANGE,
		sqlite3.TOOBIG, sqlite3.MISMATCH,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
