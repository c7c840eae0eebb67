package contract

import (
	"context"
	"crypto/ed25519"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	// networkSilence is when a cut link is given up.
	networkSilence = 10 * time.Second
	// networkProbes open a link, one after the other.
	networkProbes = 5
)

// Network is a network inside one process that keeps the contract of
// node.Transport: what two endpoints name each other as peers for connects
// them. It runs on the real clock, or on a bubble's of testing/synctest.
type Network struct {
	mu    sync.Mutex
	nodes map[demes.DeviceID]*Endpoint
	links map[[2]demes.DeviceID]*networkLink
}

// NewNetwork makes an empty network.
func NewNetwork() *Network {
	return &Network{
		nodes: make(map[demes.DeviceID]*Endpoint),
		links: make(map[[2]demes.DeviceID]*networkLink),
	}
}

// Endpoint is one device on a Network. Its address is its device id as text.
type Endpoint struct {
	net     *Network
	id      demes.DeviceID
	handler node.Handler
	inbox   *inbox

	// Guarded by net.mu.
	closed  bool
	peers   map[demes.DeviceID]bool
	pace    map[demes.DeviceID]uint32
	faults  map[demes.DeviceID]wire.Fault
	hosting []*wire.Hosting
}

var _ node.Transport = (*Endpoint)(nil)

// networkLink is a connection of two endpoints. Its fields are guarded by the
// network's mu.
type networkLink struct {
	ends [2]*Endpoint
	ways [2]way // from ends[0], from ends[1]
	dead bool
	mute time.Time // since when it is cut; zero when it is not
}

// way is one direction of a link.
type way struct {
	held    [][]byte // while the link is cut
	waiting int      // bytes not handed over yet
	last    time.Time
	beat    *time.Timer
	beats   int
}

// Open adds a device to the network.
func (n *Network) Open(key ed25519.PrivateKey, handler node.Handler) *Endpoint {
	e := &Endpoint{
		net: n, handler: handler, inbox: newInbox(),
		peers: make(map[demes.DeviceID]bool), pace: make(map[demes.DeviceID]uint32),
		faults: make(map[demes.DeviceID]wire.Fault),
	}
	copy(e.id[:], key.Public().(ed25519.PublicKey))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[e.id] = e
	return e
}

func linkKey(a, b demes.DeviceID) [2]demes.DeviceID {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return [2]demes.DeviceID{a, b}
}

// fault adds up what both ends do to a link. It needs n.mu.
func fault(a, b *Endpoint) wire.Fault {
	one, two := a.faultOf(b.id), b.faultOf(a.id)
	return wire.Fault{
		DelayMs:  one.DelayMs + two.DelayMs,
		JitterMs: one.JitterMs + two.JitterMs,
		Loss:     1 - (1-one.Loss)*(1-two.Loss),
		Cut:      one.Cut || two.Cut,
	}
}

func (e *Endpoint) faultOf(peer demes.DeviceID) wire.Fault {
	if f, ok := e.faults[peer]; ok {
		return f
	}
	return e.faults[demes.DeviceID{}]
}

func late(f wire.Fault) time.Duration {
	return time.Duration((f.DelayMs + rand.Float64()*f.JitterMs) * float64(time.Millisecond))
}

// settle makes every link of an endpoint what peers and faults ask for. It needs n.mu.
func (n *Network) settle(e *Endpoint) {
	for _, other := range n.nodes {
		if other == e {
			continue
		}
		key := linkKey(e.id, other.id)
		link := n.links[key]
		wanted := !e.closed && !other.closed && e.peers[other.id] && other.peers[e.id]
		cut := fault(e, other).Cut
		switch {
		case link == nil && wanted && !cut:
			n.connect(key, e, other)
		case link != nil && !wanted:
			n.disconnect(key, link)
		case link != nil && cut && link.mute.IsZero():
			since := time.Now()
			link.mute = since
			time.AfterFunc(networkSilence, func() { n.giveUp(key, link, since) })
		case link != nil && !cut && !link.mute.IsZero():
			link.mute = time.Time{}
			n.release(link)
		}
	}
}

func (n *Network) connect(key [2]demes.DeviceID, a, b *Endpoint) {
	link := &networkLink{ends: [2]*Endpoint{a, b}}
	n.links[key] = link
	for from, e := range link.ends {
		other := link.ends[1-from]
		e.inbox.put(time.Time{}, func() { e.handler.Connected(other.id, []string{other.id.String()}) })
		link.ways[from].beat = time.AfterFunc(0, func() { n.beat(link, from) })
	}
}

func (n *Network) disconnect(key [2]demes.DeviceID, link *networkLink) {
	delete(n.links, key)
	link.dead = true
	for from, e := range link.ends {
		other := link.ends[1-from]
		link.ways[from].beat.Stop()
		e.inbox.put(time.Time{}, func() { e.handler.Disconnected(other.id) })
	}
}

// giveUp ends a link that was mute for too long.
func (n *Network) giveUp(key [2]demes.DeviceID, link *networkLink, since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !link.dead && link.mute.Equal(since) {
		n.disconnect(key, link)
	}
}

// release sends what waited for the end of a cut.
func (n *Network) release(link *networkLink) {
	for from := range link.ends {
		held := link.ways[from].held
		link.ways[from].held = nil
		for _, frame := range held {
			n.forward(link, from, frame)
		}
	}
}

