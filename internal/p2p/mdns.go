package p2p

import (
	"io"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

// announce tells the local network of this node, and hears of others.
func announce(h host.Host, service string, found mdns.Notifee) (io.Closer, error) {
	s := mdns.NewMdnsService(h, service, found)
	return s, s.Start()
}
