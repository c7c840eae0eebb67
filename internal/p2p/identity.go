package p2p

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/demes-chat/demes"
)

var errNoDevice = errors.New("the peer's key is not an Ed25519 key")

// PeerID gives the libp2p peer id of a device: its Ed25519 key, wrapped.
func PeerID(device demes.DeviceID) (peer.ID, error) {
	key, err := crypto.UnmarshalEd25519PublicKey(device[:])
	if err != nil {
		return "", fmt.Errorf("read device key: %w", err)
	}
	return peer.IDFromPublicKey(key)
}

// deviceOf reads the device out of a peer id. Peers with another kind of key
// are no devices.
func deviceOf(id peer.ID) (device demes.DeviceID, err error) {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return device, errNoDevice
	}
	raw, err := key.Raw()
	if err != nil || key.Type() != crypto.Ed25519 || len(raw) != len(device) {
		return device, errNoDevice
	}
	copy(device[:], raw)
	return device, nil
}

func identity(key ed25519.PrivateKey) (crypto.PrivKey, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("read device key: not an Ed25519 private key")
	}
	return crypto.UnmarshalEd25519PrivateKey(key)
}
