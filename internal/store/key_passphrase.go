package store

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/identity"
)

// Passphrase keeps the key in the profile, sealed under a passphrase. It protects
// the chats from whoever has the files and cannot guess it.
type Passphrase struct {
	Text string
	Ring Ring // where the key may have been before; nil: none
}

// Key implements KeySource. It also ends a move to the passphrase that a crash
// cut short: what holds the same key in the open is removed.
func (p Passphrase) Key(dir string, create bool) ([]byte, error) {
	sealed, err := readPassphraseFile(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, noPassphrase()
		}
		key := newKey()
		return key, p.keep(dir, key)
	}
	if err != nil {
		return nil, fmt.Errorf("read the sealed key: %w", err)
	}
	key, err := openKeyFile(dir, p.Text, sealed)
	if err != nil {
		return nil, err
	}
	_ = p.tidy(dir, key) // what stays is removed next time; the chats open now
	return key, nil
}

// noPassphrase says that there is nothing to unlock.
func noPassphrase() error {
	return demes.Problem(demes.CodeNoPassphrase, "The profile has no passphrase", "Set one: demes passphrase set")
}

func readPassphraseFile(dir string) ([]byte, error) {
	path := filepath.Join(dir, passphraseFile)
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return sealed, os.Chmod(path, 0o600)
}

// openKeyFile takes the key out of key.locked.
func openKeyFile(dir, passphrase string, sealed []byte) ([]byte, error) {
	key, err := identity.Open(identity.PurposeLock, passphrase, sealed)
	if errors.Is(err, &demes.Error{Code: demes.CodeBadInput}) && len(passphrase) <= identity.MaxPassphrase || err == nil && len(key) != KeySize {
		return nil, damaged("the file "+filepath.Join(dir, passphraseFile)+" does not hold a sealed key", err)
	}
	return key, err
}

// keep seals a key under the passphrase, in place of an older one.
func (p Passphrase) keep(dir string, key []byte) error {
	if err := identity.CheckPassphrase(p.Text); err != nil {
		return err
	}
	sealed, err := identity.Seal(identity.PurposeLock, p.Text, key, rand.Reader)
	if err != nil {
		return err
	}
	return wrap("keep the sealed key", writeDurably(dir, passphraseFile, sealed))
}

// tidy removes the other places where the same key is.
func (p Passphrase) tidy(dir string, key []byte) error {
	err := removeKeyFile(dir, key)
	if _, nameErr := keychainName(dir); errors.Is(nameErr, fs.ErrNotExist) {
		return err
	}
	chain := Keychain{p.Ring}
	held, chainErr := chain.Key(dir, false)
	if chainErr == nil && bytes.Equal(held, key) || errors.Is(chainErr, ErrNotInKeychain) {
		chainErr = chain.forget(dir)
	}
	return errors.Join(err, chainErr)
}
