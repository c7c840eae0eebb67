package p2p

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
	"github.com/quic-go/quic-go"
)

// learn finds out which device listens at an address, since libp2p dials only
// whom it knows by key: it makes the same handshake, accepts whatever key the
// other side proves, and hangs up. QUIC and TCP are tried at once.
func (t *Transport) learn(ctx context.Context, addrs []ma.Multiaddr) (peer.ID, error) {
	type result struct {
		id  peer.ID
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, negotiateTime)
	defer cancel()
	results := make(chan result, len(addrs))
	tries := 0
	for _, addr := range addrs {
		hello := helloOf(addr)
		hostPort, ok := hostPortOf(addr)
		if hello == nil || !ok {
			continue
		}
		tries++
		t.spawn(func() {
			id, err := hello(ctx, t, hostPort)
			results <- result{id, err}
		})
	}
	err := errors.New("no address to dial")
	for range tries {
		select {
		case r := <-results:
			if r.err == nil {
				return r.id, nil
			}
			err = r.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", err
}

type helloFunc func(ctx context.Context, t *Transport, hostPort string) (peer.ID, error)

func helloOf(addr ma.Multiaddr) helloFunc {
	if relayed(addr) {
		return nil
	}
	if _, err := addr.ValueForProtocol(ma.P_QUIC_V1); err == nil {
		return quicHello
	}
	if _, err := addr.ValueForProtocol(ma.P_TCP); err == nil {
		return tcpHello
	}
	return nil
}

func hostPortOf(addr ma.Multiaddr) (string, bool) {
	var host, port string
	ma.ForEach(addr, func(c ma.Component) bool {
		switch c.Protocol().Code {
		case ma.P_IP4, ma.P_IP6, ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
			host = c.Value()
		case ma.P_TCP, ma.P_UDP:
			port = c.Value()
		}
		return true
	})
	return net.JoinHostPort(host, port), host != "" && port != ""
}

func tcpHello(ctx context.Context, t *Transport, hostPort string) (peer.ID, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(negotiateTime)); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := multistream.SelectProtoOrFail(libp2ptls.ID, conn); err != nil {
		return "", err
	}
	key, err := identity(t.key)
	if err != nil {
		return "", err
	}
	security, err := libp2ptls.New(libp2ptls.ID, key, nil)
	if err != nil {
		return "", err
	}
	secured, err := security.SecureOutbound(ctx, conn, "")
	if err != nil {
		return "", err
	}
	return secured.RemotePeer(), nil
}

func quicHello(ctx context.Context, t *Transport, hostPort string) (peer.ID, error) {
	key, err := identity(t.key)
	if err != nil {
		return "", err
	}
	own, err := libp2ptls.NewIdentity(key)
	if err != nil {
		return "", err
	}
	config, keys := own.ConfigForPeer("")
	conn, err := quic.DialAddr(ctx, hostPort, config, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.CloseWithError(0, "") }()
	select {
	case remote := <-keys:
		if remote == nil {
			return "", errNoDevice
		}
		return peer.IDFromPublicKey(remote)
	default:
		return "", errNoDevice
	}
}
