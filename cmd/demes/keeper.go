package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api"
	"github.com/demes-chat/demes/internal/store"
)

const (
	// firstDelay is what the next attempt waits for after one wrong passphrase; it
	// doubles with each further one up to longestDelay. Whoever has the files tries
	// them elsewhere, where only argon2id counts; this is for the page.
	firstDelay   = 200 * time.Millisecond
	longestDelay = 10 * time.Second
)

// profileKeys is what an open profile lets one do with its key: *store.Store, or
// a fake in tests.
type profileKeys interface {
	KeyPlace() (store.KeyPlace, error)
	CheckPassphrase(text string) error
	SetPassphrase(text string, ring store.Ring) error
	RemovePassphrase(ring store.Ring, fallback func(error)) error
}

// keeper opens and locks the profile of a node that runs. It implements api.Lock.
type keeper struct {
	cfg   nodeConfig // changed only by who has the turn
	open  opener
	ring  store.Ring // nil: no keychain
	leave func(*opened) error
	log   *slog.Logger
	pause func(context.Context, time.Duration) bool

	// What is told of a node that opens or goes; set before anything is served.
	onOpen func(*opened)
	onShut func()

	turn  chan struct{} // held by who opens, locks or tries a passphrase
	fails int           // wrong passphrases in a row; guarded by turn

	mu      sync.Mutex // guards what follows, which also needs the turn to change
	running *opened    // nil while locked
	hold    *store.Hold
}

func newKeeper(cfg nodeConfig, open opener, ring store.Ring, leave func(*opened) error) *keeper {
	return &keeper{
		cfg: cfg, open: open, ring: ring, leave: leave, log: cfg.log, pause: pause, turn: make(chan struct{}, 1),
		onOpen: func(*opened) {}, onShut: func() {},
	}
}

// begin opens the profile, or holds it where it has a passphrase that nobody has
// given yet.
func (k *keeper) begin(passphrase string) error {
	place, err := store.PlaceOfKey(k.cfg.dir)
	switch {
	case err != nil:
		return err
	case passphrase != "":
		return k.start(store.Passphrase{Text: passphrase, Ring: k.ring})
	case place == store.KeyPassphrase:
		hold, err := store.HoldProfile(k.cfg.dir)
		k.set(nil, hold)
		return err
	}
	return k.start(store.Remembered{Ring: k.ring, Fallback: k.fellBack})
}

// fellBack says why a key is in a file.
func (k *keeper) fellBack(reason error) {
	k.log.Info("no keychain works here: the key of the chats is in the file key, which protects only copies made without it", "reason", reason)
}

// start opens the node with its key from the source.
func (k *keeper) start(source store.KeySource) error {
	cfg := k.cfg
	cfg.key = source
	running, err := k.open(cfg)
	if err != nil {
		return err
	}
	k.cfg.openLobby, k.cfg.enrol = false, nil // of the start: unlocking founds no second lobby
	k.set(running, nil)
	return nil
}

func (k *keeper) set(running *opened, hold *store.Hold) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running, k.hold = running, hold
}

// now is the node that runs; nil while locked.
func (k *keeper) now() *opened {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.running
}

// take waits for the turn.
func (k *keeper) take(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *keeper) give() { <-k.turn }

// end leaves the node, or lets go of the locked profile.
func (k *keeper) end() error {
	k.turn <- struct{}{}
	defer k.give()
	k.mu.Lock()
	running, hold := k.running, k.hold
	k.running, k.hold = nil, nil
	k.mu.Unlock()
	switch {
	case running != nil:
		return k.leave(running)
	case hold != nil:
		return hold.Release()
	}
	return nil
}

// State implements api.Lock.
func (k *keeper) State() (demes.LockView, error) {
	running := k.now()
	if running == nil {
		return demes.LockView{Locked: true, HasPassphrase: true, Key: string(store.KeyPassphrase)}, nil
	}
	if running.keys == nil {
		return demes.LockView{Key: string(store.KeyInFile)}, nil
	}
	place, err := running.keys.KeyPlace()
	return demes.LockView{HasPassphrase: place == store.KeyPassphrase, Key: string(place)}, err
}

