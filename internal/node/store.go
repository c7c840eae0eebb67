package node

import (
	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// Store keeps one profile durably. Every method may be called by any goroutine.
// An error of Commit means that nothing of the call is durable; the caller then
// acknowledges nothing (promise D1). internal/store is the real one;
// contract_test in internal/node/contract runs against every implementation.
type Store interface {
	chat.Log

	// Commit applies the batches in one transaction and syncs it.
	Commit(batches []*chat.Batch) error

	// Chats lists every chat of the profile, oldest first.
	Chats() ([]demes.ChatID, error)

	// Load reads back what Commit kept of a chat.
	Load(id demes.ChatID) (*chat.Saved, error)

	// Messages returns settled entries that have a position, in position order:
	// those above after (when above 0 or before is 0) and below before (when not
	// 0), the ones nearest to the named bound, at most limit. With neither bound
	// it returns the newest.
	Messages(id demes.ChatID, after, before uint64, limit int) ([]chat.SettledEntry, error)

	// Event finds one event, settled or held. ok is false when it is not stored.
	Event(id demes.ChatID, event demes.EventID) (entry chat.SettledEntry, ok bool, err error)

	// Erase makes sure that secrets and contents which were deleted or replaced by
	// earlier commits are in none of the store's files any more. It costs little
	// when there are none. An error means that they may still be there; the next
	// call tries again.
	Erase() error

	// Value and SetValue keep small values of the profile itself.
	Value(name string) ([]byte, error)
	SetValue(name string, data []byte) error

	Close() error
}
