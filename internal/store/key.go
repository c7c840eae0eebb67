package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeySize is the size of a profile's key in bytes.
const KeySize = 32

// ErrNoKey says that a key source holds no key for a profile that has one.
var ErrNoKey = errors.New("no key for this profile")

// KeySource hands out the key of a profile: a key file, the system's keychain, a
// passphrase.
type KeySource interface {
	// Key returns the KeySize bytes of the profile in dir. With create the
	// profile has no database yet: a source that holds no key makes one and
	// returns it only once it is kept durably. Without create a missing key is
	// ErrNoKey.
	Key(dir string, create bool) ([]byte, error)
}

// KeyFile keeps the key in the profile's folder, in the file "key" of mode 0600,
// as hexadecimal digits. It protects copies of the database that were made
// without it (a backup of that file alone, a disk sector that went astray), and
// nothing else: whoever can read the folder can read the chats.
type KeyFile struct{}

// Key implements KeySource.
func (KeyFile) Key(dir string, create bool) ([]byte, error) {
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, fmt.Errorf("%s: %w", path, ErrNoKey)
		}
		return makeKeyFile(dir)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != KeySize {
		return nil, damaged("the key file "+path+" does not hold a key", nil)
	}
	return key, nil
}

func makeKeyFile(dir string) ([]byte, error) {
	key := newKey()
	return key, writeKeyFile(dir, key)
}

func writeKeyFile(dir string, key []byte) error {
	return wrap("make key file", writeDurably(dir, keyFile, []byte(hex.EncodeToString(key)+"\n")))
}
