package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/demes-chat/demes/internal/wire"
)

// The protocols between members (docs/protocol.md#links).
const (
	framesProtocol protocol.ID = "/demes/frames/1"
	beatsProtocol  protocol.ID = "/demes/beats/1"
)

const (
	// setupTime bounds what it takes from the connection to the first frame.
	setupTime = 10 * time.Second
	// unknownRetry is the pause before a device that does not know this one yet is
	// tried again.
	unknownRetry = 100 * time.Millisecond
	// lingerTime is how long a link that both sides left stays open, so that what
	// is in flight arrives.
	lingerTime = 5 * time.Second
	// A frame stream opens with the sender's session (a number drawn at the start
	// of its process: another one means that the old process is gone) and the
	// serial number of the link there. Its first message, when the sender begins
	// to use the link, is the serial number of the link used before, which must
	// end first; 0 when there is none.
	sessionBytes = 8
	serialBytes  = 8
)

// link is one connection of a pair with its streams: frames each way, beats in
// both directions. Its goroutines: run (sets up, then writes frames), the
// reader of frames, and two for the beats; all end when the link is closed.
type link struct {
	pair    *pair
	conn    network.Conn
	dialled bool
	relayed bool
	born    time.Time
	serial  uint64
	queue   *queue
	beats   *beats
	inLine  *delayLine
	arrived chan struct{} // closed when the other side's frame stream is here
	up      chan struct{} // closed when the link is ready
	closed  chan struct{}
	over    chan struct{} // closed when the other side has sent its last frame
	dropped chan struct{} // closed when the pair has forgotten the link

	once     sync.Once
	overOnce sync.Once

	// Guarded by pair.mu.
	ready   bool
	retired bool // this side sends no more on it
	ended   bool // the other side sends no more on it
	inbound bool // the other side's frame stream is taken
	session uint64
	remote  uint64 // serial number at the other side
}

func newLink(p *pair, conn network.Conn) *link {
	l := &link{
		pair: p, conn: conn,
		dialled: conn.Stat().Direction == network.DirOutbound,
		relayed: relayed(conn.RemoteMultiaddr()),
		born:    time.Now(),
		serial:  p.t.serial.Add(1),
		queue:   newQueue(),
		arrived: make(chan struct{}),
		up:      make(chan struct{}),
		closed:  make(chan struct{}),
		over:    make(chan struct{}),
		dropped: make(chan struct{}),
	}
	l.inLine = newDelayLine(p.t.faults, p.device, l.closed)
	l.beats = newBeats(l)
	return l
}

func (l *link) dead() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// betterThan orders links the same way at both sides: direct before relayed,
// then those that the smaller id dialled, then by the dialler's serial number.
// It needs pair.mu, and both links ready.
func (l *link) betterThan(other *link) bool {
	if l.relayed != other.relayed {
		return other.relayed
	}
	bySmaller := l.dialled == l.pair.first
	if otherBySmaller := other.dialled == other.pair.first; bySmaller != otherBySmaller {
		return bySmaller
	}
	return l.diallersSerial() < other.diallersSerial()
}

func (l *link) diallersSerial() uint64 {
	if l.dialled {
		return l.serial
	}
	return l.remote
}

// close ends the link at once.
func (l *link) close(reason string) {
	l.once.Do(func() {
		close(l.closed)
		t := l.pair.t
		t.complain("link closed", "device", l.pair.device.Short(), "reason", reason)
		t.spawn(l.pair.choose)
		t.spawn(func() {
			_ = l.conn.Close()
			l.pair.drop(l)
		})
	})
}

// run sets the link up and then writes its frames until it ends.
func (l *link) run() {
	stream, err := l.open()
	if err != nil {
		l.close(err.Error())
		return
	}
	p := l.pair
	p.mu.Lock()
	l.ready = true
	p.mu.Unlock()
	p.choose()
	close(l.up)
	p.t.reach.nudge()
	l.beats.expect()
	if err := l.write(stream); err != nil {
		l.close("write: " + err.Error())
		return
	}
	// Everything is written; what is in flight has time to arrive.
	_ = stream.CloseWrite()
	p.choose()
	select {
	case <-l.closed:
	case <-time.After(lingerTime):
		l.close("no longer used")
	}
}

