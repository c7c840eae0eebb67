package centrality

import "math"

// When a pair's round trip has changed so much that the plan cannot wait.
const (
	// markedFactor and markedMs: it doubled or halved, and moved by 20 ms.
	markedFactor = 2.0
	markedMs     = 20.0
	// MarkedAfterMs is how long a change must last, so that one burst of other
	// traffic does not make a plan.
	MarkedAfterMs = 5_000
)

// Watch notices a marked change of one pair's round trip. The zero value is
// ready and compares with the first value it sees.
type Watch struct {
	baselineMs float64
	hasBegun   bool
	direction  int // of the change under way: +1 slower, -1 faster, 0 none
	since      instant
}

// Marked takes in the current round trip (Window.RecentMs) and tells whether a marked change is now
// MarkedAfterMs old; from then on the new value is what others are compared
// with. +Inf stands for unreachable; NaN and negative values are ignored.
func (w *Watch) Marked(nowMs int64, rttMs float64) bool {
	if !isMeasure(rttMs) {
		return false
	}
	rttMs = boundRTT(rttMs)
	if !w.hasBegun {
		w.Rebase(rttMs)
		return false
	}
	direction := changed(w.baselineMs, rttMs)
	if direction != w.direction {
		w.direction = direction
		w.since.set(nowMs)
	}
	if age, _ := w.since.age(nowMs); direction == 0 || age < MarkedAfterMs {
		return false
	}
	w.Rebase(rttMs)
	return true
}

// Rebase makes rttMs what later values are compared with: for the member that
// reported it by itself, at the slow beat.
func (w *Watch) Rebase(rttMs float64) {
	if isMeasure(rttMs) {
		*w = Watch{baselineMs: boundRTT(rttMs), hasBegun: true}
	}
}

func boundRTT(rttMs float64) float64 {
	if math.IsInf(rttMs, 1) {
		return rttMs
	}
	return min(max(rttMs, MinRTTMs), MaxRTTMs)
}

// changed returns the direction of a marked change, or 0.
func changed(fromMs, toMs float64) int {
	switch {
	case toMs >= fromMs*markedFactor && toMs-fromMs >= markedMs:
		return +1
	case toMs*markedFactor <= fromMs && fromMs-toMs >= markedMs:
		return -1
	default:
		return 0 // also from Inf to Inf: the difference is NaN
	}
}
