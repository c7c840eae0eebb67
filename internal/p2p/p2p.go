// Package p2p carries frames, beats and join questions between devices, over
// libp2p: QUIC and TCP, both ends authenticated by their device keys.
//
// Its one idea: a pair of devices has at most one link that counts. Each link
// has an ordered stream of frames in each direction and one stream of beats on
// which nothing else waits; the beats say who lives, who hosts, and how long a
// round trip takes. The package finds the way by itself: it dials, listens on
// the LAN, maps ports, punches holes and goes through other members.
//
// Everything a peer sends is bounded before it is kept, and whoever is not
// among the peers reaches the join protocol only. The package does not know
// what a frame means, and does not choose whom to talk to: SetPeers does.
//
// Call Open, then SetPeers whenever the set changes, then Close.
package p2p

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// goodbyeTime is how long Close waits until what is queued has arrived.
const goodbyeTime = 500 * time.Millisecond

// Handler is what a transport calls. Calls about one device come one at a time
// and in order; they must not block for long, and must not call Close. None
// comes after Close returned.
type Handler interface {
	// Connected says that frames can be sent to a device, and where it was dialled.
	Connected(device demes.DeviceID, addresses []string)
	// Disconnected says that frames on the way may be lost.
	Disconnected(device demes.DeviceID)
	// Frame hands over a frame; it belongs to the Handler.
	Frame(from demes.DeviceID, frame []byte)
	// Beat hands over a beat that arrived: the sender's interval, and what it
	// says it hosts (the last full list when the beat carried none).
	Beat(from demes.DeviceID, intervalMs uint32, hosting []*wire.Hosting)
	// Delay hands over one measured round trip, or a probe that was lost.
	Delay(to demes.DeviceID, rttMs float64, lost, relayed bool)
	// Joining answers a question over the join protocol. It may take as long as
	// the context lets it. Without an answer the asker is cut off.
	Joining(ctx context.Context, from demes.DeviceID, address string, ask []byte) []byte
}

// Config is what a Transport needs.
type Config struct {
	Key     ed25519.PrivateKey // of this device
	Port    int                // for UDP and TCP; 0: a free one, to be kept by the caller (Port)
	Handler Handler
	Log     *slog.Logger // nil: slog.Default

	// Loopback keeps to this machine: no LAN, no port mapping, no hole punching.
	Loopback bool
	// Reachable says that others reach this node from everywhere (a public
	// address or a forwarded port): it then passes connections on for members
	// without waiting for evidence.
	Reachable bool
}

// Transport is a running node of the network.
type Transport struct {
	log        *slog.Logger
	handler    Handler
	self       demes.DeviceID
	key        ed25519.PrivateKey
	port       int
	session    uint64
	serial     atomic.Uint64
	host       host.Host
	swarm      *swarm.Swarm
	gate       *gate
	faults     *faults
	hosting    atomic.Pointer[hostingList]
	reach      *reach
	lan        *lan
	joins      *joins
	complaints complaints

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	closed  bool // nothing new begins
	stopped bool // no goroutine starts any more
	pairs   map[demes.DeviceID]*pair
	links   map[network.Conn]*link
}

type hostingList struct {
	version uint64
	chats   []*wire.Hosting
}

// Open starts to listen. Nobody is connected before SetPeers.
func Open(cfg Config) (*Transport, error) {
	if cfg.Handler == nil {
		return nil, errors.New("open transport: no handler")
	}
	key, err := identity(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("open transport: %w", err)
	}
	port, err := freePort(cfg.Port, cfg.Loopback)
	if err != nil {
		return nil, err
	}
	var random [sessionBytes]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("open transport: %w", err)
	}
	t := &Transport{
		log: cfg.Log, handler: cfg.Handler, key: cfg.Key, port: port,
		session: binary.BigEndian.Uint64(random[:]) | 1,
		gate:    newGate(),
		faults:  newFaults(),
		pairs:   make(map[demes.DeviceID]*pair),
		links:   make(map[network.Conn]*link),
	}
	if t.log == nil {
		t.log = slog.Default()
	}
	copy(t.self[:], cfg.Key.Public().(ed25519.PublicKey))
	t.hosting.Store(&hostingList{version: 1})
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.gate.cut = t.isCut
	t.gate.expel = t.expel
	if t.host, err = newHost(key, port, cfg.Loopback, t.gate); err != nil {
		t.cancel()
		return nil, err
	}
	if err := t.start(cfg); err != nil {
		t.cancel()
		return nil, errors.Join(err, t.host.Close())
	}
	return t, nil
}

