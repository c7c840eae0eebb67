package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os/user"
	"strings"
	"sync"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// The names of what a profile keeps of its own.
const (
	valueAccount   = "account"   // the account's seed
	valueDevice    = "device"    // the device key's seed
	valueName      = "name"      // what others see
	valueAddresses = "addresses" // where devices were reached last
)

// nobody is the name of a user of whom nothing is known.
const nobody = "Somebody"

// identity is who this node is.
type identity struct {
	account demes.AccountID
	key     ed25519.PrivateKey // the device's
	device  demes.DeviceID
	cert    *wire.DeviceCert
	name    *name
}

// name can change while the node runs.
type name struct {
	mu   sync.Mutex
	text string
}

// openIdentity reads the account and device of a profile, or makes them.
func openIdentity(store Store, wanted string) (identity, error) {
	account, err := openKey(store, valueAccount)
	if err != nil {
		return identity{}, err
	}
	key, err := openKey(store, valueDevice)
	if err != nil {
		return identity{}, err
	}
	id := identity{
		account: demes.AccountID(account.Public().(ed25519.PublicKey)),
		key:     key, device: demes.DeviceID(key.Public().(ed25519.PublicKey)), name: &name{},
	}
	id.cert = wire.SealCert(account, id.device, 1)
	return id, id.openName(store, wanted)
}

// openKey reads a key's seed, or makes one and keeps it before it is used.
func openKey(store Store, value string) (ed25519.PrivateKey, error) {
	seed, err := store.Value(value)
	if err != nil {
		return nil, err
	}
	if len(seed) == ed25519.SeedSize {
		return ed25519.NewKeyFromSeed(seed), nil
	}
	if len(seed) != 0 {
		return nil, demes.Problem(demes.CodeProfileDamaged, "The profile's keys are damaged",
			fmt.Sprintf("The %s key has %d bytes. Keep the data folder, and start with a new --profile.", value, len(seed)))
	}
	seed = make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	if err := store.SetValue(value, seed); err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// openName takes the name that the user gave now, or the one kept, or the one
// that the operating system knows.
func (id *identity) openName(store Store, wanted string) error {
	kept, err := store.Value(valueName)
	if err != nil {
		return err
	}
	switch {
	case wanted == "" && wire.ValidName(string(kept)):
		id.name.text = string(kept)
		return nil
	case wanted == "":
		wanted = systemName()
	case !wire.ValidName(wanted):
		return badName()
	}
	id.name.text = wanted
	return store.SetValue(valueName, []byte(wanted))
}

func badName() error {
	return demes.Problem(demes.CodeBadInput, "The name cannot be used",
		fmt.Sprintf("A name has 1 to %d characters on one line.", demes.MaxName))
}

// systemName is what the operating system calls its user.
func systemName() string {
	u, err := user.Current()
	if err != nil {
		return nobody
	}
	for _, candidate := range []string{u.Name, u.Username} {
		candidate, _, _ = strings.Cut(candidate, ",") // some systems put a telephone number behind
		if candidate = strings.TrimSpace(candidate); wire.ValidName(candidate) {
			return candidate
		}
	}
	return nobody
}

func (id *identity) currentName() string {
	id.name.mu.Lock()
	defer id.name.mu.Unlock()
	return id.name.text
}

func (id *identity) setName(store Store, text string) error {
	if !wire.ValidName(text) {
		return badName()
	}
	id.name.mu.Lock()
	defer id.name.mu.Unlock()
	if err := store.SetValue(valueName, []byte(text)); err != nil {
		return err
	}
	id.name.text = text
	return nil
}
