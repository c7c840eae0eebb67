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
	valueAccount   = "account"   // the account's seed; not on a device that was added to an account
	valueDevice    = "device"    // the device key's seed
	valueCert      = "cert"      // the DeviceCert of that key
	valueName      = "name"      // what others see
	valueAddresses = "addresses" // where devices were reached last
)

// nobody is the name of a user of whom nothing is known.
const nobody = "Somebody"

// self is who this node is.
type self struct {
	account demes.AccountID
	seed    []byte             // the account's; nil when this device does not have it
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

// openIdentity reads the account and device of a profile, or makes them. A device
// has its account either by the account's seed, with which it certifies itself, or
// by a certificate that another device made for it.
func openIdentity(store Store, wanted string, now demes.Now) (self, error) {
	id := self{name: &name{}}
	cert, err := store.Value(valueCert)
	if err != nil {
		return id, err
	}
	if id.seed, err = openAccount(store, len(cert) > 0); err != nil {
		return id, err
	}
	if id.key, err = openKey(store, valueDevice); err != nil {
		return id, err
	}
	id.device = demes.DeviceID(id.key.Public().(ed25519.PublicKey))
	if len(cert) > 0 {
		err = id.readCert(cert)
	} else {
		err = id.makeCert(store, now)
	}
	if err != nil {
		return id, err
	}
	return id, id.openName(store, wanted)
}

// openAccount reads the account's seed. A profile in which nothing is yet gets a
// new account; one that was certified needs no seed.
func openAccount(store Store, certified bool) (seed []byte, err error) {
	if certified {
		if seed, err = store.Value(valueAccount); err != nil || len(seed) == 0 {
			return nil, err
		}
	} else if device, err := store.Value(valueDevice); err != nil {
		return nil, err
	} else if account, err := store.Value(valueAccount); err != nil {
		return nil, err
	} else if len(device) > 0 && len(account) == 0 {
		return nil, damagedIdentity("The account is missing.", nil)
	}
	key, err := openKey(store, valueAccount)
	if err != nil {
		return nil, err
	}
	return key.Seed(), nil
}

// readCert takes the certificate that the profile has kept. It is checked against
// the device's key, and against the account's where that is here.
func (id *self) readCert(raw []byte) error {
	cert := &wire.DeviceCert{}
	if err := wire.Unmarshal(raw, cert); err != nil {
		return damagedIdentity("The device's certificate cannot be read.", err)
	}
	device, account, err := wire.OpenCert(cert)
	if err != nil {
		return damagedIdentity("The device's certificate is not valid.", err)
	}
	if device != id.device {
		return damagedIdentity("The device's certificate is for another device.", nil)
	}
	if id.seed != nil && account != accountOf(id.seed) {
		return damagedIdentity("The device's certificate is of another account.", nil)
	}
	id.account, id.cert = account, cert
	return nil
}

// makeCert certifies this device and keeps that before it is used. Its number is
// the Unix second of now, which orders a person's devices without asking any of
// them: one that is recovered from words comes after all that were before. (A
// clock that stands before 1970 gives 1.)
func (id *self) makeCert(store Store, now demes.Now) error {
	n := uint64(max(now.Wall/1000, 1))
	id.cert = wire.SealCert(ed25519.NewKeyFromSeed(id.seed), id.device, n)
	id.account = accountOf(id.seed)
	return store.SetValue(valueCert, wire.Marshal(id.cert))
}

func accountOf(seed []byte) demes.AccountID {
	return demes.AccountID(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
}

func damagedIdentity(what string, cause error) error {
	return &demes.Error{Code: demes.CodeProfileDamaged, Title: "The profile's keys are damaged", Cause: cause,
		Detail: what + " Keep the data folder, and start with a new --profile, or make one from your 24 words with demes recover."}
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
		return nil, damagedIdentity(fmt.Sprintf("The %s key has %d bytes.", value, len(seed)), nil)
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
func (id *self) openName(store Store, wanted string) error {
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

func (id *self) currentName() string {
	id.name.mu.Lock()
	defer id.name.mu.Unlock()
	return id.name.text
}

func (id *self) setName(store Store, text string) error {
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
