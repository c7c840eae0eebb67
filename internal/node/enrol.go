package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Enrolment makes a fresh profile a further device of an account.
type Enrolment struct {
	Store         Store
	OpenTransport func(key ed25519.PrivateKey, handler Handler) (Transport, error)
	Link          string
	Label         string                      // what the other device calls this one until it is confirmed
	Show          func(code string)           // called once the other device waits for its user
	Pause         func(context.Context) error // between two questions; nil: repeatFirst
}

// Enrol asks the device that made a link until its user confirms, and keeps what it
// answers: this device's certificate, and the chats to be joined. The profile's node
// is opened after it. Errors are for a user.
func Enrol(ctx context.Context, e Enrolment) error {
	link, err := wire.GetDeviceLink(e.Link)
	if err != nil {
		return err
	}
	if err := vacant(e.Store); err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	transport, err := e.OpenTransport(key, deaf{})
	if err != nil {
		return err
	}
	added, err := e.repeat(ctx, transport, link, key)
	if err := errors.Join(err, transport.Close()); err != nil {
		return err
	}
	return e.keep(link, key, added)
}

// repeat asks until there is an answer, or nobody is there for reachPatience.
func (e *Enrolment) repeat(ctx context.Context, transport Transport, link *wire.DeviceLink, key ed25519.PrivateKey) (*wire.DeviceAdded, error) {
	device := demes.DeviceID(key.Public().(ed25519.PublicKey))
	question := wire.Marshal(&wire.JoinAsk{Device: &wire.DeviceAsk{Proof: wire.ProveDevice(link, device), Label: e.Label}})
	shown, silent := false, 0
	for {
		a := askDevice(ctx, transport, link, question)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case a == nil:
			if silent++; silent > int(reachPatience/repeatFirst) {
				return nil, demes.Problem(demes.CodeUnreachable, "Your other device cannot be reached", "Is DeMes running there, and online? Then make a new link: demes device add")
			}
		case a.GetState() == wire.JoinAnswer_WELCOME && a.GetAdded() != nil:
			return a.GetAdded(), nil
		case a.GetState() == wire.JoinAnswer_WAITING:
			if silent = 0; !shown && e.Show != nil {
				e.Show(wire.DeviceCode(link, device))
			}
			shown = true
		case demes.Code(a.GetCode()) != demes.CodeTooMany:
			return nil, demes.Problem(demes.CodeRefused, "Your other device refuses this link",
				"It is good for ten minutes and for one device. If you did not use it, somebody else did: do not confirm anything there, and make a new link: demes device add")
		}
		if err := e.pause(ctx); err != nil {
			return nil, err
		}
	}
}

func (e *Enrolment) pause(ctx context.Context) error {
	if e.Pause != nil {
		return e.Pause(ctx)
	}
	select {
	case <-time.After(repeatFirst):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// askDevice asks the one device that can answer, at each of its addresses; nil when
// it is at none. The transport proves who answers.
func askDevice(ctx context.Context, transport Transport, link *wire.DeviceLink, question []byte) *wire.JoinAnswer {
	maker := link.GetContacts()[0]
	for _, address := range maker.GetAddresses() {
		asking, cancel := context.WithTimeout(ctx, attemptTime)
		raw, from, err := transport.Join(asking, wire.Target{Address: address, Device: maker.GetDevice()}, question)
		cancel()
		a := &wire.JoinAnswer{}
		if err == nil && from == wire.Device(maker.GetDevice()) && wire.Unmarshal(raw, a) == nil {
			return a
		}
	}
	return nil
}

// keep makes the profile the account's. The device's key comes last: with it the
// profile is somebody's.
func (e *Enrolment) keep(link *wire.DeviceLink, key ed25519.PrivateKey, added *wire.DeviceAdded) error {
	device, account, err := wire.OpenCert(added.GetCert())
	if err != nil || device != demes.DeviceID(key.Public().(ed25519.PublicKey)) || account != demes.AccountID(wire.HashOf(link.GetAccount())) {
		return demes.Problem(demes.CodeRefused, "Your other device answered with something else", "Update DeMes on both, and make a new link: demes device add")
	}
	var returns []returning
	for _, one := range added.GetChats() {
		if len(returns) < MaxChats && len(one.GetChat()) == 32 && wire.ValidTitle(one.GetTitle()) {
			returns = append(returns, newReturning(one, nil))
		}
	}
	if err := putReturns(e.Store, returns); err != nil {
		return err
	}
	if wire.ValidName(added.GetName()) {
		if err := e.Store.SetValue(valueName, []byte(added.GetName())); err != nil {
			return err
		}
	}
	if err := e.Store.SetValue(valueCert, wire.Marshal(added.GetCert())); err != nil {
		return err
	}
	return e.Store.SetValue(valueDevice, key.Seed())
}

// deaf is the handler of a device that is nobody's yet: it has nothing to say.
type deaf struct{}

func (deaf) Connected(demes.DeviceID, []string)           {}
func (deaf) Disconnected(demes.DeviceID)                  {}
func (deaf) Frame(demes.DeviceID, []byte)                 {}
func (deaf) Beat(demes.DeviceID, uint32, []*wire.Hosting) {}
func (deaf) Delay(demes.DeviceID, float64, bool, bool)    {}
func (deaf) Joining(context.Context, demes.DeviceID, string, []byte) []byte {
	return refused(demes.CodeRefused)
}
