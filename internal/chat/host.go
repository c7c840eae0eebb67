package chat

import (
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/centrality"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits of the host's work.
const (
	ProposeBatch = 256      // entries proposed at once
	ProposeBytes = 1 << 20  // bytes proposed at once
	MaxAheadMs   = 600_000  // log time above or below the median of the connected members' clocks
	MaxReports   = 64 * 256 // pairs in the latency matrix
	MatrixShown  = 16       // members up to which everybody is told the whole matrix
)

// hosting is what this device does as host, and what it spreads as a relay.
type hosting struct {
	term     uint64                    // in which its host record was proposed; 0: it is not host
	queue    []*demes.Event            // held and not proposed, in the order of holding
	ends     map[demes.DeviceID]uint64 // per author, proposed up to
	requeue  bool
	fresh    []SettledEntry // consumed this turn
	spread   []spread       // held for the first time this turn
	dirty    bool           // the plan may have to change
	urgent   bool           // at once: a start, a join, a return, a marked change
	dutyAt   int64          // Mono ms when the host looks at its council again; 0: never
	planAt   int64          // Mono ms of the last plan
	reports  map[[2]demes.DeviceID]*wire.Report
	steering centrality.Steering
	statusAt int64
	told     bool // nothing new since the last status
	matrixAt int64
	swapAt   int64 // Mono ms when a vote was last given for a place in the succession
	movedAt  int64 // Mono ms when a member's wish last moved the host
	judged   map[demes.Hash]*judgement
}

// spread is an event and from whom it came.
type spread struct {
	event *demes.Event
	from  demes.DeviceID
}

func (h *hosting) reset() {
	h.ends, h.reports = map[demes.DeviceID]uint64{}, map[[2]demes.DeviceID]*wire.Report{}
	h.judged = map[demes.Hash]*judgement{}
}

// offer puts what is held into the council's log: the host's work.
func (c *Chat) offer() {
	if !c.seat.isHost() || c.gens.frozen() || c.trouble != nil {
		c.host.term, c.host.queue = 0, nil
		return
	}
	if c.host.term != c.seat.group.Term() && !c.open() {
		return
	}
	if c.host.requeue {
		c.requeue()
	}
	for len(c.host.queue) > 0 && c.propose() {
	}
}

// open begins this device's term: its host record comes first.
func (c *Chat) open() bool {
	term := c.seat.group.Term()
	if !c.proposeRecord(&wire.RecordBody{Kind: &wire.RecordBody_Host{Host: &wire.HostRecord{}}}) {
		return false
	}
	c.host.term, c.host.dirty, c.host.told, c.host.urgent = term, true, false, true
	c.host.dutyAt = c.now.Mono
	if p := c.peers[c.fold.Host]; p != nil && p.connected && !p.goodbye {
		c.host.steering.Moved(c.now.Mono) // it was handed over: not back at once
	}
	c.final.again()
	c.requeue()
	return true
}

// proposeRecord signs a record for the current term and puts it into the log.
func (c *Chat) proposeRecord(body *wire.RecordBody) bool {
	body.Chat, body.Generation, body.Term = c.id[:], c.fold.Head.Generation, c.seat.group.Term()
	record := wire.SealRecord(c.cfg.Key, body)
	data := wire.Marshal(&wire.Entry{
		Generation: body.Generation, Term: body.Term, LogMs: c.stamp(), What: &wire.Entry_Record{Record: record},
	})
	return c.seat.group.Propose(data) == nil
}

// requeue makes the queue anew: the tail in provisional order, less what is in
// the log already.
func (c *Chat) requeue() {
	c.host.requeue = false
	c.host.ends = map[demes.DeviceID]uint64{}
	for _, in := range c.seat.logged {
		if in.event != nil && !c.cfg.Planted.Twice {
			c.host.ends[in.event.ID.Device] = max(c.host.ends[in.event.ID.Device], in.event.ID.Seq)
		}
	}
	c.host.queue = c.tail.ordered()
}

// propose puts one batch into the log and reports whether more may follow.
func (c *Chat) propose() bool {
	var data [][]byte
	var taken, rest []*demes.Event
	size, stamp := 0, c.stamp()
	for i, e := range c.host.queue {
		if e.ID.Seq <= c.logEnd(e.ID.Device) {
			continue
		}
		if !c.isNext(e) {
			rest = append(rest, e)
			continue
		}
		if len(data) == ProposeBatch || size > ProposeBytes {
			rest = append(rest, c.host.queue[i:]...)
			break
		}
		entry := wire.Marshal(&wire.Entry{
			Generation: c.fold.Head.Generation, Term: c.host.term, LogMs: stamp, What: &wire.Entry_Event{Event: wire.PutEvent(e)},
		})
		data, taken, size = append(data, entry), append(taken, e), size+len(entry)
		c.host.ends[e.ID.Device] = e.ID.Seq
	}
	if len(data) == 0 {
		c.host.queue = rest
		return false
	}
	if c.seat.group.Propose(data...) != nil {
		for i := len(taken) - 1; i >= 0; i-- {
			c.host.ends[taken[i].ID.Device] = taken[i].ID.Seq - 1
		}
		c.host.queue = append(taken, rest...)
		return false
	}
	c.host.queue = rest
	return len(rest) > 0
}

// logEnd is up to where an author's log is consumed or in the council's log.
func (c *Chat) logEnd(d demes.DeviceID) uint64 {
	end := c.host.ends[d]
	if m := c.fold.Members[d]; m != nil {
		end = max(end, m.LastSeq)
	}
	return end
}

// isNext reports whether an event would be consumed where it is proposed now.
func (c *Chat) isNext(e *demes.Event) bool {
	if e.ID.Seq != c.logEnd(e.ID.Device)+1 || !c.fits(e) {
		return false
	}
	for _, m := range e.After {
		if c.cfg.Planted.Unshown {
			break
		}
		if member := c.fold.Members[m.Device]; member != nil && !member.Leaving && c.logEnd(m.Device) < m.Seq {
			return false
		}
	}
	return true
}

// stamp is the log time of an entry proposed now: this device's clock, at most
// MaxAheadMs above or below the median of the connected members' clocks, of two the
// lower: a clock that jumps must not take the log along, which never goes back, nor
// hold it up, by which all waits of the log are judged (docs/protocol.md#log-time).
func (c *Chat) stamp() int64 {
	clocks, there := []int64{c.now.Wall}, c.connected()
	for _, d := range there {
		if at := c.peers[d].clock; at != 0 {
			clocks = append(clocks, c.now.Mono+at)
		}
	}
	if len(clocks) == 1 && len(there) > 0 {
		return c.fold.LogMs // a new host: the members tell their clocks when they know of it
	}
	slices.Sort(clocks)
	median := clocks[(len(clocks)-1)/2]
	return max(min(max(c.now.Wall, median-MaxAheadMs), median+MaxAheadMs), c.fold.LogMs)
}

// relay sends on what was first held and what was settled this turn.
func (c *Chat) relay() {
	fresh, news := c.host.fresh, c.host.spread
	c.host.fresh, c.host.spread = nil, nil
	if len(fresh) == 0 && len(news) == 0 {
		return
	}
	for _, n := range news {
		if n.from == c.self {
			c.sendOwn(n.event)
		}
	}
	if c.seat.isHost() {
		for _, d := range c.connected() {
			if c.seat.group == nil || !slices.Contains(c.fold.Electors, d) {
				c.serve(d, fresh, news)
			}
		}
		c.dismiss(fresh)
		if len(fresh) > 0 {
			c.host.told = false
		}
		return
	}
	if c.mode == demes.ModeProvisional {
		c.passOn(news)
	}
}

// dismiss sends who was just removed the entry that says so: nobody listens to it
// any more, and it would wait for ever.
func (c *Chat) dismiss(fresh []SettledEntry) {
	for _, d := range sortedDevices(c.peers) {
		if p := c.peers[d]; len(fresh) > 0 && p.connected && !p.dismissed && c.fold.Members[d] == nil {
			p.dismissed = true
			p.live, p.cursor = true, fresh[0].Index-1 // a council's member has the rest by Raft
			c.serve(d, fresh, nil)
			p.live = false
		}
	}
}

// serve streams to one subscriber: events as they are held, then what is
// settled of them (docs/protocol.md#subscribe).
func (c *Chat) serve(to demes.DeviceID, fresh []SettledEntry, news []spread) {
	p := c.peers[to]
	var events []*demes.Event
	for _, n := range news {
		if n.from != to && n.event.ID.Device != to && p.holds[n.event.ID.Device] < n.event.ID.Seq {
			events = append(events, n.event)
			p.note(n.event.ID)
		}
	}
	c.sendEvents(to, events)
	if len(fresh) == 0 {
		return
	}
	if !p.live || p.cursor+1 != fresh[0].Index {
		p.live = false // it asks for the rest when it hears of it
		if p.sayAt == 0 {
			p.sayAt = c.now.Mono + c.cfg.Timing.Resend
		}
		return
	}
	frame := &wire.Settled{Term: c.hostTerm(), From: fresh[0].Index, Head: wire.PutHead(c.fold.Head), Last: true}
	for _, entry := range fresh {
		bare := entry.Event != nil && p.holds[entry.Event.ID.Device] >= entry.Event.ID.Seq
		frame.Entries = append(frame.Entries, putEntry(entry, bare))
		p.cursor = entry.Index
	}
	c.send(to, &wire.Frame{Kind: &wire.Frame_Settled{Settled: frame}})
}

// sendOwn sends an event of this device to the host and to the next two in the
// succession, who hold it in case the host dies (docs/protocol.md#submit).
func (c *Chat) sendOwn(e *demes.Event) {
	for _, d := range c.targets() {
		c.sendEvents(d, []*demes.Event{e})
	}
}

// targets are the host, or who stands in for it, and the next two.
func (c *Chat) targets() []demes.DeviceID {
	if c.seat.isHost() {
		return nil
	}
	first, _ := c.best()
	if host, known := c.hostNow(); known {
		first = host
	}
	out := make([]demes.DeviceID, 0, 3)
	if first != c.self && c.isConnected(first) {
		out = append(out, first)
	}
	next := 0
	for _, d := range c.succession() {
		if next == 2 {
			break
		}
		if d != c.self && d != first && c.isConnected(d) {
			out = append(out, d)
			next++
		}
	}
	return out
}

// best is the best-ranked device that this one reaches, itself included: the
// relay of provisional mode.
func (c *Chat) best() (demes.DeviceID, bool) {
	for _, d := range c.succession() {
		if d == c.self || c.isConnected(d) {
			return d, true
		}
	}
	return demes.DeviceID{}, false
}

// passOn is the relay's work in provisional mode: who thinks of itself as the
// best-ranked sends to all, everybody else to whom it thinks of
// (docs/protocol.md#provisional).
func (c *Chat) passOn(news []spread) {
	best, _ := c.best()
	to := []demes.DeviceID{best}
	if best == c.self {
		to = c.connected()
	}
	for _, d := range to {
		if d == c.self || !c.isConnected(d) {
			continue
		}
		p := c.peers[d]
		var events []*demes.Event
		for _, n := range news {
			if n.from != d && n.event.ID.Device != d && p.holds[n.event.ID.Device] < n.event.ID.Seq {
				events = append(events, n.event)
			}
		}
		c.sendEvents(d, events)
	}
}

// succession lists the members best first: the plan, then who is not in it.
func (c *Chat) succession() []demes.DeviceID {
	out := make([]demes.DeviceID, 0, len(c.fold.Members))
	for _, r := range c.fold.Plan {
		if m := c.fold.Members[r.Device]; m != nil && !m.Leaving && !slices.Contains(out, r.Device) {
			out = append(out, r.Device)
		}
	}
	for _, d := range sortedDevices(c.fold.Members) {
		if !slices.Contains(out, d) && !c.fold.Members[d].Leaving {
			out = append(out, d)
		}
	}
	return out
}

// offerFork puts the proof into the log that a member wrote two histories, as soon
// as the one that is settled reaches the other: that silences it. What others
// wrote upon having seen the one that is dropped would wait for it for ever.
func (c *Chat) offerFork(e *demes.Event) {
	m := c.fold.Members[e.ID.Device]
	if !c.seat.isHost() || c.host.term != c.seat.group.Term() || c.gens.frozen() || c.trouble != nil ||
		m == nil || m.Leaving || e.ID.Seq != m.LastSeq+1 || e.Prev == m.LastHash || c.logEnd(e.ID.Device) != m.LastSeq {
		return
	}
	entry := wire.Marshal(&wire.Entry{
		Generation: c.fold.Head.Generation, Term: c.host.term, LogMs: c.stamp(), What: &wire.Entry_Event{Event: wire.PutEvent(e)},
	})
	if c.seat.group.Propose(entry) == nil {
		c.host.ends[e.ID.Device] = e.ID.Seq
	}
}
