package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/store"
)

// ring is a keychain in memory.
type ring struct {
	held   map[string]string
	fail   error // what every call answers
	broken bool  // it gives back something else
}

func newRing() *ring { return &ring{held: map[string]string{}} }

func (r *ring) Set(service, name, secret string) error {
	if r.fail == nil {
		r.held[service+"/"+name] = secret
	}
	return r.fail
}

func (r *ring) Get(service, name string) (string, error) {
	secret, ok := r.held[service+"/"+name]
	switch {
	case r.fail != nil:
		return "", r.fail
	case !ok:
		return "", store.ErrNotInKeychain
	case r.broken:
		return strings.Repeat("0", len(secret)), nil
	}
	return secret, nil
}

func (r *ring) Delete(service, name string) error {
	if r.fail != nil {
		return r.fail
	}
	if _, ok := r.held[service+"/"+name]; !ok {
		return store.ErrNotInKeychain
	}
	delete(r.held, service+"/"+name)
	return nil
}

var errNoRing = errors.New("no bus")

const words = "correct horse battery"

// keyed is a profile whose database holds a mark, so that one that opens is
// known to be the same.
func keyed(t *testing.T, source store.KeySource) (dir string, s *store.Store) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "profile")
	s, err := store.Open(dir, store.WithKey(source))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.SetValue("test-value", []byte("here")); err != nil {
		t.Fatal(err)
	}
	return dir, s
}

// wantOpens fails the test unless the source opens the profile, with its contents.
func wantOpens(t *testing.T, dir string, source store.KeySource) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.WithKey(source))
	if err != nil {
		t.Fatalf("open with %T: %v", source, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if mark, err := s.Value("test-value"); err != nil || string(mark) != "here" {
		t.Fatalf("the profile holds %q, %v", mark, err)
	}
	return s
}

func wantKeyFiles(t *testing.T, dir string, place store.KeyPlace, want ...string) {
	t.Helper()
	var got []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "key") {
			continue
		}
		got = append(got, entry.Name())
		if info, _ := entry.Info(); runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", entry.Name(), info.Mode().Perm())
		}
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("the profile has %q, want %q", got, want)
	}
	if is, err := store.PlaceOfKey(dir); is != place || err != nil {
		t.Errorf("the key is in %q, %v; want %q", is, err, place)
	}
}

