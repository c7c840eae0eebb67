package chat

import (
	"fmt"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// FoldEvery is how many entries may be consumed before the state is written
// again; a restart replays at most that many.
const FoldEvery = 256

// settledLog is the part of the settled log that this device has.
type settledLog struct {
	first   uint64 // index of the first entry held here; a joiner has no earlier ones
	movedAt int64  // Mono ms when the last entry was consumed
	durable uint64 // entries up to here survive a power loss
	unkept  int    // entries consumed since the state was written
	start   []byte // the state where this generation, or this device's part in it, began
	// startTree is the ratchet tree that belongs to start.
	startTree []byte
	tree      *mls.Observer // the group whose tree was written last
	way       *way          // an order that is not proven yet; nil: none
	proven    []demes.Head  // heads on a way that was proven, and is fetched again
}

// consume applies one entry and makes what follows from it part of this turn's
// output. It is the only place where the fold moves.
func (c *Chat) consume(s Sealed) Outcome {
	out, void := c.fold.Apply(s)
	if c.cfg.Planted.Diverge && c.self[0]%2 == 0 {
		c.fold.Lamport++
	}
	switch out {
	case Consumed:
		c.record(s, void)
	case Early:
		c.keepEarly(s.Event)
	}
	return out
}

// record writes down one consumed entry.
func (c *Chat) record(s Sealed, void string) {
	entry := entryOf(c.fold, s, void)
	b := c.batch()
	b.Settled = append(b.Settled, entry)
	c.host.fresh = append(c.host.fresh, entry)
	c.log.unkept++
	c.log.movedAt = c.now.Mono
	if s.Event != nil {
		c.readSettled(&entry)
		dropped := c.tail.settled(s.Event)
		c.drop(dropped, s.Event)
		if void == VoidFork {
			c.proveFork(s.Event)
		}
		if s.Event.ID.Device == c.self && (len(dropped) > 0 || void == VoidFork) {
			c.oldCopy(demes.DeviceID{}, s.Event) // a copy of this device wrote it
		}
		if s.Event.ID == (demes.EventID{Device: c.self, Seq: c.own.commit}) {
			c.own.commit = 0 // judged; what it did not bring about is staged again
			if void != "" {
				c.keys.forgetOwn()
			}
			if commit := (&wire.Commit{}); void != "" && void != VoidEpoch && wire.Unmarshal(s.Event.Payload, commit) == nil {
				c.door.drop(commit)
			}
		}
		if s.Event.Kind == demes.KindCommit && void == "" {
			c.keys.settled(c, s.Event)
		}
		c.announce(entry)
	}
	c.react(s, void)
}

// drop forgets a branch, and what was read in it; settled is the event that took
// the place of one of them, or nil.
func (c *Chat) drop(ids []demes.EventID, settled *demes.Event) {
	b := c.batch()
	b.Drop = append(b.Drop, ids...)
	for _, id := range ids {
		if settled == nil || id != settled.ID || settled.Plain == nil {
			b.Forget = append(b.Forget, id)
		}
	}
}

// announce tells the user of what was settled.
func (c *Chat) announce(entry SettledEntry) {
	e := entry.Event
	switch {
	case entry.Position != 0:
		for i := range c.out.Notices {
			if n := &c.out.Notices[i]; n.Kind == NoticeSettled {
				n.Ids = append(n.Ids, e.ID)
				return
			}
		}
		c.notice(Notice{Kind: NoticeSettled, Ids: []demes.EventID{e.ID}})
	case e.Kind == demes.KindMessage:
		c.notice(Notice{Kind: NoticeMessage, Event: e.ID})
	default:
		c.notice(Notice{Kind: NoticeMembers})
	}
}

// react does what membership and generations ask for once an entry is consumed.
func (c *Chat) react(s Sealed, void string) {
	if s.Record != nil {
		c.final.checkpoint(c)
		c.succeed()
		return
	}
	if void == VoidFork || s.Event.Kind.Decides() {
		c.log.unkept = FoldEvery // membership is worth a write
		c.final.checkpoint(c)
		c.silence()
		c.forgetGone()
		c.setPhase()
		c.host.dirty = true
		c.wake(50)
		c.door.changed(c)
	}
	if s.Event.Kind == demes.KindStart && void == "" {
		c.gens.startedAt = c.now.Mono
		c.wake(0) // a founder alone has nobody whose word would
		c.notice(Notice{Kind: NoticeMode})
	}
}

// silence forgets what is held of devices that have left or were removed: it
// will never be consumed.
func (c *Chat) silence() {
	for _, d := range sortedDevices(c.tail.logs) {
		if m := c.fold.Members[d]; m == nil || m.Leaving {
			c.drop(c.tail.drop(d), nil)
			c.notice(Notice{Kind: NoticeMode}) // messages are gone: look again
		}
	}
}

// forgetGone drops what is known of devices that are neither members nor
// connected, and what was measured to them.
func (c *Chat) forgetGone() {
	for d, p := range c.peers {
		if c.fold.Members[d] == nil && !p.connected {
			delete(c.peers, d)
		}
	}
	for pair := range c.host.reports {
		if c.fold.Members[pair[0]] == nil || c.fold.Members[pair[1]] == nil {
			delete(c.host.reports, pair)
		}
	}
}

// keepEarly holds an event that the council committed too early: it is offered
// again.
func (c *Chat) keepEarly(e *demes.Event) {
	switch c.tail.hold(c.fold, e) {
	case held:
		c.nowHeld(e, demes.DeviceID{})
	case lacking:
		c.tail.park(e)
	}
	c.host.requeue = true
}

// proveFork keeps an event that contradicts what its author signed before: the
// newest of each author is proof enough.
func (c *Chat) proveFork(e *demes.Event) {
	c.put("fork:"+e.ID.Device.String(), wire.Marshal(wire.PutEvent(e)))
}

// keepFold writes the state when enough was consumed since.
func (c *Chat) keepFold(force bool) {
	if !force && c.log.unkept < FoldEvery {
		return
	}
	c.log.unkept = 0
	encoded := c.fold.Encode()
	c.put("fold", encoded)
	if c.log.tree != c.fold.group {
		c.log.tree = c.fold.group
		c.put("tree", c.fold.group.Tree())
	}
	if c.log.start == nil {
		c.log.start, c.log.startTree = encoded, c.fold.group.Tree()
		c.put("start", encoded)
		c.put("start.tree", c.log.startTree)
	}
}

// replay brings a state that was read back up to the end of the settled log.
func (c *Chat) replay() error {
	if c.cfg.Planted.Rewind {
		return nil
	}
	for {
		entries, err := c.cfg.Log.Settled(c.id, c.fold.Head.Index+1, wire.MaxBatch)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			c.log.durable = c.fold.Head.Index
			return nil
		}
		if err := replayInto(c.fold, entries); err != nil {
			return err
		}
	}
}

