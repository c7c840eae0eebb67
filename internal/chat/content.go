package chat

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Plaintexts that are none: what stands in the place of what was said. No message
// has one byte.
var (
	unreadable = []byte{0} // it was opened and is no message of its author
	gone       = []byte{1} // it was deleted
	expired    = []byte{2} // its time is over
)

func isGone(plain []byte) bool {
	return len(plain) == 1 && (plain[0] == gone[0] || plain[0] == expired[0])
}

// reading is how far this device has come with opening what is settled. What is
// sealed under keys that are not here yet waits for them; what is sealed under
// keys that are gone is asked for (reveal.go).
type reading struct {
	from  uint64 // index of the first settled event that waits for keys; 0: none
	again bool   // there are new keys: look again
	lacks span   // settled events whose keys this device never had

	lack    map[demes.DeviceID]bool // who cannot show the first event of lacks either
	turn    int                     // whose turn it is to be asked
	shower  demes.DeviceID          // who showed something last; zero: ask the next
	asked   demes.DeviceID          // whose answer is waited for
	askedAt int64                   // Mono ms
	total   uint64                  // length of lacks when it began, for progress

	amended  bool  // some event of the chat amends another
	expireMs int64 // wall ms when the next content expires; 0: none
}

// span is a range of the settled log, both ends included; the zero value is empty.
type span struct{ from, to uint64 }

func (s span) empty() bool { return s.from == 0 }

func (s *span) add(index uint64) {
	if s.empty() {
		s.from = index
	}
	s.from, s.to = min(s.from, index), max(s.to, index)
}

// unsettle forgets what is above an index: it is looked at again when it settles.
func (r *reading) unsettle(c *Chat, to uint64) {
	if r.from > to {
		r.from = 0
		c.put("unread", nil)
	}
	if r.lacks.to = min(r.lacks.to, to); r.lacks.from > r.lacks.to {
		r.lacks = span{}
	}
	c.keepLacks()
}

// read opens a sealed event, if this device has its keys, and keeps what it says
// in the batch in which the keys are deleted. waits is true when the keys may
// still come.
func (c *Chat) read(e *demes.Event) (waits, lacks bool) {
	if !e.Kind.HasContent() || e.Plain != nil {
		return false, false
	}
	if mine := c.tail.get(e.ID); mine != nil && mine.Hash == e.Hash && mine.Plain != nil {
		e.Plain = mine.Plain // it came twice, and its key is gone
		return false, false
	}
	if e.ID.Device == c.self {
		return false, true // nobody opens what they sealed themselves
	}
	header, err := mls.Inspect(e.Payload)
	if err != nil || header.WireFormat != mls.WirePrivate || header.ContentType != mls.ContentApplication {
		c.keepContent(e, unreadable)
		return false, false
	}
	r, known, err := c.keys.openContent(e.Payload, header.Epoch)
	if !known {
		return c.keys.ahead(c, header.Epoch), !c.keys.ahead(c, header.Epoch)
	}
	if errors.Is(err, mls.ErrReplayed) || errors.Is(err, mls.ErrSpent) {
		return false, true // another branch of its author's log used the key: others may have read it
	}
	if err != nil || !c.isOf(e, r) {
		c.keepContent(e, unreadable)
		return false, false
	}
	c.keepContent(e, r.Data)
	return false, false
}

// isOf reports whether what was opened was sealed by the event's author for this
// very event, and is what the author committed to.
func (c *Chat) isOf(e *demes.Event, r *mls.Received) bool {
	context, err := wire.Context(e)
	if err != nil || r.Kind != mls.ContentApplication || string(r.AuthenticatedData) != string(context[:]) ||
		leafDevice(r.Leaf) != e.ID.Device && !c.cfg.Planted.Credulous {
		return false
	}
	_, err = wire.OpenContent(e, r.Data)
	return err == nil
}

// keepContent makes what an event says part of the batch.
func (c *Chat) keepContent(e *demes.Event, plain []byte) {
	e.Plain = plain
	content := Content{Event: e.ID, Plain: plain}
	if e.Kind == demes.KindAmend {
		content.Amends = true
		if said, err := wire.OpenContent(e, plain); err == nil && said.GetAmend().GetTarget() != nil {
			target := wire.GetRef(said.GetAmend().GetTarget())
			content.Target = &target
		}
		if !c.reading.amended {
			c.reading.amended = true
			c.put("amended", []byte{1})
		}
	}
	c.batch().Contents = append(c.batch().Contents, content)
}

