package chat

import (
	"fmt"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// fetch asks a device for the settled log from where it ends here.
func (c *Chat) fetch(from demes.DeviceID) {
	p := c.peer(from)
	if p.fetchAt != 0 && c.now.Mono-p.fetchAt < AskAgain {
		return
	}
	p.fetchAt = c.now.Mono
	c.send(from, &wire.Frame{Kind: &wire.Frame_Fetch{Fetch: &wire.Fetch{From: c.wanted(from), Head: wire.PutHead(c.fold.Head)}}})
}

// stepFetch answers with a range of the settled log. Who has reached its end is
// sent what settles from then on.
func (c *Chat) stepFetch(from demes.DeviceID, m *wire.Fetch) error {
	if m.GetHistory() {
		return c.serveHistory(from, m)
	}
	if asker := c.fold.Members[from]; asker == nil || m.GetFrom() < asker.SinceIndex {
		return fmt.Errorf("fetch of %s from %d, before it came: %w", from.Short(), m.GetFrom(), ErrInvalid)
	}
	if m.GetFrom() == 0 || m.GetFrom() < c.log.first || m.GetFrom() > c.fold.Head.Index+1 {
		return nil // this device joined later, or is behind: somebody else has it
	}
	entries, err := c.cfg.Log.Settled(c.id, m.GetFrom(), wire.MaxBatch)
	if err != nil {
		return fmt.Errorf("answer fetch: %w", err)
	}
	answer := &wire.Settled{From: m.GetFrom(), Head: wire.PutHead(c.fold.Head), Final: c.final.proof, Answer: true}
	answer.Term = c.hostTerm()
	end := m.GetFrom() - 1
	for _, entry := range entries {
		if entry.Index > c.log.durable {
			break
		}
		answer.Entries = append(answer.Entries, putEntry(entry, false))
		end = entry.Index
	}
	answer.Last = end >= c.log.durable
	p := c.peer(from)
	if answer.Last {
		p.live, p.cursor = true, end
	}
	c.send(from, &wire.Frame{Kind: &wire.Frame_Settled{Settled: answer}})
	return nil
}

func putEntry(entry SettledEntry, bare bool) *wire.SettledEntry {
	out := &wire.SettledEntry{Term: entry.Term, LogMs: entry.LogMs, Generation: entry.Generation, Slot: entry.Slot}
	switch {
	case entry.Event == nil:
		record := &wire.Record{}
		if wire.Unmarshal(entry.Record, record) == nil {
			out.What = &wire.SettledEntry_Record{Record: record}
		}
	case bare:
		out.What = &wire.SettledEntry_Held{Held: wire.PutMark(demes.Mark{Device: entry.Event.ID.Device, Seq: entry.Event.ID.Seq, Hash: entry.Event.Hash})}
	default:
		out.What = &wire.SettledEntry_Event{Event: wire.PutEvent(entry.Event)}
	}
	return out
}

// stepSettled goes on in the settled log with what another device says follows.
func (c *Chat) stepSettled(from demes.DeviceID, m *wire.Settled) error {
	p := c.peer(from)
	p.head = wire.GetHead(m.GetHead())
	if m.GetHistory() {
		return c.stepHistory(from, m)
	}
	if m.GetAnswer() && len(m.GetEntries()) > 0 && m.GetFrom()+uint64(len(m.GetEntries())) > c.wanted(from) {
		p.fetchAt = 0 // it told something new: the next question need not wait
	}
	if host, known := c.hostNow(); known && host == from {
		c.log.way = nil // its word needs no proof
	}
	if m.GetFrom() == 0 || m.GetFrom() > c.wanted(from) {
		c.fetch(from)
		return nil
	}
	if err := c.settleBy(from, m); err != nil {
		return err
	}
	if m.GetFinal() != nil {
		if err := c.final.accept(c, m.GetFinal()); err != nil {
			return err
		}
	}
	if m.GetAnswer() && !m.GetLast() && p.head.Index >= c.wanted(from) {
		c.fetch(from)
	}
	c.afterSettled()
	return nil
}

// settleBy says whose word on the settled order is taken: the host's, and that of
// anybody who proves it.
func (c *Chat) settleBy(from demes.DeviceID, m *wire.Settled) error {
	if host, known := c.hostNow(); !known || host != from {
		return c.follow(from, m)
	}
	// The host's own followers settle by Raft; for them this is a range that
	// Raft has compacted away.
	skip := c.fold.Head.Index + 1 - m.GetFrom()
	if skip >= uint64(len(m.GetEntries())) {
		return nil
	}
	return c.consumeAll(from, m.GetEntries()[skip:])
}
