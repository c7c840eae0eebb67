package council

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// maxRoundJump bounds how far ahead of all known rounds a ballot may be, so
// that nobody can use the rounds up.
const maxRoundJump = 1_000_000

// ElectorConfig says which generation is to end, and who decides that.
type ElectorConfig struct {
	Chat   demes.ChatID
	Parent uint64
	Self   demes.DeviceID
	// Electors are the parent's. Self need not be among them: an elector of the
	// next generation only witnesses that it holds the base.
	Electors []demes.DeviceID
	Sign     func(body []byte) []byte // signs a VoteBody
	Verify   func(device demes.DeviceID, body, signature []byte) bool
	Rand     func() uint64
}

// Situation is what the chat knows now.
type Situation struct {
	// Settled is this device's durable settled head in the parent generation, or
	// the parent's base. Without the parent's base, do not call Step or Propose.
	Settled demes.Head
	// Final is the index up to which this device knows the log to be final.
	Final uint64
	// Holds reports whether this device durably holds the log up to a head.
	Holds func(demes.Head) bool
	// Quorum: a host of the parent generation is known, and Host is it.
	Quorum bool
	Host   demes.DeviceID
}

// Out is one message to one device.
type Out struct {
	To      demes.DeviceID
	Convene *wire.Convene
}

// ballot orders attempts by round, then device.
type ballot struct {
	round  uint64
	device demes.DeviceID
}

func (b ballot) less(other ballot) bool {
	return b.round < other.round || b.round == other.round && b.device.Compare(other.device) < 0
}

func (b ballot) wire() *wire.Ballot {
	if b.round == 0 {
		return nil
	}
	return &wire.Ballot{Round: b.round, Device: b.device[:]}
}

func readBallot(w *wire.Ballot) (b ballot) {
	if w.GetRound() == 0 || len(w.GetDevice()) != len(b.device) {
		return ballot{}
	}
	return ballot{w.GetRound(), demes.DeviceID(w.GetDevice())}
}

// Elector is one device's part in the single-decree Paxos that ends one
// generation (docs/protocol.md#convening). It never forgets: Saved must be
// durable before any Out of the same turn leaves.
type Elector struct {
	cfg ElectorConfig
	now int64

	// Invariant: promised never goes back, and accepted <= promised.
	promised, accepted ballot
	value              []byte // accepted with accepted
	decided            *wire.Certificate
	dirty              bool

	// pending is a value that waits until this device holds its base.
	pending  *pendingAccept
	attempt  attempt
	maxRound uint64

	planted planted
}

// pendingAccept is an accept that cannot be answered yet.
type pendingAccept struct {
	ballot ballot
	value  []byte
	base   demes.Head
}

// planted are faults that the tests switch on to see the checker catch them.
type planted struct{ noFreeze, ownBase, minority, ignoreAccepted, withoutLog bool }

// NewElector makes an elector, from what Saved returned last, or nil.
func NewElector(cfg ElectorConfig, saved []byte) (*Elector, error) {
	e := &Elector{cfg: cfg}
	if len(cfg.Electors) == 0 || len(cfg.Electors) > MaxElectors {
		return nil, fmt.Errorf("new elector: %d electors", len(cfg.Electors))
	}
	if len(saved) == 0 {
		return e, nil
	}
	size, n := binary.Uvarint(saved)
	if n <= 0 || size > uint64(len(saved)-n) {
		return nil, errors.New("new elector: saved state is cut off")
	}
	promise, rest := &wire.Promise{}, saved[n+int(size):]
	if err := proto.Unmarshal(saved[n:n+int(size)], promise); err != nil {
		return nil, fmt.Errorf("new elector: read saved promise: %w", err)
	}
	e.promised, e.accepted = readBallot(promise.GetBallot()), readBallot(promise.GetAcceptedBallot())
	e.value, e.maxRound = promise.GetAcceptedValue(), e.promised.round
	if len(rest) > 0 {
		e.decided = &wire.Certificate{}
		if err := proto.Unmarshal(rest, e.decided); err != nil {
			return nil, fmt.Errorf("new elector: read saved certificate: %w", err)
		}
	}
	return e, nil
}

// Saved is what must be durable before the Outs of this turn leave; changed
// says whether it differs from what it was at the last call.
func (e *Elector) Saved() (data []byte, changed bool) {
	changed, e.dirty = e.dirty, false
	promise := encode(&wire.Promise{Ballot: e.promised.wire(), AcceptedBallot: e.accepted.wire(), AcceptedValue: e.value})
	data = binary.AppendUvarint(nil, uint64(len(promise)))
	data = append(data, promise...)
	if e.decided != nil {
		data = append(data, encode(e.decided)...)
	}
	return data, changed
}

// Frozen reports whether this device has promised: from then on it neither
// votes, acknowledges, settles nor gives receipts in the parent generation.
func (e *Elector) Frozen() bool { return e.promised.round > 0 && !e.planted.noFreeze }

// Decided is the certificate of the next generation, once there is one.
func (e *Elector) Decided() *wire.Certificate { return e.decided }

// Learn takes a verified certificate that came from elsewhere.
func (e *Elector) Learn(c *wire.Certificate) {
	if e.decided == nil {
		e.decided, e.dirty, e.pending = c, true, nil
		e.attempt = attempt{}
	}
}

// Wants is the head that this device must hold before it can accept, and whom
// to fetch it from.
func (e *Elector) Wants() (base demes.Head, from demes.DeviceID, wanted bool) {
	if e.pending == nil {
		return demes.Head{}, demes.DeviceID{}, false
	}
	return e.pending.base, e.pending.ballot.device, true
}

// isElector reports whether the device decides about the parent's end.
func (e *Elector) isElector(device demes.DeviceID) bool { return among(e.cfg.Electors, device) }