// readSettled does what an event's content asks for once the event is settled.
func (c *Chat) readSettled(entry *SettledEntry) {
	e := entry.Event
	if !e.Kind.HasContent() || entry.Void != "" {
		return
	}
	if waits, lacks := c.read(e); waits {
		c.waitFor(entry.Index)
		return
	} else if lacks {
		c.lacking(entry.Index)
		return
	}
	c.settleContent(entry)
}

// sealedAhead reports whether a final event names keys that nobody can have had:
// those of an epoch come after its commit is final, and what was sealed with them
// stands behind that commit. Waiting for them would never end. Before it is final
// nothing is said: a generation may have settled it that did not know the commit.
func (c *Chat) sealedAhead(entry *SettledEntry) bool {
	header, err := mls.Inspect(entry.Event.Payload)
	return err != nil || entry.Index <= c.final.index && header.Epoch > c.fold.Epoch
}

// settleContent follows a content that is read and settled: its time runs, and if
// it amends it takes effect.
func (c *Chat) settleContent(entry *SettledEntry) {
	e := entry.Event
	if after := c.fold.Settings.DisappearAfter; after > 0 && len(e.Plain) > 1 {
		c.expire(e, entry.LogMs+after)
	}
	if e.Kind == demes.KindAmend {
		c.amend(e, entry.Index)
	}
}

// expire gives a content its end.
func (c *Chat) expire(e *demes.Event, atMs int64) {
	if atMs <= c.now.Wall {
		c.keepContent(e, expired)
		return
	}
	c.keepContent(e, e.Plain)
	e.ExpiresMs = atMs
	contents := c.batch().Contents
	contents[len(contents)-1].ExpiresMs = atMs
	if c.reading.expireMs == 0 || atMs < c.reading.expireMs {
		c.reading.expireMs = atMs
	}
}

// waitFor notes that a settled event waits for keys.
func (c *Chat) waitFor(index uint64) {
	if c.reading.from == 0 {
		c.reading.from = index
		c.put("unread", number(index))
	}
}

// lacking notes that the keys of a settled event never come.
func (c *Chat) lacking(index uint64) {
	c.reading.lacks.add(index)
	c.reading.total = max(c.reading.total, c.reading.lacks.to-c.reading.lacks.from+1)
	c.keepLacks()
}

// lackFrom notes that nothing of a part of the log was read: it joined the log, and
// its keys never come.
func (c *Chat) lackFrom(from, to uint64) {
	r := &c.reading
	r.lacks.add(from)
	r.lacks.add(to)
	r.total = r.lacks.to - r.lacks.from + 1
	r.lack, r.asked, r.askedAt = nil, demes.DeviceID{}, 0
	c.keepLacks()
}

func (c *Chat) keepLacks() {
	var value []byte
	if !c.reading.lacks.empty() {
		value = append(number(c.reading.lacks.from), number(c.reading.lacks.to)...)
	}
	c.put("lacks", value)
}

// readOn opens what waited for keys that have come: first what is held, then what
// is settled, a part of the log in each turn.
func (c *Chat) readOn() {
	if !c.reading.again {
		return
	}
	if c.log.durable != c.fold.Head.Index || c.seat.ready {
		return // what this turn settled is read back from the log
	}
	c.reading.again = false
	for _, e := range c.tail.ordered() {
		if e.Kind.HasContent() && e.Plain == nil {
			if c.read(e); e.Plain != nil {
				c.notice(Notice{Kind: NoticeMessage, Event: e.ID})
			}
		}
	}
	for c.reading.from != 0 && c.readPart() {
	}
}

