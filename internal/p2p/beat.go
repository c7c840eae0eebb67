package p2p

import (
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes/internal/wire"
)

const (
	// quickBeats open a link: each one that arrives is answered at once, so that
	// a new pair has at least five measurements after as many round trips (beats
	// that cross each other share an answer).
	quickBeats = 10
	// silence ends a link on which no beat arrives.
	silence = 10 * time.Second
	// The suspicion of a lost beat: missedBeats announced intervals, never less
	// than leastSilence.
	missedBeats  = 3.5
	leastSilence = 300 * time.Millisecond
	// Intervals outside of these make no sense before silence ends the link.
	leastInterval = 20
	mostInterval  = 4000
	// maxHosting bounds the chats of one hosting list before it is decoded.
	maxHosting = 4096
	// beatBurst and beatsPerSecond bound what one peer can make this node handle.
	// The burst is what arrives at once after this process was stopped a while.
	beatBurst      = 256
	beatsPerSecond = 64
	// followSlack is the part of an interval that a follower waits longer.
	followSlack = 8
	// sentKept is how many own beats can still be echoed.
	sentKept = 64
	// maxGap bounds how many lost beats one gap tells of.
	maxGap = 16
)

var (
	errBeatGarbage = errors.New("malformed beat")
	errBeatFlood   = errors.New("too many beats")
	errBeatOrder   = errors.New("beats out of order")
)

// beats is the beat stream of one link: it says every interval that this node
// lives and what it hosts, and measures round trips with the same messages
// (docs/protocol.md#beats).
type beats struct {
	link    *link
	kicked  chan struct{} // a beat is due now
	outLine *delayLine
	inLine  *delayLine

	mu       sync.Mutex
	taken    bool
	seq      uint64 // of the newest own beat
	sent     [sentKept]sentBeat
	listSent uint64 // version of the hosting list that the other side has

	heard     uint64 // newest beat of the other side
	heardAt   time.Time
	announced uint32
	hosting   []*wire.Hosting
	listHeard uint64 // version of hosting
	echoed    uint64 // newest own beat that came back
	samples   int    // round trips measured; the first is not told
	missed    int    // losses told since the last beat
	tokens    float64
	tokensAt  time.Time
}

type sentBeat struct {
	seq uint64
	at  time.Time
}

func newBeats(l *link) *beats {
	faults, device := l.pair.t.faults, l.pair.device
	now := time.Now()
	return &beats{
		link:    l,
		kicked:  make(chan struct{}, 1),
		outLine: newDelayLine(faults, device, l.closed),
		inLine:  newDelayLine(faults, device, l.closed),
		heardAt: now, announced: wire.SlowBeat, tokens: beatBurst, tokensAt: now,
	}
}

func (b *beats) kick() {
	select {
	case b.kicked <- struct{}{}:
	default:
	}
}

// expect closes the link when no beat stream comes about.
func (b *beats) expect() {
	time.AfterFunc(silence, func() {
		b.mu.Lock()
		taken := b.taken
		b.mu.Unlock()
		if !taken && !b.link.dead() {
			b.link.close("no beat stream")
		}
	})
}

// serve runs the stream: it writes in a goroutine of its own and reads here.
func (b *beats) serve(stream network.Stream) {
	b.mu.Lock()
	again := b.taken
	b.taken = true
	b.mu.Unlock()
	if again {
		_ = stream.Reset()
		b.link.close("second beat stream")
		return
	}
	select {
	case <-b.link.up:
	case <-b.link.closed:
		return
	}
	b.mu.Lock()
	b.heardAt = time.Now()
	b.mu.Unlock()
	b.link.pair.t.spawn(func() { b.write(stream) })
	in := newInlet(stream, wire.MaxBeat)
	for {
		if err := b.read(in); err != nil {
			b.link.close("beats: " + err.Error())
			return
		}
	}
}

func (b *beats) write(stream network.Stream) {
	out := &outlet{stream: stream}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-b.link.closed:
			return
		case <-b.kicked:
		case <-timer.C:
			b.listen()
		}
		interval := b.link.pair.pace()
		timer.Reset(b.rest(interval))
		if err := b.beat(out, interval); err != nil {
			b.link.close("beats: " + err.Error())
			return
		}
	}
}

// rest is how long until the next beat. Whoever follows the other side's beats
// leaves them a little room to come first.
func (b *beats) rest(interval uint32) time.Duration {
	every := time.Duration(interval) * time.Millisecond
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.follows(interval) && b.heard > 0 {
		every += every / followSlack
	}
	return every
}

// follows reports whether this side sends its beats right after the other's, so
// that both share packets and wake-ups: the larger id does, at equal paces. It
// needs b.mu.
func (b *beats) follows(interval uint32) bool {
	return !b.link.pair.first && b.announced == interval
}

// beat writes one beat, or lets a fault have it.
func (b *beats) beat(out *outlet, interval uint32) error {
	p := b.link.pair
	fault, _ := p.t.faults.of(p.device)
	list := p.t.hosting.Load()
	now := time.Now()
	b.mu.Lock()
	b.seq++
	seq := b.seq
	b.sent[seq%sentKept] = sentBeat{seq, now}
	if fault.Cut || lost(fault) {
		b.mu.Unlock()
		return nil
	}
	heard, heardAt := b.heard, b.heardAt
	full := b.listSent != list.version
	b.listSent = list.version
	b.mu.Unlock()
	beat := &wire.Beat{Seq: seq, IntervalMs: interval, Echo: heard, HostingVersion: list.version}
	if heard > 0 {
		beat.EchoDelayUs = uint64(max(0, now.Sub(heardAt).Microseconds()))
	}
	if full {
		beat.Hosting = list.chats
	}
	raw, err := proto.Marshal(beat)
	if err != nil || len(raw) > wire.MaxBeat {
		return errors.Join(err, errOversized)
	}
	b.outLine.pass(len(raw), fault, p.t.spawn, func() {
		err := out.put(raw)
		if err == nil {
			err = out.flush()
		}
		if err != nil {
			b.link.close("beats: " + err.Error())
		}
	})
	return nil
}

