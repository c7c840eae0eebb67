package main

import (
	"path/filepath"
	"testing"

	"github.com/demes-chat/demes/internal/store"
)

// memoryRing is a keychain in memory.
type memoryRing map[string]string

func (r memoryRing) Set(_, name, secret string) error { r[name] = secret; return nil }

func (r memoryRing) Get(_, name string) (string, error) {
	if secret, ok := r[name]; ok {
		return secret, nil
	}
	return "", store.ErrNotInKeychain
}

func (r memoryRing) Delete(_, name string) error {
	if _, ok := r[name]; !ok {
		return store.ErrNotInKeychain
	}
	delete(r, name)
	return nil
}

func TestNewProfileUsesTheKeychain(t *testing.T) {
	ring := memoryRing{}
	p, ctx := newKept(t, filepath.Join(t.TempDir(), "profile")), t.Context()
	p.ring = ring
	if err := p.begin(""); err != nil {
		t.Fatal(err)
	}
	p.want(false, false, store.KeyKeychain)
	if err := p.SetPassphrase(ctx, "", right); err != nil {
		t.Fatal(err)
	}
	p.want(false, true, store.KeyPassphrase)
	if len(ring) != 0 {
		t.Error("the keychain still holds the key of a profile with a passphrase")
	}
	if err := p.SetPassphrase(ctx, right, ""); err != nil {
		t.Fatal(err)
	}
	p.want(false, false, store.KeyKeychain)
}

func TestKeychainCanBeSwitchedOff(t *testing.T) {
	for value, want := range map[string]bool{"": true, "on": true, "off": false} {
		p := program{ring: memoryRing{}, env: func(name string) string { return map[string]string{"DEMES_KEYCHAIN": value}[name] }}
		if got := p.keychain() != nil; got != want {
			t.Errorf("DEMES_KEYCHAIN=%s: a keychain %v, want %v", value, got, want)
		}
	}
}
