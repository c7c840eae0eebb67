package p2p

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// headStart is what the device with the smaller id has when both dial at
	// once: a connection on a LAN is set up in less.
	headStart = 150 * time.Millisecond
	// steady is how long a link must have lived for the next dial to come at
	// once: two clones of one device would otherwise chase each other.
	steady = time.Second
	// dialTime bounds one dial.
	dialTime = 10 * time.Second
	// directEvery is how often a pair that is only relayed tries to do without.
	directEvery = time.Minute
	// meetEvery is how often a meeting on the LAN starts a dial, and how long the
	// larger id leaves it to the smaller one.
	meetEvery = 2 * time.Second
	// maxLinks bounds the connections of one pair.
	maxLinks = 4
	// switchTime is how long frames of a new link wait for the end of the old one.
	switchTime = 5 * time.Second
)

// pair is this node and one other device: the loop that dials it, the links
// between the two, and the one link that frames are sent on.
//
// calls is taken before mu and never the other way round.
type pair struct {
	t      *Transport
	device demes.DeviceID
	id     peer.ID
	first  bool // this node has the smaller id: it dials first
	wake   chan struct{}
	gone   chan struct{} // closed when the device is no peer any more

	// calls serialises what the Handler hears about the device.
	calls     sync.Mutex
	connected bool // what the Handler believes
	silenced  bool // nothing is told any more

	mu        sync.Mutex
	removed   bool // no link begins any more
	ended     bool // gone is closed
	links     []*link
	active    *link // Invariant: nil, or in links and not dead
	addresses []ma.Multiaddr
	local     []ma.Multiaddr // seen on the local network
	metAt     time.Time
	backoff   time.Duration
	interval  uint32 // of own beats, milliseconds
}

func newPair(t *Transport, device demes.DeviceID, id peer.ID) *pair {
	return &pair{
		t: t, device: device, id: id,
		first:    t.self.Compare(device) < 0,
		wake:     make(chan struct{}, 1),
		gone:     make(chan struct{}),
		interval: wire.SlowBeat,
	}
}

// dial keeps the pair connected until the device is removed.
func (p *pair) dial() {
	timer := time.NewTimer(p.patience())
	defer timer.Stop()
	for {
		select {
		case <-p.gone:
			return
		case <-p.t.ctx.Done():
			return
		case <-p.wake:
			timer.Reset(p.patience())
			continue
		case <-timer.C:
		}
		p.attempt()
		timer.Reset(p.patience())
	}
}

// patience is how long to wait before the next dial.
func (p *pair) patience() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.links) > 0 && (p.backoff > 0 || !p.relayedOnly()) {
		return directEvery
	}
	wait := p.backoff
	if wait == 0 && !p.first {
		wait = headStart
	}
	return wait/2 + rand.N(wait/2+time.Millisecond)
}

func (p *pair) attempt() {
	p.mu.Lock()
	addrs, relayedOnly := slices.Concat(p.addresses, p.local), p.relayedOnly()
	if len(p.links) > 0 && !relayedOnly {
		p.mu.Unlock()
		return
	}
	p.backoff = min(max(2*p.backoff, firstBackoff), lastBackoff)
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.t.ctx, dialTime)
	defer cancel()
	if relayedOnly {
		ctx = network.WithForceDirectDial(ctx, "leave the relay")
	}
	// libp2p's own back-off grows to minutes; this loop has one already.
	p.t.swarm.Backoff().Clear(p.id)
	p.t.host.Peerstore().AddAddrs(p.id, addrs, peerstore.TempAddrTTL)
	conn, err := p.t.swarm.DialPeer(ctx, p.id)
	if err != nil {
		p.t.log.Debug("dial failed", "device", p.device.Short(), "err", err)
		return
	}
	p.t.linkOf(conn)
}

// relayedOnly reports whether there are links, and all go through others. It
// needs mu.
func (p *pair) relayedOnly() bool {
	direct := func(l *link) bool { return !l.relayed }
	return len(p.links) > 0 && !slices.ContainsFunc(p.links, direct)
}

// hurry dials now, whatever the back-off.
func (p *pair) hurry() {
	p.mu.Lock()
	p.backoff = 0
	p.mu.Unlock()
	p.nudge()
}

func (p *pair) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// know sets the addresses to dial and reports whether one is new.
func (p *pair) know(addrs []ma.Multiaddr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := false
	for _, addr := range addrs {
		fresh = fresh || !ma.Contains(p.addresses, addr)
	}
	p.addresses = addrs
	return fresh
}

// adopt makes a link of a connection. It needs t.mu.
func (p *pair) adopt(conn network.Conn) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.removed || len(p.links) >= maxLinks {
		return nil
	}
	l := newLink(p, conn)
	p.links = append(p.links, l)
	return l
}

// drop takes a dead link out.
func (p *pair) drop(l *link) {
	p.choose()
	p.mu.Lock()
	p.links = slices.DeleteFunc(p.links, func(other *link) bool { return other == l })
	if l.ready && time.Since(l.born) >= steady {
		p.backoff = 0
	}
	p.mu.Unlock()
	close(l.dropped)
	p.nudge()
}

