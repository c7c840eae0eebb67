package store_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/store"
)

// children are what the test binary does when a test starts it again as a
// process of its own: DEMES_STORE_CHILD names one, the argument is its folder.
var children = map[string]func(dir string) error{
	"commit": childCommit,
	"hold":   childHold,
	"memory": childMemory,
}

const childVariable = "DEMES_STORE_CHILD"

func TestMain(m *testing.M) {
	run := children[os.Getenv(childVariable)]
	if run == nil {
		os.Exit(m.Run())
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// child is a process of the test binary.
func child(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// trials is how often something random is tried; a fifth of it with -short.
func trials(count int) int {
	if testing.Short() {
		return count / 5
	}
	return count
}

// step n is a batch that touches every table and says n everywhere. Its value
// makes the write-ahead log reach its bound every 60 steps.
func stepBatches(n uint64) []*chat.Batch {
	e := newEvents(int(n), 1)
	return []*chat.Batch{
		{Chat: chatID, Events: e, Put: []chat.Value{{Name: "n", Data: binary.BigEndian.AppendUint64(nil, n)}}},
		{
			Chat: chatID, Settled: newEntries(e), Put: []chat.Value{{Name: "ballast", Data: bytes.Repeat([]byte{byte(n)}, 64<<10)}},
			Raft: &chat.RaftChange{Generation: 1, Entries: []chat.RaftEntry{{Index: n, Term: 1, Data: e[0].Body}}, CompactedTo: n - 1},
		},
	}
}

// lastStep reads how far a store came and checks that it stands between two
// steps.
func lastStep(s *store.Store) (n uint64, err error) {
	saved, err := s.Load(chatID)
	if errors.Is(err, &demes.Error{Code: demes.CodeUnknownChat}) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n = binary.BigEndian.Uint64(saved.Values["n"])
	log, err := s.Settled(chatID, 1, 1<<30)
	if err != nil {
		return n, err
	}
	ballast := saved.Values["ballast"]
	if uint64(len(log)) != n || len(saved.Raft) != 1 || saved.Raft[0].Index != n || len(saved.Tail) != 0 ||
		len(ballast) != 64<<10 || ballast[0] != byte(n) {
		return n, fmt.Errorf("torn: step %d, %d settled, council's log %v, %d in the tail", n, len(log), saved.Raft, len(saved.Tail))
	}
	return n, nil
}

// childCommit commits steps for ever and says which ones are acknowledged.
func childCommit(dir string) error {
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	n, err := lastStep(s)
	for err == nil {
		n++
		if err = s.Commit(stepBatches(n)); err == nil {
			fmt.Println(n)
		}
	}
	return err
}

func TestAcknowledgedBatchesSurviveKill(t *testing.T) {
	rounds := trials(25)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for round := range rounds {
		acknowledged := commitAndKill(t, dir, 1+random.IntN(80))
		s := openStore(t, dir) // at once: the lock went with the process
		n, err := lastStep(s)
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		if n < acknowledged {
			t.Fatalf("seed %d, round %d: the store stands at step %d, acknowledged was %d", seed, round, n, acknowledged)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// commitAndKill starts a child, kills it after so many acknowledgements and
// returns the last one that it made.
func commitAndKill(t *testing.T, dir string, after int) (acknowledged uint64) {
	t.Helper()
	cmd := child(t, "commit", dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for seen := 1; lines.Scan(); seen++ { // on to the end: what was said before the kill counts
		n, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			t.Fatalf("child says %q", lines.Text())
		}
		acknowledged = n
		if seen == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() // killed, as it should be
	return acknowledged
}

// childHold opens the profile and holds it until it is killed.
func childHold(dir string) error {
	if _, err := store.Open(dir); err != nil {
		return err
	}
	fmt.Println("open")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func TestSecondProcessIsRefusedUntilTheFirstIsKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "hold", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	wantProblem(t, failToOpen(t, dir), demes.CodeProfileInUse, "--data")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	openStore(t, dir)
}

// runChild runs a child to its end and returns what it said.
func runChild(t *testing.T, name, dir string) string {
	t.Helper()
	cmd := child(t, name, dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("child: %v: %s", err, out)
	}
	text := strings.TrimSpace(string(out))
	if reason, skip := strings.CutPrefix(text, "skip: "); skip {
		t.Skip(reason)
	}
	return text
}
