package chat

import (
	"errors"
	"fmt"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits and waits of what two devices say to each other.
const (
	// MaxMarks bounds a version vector: a mark for each member, and room for
	// members that only one of the two knows.
	MaxMarks = 2 * MaxMembers
	// PushBytes is how much of the tail is pushed at one Have; the acknowledgement
	// asks for more.
	PushBytes = 4 << 20
	// AskAgain is how long a question waits for its answer before it is asked
	// again, in milliseconds.
	AskAgain = 1_000
	// StuckAfter is how long an elector waits for its Raft group to bring what
	// others have settled, in milliseconds.
	StuckAfter = 3_000
)

// Errors of Step. The shell logs them; they end nothing.
var (
	ErrStranger = errors.New("the sender is no member")
	ErrInvalid  = errors.New("the frame makes no sense here")
)

// Step takes one frame from a connected device.
func (c *Chat) Step(now demes.Now, from demes.DeviceID, f *wire.Frame) error {
	c.now = now
	if c.gone() {
		return nil
	}
	if len(c.gens.ahead) > 0 {
		c.goOn() // what follows in one turn may be of the generation that a certificate began
	}
	if c.fold.Members[from] == nil && !mayKnowMore(f) {
		return fmt.Errorf("frame from %s: %w", from.Short(), ErrStranger)
	}
	switch kind := f.GetKind().(type) {
	case *wire.Frame_Events:
		return c.stepEvents(from, kind.Events)
	case *wire.Frame_Appended:
		c.stepAppended(from, kind.Appended)
		return nil
	case *wire.Frame_Have:
		return c.stepHave(from, f.GetGeneration(), kind.Have)
	case *wire.Frame_Chain:
		return c.stepChain(from, kind.Chain)
	case *wire.Frame_Fetch:
		return c.stepFetch(from, kind.Fetch)
	case *wire.Frame_Settled:
		return c.stepSettled(from, kind.Settled)
	case *wire.Frame_Typing:
		c.notice(Notice{Kind: NoticeTyping, Peer: from})
		return nil
	case *wire.Frame_Goodbye:
		c.stepGoodbye(from)
		return nil
	case *wire.Frame_KeysAsk:
		return c.stepKeysAsk(from, kind.KeysAsk)
	case *wire.Frame_KeysInfo:
		return c.stepKeysInfo(from, kind.KeysInfo)
	case *wire.Frame_Rejoin:
		return c.stepRejoin(from, kind.Rejoin)
	case *wire.Frame_RevealAsk:
		return c.stepRevealAsk(from, kind.RevealAsk)
	case *wire.Frame_Revealed:
		return c.stepRevealed(from, kind.Revealed)
	}
	if done := c.otherGeneration(from, f.GetGeneration()); done {
		return nil
	}
	return c.stepGeneration(from, f)
}

// mayKnowMore reports whether a frame may come from a device that is no member
// here: it may have been added in a part of the log that is not here yet, and
// what it says is checked for itself.
func mayKnowMore(f *wire.Frame) bool {
	switch f.GetKind().(type) {
	case *wire.Frame_Chain, *wire.Frame_Settled:
		return true
	}
	return false
}

// stepGeneration takes the frames that mean something in one generation only.
func (c *Chat) stepGeneration(from demes.DeviceID, f *wire.Frame) error {
	switch kind := f.GetKind().(type) {
	case *wire.Frame_Raft:
		return c.stepRaft(from, kind.Raft)
	case *wire.Frame_Suspicion:
		if c.seat.group != nil {
			c.seat.group.Suspicion(c.now, from, kind.Suspicion)
		}
	case *wire.Frame_Handover:
		if c.seat.group != nil {
			return c.seat.group.HandoverNote(c.now, from, kind.Handover)
		}
	case *wire.Frame_Receipt:
		return c.final.take(c, from, kind.Receipt)
	case *wire.Frame_Final:
		return c.final.accept(c, kind.Final)
	case *wire.Frame_Convene:
		return c.stepConvene(from, kind.Convene)
	case *wire.Frame_Latency:
		c.stepLatency(from, kind.Latency)
	case *wire.Frame_Status:
		c.stepStatus(from, kind.Status)
	case *wire.Frame_HandoverAsk:
		return c.stepHandoverAsk(from, kind.HandoverAsk)
	case *wire.Frame_Marks:
		c.stepMarks(from, kind.Marks)
	case *wire.Frame_Judge:
		return c.stepJudge(from, kind.Judge)
	default:
		return fmt.Errorf("frame of an unknown kind from %s: %w", from.Short(), ErrInvalid)
	}
	return nil
}

// otherGeneration answers a frame of another generation: the one behind is sent
// the certificates (docs/protocol.md#certificates).
func (c *Chat) otherGeneration(from demes.DeviceID, generation uint64) bool {
	p := c.peer(from)
	switch {
	case generation == c.fold.Head.Generation:
		return false
	case generation < c.fold.Head.Generation:
		if c.now.Mono-p.chainAt >= AskAgain || p.chainAt == 0 {
			p.chainAt = c.now.Mono
			c.sendChain(from, generation)
		}
	default:
		c.say(from, false)
	}
	return true
}

// stepEvents holds what another device offers and acknowledges it.
func (c *Chat) stepEvents(from demes.DeviceID, m *wire.Events) error {
	authors := map[demes.DeviceID]bool{}
	var problem error
	ask := false
	for _, o := range c.openEvents(m.GetEvents()) {
		e, err := o.event, o.err
		if err != nil {
			return fmt.Errorf("events from %s: %w", from.Short(), err)
		}
		if c.notRemembered(e) {
			c.oldCopy(from, e)
			continue
		}
		authors[e.ID.Device] = true
		c.peer(from).note(e.ID)
		switch c.tail.hold(c.fold, e) {
		case held:
			c.nowHeld(e, from)
		case lacking:
			c.tail.park(e)
			ask = true
		case forked:
			c.proveFork(e)
			c.offerFork(e)
			if e.ID.Device == c.self {
				c.oldCopy(from, e) // a copy of this device wrote it
			}
			problem = fmt.Errorf("event %s is one of two: %w", e.ID, ErrInvalid)
		}
	}
	for _, e := range c.tail.unpark(c.fold) {
		c.nowHeld(e, from)
	}
	c.lack(from, ask)
	c.acknowledge(from, authors)
	return problem
}

// lack asks for what an event needs that came too early. What is missing is
// mostly on its way already: the question is repeated at doubling waits.
func (c *Chat) lack(from demes.DeviceID, ask bool) {
	p := c.peer(from)
	if len(c.tail.parked) == 0 {
		p.lackWait = 0
	}
	if !ask || c.now.Mono-p.lackAt < p.lackWait {
		return
	}
	p.lackAt = c.now.Mono
	p.lackWait = min(max(2*p.lackWait, c.cfg.Timing.Resend), c.cfg.Timing.ResendMost)
	c.say(from, false)
}

// nowHeld does what an event that is held for the first time asks for.
func (c *Chat) nowHeld(e *demes.Event, from demes.DeviceID) {
	c.batch().Events = append(c.batch().Events, e)
	c.read(e)
	c.judgeHeld(e)
	c.host.queue = append(c.host.queue, e)
	if e.Kind == demes.KindMessage {
		c.notice(Notice{Kind: NoticeMessage, Event: e.ID})
	}
	if c.own.retryAt == 0 {
		c.own.wait = c.cfg.Timing.Resend
		c.own.retryAt = c.now.Mono + c.own.wait
	}
	c.host.spread = append(c.host.spread, spread{event: e, from: from})
}

// acknowledge says up to where the logs of these authors are held here. The
// frame leaves after the batch is durable.
func (c *Chat) acknowledge(to demes.DeviceID, authors map[demes.DeviceID]bool) {
	var marks []demes.Mark
	for _, d := range sortedDevices(authors) {
		if seq, hash := c.tail.end(c.fold, d); seq > 0 {
			marks = append(marks, demes.Mark{Device: d, Seq: seq, Hash: hash})
		}
	}
	if len(marks) > 0 {
		c.send(to, &wire.Frame{Kind: &wire.Frame_Appended{Appended: &wire.Appended{Marks: putMarks(marks)}}})
	}
}

func (c *Chat) stepAppended(from demes.DeviceID, m *wire.Appended) {
	if len(m.GetMarks()) > MaxMarks {
		return
	}
	p := c.peer(from)
	for _, raw := range m.GetMarks() {
		mark := wire.GetMark(raw)
		p.note(demes.EventID{Device: mark.Device, Seq: mark.Seq})
		if id := (demes.EventID{Device: c.self, Seq: mark.Seq}); mark.Device == c.self && c.tail.get(id) != nil {
			c.notice(Notice{Kind: NoticeMessage, Event: id})
		}
	}
}

// note remembers that a peer holds a log up to an event.
func (p *peer) note(id demes.EventID) {
	if id.Seq > p.holds[id.Device] && (len(p.holds) < MaxMarks || p.holds[id.Device] != 0) {
		p.holds[id.Device] = id.Seq
	}
}

// say sends what this device holds. A Have that is no answer is answered.
func (c *Chat) say(to demes.DeviceID, answer bool) {
	p := c.peer(to)
	if !answer && p.haveAt != 0 && c.now.Mono-p.haveAt < c.cfg.Timing.Resend {
		return
	}
	if !answer {
		p.haveAt = c.now.Mono
	}
	seq, hash := c.tail.end(c.fold, to)
	c.send(to, &wire.Frame{Kind: &wire.Frame_Have{Have: &wire.Have{
		Head: wire.PutHead(c.fold.Head), Marks: putMarks(c.tail.marks()), Answer: answer, Remembered: seq,
		RememberedHash: hash[:], Final: c.final.index,
	}}})
}

// stepHave compares what another device holds with what is held here, and sends
// what it lacks.
func (c *Chat) stepHave(from demes.DeviceID, generation uint64, m *wire.Have) error {
	if len(m.GetMarks()) > MaxMarks {
		return fmt.Errorf("version vector of %d marks: %w", len(m.GetMarks()), wire.ErrTooLarge)
	}
	p := c.peer(from)
	p.head = wire.GetHead(m.GetHead())
	c.remembered(from, m)
	behind := false
	theirs := map[demes.DeviceID]uint64{}
	for _, raw := range m.GetMarks() {
		mark := wire.GetMark(raw)
		theirs[mark.Device] = mark.Seq
		p.note(demes.EventID{Device: mark.Device, Seq: mark.Seq})
		if seq, _ := c.tail.end(c.fold, mark.Device); seq < mark.Seq && c.fold.Members[mark.Device] != nil {
			behind = true
		}
	}
	c.push(from, theirs)
	if generation < c.fold.Head.Generation {
		c.sendChain(from, generation)
	}
	if !m.GetAnswer() || p.head.Index+c.lag(from) < c.fold.Head.Index {
		c.say(from, true)
	} else if behind || generation > c.fold.Head.Generation {
		c.say(from, false)
	}
	if m.GetFinal() < c.final.index && generation == c.fold.Head.Generation && p.head.Index >= c.final.index {
		c.send(from, &wire.Frame{Kind: &wire.Frame_Final{Final: c.final.proof}})
	}
	if p.head == c.fold.Head && c.log.durable == c.fold.Head.Index {
		p.live, p.cursor = true, p.head.Index
	}
	if p.head.Index > c.fold.Head.Index+c.lag(c.self) {
		c.fetch(from)
	}
	return nil
}

// push sends the part of the tail that a device lacks, in provisional order.
// Without a host, who would send what is settled, it goes on from where the
// other's settled log ends.
func (c *Chat) push(to demes.DeviceID, theirs map[demes.DeviceID]uint64) {
	var lacking []*demes.Event
	size := 0
	add := func(e *demes.Event) bool {
		if e.ID.Seq > theirs[e.ID.Device] {
			lacking = append(lacking, e)
			size += e.Size()
		}
		return size <= PushBytes
	}
	if _, known := c.hostNow(); !known {
		for _, e := range c.settledAfter(to) {
			if !add(e) {
				break
			}
		}
	}
	if size <= PushBytes && c.tail.len() > 0 {
		for _, e := range c.tail.ordered() {
			if !add(e) {
				break
			}
		}
	}
	c.sendEvents(to, lacking)
}

// settledAfter lists the events that were settled here after another device's
// head, and after it came, about wire.MaxBatch bytes of them.
func (c *Chat) settledAfter(to demes.DeviceID) (out []*demes.Event) {
	from := c.peer(to).head.Index + 1
	if m := c.fold.Members[to]; m != nil {
		from = max(from, m.SinceIndex)
	}
	if from > c.log.durable || from < c.log.first {
		return nil
	}
	entries, err := c.cfg.Log.Settled(c.id, from, wire.MaxBatch)
	if err != nil {
		return nil // the disk says so to its user elsewhere; the other asks again
	}
	for _, entry := range entries {
		if entry.Event != nil {
			out = append(out, entry.Event)
		}
	}
	return out
}

// sendEvents sends events in frames of at most wire.MaxBatch bytes, or one event.
func (c *Chat) sendEvents(to demes.DeviceID, events []*demes.Event) {
	for len(events) > 0 {
		frame, size := &wire.Events{}, 0
		for len(events) > 0 && (size == 0 || size+events[0].Size() <= wire.MaxBatch) {
			size += events[0].Size()
			frame.Events = append(frame.Events, wire.PutEvent(events[0]))
			events = events[1:]
		}
		c.send(to, &wire.Frame{Kind: &wire.Frame_Events{Events: frame}})
	}
}

// remembered compares a member's memory of this device with its own. When they
// remember no more than it does, it may sign and vote. When they remember more,
// it waits: what they hold is on its way, signed by this device, and proves that
// this is an old copy (docs/protocol.md#old-copies).
func (c *Chat) remembered(from demes.DeviceID, m *wire.Have) {
	seq, _ := c.tail.end(c.fold, c.self)
	switch {
	case c.checked:
	case m.GetRemembered() <= seq:
		c.checked = true
		c.activate()
	case c.peer(from).head.Index > c.fold.Head.Index:
		c.fetch(from) // what it remembers may be settled: then no tail brings it
	}
}

// oldCopy stops this device from signing or voting here: an event of its own has
// arrived that it does not remember.
func (c *Chat) oldCopy(from demes.DeviceID, e *demes.Event) {
	if c.trouble != nil {
		return
	}
	c.checked = false
	c.trouble = &demes.ProblemView{
		Code: demes.CodeStaleCopy, Title: "This device's copy of the chat is old",
		Detail: fmt.Sprintf("%s holds something that this device wrote (number %d) and does not remember: a backup was restored, or a copy runs elsewhere. Stop the other copy, then make this one a new device of yours, which keeps the messages: demes device renew",
			c.name(from), e.ID.Seq),
	}
	if c.seat.group != nil {
		c.seat.group.Freeze()
	}
	c.notice(Notice{Kind: NoticeMembers})
}

// notRemembered reports whether an event is this device's own and unknown to it.
func (c *Chat) notRemembered(e *demes.Event) bool {
	return e.ID.Device == c.self && e.ID.Seq > c.lastOwnSigned()
}

func (c *Chat) lastOwnSigned() uint64 {
	seq, _ := c.tail.end(c.fold, c.self)
	return seq
}

// name is what a device is called here.
func (c *Chat) name(d demes.DeviceID) string {
	if m := c.fold.Members[d]; m != nil {
		return m.Name
	}
	if g, was := c.fold.Gone[d]; was && g.Name != "" {
		return g.Name
	}
	return d.Short()
}
