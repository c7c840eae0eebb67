package contract_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/node/contract"
)

func TestSimulatedNetworkKeepsTheContract(t *testing.T) {
	network := contract.NewNetwork()
	contract.TestTransport(t, func(_ testing.TB, key ed25519.PrivateKey, handler node.Handler) node.Transport {
		return network.Open(key, handler)
	})
}
