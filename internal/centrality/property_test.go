package centrality_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/demes-chat/demes/internal/centrality"
)

// report is one drawn report. Costs are whole ms, so that the brute force
// below is exact.
type report struct {
	from, to int
	costMs   float64 // or none, or cut
	relayed  bool
}

func (r report) sample() centrality.Sample {
	s := costing(r.costMs)
	switch r.costMs {
	case none:
		s = centrality.Sample{}
	case cut:
		s = centrality.Sample{P50: math.Inf(1), Known: true}
	}
	s.Relayed = r.relayed
	return s
}

// direct is what the report says about the path itself.
func (r report) direct() float64 {
	switch {
	case r.costMs == cut:
		return math.Inf(1)
	case r.relayed:
		return r.costMs + 10
	default:
		return r.costMs
	}
}

type group struct {
	members []centrality.Member
	reports []report // [from*n + to]
}

func drawGroup(t *rapid.T) group {
	n := rapid.IntRange(1, 7).Draw(t, "n")
	g := group{members: members(n)}
	for i := range g.members {
		g.members[i].Since = rapid.Int64Range(0, 2).Draw(t, "since")
		g.members[i].Presence = centrality.Presence(rapid.IntRange(0, 3).Draw(t, "presence"))
	}
	for i := range n {
		for j := range n {
			ms := rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 400), rapid.SampledFrom([]int{none, cut}))
			g.reports = append(g.reports, report{i, j, float64(ms.Draw(t, "cost")), rapid.IntRange(0, 9).Draw(t, "relayed") == 0})
		}
	}
	return g
}

func (g group) matrix(t *rapid.T) *centrality.Matrix {
	m, err := centrality.NewMatrix(g.members)
	if err != nil {
		t.Fatalf("NewMatrix: %v", err)
	}
	for _, r := range g.reports {
		m.Report(id(r.from), id(r.to), r.sample())
	}
	return m
}

// edge is the report that counts for a pair: its own, or the other direction's.
func (g group) edge(i, j int) report {
	n := len(g.members)
	if own := g.reports[i*n+j]; own.costMs != none {
		return own
	}
	if mirror := g.reports[j*n+i]; mirror.costMs != none {
		return mirror
	}
	return report{costMs: cut}
}

// leg is the cost of a direct path that a longer one may use.
func (g group) leg(i, j int) float64 {
	if e := g.edge(i, j); !e.relayed {
		return e.direct()
	}
	return math.Inf(1)
}

// distance says in as few words as possible what the shortest path is.
func (g group) distance(i, j int) float64 {
	if i == j {
		return 0
	}
	direct, over := g.edge(i, j).direct(), math.Inf(1)
	for k := range g.members {
		if k != i && k != j {
			over = min(over, g.leg(i, k)+10+g.leg(k, j))
		}
	}
	if math.IsInf(direct, 1) || (5*over <= 4*direct && over+20 <= direct) {
		return over
	}
	return direct
}

func TestPathsEqualBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroup(t)
		routes := g.matrix(t).Routes()
		for i := range g.members {
			for j := range g.members {
				want, got := g.distance(i, j), routes.DistanceMs(id(i), id(j))
				if got != want {
					t.Fatalf("distance %d → %d: got %v, want %v", i, j, got, want)
				}
				g.checkHop(t, routes, i, j, want)
			}
		}
	})
}

// checkHop follows the next hop and expects a path of the given length.
func (g group) checkHop(t *rapid.T, routes *centrality.Routes, i, j int, want float64) {
	hop, ok := routes.NextHop(id(i), id(j))
	if ok == math.IsInf(want, 1) {
		t.Fatalf("next hop %d → %d: got %v for a path of %v ms", i, j, ok, want)
	}
	if !ok || i == j {
		return
	}
	walked := g.edge(i, j).direct()
	if k := number(hop); k != j {
		walked = g.leg(i, k) + 10 + g.leg(k, j)
	}
	if walked != want {
		t.Fatalf("path %d → %d over %d: walked %v ms, want %v", i, j, number(hop), walked, want)
	}
}

func TestSuccessionIsSortedAndComplete(t *testing.T) {
	weight := map[centrality.Presence]float64{centrality.AlwaysOn: 1, centrality.Normal: 1.25}
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroup(t)
		ranks := g.matrix(t).Routes().Succession()
		seen := map[int]bool{}
		for place, rank := range ranks {
			i := number(rank.ID)
			seen[i] = true
			sum, reachable := 0.0, 0
			for j := range g.members {
				if d := g.distance(i, j); j != i && !math.IsInf(d, 1) {
					sum, reachable = sum+d, reachable+1
				}
			}
			w, ok := weight[g.members[i].Presence]
			if !ok {
				w = 8
			}
			if rank.ScoreMs != w*sum || rank.Reachable != reachable {
				t.Fatalf("member %d: got %+v, want score %v, reachable %d", i, rank, w*sum, reachable)
			}
			if place > 0 && !g.isBefore(ranks[place-1], rank) {
				t.Fatalf("%+v stands before %+v", ranks[place-1], rank)
			}
		}
		if len(seen) != len(g.members) || len(ranks) != len(g.members) {
			t.Fatalf("got %v, want each of %d members once", order(ranks), len(g.members))
		}
	})
}

