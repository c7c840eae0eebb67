package centrality_test

import (
	"math"
	"testing"
	"unsafe"

	"github.com/demes-chat/demes/internal/centrality"
)

const lose = -2.0 // in a script of probes

func windowOf(probes ...float64) *centrality.Window {
	w := new(centrality.Window)
	for _, rtt := range probes {
		if rtt == lose {
			w.Lose()
		} else {
			w.Answer(rtt)
		}
	}
	return w
}

func TestWindowSumsUpItsProbes(t *testing.T) {
	inf := math.Inf(1)
	var many, mostlyOld []float64
	for i := range 201 {
		many = append(many, float64(i))
		mostlyOld = append(mostlyOld, 1000)
	}
	for range centrality.WindowProbes {
		mostlyOld = append(mostlyOld, 5)
	}
	tests := []struct {
		name   string
		probes []float64
		want   centrality.Sample
	}{
		{"empty", nil, centrality.Sample{P50: inf, P95: inf, Loss: 1}},
		{"the first probe does not count", []float64{900}, centrality.Sample{P50: inf, P95: inf, Loss: 1}},
		{"a lost first probe does not count", []float64{lose, 40}, centrality.Sample{P50: 40, P95: 40, Known: true}},
		{"one answer", []float64{900, 40}, centrality.Sample{P50: 40, P95: 40, Known: true}},
		{"two lost say nothing", []float64{900, lose, lose}, centrality.Sample{P50: inf, P95: inf, Loss: 1}},
		{"three lost: unreachable", []float64{900, lose, lose, lose}, centrality.Sample{P50: inf, P95: inf, Loss: 1, Known: true}},
		{"losses are not in the percentiles", []float64{900, 30, lose, 10, 20}, centrality.Sample{P50: 20, P95: 30, Loss: 0.25, Known: true}},
		{"only the latest 128 count", many, centrality.Sample{P50: 136, P95: 194, Known: true}}, // 73 … 200
		{"old ones are forgotten", mostlyOld, centrality.Sample{P50: 5, P95: 5, Known: true}},
		{"NaN and negative are ignored", []float64{900, math.NaN(), -1, 40}, centrality.Sample{P50: 40, P95: 40, Known: true}},
		{"huge counts as the greatest", []float64{900, 1e300, inf}, centrality.Sample{P50: centrality.MaxRTTMs, P95: centrality.MaxRTTMs, Known: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := windowOf(test.probes...).Sample(false); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if !windowOf(test.probes...).Sample(true).Relayed {
				t.Error("relayed: got false, want true")
			}
		})
	}
}

func TestSummingUpDoesNotDisturbTheWindow(t *testing.T) {
	w := windowOf(0, 30, 10, 20)
	first := w.Sample(false)
	if second := w.Sample(false); first != second {
		t.Errorf("first %+v, then %+v", first, second)
	}
}

func TestRecentIsTheMedianOfTheLatestFive(t *testing.T) {
	tests := []struct {
		name   string
		probes []float64
		want   float64
	}{
		{"none", []float64{900}, math.NaN()},
		{"one", []float64{900, 40}, 40},
		{"two spikes", []float64{900, 40, 41, 42, 700, 800}, 42},
		{"two lost", []float64{900, 40, 41, 42, lose, lose}, 42},
		{"three lost", []float64{900, 40, 41, lose, lose, lose}, math.Inf(1)},
		{"a change", []float64{900, 40, 40, 40, 40, 40, 90, 91, 92}, 90},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := windowOf(test.probes...).RecentMs()
			if got != test.want && !(math.IsNaN(got) && math.IsNaN(test.want)) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestForgetKeepsTheLatestFive(t *testing.T) {
	w := windowOf(900, 40, 40, 40, 90, lose, 91, 92, 93)
	w.Forget()
	want := centrality.Sample{P50: 91, P95: 93, Loss: 0.2, Known: true}
	if got := w.Sample(false); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	w.Answer(95)
	if got := w.Sample(false).P95; got != 95 {
		t.Errorf("p95 with one more: got %v, want 95", got)
	}
	fresh := windowOf()
	fresh.Forget()
	fresh.Answer(900)
	if fresh.Sample(false).Known {
		t.Error("the first probe after forgetting nothing: counted, want not")
	}
}

func TestWindowStaysSmall(t *testing.T) {
	if got := unsafe.Sizeof(centrality.Window{}); got > 600 {
		t.Errorf("got %d bytes, want at most the 600 that its doc promises", got)
	}
}
