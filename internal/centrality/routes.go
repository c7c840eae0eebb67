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
// change them. With n members it takes O(n³) steps in the worst case; on
// measured networks it looks only at the few relays that are near.
func (m *Matrix) Routes() *Routes {
	n := len(m.members)
	r := &Routes{m.roster, make([]micros, n*n), make([]int16, n*n)}
	in := newInbound(n)
	for i := range n {
		for j := range n {
			if i == j {
				r.hops[i*n+j] = int16(i)
				continue
			}
			e := m.edge(i, j)
			r.setPath(i*n+j, e.cost, j)
			if !e.relayed {
				in.add(i, j, e.cost)
			}
		}
	}
	legs := make([]leg, 0, n)
	for i := range n {
		legs = in.legsFrom(i, legs[:0])
		r.relayFrom(i, legs, in)
	}
	return r
}

func (r *Routes) setPath(pair int, distance micros, hop int) {
	r.distances[pair] = distance
	r.hops[pair] = int16(hop)
	if distance >= unreachable {
		r.hops[pair] = -1
	}
}

// relayFrom replaces the paths from i on which a relay is worth it. legs are
// the direct edges from i, shortest first, so that the search for a pair ends
// at the first leg that even the cheapest second leg cannot rescue.
func (r *Routes) relayFrom(i int, legs []leg, in inbound) {
	for j := range in.n {
		if j == i {
			continue
		}
		pair := i*in.n + j
		second := in.costs[j*in.n : (j+1)*in.n]
		least := relayPenalty + in.least[j]
		best, relay := relayLimit(r.distances[pair]), -1
		for _, first := range legs {
			if first.cost()+least >= best {
				break
			}
			if path := first.cost() + relayPenalty + second[first.to()]; path < best {
				best, relay = path, first.to()
			}
		}
		if relay >= 0 {
			r.setPath(pair, best, relay)
		}
	}
}

// relayLimit is the length that a relayed path must stay below to replace a
// direct edge of this cost.
func relayLimit(direct micros) micros {
	if direct >= unreachable {
		return unreachable
	}
	return min(direct-direct/relayGainShare, direct-relayGain) + 1
}

// inbound holds the direct edges that can be half of a relayed path, by the
// member at which they end. A member has none to itself.
type inbound struct {
	n     int
	costs []micros // [to*n + from]
	least []micros // [to]: the cheapest of costs
}

func newInbound(n int) inbound {
	in := inbound{n, make([]micros, n*n), make([]micros, n)}
	for pair := range in.costs {
		in.costs[pair] = unreachable
	}
	for to := range in.least {
		in.least[to] = unreachable
	}
	return in
}

func (in inbound) add(from, to int, cost micros) {
	in.costs[to*in.n+from] = cost
	in.least[to] = min(in.least[to], cost)
}

// legsFrom appends the edges from i to legs, shortest first, then by place.
func (in inbound) legsFrom(i int, legs []leg) []leg {
	for to := range in.n {
		if cost := in.costs[to*in.n+i]; cost < unreachable {
			legs = append(legs, newLeg(cost, to))
		}
	}
	slices.Sort(legs)
	return legs
}

// leg is an edge to a possible relay, packed as cost<<16 | place: plain numbers
// sort several times faster than structs, and sorting is half of the work.
type leg int64

func newLeg(cost micros, to int) leg { return leg(cost)<<16 | leg(to) }
func (l leg) cost() micros           { return micros(l >> 16) }
func (l leg) to() int                { return int(l & 0xffff) }

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
