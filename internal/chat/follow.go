package chat

import (
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits of an order that is not proven yet (docs/protocol.md#subscribe).
const (
	MaxWayBytes = 32 << 20     // of its entries; of a longer one only the heads of its parts are kept
	MaxWayParts = 1 << 16      // 16 GiB of log in parts of wire.MaxBatch
	WayWait     = 3 * AskAgain // ms without a part after which another device's way is taken
)

// way is an order that a device other than the host told. Nothing of it is
// consumed before it leads to a head that is known to be right: of a longer way
// the parts are fetched again once their heads are proven.
type way struct {
	from    demes.DeviceID
	base    demes.Head           // Invariant: it goes on from the settled head here, or is forgotten
	head    demes.Head           // where it leads
	logMs   int64                // at head
	entries []*wire.SettledEntry // from base to head; nil once they are too many
	size    int
	long    bool         // its entries were too many
	parts   []demes.Head // where its parts end
	at      int64        // Mono ms of the newest part
}

// milestone is a head that is still to be reached.
type milestone struct {
	head demes.Head
	sure bool // signed by a majority; else it is one convener's word
}

// milestones are the heads before which this device stands: the base of a certified
// or of a proposed generation, that of a final proof, and those of a long way
// that was proven.
func (c *Chat) milestones(proof *wire.FinalProof) (out []milestone) {
	add := func(h demes.Head, sure bool) {
		if h.Generation == c.fold.Head.Generation && h.Index > c.fold.Head.Index {
			out = append(out, milestone{h, sure})
		}
	}
	if len(c.gens.ahead) > 0 {
		add(wire.GetHead(certValue(c.gens.ahead[0]).GetBase()), true)
	} else if c.gens.wants() {
		base, _, _ := c.gens.elector.Wants()
		add(base, false)
	}
	for _, h := range c.log.proven {
		add(h, true)
	}
	if h := proofHead(proof); h.Generation == c.fold.Head.Generation && h.Index > c.fold.Head.Index && c.final.verify(c, proof) == nil {
		add(h, true)
	}
	return out
}

// follow goes on in the settled log by the word of a device that is not the host.
func (c *Chat) follow(from demes.DeviceID, m *wire.Settled) error {
	milestones := c.milestones(m.GetFinal())
	if len(milestones) == 0 || c.peer(from).misled {
		return nil
	}
	w := c.wayOf(from)
	if err := c.rewalk(w, milestones); err != nil {
		return err
	}
	if m.GetFrom() > w.head.Index+1 {
		return nil
	}
	for skip := w.head.Index + 1 - m.GetFrom(); skip < uint64(len(m.GetEntries())) && w.head.Index < c.gens.limit(); skip++ {
		w.add(m.GetEntries()[skip])
		if err := c.arrive(w, milestones); err != nil {
			return err
		}
	}
	w.at = c.now.Mono
	if n := len(w.parts); n == 0 || w.parts[n-1] != w.head {
		w.parts = append(w.parts, w.head)
	}
	if len(w.parts) > MaxWayParts {
		c.log.way = nil
	}
	return nil
}

// rewalk goes a way again that has passed a milestone before that was known: the
// base of a generation is decided on after its entries were told.
func (c *Chat) rewalk(w *way, milestones []milestone) error {
	if !slices.ContainsFunc(milestones, func(t milestone) bool { return t.head.Index <= w.head.Index }) {
		return nil
	}
	entries := w.entries // none of a long one: its parts are fetched again
	*w = way{from: w.from, base: c.fold.Head, head: c.fold.Head, logMs: c.fold.LogMs, at: w.at}
	for _, entry := range entries {
		if w.head.Index >= c.gens.limit() {
			return nil
		}
		w.add(entry)
		if err := c.arrive(w, milestones); err != nil {
			return err
		}
	}
	return nil
}

// wayOf is the way that the device's word goes on: the one under way when it is
// its own, else a new one. A new one beside one under way counts only if it
// arrives at once.
func (c *Chat) wayOf(from demes.DeviceID) *way {
	w := c.log.way
	if w != nil && w.base == c.fold.Head && w.from == from {
		return w
	}
	fresh := &way{from: from, base: c.fold.Head, head: c.fold.Head, logMs: c.fold.LogMs}
	if w == nil || w.base != c.fold.Head || !c.isConnected(w.from) || c.now.Mono-w.at >= WayWait {
		c.log.way = fresh
	}
	return fresh
}

// add puts one entry behind the way's head, as the fold would.
func (w *way) add(entry *wire.SettledEntry) {
	w.logMs = max(w.logMs, entry.GetLogMs())
	hash, size := demes.Hash{}, 0
	switch what := entry.GetWhat().(type) {
	case *wire.SettledEntry_Event:
		hash = demes.Sum(what.Event.GetBody())
		size = len(what.Event.GetBody()) + len(what.Event.GetPayload())
	case *wire.SettledEntry_Record:
		hash, size = wire.RecordHash(what.Record), len(what.Record.GetBody())
	case *wire.SettledEntry_Held:
		hash = wire.HashOf(what.Held.GetHash())
	}
	w.head.Index++
	w.head.Hash = nextHash(w.head.Hash, w.logMs, hash)
	if w.size += size; w.size > MaxWayBytes {
		w.entries, w.long = nil, true
	}
	if !w.long {
		w.entries = append(w.entries, entry)
	}
}

// arrive looks whether the way has come to a milestone: then it is consumed, or it
// was a lie.
func (c *Chat) arrive(w *way, milestones []milestone) error {
	for _, t := range milestones {
		if t.head.Index != w.head.Index {
			continue
		}
		if t.head.Hash != w.head.Hash {
			c.log.way = nil
			c.peer(w.from).misled = t.sure
			c.ask()
			return fmt.Errorf("the order that %s tells is not the proven one at %d: %w", w.from.Short(), t.head.Index, ErrInvalid)
		}
		if w.long {
			c.log.way, c.log.proven = nil, append(w.parts, w.head)
			return nil
		}
		entries := w.entries
		w.entries, w.size, w.parts = nil, 0, nil
		if err := c.consumeAll(w.from, entries); err != nil {
			c.log.way = nil
			return err
		}
		w.base = c.fold.Head
		return nil
	}
	return nil
}

// consumeAll consumes entries that follow the settled head.
func (c *Chat) consumeAll(from demes.DeviceID, entries []*wire.SettledEntry) error {
	opened := c.openEntries(entries)
	for i, entry := range entries {
		if c.fold.Head.Index >= c.gens.limit() {
			return nil
		}
		s, err := c.openEntry(entry, opened[i])
		if err != nil {
			c.fetch(from) // it named an event that is not held here
			return fmt.Errorf("entry %d from %s: %w", c.fold.Head.Index+1, from.Short(), err)
		}
		if out := c.consume(s); out != Consumed {
			return fmt.Errorf("entry %d from %s is not the next: %w", c.fold.Head.Index+1, from.Short(), ErrInvalid)
		}
	}
	return nil
}

// wanted is the index of the first entry that is still to be asked of a device.
func (c *Chat) wanted(from demes.DeviceID) uint64 {
	if w := c.log.way; w != nil && w.from == from && w.base == c.fold.Head {
		return w.head.Index + 1
	}
	return c.fold.Head.Index + 1
}
