package chat

import (
	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Output is what one turn of a chat asks of the world. The order is the
// contract: first Batch is made durable in one transaction, then Frames are
// sent and Notices shown, then Advance is called. When the batch cannot be made
// durable nothing of the output may be sent or shown (promise D1).
type Output struct {
	Batch   *Batch // nil when nothing needs to be kept
	Frames  []Outgoing
	Notices []Notice
}

// Outgoing is one frame for one connected member. A frame that cannot be sent
// is dropped: every exchange repeats until it is answered.
type Outgoing struct {
	To    demes.DeviceID
	Frame *wire.Frame
}

// Notice tells the shell that something a user can see has changed.
type Notice struct {
	Kind  NoticeKind
	Event demes.EventID   // for NoticeMessage
	Ids   []demes.EventID // for NoticeSettled
	Peer  demes.DeviceID  // for NoticeHost (the new host), NoticeTyping
	Text  string          // a line for the chat, or empty
}

// NoticeKind names what has changed.
type NoticeKind string

// The kinds of notices; each becomes the live event of the same name.
const (
	NoticeMessage  NoticeKind = "message"  // a message appeared, or its state changed
	NoticeSettled  NoticeKind = "settled"  // messages got their positions
	NoticeHost     NoticeKind = "host"     // the host or the succession changed
	NoticeMembers  NoticeKind = "members"  // roster, presence, names or marks changed
	NoticeMode     NoticeKind = "mode"     // settled or provisional
	NoticeLatency  NoticeKind = "latency"  // the matrix changed
	NoticeElection NoticeKind = "election" // an election began or ended
	NoticeTyping   NoticeKind = "typing"
	NoticeKnock    NoticeKind = "knock"
	NoticeRemoved  NoticeKind = "removed" // this device is a member no more
)

// Batch is everything that one turn makes durable, in one transaction. Applying
// it is idempotent.
type Batch struct {
	Chat demes.ChatID

	// Put are small named values of the chat: an empty value deletes the name.
	Put []Value

	// Raft is the change of the council's log; nil when there is none.
	Raft *RaftChange

	// Events are held from now on: first seen, not settled yet. An event that is
	// stored already is left as it is.
	Events []*demes.Event

	// Drop are unsettled events to be forgotten (a branch of a fork).
	Drop []demes.EventID

	// Unsettle, when not zero, takes the settled log back to this index before
	// Settled is applied: what stood above it is unsettled (its events are kept)
	// and its records are gone. Only a change of generation does this.
	Unsettle *uint64

	// Settled are the next entries of the settled log, in index order.
	Settled []SettledEntry

	// Past are entries from before the settled log that are not proven: they are
	// kept apart, where nothing shows or serves them. DropPast forgets all of them
	// before these. Adopt, when not 0, moves those from this index on into the
	// settled log: they are proven. What an earlier life of this device had settled
	// in their places gives way to them.
	Past     []SettledEntry
	DropPast bool
	Adopt    uint64

	// Outbox are this device's own items that have a seq and no signature yet;
	// OutboxDone are those that were signed (they are among Events now).
	Outbox     []OutboxItem
	OutboxDone []uint64

	// Secrets are changes of the records that hold keys. They are sealed once
	// more, and what is deleted of them must not come back from the disk.
	Secrets []SecretChange

	// Contents are what was read in sealed events, beside the event itself;
	// a content replaces the one that was there. Forget deletes them.
	Contents []Content
	Forget   []demes.EventID
}

// SecretChange changes the records of one space: first all are deleted if
// Reset, then those in Delete, then Put is written.
type SecretChange struct {
	Space  string
	Reset  bool
	Delete []string
	Put    []Value
}

// Content is what was said in an event whose payload is sealed.
type Content struct {
	Event  demes.EventID
	Plain  []byte         // a marshalled wire.Message
	Target *demes.EventID // of an amend: what it changes; nil: none, or the chat
	Amends bool           // it changes how something is shown
	// ExpiresMs is the log time, Unix ms, from which on it must be deleted; 0: never.
	ExpiresMs int64
}

// Value is one small named value of a chat.
type Value struct {
	Name string
	Data []byte
}

// RaftChange is the change of the council's log in one turn. A change of
// Generation replaces the whole log.
type RaftChange struct {
	Generation  uint64
	Reset       bool        // forget all entries first
	CompactedTo uint64      // forget entries up to this index; 0: none
	Entries     []RaftEntry // overwrite from Entries[0].Index on, and forget what is behind
}

// RaftEntry is one entry of the council's log, opaque to the store.
type RaftEntry struct {
	Index uint64
	Term  uint64
	Type  int32
	Data  []byte
}

// SettledEntry is one consumed entry of the log.
type SettledEntry struct {
	Index      uint64
	Position   uint64 // among messages; 0 when it is none (or void)
	Generation uint64
	Term       uint64
	Slot       uint64 // Raft index in its generation
	LogMs      int64
	Hash       demes.Hash // running hash after it
	Void       string     // why it had no effect; empty when it had
	Event      *demes.Event
	Record     []byte // a marshalled wire.Record, when it is no event
}

// OutboxItem is something this device's user did that waits for its first
// sending: numbered, not signed.
type OutboxItem struct {
	Seq     uint64
	Kind    demes.Kind
	Payload []byte
	SentAt  int64  // Unix milliseconds
	Key     string // the caller's idempotency key, or empty
}

// Saved is everything a chat needs to go on after a restart.
type Saved struct {
	Chat   demes.ChatID
	Values map[string][]byte
	Raft   []RaftEntry    // in index order, without the compacted part
	Tail   []*demes.Event // held and unsettled, by device and seq
	Outbox []OutboxItem   // by seq
	// Secrets are the records that hold keys, by space, sorted by name.
	Secrets map[string][]Value
}

// Log reads back what was settled. A chat calls it synchronously while it is
// stepped; it sees every batch that was made durable.
type Log interface {
	// Settled returns entries from index on, in order, until about maxBytes.
	// An empty answer means that the log ends before index, or that this device
	// does not hold it from there (it joined later).
	// Events come with their Plain, where it was read and not forgotten.
	Settled(chat demes.ChatID, from uint64, maxBytes int) ([]SettledEntry, error)

	// Expiring lists events whose content expires at or before a log time, oldest
	// first, at most limit, and when the next one after them does (0: never).
	Expiring(chat demes.ChatID, untilMs int64, limit int) (ids []demes.EventID, nextMs int64, err error)

	// Amends lists the events that amend one of the targets, with their Plain:
	// settled ones in index order, void ones left out, then held ones in
	// provisional order. Without targets it lists those that amend the chat.
	Amends(chat demes.ChatID, targets []demes.EventID) ([]SettledEntry, error)
}
