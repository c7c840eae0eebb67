package chat

import (
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Connected notes that a device can be reached, and tells it what is held here.
func (c *Chat) Connected(now demes.Now, d demes.DeviceID) {
	c.now = now
	p := c.peer(d)
	if p.connected || d == c.self {
		return
	}
	p.connected, p.since, p.goodbye, p.dismissed, p.live, p.cursor = true, now.Mono, false, false, false, 0
	p.holds = map[demes.DeviceID]uint64{}
	delete(c.history.passed, d)
	p.haveAt, p.fetchAt, p.chainAt = now.Mono, 0, 0
	if c.gone() || c.fold.Members[d] == nil {
		return
	}
	if c.seat.group != nil {
		c.seat.group.Connected(now, d)
	}
	if c.gens.elector != nil {
		c.gens.elector.Connected(now, d)
	}
	c.say(d, true)
	c.host.dirty, c.host.urgent, c.host.told = true, true, false
	c.own.retryAt, c.own.wait = now.Mono, c.cfg.Timing.Resend
	c.wake(50)
	c.notice(Notice{Kind: NoticeMembers})
}

// Disconnected notes that a device cannot be reached any more.
func (c *Chat) Disconnected(now demes.Now, d demes.DeviceID) {
	c.now = now
	p := c.peer(d)
	if !p.connected {
		return
	}
	p.connected, p.lostAt, p.hosting, p.live, p.ping = false, now.Mono, nil, false, nil
	p.flaps++
	if c.gone() || c.fold.Members[d] == nil {
		return
	}
	if c.seat.group != nil {
		c.seat.group.Lost(now, d)
	}
	c.host.dirty, c.host.told = true, false
	c.wake(50)
	c.notice(Notice{Kind: NoticeMembers})
}

// Heard takes a beat of a device: how often it beats, and what it says of this
// chat; nil when it does not host it.
func (c *Chat) Heard(now demes.Now, d demes.DeviceID, intervalMs uint32, h *wire.Hosting) {
	c.now = now
	if c.gone() || c.fold.Members[d] == nil {
		return
	}
	p := c.peer(d)
	p.hosting = h
	if g := c.seat.group; g != nil {
		g.Heard(now, d, intervalMs)
		if h != nil && h.GetGeneration() == c.fold.Head.Generation {
			g.Confirmed(now, d, h.GetTerm())
		}
	}
	if h.GetGeneration() > c.fold.Head.Generation {
		c.say(d, false)
	}
}

// Dropped notes that a frame to a device was not sent: what it lacks now is
// found out by comparing vectors.
func (c *Chat) Dropped(now demes.Now, d demes.DeviceID) {
	c.now = now
	if p := c.peer(d); p.connected && !c.gone() {
		p.live, p.sayAt = false, now.Mono+c.cfg.Timing.Resend
	}
}

// Tick does what is due. Deadline says when it is wanted next.
func (c *Chat) Tick(now demes.Now) {
	c.now = now
	if c.gone() {
		return
	}
	if g := c.seat.group; g != nil {
		if at := g.Deadline(); at != 0 && at <= now.Mono {
			g.Tick(now)
		}
	}
	if e := c.gens.elector; e != nil && len(c.gens.ahead) == 0 {
		if c.gens.wants() || e.Deadline() != 0 && e.Deadline() <= now.Mono {
			c.convened(e.Tick(now, c.situation()))
		}
	}
	c.gens.rescue(c)
	if c.own.retryAt != 0 && c.own.retryAt <= now.Mono {
		c.retry()
	}
	if c.host.dutyAt != 0 && c.host.dutyAt <= now.Mono {
		c.duties()
	}
	for _, d := range c.connected() {
		if p := c.peers[d]; p.sayAt != 0 && p.sayAt <= now.Mono {
			p.sayAt, p.haveAt = 0, 0
			c.say(d, false)
		}
	}
	if c.behind() {
		c.ask()
		if c.askAt <= now.Mono {
			c.askAt = now.Mono + AskAgain
		}
	}
	c.tryLeave()
	c.refresh()
	if at := c.keys.pruneAt; at != 0 && at <= now.Wall {
		c.keys.prune(c)
	}
	if at := c.reading.expireMs; at != 0 && at <= now.Wall {
		c.forgetExpired()
	}
	if c.pollAt <= now.Mono {
		c.pollAt = now.Mono + MarksPace
	}
}

// Deadline is the Mono time in ms at which Tick has something to do; 0: never.
// A chat in which nothing is unsettled has none of its own.
func (c *Chat) Deadline() int64 {
	var next int64
	add := func(at int64) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	if c.gone() {
		return 0
	}
	if g := c.seat.group; g != nil {
		add(g.Deadline())
	}
	if e := c.gens.elector; e != nil && len(c.gens.ahead) == 0 {
		add(e.Deadline())
		if c.gens.wants() {
			add(max(c.pollAt, 1))
		}
	}
	add(c.gens.rescueAt)
	add(c.own.retryAt)
	if c.seat.isHost() {
		add(c.host.dutyAt)
		if !c.host.told {
			add(max(c.host.statusAt+c.cfg.Timing.Status, 1))
		}
	}
	if c.seat.lostAt != 0 && c.mode == demes.ModeSettled {
		add(c.seat.lostAt + c.provisionalAfter())
	}
	if c.final.signs(c) && c.final.signed.Index < c.fold.Head.Index {
		add(c.final.signedAt + c.cfg.Timing.ReceiptPace)
	}
	if host, known := c.hostNow(); known && host != c.self && c.own.marks != c.fold.Head {
		add(c.own.marksAt + MarksPace)
	}
	for d, p := range c.peers {
		if p.connected && c.fold.Members[d] != nil {
			add(p.sayAt)
		}
	}
	if c.behind() {
		add(max(c.askAt, 1))
	} else if c.furtherThan(c.fold.Head.Index) {
		add(c.log.movedAt + StuckAfter)
	}
	if c.own.leaving {
		add(max(c.pollAt, 1))
	}
	c.keyDeadlines(add)
	c.historyDeadline(add)
	return next
}

// provisionalAfter is how long no host may be known before the chat says so.
func (c *Chat) provisionalAfter() int64 { return c.cfg.Timing.Silence + 3*c.cfg.Timing.Slot }

// behind reports whether a connected device is known to be further.
func (c *Chat) behind() bool {
	if len(c.gens.ahead) > 0 || c.seat.snap != nil {
		return true
	}
	return c.furtherThan(c.fold.Head.Index + c.lag(c.self))
}

// furtherThan reports whether a connected device is known to have settled more.
func (c *Chat) furtherThan(index uint64) bool {
	for _, p := range c.peers {
		if p.connected && p.head.Index > index {
			return true
		}
	}
	return false
}

// lag is how far a device may be behind without asking: to an elector its Raft
// group brings what is missing. Where that has brought nothing for StuckAfter,
// the host may think that it is here already (docs/protocol.md#old-copies).
func (c *Chat) lag(d demes.DeviceID) uint64 {
	if len(c.gens.ahead) > 0 || !slices.Contains(c.fold.Electors, d) {
		return 0
	}
	if d == c.self && c.now.Mono-c.log.movedAt >= StuckAfter {
		return 0
	}
	return 2 * CheckpointEvery
}

// ask fetches the log from the host, or from whoever is further.
func (c *Chat) ask() {
	if host, known := c.hostNow(); known && host != c.self && len(c.gens.ahead) == 0 {
		c.fetch(host)
		return
	}
	for _, d := range c.connected() {
		if c.peers[d].head.Index > c.fold.Head.Index {
			c.fetch(d)
		}
	}
}

// retry sends what the host, or who stands in for it, is not known to hold.
func (c *Chat) retry() {
	c.own.retryAt = 0
	if c.tail.len() == 0 || c.seat.isHost() {
		return
	}
	to, known := c.hostNow()
	if !known {
		to, known = c.best()
	}
	if known && to != c.self && c.isConnected(to) {
		c.push(to, c.peers[to].holds)
	}
	c.own.retryAt = c.now.Mono + c.own.wait
	c.own.wait = min(2*c.own.wait, c.cfg.Timing.ResendMost)
}

// watch notices who is host now and whether a quorum orders the chat, and does
// what a new host is owed. It runs at the end of each turn.
func (c *Chat) watch() {
	host, known := c.hostNow()
	if known {
		c.seat.lostAt = 0
		if term := c.hostTerm(); host != c.seat.host || host == c.self && term != c.seat.term {
			c.seat.term = term
			c.newHost(host)
		}
	} else if c.seat.lostAt == 0 {
		c.seat.lostAt = c.now.Mono
		c.seat.host = demes.DeviceID{}
		c.notice(Notice{Kind: NoticeElection})
	}
	mode := demes.ModeSettled
	if !known && c.now.Mono-c.seat.lostAt >= c.provisionalAfter() {
		mode = demes.ModeProvisional
	}
	if mode != c.mode {
		c.mode = mode
		c.own.retryAt, c.own.wait = c.now.Mono, c.cfg.Timing.Resend
		c.notice(Notice{Kind: NoticeMode})
	}
	c.gens.rescue(c)
	c.listen()
	c.tellMarks()
	c.tellStatus()
}

// listen compares vectors with the best ranked again and again while no host is
// known: one of them may have a host that this device does not reach.
func (c *Chat) listen() {
	if c.mode != demes.ModeProvisional {
		return
	}
	for _, d := range c.targets() {
		if p := c.peers[d]; p.sayAt == 0 {
			p.sayAt = c.now.Mono + c.cfg.Timing.ResendMost
		}
	}
}

// newHost gives a new host what it needs of this device.
func (c *Chat) newHost(host demes.DeviceID) {
	last := c.seat.last
	c.seat.host, c.seat.last = host, host
	text := ""
	if last != host && !last.IsZero() && c.fold.Live {
		text = c.name(host) + " hosts now"
		if !c.isConnected(last) && last != c.self {
			text = c.name(last) + " went away; " + text
		}
	}
	c.notice(Notice{Kind: NoticeHost, Peer: host, Text: text})
	c.own.marksAt = 0
	c.final.again()
	c.tellLatency(c.ownReports()) // a new host, too: it knows only what the last one told
	if host == c.self {
		return
	}
	p := c.peer(host)
	p.haveAt = 0
	c.say(host, false)
	c.own.retryAt, c.own.wait = c.now.Mono, c.cfg.Timing.Resend
}

// keyDeadlines adds when keys and what they open want something.
func (c *Chat) keyDeadlines(add func(int64)) {
	atWall := func(ms int64) {
		if ms != 0 {
			add(max(c.now.Mono+ms-c.now.Wall, 1))
		}
	}
	atWall(c.keys.pruneAt)
	atWall(c.reading.expireMs)
	add(c.keys.refreshAt)
	if c.keys.group == nil && c.trouble == nil && len(c.connected()) > 0 {
		add(max(c.keys.backAt, 1))
	}
	if !c.reading.lacks.empty() && len(c.mayShow()) > 0 {
		add(max(c.reading.askedAt+RevealAgain, 1))
	}
}