// start sets the handlers and opens the gate.
func (t *Transport) start(cfg Config) error {
	var ok bool
	if t.swarm, ok = t.host.Network().(*swarm.Swarm); !ok {
		return errors.New("open transport: libp2p's network is not a swarm")
	}
	t.joins = newJoins(t)
	t.lan = newLAN(t, cfg.Loopback)
	t.reach = newReach(t, cfg.Reachable)
	t.host.SetStreamHandler(framesProtocol, func(s network.Stream) {
		if l := t.linkOf(s.Conn()); l != nil {
			l.read(s)
			return
		}
		_ = s.Reset()
	})
	t.host.SetStreamHandler(beatsProtocol, func(s network.Stream) {
		if l := t.linkOf(s.Conn()); l != nil && !l.dialled {
			l.beats.serve(s)
			return
		}
		_ = s.Reset()
	})
	t.host.SetStreamHandler(joinProtocol, t.joins.answer)
	// Members may use everything; libp2p's own handlers would answer strangers too.
	members := t.swarm.StreamHandler()
	t.swarm.SetStreamHandler(func(s network.Stream) {
		if t.gate.member(s.Conn().RemotePeer()) {
			members(s)
			return
		}
		t.joins.receive(s)
	})
	t.swarm.Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, conn network.Conn) { t.linkOf(conn) },
		DisconnectedF: func(_ network.Network, conn network.Conn) { t.forget(conn) },
	})
	if err := t.reach.watch(); err != nil {
		return err
	}
	t.gate.setOpen(true)
	return nil
}

// forget ends the link of a connection that is gone.
func (t *Transport) forget(conn network.Conn) {
	t.mu.Lock()
	l := t.links[conn]
	delete(t.links, conn)
	t.mu.Unlock()
	if l != nil {
		l.close("connection closed")
	}
	if id := conn.RemotePeer(); len(t.swarm.ConnsToPeer(id)) == 0 {
		t.gate.left(id)
	}
}

// expel closes what a stranger has open when its time is over.
func (t *Transport) expel(id peer.ID) {
	if !t.gate.member(id) {
		_ = t.swarm.ClosePeer(id)
	}
}

func (t *Transport) isCut(id peer.ID) bool {
	device, err := deviceOf(id)
	if err != nil {
		return false
	}
	fault, _ := t.faults.of(device)
	return fault.Cut
}

// SetPeers names everybody this node talks to, with the addresses known for
// each (at most wire.MaxAddresses; host:port or multiaddresses). Who is not
// among them is refused, except by Join; who is no longer among them is
// disconnected soon. The transport keeps trying to be connected to each.
func (t *Transport) SetPeers(peers map[demes.DeviceID][]string) {
	ids := make(map[peer.ID]struct{}, len(peers))
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	var added, gone, better []*pair
	for device, texts := range peers {
		id, err := PeerID(device)
		if err != nil || device == t.self {
			continue
		}
		ids[id] = struct{}{}
		p := t.pairs[device]
		if p == nil {
			p = newPair(t, device, id)
			t.pairs[device] = p
			added = append(added, p)
		}
		if p.know(parseAddresses(texts, id)) {
			better = append(better, p)
		}
	}
	for device, p := range t.pairs {
		if _, ok := ids[p.id]; !ok {
			delete(t.pairs, device)
			gone = append(gone, p)
		}
	}
	t.gate.setMembers(ids)
	t.mu.Unlock()
	for _, p := range gone {
		t.dismiss(p)
	}
	for _, p := range added {
		t.host.ConnManager().Protect(p.id, "demes")
		for _, conn := range t.swarm.ConnsToPeer(p.id) {
			t.linkOf(conn)
		}
		t.spawn(p.dial)
	}
	for _, p := range better {
		p.hurry()
	}
}

