package centrality

// What it takes to move the host on purpose. With eight members the minimum of
// raw measurements moves thousands of times a day; these rules move about once,
// for less than 1 % of added delay (day_test.go is the trial).
const (
	// WindowMs is the time between two comparisons that count.
	WindowMs = 10_000
	// WindowsToMove is how many comparisons in a row a member must win.
	WindowsToMove = 6
	// MinMoveGapMs is the least time between two voluntary moves.
	MinMoveGapMs = 60_000
	// windowLapseMs ends a row: the comparisons were not one after the other.
	windowLapseMs = 3 * WindowMs

	// A member is better if messages then arrive sooner by a tenth and by
	// 5 ms, on the two hops from an author over the host to a member.
	moveGainShare = 0.10
	moveGainMs    = 5.0
	deliveryHops  = 2
)

// Steering decides when a host hands over to the first in the succession. The
// zero value is ready, for one member's term as host or for all of them.
//
// Use a clock that does not jump. After a jump back, all waits begin anew.
type Steering struct {
	host ID
	// rows counts, for each member that was better than the host in the last
	// comparison, how many comparisons in a row it was. It has at most
	// MaxMembers entries.
	rows       map[ID]int
	lastWindow instant
	lastMove   instant
	hurried    bool
}

// Hurry skips the row of comparisons once: after the start, a join, a return
// or a marked change. The other rules hold, and a hurry that comes too early
// after a move waits for its time.
func (s *Steering) Hurry() { s.hurried = true }

// Moved notes that the host moved on purpose, as decided by another member.
func (s *Steering) Moved(nowMs int64) { s.lastMove.set(nowMs) }

// Advise says whether to hand over now, and to whom. Call it with the newest
// succession at least every WindowMs and after Hurry; more often does no harm.
// The succession must hold only members that may be host. An advice counts
// as a move whether or not the hand-over succeeds.
func (s *Steering) Advise(nowMs int64, host ID, succession []Rank) (to ID, move bool) {
	if host != s.host {
		s.host, s.rows, s.lastWindow = host, nil, instant{}
	}
	if len(succession) == 0 {
		s.rows = nil
		return ID{}, false
	}
	better := betterThan(host, succession)
	s.count(nowMs, better)
	if age, ok := s.lastMove.age(nowMs); ok && age < MinMoveGapMs {
		return ID{}, false
	}
	first := succession[0].ID
	convinced := better[first] && (s.hurried || s.rows[first] >= WindowsToMove)
	s.hurried = false
	if !convinced {
		return ID{}, false
	}
	s.rows = nil
	s.lastMove.set(nowMs)
	return first, true
}

// count makes one more comparison if one is due. Every member that is better
// continues its row, the first or not: otherwise two that take turns at the
// top would hold each other back for ever.
func (s *Steering) count(nowMs int64, better map[ID]bool) {
	age, ok := s.lastWindow.age(nowMs)
	if ok && age < WindowMs {
		return
	}
	if !ok || age >= windowLapseMs {
		s.rows = nil
	}
	s.lastWindow.set(nowMs)
	rows := make(map[ID]int, len(better))
	for id := range better {
		rows[id] = s.rows[id] + 1
	}
	s.rows = rows
}

// betterThan returns the members that beat the host clearly. A host that is
// not in the succession is beaten by everybody in it.
func betterThan(host ID, succession []Rank) map[ID]bool {
	better := make(map[ID]bool)
	hostRank, ranked := find(succession, host)
	for _, rank := range succession {
		if rank.ID != host && (!ranked || rank.beats(hostRank)) {
			better[rank.ID] = true
		}
	}
	return better
}

func find(succession []Rank, id ID) (Rank, bool) {
	for _, rank := range succession {
		if rank.ID == id {
			return rank, true
		}
	}
	return Rank{}, false
}

// beats tells whether r is better than host by the named margins. Reaching
// more members always is.
func (r Rank) beats(host Rank) bool {
	if r.Reachable != host.Reachable || r.Reachable == 0 {
		return r.Reachable > host.Reachable
	}
	gainMs := deliveryHops * (host.ScoreMs - r.ScoreMs) / float64(r.Reachable)
	return gainMs >= moveGainMs && r.ScoreMs <= (1-moveGainShare)*host.ScoreMs
}

// instant is a time that may not have come yet.
type instant struct {
	ms    int64
	isSet bool
}

func (t *instant) set(nowMs int64) { *t = instant{nowMs, true} }

// age returns the time since t, and false if t never was. If the clock jumped
// back before t, t moves to now.
func (t *instant) age(nowMs int64) (int64, bool) {
	if t.isSet && nowMs < t.ms {
		t.ms = nowMs
	}
	return nowMs - t.ms, t.isSet
}
