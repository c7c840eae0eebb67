package centrality

import "slices"

const (
	// RelayPenaltyMs is what passing a message on costs the relay.
	RelayPenaltyMs = 10.0
	relayPenalty   = micros(RelayPenaltyMs * microsPerMs)

	// A relay takes the place of a direct edge only if the path becomes
	// shorter by a fifth and by 20 ms: less is not worth another member's
	// bandwidth and one more device that can fail.
	relayGainShare = 5 // one part in
	relayGain      = micros(20 * microsPerMs)
)

// Routes are the paths that messages take. There is one for each ordered pair
// of members: the direct edge, or two direct edges with a relay between.
//
// They are found by the relaxation of Floyd and Warshall (Floyd, Algorithm 97:
// Shortest Path, CACM 5(6), 1962),
//
//	d(i,j) ← min(d(i,j), d(i,k) + penalty + d(k,j)),
//
// with d on the right always the direct edge. Thus no path has two relays, and
// a path through a relay of the transport is never part of a longer one.
type Routes struct {
	roster
	distances []micros // [from*n + to]
	hops      []int16  // [from*n + to]: place of the next hop, -1 if there is none
}

// Relay is one pair whose messages pass through a third member.
type Relay struct {
	From, Via, To ID
}

// Routes computes the paths from the reports so far. Later reports do not
// change them. It takes O(n³) steps, each an addition and a comparison.
func (m *Matrix) Routes() *Routes {
	n := len(m.members)
	r := &Routes{m.roster, make([]micros, n*n), make([]int16, n*n)}
	first, second := newLegs(n), newLegs(n)
	for i := range n {
		r.hops[i*n+i] = int16(i)
		for j := range n {
			if i == j {
				continue
			}
			e := m.edge(i, j)
			r.setPath(i*n+j, e.cost, j)
			if !e.relayed && e.cost < unreachable {
				first.set(i, j, e.cost+relayPenalty)
				second.set(j, i, e.cost)
			}
		}
	}
	r.relay(first, second)
	return r
}

func (r *Routes) setPath(pair int, distance micros, hop int) {
	r.distances[pair] = distance
	r.hops[pair] = int16(hop)
	if distance >= unreachable {
		r.hops[pair] = -1
	}
}

// relay replaces the paths on which a relay is worth it.
func (r *Routes) relay(first, second legs) {
	n := len(r.members)
	for i := range n {
		for j := range n {
			pair := i*n + j
			limit := relayLimit(r.distances[pair])
			if i == j || first.least[i]+second.least[j] >= limit {
				continue // not worth it even if the nearest of both were the same
			}
			if path, relay := shortest(first.of(i), second.of(j), limit); relay >= 0 {
				r.setPath(pair, path, relay)
			}
		}
	}
}

// shortest returns the relay with the shortest path below limit, the one with
// the smallest id among equals, or -1 if there is none.
func shortest(first, second []micros, limit micros) (path micros, relay int) {
	path, relay = limit, -1
	for k := shorter(first, second, path, 0); k >= 0; k = shorter(first, second, path, k+1) {
		path, relay = first[k]+second[k], k
	}
	return path, relay
}

// shorter returns the first relay, not before the place from, whose path is
// below limit, or -1. Few are, so a loop that leaves at them is faster than one
// that carries the best along; nearly all the time of Routes is spent here.
func shorter(first, second []micros, limit micros, from int) int {
	second = second[:len(first)]
	for k := max(from, 0); k < len(first); k++ {
		if first[k]+second[k] < limit {
			return k
		}
	}
	return -1
}

// relayLimit is the length that a relayed path must stay below to replace a
// direct edge of this cost.
func relayLimit(direct micros) micros {
	if direct >= unreachable {
		return unreachable
	}
	return min(direct*(relayGainShare-1)/relayGainShare, direct-relayGain) + 1
}

// legs are the direct edges that can be half of a relayed path. For each member
// they are in one row, by the place of the relay at their other end; nobody has
// one to itself.
type legs struct {
	n     int
	costs []micros // [member*n + relay]
	least []micros // [member]: the cheapest of its row
}

func newLegs(n int) legs {
	return legs{n, slices.Repeat([]micros{unreachable}, n*n), slices.Repeat([]micros{unreachable}, n)}
}

func (l legs) set(member, relay int, cost micros) {
	l.costs[member*l.n+relay] = cost
	l.least[member] = min(l.least[member], cost)
}

func (l legs) of(member int) []micros { return l.costs[member*l.n : (member+1)*l.n] }

// DistanceMs returns the length of the path: 0 from a member to itself, +Inf
// if there is no path or one of the two is not a member.
func (r *Routes) DistanceMs(from, to ID) float64 {
	pair, ok := r.pair(from, to)
	if !ok {
		return unreachable.ms()
	}
	return r.distances[pair].ms()
}

// NextHop returns whom from sends to, to reach to: to itself, or the relay. It
// returns false if there is no path or one of the two is not a member.
func (r *Routes) NextHop(from, to ID) (ID, bool) {
	pair, ok := r.pair(from, to)
	if !ok || r.hops[pair] < 0 {
		return ID{}, false
	}
	return r.members[r.hops[pair]].ID, true
}

func (r *Routes) pair(from, to ID) (int, bool) {
	i, fromIsMember := r.places[from]
	j, toIsMember := r.places[to]
	return i*len(r.members) + j, fromIsMember && toIsMember
}

// Relays lists the pairs that do not talk directly, by From, then To. With it
// a plan states all its paths: what is not listed is direct.
func (r *Routes) Relays() []Relay {
	n := len(r.members)
	var relays []Relay
	for pair, hop := range r.hops {
		i, j := pair/n, pair%n
		if hop >= 0 && int(hop) != j {
			relays = append(relays, Relay{r.members[i].ID, r.members[hop].ID, r.members[j].ID})
		}
	}
	return relays
}
