package centrality_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/demes-chat/demes/internal/centrality"
)

// member returns the i-th member of a test: ids sort as their numbers do, and
// all joined at once.
func member(i int) centrality.Member {
	return centrality.Member{ID: id(i)}
}

func id(i int) centrality.ID {
	return centrality.ID{byte(i >> 8), byte(i)}
}

func number(id centrality.ID) int { return int(id[0])<<8 | int(id[1]) }

func members(n int) []centrality.Member {
	all := make([]centrality.Member, n)
	for i := range all {
		all[i] = member(i)
	}
	return all
}

func newMatrix(t testing.TB, members []centrality.Member) *centrality.Matrix {
	t.Helper()
	m, err := centrality.NewMatrix(members)
	if err != nil {
		t.Fatalf("NewMatrix: %v", err)
	}
	return m
}

// costing returns a sample whose cost is exactly ms.
func costing(ms float64) centrality.Sample {
	return centrality.Sample{P50: 2 * ms, P95: 2 * ms, Known: true}
}

const (
	none = -1 // nothing reported
	cut  = -2 // reported as unreachable
)

// costs builds a matrix from a table of one-way costs in ms.
func costs(t testing.TB, members []centrality.Member, table [][]float64) *centrality.Matrix {
	t.Helper()
	m := newMatrix(t, members)
	for i, row := range table {
		for j, ms := range row {
			switch {
			case i == j || ms == none:
			case ms == cut:
				m.Report(members[i].ID, members[j].ID, centrality.Sample{P50: math.Inf(1), Known: true})
			default:
				m.Report(members[i].ID, members[j].ID, costing(ms))
			}
		}
	}
	return m
}

func order(ranks []centrality.Rank) []int {
	numbers := make([]int, len(ranks))
	for i, rank := range ranks {
		numbers[i] = number(rank.ID)
	}
	return numbers
}

func TestSuccessionRanksByCloseness(t *testing.T) {
	tests := []struct {
		name      string
		table     [][]float64
		order     []int
		scores    []float64 // of Normal members: 1.25 × the sum of distances
		reachable []int
	}{
		{"nobody", nil, []int{}, nil, nil},
		{"one member", [][]float64{{0}}, []int{0}, []float64{0}, []int{0}},
		{"two members tie", [][]float64{{0, 10}, {10, 0}}, []int{0, 1}, []float64{12.5, 12.5}, []int{1, 1}},
		{"two members, asymmetric", [][]float64{{0, 12}, {8, 0}}, []int{1, 0}, []float64{10, 15}, []int{1, 1}},
		{"the middle of a line",
			[][]float64{{0, 8, 16}, {8, 0, 8}, {16, 8, 0}},
			[]int{1, 0, 2}, []float64{20, 30, 30}, []int{2, 2, 2}},
		{"only the way out counts",
			[][]float64{{0, 8, 8}, {16, 0, 16}, {12, 12, 0}},
			[]int{0, 2, 1}, []float64{20, 30, 40}, []int{2, 2, 2}},
		{"a missing direction is taken from the other",
			[][]float64{{0, 8, none}, {none, 0, none}, {16, 4, 0}},
			[]int{1, 2, 0}, []float64{15, 25, 30}, []int{2, 2, 2}},
		{"nobody measured anything",
			[][]float64{{0, none}, {none, 0}},
			[]int{0, 1}, []float64{0, 0}, []int{0, 0}},
		{"one is offline: the others rank by the rest",
			[][]float64{{0, 16, 4, cut}, {16, 0, 4, cut}, {4, 4, 0, none}, {none, none, none, 0}},
			[]int{2, 0, 1, 3}, []float64{10, 25, 25, 0}, []int{2, 2, 2, 0}},
		{"the larger half of a partition comes first",
			[][]float64{{0, 1, cut, cut, cut}, {1, 0, cut, cut, cut},
				{cut, cut, 0, 90, 90}, {cut, cut, 90, 0, 99}, {cut, cut, 90, 99, 0}},
			[]int{2, 3, 4, 0, 1}, []float64{225, 236.25, 236.25, 1.25, 1.25}, []int{2, 2, 2, 1, 1}},
		{"one-way reachability counts for who has it",
			[][]float64{{0, cut}, {30, 0}},
			[]int{1, 0}, []float64{37.5, 0}, []int{1, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ranks := costs(t, members(len(test.table)), test.table).Routes().Succession()
			if got := order(ranks); !slices.Equal(got, test.order) {
				t.Fatalf("order: got %v, want %v (%v)", got, test.order, ranks)
			}
			for place, rank := range ranks {
				if rank.ScoreMs != test.scores[place] || rank.Reachable != test.reachable[place] {
					t.Errorf("member %d: got score %v, reachable %d; want %v, %d", number(rank.ID),
						rank.ScoreMs, rank.Reachable, test.scores[place], test.reachable[place])
				}
			}
		})
	}
}

