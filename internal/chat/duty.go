package chat

import (
	"math"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/centrality"
	"github.com/demes-chat/demes/internal/wire"
)

// Waits of the host's duties, in milliseconds.
const (
	DutyPace   = 1_000       // between two looks at the council while anything is due
	PlanPace   = 1_000       // between two plans
	MatrixPace = 5_000       // between two matrices told to everybody
	MarksPace  = 200         // between two marks of a member
	SwapGap    = 60_000      // between two votes given for a place in the succession
	MoveGap    = 10_000      // between two moves of the host that members ask for
	GrowMost   = 120_000     // a flapping elector shows itself stable for at most this long
	MaxWallMs  = 1 << 50     // a member's clock is not believed beyond: 35,000 years
	UnseenMost = 604_800_000 // an elector unseen for 7 days is left out of the next generation
)

// duties is the host's look at its council: plan, size, generation and who
// should host. It says when it wants to look again.
func (c *Chat) duties() {
	c.host.dutyAt = 0
	if !c.seat.isHost() || c.gens.frozen() || c.host.term == 0 {
		return
	}
	c.plan()
	c.stageRemovals()
	if !c.fold.Live {
		c.gens.goLive(c)
		return
	}
	if !c.resize() {
		c.steer()
	}
	c.gens.keepElectors(c)
}

// wake makes the host look at its council after wait ms at the latest.
func (c *Chat) wake(wait int64) {
	if at := c.now.Mono + wait; c.host.dutyAt == 0 || at < c.host.dutyAt {
		c.host.dutyAt = at
	}
}

// plan computes the succession and puts it into the log when it says something
// new (docs/protocol.md#election).
func (c *Chat) plan() {
	if !c.host.dirty {
		return
	}
	if c.now.Mono-c.host.planAt < PlanPace && c.host.planAt != 0 {
		c.wake(PlanPace - (c.now.Mono - c.host.planAt))
		return
	}
	c.host.dirty, c.host.planAt = false, c.now.Mono
	ranks := c.rank()
	if !worthSaying(c.fold.Plan, ranks) {
		return
	}
	if !c.proposeRecord(&wire.RecordBody{Kind: &wire.RecordBody_Plan{Plan: &wire.PlanRecord{Ranks: PutRanks(ranks)}}}) {
		c.host.dirty = true
		c.wake(PlanPace)
	}
}

// rank is the succession by what was measured.
func (c *Chat) rank() []Rank {
	matrix := c.matrix()
	if matrix == nil {
		return nil
	}
	measured := map[demes.DeviceID]bool{}
	for pair, r := range c.host.reports {
		if !r.GetUnreachable() {
			measured[pair[0]], measured[pair[1]] = true, true
		}
	}
	var out []Rank
	for _, r := range matrix.Routes().Succession() {
		d, score := demes.DeviceID(r.ID), int64(-1)
		if measured[d] || len(c.fold.Members) == 1 {
			score = int64(math.Round(r.ScoreMs * 1000))
		}
		out = append(out, Rank{Device: d, ScoreUs: score})
	}
	return out
}

// matrix holds the newest reports among the members that have not left. Who is
// away is unreachable to all.
func (c *Chat) matrix() *centrality.Matrix {
	var members []centrality.Member
	for _, d := range sortedDevices(c.fold.Members) {
		if m := c.fold.Members[d]; !m.Leaving {
			members = append(members, centrality.Member{ID: d, Since: int64(m.SinceIndex)})
		}
	}
	matrix, err := centrality.NewMatrix(members)
	if err != nil {
		return nil
	}
	for pair, r := range c.host.reports {
		matrix.Report(pair[0], pair[1], sample(r, c.present(pair[0]) && c.present(pair[1])))
	}
	return matrix
}

func sample(r *wire.Report, present bool) centrality.Sample {
	s := centrality.Sample{
		P50: float64(r.GetP50Us()) / 1000, P95: float64(r.GetP95Us()) / 1000, Loss: float64(r.GetLossPpm()) / 1e6,
		Relayed: r.GetRelayed(), Known: true,
	}
	if r.GetUnreachable() || !present {
		s.P50 = math.Inf(1)
	}
	return s
}

