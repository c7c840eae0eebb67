package chat

import (
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/council"
	"github.com/demes-chat/demes/internal/wire"
)

// CheckpointEvery is how many entries the council's log grows before its
// consumed part may be forgotten.
const CheckpointEvery = 512

// seat is this device's part in the council's Raft group: voter or learner when
// it is an elector, none otherwise.
type seat struct {
	group     *council.Group // nil without a seat
	ready     bool           // a Ready is out and not yet durable
	logged    []inLog        // appended and not committed here, by index
	checkedAt uint64         // applied index of the last checkpoint
	snapFrom  demes.DeviceID // a snapshot that waits until the log up to it is here
	snap      *wire.Raft
	lostAt    int64          // Mono ms since when no host is known; 0: one is
	host      demes.DeviceID // as last noticed; zero while none is known
	last      demes.DeviceID // the last one there was
	term      uint64
}

// inLog is one entry of the council's log, decoded once.
type inLog struct {
	index uint64
	entry *wire.Entry
	event *demes.Event // nil for a record
}

func (s *seat) isHost() bool { return s.group != nil && s.group.IsHost() }

// takeSeat begins or goes on with the council of the current generation.
func (c *Chat) takeSeat(saved *Saved) error {
	c.seat = seat{lostAt: c.now.Mono}
	if err := c.gens.takeVote(c, saved); err != nil {
		return err
	}
	if !c.isElector() {
		return nil
	}
	cfg := council.Config{
		Chat: c.id, Generation: c.fold.Head.Generation, Self: c.self, Electors: c.fold.Electors, Council: c.gens.council(c),
		Sign: func(body []byte) []byte { return wire.Sign(c.cfg.Key, wire.LabelHandover, body) },
		Verify: func(d demes.DeviceID, body, signature []byte) bool {
			return wire.Verify(d[:], wire.LabelHandover, body, signature)
		},
		Rand: c.cfg.Rand,
	}
	group, err := council.New(cfg, readSeat(saved, c.fold.Head.Generation))
	if err != nil {
		return fmt.Errorf("take seat: %w", err)
	}
	c.seat.group = group
	if saved == nil {
		c.batch().Raft = &RaftChange{Generation: c.fold.Head.Generation, Reset: true}
		for _, name := range []string{"raft.hard", "raft.config", "raft.compacted", "raft.applied"} {
			c.put(name, nil)
		}
	} else {
		applied := readNumber(saved.Values["raft.applied"])
		for _, e := range saved.Raft {
			if e.Index > applied {
				c.seat.note(c, council.Entry(e))
			}
		}
		c.seat.checkedAt = applied
		group.SetCheckpoint(applied, wire.Marshal(wire.PutHead(c.fold.Head)))
	}
	c.put("raft.generation", number(c.fold.Head.Generation))
	c.seatPeers()
	c.activate()
	return nil
}

// seatPeers tells the group who is there and in what order they follow.
func (c *Chat) seatPeers() {
	if c.seat.group == nil {
		return
	}
	for _, d := range c.fold.Electors {
		if c.isConnected(d) {
			c.seat.group.Connected(c.now, d)
		}
	}
	c.succeed()
}

// succeed hands the group the newest succession.
func (c *Chat) succeed() {
	if c.seat.group != nil {
		c.seat.group.SetSuccession(c.succession())
	}
	c.notice(Notice{Kind: NoticeHost})
}

// activate lets this device vote, once its memory is known to be good.
func (c *Chat) activate() {
	g := c.seat.group
	if g == nil || !c.checked || c.trouble != nil {
		return
	}
	g.Activate(c.now)
	if voters := c.gens.council(c); len(voters) > 0 && voters[0] == c.self && c.fold.Term == 0 && g.Term() <= 1 {
		g.Campaign(c.now)
	}
	if c.gens.frozen() {
		g.Freeze()
	}
}