// attempt tries a passphrase, later when the last ones were wrong. Its caller has
// the turn, so that attempts at the same time wait for each other.
func (k *keeper) attempt(ctx context.Context, try func() error) error {
	if k.fails > 0 {
		if !k.pause(ctx, min(firstDelay<<min(k.fails-1, 16), longestDelay)) {
			return ctx.Err()
		}
	}
	err := try()
	switch {
	case err == nil:
		k.fails = 0
	case errors.Is(err, &demes.Error{Code: demes.CodeWrongPassphrase}):
		k.fails++
	}
	return err
}

// Unlock implements api.Lock. A profile that is open stays so.
func (k *keeper) Unlock(ctx context.Context, passphrase string) error {
	if err := k.take(ctx); err != nil {
		return err
	}
	defer k.give()
	if k.now() != nil {
		return nil
	}
	err := k.attempt(ctx, func() error { return k.unlock(passphrase) })
	if err == nil {
		k.onOpen(k.now())
	}
	return err
}

// unlock lets go of the profile for the moment in which the store takes it.
func (k *keeper) unlock(passphrase string) error {
	if k.hold != nil { // only changed by who has the turn
		if err := k.hold.Release(); err != nil {
			k.log.Warn("the locked profile was not let go of", "error", err)
		}
		k.set(nil, nil)
	}
	err := k.start(store.Passphrase{Text: passphrase, Ring: k.ring})
	if err == nil {
		return nil
	}
	k.keepHold()
	return notByItself(err)
}

// keepHold holds the locked profile.
func (k *keeper) keepHold() {
	hold, err := store.HoldProfile(k.cfg.dir)
	if err != nil {
		k.log.Warn("the locked profile cannot be held: do not start it twice", "error", err)
	}
	k.set(nil, hold)
}

// Lock implements api.Lock.
func (k *keeper) Lock(ctx context.Context) error {
	if err := k.take(ctx); err != nil {
		return err
	}
	defer k.give()
	running := k.now()
	if running == nil {
		return nil
	}
	place, err := k.place(running)
	if err != nil {
		return err
	}
	if place != store.KeyPassphrase {
		return demes.Problem(demes.CodeNoPassphrase, "The profile has no passphrase, so it cannot be locked", "Set one first: demes passphrase set")
	}
	k.onShut()
	k.set(nil, nil)
	if err := k.leave(running); err != nil {
		k.log.Error("the node did not leave cleanly before it was locked", "error", err)
	}
	k.keepHold()
	return nil
}

// place is where the key of a running node is.
func (k *keeper) place(running *opened) (store.KeyPlace, error) {
	if running.keys == nil {
		return store.KeyInFile, nil
	}
	return running.keys.KeyPlace()
}

// Check implements api.Lock.
func (k *keeper) Check(ctx context.Context, passphrase string) error {
	if err := k.take(ctx); err != nil {
		return err
	}
	defer k.give()
	_, err := k.check(ctx, passphrase)
	return err
}

// check asks for the passphrase where one is set, and returns the profile's keys.
func (k *keeper) check(ctx context.Context, passphrase string) (profileKeys, error) {
	running := k.now()
	if running == nil {
		return nil, demes.Problem(demes.CodeLocked, "DeMes is locked", "Unlock it first: demes unlock")
	}
	if place, err := k.place(running); err != nil || place != store.KeyPassphrase {
		return running.keys, err
	}
	return running.keys, k.attempt(ctx, func() error { return running.keys.CheckPassphrase(passphrase) })
}

// SetPassphrase implements api.Lock.
func (k *keeper) SetPassphrase(ctx context.Context, old, new string) error {
	if err := k.take(ctx); err != nil {
		return err
	}
	defer k.give()
	keys, err := k.check(ctx, old)
	switch {
	case err != nil:
		return err
	case keys == nil:
		return demes.Problem(demes.CodeNotAllowed, "This profile takes no passphrase", "Start DeMes with demes run.")
	case new == "":
		return keys.RemovePassphrase(k.ring, k.fellBack)
	}
	return keys.SetPassphrase(new, k.ring)
}

var _ api.Lock = (*keeper)(nil)
