package store_test

import (
	"testing"

	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/node/contract"
	"github.com/demes-chat/demes/internal/store"
)

func TestStoreKeepsTheContract(t *testing.T) {
	contract.TestStore(t, func(t *testing.T, dir string) node.Store {
		s, err := store.Open(dir)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		return s
	})
}
