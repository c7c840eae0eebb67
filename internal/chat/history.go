package chat

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Limits and waits of fetching history, in milliseconds where they are waits.
const (
	HistoryPace  = 50     // between two parts: what is said now goes on in between
	HistoryWait  = 5_000  // for an answer, before another member is asked
	HistoryAgain = 60_000 // before a member is asked again that has nothing, or did not answer
	AdoptBatch   = 2_000  // entries that join the settled log in one turn
)

// history is the settled log from before this device came, as far as it may see
// it. It is fetched from its first entry on and applied to a fold of its own, which
// checks every signature, right and order again. It counts once it has led to
// exactly the base by which this device came in; until then nothing of it is shown
// or served (docs/protocol.md#history).
type history struct {
	to     *wire.ReceiptBody // head and state of the base; nil: there is nothing to fetch
	fold   *Fold             // what was fetched, applied; nil: nothing yet
	tree   *mls.Observer     // the group of fold whose tree was written last
	proven bool              // it joins the settled log, newest first

	asked   demes.DeviceID // whose answer is waited for; zero: nobody's
	askedAt int64          // Mono ms
	nextAt  int64          // Mono ms before which nothing is asked or moved
	// told are those whose word fold stands on. When several told a lie together,
	// alone says that from then on all of it is to come from one.
	told   map[demes.DeviceID]bool
	alone  bool
	passed map[demes.DeviceID]int64 // who is not asked until then, Mono ms
	liars  map[demes.DeviceID]bool
}

// mayRecall reports whether a member may be shown something that settled before it
// came: its person was there, or its invite shared the history.
func (c *Chat) mayRecall(d demes.DeviceID) bool {
	m := c.fold.Members[d]
	return m != nil && c.shownFrom(d) < m.SinceIndex
}

// wantHistory begins to fetch what settled before the base by which this device
// has just come in.
func (c *Chat) wantHistory() {
	for _, name := range []string{"history", "history.proven", "history.fold", "history.tree"} {
		c.put(name, nil) // of an earlier life of this device
	}
	if !c.mayRecall(c.self) {
		return
	}
	state := c.fold.Hash()
	c.history.to = &wire.ReceiptBody{Chat: c.id[:], Head: wire.PutHead(c.fold.Head), StateHash: state[:]}
	c.put("history", wire.Marshal(c.history.to))
	c.batch().DropPast = true // an earlier life of this device may have left some
}

// resumeHistory goes on where the last run ended.
func (c *Chat) resumeHistory(values map[string][]byte) error {
	h := &c.history
	if len(values["history"]) == 0 {
		return nil
	}
	h.to = &wire.ReceiptBody{}
	if err := wire.Unmarshal(values["history"], h.to); err != nil {
		return err
	}
	if h.proven = len(values["history.proven"]) > 0; h.proven || len(values["history.fold"]) == 0 {
		return nil
	}
	state := &wire.State{}
	err := wire.Unmarshal(values["history.fold"], state)
	if err == nil {
		h.fold, err = decodeFold(state, values["history.tree"], true)
	}
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	h.tree = h.fold.group
	return nil
}

// next is the index of the first entry that is still to be fetched.
func (h *history) next() uint64 {
	if h.fold == nil {
		return 1
	}
	return h.fold.Head.Index + 1
}

// recall goes on with the history: it asks for the next part, or takes a part of
// what is proven into the settled log.
func (c *Chat) recall() {
	h := &c.history
	if h.to == nil || c.trouble != nil || c.now.Mono < h.nextAt {
		return
	}
	if h.proven {
		c.adopt()
		return
	}
	if !h.asked.IsZero() {
		if c.isConnected(h.asked) && c.now.Mono-h.askedAt < HistoryWait {
			return
		}
		h.pass(h.asked, c.now.Mono)
	}
	if h.alone && len(h.told) > 0 && !slices.ContainsFunc(c.historians(), func(d demes.DeviceID) bool { return h.told[d] }) {
		c.forgetPast() // who told it so far went away; another tells all of it
	}
	for _, d := range c.historians() {
		if h.alone && len(h.told) > 0 && !h.told[d] {
			continue
		}
		h.asked, h.askedAt = d, c.now.Mono
		c.send(d, &wire.Frame{Kind: &wire.Frame_Fetch{Fetch: &wire.Fetch{From: h.next(), Head: wire.PutHead(c.fold.Head), History: true}}})
		return
	}
}

