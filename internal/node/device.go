package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

// deviceLinkFor is how long a device link is good: the user sits at both devices.
const deviceLinkFor = 10 * time.Minute

// devices makes further devices of this account (docs/protocol.md#devices).
type devices struct {
	node *Node

	mu    sync.Mutex
	offer *offer // the link that was made last; nil: none
}

// offer is a device link and who uses it: the first that proves to have it.
type offer struct {
	link      *wire.DeviceLink
	asker     demes.DeviceID // zero: nobody yet
	label     string
	address   string
	confirmed bool
	moved     chan struct{} // closed when it is confirmed
}

// AddDevice makes a link by which one new device can become this account's.
func (n *Node) AddDevice(context.Context) (link string, expires time.Time, err error) {
	if n.id.seed == nil {
		return "", time.Time{}, demes.Problem(demes.CodeNoWords, "This device cannot add another",
			"It was added to the account itself: use the device that has the account's words.")
	}
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	expires = time.UnixMilli(n.now().Wall).Add(deviceLinkFor)
	made := &wire.DeviceLink{
		Account: n.id.account[:], Secret: secret, NotAfterMs: expires.UnixMilli(),
		Contacts: []*wire.Contact{{Device: n.id.device[:], Addresses: fewAddresses(n.addresses())}},
	}
	n.devices.mu.Lock()
	defer n.devices.mu.Unlock()
	n.devices.offer = &offer{link: made, moved: make(chan struct{})}
	return wire.PutDeviceLink(made), expires.UTC(), nil
}

// current is the offer that is good now; d.mu is held.
func (d *devices) current() *offer {
	if d.offer != nil && d.node.now().Wall > d.offer.link.GetNotAfterMs() {
		d.offer = nil
	}
	return d.offer
}

// Devices lists the devices of this account that are in any chat, this one, and the
// one that wants to be.
func (n *Node) Devices(ctx context.Context) (demes.DevicesView, error) {
	known := map[demes.DeviceID]*demes.DeviceView{
		n.id.device: {Device: n.id.device.String(), This: true, Online: true, AddedAt: certTime(n.id.cert)},
	}
	for _, r := range n.runners() {
		_, err := ask(ctx, r, nil, func(c *chat.Chat) (bool, error) { n.countDevices(c, known); return true, nil })
		if ctx.Err() != nil {
			return demes.DevicesView{}, err
		}
	}
	v := demes.DevicesView{CanAdd: n.id.seed != nil, Devices: []demes.DeviceView{}}
	for _, one := range known {
		v.Devices = append(v.Devices, *one)
	}
	slices.SortFunc(v.Devices, func(a, b demes.DeviceView) int {
		if order := a.AddedAt.Compare(b.AddedAt); order != 0 {
			return order
		}
		return strings.Compare(a.Device, b.Device)
	})
	n.devices.mu.Lock()
	defer n.devices.mu.Unlock()
	if o := n.devices.current(); o != nil && !o.asker.IsZero() && !o.confirmed {
		v.Pending = o.view()
	}
	return v, nil
}

func (o *offer) view() *demes.PendingDevice {
	return &demes.PendingDevice{Device: o.asker.String(), Label: o.label, Address: o.address, Code: wire.DeviceCode(o.link, o.asker)}
}

func certTime(cert *wire.DeviceCert) time.Time { return time.Unix(int64(cert.GetN()), 0).UTC() }

// countDevices adds what one chat knows of this account's devices.
func (n *Node) countDevices(c *chat.Chat, known map[demes.DeviceID]*demes.DeviceView) {
	now := n.now()
	for d, m := range c.Fold().Members {
		if m.Account != n.id.account || m.Leaving {
			continue
		}
		one := known[d]
		if one == nil {
			one = &demes.DeviceView{Device: d.String(), AddedAt: certTime(m.Cert)}
			known[d] = one
		}
		one.Chats++
		online, lost := c.Seen(d)
		one.Online = one.Online || online
		if at := time.UnixMilli(now.Wall - (now.Mono - lost)).UTC(); lost != 0 && (one.LastSeen == nil || one.LastSeen.Before(at)) {
			one.LastSeen = &at
		}
	}
}