// replayInto applies entries that were settled before, and checks each against
// the hash that was written with it.
func replayInto(f *Fold, entries []SettledEntry) error {
	for _, entry := range entries {
		if entry.Generation != f.Head.Generation {
			return fmt.Errorf("entry %d is of generation %d, the state of %d", entry.Index, entry.Generation, f.Head.Generation)
		}
		s, err := sealed(entry)
		if err != nil {
			return err
		}
		if out, _ := f.Apply(s); out != Consumed || f.Head.Hash != entry.Hash {
			return demes.Problem(demes.CodeProfileDamaged, "The settled log of a chat is damaged",
				fmt.Sprintf("Entry %d does not have the hash that was written with it. Keep the data folder and ask for help.", entry.Index))
		}
	}
	return nil
}

// sealed reads an entry of the settled log as the council had committed it.
func sealed(entry SettledEntry) (Sealed, error) {
	s := Sealed{Generation: entry.Generation, Term: entry.Term, Slot: entry.Slot, LogMs: entry.LogMs, Event: entry.Event}
	if entry.Event == nil {
		s.Record = &wire.Record{}
		if err := wire.Unmarshal(entry.Record, s.Record); err != nil {
			return s, err
		}
	}
	return s, nil
}

// unsettle takes the settled log back to a base that a change of generation
// decided; the events above it go back to the tail (docs/protocol.md#adopt).
func (c *Chat) unsettle(to uint64) error {
	back, err := c.foldAt(to)
	if err != nil {
		return err
	}
	var loose []*demes.Event
	for from := to + 1; ; {
		entries, err := c.cfg.Log.Settled(c.id, from, wire.MaxBatch)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		for _, entry := range entries {
			if entry.Event != nil {
				loose = append(loose, entry.Event)
			}
		}
		from = entries[len(entries)-1].Index + 1
	}
	tail := append(loose, c.tail.ordered()...)
	back.planted = c.cfg.Planted
	c.fold, c.tail = back, newTail()
	c.tail.refill(c.fold, tail)
	b := c.batch()
	b.Unsettle, b.Settled = &to, nil
	c.keys.unsettle(c, to)
	c.reading.unsettle(c, to)
	c.titleAt = min(c.titleAt, to)
	b.Events = append(b.Events, loose...)
	c.log.durable, c.host.fresh = to, nil
	c.keepFold(true)
	return nil
}

// foldAt folds the log again, from where this generation began up to index.
func (c *Chat) foldAt(index uint64) (*Fold, error) {
	state := &wire.State{}
	if err := wire.Unmarshal(c.log.start, state); err != nil {
		return nil, fmt.Errorf("fold again: %w", err)
	}
	f, err := decodeFold(state, c.log.startTree, true)
	if err != nil {
		return nil, fmt.Errorf("fold again: %w", err)
	}
	if f.Head.Index > index {
		return nil, fmt.Errorf("fold again: the base %d is before the start %d of this generation here", index, f.Head.Index)
	}
	for f.Head.Index < index {
		entries, err := c.cfg.Log.Settled(c.id, f.Head.Index+1, wire.MaxBatch)
		if err != nil {
			return nil, fmt.Errorf("fold again: %w", err)
		}
		if len(entries) == 0 {
			return nil, fmt.Errorf("fold again: the log ends at %d, before %d", f.Head.Index, index)
		}
		entries = entries[:min(uint64(len(entries)), index-f.Head.Index)]
		if err := replayInto(f, entries); err != nil {
			return nil, err
		}
	}
	return f, nil
}