func (c *Chat) present(d demes.DeviceID) bool { return d == c.self || c.isConnected(d) }

// worthSaying reports whether a plan differs from the settled one in who comes
// where, or in a score by more than a quarter.
func worthSaying(old, ranks []Rank) bool {
	if len(old) != len(ranks) {
		return true
	}
	for i := range ranks {
		if old[i].Device != ranks[i].Device || (old[i].ScoreUs < 0) != (ranks[i].ScoreUs < 0) {
			return true
		}
		if diff := old[i].ScoreUs - ranks[i].ScoreUs; max(diff, -diff) > 1000+old[i].ScoreUs/4 {
			return true
		}
	}
	return false
}

// resize keeps the council at the largest odd size that is stable, and reports
// whether it is being changed (docs/protocol.md#council-size).
func (c *Chat) resize() (changing bool) {
	g := c.seat.group
	if _, moving := g.HandingOver(); g.Changing() || moving {
		c.wake(DutyPace)
		return true
	}
	want := c.wantedVoters()
	have := g.Voters()
	slices.SortFunc(have, demes.DeviceID.Compare)
	sorted := slices.Clone(want)
	slices.SortFunc(sorted, demes.DeviceID.Compare)
	if len(want) == 0 || slices.Equal(have, sorted) {
		return false
	}
	c.wake(DutyPace)
	if g.Reconfigure(c.now, want) == nil {
		c.host.told = false
		return true
	}
	return false
}

// wantedVoters are the voters that the council should have now: present ones
// stay, then the best ranked, this device always among them.
func (c *Chat) wantedVoters() []demes.DeviceID {
	voters := c.seat.group.Voters()
	var stay, come []demes.DeviceID
	for _, d := range c.succession() {
		switch {
		case !slices.Contains(c.fold.Electors, d):
		case d == c.self || slices.Contains(voters, d) && c.stillThere(d):
			stay = append(stay, d)
		case !slices.Contains(voters, d) && c.stable(d):
			if !c.seat.group.CaughtUp(d) {
				c.wake(DutyPace) // nothing else tells when it is
				continue
			}
			come = append(come, d)
		}
	}
	all := append(stay, come...)
	size := councilSize(len(all))
	if size >= len(all) {
		return all
	}
	kept := all[:size]
	if !slices.Contains(kept, c.self) && size > 0 {
		kept = append(slices.Clone(all[:size-1]), c.self)
	}
	return c.lead(kept, come)
}

// lead gives a vote to the first two of the succession, so that who is named
// next is who would take over: one is swapped in at a time, once in SwapGap.
func (c *Chat) lead(kept, come []demes.DeviceID) []demes.DeviceID {
	first := c.succession()[:min(2, len(c.fold.Members))]
	for _, d := range first {
		if slices.Contains(kept, d) || !slices.Contains(come, d) || len(kept) < 3 {
			continue
		}
		if left := c.host.swapAt + SwapGap - c.now.Mono; c.host.swapAt != 0 && left > 0 {
			c.wake(left)
			return kept
		}
		order := c.succession()
		for i := len(order) - 1; i >= 0; i-- {
			at := slices.Index(kept, order[i])
			if at < 0 || order[i] == c.self || slices.Contains(first, order[i]) {
				continue
			}
			c.host.swapAt = c.now.Mono
			out := slices.Clone(kept)
			out[at] = d
			return out
		}
	}
	return kept
}

// councilSize is the largest odd number that is at most five and at most n.
func councilSize(n int) int {
	switch {
	case n >= 5:
		return 5
	case n >= 3:
		return 3
	}
	return min(n, 1)
}

// stillThere reports whether a voter is present, or silent for less than Shrink.
func (c *Chat) stillThere(d demes.DeviceID) bool {
	p := c.peer(d)
	if p.connected {
		return true
	}
	left := p.lostAt + c.cfg.Timing.Shrink - c.now.Mono
	if p.goodbye || p.lostAt == 0 && c.now.Mono-c.gens.enteredAt > c.cfg.Timing.Shrink || p.lostAt != 0 && left <= 0 {
		return false
	}
	c.wake(max(left, DutyPace))
	return true
}

