package chat

import (
	"fmt"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// RevealAgain is how long a question for contents waits for its answer, in
// milliseconds.
const RevealAgain = 2_000

// What this device has no keys for any more – it lost them, or was away for too
// long – another member shows it. The author's signature over the event covers a
// commitment to the content, so nobody can make it say something else
// (docs/protocol.md#revealing).

// askContents asks a member for the first part of what lacks.
func (c *Chat) askContents() {
	r := &c.reading
	if r.lacks.empty() || r.askedAt != 0 && c.now.Mono-r.askedAt < RevealAgain {
		return
	}
	for _, d := range c.connected() {
		if r.asked[d] || c.peers[d].head.Index < r.lacks.from {
			continue
		}
		if r.asked == nil {
			r.asked = map[demes.DeviceID]bool{}
		}
		r.asked[d], r.askedAt = true, c.now.Mono
		c.send(d, &wire.Frame{Kind: &wire.Frame_RevealAsk{RevealAsk: &wire.RevealAsk{From: r.lacks.from, To: r.lacks.to}}})
		return
	}
	r.askedAt = c.now.Mono
	if len(r.asked) > 0 && len(r.asked) >= len(c.fold.Members)-1 {
		c.skipLacks(r.lacks.from) // nobody has it
	}
}

// stepRevealAsk shows a member what was said while it was one, or all of it where
// its invite shared that.
func (c *Chat) stepRevealAsk(from demes.DeviceID, m *wire.RevealAsk) error {
	since := c.shownFrom(from)
	if m.GetFrom() == 0 || m.GetTo() < m.GetFrom() {
		return fmt.Errorf("reveal %d to %d: %w", m.GetFrom(), m.GetTo(), ErrInvalid)
	}
	first := max(m.GetFrom(), since)
	answer := &wire.Revealed{From: m.GetFrom(), To: m.GetTo()}
	entries, err := c.cfg.Log.Settled(c.id, first, wire.MaxBatch)
	if err != nil {
		return fmt.Errorf("reveal: %w", err)
	}
	if len(entries) == 0 || entries[0].Index > first {
		return nil // this device came later: somebody else has it
	}
	answer.To = min(m.GetTo(), entries[len(entries)-1].Index)
	for _, entry := range entries {
		if e := entry.Event; e != nil && entry.Index <= m.GetTo() && len(e.Plain) > 1 {
			answer.Contents = append(answer.Contents, &wire.Content{Device: e.ID.Device[:], Seq: e.ID.Seq, Plain: e.Plain})
		}
	}
	c.send(from, &wire.Frame{Kind: &wire.Frame_Revealed{Revealed: answer}})
	return nil
}

// shownFrom is the index from which on a device may be shown what was said: since
// the first device of its person came.
func (c *Chat) shownFrom(d demes.DeviceID) uint64 {
	me := c.fold.Members[d]
	since := me.SinceIndex
	for _, m := range c.fold.Members {
		if m.Account == me.Account {
			since = min(since, m.SinceIndex)
			if m.History {
				return 1
			}
		}
	}
	return max(since, 1)
}

// stepRevealed takes contents that were asked for.
func (c *Chat) stepRevealed(from demes.DeviceID, m *wire.Revealed) error {
	r := &c.reading
	if !r.asked[from] || r.lacks.empty() || m.GetFrom() > r.lacks.from || m.GetTo() < r.lacks.from || c.log.durable < m.GetTo() {
		return nil
	}
	shown := map[demes.EventID][]byte{}
	for _, one := range m.GetContents() {
		shown[demes.EventID{Device: wire.Device(one.GetDevice()), Seq: one.GetSeq()}] = one.GetPlain()
	}
	entries, err := c.cfg.Log.Settled(c.id, r.lacks.from, wire.MaxBatch)
	if err != nil {
		return fmt.Errorf("take what was revealed: %w", err)
	}
	var ids []demes.EventID
	for i := range entries {
		entry := &entries[i]
		if entry.Index > min(m.GetTo(), r.lacks.to) {
			break
		}
		e := entry.Event
		if e != nil && e.Kind.HasContent() && entry.Void == "" && e.Plain == nil {
			plain, has := shown[e.ID]
			if !has {
				return c.lackOn(entry.Index, ids)
			}
			if _, err := wire.OpenContent(e, plain); err != nil {
				_ = c.lackOn(entry.Index, ids)
				return fmt.Errorf("%s shows another content of %s: %w", from.Short(), e.ID, err)
			}
			c.keepContent(e, plain)
			c.settleContent(entry)
			ids = append(ids, e.ID)
		}
	}
	c.skipLacks(min(m.GetTo(), r.lacks.to))
	c.showRead(ids)
	return nil
}

// lackOn goes on with another member at an entry that this one did not show.
func (c *Chat) lackOn(index uint64, ids []demes.EventID) error {
	if index > c.reading.lacks.from {
		c.skipLacks(index - 1)
		c.reading.asked = map[demes.DeviceID]bool{}
	}
	c.reading.askedAt = 0
	c.showRead(ids)
	return nil
}

func (c *Chat) showRead(ids []demes.EventID) {
	if len(ids) > 0 {
		c.notice(Notice{Kind: NoticeSettled, Ids: ids})
	}
	c.notice(Notice{Kind: NoticeMembers})
}

// skipLacks goes on behind an index.
func (c *Chat) skipLacks(through uint64) {
	r := &c.reading
	r.lacks.from = through + 1
	if r.lacks.from > r.lacks.to {
		r.lacks, r.total = span{}, 0
	}
	r.asked, r.askedAt = nil, 0
	c.keepLacks()
}
