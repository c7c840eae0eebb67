package store_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/store"
	"github.com/demes-chat/demes/internal/wire"
)

// maxResident is what an open profile may add to the process's resident memory,
// in KiB: a node has 60 MB for everything.
const maxResident = 16 << 10

func TestOpenProfileIsSmallInMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc/self/status, which only Linux has")
	}
	if testing.Short() {
		t.Skip("-short goes with the race detector, which multiplies memory")
	}
	fields := strings.Fields(runChild(t, "memory", t.TempDir()))
	if len(fields) != 3 {
		t.Fatalf("child says %q", fields)
	}
	var kib [3]int
	for i, field := range fields {
		kib[i], _ = strconv.Atoi(field)
	}
	t.Logf("resident: %d KiB before opening, %d KiB open, %d KiB after 10,000 messages were written and read",
		kib[0], kib[1], kib[2])
	if added := kib[2] - kib[0]; added > maxResident {
		t.Errorf("an open profile adds %d KiB, want at most %d", added, maxResident)
	}
}

// childMemory says how much memory is resident without a store, with one, and
// with one that was busy.
func childMemory(dir string) error {
	fmt.Println(resident())
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	if _, err := s.Chats(); err != nil {
		return err
	}
	fmt.Println(resident())
	const step = 100
	for from := 1; from < 10_000 && err == nil; from += step {
		err = s.Commit([]*chat.Batch{{Chat: chatID, Settled: newEntries(newEvents(from, step))}})
	}
	for from := uint64(1); from < 10_000 && err == nil; {
		var entries []chat.SettledEntry
		entries, err = s.Settled(chatID, from, wire.MaxBatch)
		from += uint64(len(entries))
	}
	if err != nil {
		return err
	}
	fmt.Println(resident())
	return s.Close()
}

// resident is this process's resident memory in KiB, once what is free was given
// back.
func resident() int {
	debug.FreeOSMemory()
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return kib
}
