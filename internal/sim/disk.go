package sim

import (
	"cmp"
	"maps"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// disk is a node's store: what was committed survives a crash.
type disk struct {
	id      demes.ChatID
	values  map[string][]byte
	raft    []chat.RaftEntry
	events  map[demes.EventID]*demes.Event // held and settled
	settled []chat.SettledEntry            // by index
	past    map[uint64]chat.SettledEntry   // before settled, and not proven
	outbox  map[uint64]chat.OutboxItem
	pending *chat.Batch // being written

	secrets  map[secretName][]byte
	contents map[demes.EventID]chat.Content
}

// secretName names one record that holds keys.
type secretName struct{ space, name string }

func newDisk() *disk {
	return &disk{
		values: map[string][]byte{}, events: map[demes.EventID]*demes.Event{}, outbox: map[uint64]chat.OutboxItem{},
		secrets: map[secretName][]byte{}, contents: map[demes.EventID]chat.Content{}, past: map[uint64]chat.SettledEntry{},
	}
}

func (d *disk) clone() *disk {
	return &disk{
		id: d.id, values: maps.Clone(d.values), raft: slices.Clone(d.raft), events: maps.Clone(d.events),
		settled: slices.Clone(d.settled), outbox: maps.Clone(d.outbox),
		secrets: maps.Clone(d.secrets), contents: maps.Clone(d.contents),
		past: maps.Clone(d.past),
	}
}

func (d *disk) begin(b *chat.Batch) { d.pending = b }

// commit makes the batch durable, all of it.
func (d *disk) commit() {
	b := d.pending
	d.pending = nil
	if b == nil {
		return
	}
	d.id = b.Chat
	for _, v := range b.Put {
		if len(v.Data) == 0 {
			delete(d.values, v.Name)
			continue
		}
		d.values[v.Name] = v.Data
	}
	if b.Raft != nil {
		d.commitRaft(b.Raft)
	}
	for _, e := range b.Events {
		if d.events[e.ID] == nil {
			d.events[e.ID] = e
		}
	}
	if b.Unsettle != nil {
		for len(d.settled) > 0 && d.settled[len(d.settled)-1].Index > *b.Unsettle {
			d.settled = d.settled[:len(d.settled)-1]
		}
	}
	for _, id := range b.Drop {
		delete(d.events, id)
	}
	for _, s := range b.Settled {
		if n := len(d.settled); n == 0 || d.settled[n-1].Index < s.Index {
			d.settled = append(d.settled, s)
			if s.Event != nil {
				d.events[s.Event.ID] = s.Event
			}
		}
	}
	d.commitPast(b)
	for _, item := range b.Outbox {
		d.outbox[item.Seq] = item
	}
	for _, seq := range b.OutboxDone {
		delete(d.outbox, seq)
	}
	for _, content := range b.Contents {
		d.contents[content.Event] = content
	}
	for _, id := range b.Forget {
		delete(d.contents, id)
	}
	for _, change := range b.Secrets {
		d.commitSecrets(change)
	}
}

// commitPast keeps what is not proven apart, and takes in what is.
func (d *disk) commitPast(b *chat.Batch) {
	if b.DropPast {
		clear(d.past)
	}
	for _, s := range b.Past {
		d.past[s.Index] = s
	}
	if b.Adopt == 0 {
		return
	}
	for _, index := range slices.Sorted(maps.Keys(d.past)) {
		s := d.past[index]
		if index < b.Adopt {
			continue
		}
		delete(d.past, index)
		d.settled = slices.DeleteFunc(d.settled, func(old chat.SettledEntry) bool {
			return old.Index == index || old.Event != nil && s.Event != nil && old.Event.ID == s.Event.ID
		})
		d.settled = append(d.settled, s)
		if s.Event != nil {
			d.events[s.Event.ID] = s.Event
		}
	}
	slices.SortFunc(d.settled, func(x, y chat.SettledEntry) int { return cmp.Compare(x.Index, y.Index) })
}

func (d *disk) commitSecrets(change chat.SecretChange) {
	maps.DeleteFunc(d.secrets, func(key secretName, _ []byte) bool {
		return key.space == change.Space && (change.Reset || slices.Contains(change.Delete, key.name))
	})
	for _, v := range change.Put {
		d.secrets[secretName{change.Space, v.Name}] = slices.Clone(v.Data) // the keys' owner may wipe its own copy
	}
}

// read is an event as a store returns it: what was read in it stands in its
// content, and nowhere once that is forgotten.
func (d *disk) read(e *demes.Event) *demes.Event {
	if e == nil {
		return nil
	}
	out := *e
	out.Plain, out.ExpiresMs = d.contents[e.ID].Plain, d.contents[e.ID].ExpiresMs
	return &out
}

func (d *disk) commitRaft(r *chat.RaftChange) {
	if r.Reset {
		d.raft = nil
	}
	if len(r.Entries) > 0 {
		d.raft = slices.DeleteFunc(d.raft, func(e chat.RaftEntry) bool { return e.Index >= r.Entries[0].Index })
		d.raft = append(d.raft, r.Entries...)
	}
	d.raft = slices.DeleteFunc(d.raft, func(e chat.RaftEntry) bool { return e.Index <= r.CompactedTo })
}

// Settled implements chat.Log.
func (d *disk) Settled(_ demes.ChatID, from uint64, maxBytes int) (out []chat.SettledEntry, err error) {
	at, here := slices.BinarySearchFunc(d.settled, from, func(s chat.SettledEntry, index uint64) int { return cmp.Compare(s.Index, index) })
	if !here {
		return nil, nil
	}
	size := 0
	for i := at; i < len(d.settled) && size < maxBytes && d.settled[i].Index == from+uint64(i-at); i++ {
		entry := d.settled[i]
		entry.Event = d.read(entry.Event)
		out = append(out, entry)
		size += 200
		if e := d.settled[i].Event; e != nil {
			size += e.Size()
		}
	}
	return out, nil
}

// Expiring implements chat.Log.
func (d *disk) Expiring(_ demes.ChatID, untilMs int64, limit int) (ids []demes.EventID, nextMs int64, err error) {
	all := slices.SortedFunc(maps.Values(d.contents), func(a, b chat.Content) int {
		return cmp.Or(cmp.Compare(a.ExpiresMs, b.ExpiresMs), a.Event.Compare(b.Event))
	})
	for _, content := range all {
		switch {
		case content.ExpiresMs == 0:
		case content.ExpiresMs > untilMs || len(ids) >= limit:
			return ids, content.ExpiresMs, nil
		default:
			ids = append(ids, content.Event)
		}
	}
	return ids, 0, nil
}

// Amends implements chat.Log.
func (d *disk) Amends(_ demes.ChatID, targets []demes.EventID) (out []chat.SettledEntry, err error) {
	amends := func(id demes.EventID) bool {
		content, said := d.contents[id]
		if !said || !content.Amends || content.Target == nil {
			return said && content.Amends && len(targets) == 0
		}
		return slices.Contains(targets, *content.Target)
	}
	settled := map[demes.EventID]bool{}
	for _, entry := range d.settled {
		if entry.Event == nil {
			continue
		}
		settled[entry.Event.ID] = true
		if entry.Void == "" && amends(entry.Event.ID) {
			entry.Event = d.read(entry.Event)
			out = append(out, entry)
		}
	}
	held := len(out)
	for id, e := range d.events {
		if !settled[id] && amends(id) {
			out = append(out, chat.SettledEntry{Event: d.read(e)})
		}
	}
	slices.SortFunc(out[held:], func(a, b chat.SettledEntry) int {
		return cmp.Or(cmp.Compare(a.Event.Lamport, b.Event.Lamport), a.Event.ID.Compare(b.Event.ID))
	})
	return out, nil
}

// load is what a restart reads; nil when nothing was ever written.
func (d *disk) load() *chat.Saved {
	if d.id.IsZero() {
		return nil
	}
	s := &chat.Saved{Chat: d.id, Values: maps.Clone(d.values), Raft: slices.Clone(d.raft)}
	settled := map[demes.EventID]bool{}
	for _, entry := range d.settled {
		if entry.Event != nil {
			settled[entry.Event.ID] = true
		}
	}
	for _, e := range d.events {
		if !settled[e.ID] {
			s.Tail = append(s.Tail, d.read(e))
		}
	}
	slices.SortFunc(s.Tail, func(a, b *demes.Event) int { return a.ID.Compare(b.ID) })
	for _, item := range d.outbox {
		s.Outbox = append(s.Outbox, item)
	}
	slices.SortFunc(s.Outbox, func(a, b chat.OutboxItem) int { return int(a.Seq) - int(b.Seq) })
	s.Secrets = d.loadSecrets()
	return s
}

func (d *disk) loadSecrets() map[string][]chat.Value {
	out := map[string][]chat.Value{}
	for key, data := range d.secrets {
		out[key.space] = append(out[key.space], chat.Value{Name: key.name, Data: slices.Clone(data)})
	}
	for _, values := range out {
		slices.SortFunc(values, func(a, b chat.Value) int { return cmp.Compare(a.Name, b.Name) })
	}
	return out
}
