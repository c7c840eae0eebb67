package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/ncruces/go-sqlite3"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

// A data column is sealed:
//
//	content ‖ first 16 bytes of SHA-256(table ‖ chat ‖ number ‖ len(name) ‖ name ‖ content)
//
// with the row's key in front, all numbers in 8 bytes, so that a row that was
// changed, cut short or found under another key is noticed. Numbers inside a
// content are varints, byte strings have their length before them.

// checkSize is how many bytes of the digest are kept: chance never matches them.
const checkSize = 16

// table says in a checksum what kind of row it is of.
type table byte

const (
	tableProfile table = iota + 1
	tableChat
	tableValue
	tableRaft
	tableEvent // held and settled alike: an event moves between them unchanged
	tableEntry
	tableOutbox
	tableContent
	tableSecret
)

// rowKey is what names a row; what a table has no use for stays zero.
type rowKey struct {
	table  table
	chat   int64
	name   []byte // a name, a device or a chat id
	number uint64 // an index or a seq
}

func (k rowKey) check(content []byte) []byte {
	head := make([]byte, 0, 25+len(k.name))
	head = append(head, byte(k.table))
	head = binary.BigEndian.AppendUint64(head, uint64(k.chat))
	head = binary.BigEndian.AppendUint64(head, k.number)
	head = binary.BigEndian.AppendUint64(head, uint64(len(k.name)))
	head = append(head, k.name...)
	h := sha256.New()
	h.Write(head)
	h.Write(content)
	return h.Sum(nil)[:checkSize]
}

// seal returns what is stored for a content.
func seal(k rowKey, content []byte) []byte {
	check := k.check(content)
	return append(content[:len(content):len(content)], check...)
}

// row is one row of an answer, valid until the next one.
type row struct{ *sqlite3.Stmt }

// unseal returns a copy of a sealed column's content once it is checked.
func (r row) unseal(column int, k rowKey) ([]byte, error) {
	raw := r.ColumnRawBlob(column)
	if len(raw) < checkSize {
		return nil, fmt.Errorf("table %d, chat %d, row %d: %w", k.table, k.chat, k.number, errDamaged)
	}
	end := len(raw) - checkSize
	if !bytes.Equal(k.check(raw[:end]), raw[end:]) {
		return nil, fmt.Errorf("table %d, chat %d, row %d: %w", k.table, k.chat, k.number, errDamaged)
	}
	return bytes.Clone(raw[:end]), nil
}

func (r row) number(column int) uint64 { return uint64(r.ColumnInt64(column)) }

// errNumber says that a number does not fit into the database.
var errNumber = errors.New("a number is above the largest that can be stored")

// storable checks the numbers that become keys. No honest log comes near.
func storable(numbers ...uint64) error {
	for _, n := range numbers {
		if n > math.MaxInt64 {
			return fmt.Errorf("%d: %w", n, errNumber)
		}
	}
	return nil
}

// bound is a number as a query's limit: what is above everything stays so.
func bound(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// errUnreadable says that an event came back as it was stored and yet is none.
var errUnreadable = errors.New("a stored event cannot be read")

// content is a content being written.
type content []byte

func (c *content) uint(n uint64)  { *c = binary.AppendUvarint(*c, n) }
func (c *content) int(n int64)    { *c = binary.AppendVarint(*c, n) }
func (c *content) bytes(b []byte) { c.uint(uint64(len(b))); *c = append(*c, b...) }

// reader takes a content apart. Its first error stays.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail() {
	r.rest, r.err = nil, fmt.Errorf("a content is cut short: %w", errDamaged)
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) int() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// bytes returns nil for an empty string.
func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	var out []byte
	if n > 0 {
		out = r.rest[:n:n]
	}
	r.rest = r.rest[n:]
	return out
}

func (r *reader) hash() (out demes.Hash) {
	if copy(out[:], r.bytes()) != len(out) {
		r.fail()
	}
	return out
}

func eventContent(e *demes.Event) []byte {
	c := make(content, 0, e.Size()+16)
	c.bytes(e.Body)
	c.bytes(e.Signature)
	c.bytes(e.Payload)
	return c
}

func readEvent(raw []byte) (*demes.Event, error) {
	r := reader{rest: raw}
	signed := &wire.Event{Body: r.bytes(), Signature: r.bytes(), Payload: r.bytes()}
	if r.err != nil {
		return nil, r.err
	}
	e, err := wire.ReadEvent(signed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return e, nil
}

// entryContent is all of an entry but its event, of which it says only whether
// there is one.
func entryContent(e *chat.SettledEntry) []byte {
	c := make(content, 0, 96+len(e.Record))
	hasEvent := uint64(0)
	if e.Event != nil {
		hasEvent = 1
	}
	c.uint(hasEvent)
	c.uint(e.Position)
	c.uint(e.Generation)
	c.uint(e.Term)
	c.uint(e.Slot)
	c.int(e.LogMs)
	c.bytes(e.Hash[:])
	c.bytes([]byte(e.Void))
	c.bytes(e.Record)
	return c
}

func readEntry(index uint64, raw []byte) (e chat.SettledEntry, hasEvent bool, err error) {
	r := reader{rest: raw}
	hasEvent = r.uint() == 1
	e = chat.SettledEntry{
		Index: index, Position: r.uint(), Generation: r.uint(), Term: r.uint(), Slot: r.uint(), LogMs: r.int(),
		Hash: r.hash(), Void: string(r.bytes()), Record: r.bytes(),
	}
	return e, hasEvent, r.err
}

func raftContent(e *chat.RaftEntry) []byte {
	c := make(content, 0, 24+len(e.Data))
	c.uint(e.Term)
	c.int(int64(e.Type))
	c.bytes(e.Data)
	return c
}

func readRaft(index uint64, raw []byte) (chat.RaftEntry, error) {
	r := reader{rest: raw}
	return chat.RaftEntry{Index: index, Term: r.uint(), Type: int32(r.int()), Data: r.bytes()}, r.err
}

func outboxContent(item *chat.OutboxItem) []byte {
	c := make(content, 0, 48+len(item.Payload)+len(item.Key))
	c.uint(uint64(item.Kind))
	c.bytes(item.Payload)
	c.int(item.SentAt)
	c.bytes([]byte(item.Key))
	return c
}

func readOutbox(seq uint64, raw []byte) (chat.OutboxItem, error) {
	r := reader{rest: raw}
	return chat.OutboxItem{
		Seq: seq, Kind: demes.Kind(r.uint()), Payload: r.bytes(), SentAt: r.int(), Key: string(r.bytes()),
	}, r.err
}

// plainContent is all of an event's content. What it is looked up by stands in
// columns of its own too.
func plainContent(kept *chat.Content) []byte {
	c := make(content, 0, 64+len(kept.Plain))
	amends, target := uint64(0), []byte(nil)
	if kept.Amends {
		amends, target = 1, targetColumn(kept.Target)
	}
	c.int(kept.ExpiresMs)
	c.uint(amends)
	c.bytes(target)
	c.bytes(kept.Plain)
	return c
}

// plain is an event's content as it was stored.
type plain struct {
	expires int64
	amends  bool
	target  []byte
	plain   []byte
}

func readPlain(raw []byte) (plain, error) {
	r := reader{rest: raw}
	return plain{expires: r.int(), amends: r.uint() == 1, target: r.bytes(), plain: r.bytes()}, r.err
}
