package council

import (
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Times of convening, in milliseconds (docs/protocol.md#convening).
const (
	// resendConvene is when what was not answered is sent again.
	resendConvene = 2000
	// askTime, prepareTime, witnessTime and acceptTime bound the phases: a few
	// round trips; acceptors may have to fetch the log before they accept. New
	// electors are chosen among those that hold nearly all of it, and while they
	// are waited for nothing is settled.
	askTime     = 5000
	prepareTime = 10_000
	witnessTime = 15_000
	acceptTime  = 60_000
	// firstBackoff doubles up to maxBackoff after each real failure.
	firstBackoff = int64(60_000)
	maxBackoff   = int64(600_000)
	// frozenBackoff takes firstBackoff's place where this device has promised:
	// nothing settles here until the generation has ended.
	frozenBackoff = int64(4_000)
)

type phase int

const (
	resting    phase = iota
	asking           // would a majority promise?
	preparing        // collecting promises
	witnessing       // new electors confirm that they hold the base, before anyone accepts
	accepting        // collecting votes
	waiting          // failed; tries again later
)

// attempt is the proposer's side: what this device tries to have decided.
type attempt struct {
	phase     phase
	planned   bool
	makeValue func(base demes.Head) (council, electors []demes.DeviceID)

	ballot   ballot
	started  int64 // of the phase
	sentAt   int64
	nextAt   int64 // when waiting: try again then
	failures int

	answered []demes.DeviceID // of this phase
	promised []demes.DeviceID // to ballot
	base     demes.Head       // the longest settled prefix among the promises
	highest  ballot           // of the accepted values among them
	value    []byte
	electors []demes.DeviceID // of value
	votes    []*wire.Vote
}

// Propose starts to end the parent generation: planned by its host, or because
// there is no quorum. makeValue is asked for council and electors once the base
// is known. It goes on, with growing pauses, until something is decided or,
// unplanned, a quorum is there; while it does, Propose only renews makeValue.
func (e *Elector) Propose(now demes.Now, planned bool, s Situation, makeValue func(base demes.Head) (council, electors []demes.DeviceID)) []Out {
	e.now = max(e.now, now.Mono)
	if e.decided != nil || !e.isElector(e.cfg.Self) {
		return nil
	}
	a := &e.attempt
	a.makeValue = makeValue
	a.planned = planned
	if a.phase != resting {
		return nil
	}
	return e.begin(s)
}

// begin starts an attempt. A host, a frozen elector and a single one need not
// ask around.
func (e *Elector) begin(s Situation) []Out {
	a := &e.attempt
	a.ballot = ballot{e.maxRound + 1, e.cfg.Self}
	if a.planned || e.Frozen() || len(e.cfg.Electors) == 1 {
		return e.prepare(s)
	}
	e.enter(asking)
	a.answered = []demes.DeviceID{e.cfg.Self}
	return append(e.resend(), e.proceed(s)...)
}

func (e *Elector) enter(p phase) {
	a := &e.attempt
	a.phase, a.started, a.sentAt, a.answered = p, e.now, e.now, nil
}

// prepare promises to itself and asks the others to.
func (e *Elector) prepare(s Situation) []Out {
	a := &e.attempt
	e.maxRound++
	a.ballot = ballot{e.maxRound, e.cfg.Self}
	e.enter(preparing)
	a.base, a.highest, a.value, a.votes = demes.Head{}, ballot{}, nil, nil
	e.promiseTo(a.ballot)
	e.takePromise(e.cfg.Self, e.promise(a.ballot, s))
	return append(e.resend(), e.proceed(s)...)
}

func (e *Elector) collectPromise(from demes.DeviceID, p *wire.Promise) {
	a := &e.attempt
	if a.phase == witnessing && !p.GetAsked() && readBallot(p.GetBallot()) == a.ballot && e.isElector(from) && !among(a.promised, from) {
		// The value is chosen; who promises now will accept it all the same.
		a.promised = append(slices.Clone(a.promised), from)
		return
	}
	wanted := a.phase == asking && p.GetAsked() || a.phase == preparing && !p.GetAsked()
	if !wanted || readBallot(p.GetBallot()) != a.ballot || !e.isElector(from) || among(a.answered, from) {
		return
	}
	if a.phase == asking {
		a.answered = append(a.answered, from)
		return
	}
	e.takePromise(from, p)
}

// takePromise keeps the longest prefix and the highest accepted value.
func (e *Elector) takePromise(from demes.DeviceID, p *wire.Promise) {
	a := &e.attempt
	accepted := readBallot(p.GetAcceptedBallot())
	if accepted.round > 0 {
		if _, err := readValue(p.GetAcceptedValue(), e.cfg.Chat, e.cfg.Parent); err != nil {
			return
		}
		if a.highest.less(accepted) {
			a.highest, a.value = accepted, p.GetAcceptedValue()
		}
	}
	a.answered = append(a.answered, from)
	if head := readHead(p.GetSettled()); len(a.answered) == 1 || head.Index > a.base.Index && !e.planted.ownBase {
		a.base = head
	}
}

func (e *Elector) collectVote(from demes.DeviceID, v *wire.Vote) {
	a := &e.attempt
	if a.phase != accepting && a.phase != witnessing || len(a.votes) >= maxVotes {
		return
	}
	device, b, value, err := readVote(v, e.cfg.Verify)
	if err == nil && device == from && b == a.ballot && value == demes.Sum(a.value) && !among(e.voted(), from) {
		e.keepVote(v)
	}
}

func (e *Elector) keepVote(v *wire.Vote) { e.attempt.votes = append(e.attempt.votes, v) }

func (e *Elector) voted() (out []demes.DeviceID) {
	for _, v := range e.attempt.votes {
		out = append(out, demes.DeviceID(v.GetDevice()))
	}
	return out
}

// collectRefusal gives way to a higher ballot. Who refuses because it knows a
// host simply does not count: one device alone must not keep a chat from going on.
func (e *Elector) collectRefusal(from demes.DeviceID, r *wire.Refusal) {
	a := &e.attempt
	if a.phase < preparing || a.phase == waiting || readBallot(r.GetBallot()) != a.ballot || !e.isElector(from) {
		return
	}
	promised := readBallot(r.GetPromised())
	if a.ballot.less(promised) && promised.round <= e.maxRound+maxRoundJump {
		e.maxRound = max(e.maxRound, promised.round)
		e.fail()
	}
}

// proceed goes to the next phase when the present one has its majority.
func (e *Elector) proceed(s Situation) []Out {
	a := &e.attempt
	enough := majorityOf(e.cfg.Electors, a.answered) || e.planted.minority
	switch {
	case e.decided != nil:
	case a.phase == asking && enough:
		return e.prepare(s)
	case a.phase == preparing && enough:
		return e.choose(s)
	case a.phase == witnessing && e.witnessed():
		e.enter(accepting)
		return e.offer(s)
	case a.phase == accepting:
		e.certify()
	}
	return nil
}

// choose fixes the value: the highest accepted one, else a new one on the
// longest settled prefix.
func (e *Elector) choose(s Situation) []Out {
	a := &e.attempt
	if a.value == nil || e.planted.ignoreAccepted {
		base := a.base
		base.Generation = e.cfg.Parent
		council, electors := a.makeValue(base)
		a.value = encode(&wire.Value{
			Chat: e.cfg.Chat[:], Parent: e.cfg.Parent, Base: writeHead(base),
			Council: writeDevices(council), Electors: writeDevices(electors),
		})
	}
	decoded, err := readValue(a.value, e.cfg.Chat, e.cfg.Parent)
	if err != nil {
		e.fail()
		return nil
	}
	a.electors, a.promised = readDevices(decoded.GetElectors()), a.answered
	if !e.witnessed() {
		e.enter(witnessing)
		return e.resend()
	}
	e.enter(accepting)
	return e.offer(s)
}

// witnessed reports whether, once those that promised accept, a majority of the
// new electors will have. Were the value accepted before, and the new electors
// never came to hold the base, the chat could go neither on nor back.
func (e *Elector) witnessed() bool {
	sure := slices.Concat(e.voted(), e.attempt.promised)
	return majorityOf(e.attempt.electors, sure) || e.planted.minority
}

// offer asks everybody to accept, this device first.
func (e *Elector) offer(s Situation) []Out {
	a := &e.attempt
	e.offered(e.cfg.Self, a.ballot, a.value, s)
	e.acceptPending(s)
	out := e.resend()
	e.certify()
	return out
}

// certify makes the certificate when both majorities are there.
func (e *Elector) certify() {
	a := &e.attempt
	voted := e.voted()
	if !e.planted.minority && (!majorityOf(e.cfg.Electors, voted) || !majorityOf(a.electors, voted)) {
		return
	}
	if len(voted) == 0 {
		return
	}
	c := &wire.Certificate{Value: a.value, Votes: a.votes}
	e.Learn(c)
}

// Missing are the devices whose answer the present phase waits for.
func (e *Elector) Missing() (out []demes.DeviceID) {
	a := &e.attempt
	answered := a.answered
	asked := e.cfg.Electors
	switch a.phase {
	case resting, waiting:
		return nil
	case witnessing:
		answered, asked = e.voted(), nil
	case accepting:
		answered = e.voted()
	}
	if a.phase == witnessing || a.phase == accepting {
		for _, d := range a.electors {
			if !e.isElector(d) {
				asked = append(slices.Clone(asked), d)
			}
		}
	}
	for _, d := range asked {
		if d != e.cfg.Self && !among(answered, d) {
			out = append(out, d)
		}
	}
	return out
}

// resend says the phase's word to all that have not answered it.
func (e *Elector) resend() (out []Out) {
	a := &e.attempt
	a.sentAt = e.now
	m := &wire.Convene{}
	switch a.phase {
	case asking:
		m.Kind = &wire.Convene_Ask{Ask: &wire.Prepare{Ballot: a.ballot.wire()}}
	case preparing:
		m.Kind = &wire.Convene_Prepare{Prepare: &wire.Prepare{Ballot: a.ballot.wire()}}
	default:
		m.Kind = &wire.Convene_Accept{Accept: &wire.Accept{Ballot: a.ballot.wire(), Value: a.value}}
	}
	for _, d := range e.Missing() {
		out = append(out, Out{d, m})
	}
	if a.phase != witnessing {
		return out
	}
	// An old elector that is one of the new, too, is sure once it promises.
	prepare := &wire.Convene{Kind: &wire.Convene_Prepare{Prepare: &wire.Prepare{Ballot: a.ballot.wire()}}}
	for _, d := range e.cfg.Electors {
		if d != e.cfg.Self && !among(a.promised, d) {
			out = append(out, Out{d, prepare})
		}
	}
	return out
}

// Tick tells the time and the situation; it is wanted at Deadline, and whenever
// what Wants asked for has been made durable.
func (e *Elector) Tick(now demes.Now, s Situation) []Out {
	e.now = max(e.now, now.Mono)
	if e.decided != nil {
		return nil
	}
	out := e.acceptPending(s)
	a := &e.attempt
	limit := map[phase]int64{asking: askTime, preparing: prepareTime, witnessing: witnessTime, accepting: acceptTime}[a.phase]
	switch {
	case a.phase == resting:
		return out
	case a.phase == waiting && e.now < a.nextAt:
		return out
	case s.Quorum && !a.planned && !e.Frozen():
		e.attempt = attempt{} // there is nothing to convene any more
		return out
	case a.phase == waiting:
		return append(out, e.begin(s)...)
	case a.phase == asking && e.now >= a.started+limit:
		e.pause(firstBackoff)
	case e.now >= a.started+limit:
		e.fail()
	case e.now >= a.sentAt+resendConvene:
		out = append(out, e.resend()...)
	}
	return append(out, e.proceed(s)...)
}

// Connected says that an elector connected: what failed may succeed now.
func (e *Elector) Connected(now demes.Now, device demes.DeviceID) {
	e.now = max(e.now, now.Mono)
	if e.isElector(device) && e.attempt.phase == waiting {
		e.attempt.failures = 0
		e.attempt.nextAt = min(e.attempt.nextAt, e.now+int64(e.cfg.Rand()%resendConvene))
	}
}

// fail pauses after a real failure: somebody may have promised in vain.
func (e *Elector) fail() {
	a := &e.attempt
	first := firstBackoff
	if e.Frozen() {
		first = frozenBackoff
	}
	delay := min(first<<min(a.failures, 8), maxBackoff)
	a.failures++
	e.pause(delay)
}

// pause waits, with jitter, so that two proposers part ways.
func (e *Elector) pause(delay int64) {
	e.enter(waiting)
	e.attempt.nextAt = e.now + delay + int64(e.cfg.Rand()%uint64(delay/2))
}

// Busy reports whether this device tries to end the parent generation.
func (e *Elector) Busy() bool { return e.attempt.phase != resting }

// Deadline is the Mono time in milliseconds when Tick is wanted next; 0: never.
func (e *Elector) Deadline() int64 {
	a := &e.attempt
	switch {
	case e.decided != nil || a.phase == resting:
		return 0
	case a.phase == waiting:
		return a.nextAt
	}
	return a.sentAt + resendConvene
}
