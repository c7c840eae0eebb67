package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/demes-chat/demes/internal/chat"
)

// lan is a network as in one house.
var lan = Net{DelayMin: 1, DelayMax: 20, Jitter: 2, Fsync: 4}

// live makes a world whose n nodes chat.
func live(t *testing.T, seed uint64, n int, net Net) *World {
	t.Helper()
	w := New(seed, n, net)
	if err := w.GoLive(); err != nil {
		t.Fatal(err)
	}
	return w
}

func settle(t *testing.T, w *World, most int64) {
	t.Helper()
	if !w.Until(most, w.Settled) {
		t.Fatalf("seed %d: not settled after %d ms\n%s%v", w.Seed, most, w.Describe(), w.Err())
	}
	if err := w.Final(); err != nil {
		t.Fatalf("%v\n%s", err, w.Describe())
	}
}

func TestThreePeopleChat(t *testing.T) {
	w := live(t, 1, 3, lan)
	for i := range 30 {
		if err := w.Nodes[i%3].Say(fmt.Sprint("message ", i)); err != nil {
			t.Fatal(err)
		}
		w.Run(20)
	}
	settle(t, w, 5_000)
	if got := w.Nodes[2].chat.Fold().Position; got != 30 {
		t.Fatalf("position %d, want 30", got)
	}
}

// TestAnswerWaitsForItsQuestion has the question reach the host after the
// answer: the one who answers is near to both, the one who asks is far from the
// host (S5).
func TestAnswerWaitsForItsQuestion(t *testing.T) {
	ask := func(planted bool) error {
		w := live(t, 3, 3, Net{DelayMin: 1, DelayMax: 5, Planted: chat.Planted{Unshown: planted}})
		w.Run(3_000)
		host := w.Host()
		rest := others(w, host)
		asker, answerer := rest[0], rest[1]
		asker.links[host.ID].delay = 400 // and from then on nothing comes by another way
		_ = asker.Say("who brings the cake?")
		if !w.Until(200, func() bool { return len(answerer.chat.Unsettled()) == 1 }) {
			t.Fatal("the question did not reach who is near")
		}
		_ = answerer.Say("I do")
		if !w.Until(20_000, w.Settled) {
			t.Fatalf("not settled\n%s%v", w.Describe(), w.Err())
		}
		w.check.auditAll(w.Nodes[0])
		return w.Err()
	}
	if err := ask(false); err != nil {
		t.Fatal(err)
	}
	if err := ask(true); err == nil || !strings.Contains(err.Error(), "S5") {
		t.Fatalf("without a look at what was shown: %v, want S5 broken", err)
	}
}

func TestEverybodyLearnsWhoHoldsWhat(t *testing.T) {
	w := live(t, 4, 4, lan)
	for i := range 5 {
		_ = w.Nodes[i%4].Say("hold this")
		w.Run(30)
	}
	settle(t, w, 5_000)
	all := func() bool {
		for _, n := range w.Nodes {
			for _, m := range n.chat.View().Members {
				if m.Held != 5 {
					return false
				}
			}
		}
		return true
	}
	if !w.Until(3_000, all) {
		for _, n := range w.Nodes {
			for _, m := range n.chat.View().Members {
				t.Errorf("%s thinks that %s holds %d of 5", n.Name, m.Name, m.Held)
			}
		}
	}
}
