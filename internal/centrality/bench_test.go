package centrality_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/demes-chat/demes/internal/centrality"
)

// world draws one-way costs between n places on a map that is so many ms wide,
// each with an access delay; one path in ten takes a detour, one in twenty is
// blocked.
func world(n int, widthMs float64, random *rand.Rand) [][]float64 {
	type place struct{ x, y, access float64 }
	places := make([]place, n)
	for i := range places {
		places[i] = place{widthMs * random.Float64(), widthMs / 2 * random.Float64(), 1 + 14*random.Float64()}
	}
	table := make([][]float64, n)
	for i := range table {
		table[i] = make([]float64, n)
	}
	for i := range n {
		for j := range i {
			a, b := places[i], places[j]
			ms := math.Hypot(a.x-b.x, a.y-b.y) + a.access + b.access
			switch draw := random.Float64(); {
			case draw < 0.05:
				ms = cut
			case draw < 0.15:
				ms *= 1 + 2*random.Float64()
			}
			table[i][j], table[j][i] = ms, ms
		}
	}
	return table
}

func BenchmarkSuccession(b *testing.B) {
	maps := []struct {
		name    string
		widthMs float64
	}{{"country", 15}, {"continent", 40}, {"planet", 150}}
	for _, place := range maps {
		for _, n := range []int{9, 50, 250, 1000} {
			m := costs(b, members(n), world(n, place.widthMs, rand.New(rand.NewPCG(1, uint64(n)))))
			b.Run(fmt.Sprintf("%s/%d", place.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					m.Routes().Succession()
				}
			})
		}
	}
}

func BenchmarkMatrixOfAllReports(b *testing.B) {
	for _, n := range []int{9, 50, 250} {
		all := members(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				m := newMatrix(b, all)
				for i := range n {
					for j := range n {
						m.Report(all[i].ID, all[j].ID, centrality.Sample{P50: 40, P95: 60, Known: true})
					}
				}
			}
		})
	}
}

func BenchmarkWindow(b *testing.B) {
	var w centrality.Window
	random := rand.New(rand.NewPCG(1, 1))
	for range centrality.WindowProbes + 1 {
		w.Answer(40 * random.Float64())
	}
	b.ReportAllocs()
	for b.Loop() {
		w.Answer(40)
		w.Sample(false)
	}
}
