package centrality

import "math"

// Bounds on what a report can claim. A report that breaks them by accident or
// by malice counts as the bound.
const (
	// MinRTTMs is the least round trip that counts. Faster ones are one
	// machine or one LAN, where differences are scheduling and not place.
	MinRTTMs = 1.0
	// MaxRTTMs is the greatest round trip that counts: twice the longest
	// silence that a voter tolerates (5 s).
	MaxRTTMs = 10_000.0
	// lossPenaltyMs is what a lost message costs on top of the round trip
	// after which it is sent again.
	lossPenaltyMs = 50.0
)

// Sample is what one member says about its path to another. Times are round
// trips in ms.
//
//   - An infinite P50, or a Loss of 1 or more, says that the other is
//     unreachable.
//   - NaN or a negative number anywhere makes it malformed: as if not Known.
//   - Times are brought into MinRTTMs … MaxRTTMs, and P95 to at least P50.
type Sample struct {
	P50, P95 float64
	Loss     float64 // share of lost probes, 0 … 1
	Relayed  bool    // measured on a path through a relay of the transport
	Known    bool    // false: nothing was measured
}

// CostMs returns the delay that this path is expected to add to a message,
//
//	c = (p50 + ½(p95 − p50))/2 + loss·(p50 + 50 ms)
//
// plus RelayPenaltyMs if it is relayed: half a typical round trip, and for lost
// messages one more round trip and what it takes to notice. It is +Inf if
// the other is unreachable, and known is false if the sample says nothing.
func (s Sample) CostMs() (cost float64, known bool) {
	e := s.edge()
	return e.cost.ms(), e.known
}

// micros is a delay in microseconds.
//
// Invariant: at most 16 s (MaxRTTMs with full loss, relayed), or exactly
// unreachable. So the sum of any two, with a penalty, fits.
type micros int32

const (
	microsPerMs        = 1000
	unreachable micros = 1 << 29
)

func toMicros(ms float64) micros { return micros(math.Round(ms * microsPerMs)) }

func (m micros) ms() float64 {
	if m >= unreachable {
		return math.Inf(1)
	}
	return float64(m) / microsPerMs
}

// edge is a path without any relay of ours: direct or, if relayed, through one
// of the transport. An edge that is not known carries no cost.
type edge struct {
	cost    micros
	relayed bool
	known   bool
}

func (s Sample) edge() edge {
	if !s.Known || !isMeasure(s.P50) || !isMeasure(s.P95) || !isMeasure(s.Loss) {
		return edge{}
	}
	if math.IsInf(s.P50, 1) || s.Loss >= 1 {
		return edge{cost: unreachable, relayed: s.Relayed, known: true}
	}
	p50 := toMicros(min(max(s.P50, MinRTTMs), MaxRTTMs))
	p95 := max(p50, toMicros(min(s.P95, MaxRTTMs)))
	// (p50 + ½(p95 − p50))/2 = (p50 + p95)/4. Loss is the only factor that is
	// not whole; its product is rounded before it is added.
	resend := micros(math.Round(s.Loss * float64(p50+lossPenaltyMs*microsPerMs)))
	cost := (p50+p95)/4 + resend
	if s.Relayed {
		cost += relayPenalty
	}
	return edge{cost: cost, relayed: s.Relayed, known: true}
}

func isMeasure(v float64) bool { return v >= 0 } // false for NaN