// stable reports whether a device has been present for long enough to be
// trusted with a vote: Grow, doubled for each time it was lost lately.
func (c *Chat) stable(d demes.DeviceID) bool {
	p := c.peer(d)
	if !p.connected {
		return false
	}
	need := min(c.cfg.Timing.Grow<<min(p.flaps, 10), GrowMost)
	if wait := p.since + need - c.now.Mono; wait > 0 {
		c.wake(wait)
		return false
	}
	p.flaps = 0
	return true
}

// steer moves the host to the member that stands best, with hysteresis.
func (c *Chat) steer() {
	var ranks []centrality.Rank
	if c.host.urgent {
		c.host.urgent = false
		c.host.steering.Hurry()
	}
	matrix := c.matrix()
	if matrix == nil {
		return
	}
	for _, r := range matrix.Routes().Succession() {
		d := demes.DeviceID(r.ID)
		if slices.Contains(c.fold.Electors, d) && c.present(d) && c.seat.group.CaughtUp(d) {
			ranks = append(ranks, r)
		}
	}
	if len(ranks) < 2 {
		return
	}
	to, move := c.host.steering.Advise(c.now.Mono, c.self, ranks)
	if move && demes.DeviceID(to) != c.self {
		_ = c.seat.group.Handover(c.now, demes.DeviceID(to)) // refused or lost hand-overs are normal
	}
	if ranks[0].ID != c.self {
		c.wake(centrality.WindowMs)
	}
}

// Latency takes what this device measured to another: the host ranks by it.
func (c *Chat) Latency(now demes.Now, to demes.DeviceID, p50Us, p95Us int64, lossPpm uint32, relayed bool) {
	c.now = now
	if c.fold.Members[to] == nil || c.gone() {
		return
	}
	r := &wire.Report{From: c.self[:], To: to[:], P50Us: p50Us, P95Us: p95Us, LossPpm: lossPpm, Relayed: relayed}
	c.peer(to).ping = r
	c.tellLatency([]*wire.Report{r})
	c.notice(Notice{Kind: NoticeLatency})
}

// tellLatency hands own measurements to the host.
func (c *Chat) tellLatency(reports []*wire.Report) {
	host, known := c.hostNow()
	if !known || len(reports) == 0 {
		return
	}
	if host == c.self {
		c.stepLatency(c.self, &wire.Latency{Reports: reports})
		return
	}
	c.send(host, &wire.Frame{Kind: &wire.Frame_Latency{Latency: &wire.Latency{Reports: reports}}})
}

// ownReports are all measurements of this device.
func (c *Chat) ownReports() (out []*wire.Report) {
	for _, d := range c.connected() {
		if r := c.peers[d].ping; r != nil {
			out = append(out, r)
		}
	}
	return out
}

// marked reports whether a round trip doubled or halved and moved by 20 ms: the
// next plan may move the host at once.
func marked(before, now int64) bool {
	low, high := max(min(before, now), 0), max(before, now)
	return high-low >= 20_000 && high/2 >= low
}

// stepLatency takes what a member measured. Nobody reports for another.
func (c *Chat) stepLatency(from demes.DeviceID, m *wire.Latency) {
	for _, r := range m.GetReports() {
		to := wire.Device(r.GetTo())
		if wire.Device(r.GetFrom()) != from || c.fold.Members[to] == nil || to == from {
			continue
		}
		pair := [2]demes.DeviceID{from, to}
		old := c.host.reports[pair]
		if old == nil && len(c.host.reports) >= MaxReports {
			continue
		}
		c.host.urgent = c.host.urgent || old == nil || marked(old.GetP50Us(), r.GetP50Us())
		c.host.reports[pair] = r
		c.host.dirty, c.host.told = true, false
	}
	c.wake(50)
	c.notice(Notice{Kind: NoticeLatency})
}

// stepMarks takes how far a member has come.
func (c *Chat) stepMarks(from demes.DeviceID, m *wire.Marks) {
	p := c.peer(from)
	p.held, p.read, p.head = m.GetHeld(), m.GetRead(), wire.GetHead(m.GetHead())
	p.clock = c.now.Wall - c.now.Mono // what is out of range counts as ours
	if ms := m.GetWallMs(); ms > 0 && ms <= MaxWallMs {
		p.clock = ms - c.now.Mono
	}
	c.host.told = false
	if !c.fold.Live || c.gens.startedAt != 0 {
		c.wake(20)
	}
	c.notice(Notice{Kind: NoticeMembers})
}