func readSeat(saved *Saved, generation uint64) *council.Saved {
	if saved == nil || len(saved.Values["raft.hard"]) == 0 || readNumber(saved.Values["raft.generation"]) != generation {
		return nil
	}
	out := &council.Saved{
		Hard: saved.Values["raft.hard"], Config: saved.Values["raft.config"], Applied: readNumber(saved.Values["raft.applied"]),
	}
	if at := saved.Values["raft.compacted"]; len(at) == 16 {
		out.Compacted = council.Entry{Index: readNumber(at), Term: readNumber(at[8:])}
	}
	for _, e := range saved.Raft {
		out.Entries = append(out.Entries, council.Entry(e))
	}
	return out
}

// stepRaft hands a message to the group. A snapshot waits until the settled log
// that it stands for is here.
func (c *Chat) stepRaft(from demes.DeviceID, m *wire.Raft) error {
	if c.seat.group == nil {
		return nil
	}
	if data, is := council.SnapshotData(m); is {
		head := &wire.Head{}
		if err := wire.Unmarshal(data, head); err != nil {
			return fmt.Errorf("snapshot from %s: %w", from.Short(), err)
		}
		if head.GetIndex() > c.log.durable {
			if host, known := c.hostNow(); !known || host != from {
				return fmt.Errorf("snapshot from %s, who is not host here: %w", from.Short(), ErrInvalid) // a host sends it again
			}
			c.seat.snapFrom, c.seat.snap = from, m
			c.fetch(from)
			return nil
		}
	}
	return c.seat.group.Step(c.now, from, m)
}

// afterSettled goes on with what waited for the settled log.
func (c *Chat) afterSettled() {
	if c.seat.snap == nil {
		return
	}
	data, _ := council.SnapshotData(c.seat.snap)
	head := &wire.Head{}
	if wire.Unmarshal(data, head) != nil || head.GetIndex() > c.fold.Head.Index {
		return
	}
	snap := c.seat.snap
	c.seat.snap = nil
	_ = c.seat.group.Step(c.now, c.seat.snapFrom, snap) // refused: the host sends another
}

// collect takes what the group made ready into this turn's output.
func (c *Chat) collect() {
	defer c.final.sign(c)
	if c.seat.group == nil || c.seat.ready {
		return
	}
	r, ok := c.seat.group.Ready()
	if !ok {
		return
	}
	c.seat.ready = true
	c.keepReady(r)
	if r.Snapshot != nil {
		c.seat.logged = nil
	}
	for _, e := range r.Entries {
		c.seat.note(c, e)
	}
	c.deliver(r.Entries)
	if c.cfg.Planted.Swap && c.self[0]%2 == 0 {
		slices.Reverse(r.Committed)
	}
	for _, e := range r.Committed {
		c.commit(e)
	}
	if r.Applied != 0 {
		c.put("raft.applied", number(r.Applied))
		if r.Applied >= c.seat.checkedAt+CheckpointEvery {
			c.seat.checkedAt = r.Applied
			c.seat.group.SetCheckpoint(r.Applied, wire.Marshal(wire.PutHead(c.fold.Head)))
		}
	}
	c.keepFold(false)
	for _, m := range r.Messages {
		c.send(m.To, raftFrame(m))
	}
}

// keepReady makes the group's own state part of the batch.
func (c *Chat) keepReady(r council.Ready) {
	if r.Hard != nil {
		c.put("raft.hard", r.Hard)
	}
	if r.Config != nil {
		c.put("raft.config", r.Config)
	}
	if len(r.Entries) == 0 && r.CompactTo == 0 && r.Snapshot == nil {
		return
	}
	b := c.batch()
	if b.Raft == nil {
		b.Raft = &RaftChange{Generation: c.fold.Head.Generation}
	}
	if r.Snapshot != nil {
		b.Raft.Reset = true
		c.put("raft.compacted", compactedValue(r.Snapshot.Index, r.Snapshot.Term))
		c.put("raft.applied", number(r.Snapshot.Index))
	}
	for _, e := range r.Entries {
		b.Raft.Entries = append(b.Raft.Entries, RaftEntry(e))
	}
	if r.CompactTo != 0 {
		b.Raft.CompactedTo = r.CompactTo
		c.put("raft.compacted", compactedValue(r.CompactTo, r.CompactTerm))
	}
}