// ConfirmDevice is the user's word that the device which shows the code is theirs.
func (n *Node) ConfirmDevice(context.Context) error {
	n.devices.mu.Lock()
	defer n.devices.mu.Unlock()
	o := n.devices.current()
	if o == nil || o.asker.IsZero() {
		return demes.Problem(demes.CodeUnknownDevice, "No device waits to be confirmed", "Make a link with demes device add, and use it on the new device.")
	}
	if !o.confirmed {
		o.confirmed = true
		close(o.moved)
	}
	return nil
}

// RevokeDevice takes another device of this account out of every chat, for ever.
func (n *Node) RevokeDevice(ctx context.Context, device demes.DeviceID) error {
	if device == n.id.device {
		return demes.Problem(demes.CodeBadInput, "This is the device that you use", "Revoke it from another one, or leave its chats.")
	}
	found := false
	var problems []error
	for _, r := range n.runners() {
		problems = append(problems, r.act(ctx, func(c *chat.Chat, now demes.Now) error {
			m := c.Fold().Members[device]
			if m == nil || m.Account != n.id.account || c.Fold().Members[n.id.device] == nil {
				return nil
			}
			found = true // the caller waits for the chat's goroutine
			return c.Remove(now, device)
		}))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if !found {
		return demes.Problem(demes.CodeUnknownDevice, "You have no such device", "See your devices with: demes devices")
	}
	return nil
}

// asked answers a device that wants to be this account's. Who does not prove to have
// the link, or comes second, learns nothing.
func (d *devices) asked(ctx context.Context, hold bool, from demes.DeviceID, address string, question *wire.DeviceAsk) []byte {
	d.mu.Lock()
	o := d.current()
	if o == nil || !o.asker.IsZero() && o.asker != from || !wire.IsProof(o.link, from, question.GetProof()) {
		d.mu.Unlock()
		return refused(demes.CodeRefused)
	}
	fresh := o.asker.IsZero()
	if fresh {
		o.asker, o.address, o.label = from, address, "a device"
		if wire.ValidName(question.GetLabel()) {
			o.label = question.GetLabel()
		}
	}
	view := o.view()
	d.mu.Unlock()
	if fresh {
		d.node.hub.Publish(demes.LiveEvent{Type: "device", Detail: view})
	}
	patience := time.NewTimer(holdFor)
	defer patience.Stop()
	select {
	case <-o.moved:
		return d.node.welcomeDevice(ctx, from)
	default:
	}
	if hold && !fresh { // the first answer comes at once: the asker shows the code with it
		select {
		case <-o.moved:
			return d.node.welcomeDevice(ctx, from)
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	return wire.Marshal(&wire.JoinAnswer{State: wire.JoinAnswer_WAITING})
}

// welcomeDevice certifies a device and tells it where it may go.
func (n *Node) welcomeDevice(ctx context.Context, device demes.DeviceID) []byte {
	added := &wire.DeviceAdded{
		Cert: wire.SealCert(ed25519.NewKeyFromSeed(n.id.seed), device, uint64(max(n.now().Wall/1000, 1))), Name: n.id.currentName(),
	}
	for _, r := range n.runners() {
		if one, err := r.whereabouts(ctx); err == nil && one != nil {
			added.Chats = append(added.Chats, one)
		}
	}
	return wire.Marshal(&wire.JoinAnswer{State: wire.JoinAnswer_WELCOME, Added: added})
}

// whereabouts is what another device of this account needs to come into the chat;
// nil when this device is no member of it.
func (r *runner) whereabouts(ctx context.Context) (*wire.AddedChat, error) {
	return ask(ctx, r, nil, func(c *chat.Chat) (*wire.AddedChat, error) {
		if c.Fold().Members[r.node.id.device] == nil || c.Phase() == demes.PhaseLeft {
			return nil, nil
		}
		return &wire.AddedChat{Chat: r.id[:], Suite: uint32(c.Fold().Suite), Title: c.View().Title, Contacts: r.node.linkContacts(c)}, nil
	})
}
