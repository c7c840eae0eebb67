package p2p

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// maxObserved bounds the outside addresses kept of each kind.
	maxObserved = 4
	// wantedRelays is through how many members a node can be reached that cannot
	// be dialled itself.
	wantedRelays = 2
	// relayEvery is how often that is looked after; a reservation lasts an hour.
	relayEvery  = 30 * time.Second
	reserveTime = 10 * time.Second
)

// reach knows how this node is reached from outside. An address that a member
// says it dialled is confirmed, and a node that has one passes connections on
// for members; a node that has none asks such members to pass on to it.
type reach struct {
	t      *Transport
	always bool // the user says so
	events event.Subscription
	look   chan struct{} // a relay may be found or lost now

	mu        sync.Mutex
	confirmed []ma.Multiaddr // newest first
	guesses   []ma.Multiaddr // newest first
	service   *relay.Relay
	reserved  map[peer.ID]reservation
}

type reservation struct {
	addr  ma.Multiaddr // of this node, through the relay
	renew time.Time
}

func newReach(t *Transport, always bool) *reach {
	return &reach{t: t, always: always, look: make(chan struct{}, 1), reserved: make(map[peer.ID]reservation)}
}

// watch follows what libp2p learns about addresses.
func (r *reach) watch() (err error) {
	r.events, err = r.t.host.EventBus().Subscribe(
		[]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtLocalAddressesUpdated)},
		eventbus.BufSize(64), eventbus.Name("demes"))
	if err != nil {
		return fmt.Errorf("watch addresses: %w", err)
	}
	if r.always {
		r.offer()
	}
	r.t.spawn(r.listen)
	r.t.spawn(r.maintain)
	return nil
}

func (r *reach) close() {
	_ = r.events.Close()
	r.mu.Lock()
	service := r.service
	r.service = nil
	r.mu.Unlock()
	if service != nil {
		_ = service.Close()
	}
}

// listen drains the events; libp2p blocks on those who do not.
func (r *reach) listen() {
	place := r.place()
	for e := range r.events.Out() {
		switch e := e.(type) {
		case event.EvtPeerIdentificationCompleted:
			r.observed(e)
		case event.EvtLocalAddressesUpdated:
			// The event also tells of observed and mapped addresses.
			if now := r.place(); now != place {
				place = now
				r.t.addressesChanged()
			}
		}
		r.nudge()
	}
}