func compactedValue(index, term uint64) []byte {
	return append(number(index), number(term)...)
}

func raftFrame(m council.Message) *wire.Frame {
	switch {
	case m.Raft != nil:
		return &wire.Frame{Kind: &wire.Frame_Raft{Raft: m.Raft}}
	case m.Suspicion != nil:
		return &wire.Frame{Kind: &wire.Frame_Suspicion{Suspicion: m.Suspicion}}
	}
	return &wire.Frame{Kind: &wire.Frame_Handover{Handover: m.Handover}}
}

// note decodes an appended entry; what stood at its index and behind is gone.
func (s *seat) note(c *Chat, e council.Entry) {
	for n := len(s.logged); n > 0 && s.logged[n-1].index >= e.Index; n-- {
		s.logged = s.logged[:n-1]
	}
	entry := &wire.Entry{}
	if len(e.Data) == 0 || wire.Unmarshal(e.Data, entry) != nil {
		return // the group's own, or garbage: it will be ignored alike everywhere
	}
	in := inLog{index: e.Index, entry: entry}
	if raw := entry.GetEvent(); raw != nil {
		event, err := c.openEvent(raw)
		if err != nil {
			return
		}
		in.event = event
	} else if entry.GetRecord() == nil {
		return
	}
	s.logged = append(s.logged, in)
}

// deliver holds the events that were just appended: a council member shows them
// in provisional order (docs/protocol.md#delivery).
func (c *Chat) deliver(entries []council.Entry) {
	if len(entries) == 0 {
		return
	}
	host, known := c.hostNow()
	for i := range c.seat.logged {
		in := &c.seat.logged[i]
		if in.index < entries[0].Index || in.event == nil {
			continue
		}
		if known && host != c.self {
			c.peer(host).note(in.event.ID)
		}
		if c.tail.hold(c.fold, in.event) == held {
			c.nowHeld(in.event, host)
		}
	}
	for _, e := range c.tail.unpark(c.fold) {
		c.nowHeld(e, host)
	}
}

// commit consumes one entry that the council committed.
func (c *Chat) commit(e council.Entry) {
	in := inLog{index: e.Index}
	for len(c.seat.logged) > 0 && c.seat.logged[0].index <= e.Index {
		in = c.seat.logged[0]
		c.seat.logged = c.seat.logged[1:]
	}
	if in.index != e.Index || in.entry == nil {
		return // not decodable: ignored by everybody
	}
	c.consume(Sealed{
		Generation: c.fold.Head.Generation, Term: e.Term, Slot: e.Index, LogMs: in.entry.GetLogMs(),
		Event: in.event, Record: in.entry.GetRecord(),
	})
}

// hostNow is the host as this device knows it now.
func (c *Chat) hostNow() (demes.DeviceID, bool) {
	if c.trouble != nil && c.isElector() {
		return demes.DeviceID{}, false
	}
	if g := c.seat.group; g != nil {
		if host, _, known := g.Host(); known {
			return host, true
		}
		if g.IsVoter() {
			return demes.DeviceID{}, false
		}
	}
	return c.claimed()
}

// claimed is the host by what the beats of the connected electors say: the one of
// the highest term of this generation. Of two that claim one term, one lies; which
// is taken does not matter, as long as it is always the same.
func (c *Chat) claimed() (host demes.DeviceID, known bool) {
	var term uint64
	for d, p := range c.peers {
		h := p.hosting
		if h == nil || !p.connected || !slices.Contains(c.fold.Electors, d) || h.GetGeneration() != c.fold.Head.Generation || h.GetTerm() == 0 {
			continue
		}
		if h.GetTerm() == c.fold.Term && d != c.fold.Host {
			continue // the log says who hosts that term
		}
		if h.GetTerm() < max(term, c.fold.Term) || h.GetTerm() == term && host.Compare(d) < 0 {
			continue
		}
		host, term, known = d, h.GetTerm(), true
	}
	return host, known
}

// hostTerm is the term in which this device is host; 0 when it is not.
func (c *Chat) hostTerm() uint64 {
	if c.seat.isHost() {
		return c.seat.group.Term()
	}
	return 0
}