// tellMarks says how far this device has come: to the host, which tells all.
func (c *Chat) tellMarks() {
	host, known := c.hostNow()
	if !known || host == c.self || c.own.marks == c.fold.Head && c.own.marksAt != 0 {
		return
	}
	if c.own.marksAt != 0 && c.now.Mono-c.own.marksAt < MarksPace {
		return
	}
	c.own.marks, c.own.marksAt = c.fold.Head, c.now.Mono
	c.send(host, &wire.Frame{Kind: &wire.Frame_Marks{Marks: &wire.Marks{
		Held: c.fold.Position, Read: c.own.read, Head: wire.PutHead(c.fold.Head), WallMs: c.now.Wall,
	}}})
}

// tellStatus is the host's word to all on who is there and how far they are.
func (c *Chat) tellStatus() {
	if !c.seat.isHost() || c.host.told || c.now.Mono-c.host.statusAt < c.cfg.Timing.Status {
		return
	}
	c.host.told, c.host.statusAt = true, c.now.Mono
	status := &wire.Status{Term: c.hostTerm(), Online: [][]byte{c.self[:]}}
	status.Held = append(status.Held, &wire.Held{Device: c.self[:], Held: c.fold.Position, Read: c.own.read})
	for _, d := range sortedDevices(c.peers) {
		if d == c.self || c.fold.Members[d] == nil {
			continue
		}
		p := c.peers[d]
		if p.connected {
			status.Online = append(status.Online, d[:])
		}
		status.Held = append(status.Held, &wire.Held{Device: d[:], Held: p.held, Read: p.read})
	}
	for _, d := range c.seat.group.Voters() {
		status.Council = append(status.Council, d[:])
	}
	if c.now.Mono-c.host.matrixAt >= MatrixPace || c.host.matrixAt == 0 || !c.fold.Live {
		c.host.matrixAt = c.now.Mono
		status.Reports = c.shownMatrix()
	}
	for _, d := range c.connected() {
		c.send(d, &wire.Frame{Kind: &wire.Frame_Status{Status: status}})
	}
}

// shownMatrix is the part of the matrix that everybody is told: all of it in
// small chats, the host's own row and column in large ones.
func (c *Chat) shownMatrix() (out []*wire.Report) {
	for _, from := range sortedDevices(c.fold.Members) {
		for _, to := range sortedDevices(c.fold.Members) {
			r := c.host.reports[[2]demes.DeviceID{from, to}]
			if r != nil && (len(c.fold.Members) <= MatrixShown || from == c.self || to == c.self) {
				out = append(out, r)
			}
		}
	}
	return out
}

// stepStatus takes the host's word.
func (c *Chat) stepStatus(from demes.DeviceID, m *wire.Status) {
	if host, known := c.hostNow(); !known || host != from || len(m.GetReports()) > MaxReports {
		return
	}
	c.door.online = map[demes.DeviceID]bool{}
	for _, raw := range m.GetOnline() {
		if d := wire.Device(raw); c.fold.Members[d] != nil {
			c.door.online[d] = true
		}
	}
	for _, h := range m.GetHeld() {
		if d := wire.Device(h.GetDevice()); c.fold.Members[d] != nil && d != c.self {
			p := c.peer(d)
			p.held, p.read = h.GetHeld(), h.GetRead()
		}
	}
	c.door.council = nil
	for _, d := range c.fold.Electors {
		if slices.ContainsFunc(m.GetCouncil()[:min(len(m.GetCouncil()), MaxElectors)], func(raw []byte) bool { return wire.Device(raw) == d }) {
			c.door.council = append(c.door.council, d)
		}
	}
	for _, r := range m.GetReports() {
		pair := [2]demes.DeviceID{wire.Device(r.GetFrom()), wire.Device(r.GetTo())}
		known := c.host.reports[pair] != nil || len(c.host.reports) < MaxReports
		if known && c.fold.Members[pair[0]] != nil && c.fold.Members[pair[1]] != nil {
			c.host.reports[pair] = r
		}
	}
	c.notice(Notice{Kind: NoticeMembers})
}
