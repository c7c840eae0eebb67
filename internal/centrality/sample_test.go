package centrality_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/demes-chat/demes/internal/centrality"
)

func TestCostOfOneDirection(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	unknown := centrality.Sample{}
	tests := []struct {
		name   string
		sample centrality.Sample
		cost   float64
		known  bool
	}{
		{"nothing measured", unknown, 0, false},
		{"steady", centrality.Sample{P50: 40, P95: 40, Known: true}, 20, true},
		{"half of the spread counts", centrality.Sample{P50: 40, P95: 80, Known: true}, 30, true},
		{"loss costs a round trip and 50 ms", centrality.Sample{P50: 40, P95: 40, Loss: 0.1, Known: true}, 29, true},
		{"relayed by the transport", centrality.Sample{P50: 40, P95: 40, Relayed: true, Known: true}, 30, true},
		{"infinite median is unreachable", centrality.Sample{P50: inf, P95: inf, Known: true}, inf, true},
		{"full loss is unreachable", centrality.Sample{P50: 40, P95: 40, Loss: 1, Known: true}, inf, true},
		{"more than full loss is unreachable", centrality.Sample{P50: 40, P95: 40, Loss: 1e9, Known: true}, inf, true},
		{"infinite loss is unreachable", centrality.Sample{P50: 40, P95: 40, Loss: inf, Known: true}, inf, true},
		{"relayed and unreachable", centrality.Sample{P50: inf, Relayed: true, Known: true}, inf, true},
		{"NaN median", centrality.Sample{P50: nan, P95: 40, Known: true}, 0, false},
		{"NaN p95", centrality.Sample{P50: 40, P95: nan, Known: true}, 0, false},
		{"NaN loss", centrality.Sample{P50: 40, P95: 40, Loss: nan, Known: true}, 0, false},
		{"negative median", centrality.Sample{P50: -1, P95: 40, Known: true}, 0, false},
		{"negative p95", centrality.Sample{P50: 40, P95: -1, Known: true}, 0, false},
		{"negative loss", centrality.Sample{P50: 40, P95: 40, Loss: -0.1, Known: true}, 0, false},
		{"minus infinity", centrality.Sample{P50: -inf, P95: 40, Known: true}, 0, false},
		{"zero counts as the least round trip", centrality.Sample{Known: true}, centrality.MinRTTMs / 2, true},
		{"huge counts as the greatest", centrality.Sample{P50: 1e300, P95: math.MaxFloat64, Known: true}, centrality.MaxRTTMs / 2, true},
		{"infinite p95 counts as the greatest", centrality.Sample{P50: 2000, P95: inf, Known: true}, 3000, true},
		{"p95 below the median counts as it", centrality.Sample{P50: 40, P95: 4, Known: true}, 20, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cost, known := test.sample.CostMs()
			if known != test.known || (known && math.Abs(cost-test.cost) > 0.001) {
				t.Errorf("got %v, %v; want %v, %v", cost, known, test.cost, test.known)
			}
		})
	}
}

func TestMalformedReportIsNoReport(t *testing.T) {
	m := newMatrix(t, members(2))
	m.Report(id(0), id(1), centrality.Sample{P50: math.NaN(), Known: true})
	m.Report(id(1), id(0), costing(30))
	if got := m.Routes().DistanceMs(id(0), id(1)); got != 30 {
		t.Errorf("got %v, want the honest end's 30", got)
	}
}

// anything draws numbers that a peer may send, most of them nonsense.
func anything() *rapid.Generator[float64] {
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, math.MaxFloat64, math.SmallestNonzeroFloat64}
	return rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 500), rapid.SampledFrom(special))
}

func drawSample(t *rapid.T) centrality.Sample {
	return centrality.Sample{
		P50:     anything().Draw(t, "p50"),
		P95:     anything().Draw(t, "p95"),
		Loss:    rapid.OneOf(rapid.Float64Range(0, 1), anything()).Draw(t, "loss"),
		Relayed: rapid.Bool().Draw(t, "relayed"),
		Known:   rapid.Bool().Draw(t, "known"),
	}
}

func TestEveryCostIsBoundedOrInfinite(t *testing.T) {
	const most = centrality.MaxRTTMs/2 + centrality.MaxRTTMs + 50 + centrality.RelayPenaltyMs
	rapid.Check(t, func(t *rapid.T) {
		cost, known := drawSample(t).CostMs()
		inBounds := cost >= centrality.MinRTTMs/2 && cost <= most
		if known && !inBounds && !math.IsInf(cost, 1) {
			t.Fatalf("got %v, want %v … %v or infinite", cost, centrality.MinRTTMs/2, most)
		}
	})
}

func TestCostGrowsWithEachMeasure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, most float64) (less, more float64) {
			a, b := rapid.Float64Range(0, most).Draw(t, name), rapid.Float64Range(0, most).Draw(t, name)
			return min(a, b), max(a, b)
		}
		var less, more centrality.Sample
		less.Known, more.Known = true, true
		less.P50, more.P50 = draw("p50", 20_000)
		less.P95, more.P95 = draw("p95", 20_000)
		less.Loss, more.Loss = draw("loss", 1.5)
		a, _ := less.CostMs()
		b, _ := more.CostMs()
		if a > b {
			t.Fatalf("%+v costs %v, the worse %+v only %v", less, a, more, b)
		}
	})
}