func TestTiesGoToTheLongerPresentThenToTheSmallerID(t *testing.T) {
	all := []centrality.Member{
		{ID: id(0), Since: 300}, {ID: id(3), Since: 100}, {ID: id(1), Since: 200}, {ID: id(2), Since: 100},
	}
	table := [][]float64{{0, 7, 7, 7}, {7, 0, 7, 7}, {7, 7, 0, 7}, {7, 7, 7, 0}}
	got := order(costs(t, all, table).Routes().Succession())
	if want := []int{2, 3, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestManyTiesStillHaveOneOrder(t *testing.T) {
	const n = 100
	all, want := members(n), make([]int, n)
	for i := range all {
		all[i].Since = int64(i % 2)
		want[i/2+i%2*n/2] = i
	}
	if got := order(newMatrix(t, all).Routes().Succession()); !slices.Equal(got, want) {
		t.Errorf("got %v, want the even ones, then the odd ones, each by id: %v", got, want)
	}
}

func TestPresenceWeightsTheScore(t *testing.T) {
	const (
		n = centrality.Normal
		a = centrality.AlwaysOn
		b = centrality.Background
	)
	// Member 0 is in the middle, 10 ms from 1 and 2, which are far apart.
	tests := []struct {
		name     string
		presence [3]centrality.Presence
		far      float64
		first    int
	}{
		{"equal presence: the middle", [3]centrality.Presence{n, n, n}, 11, 0},
		{"always on outweighs a fifth", [3]centrality.Presence{n, a, n}, 14.9, 1},
		{"always on does not outweigh more", [3]centrality.Presence{n, a, n}, 15.1, 0},
		{"background is last when others are near", [3]centrality.Presence{b, n, n}, 19, 1},
		{"background is last when others are far", [3]centrality.Presence{b, n, n}, 100, 1},
		{"background among its like: the middle", [3]centrality.Presence{b, b, b}, 11, 0},
		{"an unknown presence is background", [3]centrality.Presence{99, n, n}, 19, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := members(3)
			for i := range all {
				all[i].Presence = test.presence[i]
			}
			table := [][]float64{{0, 10, 10}, {10, 0, test.far}, {10, test.far, 0}}
			ranks := costs(t, all, table).Routes().Succession()
			if got := number(ranks[0].ID); got != test.first {
				t.Errorf("first: got %d, want %d (%v)", got, test.first, ranks)
			}
		})
	}
}

func TestReachComesBeforePresence(t *testing.T) {
	all := members(3)
	all[0].Presence = centrality.Background
	all[2].Presence = centrality.AlwaysOn
	ranks := costs(t, all, [][]float64{{0, 5, cut}, {5, 0, cut}, {cut, cut, 0}}).Routes().Succession()
	if got, want := order(ranks), []int{1, 0, 2}; !slices.Equal(got, want) {
		t.Errorf("an isolated member that is always on: got %v, want %v", got, want)
	}
}

func TestNewMatrixRefusesWhatItCannotRank(t *testing.T) {
	if _, err := centrality.NewMatrix(members(centrality.MaxMembers)); err != nil {
		t.Errorf("MaxMembers members: got %v, want none", err)
	}
	_, err := centrality.NewMatrix(members(centrality.MaxMembers + 1))
	if !errors.Is(err, centrality.ErrTooManyMembers) {
		t.Errorf("one more: got %v, want ErrTooManyMembers", err)
	}
	_, err = centrality.NewMatrix([]centrality.Member{member(1), member(2), member(1)})
	if !errors.Is(err, centrality.ErrRepeatedMember) {
		t.Errorf("one twice: got %v, want ErrRepeatedMember", err)
	}
}

func TestReportsAboutStrangersChangeNothing(t *testing.T) {
	m := costs(t, members(2), [][]float64{{0, 10}, {10, 0}})
	for _, pair := range [][2]int{{0, 7}, {7, 0}, {7, 8}, {1, 1}} {
		if m.Report(id(pair[0]), id(pair[1]), costing(1)) {
			t.Errorf("report %v: got true, want false", pair)
		}
	}
	if got := m.Routes().DistanceMs(id(0), id(1)); got != 10 {
		t.Errorf("distance: got %v, want 10", got)
	}
}

func TestALaterReportReplacesAndWithdraws(t *testing.T) {
	m := costs(t, members(2), [][]float64{{0, 10}, {40, 0}})
	before := m.Routes()
	m.Report(id(0), id(1), costing(20))
	if got := m.Routes().DistanceMs(id(0), id(1)); got != 20 {
		t.Errorf("replaced: got %v, want 20", got)
	}
	m.Report(id(0), id(1), centrality.Sample{})
	if got := m.Routes().DistanceMs(id(0), id(1)); got != 40 {
		t.Errorf("withdrawn: got %v, want the other direction's 40", got)
	}
	if got := before.DistanceMs(id(0), id(1)); got != 10 {
		t.Errorf("earlier routes: got %v, want the 10 of their time", got)
	}
}
