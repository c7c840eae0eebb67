package contract

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/node"
)

// MemoryStore is the simulated node.Store: it keeps everything in maps and is
// the plain model that TestStore compares other implementations with. Close and
// Reopen play a restart. It is as atomic as a real one, and as quick to notice
// a settled entry that would be rewritten.
type MemoryStore struct {
	mu      sync.Mutex // guards what follows
	chats   []demes.ChatID
	logs    map[demes.ChatID]*memoryChat
	values  map[string][]byte
	closed  bool
	failure error // what every Commit and SetValue answers, when not nil
}

var _ node.Store = (*MemoryStore)(nil)

// errMemory says that a batch breaks an invariant of the log.
var errMemory = errors.New("a number is too large, or a settled entry is there already and differs")

// memoryChat is one chat. Invariant: bySeq and byPosition name exactly the
// entries of settled that have an event and a position.
type memoryChat struct {
	generation uint64
	values     map[string][]byte
	raft       map[uint64]chat.RaftEntry
	held       map[demes.EventID]*demes.Event
	settled    map[uint64]chat.SettledEntry
	past       map[uint64]chat.SettledEntry
	byID       map[demes.EventID]uint64
	byPosition map[uint64]uint64
	outbox     map[uint64]chat.OutboxItem
	secrets    map[secretName][]byte
	contents   map[demes.EventID]chat.Content
}

// secretName names one record that holds keys.
type secretName struct{ space, name string }

// NewMemoryStore returns an empty one.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{logs: map[demes.ChatID]*memoryChat{}, values: map[string][]byte{}}
}

// Fail makes every Commit and SetValue from now on fail with the error and do
// nothing; nil ends that.
func (m *MemoryStore) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

// Reopen makes a closed store usable again, as a restart would.
func (m *MemoryStore) Reopen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = false
}

// Close implements node.Store.
func (m *MemoryStore) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// usable is called with mu held.
func (m *MemoryStore) usable() error {
	if m.closed {
		return demes.Problem(demes.CodeShuttingDown, "The profile is closed", "Start DeMes again.")
	}
	return nil
}

// undo are the steps back, last one first.
type undo []func()

func (u undo) run() {
	for _, back := range slices.Backward(u) {
		back()
	}
}

func put[K comparable, V any](u *undo, m map[K]V, k K, v V) {
	old, had := m[k]
	*u = append(*u, func() {
		if had {
			m[k] = old
		} else {
			delete(m, k)
		}
	})
	m[k] = v
}

func drop[K comparable, V any](u *undo, m map[K]V, k K) {
	if old, had := m[k]; had {
		*u = append(*u, func() { m[k] = old })
		delete(m, k)
	}
}

// Commit implements node.Store.
func (m *MemoryStore) Commit(batches []*chat.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(m.usable(), m.failure); err != nil {
		return err
	}
	var back undo
	for _, b := range batches {
		if b == nil {
			continue
		}
		if err := m.chat(&back, b.Chat).apply(&back, b); err != nil {
			back.run()
			return err
		}
	}
	return nil
}

// chat returns a chat and makes it when it is new.
func (m *MemoryStore) chat(u *undo, id demes.ChatID) *memoryChat {
	if m.logs[id] == nil {
		put(u, m.logs, id, &memoryChat{
			values: map[string][]byte{}, raft: map[uint64]chat.RaftEntry{}, held: map[demes.EventID]*demes.Event{},
			settled: map[uint64]chat.SettledEntry{}, past: map[uint64]chat.SettledEntry{}, byID: map[demes.EventID]uint64{},
			byPosition: map[uint64]uint64{}, outbox: map[uint64]chat.OutboxItem{},
			secrets: map[secretName][]byte{}, contents: map[demes.EventID]chat.Content{},
		})
		before := m.chats
		*u = append(*u, func() { m.chats = before })
		m.chats = append(m.chats, id)
	}
	return m.logs[id]
}

func (c *memoryChat) apply(u *undo, b *chat.Batch) error {
	for _, v := range b.Put {
		if len(v.Data) == 0 {
			drop(u, c.values, v.Name)
		} else {
			put(u, c.values, v.Name, slices.Clone(v.Data))
		}
	}
	if err := c.changeRaft(u, b.Raft); err != nil {
		return err
	}
	if b.Unsettle != nil {
		c.unsettle(u, *b.Unsettle)
	}
	for _, id := range b.Drop {
		drop(u, c.held, id)
	}
	for _, e := range b.Events {
		if e.ID.Seq > math.MaxInt64 {
			return errMemory
		}
		if _, settled := c.byID[e.ID]; !settled && c.held[e.ID] == nil {
			put(u, c.held, e.ID, sealed(e))
		}
	}
	for _, e := range b.Settled {
		e.Record, e.Event = slices.Clone(e.Record), sealed(e.Event)
		if err := c.settle(u, e); err != nil {
			return err
		}
	}
	if err := c.keepPast(u, b); err != nil {
		return err
	}
	if err := c.changeContents(u, b); err != nil {
		return err
	}
	c.changeSecrets(u, b.Secrets)
	for _, item := range b.Outbox {
		if item.Seq > math.MaxInt64 {
			return errMemory
		}
		item.Payload = slices.Clone(item.Payload)
		put(u, c.outbox, item.Seq, item)
	}
	for _, seq := range b.OutboxDone {
		drop(u, c.outbox, seq)
	}
	return nil
}