func (l *link) open() (network.Stream, error) {
	ctx, cancel := context.WithTimeout(l.pair.t.ctx, setupTime)
	defer cancel()
	stream, err := l.openFrames(ctx)
	if err != nil {
		return nil, fmt.Errorf("open frame stream: %w", err)
	}
	head := binary.BigEndian.AppendUint64(nil, l.pair.t.session)
	head = binary.BigEndian.AppendUint64(head, l.serial)
	if _, err := stream.Write(head); err != nil {
		return nil, fmt.Errorf("open frame stream: %w", err)
	}
	if l.dialled {
		beats, err := openStream(ctx, l.conn, beatsProtocol)
		if err != nil {
			return nil, fmt.Errorf("open beat stream: %w", err)
		}
		l.pair.t.spawn(func() { l.beats.serve(beats) })
	}
	select {
	case <-l.arrived:
		return stream, nil
	case <-l.closed:
		return nil, errors.New("closed while it was set up")
	case <-ctx.Done():
		return nil, errors.New("the other side opened no frame stream")
	}
}

// openFrames opens the frame stream. The other side may not know yet that the
// two are members of one chat: it asks at the door over this very connection,
// which therefore stays open until it has its answer.
func (l *link) openFrames(ctx context.Context) (network.Stream, error) {
	for {
		stream, err := openStream(ctx, l.conn, framesProtocol)
		if unknown := (multistream.ErrNotSupported[protocol.ID]{}); !errors.As(err, &unknown) {
			return stream, err
		}
		select {
		case <-time.After(unknownRetry):
		case <-l.closed:
			return nil, errors.New("closed while it was set up")
		case <-ctx.Done():
			return nil, err
		}
	}
}

// openStream opens a stream on this very connection.
func openStream(ctx context.Context, conn network.Conn, id protocol.ID) (network.Stream, error) {
	stream, err := conn.NewStream(ctx)
	if err != nil {
		return nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(setupTime)
	}
	err = stream.SetDeadline(deadline)
	if err == nil {
		err = multistream.SelectProtoOrFail(id, stream)
	}
	if err == nil {
		err = stream.SetProtocol(id)
	}
	if err == nil {
		err = stream.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = stream.Reset()
		return nil, err
	}
	return stream, nil
}

// write writes the queue until the link is closed (nil error only when it was
// retired and everything is written).
func (l *link) write(stream network.Stream) error {
	out := outlet{stream: stream}
	defer func() { _ = out.flush() }()
	for {
		item, ok, over := l.queue.pop()
		if !ok {
			if err := out.flush(); err != nil || over {
				return err
			}
			select {
			case <-l.closed:
				return errors.New("closed")
			case <-l.queue.signal:
			}
			continue
		}
		if err := l.hold(item.due, &out); err != nil {
			return err
		}
		if err := out.put(item.frame); err != nil {
			return err
		}
	}
}

// hold keeps a frame back as long as a fault says so.
func (l *link) hold(due time.Time, out *outlet) error {
	faults, device := l.pair.t.faults, l.pair.device
	if fault, _ := faults.of(device); !fault.Cut && due.IsZero() {
		return nil
	}
	if err := out.flush(); err != nil {
		return err
	}
	if !faults.wait(device, due, l.closed) {
		return errors.New("closed")
	}
	return nil
}

// retire lets nothing more into the queue; the writer finishes and ends the
// stream. It needs pair.mu.
func (l *link) retire() {
	l.retired = true
	l.queue.finish()
}

