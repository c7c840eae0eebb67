package centrality

import (
	"math"
	"slices"
)

const (
	// WindowProbes is how many of the latest probes a Window remembers. With
	// half as many, chance puts enough spikes (one probe in a hundred) together
	// to lift the p95, and moves the host several times a day.
	WindowProbes = 128
	// RecentProbes is how many of them tell how the path is right now: one or
	// two spikes do not change their median.
	RecentProbes = 5
	// minLost is how many probes must be lost, with none answered, before the
	// other is called unreachable.
	minLost = 3
)

// Window remembers the latest probes of one path in fixed memory, under 600 bytes. The
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

// RecentMs returns the median of the latest RecentProbes probes, for a Watch:
// +Inf if most of them were lost, NaN if there was none yet.
func (w *Window) RecentMs() float64 {
	recent := w.recent()
	if len(recent) == 0 {
		return math.NaN()
	}
	slices.Sort(recent)
	return percentile(recent, 50)
}

// Forget drops all but the latest RecentProbes: after a marked change, what was
// before says nothing about the path any more.
func (w *Window) Forget() {
	recent := w.recent()
	*w = Window{warm: w.warm}
	for _, rtt := range recent {
		w.record(rtt)
	}
}

// recent returns the latest probes, oldest first.
func (w *Window) recent() []float32 {
	n := min(w.probes, RecentProbes)
	recent := make([]float32, n)
	for i := range recent {
		recent[i] = w.ring[(w.probes-n+i)%WindowProbes]
	}
	return recent
}

// percentile returns the least value that p percent of them do not exceed.
func percentile(sorted []float32, p int) float64 {
	return float64(sorted[(len(sorted)*p+99)/100-1])
}
