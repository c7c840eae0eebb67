package p2p

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/demes-chat/demes/internal/wire"
)

// maxAddressBytes bounds the text of one address: a DNS name has up to 253.
const maxAddressBytes = 512

var errAddress = errors.New("neither host:port nor a multiaddress")

// relayed reports whether an address leads through another member.
func relayed(addr ma.Multiaddr) bool {
	if addr == nil {
		return false
	}
	_, err := addr.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

// parseAddress reads an address as people and members write it: host:port
// (tried over QUIC and TCP) or a multiaddress, with or without its /p2p part.
// The peer id is empty where none is given.
func parseAddress(text string) (addrs []ma.Multiaddr, id peer.ID, err error) {
	text = strings.TrimSpace(text)
	if len(text) > maxAddressBytes {
		return nil, "", errAddress
	}
	if strings.HasPrefix(text, "/") {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, "", errAddress
		}
		rest, id := peer.SplitAddr(addr)
		if rest == nil {
			return nil, "", errAddress
		}
		return []ma.Multiaddr{rest}, id, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || port == "" {
		return nil, "", errAddress
	}
	prefix := "/dns/" + host
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		if ip = ip.Unmap(); ip.Is4() {
			prefix = "/ip4/" + ip.String()
		} else {
			prefix = "/ip6/" + ip.String()
		}
	}
	for _, form := range []string{"%s/udp/%s/quic-v1", "%s/tcp/%s"} {
		addr, err := ma.NewMultiaddr(fmt.Sprintf(form, prefix, port))
		if err != nil {
			return nil, "", errAddress
		}
		addrs = append(addrs, addr)
	}
	return addrs, "", nil
}

// parseAddresses reads the addresses of one device, at most wire.MaxAddresses
// of them, and leaves out what it does not understand or what names another.
func parseAddresses(texts []string, device peer.ID) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, text := range texts[:min(len(texts), wire.MaxAddresses)] {
		addrs, id, err := parseAddress(text)
		if err != nil || (id != "" && id != device) {
			continue
		}
		out = append(out, addrs...)
	}
	return ma.Unique(out)
}

// The order in which Addresses lists them: what works from everywhere first.
const (
	rankPublic = iota
	rankRelay
	rankLAN
	rankGuess
	rankLoopback
	rankUseless
)

func rankOf(addr ma.Multiaddr) int {
	switch {
	case relayed(addr):
		return rankRelay
	case manet.IsIPLoopback(addr):
		return rankLoopback
	case manet.IsIP6LinkLocal(addr), manet.IsIPUnspecified(addr):
		return rankUseless
	case manet.IsPublicAddr(addr):
		return rankPublic
	}
	return rankLAN
}

// Addresses lists what others can dial, best first: addresses that somebody
// outside reached or that are public, ways through other members, the LAN,
// guesses (public as seen by others, never tried), and last this machine
// itself. At most wire.MaxAddresses.
func (t *Transport) Addresses() []string {
	type ranked struct {
		addr ma.Multiaddr
		rank int
	}
	var list []ranked
	seen := make(map[string]bool)
	add := func(addr ma.Multiaddr, rank int) {
		addr, _ = peer.SplitAddr(addr)
		if addr == nil || rank == rankUseless || seen[string(addr.Bytes())] {
			return
		}
		seen[string(addr.Bytes())] = true
		list = append(list, ranked{addr, rank})
	}
	confirmed, guesses := t.reach.seen()
	for _, addr := range confirmed {
		add(addr, rankPublic)
	}
	for _, addr := range t.reach.relays() {
		add(addr, rankRelay)
	}
	for _, addr := range t.host.Addrs() {
		add(addr, rankOf(addr))
	}
	for _, addr := range guesses {
		add(addr, rankGuess)
	}
	slices.SortStableFunc(list, func(a, b ranked) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		return transportRank(a.addr) - transportRank(b.addr)
	})
	// Loopback stays in: several nodes on one machine must find each other.
	const loopbacks = 2
	var out, local []string
	for _, r := range list {
		if r.rank == rankLoopback {
			local = append(local, r.addr.String())
		} else if len(out) < wire.MaxAddresses-loopbacks {
			out = append(out, r.addr.String())
		}
	}
	return append(out, local[:min(len(local), wire.MaxAddresses-len(out))]...)
}

// transportRank puts IPv4 before IPv6 and QUIC before TCP.
func transportRank(addr ma.Multiaddr) int {
	rank := 0
	if _, err := addr.ValueForProtocol(ma.P_IP6); err == nil {
		rank += 2
	}
	if _, err := addr.ValueForProtocol(ma.P_TCP); err == nil {
		rank++
	}
	return rank
}
