package p2p

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// maxStrangers may be connected at once, each for strangerTime and with
	// strangerConns connections: the join protocol needs two, one to learn the
	// device's key and one to ask.
	maxStrangers  = 8
	strangerTime  = 10 * time.Second
	strangerConns = 4
	// strangerPause is how long one may stay that has asked nothing: former
	// members that keep dialling must not take the places of those who join.
	strangerPause = 3 * time.Second
	// strangerAsks questions are answered in one stay: which lobby, the request
	// itself, and its repetitions.
	strangerAsks = 4
	// An address may bring strangerBurst strangers at once (an office that joins)
	// and one per strangerEvery after that.
	strangerBurst = 32
	strangerEvery = 2 * time.Second
	// maxRates bounds the addresses remembered for that.
	maxRates = 1024
)

// gate decides who may connect: members, whom this node asks, and a few
// strangers for a short time. It implements libp2p's ConnectionGater, which is
// asked at set-up only; stream handlers ask again (admits, member).
type gate struct {
	cut   func(peer.ID) bool // whether a fault cuts the link
	expel func(peer.ID)      // closes what a stranger has open

	mu        sync.Mutex
	open      bool // false before the handlers are set and from Close on
	members   map[peer.ID]struct{}
	asked     map[peer.ID]int
	strangers map[peer.ID]*stranger
	rates     map[netip.Prefix]bucket
}

type stranger struct {
	conns int
	asks  int // join streams so far
	timer *time.Timer
	// checked says that strangerPause is over.
	checked bool
}

// bucket holds the tokens of one address.
type bucket struct {
	tokens float64
	at     time.Time
}

func newGate() *gate {
	return &gate{
		members:   make(map[peer.ID]struct{}),
		asked:     make(map[peer.ID]int),
		strangers: make(map[peer.ID]*stranger),
		rates:     make(map[netip.Prefix]bucket),
	}
}

func (g *gate) setOpen(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
}

func (g *gate) setMembers(ids map[peer.ID]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members = ids
	for id := range ids {
		g.forget(id)
	}
}

func (g *gate) member(id peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.members[id]
	return ok
}

// ask lets this node dial a device that is no member, until the returned
// function is called; that one reports whether nobody needs the connection now.
func (g *gate) ask(id peer.ID) (done func() (idle bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[id]++
	return func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.asked[id]--; g.asked[id] <= 0 {
			delete(g.asked, id)
		}
		_, member := g.members[id]
		return !member && g.asked[id] == 0
	}
}

// mayAsk counts a stranger's questions in one stay.
func (g *gate) mayAsk(id peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.members[id]; ok {
		return true
	}
	s := g.strangers[id]
	if s == nil || s.asks >= strangerAsks {
		return false
	}
	s.asks++
	return true
}

// left frees the place of a stranger that has no connection any more.
func (g *gate) left(id peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(id)
}

// forget needs g.mu.
func (g *gate) forget(id peer.ID) {
	if s := g.strangers[id]; s != nil {
		s.timer.Stop()
		delete(g.strangers, id)
	}
}

func (g *gate) InterceptPeerDial(id peer.ID) bool {
	g.mu.Lock()
	_, member := g.members[id]
	allowed := member || g.asked[id] > 0
	g.mu.Unlock()
	return allowed && !g.cut(id)
}

func (g *gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

func (g *gate) InterceptSecured(dir network.Direction, id peer.ID, addrs network.ConnMultiaddrs) bool {
	if g.cut(id) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, member := g.members[id]; member || g.asked[id] > 0 {
		return g.open || dir == network.DirOutbound
	}
	return dir == network.DirInbound && g.open && g.admit(id, addrs.RemoteMultiaddr())
}

func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// admit gives a stranger one of the places. It needs g.mu.
func (g *gate) admit(id peer.ID, from ma.Multiaddr) bool {
	if s := g.strangers[id]; s != nil {
		s.conns++
		return s.conns <= strangerConns
	}
	if len(g.strangers) >= maxStrangers || !g.spend(from, time.Now()) {
		return false
	}
	s := &stranger{conns: 1}
	s.timer = time.AfterFunc(strangerPause, func() { g.check(id, s) })
	g.strangers[id] = s
	return true
}

// check ends a stranger's stay, or lets one that asked have the rest of its time.
func (g *gate) check(id peer.ID, s *stranger) {
	g.mu.Lock()
	if g.strangers[id] != s {
		g.mu.Unlock()
		return
	}
	if s.asks > 0 && !s.checked {
		s.checked = true
		s.timer.Reset(strangerTime - strangerPause)
		g.mu.Unlock()
		return
	}
	g.forget(id)
	g.mu.Unlock()
	g.expel(id)
}

// spend takes a token of an address. It needs g.mu.
func (g *gate) spend(from ma.Multiaddr, now time.Time) bool {
	key := addressKey(from)
	r, ok := g.rates[key]
	if !ok {
		if len(g.rates) >= maxRates {
			g.dropFullest(now)
		}
		r = bucket{tokens: strangerBurst, at: now}
	}
	r = r.refilled(now)
	allowed := r.tokens >= 1
	if allowed {
		r.tokens--
	}
	g.rates[key] = r
	return allowed
}

func (r bucket) refilled(now time.Time) bucket {
	r.tokens = min(strangerBurst, r.tokens+now.Sub(r.at).Seconds()/strangerEvery.Seconds())
	r.at = now
	return r
}

// dropFullest forgets the address that has the least to be remembered for.
func (g *gate) dropFullest(now time.Time) {
	var fullest netip.Prefix
	most := -1.0
	for key, r := range g.rates {
		if tokens := r.refilled(now).tokens; tokens > most {
			fullest, most = key, tokens
		}
	}
	delete(g.rates, fullest)
}

// addressKey is whom an address belongs to: one IPv4 address, or the /56 that a
// home gets of IPv6. Relayed strangers share one key.
func addressKey(addr ma.Multiaddr) netip.Prefix {
	if relayed(addr) {
		return netip.Prefix{}
	}
	ip, err := manet.ToIP(addr)
	if err != nil {
		return netip.Prefix{}
	}
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return netip.Prefix{}
	}
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 56
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
