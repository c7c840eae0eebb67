package sim

import (
	"fmt"
	"testing"
	"testing/cryptotest"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// loseKeys restarts a node whose store cannot open its keys any more.
func (n *Node) loseKeys(t *testing.T) {
	t.Helper()
	n.Crash()
	n.disk.loseSecrets("now")
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
}

// hasKeys reports whether a node's keys are those of its settled log.
func (n *Node) hasKeys() bool {
	return n.chat != nil && n.chat.View().Keys.State == demes.KeysGood
}

// twoCommits has a commit settle that a new generation did not see, in which
// another commit wins the same epoch.
func twoCommits(t *testing.T, seed uint64, planted chat.Planted) error {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	w := live(t, seed, 5, Net{DelayMin: 1, DelayMax: 20, Jitter: 2, Fsync: 4, Planted: planted})
	settleQuiet(t, w)
	host := w.Host()
	rest := others(w, host)
	friend, far := rest[0], rest[1:]
	for _, n := range far { // the council shrinks to the host and its friend
		n.Crash()
		w.Run(21_000)
	}
	w.Partition(host.index, friend.index)
	epoch := host.chat.Fold().Epoch
	friend.loseKeys(t)
	if !w.Until(60_000, func() bool { return host.chat.Fold().Epoch == epoch+1 }) {
		t.Fatalf("seed %d: no commit settles on the host's side\n%s", seed, w.Describe())
	}
	if host.chat.Final() == host.chat.Fold().Head.Index {
		t.Fatalf("seed %d: what two of five settled is final", seed)
	}
	for _, n := range far {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	far[0].loseKeys(t)
	if !w.Until(150_000, func() bool { return far[1].chat.Fold().Epoch > epoch && far[1].hasKeys() && far[0].hasKeys() }) && w.Err() == nil {
		t.Fatalf("seed %d: no commit settles on the other side\n%s", seed, w.Describe())
	}
	unsettled := false
	w.kept = func(_ *Node, b *chat.Batch) { unsettled = unsettled || b.Unsettle != nil }
	w.Partition()
	if !w.Until(chat.RejoinGap+60_000, func() bool { return w.Settled() && friend.hasKeys() }) && w.Err() == nil {
		return fmt.Errorf("seed %d: not whole again\n%s", seed, w.Describe())
	}
	if w.Err() == nil && !unsettled {
		t.Fatalf("seed %d: nothing was unsettled", seed)
	}
	for _, n := range w.Up() {
		_ = n.Say("all under the same keys, says " + n.Name)
	}
	w.Until(15_000, w.Settled)
	return w.Final()
}

func TestACommitThatIsUnsettledChangesNoKeys(t *testing.T) {
	long(t)
	for seed := range uint64(5) {
		if err := twoCommits(t, 300+seed, chat.Planted{}); err != nil {
			t.Error(err)
		}
	}
}
