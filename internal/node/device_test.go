package node_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/node/contract"
)

// enrol makes a further device of a party's account, which its user confirms once
// both show a code.
func (w *world) enrol(of *party, name string) *party {
	w.t.Helper()
	ctx := context.Background()
	link, _, err := of.AddDevice(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	fresh := contract.NewMemoryStore()
	err = node.Enrol(ctx, node.Enrolment{
		Store: fresh, Link: link, Label: "laptop",
		OpenTransport: func(key ed25519.PrivateKey, handler node.Handler) (node.Transport, error) {
			return w.net.Open(key, handler), nil
		},
		Show: func(code string) {
			devices, err := of.Devices(ctx)
			if err != nil || devices.Pending == nil || devices.Pending.Code != code || devices.Pending.Label != "laptop" {
				w.t.Errorf("the new device shows %s; the other has %+v, %v", code, devices.Pending, err)
			}
			if err := of.ConfirmDevice(ctx); err != nil {
				w.t.Error(err)
			}
		},
		Pause: func(context.Context) error { return nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.add(name, func(c *node.Config) { c.Store, c.Name = fresh, "" })
}

// texts are what a party shows of a chat, oldest first.
func (p *party) texts(id demes.ChatID) (out []string) {
	views, _, err := p.Messages(context.Background(), id, 0, 0, 200)
	if err != nil {
		return nil
	}
	for _, v := range views {
		out = append(out, v.Text)
	}
	return out
}

// shows waits until a party shows the texts.
func (w *world) shows(p *party, id demes.ChatID, want ...string) {
	w.t.Helper()
	w.until(fmt.Sprintf("%s shows %q", p.name, want), func() bool { return fmt.Sprint(p.texts(id)) == fmt.Sprint(want) })
}

func (w *world) say(p *party, id demes.ChatID, text string) {
	w.t.Helper()
	if _, err := p.SendMessage(context.Background(), id, text, nil, ""); err != nil {
		w.t.Fatal(err)
	}
}

func TestASecondDeviceHasTheChatsAndWhatWasSaid(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	id, all := w.group("ann", "bob")
	w.live(id, all...)
	ann, bob := all[0], all[1]
	w.say(bob, id, "one")
	w.settled(id, 1, all...)
	w.say(ann, id, "two")
	w.settled(id, 2, all...)
	second := w.enrol(bob, "bob's laptop")
	w.shows(second, id, "one", "two")
	w.say(second, id, "three")
	w.shows(ann, id, "one", "two", "three")
	if a, b := second.Describe(), bob.Describe(); a.Account != b.Account || a.Name != b.Name || a.Device == b.Device {
		t.Errorf("the second device is %+v, the first %+v", a, b)
	}
	if _, err := second.Words(ctx); !errors.Is(err, &demes.Error{Code: demes.CodeNoWords}) {
		t.Errorf("words on the second device: %v", err)
	}
	if _, _, err := second.AddDevice(ctx); !errors.Is(err, &demes.Error{Code: demes.CodeNoWords}) {
		t.Errorf("a third device by the second: %v", err)
	}
	devices, err := bob.Devices(ctx)
	if err != nil || len(devices.Devices) != 2 || devices.Pending != nil || devices.Devices[0].Chats != 1 {
		t.Errorf("devices: %+v, %v", devices, err)
	}
	w.until("bob's laptop can be revoked", func() bool {
		return bob.RevokeDevice(ctx, deviceOf(t, second)) == nil
	})
	w.until("bob's laptop is out", func() bool {
		v, err := ann.Chat(ctx, id)
		return err == nil && len(v.Members) == 2
	})
	if err := bob.RevokeDevice(ctx, deviceOf(t, ann)); !errors.Is(err, &demes.Error{Code: demes.CodeUnknownDevice}) {
		t.Errorf("revoking somebody else's device: %v", err)
	}
}

func deviceOf(t *testing.T, p *party) demes.DeviceID {
	t.Helper()
	d, err := demes.ParseDeviceID(p.Describe().Device)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestADeviceLinkIsGoodForOneDevice(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	ann := w.add("ann")
	link, _, err := ann.AddDevice(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	try := func(link string, shown *string) error {
		return node.Enrol(ctx, node.Enrolment{
			Store: contract.NewMemoryStore(), Link: link, Show: func(code string) { *shown = code },
			OpenTransport: func(key ed25519.PrivateKey, handler node.Handler) (node.Transport, error) {
				return w.net.Open(key, handler), nil
			},
			Pause: func(context.Context) error { return stop },
		})
	}
	var first, second string
	if err := try(link, &first); !errors.Is(err, stop) || first == "" {
		t.Fatalf("the first device: %v, code %q", err, first)
	}
	if err := try(link, &second); !errors.Is(err, &demes.Error{Code: demes.CodeRefused}) || second != "" {
		t.Errorf("a second device: %v, code %q, want it refused without a code", err, second)
	}
	if _, _, err := ann.AddDevice(ctx); err != nil {
		t.Fatal(err)
	}
	if err := try(link, &second); !errors.Is(err, &demes.Error{Code: demes.CodeRefused}) {
		t.Errorf("by a link that another has replaced: %v", err)
	}
	if err := ann.ConfirmDevice(ctx); !errors.Is(err, &demes.Error{Code: demes.CodeUnknownDevice}) {
		t.Errorf("confirming nobody: %v", err)
	}
	if err := node.Enrol(ctx, node.Enrolment{Store: ann.store, Link: link}); !errors.Is(err, &demes.Error{Code: demes.CodeProfileExists}) {
		t.Errorf("in a profile that is somebody's: %v", err)
	}
}

func TestARenewedDeviceTakesTheOldOnesPlace(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	id, all := w.group("ann", "bob", "cy")
	w.live(id, all...)
	ann, bob := all[0], all[1]
	w.say(bob, id, "one")
	w.settled(id, 1, all...)
	before := bob.Describe()
	if err := bob.RenewDevice(ctx); err != nil {
		t.Fatal(err)
	}
	bob.close()
	w.say(ann, id, "while bob was away")
	bob.open()
	if after := bob.Describe(); after.Device == before.Device || after.Account != before.Account {
		t.Fatalf("before %+v, after %+v", before, after)
	}
	w.until("bob is back as another device", func() bool {
		v, err := ann.Chat(ctx, id)
		for _, m := range v.Members {
			if m.Device == before.Device {
				return false
			}
		}
		return err == nil && len(v.Members) == 3
	})
	w.shows(bob, id, "one", "while bob was away")
	w.say(bob, id, "here again")
	w.shows(ann, id, "one", "while bob was away", "here again")
	bob.close()
	bob.open()
	w.shows(bob, id, "one", "while bob was away", "here again")
}