// read takes the other side's frame stream and hands its frames over.
func (l *link) read(stream network.Stream) {
	p := l.pair
	if !l.take() {
		_ = stream.Reset()
		l.close("second frame stream")
		return
	}
	in := newInlet(stream, wire.MaxFrame)
	if err := l.greet(stream, in); err != nil {
		l.close("greeting: " + err.Error())
		return
	}
	close(l.arrived)
	select {
	case <-l.up:
	case <-l.closed:
		return
	}
	if err := l.follow(in); err != nil {
		l.finish(err)
		return
	}
	for {
		frame, err := in.next(time.Time{})
		if err != nil {
			l.finish(err)
			return
		}
		fault, _ := p.t.faults.of(p.device)
		if lost(fault) {
			continue
		}
		l.inLine.pass(len(frame)+frameCost, fault, p.t.spawn, func() {
			p.tell(func(h Handler) { h.Frame(p.device, frame) })
		})
		if l.dead() {
			return
		}
	}
}

func (l *link) take() bool {
	l.pair.mu.Lock()
	defer l.pair.mu.Unlock()
	if l.inbound {
		return false
	}
	l.inbound = true
	return true
}

// greet reads the sender's session. Links of an older process are closed.
func (l *link) greet(stream network.Stream, in *inlet) error {
	if err := stream.SetReadDeadline(time.Now().Add(setupTime)); err != nil {
		return err
	}
	var head [sessionBytes + serialBytes]byte
	if _, err := io.ReadFull(in.buffer, head[:]); err != nil {
		return cutShort(err)
	}
	session := binary.BigEndian.Uint64(head[:])
	p := l.pair
	p.mu.Lock()
	l.session, l.remote = session, binary.BigEndian.Uint64(head[sessionBytes:])
	var stale []*link
	for _, other := range p.links {
		if other != l && other.inbound && other.session != 0 && other.session != session {
			stale = append(stale, other)
		}
	}
	p.mu.Unlock()
	for _, other := range stale {
		other.close("its process was started anew")
	}
	return nil
}

// finish deals with the end of the other side's frames: a clean one means that
// it left this link, anything else that the link is broken.
func (l *link) finish(err error) {
	l.inLine.pass(0, wire.Fault{}, l.pair.t.spawn, func() { l.overOnce.Do(func() { close(l.over) }) })
	if !errors.Is(err, io.EOF) {
		l.close("read: " + err.Error())
		return
	}
	select {
	case <-l.over:
	case <-l.closed:
		return
	}
	l.pair.mu.Lock()
	l.ended = true
	l.pair.mu.Unlock()
	l.pair.choose()
}

// follow waits, when the other side changes over to this link, until the frames
// of the one before are through.
func (l *link) follow(in *inlet) error {
	first, err := in.next(time.Time{})
	if err != nil {
		return err
	}
	if len(first) != serialBytes {
		return errors.New("no start")
	}
	before := l.pair.linkBefore(l, binary.BigEndian.Uint64(first))
	if before == nil {
		return nil
	}
	timer := time.NewTimer(switchTime)
	defer timer.Stop()
	select {
	case <-before.over:
	case <-before.closed:
	case <-l.closed:
	case <-timer.C:
		before.close("its frames did not end")
	}
	return nil
}

// start tells the other side which link this one follows. It needs pair.mu.
func (l *link) start(before *link) {
	var serial uint64
	if before != nil {
		serial = before.serial
	}
	l.queue.push(binary.BigEndian.AppendUint64(nil, serial), time.Time{})
}

// linkOf finds or makes the link of a connection; nil when the device is no
// peer, has too many or the connection is closed.
func (t *Transport) linkOf(conn network.Conn) *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.links[conn]; l != nil {
		if l.dead() {
			return nil
		}
		return l
	}
	device, err := deviceOf(conn.RemotePeer())
	if err != nil || t.closed || conn.IsClosed() {
		return nil
	}
	p := t.pairs[device]
	if p == nil {
		return nil
	}
	l := p.adopt(conn)
	if l == nil {
		t.spawnLocked(func() { _ = conn.Close() })
		return nil
	}
	t.links[conn] = l
	t.spawnLocked(l.run)
	return l
}