// forward puts a frame on its way. It needs n.mu.
func (n *Network) forward(link *networkLink, from int, frame []byte) {
	a, b := link.ends[from], link.ends[1-from]
	w := &link.ways[from]
	due := time.Now().Add(late(fault(a, b)))
	if due.Before(w.last) {
		due = w.last
	}
	w.last = due
	b.inbox.put(due, func() {
		n.mu.Lock()
		w.waiting -= len(frame)
		dead := link.dead
		n.mu.Unlock()
		if !dead {
			b.handler.Frame(a.id, frame)
		}
	})
}

// beat sends one beat, measures, and plans the next.
func (n *Network) beat(link *networkLink, from int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if link.dead {
		return
	}
	a, b := link.ends[from], link.ends[1-from]
	w := &link.ways[from]
	interval := a.paceOf(b.id)
	next := time.Duration(interval) * time.Millisecond
	if w.beats++; w.beats < networkProbes {
		next = time.Millisecond
	}
	w.beat.Reset(next)
	f := fault(a, b)
	if f.Cut || rand.Float64() < f.Loss {
		a.inbox.put(time.Time{}, func() { a.handler.Delay(b.id, 0, true, false) })
		return
	}
	there, back := late(f), late(f)
	hosting := slices.Clone(a.hosting)
	now := time.Now()
	b.inbox.put(now.Add(there), func() { b.handler.Beat(a.id, interval, hosting) })
	rtt := float64((there+back).Microseconds())/1000 + 0.01
	a.inbox.put(now.Add(there+back), func() { a.handler.Delay(b.id, rtt, false, false) })
}

func (e *Endpoint) paceOf(peer demes.DeviceID) uint32 {
	if pace := e.pace[peer]; pace > 0 {
		return pace
	}
	return wire.SlowBeat
}

// SetPeers implements node.Transport.
func (e *Endpoint) SetPeers(peers map[demes.DeviceID][]string) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.peers = make(map[demes.DeviceID]bool, len(peers))
	for id := range peers {
		e.peers[id] = true
	}
	e.net.settle(e)
}

// Send implements node.Transport.
func (e *Endpoint) Send(to demes.DeviceID, frame []byte) bool {
	n := e.net
	n.mu.Lock()
	defer n.mu.Unlock()
	link := n.links[linkKey(e.id, to)]
	if link == nil || len(frame) > wire.MaxFrame {
		return false
	}
	from := slices.Index(link.ends[:], e)
	w := &link.ways[from]
	if w.waiting+len(frame) > wire.MaxQueue {
		return false
	}
	f := fault(link.ends[0], link.ends[1])
	if !f.Cut && rand.Float64() < f.Loss {
		return true
	}
	w.waiting += len(frame)
	if f.Cut {
		w.held = append(w.held, frame)
	} else {
		n.forward(link, from, frame)
	}
	return true
}

// SetHosting implements node.Transport.
func (e *Endpoint) SetHosting(hosting []*wire.Hosting) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.hosting = hosting
	e.net.beatNow(e)
}

// SetPace implements node.Transport.
func (e *Endpoint) SetPace(to demes.DeviceID, intervalMs uint32) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.pace[to] = intervalMs
	e.net.beatNow(e)
}

func (n *Network) beatNow(e *Endpoint) {
	for _, link := range n.links {
		if from := slices.Index(link.ends[:], e); from >= 0 {
			link.ways[from].beat.Reset(0)
		}
	}
}

// Join implements node.Transport.
func (e *Endpoint) Join(ctx context.Context, contact wire.Target, ask []byte) ([]byte, demes.DeviceID, error) {
	unreachable := demes.Problem(demes.CodeUnreachable, "This device does not answer.", "Try again later.")
	id, err := demes.ParseDeviceID(contact.Address)
	if contact.Address == "" {
		copy(id[:], contact.Device)
	} else if err != nil || (len(contact.Device) > 0 && string(contact.Device) != string(id[:])) {
		return nil, id, unreachable
	}
	n := e.net
	n.mu.Lock()
	other := n.nodes[id]
	if other == nil || other == e || other.closed || e.closed || fault(e, other).Cut ||
		len(ask) > wire.MaxJoinAsk {
		n.mu.Unlock()
		return nil, id, unreachable
	}
	there, back := late(fault(e, other)), late(fault(e, other))
	n.mu.Unlock()
	answers := make(chan []byte, 1)
	time.AfterFunc(there, func() {
		answer := other.handler.Joining(ctx, e.id, e.id.String(), ask)
		time.AfterFunc(back, func() { answers <- answer })
	})
	select {
	case answer := <-answers:
		if answer == nil || len(answer) > wire.MaxJoinAnswer {
			return nil, id, unreachable
		}
		return answer, id, nil
	case <-ctx.Done():
		return nil, id, unreachable
	}
}

// Addresses implements node.Transport.
func (e *Endpoint) Addresses() []string { return []string{e.id.String()} }

// PeerID implements node.Transport.
func (e *Endpoint) PeerID() string { return e.id.String() }

// SetFaults implements node.Transport.
func (e *Endpoint) SetFaults(faults []wire.Fault) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.faults = make(map[demes.DeviceID]wire.Fault, len(faults))
	for _, f := range faults {
		e.faults[f.Peer] = f
	}
	e.net.settle(e)
}

// Close implements node.Transport.
func (e *Endpoint) Close() error {
	e.net.mu.Lock()
	if e.closed {
		e.net.mu.Unlock()
		return nil
	}
	e.closed = true
	e.net.settle(e)
	if e.net.nodes[e.id] == e {
		delete(e.net.nodes, e.id)
	}
	e.net.mu.Unlock()
	e.inbox.close()
	return nil
}
