package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/demes-chat/demes"
)

// The key of a database stays the same for ever; what moves is where it is. The
// methods here are for one caller at a time.

// KeyPlace is where the key of this profile is.
func (s *Store) KeyPlace() (KeyPlace, error) { return PlaceOfKey(s.folder()) }

func (s *Store) folder() string { return filepath.Dir(s.readers.source.path) }
func (s *Store) key() []byte    { return s.readers.source.key }

// CheckPassphrase checks the passphrase of the profile; it takes a moment on
// purpose. Without one it is demes.CodeNoPassphrase.
func (s *Store) CheckPassphrase(text string) error {
	sealed, err := readPassphraseFile(s.folder())
	if errors.Is(err, fs.ErrNotExist) {
		return noPassphrase()
	}
	if err != nil {
		return problem("read the sealed key", err)
	}
	key, err := openKeyFile(s.folder(), text, sealed)
	if err == nil && !bytes.Equal(key, s.key()) {
		err = damaged("the file "+passphraseFile+" holds another profile's key", nil)
	}
	return err
}

// SetPassphrase sets or changes the passphrase of the profile. The ring is where
// the key may be now. An error of the code demes.CodeNoKeychain means that the
// passphrase is set and the old place could not be cleared.
func (s *Store) SetPassphrase(text string, ring Ring) error {
	p := Passphrase{Text: text, Ring: ring}
	if err := p.keep(s.folder(), s.key()); err != nil {
		return problem("set the passphrase", err)
	}
	if err := p.tidy(s.folder(), s.key()); err != nil {
		left := demes.Problem(demes.CodeNoKeychain, "The passphrase is set, but the key is still in its old place too",
			"DeMes removes it when the profile is unlocked the next time with the keychain open.")
		left.Cause = err
		return left
	}
	return nil
}

// RemovePassphrase moves the key to where a new profile would have it. The
// fallback is told why that is not the ring, as in Remembered.
func (s *Store) RemovePassphrase(ring Ring, fallback func(error)) error {
	if place, err := s.KeyPlace(); err != nil || place != KeyPassphrase {
		return errors.Join(err, noPassphraseUnless(err))
	}
	err := Keychain{ring}.keep(s.folder(), s.key())
	if err != nil {
		if ring != nil && fallback != nil {
			fallback(err)
		}
		err = writeKeyFile(s.folder(), s.key())
	}
	if err == nil {
		err = erase(s.folder(), passphraseFile)
	}
	return problem("remove the passphrase", err)
}

func noPassphraseUnless(err error) error {
	if err != nil {
		return nil
	}
	return noPassphrase()
}

// MoveToKeychain moves the key from the key file to the keychain.
func (s *Store) MoveToKeychain(ring Ring) error {
	place, err := s.KeyPlace()
	if err != nil || place == KeyKeychain {
		return err
	}
	if place == KeyPassphrase {
		return demes.Problem(demes.CodeNotAllowed, "The profile has a passphrase, which protects it better than the keychain", "Remove the passphrase first: demes passphrase remove")
	}
	if err := (Keychain{ring}).keep(s.folder(), s.key()); err != nil {
		none := demes.Problem(demes.CodeNoKeychain, "There is no keychain that works here", "The key stays in the key file. A passphrase protects it anywhere: demes passphrase set")
		none.Cause = err
		return none
	}
	return problem("move the key", removeKeyFile(s.folder(), s.key()))
}

// Hold keeps a profile that is locked from being used by another process.
type Hold struct{ profile *profile }

// HoldProfile takes a profile without opening it. Errors are those of Open.
func HoldProfile(dir string) (*Hold, error) {
	p, err := prepareProfile(dir)
	if err != nil {
		return nil, unusable(dir, problem("hold profile", err))
	}
	return &Hold{p}, nil
}

// Release lets go of the profile, so that Open can take it.
func (h *Hold) Release() error {
	if err := h.profile.lock.Close(); err != nil {
		return fmt.Errorf("release profile: %w", err)
	}
	return nil
}
