package centrality_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/demes-chat/demes/internal/centrality"
)

// world8 is a group of eight in virtual time: fixed distances, a load that comes
// and goes daily at each member, noise on every probe (σ = 0.25) and one spike in
// a hundred.
type world8 struct {
	random *rand.Rand
	base   [eight][eight]float64 // round trips in ms
	swing  [eight]float64        // what the evening adds at a member, in ms
	phase  [eight]float64
}

const (
	eight           = 8
	dayMs           = 24 * 60 * 60 * 1000
	probesPerWindow = 5 // one probe in two seconds
)

func newWorld8(seed uint64) *world8 {
	w := &world8{random: rand.New(rand.NewPCG(seed, 8))}
	for i := range eight {
		w.swing[i] = 15 * w.random.Float64()
		w.phase[i] = 2 * math.Pi * w.random.Float64()
		for j := range i {
			w.base[i][j] = 40 + 100*w.random.Float64()
			w.base[j][i] = w.base[i][j]
		}
	}
	return w
}

// trueRTT is the round trip without noise.
func (w *world8) trueRTT(nowMs int64, i, j int) float64 {
	load := func(m int) float64 {
		return w.swing[m] * (1 + math.Sin(2*math.Pi*float64(nowMs)/dayMs+w.phase[m])) / 2
	}
	return w.base[i][j] + load(i) + load(j)
}

func (w *world8) probe(nowMs int64, i, j int) float64 {
	rtt := w.trueRTT(nowMs, i, j) * math.Exp(0.25*w.random.NormFloat64())
	if w.random.IntN(100) == 0 {
		rtt *= 5
	}
	return rtt
}

// succession ranks by the samples that of gives for each pair.
func succession(t *testing.T, of func(i, j int) centrality.Sample) []centrality.Rank {
	m := newMatrix(t, members(eight))
	for i := range eight {
		for j := range i {
			m.Report(id(i), id(j), of(i, j)) // the other direction follows
		}
	}
	return m.Routes().Succession()
}

func exactly(rtt float64) centrality.Sample {
	return centrality.Sample{P50: rtt, P95: rtt, Known: true}
}

// trial counts what happened in some virtual days.
type trial struct {
	windows, rawMoves, moves int
	excess                   float64 // sum over windows of the host's share above the best
}

// run lives through the days twice: with the best of the latest probes as host
// at any time, and with Steering.
func (w *world8) run(t *testing.T, days int64, total *trial) {
	var windows [eight][eight]centrality.Window
	var steering centrality.Steering
	rawHost, host := id(0), id(0)
	steering.Hurry() // the chat starts when every path was measured once
	for now := int64(0); now < days*dayMs; now += centrality.WindowMs {
		var latest [eight][eight]float64
		for i := range eight {
			for j := range i {
				for range probesPerWindow {
					latest[i][j] = w.probe(now, i, j)
					windows[i][j].Answer(latest[i][j])
				}
			}
		}
		raw := succession(t, func(i, j int) centrality.Sample { return exactly(latest[i][j]) })
		if raw[0].ID != rawHost {
			rawHost = raw[0].ID
			total.rawMoves++
		}
		measured := succession(t, func(i, j int) centrality.Sample { return windows[i][j].Sample(false) })
		if to, move := steering.Advise(now, host, measured); move {
			host = to
			total.moves++
		}
		truth := succession(t, func(i, j int) centrality.Sample { return exactly(w.trueRTT(now, i, j)) })
		total.excess += scoreOf(truth, host)/truth[0].ScoreMs - 1
		total.windows++
	}
}

// TestSteeringMovesAboutOnceADay is the trial behind the numbers in steering.go:
// the best of raw measurements changes thousands of times a day.
func TestSteeringMovesAboutOnceADay(t *testing.T) {
	if testing.Short() {
		t.Skip("four virtual days take a while: run without -short")
	}
	const seeds, days = 4, 1
	var total trial
	for seed := range uint64(seeds) {
		newWorld8(seed).run(t, days, &total)
	}
	rawPerDay := float64(total.rawMoves) / (seeds * days)
	perDay := float64(total.moves) / (seeds * days)
	excess := 100 * total.excess / float64(total.windows)
	t.Logf("raw minimum: %.0f moves a day; steering: %.1f at +%.1f %% delay", rawPerDay, perDay, excess)
	if rawPerDay < 2000 {
		t.Errorf("raw minimum: got %.0f moves a day, want thousands, or this trial shows nothing", rawPerDay)
	}
	if perDay < 0.3 || perDay > 2 {
		t.Errorf("steering: got %.1f moves a day, want about one", perDay)
	}
	if excess > 2 {
		t.Errorf("steering: got +%.1f %% delay over the best host, want at most 2 %%", excess)
	}
}

func scoreOf(ranks []centrality.Rank, host centrality.ID) float64 {
	for _, rank := range ranks {
		if rank.ID == host {
			return rank.ScoreMs
		}
	}
	return math.Inf(1)
}