func (g group) isBefore(a, b centrality.Rank) bool {
	sinceA, sinceB := g.members[number(a.ID)].Since, g.members[number(b.ID)].Since
	switch {
	case a.Reachable != b.Reachable:
		return a.Reachable > b.Reachable
	case a.ScoreMs != b.ScoreMs:
		return a.ScoreMs < b.ScoreMs
	case sinceA != sinceB:
		return sinceA < sinceB
	default:
		return number(a.ID) < number(b.ID)
	}
}

func TestOrderOfMembersAndReportsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroup(t)
		shuffled := group{slices.Clone(g.members), slices.Clone(g.reports)}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		random.Shuffle(len(g.members), func(i, j int) {
			shuffled.members[i], shuffled.members[j] = shuffled.members[j], shuffled.members[i]
		})
		random.Shuffle(len(g.reports), func(i, j int) {
			shuffled.reports[i], shuffled.reports[j] = shuffled.reports[j], shuffled.reports[i]
		})
		a, b := g.matrix(t).Routes(), shuffled.matrix(t).Routes()
		if !slices.Equal(a.Succession(), b.Succession()) {
			t.Fatalf("succession: %v, shuffled %v", a.Succession(), b.Succession())
		}
		if !slices.Equal(a.Relays(), b.Relays()) {
			t.Fatalf("relays: %v, shuffled %v", a.Relays(), b.Relays())
		}
	})
}

func TestNamesDoNotMatterBeyondTies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroup(t)
		n := len(g.members)
		for i := range g.members {
			g.members[i].Since = int64(i) // no tie is left to the ids
		}
		name := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Perm(n)
		renamed := group{members: slices.Clone(g.members)}
		for i := range renamed.members {
			renamed.members[i].ID = id(name[i])
		}
		for _, r := range g.reports {
			r.from, r.to = name[r.from], name[r.to]
			renamed.reports = append(renamed.reports, r)
		}
		want := g.matrix(t).Routes().Succession()
		for i := range want {
			want[i].ID = id(name[number(want[i].ID)])
		}
		if got := renamed.matrix(t).Routes().Succession(); !slices.Equal(got, want) {
			t.Fatalf("renamed by %v: got %v, want %v", name, got, want)
		}
	})
}

// The rule of 20 % and 20 ms makes a path jump down when its own direct edge
// gets slow enough. All other edges act one way. (The way back has the same
// edge if nothing was reported about it.)
func TestFasterEdgeNeverLengthensAnotherPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroup(t)
		before := g.matrix(t).Routes()
		n := len(g.members)
		pair := rapid.IntRange(0, n*n-1).Draw(t, "pair")
		changed := &g.reports[pair]
		if changed.costMs == none || changed.relayed {
			t.Skip("no direct report to improve")
		}
		wayBack := g.reports[changed.to*n+changed.from]
		changed.costMs = float64(rapid.IntRange(1, 400).Draw(t, "faster"))
		if old := before.DistanceMs(id(changed.from), id(changed.to)); changed.costMs > old {
			t.Skip("slower")
		}
		after := g.matrix(t).Routes()
		for i := range n {
			for j := range n {
				was, is := before.DistanceMs(id(i), id(j)), after.DistanceMs(id(i), id(j))
				sameEdge := wayBack.costMs == none && i == changed.to && j == changed.from
				if is > was && !sameEdge {
					t.Fatalf("%d → %d at %v ms made %d → %d go from %v to %v",
						changed.from, changed.to, changed.costMs, i, j, was, is)
				}
			}
		}
	})
}

func TestNonsenseNeverBreaksTheRanking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "n")
		m, err := centrality.NewMatrix(members(n))
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for j := range n {
				m.Report(id(i), id(j), drawSample(t))
			}
		}
		for _, rank := range m.Routes().Succession() {
			if !(rank.ScoreMs >= 0 && rank.ScoreMs < 1e9) || rank.Reachable < 0 || rank.Reachable >= n {
				t.Fatalf("got %+v, want a finite score and 0 … %d reachable", rank, n-1)
			}
		}
	})
}
