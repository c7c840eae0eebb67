package node

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/demes-chat/demes/internal/chat"
)

// maxKeys is how many idempotency keys a chat remembers: a client that repeats
// a call does so within its last thousand.
const maxKeys = 1024

// keySlot begins the names of the chat's values that hold a key.
const keySlot = "key:"

// keys remembers which message was stored for an idempotency key. A key stands
// in the slot of its message's seq and is replaced by the one maxKeys later. It
// is kept in the same transaction as the message.
type keys struct {
	seqs  map[string]uint64
	slots map[uint64]string
	fresh []string // not kept yet
}

func newKeys() *keys {
	return &keys{seqs: map[string]uint64{}, slots: map[uint64]string{}}
}

// find returns the seq of the message that was stored for a key.
func (k *keys) find(key string) (seq uint64, known bool) {
	seq, known = k.seqs[key]
	return seq, known && key != ""
}

func (k *keys) put(key string, seq uint64) {
	slot := seq % maxKeys
	if old, taken := k.slots[slot]; taken {
		if k.seqs[old] > seq {
			return
		}
		delete(k.seqs, old)
	}
	k.slots[slot], k.seqs[key] = key, seq
}

// add remembers a key that was used just now.
func (k *keys) add(key string, seq uint64) {
	k.put(key, seq)
	k.fresh = append(k.fresh, key)
}

// keep makes the fresh keys part of a batch.
func (k *keys) keep(b *chat.Batch) {
	for _, key := range k.fresh {
		if seq, known := k.seqs[key]; known {
			data := append(binary.BigEndian.AppendUint64(nil, seq), key...)
			b.Put = append(b.Put, chat.Value{Name: fmt.Sprintf("%s%d", keySlot, seq%maxKeys), Data: data})
		}
	}
	k.fresh = nil
}

// restore reads back the keys that were kept.
func (k *keys) restore(saved *chat.Saved) {
	for name, data := range saved.Values {
		if strings.HasPrefix(name, keySlot) && len(data) > 8 {
			k.put(string(data[8:]), binary.BigEndian.Uint64(data))
		}
	}
	for _, item := range saved.Outbox {
		if item.Key != "" {
			k.put(item.Key, item.Seq)
		}
	}
}