// place is where this machine is in the network: its interfaces' addresses.
func (r *reach) place() string {
	addrs, err := r.t.swarm.InterfaceListenAddresses()
	if err != nil {
		return ""
	}
	texts := make([]string, 0, len(addrs))
	for _, addr := range addrs {
		texts = append(texts, addr.String())
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// nudge looks for relays now.
func (r *reach) nudge() {
	select {
	case r.look <- struct{}{}:
	default:
	}
}

// observed learns an outside address from a member. What a member dialled is
// confirmed; where a connection seems to come from is a guess.
func (r *reach) observed(e event.EvtPeerIdentificationCompleted) {
	addr := e.ObservedAddr
	if addr == nil || relayed(e.Conn.RemoteMultiaddr()) || relayed(addr) ||
		!manet.IsPublicAddr(addr) || !r.t.gate.member(e.Peer) {
		return
	}
	if e.Conn.Stat().Direction == network.DirInbound {
		r.mu.Lock()
		r.confirmed = newest(r.confirmed, addr)
		r.mu.Unlock()
		r.offer()
		return
	}
	ip, err := manet.ToIP(addr)
	if err != nil {
		return
	}
	guesses, _, err := parseAddress(fmt.Sprintf("[%s]:%d", ip, r.t.port))
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, guess := range guesses {
		r.guesses = newest(r.guesses, guess)
	}
}

func newest(list []ma.Multiaddr, addr ma.Multiaddr) []ma.Multiaddr {
	out := []ma.Multiaddr{addr}
	for _, other := range list {
		if len(out) < maxObserved && !other.Equal(addr) {
			out = append(out, other)
		}
	}
	return out
}

func (r *reach) seen() (confirmed, guesses []ma.Multiaddr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.confirmed, r.guesses
}

func (r *reach) relays() []ma.Multiaddr {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []ma.Multiaddr
	for _, reservation := range r.reserved {
		out = append(out, reservation.addr)
	}
	return out
}

// offer passes connections on for members from now on.
func (r *reach) offer() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.service != nil {
		return
	}
	resources := relay.DefaultResources()
	// Members relay for members, for as long and as much as it takes.
	resources.Limit = nil
	resources.MaxReservations = maxConns / 4
	resources.MaxReservationsPerIP = maxAddressConns
	resources.MaxReservationsPerASN = maxConns / 4
	resources.MaxCircuits = 64
	service, err := relay.New(r.t.host, relay.WithResources(resources), relay.WithACL(r),
		relay.WithReservationAddressFilter(func(ma.Multiaddr) bool { return true }))
	if err != nil {
		r.t.log.Warn("relaying for members did not start", "err", err)
		return
	}
	r.service = service
}

// AllowReserve implements relay.ACLFilter: members only.
func (r *reach) AllowReserve(id peer.ID, _ ma.Multiaddr) bool { return r.t.gate.member(id) }

// AllowConnect implements relay.ACLFilter: members only.
func (r *reach) AllowConnect(from peer.ID, _ ma.Multiaddr, to peer.ID) bool {
	return r.t.gate.member(from) && r.t.gate.member(to)
}

// maintain keeps reservations with members that relay.
func (r *reach) maintain() {
	ticker := time.NewTicker(relayEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.t.ctx.Done():
			return
		case <-ticker.C:
		case <-r.look:
		}
		if r.always {
			continue
		}
		if confirmed, _ := r.seen(); len(confirmed) == 0 {
			r.reserve()
		}
	}
}

// reserve drops what is lost, renews what is old and asks for what lacks.
func (r *reach) reserve() {
	var fresh, candidates []peer.ID
	r.mu.Lock()
	for id, reservation := range r.reserved {
		switch {
		case r.t.swarm.Connectedness(id) != network.Connected:
			delete(r.reserved, id)
		case time.Now().After(reservation.renew):
			candidates = append(candidates, id)
		default:
			fresh = append(fresh, id)
		}
	}
	r.mu.Unlock()
	for _, p := range r.t.allPairs() {
		if p.directlyLinked() && !r.holds(p.id) && r.isRelay(p.id) {
			candidates = append(candidates, p.id)
		}
	}
	lacking := max(0, wantedRelays-len(fresh))
	for _, id := range candidates[:min(len(candidates), lacking)] {
		r.reserveAt(id)
	}
}

func (r *reach) holds(id peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.reserved[id]
	return ok
}

func (r *reach) isRelay(id peer.ID) bool {
	protocols, err := r.t.host.Peerstore().SupportsProtocols(id, circuit.ProtoIDv2Hop)
	return err == nil && len(protocols) > 0
}

func (r *reach) reserveAt(id peer.ID) {
	conns := r.t.swarm.ConnsToPeer(id)
	if len(conns) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(r.t.ctx, reserveTime)
	defer cancel()
	got, err := client.Reserve(ctx, r.t.host, peer.AddrInfo{ID: id})
	if err != nil {
		r.t.log.Debug("no place at a relay", "err", err)
		return
	}
	// Where this node reached the relay, others may; else what the relay says.
	addr := conns[0].RemoteMultiaddr()
	if conns[0].Stat().Direction == network.DirInbound {
		if len(got.Addrs) == 0 {
			return
		}
		addr, _ = peer.SplitAddr(got.Addrs[0])
	}
	through, err := ma.NewMultiaddr(fmt.Sprintf("%s/p2p/%s/p2p-circuit", addr, id))
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved[id] = reservation{through, time.Now().Add(time.Until(got.Expiration) / 2)}
}