func closeStore(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewKeyGoesToTheKeychainWhereOneWorks(t *testing.T) {
	r := newRing()
	dir, s := keyed(t, store.Remembered{Ring: r, Fallback: func(err error) { t.Errorf("fell back: %v", err) }})
	wantKeyFiles(t, dir, store.KeyKeychain, "key.keychain")
	closeStore(t, s)
	closeStore(t, wantOpens(t, dir, store.Remembered{Ring: r}))

	for name, c := range map[string]struct {
		ring store.Ring
		code demes.Code
	}{"locked": {&ring{fail: errNoRing}, demes.CodeNoKeychain}, "another machine": {newRing(), demes.CodeNoKeychain}, "off": {nil, demes.CodeNoKeychain}} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, failToOpen(t, dir, store.WithKey(store.Remembered{Ring: c.ring})), c.code, "")
		})
	}
	if err := os.WriteFile(filepath.Join(dir, "key.keychain"), []byte("../../x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, failToOpen(t, dir, store.WithKey(store.Remembered{Ring: r})), demes.CodeProfileDamaged, "does not name a key")
}

func TestNewKeyGoesToAFileWhereNoKeychainWorks(t *testing.T) {
	for name, r := range map[string]store.Ring{"off": nil, "fails": &ring{fail: errNoRing}, "forgets": &ring{held: map[string]string{}, broken: true}} {
		t.Run(name, func(t *testing.T) {
			var why error
			dir, s := keyed(t, store.Remembered{Ring: r, Fallback: func(err error) { why = err }})
			wantKeyFiles(t, dir, store.KeyInFile, "key")
			if (why != nil) != (r != nil) {
				t.Errorf("the reason told is %v", why)
			}
			closeStore(t, s)
			wantOpens(t, dir, store.Remembered{Ring: r})
		})
	}
}

func TestPassphraseComesAndGoes(t *testing.T) {
	for name, r := range map[string]*ring{"from the keychain": newRing(), "from a file": {fail: errNoRing}} {
		t.Run(name, func(t *testing.T) {
			dir, s := keyed(t, store.Remembered{Ring: r})
			before, _ := s.KeyPlace()
			if err := s.SetPassphrase(words, r); err != nil {
				t.Fatal(err)
			}
			wantKeyFiles(t, dir, store.KeyPassphrase, "key.locked")
			if len(r.held) != 0 {
				t.Error("the keychain still holds the key")
			}
			if err := s.SetValue("other", []byte("x")); err != nil {
				t.Errorf("the store does not go on: %v", err)
			}
			closeStore(t, s)
			wantProblem(t, failToOpen(t, dir, store.WithKey(store.Remembered{Ring: r})), demes.CodeLocked, "locked")
			wantProblem(t, failToOpen(t, dir, store.WithKey(store.Passphrase{Text: "another one"})), demes.CodeWrongPassphrase, "wrong")

			s = wantOpens(t, dir, store.Passphrase{Text: words, Ring: r})
			if err := s.SetPassphrase("a newer passphrase", r); err != nil {
				t.Fatal(err)
			}
			wantProblem(t, s.CheckPassphrase(words), demes.CodeWrongPassphrase, "wrong")
			if err := s.CheckPassphrase("a newer passphrase"); err != nil {
				t.Error(err)
			}
			closeStore(t, s)
			wantProblem(t, failToOpen(t, dir, store.WithKey(store.Passphrase{Text: words})), demes.CodeWrongPassphrase, "wrong")

			s = wantOpens(t, dir, store.Passphrase{Text: "a newer passphrase", Ring: r})
			if err := s.RemovePassphrase(r, nil); err != nil {
				t.Fatal(err)
			}
			if after, _ := s.KeyPlace(); after != before {
				t.Errorf("the key is in %s, it was in %s", after, before)
			}
			wantProblem(t, s.CheckPassphrase(words), demes.CodeNoPassphrase, "no passphrase")
			wantProblem(t, s.RemovePassphrase(r, nil), demes.CodeNoPassphrase, "no passphrase")
			closeStore(t, s)
			wantOpens(t, dir, store.Remembered{Ring: r})
		})
	}
}

func TestBadPassphrasesAreRefused(t *testing.T) {
	dir, s := keyed(t, store.KeyFile{})
	for _, bad := range []string{"", "short", strings.Repeat("x", 2000), "not \xff text"} {
		wantProblem(t, s.SetPassphrase(bad, nil), demes.CodeBadInput, "passphrase")
	}
	wantKeyFiles(t, dir, store.KeyInFile, "key")
	closeStore(t, s)
	wantProblem(t, failToOpen(t, dir, store.WithKey(store.Passphrase{Text: words})), demes.CodeNoPassphrase, "")
	fresh := filepath.Join(t.TempDir(), "fresh")
	wantProblem(t, failToOpen(t, fresh, store.WithKey(store.Passphrase{Text: "short"})), demes.CodeBadInput, "too short")
}

func TestProfileCanBeginWithAPassphrase(t *testing.T) {
	dir, s := keyed(t, store.Passphrase{Text: words})
	wantKeyFiles(t, dir, store.KeyPassphrase, "key.locked")
	closeStore(t, s)
	wantOpens(t, dir, store.Passphrase{Text: words})
}

func TestKeyMovesFromTheFileToTheKeychain(t *testing.T) {
	r := newRing()
	dir, s := keyed(t, store.KeyFile{})
	wantProblem(t, s.MoveToKeychain(&ring{fail: errNoRing}), demes.CodeNoKeychain, "no keychain")
	wantProblem(t, s.MoveToKeychain(nil), demes.CodeNoKeychain, "no keychain")
	wantKeyFiles(t, dir, store.KeyInFile, "key")
	for range 2 { // again is no error
		if err := s.MoveToKeychain(r); err != nil {
			t.Fatal(err)
		}
		wantKeyFiles(t, dir, store.KeyKeychain, "key.keychain")
	}
	if err := s.SetPassphrase(words, r); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, s.MoveToKeychain(r), demes.CodeNotAllowed, "Remove the passphrase")
	closeStore(t, s)
	wantOpens(t, dir, store.Passphrase{Text: words, Ring: r})
}