func among(list []demes.DeviceID, device demes.DeviceID) bool {
	for _, d := range list {
		if d == device {
			return true
		}
	}
	return false
}

// Step takes one message of the authenticated device from.
func (e *Elector) Step(now demes.Now, from demes.DeviceID, m *wire.Convene, s Situation) []Out {
	e.now = max(e.now, now.Mono)
	if e.decided != nil || from == e.cfg.Self {
		return nil
	}
	var out []Out
	switch kind := m.GetKind().(type) {
	case *wire.Convene_Ask:
		out = e.asked(from, readBallot(kind.Ask.GetBallot()), s)
	case *wire.Convene_Prepare:
		out = e.prepared(from, readBallot(kind.Prepare.GetBallot()), s)
	case *wire.Convene_Accept:
		out = e.offered(from, readBallot(kind.Accept.GetBallot()), kind.Accept.GetValue(), s)
	case *wire.Convene_Promise:
		e.collectPromise(from, kind.Promise)
	case *wire.Convene_Accepted:
		e.collectVote(from, kind.Accepted)
	case *wire.Convene_Refused:
		e.collectRefusal(from, kind.Refused)
	}
	out = append(out, e.acceptPending(s)...)
	return append(out, e.proceed(s)...)
}

// plausible reports whether the ballot is the sender's and of a near round.
func (e *Elector) plausible(from demes.DeviceID, b ballot) bool {
	if b.round == 0 || b.device != from || !e.isElector(from) || b.round > e.maxRound+maxRoundJump {
		return false
	}
	e.maxRound = max(e.maxRound, b.round)
	return true
}

// asked answers whether trying makes sense; nothing is promised.
func (e *Elector) asked(from demes.DeviceID, b ballot, s Situation) []Out {
	if b.device != from || !e.isElector(from) || !e.isElector(e.cfg.Self) {
		return nil
	}
	if s.Quorum && !e.Frozen() {
		return []Out{refusal(from, b, ballot{}, true)}
	}
	p := e.promise(b, s)
	p.Asked = true
	return []Out{{from, &wire.Convene{Kind: &wire.Convene_Promise{Promise: p}}}}
}

func (e *Elector) promise(b ballot, s Situation) *wire.Promise {
	return &wire.Promise{
		Ballot: b.wire(), Settled: writeHead(s.Settled),
		AcceptedBallot: e.accepted.wire(), AcceptedValue: e.value,
	}
}

// prepared promises, which freezes the parent generation here. While a host is
// known, only that host may end its generation.
func (e *Elector) prepared(from demes.DeviceID, b ballot, s Situation) []Out {
	switch {
	case !e.plausible(from, b) || !e.isElector(e.cfg.Self):
		return nil
	case b.less(e.promised):
		return []Out{refusal(from, b, e.promised, false)}
	case s.Quorum && from != s.Host && !e.Frozen():
		return []Out{refusal(from, b, ballot{}, true)}
	}
	e.promiseTo(b)
	return []Out{{from, &wire.Convene{Kind: &wire.Convene_Promise{Promise: e.promise(b, s)}}}}
}

func (e *Elector) promiseTo(b ballot) {
	if e.promised.less(b) {
		e.promised, e.dirty = b, true
	}
	if e.pending != nil && e.pending.ballot.less(b) {
		e.pending = nil
	}
}

// offered takes a value to accept; it is answered when this device holds its base.
func (e *Elector) offered(from demes.DeviceID, b ballot, value []byte, s Situation) []Out {
	if !e.plausible(from, b) {
		return nil
	}
	if b.less(e.promised) {
		return []Out{refusal(from, b, e.promised, false)}
	}
	decoded, err := readValue(value, e.cfg.Chat, e.cfg.Parent)
	if err != nil || decoded.GetBase().GetIndex() < s.Final {
		return nil
	}
	if !e.isElector(e.cfg.Self) && !among(readDevices(decoded.GetElectors()), e.cfg.Self) {
		return nil
	}
	if e.accepted == b && string(e.value) != string(value) {
		return nil // one ballot, two values: the proposer lies
	}
	e.pending = &pendingAccept{ballot: b, value: value, base: readHead(decoded.GetBase())}
	return nil
}

// acceptPending accepts what waited, once the log is here.
func (e *Elector) acceptPending(s Situation) []Out {
	p := e.pending
	if p == nil || p.ballot.less(e.promised) {
		e.pending = nil
		return nil
	}
	if !s.Holds(p.base) && !e.planted.withoutLog {
		return nil
	}
	e.pending = nil
	if e.isElector(e.cfg.Self) {
		e.promiseTo(p.ballot)
		if e.accepted != p.ballot {
			e.accepted, e.value, e.dirty = p.ballot, p.value, true
		}
	}
	vote := e.vote(p.ballot, p.value)
	if p.ballot.device == e.cfg.Self {
		e.keepVote(vote)
		return nil
	}
	return []Out{{p.ballot.device, &wire.Convene{Kind: &wire.Convene_Accepted{Accepted: vote}}}}
}

func (e *Elector) vote(b ballot, value []byte) *wire.Vote {
	hash := demes.Sum(value)
	body := encode(&wire.VoteBody{Ballot: b.wire(), ValueHash: hash[:]})
	return &wire.Vote{Body: body, Device: e.cfg.Self[:], Signature: e.cfg.Sign(body)}
}

func refusal(to demes.DeviceID, b, promised ballot, quorum bool) Out {
	return Out{to, &wire.Convene{Kind: &wire.Convene_Refused{Refused: &wire.Refusal{
		Ballot: b.wire(), Promised: promised.wire(), Quorum: quorum,
	}}}}
}
