package sim

import (
	"testing"

	"github.com/demes-chat/demes"
)

// TestNewHostKnowsWhatItMeasuredItself has a member measure something new just
// before it becomes host: what the last host told of it must not stand in for that.
func TestNewHostKnowsWhatItMeasuredItself(t *testing.T) {
	w := live(t, 10, 3, Net{DelayMin: 5, DelayMax: 6, Fsync: 2})
	settleQuiet(t, w)
	w.Run(6_000) // everybody was told the whole matrix
	old := w.Host()
	next, last := others(w, old)[0], others(w, old)[1]
	if device := old.chat.View().Next.Device; device != next.ID.String() {
		next, last = last, next
	}
	next.links[last.ID].delay = 90
	next.measure(last)
	old.Crash()
	if !w.Until(10_000, func() bool { return w.Host() == next }) {
		t.Fatalf("the next does not host\n%s", w.Describe())
	}
	w.Run(6_000)
	if rtt := shownRTT(last.chat.View().Latency, next.ID, last.ID); rtt < 179 {
		t.Errorf("the host tells a round trip of %.1f ms; it measured 180", rtt)
	}
}

// shownRTT is what a view says of a pair; -1 when it says nothing.
func shownRTT(view demes.LatencyView, from, to demes.DeviceID) float64 {
	for i, a := range view.Devices {
		for j, b := range view.Devices {
			if a == from.String() && b == to.String() && view.RTTms[i][j] != nil {
				return *view.RTTms[i][j]
			}
		}
	}
	return -1
}
