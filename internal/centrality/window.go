package centrality

import (
	"math"
	"slices"
)

const (
	// WindowProbes is how many of the latest probes a Window remembers: enough
	// for a p95 that is not just the maximum, and a minute at one a second.
	WindowProbes = 64
	// minLost is how many probes must be lost, with none answered, before the
	// other is called unreachable.
	minLost = 3
)

// Window remembers the latest probes of one path in a fixed 280 bytes. The
// zero value is ready. A new connection needs a new Window; so do direct and
// relayed paths to the same member, which are never mixed.
type Window struct {
	ring   [WindowProbes]float32 // ms, or lost
	probes int                   // recorded so far; the next goes to probes % WindowProbes
	warm   bool                  // the first probe is over
}

// lost marks a probe without an answer. It sorts after all answers.
var lost = float32(math.Inf(1))

// Answer takes in a probe's round trip. The first probe of a window does not
// count: it pays for the connection. NaN and negative times are ignored; times
// above MaxRTTMs count as that.
func (w *Window) Answer(rttMs float64) {
	if isMeasure(rttMs) {
		w.record(float32(min(rttMs, MaxRTTMs)))
	}
}

// Lose takes in a probe that was not answered in time.
func (w *Window) Lose() { w.record(lost) }

func (w *Window) record(rtt float32) {
	if !w.warm {
		w.warm = true
		return
	}
	w.ring[w.probes%WindowProbes] = rtt
	w.probes++
}

// Sample sums up the remembered probes: nearest-rank percentiles of the
// answers, and the share of losses. It is not Known while there is no answer
// and fewer than three losses.
func (w *Window) Sample(relayed bool) Sample {
	n := min(w.probes, WindowProbes)
	sorted := w.ring // a copy
	slices.Sort(sorted[:n])
	answers := n
	for answers > 0 && sorted[answers-1] == lost {
		answers--
	}
	if answers == 0 {
		return Sample{P50: math.Inf(1), P95: math.Inf(1), Loss: 1, Relayed: relayed, Known: n >= minLost}
	}
	return Sample{
		P50:     percentile(sorted[:answers], 50),
		P95:     percentile(sorted[:answers], 95),
		Loss:    float64(n-answers) / float64(n),
		Relayed: relayed,
		Known:   true,
	}
}

// percentile returns the least value that p percent of them do not exceed.
func percentile(sorted []float32, p int) float64 {
	return float64(sorted[(len(sorted)*p+99)/100-1])
}
