package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
	"github.com/demes-chat/demes/internal/store"
)

const right = "correct horse"

// keptProfile is a keeper over a real store and a node that does nothing.
type keptProfile struct {
	*keeper
	t       *testing.T
	dir     string
	waits   []time.Duration
	events  []string
	lobbies []bool // what was asked for at each opening
	failing error  // what opening fails with
}

func newKept(t *testing.T, dir string) *keptProfile {
	p := &keptProfile{t: t, dir: dir}
	open := func(cfg nodeConfig) (*opened, error) {
		p.lobbies = append(p.lobbies, cfg.openLobby)
		if p.failing != nil {
			return nil, p.failing
		}
		s, err := store.Open(cfg.dir, store.WithKey(cfg.key))
		if err != nil {
			return nil, err
		}
		return &opened{node: apitest.NewNode(), keys: s, close: func(context.Context) error { return s.Close() }}, nil
	}
	leave := func(o *opened) error { return o.close(context.Background()) }
	p.keeper = newKeeper(nodeConfig{dir: dir, log: slog.New(slog.DiscardHandler)}, open, nil, leave)
	p.pause = func(_ context.Context, d time.Duration) bool { p.waits = append(p.waits, d); return true }
	p.onOpen = func(*opened) { p.events = append(p.events, "open") }
	p.onShut = func() { p.events = append(p.events, "shut") }
	t.Cleanup(func() {
		if err := p.end(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// lockedProfile is a keeper of a profile that has a passphrase.
func lockedProfile(t *testing.T) *keptProfile {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "profile")
	s, err := store.Open(dir, store.WithKey(store.Passphrase{Text: right}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p := newKept(t, dir)
	if err := p.begin(""); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *keptProfile) want(locked, has bool, key store.KeyPlace) {
	p.t.Helper()
	if v, err := p.State(); err != nil || v != (demes.LockView{Locked: locked, HasPassphrase: has, Key: string(key)}) {
		p.t.Errorf("lock %+v, %v; want locked %v, passphrase %v, %s", v, err, locked, has, key)
	}
}

func wantCode(t *testing.T, err error, code demes.Code) {
	t.Helper()
	if !errors.Is(err, &demes.Error{Code: code}) {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestLockedProfileOpensByItsPassphrase(t *testing.T) {
	p, ctx := lockedProfile(t), t.Context()
	p.want(true, true, store.KeyPassphrase)
	if _, err := store.HoldProfile(p.dir); !errors.Is(err, &demes.Error{Code: demes.CodeProfileInUse}) {
		t.Errorf("another process could take the locked profile: %v", err)
	}
	wantCode(t, p.Check(ctx, right), demes.CodeLocked)
	wantCode(t, p.SetPassphrase(ctx, right, "another horse"), demes.CodeLocked)
	wantCode(t, p.Unlock(ctx, "wrong"), demes.CodeWrongPassphrase)
	p.want(true, true, store.KeyPassphrase)
	if err := p.Unlock(ctx, right); err != nil {
		t.Fatal(err)
	}
	p.want(false, true, store.KeyPassphrase)
	if err := p.Unlock(ctx, "whatever, it is open"); err != nil {
		t.Error(err)
	}
	if err := p.Lock(ctx); err != nil {
		t.Fatal(err)
	}
	p.want(true, true, store.KeyPassphrase)
	if err := p.Lock(ctx); err != nil {
		t.Errorf("locked twice: %v", err)
	}
	if err := p.Unlock(ctx, right); err != nil {
		t.Fatal(err)
	}
	if want := []string{"open", "shut", "open"}; !slices.Equal(p.events, want) {
		t.Errorf("events %q, want %q", p.events, want)
	}
}

func TestUnlockingFoundsNoSecondLobby(t *testing.T) {
	p, ctx := lockedProfile(t), t.Context()
	p.cfg.openLobby = true
	for range 2 {
		if err := p.Unlock(ctx, right); err != nil {
			t.Fatal(err)
		}
		if err := p.Lock(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if want := []bool{true, false}; !slices.Equal(p.lobbies, want) {
		t.Errorf("lobbies asked for %v, want %v", p.lobbies, want)
	}
}

func TestAttemptsSlowDown(t *testing.T) {
	p, ctx := lockedProfile(t), t.Context()
	for range 8 {
		wantCode(t, p.Unlock(ctx, "wrong"), demes.CodeWrongPassphrase)
	}
	want := []time.Duration{200, 400, 800, 1600, 3200, 6400, 10000}
	for i := range want {
		want[i] *= time.Millisecond
	}
	if !slices.Equal(p.waits, want) {
		t.Errorf("waits %v, want %v", p.waits, want)
	}
	if err := p.Unlock(ctx, right); err != nil {
		t.Fatal(err)
	}
	p.waits = nil
	if err := p.Check(ctx, right); err != nil || p.waits != nil {
		t.Errorf("after the right one: %v, waits %v", err, p.waits)
	}
	wantCode(t, p.Check(ctx, "wrong"), demes.CodeWrongPassphrase)
	wantCode(t, p.SetPassphrase(ctx, "wrong", "another horse"), demes.CodeWrongPassphrase)
	if len(p.waits) != 1 {
		t.Errorf("the ways to try a passphrase do not count together: waits %v", p.waits)
	}
	p.pause = func(ctx context.Context, _ time.Duration) bool { return false }
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := p.Check(gone, right); !errors.Is(err, context.Canceled) {
		t.Errorf("who is gone still tries: %v", err)
	}
}

func TestAttemptsAtOnceWaitForEachOther(t *testing.T) {
	p := lockedProfile(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() { _ = p.Unlock(context.Background(), "wrong") })
	}
	all.Wait()
	if len(p.waits) != 5 {
		t.Errorf("%d of 6 attempts waited, want 5", len(p.waits))
	}
	p.want(true, true, store.KeyPassphrase)
}

func TestPassphraseOfARunningProfile(t *testing.T) {
	p, ctx := newKept(t, filepath.Join(t.TempDir(), "profile")), t.Context()
	if err := p.begin(""); err != nil {
		t.Fatal(err)
	}
	p.want(false, false, store.KeyInFile)
	if err := p.Check(ctx, "anything"); err != nil {
		t.Error(err)
	}
	wantCode(t, p.Lock(ctx), demes.CodeNoPassphrase)
	wantCode(t, p.SetPassphrase(ctx, "", "short"), demes.CodeBadInput)
	wantCode(t, p.SetPassphrase(ctx, "", ""), demes.CodeNoPassphrase)
	if err := p.SetPassphrase(ctx, "", right); err != nil {
		t.Fatal(err)
	}
	p.want(false, true, store.KeyPassphrase)
	wantCode(t, p.SetPassphrase(ctx, "", "another horse"), demes.CodeWrongPassphrase)
	if err := p.SetPassphrase(ctx, right, "another horse"); err != nil {
		t.Fatal(err)
	}
	if err := p.Lock(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Unlock(ctx, "another horse"); err != nil {
		t.Fatal(err)
	}
	if err := p.SetPassphrase(ctx, "another horse", ""); err != nil {
		t.Fatal(err)
	}
	p.want(false, false, store.KeyInFile)
}

func TestNodeThatCannotStartStaysLocked(t *testing.T) {
	p, ctx := lockedProfile(t), t.Context()
	p.failing = demes.Problem(demes.CodePortTaken, "The port is taken", "Name another one.")
	wantCode(t, p.Unlock(ctx, right), demes.CodePortTaken)
	p.want(true, true, store.KeyPassphrase)
	p.failing = nil
	if err := p.Unlock(ctx, right); err != nil {
		t.Fatal(err)
	}
}

func TestPassphraseFromTheStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	t.Run("new", func(t *testing.T) {
		p := newKept(t, dir)
		if err := p.begin(right); err != nil {
			t.Fatal(err)
		}
		p.want(false, true, store.KeyPassphrase)
	})
	t.Run("again", func(t *testing.T) {
		p := newKept(t, dir)
		wantCode(t, p.begin("wrong horse"), demes.CodeWrongPassphrase)
		if err := p.begin(right); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("without one", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "other")
		t.Run("make", func(t *testing.T) {
			if err := newKept(t, other).begin(""); err != nil {
				t.Fatal(err)
			}
		})
		wantCode(t, newKept(t, other).begin(right), demes.CodeNoPassphrase)
	})
}