// pass leaves a member alone for a while.
func (h *history) pass(d demes.DeviceID, now int64) {
	if h.passed == nil {
		h.passed = map[demes.DeviceID]int64{}
	}
	h.passed[d] = now + HistoryAgain
	h.asked = demes.DeviceID{}
}

// historians are the connected members that may be asked: this person's own
// devices first, then who came first and so has most of it.
func (c *Chat) historians() []demes.DeviceID {
	h, me := &c.history, c.fold.Members[c.self]
	out := slices.DeleteFunc(c.connected(), func(d demes.DeviceID) bool { return h.liars[d] || h.passed[d] > c.now.Mono })
	slices.SortStableFunc(out, func(a, b demes.DeviceID) int {
		x, y := c.fold.Members[a], c.fold.Members[b]
		if own := x.Account == me.Account; own != (y.Account == me.Account) {
			if own {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.SinceIndex, y.SinceIndex)
	})
	return out
}

// serveHistory answers with a part of the log from before the asker came. Who may
// see nothing of it gets nothing; who may see a part gets all that leads there,
// and has no keys to the rest. An answer without entries says that there are none.
func (c *Chat) serveHistory(from demes.DeviceID, m *wire.Fetch) error {
	if !c.mayRecall(from) || m.GetFrom() == 0 {
		return fmt.Errorf("history for %s from %d: %w", from.Short(), m.GetFrom(), ErrInvalid)
	}
	answer := &wire.Settled{From: m.GetFrom(), Head: wire.PutHead(c.fold.Head), Answer: true, History: true}
	if m.GetFrom() >= c.log.first {
		entries, err := c.cfg.Log.Settled(c.id, m.GetFrom(), wire.MaxBatch)
		if err != nil {
			return fmt.Errorf("answer fetch of history: %w", err)
		}
		for _, entry := range entries {
			if entry.Index <= c.log.durable {
				answer.Entries = append(answer.Entries, putEntry(entry, false))
			}
		}
	}
	c.send(from, &wire.Frame{Kind: &wire.Frame_Settled{Settled: answer}})
	return nil
}

// stepHistory takes a part of the history.
func (c *Chat) stepHistory(from demes.DeviceID, m *wire.Settled) error {
	h := &c.history
	if h.to == nil || h.proven || from != h.asked || m.GetFrom() != h.next() {
		return nil
	}
	if len(m.GetEntries()) == 0 {
		h.pass(from, c.now.Mono)
		return nil
	}
	h.asked, h.nextAt = demes.DeviceID{}, c.now.Mono+HistoryPace
	if h.fold == nil {
		h.fold = newFold(c.id)
	}
	if h.told == nil {
		h.told = map[demes.DeviceID]bool{}
	}
	h.told[from] = true
	for i, event := range c.openEntries(m.GetEntries()) {
		entry, err := c.retell(m.GetEntries()[i], event)
		if err != nil {
			c.mistold(from)
			return fmt.Errorf("history of %s at %d: %w", from.Short(), m.GetFrom()+uint64(i), err)
		}
		c.batch().Past = append(c.batch().Past, entry)
		if entry.Index == h.to.GetHead().GetIndex() {
			break
		}
	}
	if h.fold.Head.Index == h.to.GetHead().GetIndex() {
		return c.proveHistory(from)
	}
	c.put("history.fold", h.fold.Encode())
	if h.tree != h.fold.group {
		h.tree = h.fold.group
		c.put("history.tree", h.fold.group.Tree())
	}
	c.notice(Notice{Kind: NoticeMembers})
	return nil
}

// retell applies one entry to the history's fold, as the settled log was applied
// when it happened, and enters the generations where they began.
func (c *Chat) retell(raw *wire.SettledEntry, event opened) (SettledEntry, error) {
	f := c.history.fold
	s := Sealed{Generation: raw.GetGeneration(), Term: raw.GetTerm(), Slot: raw.GetSlot(), LogMs: raw.GetLogMs(), Record: raw.GetRecord()}
	if raw.GetEvent() != nil {
		if event.err != nil {
			return SettledEntry{}, event.err
		}
		s.Event = event.event
	}
	out, void := f.Apply(s)
	if out != Consumed {
		return SettledEntry{}, fmt.Errorf("it is not the next: %w", ErrInvalid)
	}
	entry := entryOf(f, s, void)
	for _, cert := range c.gens.chain {
		value := certValue(cert)
		base := wire.GetHead(value.GetBase())
		if value.GetParent() != f.Head.Generation || value.GetParent() >= c.history.to.GetHead().GetGeneration() || base.Index != f.Head.Index {
			continue
		}
		if base.Hash != f.Head.Hash {
			return SettledEntry{}, fmt.Errorf("it does not lead to the base of generation %d: %w", value.GetParent()+1, ErrInvalid)
		}
		f.Enter(value.GetParent()+1, devices(value.GetElectors()))
	}
	return entry, nil
}

// entryOf is what is kept of an entry that a fold has just consumed.
func entryOf(f *Fold, s Sealed, void string) SettledEntry {
	entry := SettledEntry{
		Index: f.Head.Index, Generation: s.Generation, Term: s.Term, Slot: s.Slot, LogMs: f.LogMs, Hash: f.Head.Hash, Void: void, Event: s.Event,
	}
	if s.Record != nil {
		entry.Record = wire.Marshal(s.Record)
	} else if s.Event.Kind == demes.KindMessage && void == "" {
		entry.Position = f.Position
	}
	return entry
}

// proveHistory compares where the history led with the base by which this device
// came in.
func (c *Chat) proveHistory(from demes.DeviceID) error {
	h := &c.history
	state := h.fold.Hash()
	if h.fold.Head != wire.GetHead(h.to.GetHead()) || !bytes.Equal(state[:], h.to.GetStateHash()) {
		c.mistold(from)
		return fmt.Errorf("the history that %s told does not lead to where this device began: %w", from.Short(), ErrInvalid)
	}
	h.fold, h.tree, h.proven, h.told, h.passed = nil, nil, true, nil, nil
	c.put("history.proven", []byte{1})
	c.put("history.fold", nil)
	c.put("history.tree", nil)
	return nil
}

// mistold drops a history that is not the true one. Whoever told all of it is not
// asked again; of several, nobody can say who it was.
func (c *Chat) mistold(from demes.DeviceID) {
	h := &c.history
	if len(h.told) == 1 {
		if h.liars == nil {
			h.liars = map[demes.DeviceID]bool{}
		}
		h.liars[from] = true
	}
	h.alone = true
	c.forgetPast()
}

// forgetPast drops all that was fetched.
func (c *Chat) forgetPast() {
	h := &c.history
	h.fold, h.tree, h.told, h.asked = nil, nil, nil, demes.DeviceID{}
	b := c.batch()
	b.Past, b.DropPast = nil, true
	c.put("history.fold", nil)
	c.put("history.tree", nil)
}

// adopt takes a part of the proven history into the settled log, the newest first,
// down to where this device may see it. Then what was said in it is asked for.
func (c *Chat) adopt() {
	h, from := &c.history, c.shownFrom(c.self)
	h.nextAt = c.now.Mono + HistoryPace
	if c.log.first > from {
		c.log.first = max(from, c.log.first-min(AdoptBatch, c.log.first))
		c.batch().Adopt = c.log.first
		c.put("first", wire.Marshal(wire.PutHead(demes.Head{Index: c.log.first - 1})))
		c.notice(Notice{Kind: NoticeMode}) // there are more messages: look again
		return
	}
	c.lackFrom(from, h.to.GetHead().GetIndex())
	c.batch().DropPast = true // what is left of it this device has no right to see
	c.put("history", nil)
	c.put("history.proven", nil)
	c.history = history{}
	c.notice(Notice{Kind: NoticeMembers})
}

// historyDeadline adds when the history goes on.
func (c *Chat) historyDeadline(add func(int64)) {
	h := &c.history
	switch {
	case h.to == nil || c.trouble != nil:
	case h.proven:
		add(max(h.nextAt, 1))
	case !h.asked.IsZero():
		add(h.askedAt + HistoryWait)
	case len(c.historians()) > 0:
		add(max(h.nextAt, 1))
	default:
		for d, until := range h.passed {
			if c.isConnected(d) && c.fold.Members[d] != nil {
				add(until)
			}
		}
	}
}

// historyView says how far the history has come; nil when there is none to fetch.
func (c *Chat) historyView() *demes.Progress {
	h := &c.history
	if h.to == nil {
		return nil
	}
	p := &demes.Progress{Done: h.next() - 1, Total: h.to.GetHead().GetIndex()}
	if h.proven {
		p.Done = p.Total
	}
	return p
}
