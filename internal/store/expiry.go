package store

import (
	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// Expiring implements chat.Log.
func (s *Store) Expiring(demes.ChatID, int64, int) ([]demes.EventID, int64, error) {
	return nil, 0, nil
}

// Amends implements node.Store.
func (s *Store) Amends(demes.ChatID, []demes.EventID) ([]chat.SettledEntry, error) { return nil, nil }

// Erase implements node.Store.
func (s *Store) Erase() error { return s.Checkpoint() }
