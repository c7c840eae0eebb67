package store

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/demes-chat/demes"
)

const (
	// keychainService is what the system's keychain shows a key as.
	keychainService = "DeMes"
	// keychainWait bounds one call of the keychain: it may ask the user for the
	// keychain's own password first, and it may hang.
	keychainWait = 30 * time.Second
)

// ErrNotInKeychain says that the keychain works and does not hold the key.
var ErrNotInKeychain = errors.New("the keychain does not hold it")

// Ring is a keychain: it keeps secrets of programs for the user who is logged in.
type Ring interface {
	Set(service, name, secret string) error
	Get(service, name string) (string, error) // ErrNotInKeychain when there is none
	Delete(service, name string) error
}

// Keychain keeps the key in the system's keychain, under a random name that
// stands in the profile. It protects the chats from who has the files without the
// user's login.
type Keychain struct{ Ring Ring }

// Key implements KeySource.
func (k Keychain) Key(dir string, create bool) ([]byte, error) {
	name, err := keychainName(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, fmt.Errorf("%s: %w", keychainFile, ErrNoKey)
		}
		key := newKey()
		return key, k.keep(dir, key)
	}
	if err != nil {
		return nil, err
	}
	if k.Ring == nil {
		return nil, demes.Problem(demes.CodeNoKeychain, "The key of this profile is in the system's keychain, which is switched off", "Start DeMes without DEMES_KEYCHAIN=off.")
	}
	text, err := k.Ring.Get(keychainService, name)
	if err != nil {
		return nil, noKeychainKey(err)
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != KeySize {
		return nil, damaged("the entry "+name+" of "+keychainService+" in the system's keychain does not hold a key", nil)
	}
	return key, nil
}

func noKeychainKey(err error) error {
	problem := demes.Problem(demes.CodeNoKeychain, "The system's keychain does not give out the key of this profile",
		"Log in to your desktop, where the keychain is open, and start DeMes there. If the entry is lost, this profile cannot be opened any more: "+
			"make a new one from your 24 words with demes recover.")
	problem.Cause = err
	return problem
}

// keep gives a key to the keychain, looks whether it is there, and remembers that
// in the profile.
func (k Keychain) keep(dir string, key []byte) error {
	if k.Ring == nil {
		return errors.New("the keychain is switched off")
	}
	name, err := keychainName(dir)
	if err != nil {
		id := make([]byte, 16)
		_, _ = rand.Read(id)
		name = hex.EncodeToString(id)
	}
	if err := k.Ring.Set(keychainService, name, hex.EncodeToString(key)); err != nil {
		return fmt.Errorf("give the key to the keychain: %w", err)
	}
	text, err := k.Ring.Get(keychainService, name)
	if err != nil {
		return fmt.Errorf("look for the key in the keychain: %w", err)
	}
	if held, err := hex.DecodeString(text); err != nil || !bytes.Equal(held, key) {
		return errors.New("the keychain gives back something else than it was given")
	}
	if err := writeDurably(dir, keychainFile, []byte(name+"\n")); err != nil {
		return fmt.Errorf("remember the keychain: %w", errors.Join(err, k.Ring.Delete(keychainService, name)))
	}
	return nil
}

// forget takes the key out of the keychain. The entry goes before the file that
// names it: an entry that nothing names would stay for ever.
func (k Keychain) forget(dir string) error {
	name, err := keychainName(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if k.Ring == nil {
		return errors.New("the keychain is switched off")
	}
	if err := k.Ring.Delete(keychainService, name); err != nil && !errors.Is(err, ErrNotInKeychain) {
		return fmt.Errorf("take the key out of the keychain: %w", err)
	}
	return wrap("forget the keychain", erase(dir, keychainFile))
}

var keychainNames = regexp.MustCompile(`^[0-9a-f]{32}$`)

// keychainName reads under which name the keychain holds the key.
func keychainName(dir string) (string, error) {
	path := filepath.Join(dir, keychainFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	name := strings.TrimSpace(string(text))
	if !keychainNames.MatchString(name) {
		return "", damaged("the file "+path+" does not name a key", nil)
	}
	return name, nil
}

// SystemRing is the keychain of the user's session: Keychain on macOS, Credential
// Manager on Windows, Secret Service elsewhere. Nothing asks it before it is used.
func SystemRing() Ring { return systemRing{wait: keychainWait} }

type systemRing struct{ wait time.Duration }

func (r systemRing) Set(service, name, secret string) error {
	_, err := r.ask(func() (string, error) { return "", keyring.Set(service, name, secret) })
	return err
}

func (r systemRing) Get(service, name string) (string, error) {
	return r.ask(func() (string, error) { return keyring.Get(service, name) })
}

func (r systemRing) Delete(service, name string) error {
	_, err := r.ask(func() (string, error) { return "", keyring.Delete(service, name) })
	return err
}

// ask makes one call of the keychain in bounded time. The goroutine of one that
// hangs ends when the keychain answers, or with the process.
func (r systemRing) ask(call func() (string, error)) (string, error) {
	if !hasSession() {
		return "", errors.New("there is no desktop session with a keychain")
	}
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := call()
		answered <- answer{text, err}
	}()
	limit := time.NewTimer(r.wait)
	defer limit.Stop()
	select {
	case a := <-answered:
		if errors.Is(a.err, keyring.ErrNotFound) {
			a.err = ErrNotInKeychain
		}
		return a.text, a.err
	case <-limit.C:
		return "", fmt.Errorf("the keychain did not answer within %v", r.wait)
	}
}

// hasSession keeps the library from starting a message bus of its own where there
// is none: that bus would have no keychain, and would stay behind.
func hasSession() bool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return true
	}
	if address := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return true
	}
	folder := os.Getenv("XDG_RUNTIME_DIR")
	if folder == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(folder, "bus"))
	return err == nil
}
