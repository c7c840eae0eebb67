package store

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/demes-chat/demes"
)

// A profile remembers where its key is by the files that are there:
//
//	key.locked      the key, sealed under a passphrase
//	key.keychain    the name under which the system's keychain holds it
//	key             the key itself
//
// While it moves, the new place is written before the old one is removed, and so
// two can be there after a crash. Both are valid then; the first of this list is
// the one that is used, and using it removes the other.
const (
	passphraseFile = "key.locked"
	keychainFile   = "key.keychain"
)

// KeyPlace says where the key of a profile is.
type KeyPlace string

// The places of a key. A profile without any has no key yet.
const (
	NoKey         KeyPlace = ""
	KeyPassphrase KeyPlace = "passphrase"
	KeyKeychain   KeyPlace = "keychain"
	KeyInFile     KeyPlace = "key-file"
)

// PlaceOfKey looks where the key of the profile in dir is; NoKey when there is no
// such profile.
func PlaceOfKey(dir string) (KeyPlace, error) {
	for _, place := range []struct {
		file string
		is   KeyPlace
	}{{passphraseFile, KeyPassphrase}, {keychainFile, KeyKeychain}, {keyFile, KeyInFile}} {
		_, err := os.Stat(filepath.Join(dir, place.file))
		if err == nil {
			return place.is, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) { // Open says what is wrong with a folder that is a file
			return NoKey, unusable(dir, problem("look for the profile's key", err))
		}
	}
	return NoKey, nil
}

// Remembered takes the key from where the profile has it. That of a new profile
// goes to the keychain where one works, else to the key file.
type Remembered struct {
	Ring Ring // the system's keychain; nil: it is not used
	// Fallback is told why the key of a new profile is in the key file although
	// there is a Ring. It may be nil.
	Fallback func(reason error)
}

// Key implements KeySource. A profile with a passphrase is demes.CodeLocked.
func (r Remembered) Key(dir string, create bool) ([]byte, error) {
	place, err := PlaceOfKey(dir)
	if err != nil {
		return nil, err
	}
	switch place {
	case KeyPassphrase:
		return nil, demes.Problem(demes.CodeLocked, "The profile is locked", "Unlock it with its passphrase: demes unlock")
	case KeyKeychain:
		return r.fromKeychain(dir)
	case KeyInFile:
		return KeyFile{}.Key(dir, false)
	}
	if !create {
		return nil, ErrNoKey
	}
	if r.Ring == nil {
		return KeyFile{}.Key(dir, true)
	}
	key, err := Keychain{r.Ring}.Key(dir, true)
	if err == nil {
		return key, nil
	}
	if r.Fallback != nil {
		r.Fallback(err)
	}
	return KeyFile{}.Key(dir, true) // another key: what the keychain may hold after all opens nothing
}

// fromKeychain also ends a move from the key file that a crash cut short.
func (r Remembered) fromKeychain(dir string) ([]byte, error) {
	key, err := Keychain{r.Ring}.Key(dir, false)
	if err == nil {
		return key, removeKeyFile(dir, key)
	}
	if old, fileErr := (KeyFile{}).Key(dir, false); fileErr == nil {
		return old, nil
	}
	return nil, err
}

// newKey makes a key.
func newKey() []byte {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails: it ends the program instead
	return key
}

// removeKeyFile removes the key file if it holds this key. One that holds another
// is not touched: nobody knows what it opens.
func removeKeyFile(dir string, key []byte) error {
	held, err := KeyFile{}.Key(dir, false)
	if err != nil || !bytes.Equal(held, key) {
		return nil
	}
	return wrap("remove the key file", erase(dir, keyFile))
}

// erase overwrites a small file and removes it. A disk may keep the old sectors
// all the same; that is why a key that once lay open is no secret from who has
// had the disk before.
func erase(dir, name string) error {
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if file, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		_, err = file.Write(make([]byte, min(info.Size(), 4096)))
		if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncFolder(dir)
}