// choose settles which link frames are sent on and tells the Handler when the
// pair becomes connected or is so no more.
func (p *pair) choose() {
	p.calls.Lock()
	defer p.calls.Unlock()
	p.mu.Lock()
	old := p.active
	if old != nil && old.dead() {
		old, p.active = nil, nil
	}
	if old == nil && p.connected {
		p.mu.Unlock()
		p.connected = false
		if !p.silenced {
			p.t.handler.Disconnected(p.device)
		}
		p.mu.Lock()
	}
	best := p.best()
	switch {
	case best != nil && best != old:
		p.active = best
		best.start(old)
	case old != nil && old.ended && !p.pending():
		// The other side left this link and there is no other.
		defer old.close("the other side left")
	case best == nil && old == nil && !p.pending():
		for _, l := range p.links {
			defer l.close("no link left to send on")
		}
	}
	for _, l := range p.links {
		if best != nil && l != best && l.ready {
			l.retire()
		}
	}
	p.mu.Unlock()
	if best != nil && !p.connected {
		p.connected = true
		if !p.silenced {
			p.t.handler.Connected(p.device, p.knownAddresses(best))
		}
	}
}

// best is the link that both sides prefer among those that work. It needs mu.
func (p *pair) best() *link {
	var best *link
	for _, l := range p.links {
		if !l.ready || l.retired || l.ended || l.dead() {
			continue
		}
		if best == nil || l.betterThan(best) {
			best = l
		}
	}
	return best
}

// pending reports whether a link is still being set up. It needs mu.
func (p *pair) pending() bool {
	return slices.ContainsFunc(p.links, func(l *link) bool { return !l.ready && !l.dead() })
}

// send queues a frame on the active link.
func (p *pair) send(frame []byte) bool {
	if len(frame) > wire.MaxFrame {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active == nil || p.active.dead() {
		return false
	}
	fault, _ := p.t.faults.of(p.device)
	if lost(fault) {
		return true
	}
	var due time.Time
	if late := lateness(fault); late > 0 {
		due = time.Now().Add(late)
	}
	return p.active.queue.push(frame, due)
}

// linkBefore finds the link that the other side used before it changed to l.
func (p *pair) linkBefore(l *link, remote uint64) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.links {
		if other != l && other.session == l.session && other.remote == remote {
			return other
		}
	}
	return nil
}

// tell runs a call to the Handler when the pair is connected.
func (p *pair) tell(call func(Handler)) {
	p.calls.Lock()
	defer p.calls.Unlock()
	if p.connected && !p.silenced {
		call(p.t.handler)
	}
}

// remove ends the pair: its loop, its links, and with them what the Handler
// hears of it.
func (p *pair) remove(reason string) {
	p.mu.Lock()
	p.removed = true
	links := slices.Clone(p.links)
	if !p.ended {
		p.ended = true
		close(p.gone)
	}
	p.mu.Unlock()
	for _, l := range links {
		l.close(reason)
	}
}

// leave ends the dialling and lets every link finish what it has to write.
func (p *pair) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removed = true
	for _, l := range p.links {
		l.retire()
	}
}

// awaitEmpty waits until no link is left.
func (p *pair) awaitEmpty(ctx context.Context) {
	for {
		p.mu.Lock()
		var l *link
		if len(p.links) > 0 {
			l = p.links[0]
		}
		p.mu.Unlock()
		if l == nil {
			return
		}
		select {
		case <-l.dropped:
		case <-ctx.Done():
			return
		}
	}
}

// meet takes note of addresses on the local network.
func (p *pair) meet(addrs []ma.Multiaddr) {
	p.mu.Lock()
	p.local = addrs[:min(len(addrs), wire.MaxAddresses)]
	known := len(p.links) > 0 || time.Since(p.metAt) < meetEvery
	if !known {
		p.metAt = time.Now()
	}
	p.mu.Unlock()
	switch {
	case known:
	case p.first:
		p.hurry()
	default:
		time.AfterFunc(meetEvery, p.hurry)
	}
}

// silence makes sure that the Handler is not called any more.
func (p *pair) silence() {
	p.calls.Lock()
	defer p.calls.Unlock()
	p.silenced = true
}

func (p *pair) setPace(interval uint32) {
	p.mu.Lock()
	same := p.interval == interval
	p.interval = interval
	p.mu.Unlock()
	if !same {
		p.beatNow()
	}
}

// beatNow sends a beat out of turn, because it has something new to say.
func (p *pair) beatNow() {
	p.mu.Lock()
	links := slices.Clone(p.links)
	p.mu.Unlock()
	for _, l := range links {
		l.beats.kick()
	}
}

func (p *pair) pace() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.interval
}

// directlyLinked reports whether a link leads there without a relay.
func (p *pair) directlyLinked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.links, func(l *link) bool { return l.ready && !l.relayed && !l.dead() })
}

// knownNow lists the addresses to dial.
func (p *pair) knownNow() []ma.Multiaddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Concat(p.addresses, p.local)
}

// knownAddresses lists where the device can be dialled: where it was reached
// just now, then what it says of itself.
func (p *pair) knownAddresses(l *link) []string {
	var addrs []ma.Multiaddr
	if l.dialled {
		addrs = append(addrs, l.conn.RemoteMultiaddr())
	}
	addrs = ma.Unique(append(addrs, p.t.host.Peerstore().Addrs(p.id)...))
	out := make([]string, 0, wire.MaxAddresses)
	for _, addr := range addrs[:min(len(addrs), wire.MaxAddresses)] {
		out = append(out, addr.String())
	}
	return out
}
