package chat

import (
	"cmp"
	"maps"
	"slices"

	"github.com/demes-chat/demes"
)

// memory is a store that keeps everything in memory. What was read in an event
// stands beside it, as on a disk: an event that is read back is a copy.
type memory struct {
	values   map[string][]byte
	raft     []RaftEntry
	events   map[demes.EventID]*demes.Event
	settled  []SettledEntry
	outbox   map[uint64]OutboxItem
	secrets  map[string]map[string][]byte
	contents map[demes.EventID]Content
	durably  map[demes.EventID]bool // what was said in the event has once been on the disk
	reads    int                    // how often the log was read
}

func newMemory() *memory {
	return &memory{
		values: map[string][]byte{}, events: map[demes.EventID]*demes.Event{}, outbox: map[uint64]OutboxItem{},
		secrets: map[string]map[string][]byte{}, contents: map[demes.EventID]Content{}, durably: map[demes.EventID]bool{},
	}
}

func (m *memory) clone() *memory {
	secrets := map[string]map[string][]byte{}
	for space, records := range m.secrets {
		secrets[space] = maps.Clone(records)
	}
	return &memory{
		values: maps.Clone(m.values), raft: slices.Clone(m.raft), events: maps.Clone(m.events), settled: slices.Clone(m.settled),
		outbox: maps.Clone(m.outbox), secrets: secrets, contents: maps.Clone(m.contents),
		durably: maps.Clone(m.durably),
	}
}

func (m *memory) commit(b *Batch) {
	for _, v := range b.Put {
		if m.values[v.Name] = v.Data; len(v.Data) == 0 {
			delete(m.values, v.Name)
		}
	}
	m.keepRaft(b.Raft)
	for _, e := range b.Events {
		m.events[e.ID] = blank(e)
	}
	for _, id := range b.Drop {
		delete(m.events, id)
	}
	if b.Unsettle != nil {
		m.settled = slices.DeleteFunc(m.settled, func(s SettledEntry) bool { return s.Index > *b.Unsettle })
	}
	for _, s := range b.Settled {
		if s.Event != nil {
			delete(m.events, s.Event.ID)
			s.Event = blank(s.Event)
		}
		m.settled = append(m.settled, s)
	}
	for _, item := range b.Outbox {
		m.outbox[item.Seq] = item
	}
	for _, seq := range b.OutboxDone {
		delete(m.outbox, seq)
	}
	m.keepSecrets(b.Secrets)
	for _, c := range b.Contents {
		c.Plain = slices.Clone(c.Plain)
		m.contents[c.Event] = c
	}
	for _, c := range b.Contents {
		if len(m.contents[c.Event].Plain) > 1 {
			m.durably[c.Event] = true
		}
	}
	for _, id := range b.Forget {
		delete(m.contents, id)
	}
}

func (m *memory) keepRaft(r *RaftChange) {
	if r == nil {
		return
	}
	if r.Reset {
		m.raft = nil
	}
	if len(r.Entries) > 0 {
		m.raft = slices.DeleteFunc(m.raft, func(e RaftEntry) bool { return e.Index >= r.Entries[0].Index })
		m.raft = append(m.raft, r.Entries...)
	}
	m.raft = slices.DeleteFunc(m.raft, func(e RaftEntry) bool { return e.Index <= r.CompactedTo })
}

func (m *memory) keepSecrets(changes []SecretChange) {
	for _, change := range changes {
		records := m.secrets[change.Space]
		if change.Reset || records == nil {
			records = map[string][]byte{}
		}
		for _, name := range change.Delete {
			delete(records, name)
		}
		for _, v := range change.Put {
			records[v.Name] = slices.Clone(v.Data)
		}
		if m.secrets[change.Space] = records; len(records) == 0 {
			delete(m.secrets, change.Space)
		}
	}
}

// blank is an event without what was read in it.
func blank(e *demes.Event) *demes.Event {
	if e == nil {
		return nil
	}
	kept := *e
	kept.Plain, kept.ExpiresMs = nil, 0
	return &kept
}

// plain is what was read in an event; nil when it was not.
func (m *memory) plain(id demes.EventID) []byte { return slices.Clone(m.contents[id].Plain) }

// read is an event as the disk gives it back.
func (m *memory) read(e *demes.Event) *demes.Event {
	if e == nil {
		return nil
	}
	kept := *e
	kept.Plain, kept.ExpiresMs = m.plain(e.ID), m.contents[e.ID].ExpiresMs
	return &kept
}

// Settled implements Log.
func (m *memory) Settled(_ demes.ChatID, from uint64, maxBytes int) (out []SettledEntry, _ error) {
	m.reads++
	at, _ := slices.BinarySearchFunc(m.settled, from, func(s SettledEntry, from uint64) int { return cmp.Compare(s.Index, from) })
	if at == len(m.settled) || m.settled[at].Index != from {
		return nil, nil
	}
	for size := 0; at < len(m.settled) && size < maxBytes; at++ {
		entry := m.settled[at]
		entry.Event = m.read(entry.Event)
		out = append(out, entry)
		size += 200 + len(entry.Record)
		if e := entry.Event; e != nil {
			size += e.Size()
		}
	}
	return out, nil
}

// Expiring implements Log.
func (m *memory) Expiring(_ demes.ChatID, untilMs int64, limit int) (ids []demes.EventID, nextMs int64, _ error) {
	var all []Content
	for _, c := range m.contents {
		if c.ExpiresMs != 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Content) int { return cmp.Or(cmp.Compare(a.ExpiresMs, b.ExpiresMs), a.Event.Compare(b.Event)) })
	for _, c := range all {
		if c.ExpiresMs > untilMs || len(ids) == limit {
			return ids, c.ExpiresMs, nil
		}
		ids = append(ids, c.Event)
	}
	return ids, 0, nil
}

// Amends implements Log.
func (m *memory) Amends(_ demes.ChatID, targets []demes.EventID) (out []SettledEntry, _ error) {
	names := func(e *demes.Event) bool {
		c, is := m.contents[e.ID]
		if !is || !c.Amends || c.Target == nil {
			return is && c.Amends && len(targets) == 0
		}
		return slices.Contains(targets, *c.Target)
	}
	for _, s := range m.settled {
		if s.Event != nil && s.Void == "" && names(s.Event) {
			s.Event = m.read(s.Event)
			out = append(out, s)
		}
	}
	var held []*demes.Event
	for _, e := range m.events {
		if names(e) {
			held = append(held, m.read(e))
		}
	}
	slices.SortFunc(held, func(a, b *demes.Event) int {
		if a.Before(b) {
			return -1
		}
		return 1
	})
	for _, e := range held {
		out = append(out, SettledEntry{Event: e})
	}
	return out, nil
}

func (m *memory) saved(chat demes.ChatID) *Saved {
	s := &Saved{Chat: chat, Values: maps.Clone(m.values), Raft: slices.Clone(m.raft), Secrets: map[string][]Value{}}
	for _, e := range m.events {
		s.Tail = append(s.Tail, m.read(e))
	}
	slices.SortFunc(s.Tail, func(a, b *demes.Event) int { return a.ID.Compare(b.ID) })
	s.Outbox = slices.SortedFunc(maps.Values(m.outbox), func(a, b OutboxItem) int { return cmp.Compare(a.Seq, b.Seq) })
	for space, records := range m.secrets {
		for _, name := range slices.Sorted(maps.Keys(records)) {
			s.Secrets[space] = append(s.Secrets[space], Value{Name: name, Data: slices.Clone(records[name])})
		}
	}
	return s
}
