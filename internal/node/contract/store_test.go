package contract

import (
	"testing"

	"github.com/demes-chat/demes/internal/node"
)

func TestMemoryStoreKeepsTheContract(t *testing.T) {
	disks := map[string]*MemoryStore{}
	TestStore(t, func(_ *testing.T, dir string) node.Store {
		if disks[dir] == nil {
			disks[dir] = NewMemoryStore()
		}
		disks[dir].Reopen()
		return disks[dir]
	})
}
