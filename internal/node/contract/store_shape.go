package contract

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

// author writes real, signed events: a store may read an event back from its
// body alone.
type author struct {
	key    ed25519.PrivateKey
	device demes.DeviceID
	chat   demes.ChatID
	prev   demes.Hash
	seq    uint64
}

// newAuthor returns the same author for the same number.
func newAuthor(id demes.ChatID, number uint64) *author {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("author"), number))
	key := ed25519.NewKeyFromSeed(seed[:])
	return &author{key: key, device: demes.DeviceID(key.Public().(ed25519.PublicKey)), chat: id}
}

// message writes the author's next event.
func (a *author) message(payload []byte) *demes.Event {
	kind := demes.KindMessage
	if len(payload) > demes.MaxMessagePayload {
		kind = demes.KindCommit // the one kind that may be large
	}
	a.seq++
	e := wire.Seal(a.key, wire.Draft{
		Chat: a.chat, ID: demes.EventID{Device: a.device, Seq: a.seq}, Kind: kind, Prev: a.prev,
		After:   []demes.Mark{{Device: demes.DeviceID{1}, Seq: a.seq, Hash: demes.Hash{2}}},
		Seen:    demes.Head{Generation: 1, Index: a.seq, Hash: demes.Hash{3}},
		Lamport: 10 * a.seq, SentAt: -int64(a.seq), Content: demes.Hash{4}, Payload: payload,
	})
	a.prev = e.Hash
	return e
}

func (a *author) messages(count int) []*demes.Event {
	var out []*demes.Event
	for range count {
		out = append(out, a.message(fmt.Appendf(nil, "message %d", a.seq+1)))
	}
	return out
}

func chatID(number byte) demes.ChatID { return demes.ChatID{0xc4, number} }

// settling makes entries of events from an index and a position on.
func settling(index, position uint64, events ...*demes.Event) []chat.SettledEntry {
	var out []chat.SettledEntry
	for i, e := range events {
		at := uint64(i)
		out = append(out, chat.SettledEntry{
			Index: index + at, Position: position + at, Generation: 1, Term: 2, Slot: 3 * (index + at),
			LogMs: 1_700_000_000_000 + int64(index+at), Hash: demes.Sum(e.Hash[:]), Event: e,
		})
	}
	return out
}

// recordEntry is an entry that is no event.
func recordEntry(index uint64) chat.SettledEntry {
	return chat.SettledEntry{Index: index, Generation: 1, Term: 7, LogMs: 5, Hash: demes.Hash{9}, Record: []byte("record")}
}

func raftEntries(term, from, to uint64) []chat.RaftEntry {
	var out []chat.RaftEntry
	for index := from; index <= to; index++ {
		out = append(out, chat.RaftEntry{Index: index, Term: term, Type: int32(index % 3), Data: fmt.Appendf(nil, "%d/%d", term, index)})
	}
	return out
}

// entrySize is how Settled counts: an entry's event or record, and about as
// much as the rest of it takes.
func entrySize(e chat.SettledEntry) int {
	size := 128 + len(e.Record)
	if e.Event != nil {
		size += e.Event.Size()
	}
	return size
}

func cloneEvent(e *demes.Event) *demes.Event {
	if e == nil {
		return nil
	}
	out := *e
	out.After, out.Body = slices.Clone(e.After), slices.Clone(e.Body)
	out.Signature, out.Payload = slices.Clone(e.Signature), slices.Clone(e.Payload)
	out.Plain = slices.Clone(e.Plain)
	return &out
}

func sameEntry(a, b chat.SettledEntry) bool { return same(a, b) }

// same compares what two stores answer. A store need not tell an empty slice or
// map from a missing one.
func same(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

// plain returns a copy in which empty slices are nil.
func plain(v any) any {
	switch v := v.(type) {
	case *demes.Event:
		if v == nil {
			return v
		}
		out := *v
		out.Body, out.Signature = none(v.Body), none(v.Signature)
		out.Payload, out.After, out.Plain = none(v.Payload), none(v.After), none(v.Plain)
		return &out
	case chat.SettledEntry:
		v.Event, v.Record = plain(v.Event).(*demes.Event), none(v.Record)
		return v
	case chat.RaftEntry:
		v.Data = none(v.Data)
		return v
	case chat.Value:
		v.Data = none(v.Data)
		return v
	case chat.OutboxItem:
		v.Payload = none(v.Payload)
		return v
	case []chat.SettledEntry:
		return plainAll(v)
	case []*demes.Event:
		return plainAll(v)
	case []demes.ChatID:
		return none(v)
	case []demes.EventID:
		return none(v)
	case []byte:
		return none(v)
	case *chat.Saved:
		if v == nil {
			return v
		}
		out := &chat.Saved{Chat: v.Chat, Values: v.Values}
		out.Raft, out.Tail, out.Outbox = plainAll(v.Raft), plainAll(v.Tail), plainAll(v.Outbox)
		for space, values := range v.Secrets {
			if out.Secrets == nil {
				out.Secrets = map[string][]chat.Value{}
			}
			out.Secrets[space] = plainAll(values)
		}
		return out
	}
	return v
}

func plainAll[T any](in []T) (out []T) {
	for _, v := range in {
		out = append(out, plain(v).(T))
	}
	return out
}

func none[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}
