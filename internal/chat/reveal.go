package chat

import (
	"fmt"
	"slices"

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

// askContents asks one member after the other for the first part of what lacks.
func (c *Chat) askContents() {
	r := &c.reading
	if r.lacks.empty() || r.askedAt != 0 && c.now.Mono-r.askedAt < RevealAgain {
		return
	}
	if len(r.lack) > 0 && len(r.lack) >= len(c.fold.Members)-1 {
		c.skipLacks(r.lacks.from) // nobody has it
		return
	}
	there := c.mayShow()
	if len(there) == 0 {
		c.askHeads()
		return
	}
	if r.asked == r.shower || !slices.Contains(there, r.shower) {
		r.shower = there[r.turn%len(there)] // who showed something last did not answer, or is gone
		r.turn++
	}
	r.asked, r.askedAt = r.shower, c.now.Mono
	c.send(r.asked, &wire.Frame{Kind: &wire.Frame_RevealAsk{RevealAsk: &wire.RevealAsk{From: r.lacks.from, To: r.lacks.to}}})
}

// askHeads asks those who are there how far they have come: what was heard of it may
// be old, and in a quiet chat nobody says it unasked.
func (c *Chat) askHeads() {
	c.reading.asked, c.reading.askedAt = demes.DeviceID{}, c.now.Mono
	for _, d := range c.connected() {
		if !c.reading.lack[d] {
			c.say(d, false)
		}
	}
}

// mayShow lists who is there and may have what lacks.
func (c *Chat) mayShow() (out []demes.DeviceID) {
	for _, d := range c.connected() {
		if !c.reading.lack[d] && c.peers[d].head.Index >= c.reading.lacks.from {
			out = append(out, d)
		}
	}
	return out
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
	answer.To = m.GetFrom() // this device may have come later: somebody else has it
	if len(entries) > 0 {
		answer.To = max(min(m.GetTo(), entries[len(entries)-1].Index), m.GetFrom())
	}
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
	return max(c.fold.shownTo(me.Account, me.SinceIndex), 1)
}

// stepRevealed takes contents that were asked for.
func (c *Chat) stepRevealed(from demes.DeviceID, m *wire.Revealed) error {
	r := &c.reading
	if r.asked != from || r.lacks.empty() || m.GetFrom() > r.lacks.from || m.GetTo() < r.lacks.from || c.log.durable < m.GetTo() {
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
		if c.overdue(entry) {
			c.keepContent(e, expired)
			continue
		}
		if e != nil && e.Kind.HasContent() && entry.Void == "" && e.Plain == nil {
			plain, has := shown[e.ID]
			if !has {
				c.lackOn(from, entry.Index, ids)
				return nil
			}
			if _, err := wire.OpenContent(e, plain); err != nil {
				c.lackOn(from, entry.Index, ids)
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

// overdue reports whether an entry's content has had its time: nobody has it any
// more.
func (c *Chat) overdue(entry *SettledEntry) bool {
	after := c.fold.Settings.DisappearAfter
	return after > 0 && entry.Event != nil && entry.Event.Kind == demes.KindMessage && entry.Event.Plain == nil && entry.LogMs+after <= c.now.Wall
}

// lackOn goes on with another member at an entry that this one did not show.
func (c *Chat) lackOn(from demes.DeviceID, index uint64, ids []demes.EventID) {
	if index > c.reading.lacks.from {
		c.skipLacks(index - 1)
	}
	if c.reading.lack == nil {
		c.reading.lack = map[demes.DeviceID]bool{}
	}
	c.reading.lack[from], c.reading.askedAt = true, 0
	c.showRead(ids)
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
	r.lack, r.asked, r.askedAt = nil, demes.DeviceID{}, 0
	c.keepLacks()
}