// listen tells of losses while the other side is silent: one per announced
// interval after the time in which a beat must have come.
func (b *beats) listen() {
	b.mu.Lock()
	every := time.Duration(b.announced) * time.Millisecond
	allowed := max(leastSilence, time.Duration(missedBeats*float64(every)))
	missing := 0
	if quiet := time.Since(b.heardAt); b.heard > 0 && quiet > allowed {
		missing = min(1+int((quiet-allowed)/every), b.missed+1) - b.missed
		b.missed += missing
	}
	b.mu.Unlock()
	if missing > 0 {
		b.lose(missing)
	}
}

func (b *beats) lose(n int) {
	b.link.pair.tell(func(h Handler) {
		for range min(n, maxGap) {
			h.Delay(b.link.pair.device, 0, true, b.link.relayed)
		}
	})
}

// read takes one beat. Silence, garbage and floods are errors.
func (b *beats) read(in *inlet) error {
	b.mu.Lock()
	until := b.heardAt.Add(silence)
	b.mu.Unlock()
	raw, err := in.next(until)
	if err != nil {
		return err
	}
	beat, err := parseBeat(raw)
	if err != nil {
		return err
	}
	if !b.afford(time.Now()) {
		return errBeatFlood
	}
	p := b.link.pair
	fault, _ := p.t.faults.of(p.device)
	// Kept even when a fault takes the beat: the list comes only once.
	b.keep(beat)
	if fault.Cut || lost(fault) {
		return nil
	}
	b.inLine.pass(len(raw), fault, p.t.spawn, func() {
		if err := b.take(beat, time.Now()); err != nil {
			b.link.close("beats: " + err.Error())
		}
	})
	return nil
}

func (b *beats) keep(beat *wire.Beat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if beat.HostingVersion != b.listHeard {
		b.listHeard, b.hosting = beat.HostingVersion, beat.Hosting
	}
}

func (b *beats) afford(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(beatBurst, b.tokens+now.Sub(b.tokensAt).Seconds()*beatsPerSecond)
	b.tokensAt = now
	b.tokens--
	return b.tokens >= 0
}

// take learns from a beat and tells the Handler.
func (b *beats) take(beat *wire.Beat, now time.Time) error {
	pace := b.link.pair.pace()
	b.mu.Lock()
	if beat.Seq <= b.heard || beat.Echo > b.seq {
		b.mu.Unlock()
		return errBeatOrder
	}
	gap := 0
	if skipped := beat.Seq - b.heard - 1; b.heard > 0 {
		gap = max(0, int(min(skipped, sentKept))-b.missed)
	}
	b.heard, b.heardAt, b.missed = beat.Seq, now, 0
	b.announced = min(max(beat.IntervalMs, leastInterval), mostInterval)
	rtt, measured := b.roundTrip(beat, now)
	announced, hosting := b.announced, b.hosting
	p := b.link.pair
	rested := now.Sub(b.sent[b.seq%sentKept].at)
	due := b.follows(pace) && rested > time.Duration(pace)*time.Millisecond/2
	b.mu.Unlock()
	if beat.Seq <= quickBeats || due {
		b.kick()
	}
	p.tell(func(h Handler) {
		for range min(gap, maxGap) {
			h.Delay(p.device, 0, true, b.link.relayed)
		}
		if measured {
			h.Delay(p.device, rtt, false, b.link.relayed)
		}
		h.Beat(p.device, announced, hosting)
	})
	return nil
}

// roundTrip reads a sample out of an echo. It needs b.mu.
func (b *beats) roundTrip(beat *wire.Beat, now time.Time) (ms float64, ok bool) {
	if beat.Echo <= b.echoed {
		return 0, false
	}
	sent := b.sent[beat.Echo%sentKept]
	b.echoed = beat.Echo
	if sent.seq != beat.Echo {
		return 0, false
	}
	took := now.Sub(sent.at)
	held := time.Duration(min(beat.EchoDelayUs, uint64(time.Hour/time.Microsecond))) * time.Microsecond
	if held > took {
		return 0, false
	}
	b.samples++
	return float64((took - held).Microseconds()) / 1000, b.samples > 1
}

// parseBeat decodes a beat after it has counted what decoding would allocate.
func parseBeat(raw []byte) (*wire.Beat, error) {
	lists := 0
	for rest := raw; len(rest) > 0; {
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return nil, errBeatGarbage
		}
		if field == 6 {
			lists++
		}
		m := protowire.ConsumeFieldValue(field, kind, rest[n:])
		if m < 0 || lists > maxHosting {
			return nil, errBeatGarbage
		}
		rest = rest[n+m:]
	}
	beat := new(wire.Beat)
	if err := proto.Unmarshal(raw, beat); err != nil || beat.Seq == 0 {
		return nil, errBeatGarbage
	}
	return beat, nil
}