func (c *memoryChat) changeRaft(u *undo, r *chat.RaftChange) error {
	if r == nil {
		return nil
	}
	from := uint64(math.MaxUint64)
	if len(r.Entries) > 0 {
		from = r.Entries[0].Index
	}
	if r.Reset || r.Generation != c.generation {
		from = 0
	}
	generation := c.generation
	*u = append(*u, func() { c.generation = generation })
	c.generation = r.Generation
	for index := range c.raft {
		if index >= from {
			drop(u, c.raft, index)
		}
	}
	for _, e := range r.Entries {
		if e.Index > math.MaxInt64 {
			return errMemory
		}
		e.Data = slices.Clone(e.Data)
		put(u, c.raft, e.Index, e)
	}
	for index := range c.raft {
		if r.CompactedTo != 0 && index <= r.CompactedTo {
			drop(u, c.raft, index)
		}
	}
	return nil
}

func (c *memoryChat) unsettle(u *undo, index uint64) {
	for _, e := range c.settled {
		if e.Index <= index {
			continue
		}
		drop(u, c.settled, e.Index)
		drop(u, c.byPosition, e.Position)
		if e.Event != nil {
			drop(u, c.byID, e.Event.ID)
			put(u, c.held, e.Event.ID, e.Event)
		}
	}
}

func (c *memoryChat) settle(u *undo, e chat.SettledEntry) error {
	if e.Index > math.MaxInt64 || e.Position > math.MaxInt64 || (e.Event != nil && e.Event.ID.Seq > math.MaxInt64) {
		return errMemory
	}
	if old, had := c.settled[e.Index]; had {
		if !sameEntry(old, e) {
			return errMemory
		}
		if e.Event != nil {
			drop(u, c.held, e.Event.ID)
		}
		return nil
	}
	if _, taken := c.byPosition[e.Position]; taken {
		return errMemory
	}
	if e.Event != nil {
		if _, twice := c.byID[e.Event.ID]; twice {
			return errMemory
		}
		drop(u, c.held, e.Event.ID)
		put(u, c.byID, e.Event.ID, e.Index)
	}
	put(u, c.settled, e.Index, e)
	if e.Position != 0 {
		put(u, c.byPosition, e.Position, e.Index)
	}
	return nil
}

// Chats implements node.Store.
func (m *MemoryStore) Chats() ([]demes.ChatID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.chats), m.usable()
}

// Load implements node.Store.
func (m *MemoryStore) Load(id demes.ChatID) (*chat.Saved, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(); err != nil {
		return nil, err
	}
	c := m.logs[id]
	if c == nil {
		return nil, demes.Problem(demes.CodeUnknownChat, "There is no such chat in this profile", "")
	}
	saved := &chat.Saved{Chat: id, Values: map[string][]byte{}}
	for name, data := range c.values {
		saved.Values[name] = slices.Clone(data)
	}
	for _, index := range slices.Sorted(maps.Keys(c.raft)) {
		saved.Raft = append(saved.Raft, c.raft[index])
	}
	for _, id := range slices.SortedFunc(maps.Keys(c.held), demes.EventID.Compare) {
		saved.Tail = append(saved.Tail, c.read(c.held[id]))
	}
	for _, seq := range slices.Sorted(maps.Keys(c.outbox)) {
		saved.Outbox = append(saved.Outbox, c.outbox[seq])
	}
	saved.Secrets = c.readSecrets()
	return saved, nil
}

// Settled implements chat.Log.
func (m *MemoryStore) Settled(id demes.ChatID, from uint64, maxBytes int) (entries []chat.SettledEntry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.logs[id]
	if err := m.usable(); err != nil || c == nil {
		return nil, err
	}
	size := 0
	for index := from; ; index++ {
		e, ok := c.settled[index]
		if !ok {
			return entries, nil
		}
		size += entrySize(e)
		if len(entries) > 0 && size > maxBytes {
			return entries, nil
		}
		entries = append(entries, c.readEntry(e))
	}
}

// Messages implements node.Store.
func (m *MemoryStore) Messages(id demes.ChatID, after, before uint64, limit int) ([]chat.SettledEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.logs[id]
	if err := m.usable(); err != nil || c == nil {
		return nil, err
	}
	var positions []uint64
	for position := range c.byPosition {
		if position > after && (before == 0 || position < before) {
			positions = append(positions, position)
		}
	}
	slices.Sort(positions)
	if limit = min(max(limit, 0), len(positions)); after > 0 {
		positions = positions[:limit]
	} else {
		positions = positions[len(positions)-limit:]
	}
	var found []chat.SettledEntry
	for _, position := range positions {
		found = append(found, c.readEntry(c.settled[c.byPosition[position]]))
	}
	return found, nil
}

// Event implements node.Store.
func (m *MemoryStore) Event(id demes.ChatID, event demes.EventID) (entry chat.SettledEntry, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.logs[id]
	if err := m.usable(); err != nil || c == nil {
		return entry, false, err
	}
	if index, settled := c.byID[event]; settled {
		return c.readEntry(c.settled[index]), true, nil
	}
	if e := c.held[event]; e != nil {
		return chat.SettledEntry{Event: c.read(e)}, true, nil
	}
	return entry, false, nil
}

// Value implements node.Store.
func (m *MemoryStore) Value(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.values[name]), m.usable()
}

// SetValue implements node.Store.
func (m *MemoryStore) SetValue(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(m.usable(), m.failure); err != nil {
		return err
	}
	if len(data) == 0 {
		delete(m.values, name)
	} else {
		m.values[name] = slices.Clone(data)
	}
	return nil
}
