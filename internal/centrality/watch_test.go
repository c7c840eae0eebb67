package centrality_test

import (
	"math"
	"testing"

	"github.com/demes-chat/demes/internal/centrality"
)

func TestMarkedChange(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		name     string
		from, to float64
		marked   bool
	}{
		{"doubled and moved by 20 ms", 20, 40, true},
		{"doubled but moved by less", 19, 38.9, false},
		{"moved by 20 ms but not doubled", 100, 199, false},
		{"doubled", 100, 200, true},
		{"halved and moved by 20 ms", 40, 20, true},
		{"halved but moved by less", 38, 19, false},
		{"moved by 20 ms but not halved", 100, 51, false},
		{"unchanged", 100, 100, false},
		{"lost", 100, inf, true},
		{"back", inf, 100, true},
		{"still lost", inf, inf, false},
		{"NaN says nothing", 100, math.NaN(), false},
		{"negative says nothing", 100, -5, false},
		{"huge counts as the greatest", centrality.MaxRTTMs, 1e300, false},
		{"zero counts as the least", 0, 20.9, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var w centrality.Watch
			w.Marked(0, test.from)
			for now := int64(1000); now < 1000+centrality.MarkedAfterMs; now += 1000 {
				if w.Marked(now, test.to) {
					t.Fatalf("marked after %d ms, want not before %d", now-1000, centrality.MarkedAfterMs)
				}
			}
			if got := w.Marked(1000+centrality.MarkedAfterMs, test.to); got != test.marked {
				t.Errorf("after %d ms: got %v, want %v", centrality.MarkedAfterMs, got, test.marked)
			}
		})
	}
}

func TestMarkedChangeMustLast(t *testing.T) {
	script := []struct {
		nowMs  int64
		rttMs  float64
		marked bool
	}{
		{0, 50, false},
		{1000, 150, false}, {5900, 150, false}, {6000, 60, false}, // a burst of 5 s
		{7000, 150, false}, {11_900, 20, false}, // slower, then faster: two changes
		{16_800, 20, false}, {16_900, 20, true}, // this one lasts
		{17_000, 20, false}, {30_000, 20, false}, // it is the baseline now
		{31_000, 50, false}, {36_000, 50, true},
	}
	var w centrality.Watch
	for _, step := range script {
		if got := w.Marked(step.nowMs, step.rttMs); got != step.marked {
			t.Fatalf("at %d ms, %v ms: got %v, want %v", step.nowMs, step.rttMs, got, step.marked)
		}
	}
}

func TestRebaseFollowsSlowDrift(t *testing.T) {
	var w centrality.Watch
	now := int64(0)
	for rtt := 50.0; rtt < 500; rtt += 10 {
		if w.Marked(now, rtt) || w.Marked(now+6000, rtt) {
			t.Fatalf("marked at %v ms, want no mark for slow drift", rtt)
		}
		w.Rebase(rtt)
		w.Rebase(math.NaN())
		now += 60_000
	}
}
