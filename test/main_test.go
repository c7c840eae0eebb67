// Package test runs groups of real nodes, as a user's machine would: the binary
// itself, through its command line and local API. Nothing here knows how DeMes
// is built. DEMES_BIN names a binary to take instead of building one.
package test

import (
	"fmt"
	"os"
	"testing"

	"github.com/demes-chat/demes/bench/group"
)

// binary is what all tests run.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "demes-test")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		binary, err = group.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// live starts n nodes and their chat.
func live(t *testing.T, n int) *group.Group {
	t.Helper()
	g := lobby(t, n)
	g.Start()
	return g
}

// lobby starts n nodes in one lobby.
func lobby(t *testing.T, n int) *group.Group {
	t.Helper()
	g := group.New(t, binary, t.TempDir())
	t.Cleanup(g.Close) // also when it does not open
	g.Open(n)
	return g
}

// long skips all but the two most important runs.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a real run of many seconds")
	}
	t.Parallel()
}

// pausing skips where processes cannot be stopped and let go on.
func pausing(t *testing.T) {
	t.Helper()
	if !group.CanPause {
		t.Skip("this system cannot pause a process")
	}
}

// texts are the texts of messages, to look for some.
func texts(messages []group.Message) map[string]int {
	out := map[string]int{}
	for _, m := range messages {
		out[m.Text]++
	}
	return out
}

// wantOnce demands that each text is there once.
func wantOnce(t *testing.T, messages []group.Message, want ...string) {
	t.Helper()
	got := texts(messages)
	for _, text := range want {
		if got[text] != 1 {
			t.Errorf("%q is settled %d times, want once", text, got[text])
		}
	}
}