// TestMovesThatWereCutShortLeaveAProfileThatOpens puts back what a move removes
// last, which is how a crash just before that leaves the profile.
func TestMovesThatWereCutShortLeaveAProfileThatOpens(t *testing.T) {
	copyOf := func(t *testing.T, dir, file string) (putBack func()) {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.WriteFile(filepath.Join(dir, file), raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("file to passphrase", func(t *testing.T) {
		dir, s := keyed(t, store.KeyFile{})
		putBack := copyOf(t, dir, "key")
		if err := s.SetPassphrase(words, nil); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
		putBack()
		wantProblem(t, failToOpen(t, dir, store.WithKey(store.Remembered{})), demes.CodeLocked, "")
		closeStore(t, wantOpens(t, dir, store.Passphrase{Text: words}))
		wantKeyFiles(t, dir, store.KeyPassphrase, "key.locked")
	})
	t.Run("keychain to passphrase", func(t *testing.T) {
		r := newRing()
		dir, s := keyed(t, store.Remembered{Ring: r})
		putBack := copyOf(t, dir, "key.keychain")
		held := map[string]string{}
		for name, secret := range r.held {
			held[name] = secret
		}
		if err := s.SetPassphrase(words, r); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
		putBack() // the entry is gone, its name is not
		closeStore(t, wantOpens(t, dir, store.Passphrase{Text: words, Ring: r}))
		wantKeyFiles(t, dir, store.KeyPassphrase, "key.locked")
		putBack() // neither is gone
		r.held = held
		r.fail = errNoRing // and the keychain is closed
		closeStore(t, wantOpens(t, dir, store.Passphrase{Text: words, Ring: r}))
		wantKeyFiles(t, dir, store.KeyPassphrase, "key.keychain", "key.locked")
		r.fail = nil
		closeStore(t, wantOpens(t, dir, store.Passphrase{Text: words, Ring: r}))
		wantKeyFiles(t, dir, store.KeyPassphrase, "key.locked")
		if len(r.held) != 0 {
			t.Error("the keychain still holds the key")
		}
	})
	t.Run("file to keychain", func(t *testing.T) {
		r := newRing()
		dir, s := keyed(t, store.KeyFile{})
		putBack := copyOf(t, dir, "key")
		if err := s.MoveToKeychain(r); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
		putBack()
		closeStore(t, wantOpens(t, dir, store.Remembered{Ring: &ring{fail: errNoRing}}))
		wantKeyFiles(t, dir, store.KeyKeychain, "key", "key.keychain")
		closeStore(t, wantOpens(t, dir, store.Remembered{Ring: r}))
		wantKeyFiles(t, dir, store.KeyKeychain, "key.keychain")
	})
	t.Run("passphrase to file", func(t *testing.T) {
		dir, s := keyed(t, store.Passphrase{Text: words})
		putBack := copyOf(t, dir, "key.locked")
		if err := s.RemovePassphrase(nil, nil); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
		putBack()
		closeStore(t, wantOpens(t, dir, store.Passphrase{Text: words}))
		wantKeyFiles(t, dir, store.KeyPassphrase, "key.locked")
	})
	t.Run("another key's file", func(t *testing.T) {
		dir, s := keyed(t, store.Passphrase{Text: words})
		closeStore(t, s)
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte(strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		closeStore(t, wantOpens(t, dir, store.Passphrase{Text: words}))
		wantKeyFiles(t, dir, store.KeyPassphrase, "key", "key.locked")
	})
}

func TestPassphraseIsSetThoughTheKeychainCannotForget(t *testing.T) {
	r := newRing()
	dir, s := keyed(t, store.Remembered{Ring: r})
	r.fail = errNoRing
	wantProblem(t, s.SetPassphrase(words, r), demes.CodeNoKeychain, "The passphrase is set")
	closeStore(t, s)
	r.fail = nil
	wantOpens(t, dir, store.Passphrase{Text: words, Ring: r})
	wantKeyFiles(t, dir, store.KeyPassphrase, "key.locked")
}

func TestDamagedSealedKeyIsNoWrongPassphrase(t *testing.T) {
	dir, s := keyed(t, store.Passphrase{Text: words})
	closeStore(t, s)
	path := filepath.Join(dir, "key.locked")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range [][]byte{nil, []byte("x"), raw[:20], append([]byte("x"), raw...)} {
		if err := os.WriteFile(path, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, failToOpen(t, dir, store.WithKey(store.Passphrase{Text: words})), demes.CodeProfileDamaged, "key.locked")
	}
}

func TestHeldProfileIsInUse(t *testing.T) {
	dir, s := keyed(t, store.Passphrase{Text: words})
	closeStore(t, s)
	hold, err := store.HoldProfile(dir)
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, failToOpen(t, dir, store.WithKey(store.Passphrase{Text: words})), demes.CodeProfileInUse, "already running")
	if _, err := store.HoldProfile(dir); !errors.Is(err, &demes.Error{Code: demes.CodeProfileInUse}) {
		t.Errorf("held twice: %v", err)
	}
	if err := hold.Release(); err != nil {
		t.Fatal(err)
	}
	wantOpens(t, dir, store.Passphrase{Text: words})
}

// TestKeyStandsInNoFile looks for the key of a profile with a passphrase.
func TestKeyStandsInNoFile(t *testing.T) {
	dir, s := keyed(t, store.KeyFile{})
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetPassphrase(words, nil); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), strings.TrimSpace(string(key))) || strings.Contains(string(raw), words) {
			t.Errorf("%s holds the key or the passphrase", entry.Name())
		}
	}
}