// readPart goes on with what waits, and reports whether more may follow at once.
func (c *Chat) readPart() (more bool) {
	entries, err := c.cfg.Log.Settled(c.id, c.reading.from, wire.MaxBatch)
	if err != nil {
		return false // the disk says so to its user elsewhere
	}
	var ids []demes.EventID
	next := uint64(0)
	for i := range entries {
		entry := &entries[i]
		if entry.Event == nil || !entry.Event.Kind.HasContent() || entry.Void != "" || entry.Event.Plain != nil {
			continue
		}
		waits, lacks := c.read(entry.Event)
		if waits && c.sealedAhead(entry) {
			c.keepContent(entry.Event, unreadable)
			waits = false
		}
		switch {
		case waits:
			next = entry.Index
		case lacks:
			c.lacking(entry.Index)
		default:
			c.settleContent(entry)
			ids = append(ids, entry.Event.ID)
		}
		if waits {
			break
		}
	}
	if len(ids) > 0 {
		c.notice(Notice{Kind: NoticeSettled, Ids: ids})
	}
	if next == 0 && len(entries) > 0 && entries[len(entries)-1].Index < c.fold.Head.Index {
		next, more = entries[len(entries)-1].Index+1, len(ids) == 0
		c.reading.again = true
	}
	c.reading.from = next
	c.put("unread", numberOrNone(next))
	return more
}

func numberOrNone(n uint64) []byte {
	if n == 0 {
		return nil
	}
	return number(n)
}

// SendText gives a message its seq. The id is for ever; the message is on this
// device's disk when the turn's output is durable.
func (c *Chat) SendText(now demes.Now, text string, replyTo *demes.EventID, key string) (demes.EventID, error) {
	c.now = now
	if err := goodText(text); err != nil {
		return demes.EventID{}, err
	}
	content := &wire.MessageContent{Text: text}
	if replyTo != nil {
		content.ReplyTo = wire.PutRef(*replyTo)
	}
	return c.utter(demes.KindMessage, content, key)
}

func goodText(text string) error {
	switch {
	case text == "":
		return demes.Problem(demes.CodeTextEmpty, "The message is empty", "Write something first.")
	case len(text) > demes.MaxText:
		return demes.Problem(demes.CodeTextTooLong, "The message is too long",
			fmt.Sprintf("It has %d bytes and at most %d fit. Send it in parts.", len(text), demes.MaxText))
	case !utf8.ValidString(text):
		return demes.Problem(demes.CodeBadInput, "The message is not valid UTF-8", "Send text encoded as UTF-8.")
	}
	return nil
}

// utter numbers a content.
func (c *Chat) utter(kind demes.Kind, content *wire.MessageContent, key string) (demes.EventID, error) {
	if err := c.writable(); err != nil {
		return demes.EventID{}, err
	}
	if !c.fold.Live {
		return demes.EventID{}, demes.Problem(demes.CodeWrongPhase, "The chat has not started",
			"Messages can be sent once the founder has pressed Start chat.")
	}
	plain, _ := wire.PutContent(c.cfg.Salt(), content)
	return c.submit(kind, plain, key)
}

// resumeReading goes on where the last run ended.
func (c *Chat) resumeReading(values map[string][]byte) (err error) {
	r := &c.reading
	r.from, r.again = readNumber(values["unread"]), true
	if lacks := values["lacks"]; len(lacks) == 16 {
		r.lacks = span{readNumber(lacks), readNumber(lacks[8:])}
		r.total = r.lacks.to - r.lacks.from + 1
	}
	r.amended = len(values["amended"]) > 0
	_, r.expireMs, err = c.cfg.Log.Expiring(c.id, 0, 0)
	return err
}

// ExpireBatch is how many contents are deleted in one turn.
const ExpireBatch = 512

// forgetExpired deletes what has had its time.
func (c *Chat) forgetExpired() {
	ids, next, err := c.cfg.Log.Expiring(c.id, c.now.Wall, ExpireBatch)
	if err != nil {
		c.reading.expireMs = c.now.Wall + 1_000 // the disk says so to its user elsewhere
		return
	}
	for _, id := range ids {
		c.batch().Contents = append(c.batch().Contents, Content{Event: id, Plain: expired})
		c.notice(Notice{Kind: NoticeMessage, Event: id})
	}
	if c.reading.expireMs = next; len(ids) == ExpireBatch {
		c.reading.expireMs = c.now.Wall + 1 // the rest, once these are durable
	}
}
