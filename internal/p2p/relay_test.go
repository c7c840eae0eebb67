package p2p_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node/contract"
	"github.com/demes-chat/demes/internal/p2p"
)

// device is one transport of a test with what it heard.
type device struct {
	*p2p.Transport
	*contract.Recorder
	id demes.DeviceID
}

func newDevice(t testing.TB, reachable bool) *device {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{Recorder: contract.NewRecorder(), id: demes.DeviceID(key.Public().(ed25519.PublicKey))}
	d.Transport, err = p2p.Open(p2p.Config{
		Key: key, Handler: d.Recorder, Log: testLog(), Loopback: true, Reachable: reachable,
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for _, wrong := range d.Wrong() {
			t.Error(wrong)
		}
	})
	return d
}

func connected(h contract.Heard) bool { return h.Connected }

func connect(t testing.TB, a, b *device) {
	t.Helper()
	a.SetPeers(map[demes.DeviceID][]string{b.id: b.Addresses()})
	b.SetPeers(map[demes.DeviceID][]string{a.id: a.Addresses()})
	a.Await(t, b.id, "connected", connected)
	b.Await(t, a.id, "connected", connected)
}

// await polls a state that no event tells of.
func await(t testing.TB, what string, wanted func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !wanted() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("%s: did not come true", what)
		}
	}
}

func relayAddress(d *device) string {
	for _, address := range d.Addresses() {
		if strings.Contains(address, "/p2p-circuit") {
			return address
		}
	}
	return ""
}

func TestMembersRelayAndThenGoDirect(t *testing.T) {
	relay, a, b := newDevice(t, true), newDevice(t, false), newDevice(t, false)
	relay.SetPeers(map[demes.DeviceID][]string{a.id: nil, b.id: nil})
	a.SetPeers(map[demes.DeviceID][]string{relay.id: relay.Addresses(), b.id: nil})
	await(t, "a has a place at the relay", func() bool { return relayAddress(a) != "" })

	peers := map[demes.DeviceID][]string{relay.id: relay.Addresses(), a.id: {relayAddress(a)}}
	b.SetPeers(peers)
	b.Await(t, a.id, "relayed", func(h contract.Heard) bool { return h.Connected && h.Relayed > 0 })
	a.Await(t, b.id, "relayed", func(h contract.Heard) bool { return h.Connected && h.Relayed > 0 })

	// Frames flow while the direct way is found; none is lost or overtakes.
	const frames = 2000
	for n := range uint32(frames) {
		if n == frames/2 {
			peers[a.id] = append(a.Addresses(), peers[a.id]...)
			b.SetPeers(peers)
		}
		frame := binary.BigEndian.AppendUint32(nil, n)
		if !a.Send(b.id, frame) || !b.Send(a.id, frame) {
			t.Fatalf("frame %d was not taken", n)
		}
		if n%10 == 0 {
			a.Await(t, b.id, "the frame", func(h contract.Heard) bool { return len(h.Frames) == int(n)+1 })
		}
	}
	for _, pair := range [][2]*device{{a, b}, {b, a}} {
		heard := pair[0].Await(t, pair[1].id, "all frames", func(h contract.Heard) bool { return len(h.Frames) == frames })
		for i, frame := range heard.Frames {
			if got := binary.BigEndian.Uint32(frame); got != uint32(i) {
				t.Fatalf("frame %d arrived at place %d", got, i)
			}
		}
		if heard.Connects != 1 {
			t.Errorf("connected %d times, want the same connection to go on", heard.Connects)
		}
	}
	had := len(a.Of(b.id).Delays)
	a.Await(t, b.id, "direct measurements", func(h contract.Heard) bool {
		return len(h.Delays) > h.Relayed && len(h.Delays) > had
	})
}

func TestStrangersGetNoRelay(t *testing.T) {
	relay, a := newDevice(t, true), newDevice(t, false)
	connect(t, relay, a)
	await(t, "a has a place at the relay", func() bool { return relayAddress(a) != "" })
	stranger := newDevice(t, false)
	stranger.SetPeers(map[demes.DeviceID][]string{a.id: {relayAddress(a)}, relay.id: relay.Addresses()})
	if _, _, err := stranger.Join(t.Context(), target(relayAddress(a), a.id), []byte("ask")); err == nil {
		t.Error("a stranger was relayed to a member")
	}
	if stranger.Of(a.id).Connects > 0 || stranger.Of(relay.id).Connects > 0 {
		t.Error("a stranger was let in")
	}
}
