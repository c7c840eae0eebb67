package apitest

import (
	"context"
	"strings"

	"github.com/demes-chat/demes"
)

// digits is the safety number of everybody.
const digits = "11111 22222 33333 44444 55555 66666 77777 88888 99999 00000 12345 67890"

// Account is an account that has words.
func (f *Node) Account(context.Context) (demes.AccountView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return demes.AccountView{Account: f.View.Account, Device: f.View.Device, DeviceNumber: 1_700_000_000, HasWords: true, WordsSaved: f.wordsSaved}, f.Fail
}

// Words are 24 and the same.
func (f *Node) Words(context.Context) ([]string, error) {
	return strings.Fields(strings.Repeat("abandon ", 23) + "art"), f.Fail
}

func (f *Node) SetWordsSaved(_ context.Context, saved bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wordsSaved = saved
	return f.Fail
}

// ExportAccount makes a file that says under which passphrase it was made.
func (f *Node) ExportAccount(_ context.Context, passphrase string) ([]byte, error) {
	return []byte("sealed under " + passphrase), f.Fail
}

func (f *Node) Safety(_ context.Context, id demes.ChatID, account demes.AccountID) (view demes.SafetyView, err error) {
	err = f.onChat(id, func(*room) error {
		if account != demes.AccountID(Other) {
			return demes.Problem(demes.CodeUnknownMember, "There is no such member", "Look at the list.")
		}
		view = demes.SafetyView{Account: account.String(), Name: "Bo", Digits: digits, Verified: f.verified}
		return nil
	})
	return view, err
}

func (f *Node) SetVerified(_ context.Context, _ demes.AccountID, verified bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.verified = verified
	return f.Fail
}

// Lock is a lock that behaves: it opens by one passphrase.
type Lock struct {
	Passphrase string
	Locked     bool
	Changed    func(locked bool) // told when it was locked or unlocked; may be nil
}

// State implements api.Lock.
func (l *Lock) State() (demes.LockView, error) {
	if l.Passphrase == "" {
		return demes.LockView{Key: "key-file"}, nil
	}
	return demes.LockView{Locked: l.Locked, HasPassphrase: true, Key: "passphrase"}, nil
}

// Reopen leaves everything as it is.
func (l *Lock) Reopen(context.Context) error { return nil }

// Check implements api.Lock.
func (l *Lock) Check(_ context.Context, passphrase string) error {
	if l.Passphrase != "" && passphrase != l.Passphrase {
		return demes.Problem(demes.CodeWrongPassphrase, "The passphrase is wrong", "Try again.")
	}
	return nil
}

// Unlock implements api.Lock.
func (l *Lock) Unlock(ctx context.Context, passphrase string) error {
	if err := l.Check(ctx, passphrase); err != nil {
		return err
	}
	l.set(false)
	return nil
}

// Lock implements api.Lock.
func (l *Lock) Lock(context.Context) error {
	if l.Passphrase == "" {
		return demes.Problem(demes.CodeNoPassphrase, "There is no passphrase", "Set one.")
	}
	l.set(true)
	return nil
}

func (l *Lock) set(locked bool) {
	l.Locked = locked
	if l.Changed != nil {
		l.Changed(locked)
	}
}

// SetPassphrase implements api.Lock.
func (l *Lock) SetPassphrase(ctx context.Context, old, new string) error {
	if err := l.Check(ctx, old); err != nil {
		return err
	}
	l.Passphrase = new
	return nil
}
