//go:build !mdns

package p2p

import (
	"errors"
	"io"

	"github.com/libp2p/go-libp2p/core/host"
)

// announce does nothing in a build without mDNS.
func announce(host.Host, string, *lan) (io.Closer, error) {
	return nil, errors.New("built without mDNS")
}
