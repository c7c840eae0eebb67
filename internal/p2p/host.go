package p2p

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/demes-chat/demes"
)

const (
	// maxConns bounds all connections: four per member of a node's chats at 1,000
	// members, plus strangers.
	maxConns = 4096
	// maxPeerStreams bounds the streams one peer can hold open: two frame
	// streams, beats, joins and libp2p's own, on two connections.
	maxPeerStreams = 48
	// maxAddressConns bounds the connections from one IPv4 address: a whole
	// office or a provider's NAT may sit behind it.
	maxAddressConns = 512
)

// newHost starts libp2p with the parts that a private group needs and nothing
// else: no DHT, no browser transports, no AutoNAT (its dial-back comes from a
// throw-away id, which the gate refuses) and no AutoRelay (reach does that).
func newHost(key crypto.PrivKey, port int, loopback bool, gate *gate) (host.Host, error) {
	// The kernel's default UDP buffer is enough for a chat; without this quic-go
	// prints a warning past our log.
	if err := os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true"); err != nil {
		return nil, err
	}
	limits, err := newLimits()
	if err != nil {
		return nil, err
	}
	trimmer, err := connmgr.NewConnManager(maxConns-1, maxConns)
	if err != nil {
		return nil, err
	}
	options := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(listenAddresses(port, loopback)...),
		libp2p.NoTransports,
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ConnectionGater(gate),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(trimmer),
		libp2p.EnableRelay(),
		// A night of dialling sleeping members is no sign of a blocked protocol.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.AddrsFactory(publishable),
		libp2p.UserAgent("demes"),
		libp2p.DisableMetrics(),
		libp2p.Ping(false),
	}
	if !loopback {
		options = append(options, libp2p.EnableHolePunching(), libp2p.NATPortMap())
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, fmt.Errorf("start libp2p: %w", err)
	}
	return h, nil
}

// publishable is what identify tells members: nothing that no one can dial.
// Addresses that fewer than four members observed are not among these, so that
// hole punching does not waste 5 s on dialling them.
func publishable(addrs []ma.Multiaddr) []ma.Multiaddr {
	return ma.FilterAddrs(addrs, func(addr ma.Multiaddr) bool { return rankOf(addr) != rankUseless })
}

func listenAddresses(port int, loopback bool) []string {
	ip4, ip6 := "0.0.0.0", "::"
	if loopback {
		ip4, ip6 = "127.0.0.1", "::1"
	}
	return []string{
		fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", ip4, port),
		fmt.Sprintf("/ip6/%s/udp/%d/quic-v1", ip6, port),
		fmt.Sprintf("/ip4/%s/tcp/%d", ip4, port),
		fmt.Sprintf("/ip6/%s/tcp/%d", ip6, port),
	}
}

// newLimits raises the limits that are too small for a group behind one address
// or on a small machine, and lowers what one peer can hold.
func newLimits() (network.ResourceManager, error) {
	defaults := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&defaults)
	limits := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: maxConns, ConnsInbound: maxConns, ConnsOutbound: maxConns,
			Streams: 4 * maxConns, StreamsInbound: 4 * maxConns, StreamsOutbound: 4 * maxConns,
		},
		Transient: rcmgr.ResourceLimits{
			Conns: 256, ConnsInbound: 128, ConnsOutbound: 256,
			Streams: 512, StreamsInbound: 256, StreamsOutbound: 512,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: 16, ConnsInbound: 8, ConnsOutbound: 16,
			Streams: 2 * maxPeerStreams, StreamsInbound: maxPeerStreams, StreamsOutbound: maxPeerStreams,
		},
	}.Build(defaults.AutoScale())
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: maxAddressConns}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: maxAddressConns}}),
		rcmgr.WithNetworkPrefixLimit(
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("127.0.0.0/8"), ConnCount: math.MaxInt}},
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("::1/128"), ConnCount: math.MaxInt}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: []rate.PrefixLimit{
				{Prefix: netip.MustParsePrefix("127.0.0.0/8")},
				{Prefix: netip.MustParsePrefix("::1/128")},
			},
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: 5, Burst: maxAddressConns}}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: rate.Limit{RPS: 5, Burst: maxAddressConns}}},
			},
		}))
}

// portTries bounds the search for a port that is free for TCP and UDP alike.
const portTries = 16

var errPortTaken = demes.Problem(demes.CodePortTaken, "Another program uses this port.",
	"Close the other program, or choose another port.")

// freePort returns the port, or one that is free now where it is 0. libp2p
// itself would share a taken TCP port or do without it in silence.
func freePort(port int, loopback bool) (int, error) {
	if port < 0 || port > math.MaxUint16 {
		return 0, demes.Problem(demes.CodeBadInput, "This is not a port.", "Choose a number from 1024 to 65535.")
	}
	tries := portTries
	if port != 0 {
		tries = 1
	}
	var err error
	for range tries {
		var found int
		if found, err = bindable(port, loopback); err == nil {
			return found, nil
		}
	}
	problem := *errPortTaken
	problem.Cause = err
	return 0, &problem
}

func bindable(port int, loopback bool) (found int, err error) {
	ip := ""
	if loopback {
		ip = "127.0.0.1"
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	tcpAddr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errPortTaken
	}
	packets, err := config.ListenPacket(context.Background(), "udp", net.JoinHostPort(ip, strconv.Itoa(tcpAddr.Port)))
	if err != nil {
		return 0, err
	}
	return tcpAddr.Port, packets.Close()
}
