package sim

import "testing"

// TestHostMovesToAnElectorWithoutAVote: of four electors three vote; the fourth
// comes to stand best.
func TestHostMovesToAnElectorWithoutAVote(t *testing.T) {
	w := live(t, 13, 4, Net{DelayMin: 30, DelayMax: 31, Fsync: 2})
	settleQuiet(t, w)
	w.Run(10_000)
	var learner *Node
	for _, m := range w.Host().chat.View().Members {
		if !m.Council {
			for _, n := range w.Nodes {
				if n.ID.String() == m.Device {
					learner = n
				}
			}
		}
	}
	for _, n := range w.Nodes {
		if n != learner {
			learner.links[n.ID].delay = 5
			n.measure(learner)
			learner.measure(n)
		}
	}
	next := func() bool {
		v := w.Host().chat.View()
		return w.Host() == learner || v.Next != nil && v.Next.Device == learner.ID.String()
	}
	if !w.Until(10_000, next) {
		t.Fatalf("the first in the succession is not named next\n%s", w.Describe())
	}
	if !w.Until(100_000, func() bool { return w.Host() == learner }) {
		t.Fatalf("the host did not move\n%s", w.Describe())
	}
	_ = w.Nodes[0].Say("from the middle")
	settle(t, w, 5_000)
}
