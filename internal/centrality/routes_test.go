package centrality_test

import (
	"math"
	"slices"
	"testing"

	"github.com/demes-chat/demes/internal/centrality"
)

func TestRelayIsTakenOnlyWhereItIsWorthIt(t *testing.T) {
	// 0 and 1 are each 20 ms from the relay 2: over it 20 + 10 + 20 = 50 ms.
	tests := []struct {
		name     string
		direct   float64
		distance float64
		hop      int
	}{
		{"no direct edge", cut, 50, 2},
		{"nothing known of the direct edge", none, 50, 2},
		{"shorter by 20 ms and by more than a fifth", 70, 50, 2},
		{"shorter by a fifth but not by 20 ms", 69.99, 69.99, 1},
		{"shorter by little", 51, 51, 1},
		{"longer", 49, 49, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkPath(t, [][]float64{{0, test.direct, 20}, {test.direct, 0, 20}, {20, 20, 0}}, test.distance, test.hop)
		})
	}
	// Each 95 ms from the relay: 200 ms. A fifth is then the stricter rule.
	t.Run("shorter by a fifth, far away", func(t *testing.T) {
		checkPath(t, [][]float64{{0, 250, 95}, {250, 0, 95}, {95, 95, 0}}, 200, 2)
	})
	t.Run("shorter by 20 ms but not by a fifth", func(t *testing.T) {
		checkPath(t, [][]float64{{0, 249.99, 95}, {249.99, 0, 95}, {95, 95, 0}}, 249.99, 1)
	})
}

// checkPath checks the path from member 0 to member 1.
func checkPath(t *testing.T, table [][]float64, distance float64, hop int) {
	t.Helper()
	routes := costs(t, members(len(table)), table).Routes()
	if got := routes.DistanceMs(id(0), id(1)); got != distance {
		t.Errorf("distance: got %v, want %v", got, distance)
	}
	next, ok := routes.NextHop(id(0), id(1))
	if !ok || number(next) != hop {
		t.Errorf("next hop: got %d, %v; want %d", number(next), ok, hop)
	}
}

func TestPathNeverHasTwoRelays(t *testing.T) {
	// A line of four: its ends would need both inner members.
	routes := costs(t, members(4), [][]float64{
		{0, 10, cut, cut}, {10, 0, 10, cut}, {cut, 10, 0, 10}, {cut, cut, 10, 0},
	}).Routes()
	if got := routes.DistanceMs(id(0), id(3)); !math.IsInf(got, 1) {
		t.Errorf("end to end: got %v, want +Inf", got)
	}
	if _, ok := routes.NextHop(id(0), id(3)); ok {
		t.Error("end to end: got a next hop, want none")
	}
	if got := routes.DistanceMs(id(0), id(2)); got != 30 {
		t.Errorf("over one: got %v, want 30", got)
	}
	if got, want := order(routes.Succession()), []int{1, 2, 0, 3}; !slices.Equal(got, want) {
		t.Errorf("succession: got %v, want %v", got, want)
	}
}

func TestPathThroughTheTransportsRelayIsNeverPartOfALongerOne(t *testing.T) {
	m := newMatrix(t, members(3))
	relayed := costing(20)
	relayed.Relayed = true
	m.Report(id(0), id(2), relayed)
	m.Report(id(2), id(1), costing(20))
	routes := m.Routes()
	if got := routes.DistanceMs(id(0), id(2)); got != 30 {
		t.Errorf("relayed edge: got %v, want 20 + 10", got)
	}
	if got := routes.DistanceMs(id(0), id(1)); !math.IsInf(got, 1) {
		t.Errorf("relayed edge and one more: got %v, want +Inf", got)
	}

	m.Report(id(0), id(2), costing(20))
	if got := m.Routes().DistanceMs(id(0), id(1)); got != 50 {
		t.Errorf("the same edges, both direct: got %v, want 50", got)
	}
}

func TestEqualRelaysGoToTheSmallerID(t *testing.T) {
	// Over 2 it is 65 ms, over 3 or 4 it is 60 ms: 30 + 10 + 20, or 20 + 10 + 30.
	checkPath(t, [][]float64{
		{0, cut, 30, 30, 20},
		{cut, 0, none, none, none},
		{none, 25, 0, cut, cut},
		{none, 20, cut, 0, cut},
		{none, 30, cut, cut, 0},
	}, 60, 3)
}

func TestRoutesAreDirected(t *testing.T) {
	// 0 → 1 is slow and goes over 2; the way back is fast and direct.
	routes := costs(t, members(3), [][]float64{{0, 200, 10}, {30, 0, 10}, {10, 10, 0}}).Routes()
	if got := routes.DistanceMs(id(0), id(1)); got != 30 {
		t.Errorf("there: got %v, want 30", got)
	}
	if next, _ := routes.NextHop(id(1), id(0)); number(next) != 0 {
		t.Errorf("back: got hop %d, want 0", number(next))
	}
	want := []centrality.Relay{{From: id(0), Via: id(2), To: id(1)}}
	if got := routes.Relays(); !slices.Equal(got, want) {
		t.Errorf("relays: got %v, want %v", got, want)
	}
}

func TestRoutesOfSelfAndStrangers(t *testing.T) {
	routes := costs(t, members(2), [][]float64{{0, 10}, {10, 0}}).Routes()
	if got := routes.DistanceMs(id(0), id(0)); got != 0 {
		t.Errorf("to itself: got %v, want 0", got)
	}
	if next, ok := routes.NextHop(id(0), id(0)); !ok || next != id(0) {
		t.Errorf("hop to itself: got %d, %v; want 0", number(next), ok)
	}
	for _, pair := range [][2]int{{0, 9}, {9, 0}, {9, 9}} {
		if got := routes.DistanceMs(id(pair[0]), id(pair[1])); !math.IsInf(got, 1) {
			t.Errorf("distance %v: got %v, want +Inf", pair, got)
		}
		if _, ok := routes.NextHop(id(pair[0]), id(pair[1])); ok {
			t.Errorf("next hop %v: got one, want none", pair)
		}
	}
}

func TestTheCentreIsFirstUnderInjectedLatencies(t *testing.T) {
	// Seven cities on a line in ms; each member's access adds to every path.
	position := []float64{0, 12, 25, 40, 55, 90, 160}
	tests := []struct {
		name   string
		access []float64
		first  int
	}{
		{"the median city", []float64{2, 2, 2, 2, 2, 2, 2}, 3},
		{"a slow access moves the host next door", []float64{2, 2, 2, 60, 2, 2, 2}, 2},
		{"a cluster pulls the host", []float64{40, 40, 40, 40, 40, 2, 40}, 5},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := len(position)
			table := make([][]float64, n)
			sums := make([]float64, n)
			for i := range n {
				table[i] = make([]float64, n)
				for j := range n {
					if i != j {
						table[i][j] = math.Abs(position[i]-position[j]) + test.access[i] + test.access[j]
						sums[i] += table[i][j]
					}
				}
			}
			if best := slices.Index(sums, slices.Min(sums)); best != test.first {
				t.Fatalf("the table itself is best at %d, not %d: %v", best, test.first, sums)
			}
			ranks := costs(t, members(n), table).Routes().Succession()
			if got := number(ranks[0].ID); got != test.first {
				t.Errorf("first: got %d, want %d (%v)", got, test.first, ranks)
			}
		})
	}
}