// dismiss ends the pair with a device that is no peer any more.
func (t *Transport) dismiss(p *pair) {
	p.remove("no peer any more")
	t.spawn(func() {
		_ = t.swarm.ClosePeer(p.id)
		t.host.ConnManager().Unprotect(p.id, "demes")
		t.host.Peerstore().RemovePeer(p.id)
		t.host.Peerstore().ClearAddrs(p.id)
	})
}

// Send queues a frame for a connected device: in order, at most once, dropped
// when the connection ends. The frame belongs to the transport from then on. It
// reports false when the frame was not sent: the device is not connected, its
// queue is full (wire.MaxQueue bytes), or the frame is above wire.MaxFrame.
func (t *Transport) Send(to demes.DeviceID, frame []byte) bool {
	p := t.pairOf(to)
	return p != nil && p.send(frame)
}

func (t *Transport) pairOf(device demes.DeviceID) *pair {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pairs[device]
}

func (t *Transport) allPairs() []*pair {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*pair, 0, len(t.pairs))
	for _, p := range t.pairs {
		list = append(list, p)
	}
	return list
}

// SetHosting tells what the beats say from the next one on: the chats this node
// is host of (at most 4,096). The list belongs to the transport.
func (t *Transport) SetHosting(hosting []*wire.Hosting) {
	for {
		old := t.hosting.Load()
		next := &hostingList{version: old.version + 1, chats: hosting[:min(len(hosting), maxHosting)]}
		if t.hosting.CompareAndSwap(old, next) {
			break
		}
	}
	for _, p := range t.allPairs() {
		p.beatNow()
	}
}

// SetPace says how fast the beats to a device go, in milliseconds: wire.FastBeat,
// wire.IdleBeat or wire.SlowBeat (at first).
func (t *Transport) SetPace(to demes.DeviceID, intervalMs uint32) {
	if p := t.pairOf(to); p != nil {
		p.setPace(min(max(intervalMs, leastInterval), mostInterval))
	}
}

// SetRendezvous names the places on the local network where this node waits for
// others: one name per chat (letters and digits, at most 15), which only its
// members can derive. At most maxRendezvous are used, the first ones.
func (t *Transport) SetRendezvous(names []string) { t.lan.set(names) }

// SetFaults replaces all faults. It is the only way to have any.
func (t *Transport) SetFaults(list []wire.Fault) {
	t.faults.set(list)
	for _, p := range t.allPairs() {
		p.hurry()
	}
}

// PeerID is the text form of this node's libp2p peer id.
func (t *Transport) PeerID() string { return t.host.ID().String() }

// Port is where this node listens, for UDP and TCP.
func (t *Transport) Port() int { return t.port }

// Close writes what is queued, as far as that is quick, says goodbye to all and
// ends. The peers see their connections close at once.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	t.mu.Unlock()
	t.gate.setOpen(false)
	t.lan.close()
	pairs := t.allPairs()
	for _, p := range pairs {
		p.leave()
	}
	ctx, cancel := context.WithTimeout(t.ctx, goodbyeTime)
	for _, p := range pairs {
		p.awaitEmpty(ctx)
	}
	cancel()
	t.reach.close()
	t.cancel()
	for _, p := range pairs {
		p.remove("this node is closing")
	}
	err := t.host.Close()
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.work.Wait()
	for _, p := range pairs {
		p.silence()
	}
	return err
}

// spawn starts a goroutine that Close waits for. It must end when the context
// or the connections end.
func (t *Transport) spawn(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spawnLocked(f)
}

// spawnLocked needs t.mu.
func (t *Transport) spawnLocked(f func()) {
	if t.stopped {
		return
	}
	t.work.Go(f)
}

// begin counts a goroutine of libp2p's among those that Close waits for.
func (t *Transport) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.work.Add(1)
	return true
}

// addressesChanged makes every pair try again: this node is somewhere else.
func (t *Transport) addressesChanged() {
	for _, p := range t.allPairs() {
		p.hurry()
	}
	t.lan.restart()
}

// met hears that a peer is on the local network. The smaller id dials at once.
func (t *Transport) met(id peer.ID, addrs []ma.Multiaddr) {
	device, err := deviceOf(id)
	if err != nil {
		return
	}
	if p := t.pairOf(device); p != nil {
		p.meet(addrs)
	}
}
