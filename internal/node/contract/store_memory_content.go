package contract

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// sealed is an event as it is kept: what was read in it is a content of its own.
func sealed(e *demes.Event) *demes.Event {
	out := cloneEvent(e)
	if out != nil {
		out.Plain, out.ExpiresMs = nil, 0
	}
	return out
}

// read is a kept event as it is returned: with what was read in it.
func (c *memoryChat) read(e *demes.Event) *demes.Event {
	out := cloneEvent(e)
	if out != nil {
		kept := c.contents[e.ID]
		out.Plain, out.ExpiresMs = slices.Clone(kept.Plain), kept.ExpiresMs
	}
	return out
}

func (c *memoryChat) readEntry(e chat.SettledEntry) chat.SettledEntry {
	e.Event, e.Record = c.read(e.Event), slices.Clone(e.Record)
	return e
}

func (c *memoryChat) changeContents(u *undo, b *chat.Batch) error {
	for _, content := range b.Contents {
		if content.Event.Seq > math.MaxInt64 {
			return errMemory
		}
		content.Plain = slices.Clone(content.Plain)
		if content.Target != nil {
			target := *content.Target
			content.Target = &target
		}
		put(u, c.contents, content.Event, content)
	}
	for _, id := range b.Forget {
		drop(u, c.contents, id)
	}
	return nil
}

func (c *memoryChat) changeSecrets(u *undo, changes []chat.SecretChange) {
	for _, change := range changes {
		for key := range c.secrets {
			if key.space == change.Space && (change.Reset || slices.Contains(change.Delete, key.name)) {
				drop(u, c.secrets, key)
			}
		}
		for _, v := range change.Put {
			put(u, c.secrets, secretName{change.Space, v.Name}, slices.Clone(v.Data))
		}
	}
}

func (c *memoryChat) readSecrets() map[string][]chat.Value {
	out := map[string][]chat.Value{}
	for _, key := range slices.SortedFunc(maps.Keys(c.secrets), func(a, b secretName) int { return strings.Compare(a.name, b.name) }) {
		out[key.space] = append(out[key.space], chat.Value{Name: key.name, Data: slices.Clone(c.secrets[key])})
	}
	return out
}

// Expiring implements chat.Log.
func (m *MemoryStore) Expiring(id demes.ChatID, untilMs int64, limit int) (ids []demes.EventID, nextMs int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.logs[id]
	if err := m.usable(); err != nil || c == nil {
		return nil, 0, err
	}
	all := slices.SortedFunc(maps.Values(c.contents), func(a, b chat.Content) int {
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
func (m *MemoryStore) Amends(id demes.ChatID, targets []demes.EventID) (entries []chat.SettledEntry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.logs[id]
	if err := m.usable(); err != nil || c == nil {
		return nil, err
	}
	for _, content := range c.contents {
		if !content.Amends || !names(targets, content.Target) {
			continue
		}
		if index, settled := c.byID[content.Event]; settled {
			if e := c.settled[index]; e.Void == "" {
				entries = append(entries, c.readEntry(e))
			}
		} else if e := c.held[content.Event]; e != nil {
			entries = append(entries, chat.SettledEntry{Event: c.read(e)})
		}
	}
	slices.SortFunc(entries, compareAmends)
	return entries, nil
}

// names reports whether a target is one of those asked for; none asked for is
// none named.
func names(targets []demes.EventID, target *demes.EventID) bool {
	if target == nil {
		return len(targets) == 0
	}
	return slices.Contains(targets, *target)
}

// compareAmends puts settled entries first, by index, then held ones in the
// provisional order.
func compareAmends(a, b chat.SettledEntry) int {
	if a.Index == 0 && b.Index == 0 {
		return cmp.Or(cmp.Compare(a.Event.Lamport, b.Event.Lamport), a.Event.ID.Compare(b.Event.ID))
	}
	return cmp.Compare(a.Index-1, b.Index-1) // none comes last
}

// Erase implements node.Store: a map keeps nothing of what was deleted.
func (m *MemoryStore) Erase() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.usable()
}
