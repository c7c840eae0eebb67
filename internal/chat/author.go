package chat

import (
	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// MaxOutbox bounds what this device's user has said that nobody could be sent
// yet.
const MaxOutbox = 10_000

// outbox is what this device's user did and has not seen settled.
type outbox struct {
	pending []OutboxItem // numbered, not signed
	kept    uint64       // pending up to this seq is durable
	next    uint64       // the last seq given
	commit  uint64       // seq of this device's commit that is not settled; 0: none
	retryAt int64        // Mono ms of the next repetition; 0: nothing to repeat
	wait    int64        // before the next repetition
	leaving bool         // the user wants to leave; the host is handed over first
	left    bool         // the leave is written: nothing may follow it
	read    uint64       // position up to which the user has seen the chat
	marksAt int64        // Mono ms of the last marks sent
	marks   demes.Head   // the head said with them
}

// writable says why this device cannot write here, or nil.
func (c *Chat) writable() error {
	if me := c.fold.Members[c.self]; c.gone() || me == nil || me.Leaving || c.own.left {
		return demes.Problem(demes.CodeWrongPhase, "You are not in this chat any more", "Ask a member for a new invite.")
	}
	if c.trouble != nil && c.trouble.Code == demes.CodeStaleCopy {
		return demes.Problem(c.trouble.Code, c.trouble.Title, c.trouble.Detail)
	}
	if len(c.own.pending) >= MaxOutbox {
		return demes.Problem(demes.CodeTooMany, "Too many messages wait to be sent",
			"Nobody could be reached for long. Wait until a member is online.")
	}
	return nil
}

// submit numbers one thing that this device does.
func (c *Chat) submit(kind demes.Kind, payload []byte, key string) (demes.EventID, error) {
	if err := c.writable(); err != nil {
		return demes.EventID{}, err
	}
	c.own.next = max(c.own.next, c.lastOwn()) + 1
	c.own.pending = append(c.own.pending, OutboxItem{Seq: c.own.next, Kind: kind, Payload: payload, SentAt: c.now.Wall, Key: key})
	id := demes.EventID{Device: c.self, Seq: c.own.next}
	if kind == demes.KindMessage {
		c.notice(Notice{Kind: NoticeMessage, Event: id})
	}
	return id, nil
}

// lastOwn is the highest seq that this device has given out here.
func (c *Chat) lastOwn() uint64 {
	seq, _ := c.tail.end(c.fold, c.self)
	if n := len(c.own.pending); n > 0 {
		seq = max(seq, c.own.pending[n-1].Seq)
	}
	return seq
}

// seal signs what is pending, once, at its first sending: when this device's
// memory is known to be good and there is somebody to send to
// (docs/protocol.md#sealing).
func (c *Chat) seal() {
	if len(c.own.pending) == 0 || !c.checked || c.trouble != nil || !c.audience() {
		return
	}
	for len(c.own.pending) > 0 {
		item := c.own.pending[0]
		seq, _ := c.tail.end(c.fold, c.self)
		draft := c.draft(item)
		if item.Seq != seq+1 || !c.tail.takes(c.fold, c.self, draft.Lamport, len(item.Payload)+wire.MaxSealing) {
			return // the tail is full: it waits
		}
		payload := func(demes.Hash) ([]byte, error) { return item.Payload, nil }
		if item.Kind.HasContent() {
			if !c.keys.maySend(c) {
				return
			}
			payload = func(context demes.Hash) ([]byte, error) { return c.keys.sealContent(item.Payload, context) }
		}
		e, err := wire.SealWith(c.cfg.Key, draft, payload)
		if err != nil || c.tail.hold(c.fold, e) != held {
			return
		}
		c.own.pending = c.own.pending[1:]
		if item.Seq <= c.own.kept {
			c.batch().OutboxDone = append(c.batch().OutboxDone, item.Seq)
		}
		if item.Kind.HasContent() {
			c.keepContent(e, item.Payload)
		}
		c.nowHeld(e, c.self)
	}
}

// draft is the event of an item, signed now.
func (c *Chat) draft(item OutboxItem) wire.Draft {
	_, prev := c.tail.end(c.fold, c.self)
	return wire.Draft{
		Chat: c.id, ID: demes.EventID{Device: c.self, Seq: item.Seq}, Kind: item.Kind, Prev: prev, After: c.shownHere(),
		Seen: c.fold.Head, Lamport: max(c.fold.Lamport, c.tail.lamport) + 1, SentAt: item.SentAt, Content: commitment(item),
	}
}

// audience reports whether anybody could take what is signed now.
func (c *Chat) audience() bool {
	return len(c.fold.Members) == 1 || c.seat.isHost() || len(c.connected()) > 0
}

// shownHere is the After of an event signed now.
func (c *Chat) shownHere() []demes.Mark {
	var out []demes.Mark
	for _, m := range c.tail.namable() {
		if m.Device != c.self && len(out) < wire.MaxAfter {
			out = append(out, m)
		}
	}
	return out
}

// commitment is the content_commit of an item; only content has one.
func commitment(item OutboxItem) demes.Hash {
	if !item.Kind.HasContent() {
		return demes.Hash{}
	}
	commit, _ := wire.Commitment(item.Payload) // this device made it
	return commit
}

// keep makes what is still unsigned durable.
func (o *outbox) keep(c *Chat) {
	for _, item := range o.pending {
		if item.Seq > o.kept {
			c.batch().Outbox = append(c.batch().Outbox, item)
			o.kept = item.Seq
		}
	}
}

// MarkRead notes up to which position the user has seen the chat.
func (c *Chat) MarkRead(now demes.Now, position uint64) {
	c.now = now
	if position = min(position, c.fold.Position); position > c.own.read {
		c.own.read = position
		c.put("read", number(position))
		c.own.marksAt = 0
	}
}
