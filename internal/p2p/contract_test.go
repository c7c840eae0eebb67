package p2p_test

import (
	"crypto/ed25519"
	"log/slog"
	"os"
	"testing"

	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/node/contract"
	"github.com/demes-chat/demes/internal/p2p"
)

var _ node.Transport = (*p2p.Transport)(nil)

// testLog shows the log of the transports with DEMES_P2P_LOG set.
func testLog() *slog.Logger {
	if os.Getenv("DEMES_P2P_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func openLoopback(t testing.TB, key ed25519.PrivateKey, handler node.Handler) node.Transport {
	t.Helper()
	transport, err := p2p.Open(p2p.Config{Key: key, Handler: handler, Log: testLog(), Loopback: true})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return transport
}

func TestLibp2pKeepsTheContract(t *testing.T) {
	contract.TestTransport(t, openLoopback)
}
