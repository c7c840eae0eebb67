// Package centrality turns measured delays into the succession: the members
// of a chat ranked by how well each is placed to be its host.
//
// Its one idea is closeness centrality. A host is good when the sum of its
// distances to all others is small; the reciprocal of that sum is the
// closeness of Bavelas (Communication Patterns in Task-Oriented Groups, JASA
// 22(6), 1950) and Freeman (Centrality in Social Networks: Conceptual
// Clarification, Social Networks 1(3), 1978).
//
// Data walks one way:
//
//	probes ─▶ Window ─▶ Sample ─▶ Matrix ─▶ Routes ─▶ []Rank ─▶ Steering
//	             └────▶ Watch: is a new plan due at once?
//
// Each member keeps a Window for every link and reports its Samples to the
// host. The host fills a Matrix with the reports, takes the Routes (the paths
// that messages really travel, with one relay at most) and their Succession,
// and asks its Steering whether to hand over.
//
// Distances are whole microseconds inside, so that sums are exact: every order
// of members and reports, on every machine, gives the same ranking.
//
// The package does not measure, send, vote or read a clock: time comes in as
// milliseconds of a clock that the caller chooses. It does not find out who
// lies about delays either. Lies are bounded (see Sample), and a member that
// makes itself host by lying gains no more than the power to delay.
package centrality

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// MaxMembers bounds a Matrix: chats are simulated with up to 1,000 members,
// and at this size a Matrix and the making of its Routes hold 24 MB.
const MaxMembers = 1024

// ErrTooManyMembers is returned for more than MaxMembers members.
var ErrTooManyMembers = errors.New("more members than can be ranked")

// ErrRepeatedMember is returned when two members have the same id.
var ErrRepeatedMember = errors.New("repeated member")

// ID names a member. Nothing is read from it except equality and, as the last
// way to break a tie, its byte order.
type ID = [32]byte

// Member is one candidate for host.
type Member struct {
	ID       ID
	Since    int64 // log time in ms since which it is a member; the smaller wins a tie
	Presence Presence
}

// Presence says how much a member can be counted on to stay. It weights the
// member's score as host, never its worth as somebody who is served.
type Presence uint8

const (
	// Normal is a device that comes and goes with its user, such as a laptop.
	Normal Presence = iota
	// AlwaysOn is a device on mains power that others reach without a relay.
	AlwaysOn
	// Background is a metered connection or an app that its system may suspend.
	Background
)

// The weights are in quarters, so that weighted sums stay whole. Being always
// on makes up for paths that are longer by a quarter. A device in the
// background hosts only if everybody else is eight times (6.4 times, for
// Normal) as far away: a suspended host looks to the others like a crash.
const (
	weightAlwaysOn   = 4
	weightNormal     = 5
	weightBackground = 32
	weightUnit       = 4
)

// weight counts a value that this version does not know as Background.
func (p Presence) weight() int64 {
	switch p {
	case AlwaysOn:
		return weightAlwaysOn
	case Normal:
		return weightNormal
	default:
		return weightBackground
	}
}

// Matrix holds, for each ordered pair of members (from, to), what from
// reported about to.
type Matrix struct {
	roster
	reported []edge // [from*n + to]
}

// roster gives each member a place.
//
// Invariant: members are in the order of their ids and never change, so that
// a place means the same however the caller ordered them.
type roster struct {
	members []Member
	places  map[ID]int
}

// NewMatrix returns a matrix without any report. It fails for more than
// MaxMembers members and for two with the same id.
func NewMatrix(members []Member) (*Matrix, error) {
	n := len(members)
	if n > MaxMembers {
		return nil, fmt.Errorf("new matrix of %d: %w", n, ErrTooManyMembers)
	}
	ordered := slices.Clone(members)
	slices.SortFunc(ordered, func(a, b Member) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	places := make(map[ID]int, n)
	for place, member := range ordered {
		places[member.ID] = place
	}
	if len(places) != n {
		return nil, fmt.Errorf("new matrix of %d: %w", n, ErrRepeatedMember)
	}
	return &Matrix{roster{ordered, places}, make([]edge, n*n)}, nil
}

// Report records what from measured on its path to to, in place of its earlier
// report. A Sample that is not Known, or malformed, withdraws that. Report
// returns false, and changes nothing, if the two are not two members.
func (m *Matrix) Report(from, to ID, sample Sample) bool {
	i, fromIsMember := m.places[from]
	j, toIsMember := m.places[to]
	if !fromIsMember || !toIsMember || i == j {
		return false
	}
	m.reported[i*len(m.members)+j] = sample.edge()
	return true
}

// edge returns the direct edge from i to j. Where from i there is no report,
// that of j about i stands in: a probe travels both directions, so one round
// trip says the same about either. A pair without any report is unreachable.
// If i reports that it cannot reach j, that holds whatever j says.
func (m *Matrix) edge(i, j int) edge {
	n := len(m.members)
	if own := m.reported[i*n+j]; own.known {
		return own
	}
	if mirror := m.reported[j*n+i]; mirror.known {
		return mirror
	}
	return edge{cost: unreachable}
}

// Rank is a member's place in the succession.
type Rank struct {
	ID ID
	// ScoreMs is the sum of the distances to the Reachable members, weighted
	// by presence. It is finite; what makes a score infinite, the members out
	// of reach, shows in Reachable and ranks before it.
	ScoreMs   float64
	Reachable int // other members that it can reach, directly or by one relay
}

// Succession ranks all members, best first: by fewest members out of reach,
// then by the smaller score, then by the longer presence in the chat, then by
// the smaller id.
func (r *Routes) Succession() []Rank {
	scores := make([]score, len(r.members))
	for i := range scores {
		scores[i] = r.score(i)
	}
	slices.SortFunc(scores, score.compare)
	ranks := make([]Rank, len(scores))
	for place, s := range scores {
		ranks[place] = Rank{s.member.ID, float64(s.sum) / (weightUnit * microsPerMs), s.reachable}
	}
	return ranks
}

type score struct {
	member    Member
	reachable int
	sum       int64 // microseconds × weightUnit
}

func (r *Routes) score(i int) score {
	n := len(r.members)
	s := score{member: r.members[i]}
	for j, distance := range r.distances[i*n : (i+1)*n] {
		if j != i && distance < unreachable {
			s.reachable++
			s.sum += int64(distance)
		}
	}
	s.sum *= s.member.Presence.weight()
	return s
}

func (s score) compare(other score) int {
	return cmp.Or(
		cmp.Compare(other.reachable, s.reachable),
		cmp.Compare(s.sum, other.sum),
		cmp.Compare(s.member.Since, other.member.Since),
		bytes.Compare(s.member.ID[:], other.member.ID[:]),
	)
}
