package main

import (
	"context"

	"github.com/demes-chat/demes/internal/store"
)

// Reopen implements api.Lock. The key of a profile with a passphrase is not kept: it
// is locked after this.
func (k *keeper) Reopen(ctx context.Context) error {
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
	k.onShut()
	k.set(nil, nil)
	if err := k.leave(running); err != nil {
		k.log.Error("the node did not leave cleanly before it was started again", "error", err)
	}
	if place == store.KeyPassphrase {
		k.keepHold()
		return nil
	}
	if err := k.start(store.Remembered{Ring: k.ring, Fallback: k.fellBack}); err != nil {
		return notByItself(err)
	}
	k.onOpen(k.now())
	return nil
}
