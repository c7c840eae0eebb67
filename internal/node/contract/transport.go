package contract

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/wire"
)

// OpenTransport opens the transport of a device for one test.
type OpenTransport func(t testing.TB, key ed25519.PrivateKey, handler node.Handler) node.Transport

// TestTransport checks what every node.Transport promises.
func TestTransport(t *testing.T, open OpenTransport) {
	tests := []struct {
		name string
		run  func(*testing.T, OpenTransport)
	}{
		{"PeersConnectBothWays", peersConnect},
		{"FramesArriveInOrderOnce", framesInOrder},
		{"LargestFrameArrives", largestFrame},
		{"OneSidedPeerIsRefused", oneSided},
		{"RemovedPeerIsDisconnected", removed},
		{"ClosedPeerIsNoticedAndComesBack", comesBack},
		{"QueuedFramesArriveBeforeClose", farewell},
		{"BeatsCarryPaceAndHosting", beatsCarry},
		{"DelayShowsInRoundTrips", delayShows},
		{"LossDropsFramesKeepsOrder", lossDrops},
		{"CutIsMuteAndHeals", cutHeals},
		{"QueueIsBounded", queueBounded},
		{"JoinAsksAnybody", joinAsks},
		{"JoinFailsPlainly", joinFails},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// party is one device of a test.
type party struct {
	node.Transport
	*Recorder
	id  demes.DeviceID
	key ed25519.PrivateKey
}

func newParty(t testing.TB, open OpenTransport, name string) *party {
	seed := sha256.Sum256([]byte(t.Name() + name))
	p := &party{Recorder: NewRecorder(), key: ed25519.NewKeyFromSeed(seed[:])}
	copy(p.id[:], p.key.Public().(ed25519.PublicKey))
	p.Transport = open(t, p.key, p.Recorder)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close %s: %v", name, err)
		}
		for _, wrong := range p.Wrong() {
			t.Errorf("%s: %s", name, wrong)
		}
	})
	return p
}

func peersOf(others ...*party) map[demes.DeviceID][]string {
	peers := make(map[demes.DeviceID][]string, len(others))
	for _, p := range others {
		peers[p.id] = p.Addresses()
	}
	return peers
}

func isConnected(h Heard) bool { return h.Connected }

// pairUp opens two devices and connects them.
func pairUp(t testing.TB, open OpenTransport) (a, b *party) {
	a, b = newParty(t, open, "a"), newParty(t, open, "b")
	a.SetPeers(peersOf(b))
	b.SetPeers(peersOf(a))
	a.Await(t, b.id, "a connected to b", isConnected)
	b.Await(t, a.id, "b connected to a", isConnected)
	return a, b
}

func numbered(n uint32, size int) []byte {
	frame := make([]byte, 4+size)
	binary.BigEndian.PutUint32(frame, n)
	return frame
}

// sendAll sends numbered frames, waiting for the other side where the queue is full.
func sendAll(t testing.TB, from, to *party, frames uint32, size int) {
	t.Helper()
	for n := range frames {
		for !from.Send(to.id, numbered(n, size)) {
			had := len(to.Of(from.id).Frames)
			to.Await(t, from.id, "room in the queue", func(h Heard) bool { return len(h.Frames) > had })
		}
	}
}

func numbers(h Heard) []uint32 {
	var out []uint32
	for _, frame := range h.Frames {
		out = append(out, binary.BigEndian.Uint32(frame))
	}
	return out
}

func peersConnect(t *testing.T, open OpenTransport) {
	a, b, c := newParty(t, open, "a"), newParty(t, open, "b"), newParty(t, open, "c")
	a.SetPeers(peersOf(b, c))
	b.SetPeers(peersOf(a, c))
	c.SetPeers(peersOf(a, b))
	for _, pair := range [][2]*party{{a, b}, {a, c}, {b, a}, {b, c}, {c, a}, {c, b}} {
		pair[0].Await(t, pair[1].id, "connected", isConnected)
	}
	if a.Send(demes.DeviceID{1}, []byte("x")) {
		t.Error("a frame to nobody was taken")
	}
	if len(a.Addresses()) == 0 || len(a.Addresses()) > wire.MaxAddresses {
		t.Errorf("%d addresses, want 1 to %d", len(a.Addresses()), wire.MaxAddresses)
	}
	if a.PeerID() == b.PeerID() {
		t.Errorf("two devices have one peer id %s", a.PeerID())
	}
}

func framesInOrder(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	const frames = 5000
	go sendAll(t, b, a, frames, 100)
	sendAll(t, a, b, frames, 100)
	for _, pair := range [][2]*party{{a, b}, {b, a}} {
		heard := pair[0].Await(t, pair[1].id, "all frames", func(h Heard) bool { return len(h.Frames) >= frames })
		for i, n := range numbers(heard) {
			if n != uint32(i) {
				t.Fatalf("frame %d arrived at place %d", n, i)
			}
		}
	}
}

func largestFrame(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	big := bytes.Repeat([]byte("demes"), wire.MaxFrame/5+1)[:wire.MaxFrame]
	if !a.Send(b.id, big) || !a.Send(b.id, []byte("after")) {
		t.Fatal("a frame of the largest size was not taken")
	}
	heard := b.Await(t, a.id, "both frames", func(h Heard) bool { return len(h.Frames) == 2 })
	if !bytes.Equal(heard.Frames[0], big) || string(heard.Frames[1]) != "after" {
		t.Error("the frames changed on the way")
	}
	if a.Send(b.id, make([]byte, wire.MaxFrame+1)) {
		t.Error("a frame above the largest size was taken")
	}
}

func oneSided(t *testing.T, open OpenTransport) {
	a, b, c := newParty(t, open, "a"), newParty(t, open, "b"), newParty(t, open, "c")
	a.SetPeers(peersOf(b, c))
	b.SetPeers(peersOf(c))
	c.SetPeers(peersOf(a, b))
	b.Await(t, c.id, "b connected to c", isConnected)
	a.Await(t, c.id, "a connected to c", isConnected)
	if a.Of(b.id).Connects > 0 || b.Of(a.id).Connects > 0 || a.Send(b.id, []byte("x")) {
		t.Fatal("a device was let in that is no peer")
	}
	b.SetPeers(peersOf(a, c))
	a.Await(t, b.id, "connected once both want it", isConnected)
}

func removed(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	a.SetPeers(nil)
	gone := func(h Heard) bool { return h.Disconnects == 1 && !h.Connected }
	a.Await(t, b.id, "a is rid of b", gone)
	b.Await(t, a.id, "b lost a", gone)
	if a.Send(b.id, []byte("x")) {
		t.Error("a frame to a removed peer was taken")
	}
	a.SetPeers(peersOf(b))
	a.Await(t, b.id, "connected again", isConnected)
	b.Await(t, a.id, "connected again", isConnected)
}

func comesBack(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	start := time.Now()
	if err := b.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	a.Await(t, b.id, "a noticed", func(h Heard) bool { return !h.Connected })
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a close was noticed after %v, want at once", took)
	}
	again := NewRecorder()
	b2 := &party{Transport: open(t, b.key, again), Recorder: again, id: b.id}
	t.Cleanup(func() { _ = b2.Close() })
	a.SetPeers(peersOf(b2))
	b2.SetPeers(peersOf(a))
	a.Await(t, b.id, "a connected to the new b", func(h Heard) bool { return h.Connected && h.Connects == 2 })
	again.Await(t, a.id, "the new b connected", isConnected)
	a.Send(b.id, []byte("welcome back"))
	again.Await(t, a.id, "a frame", func(h Heard) bool { return len(h.Frames) == 1 })
}

func farewell(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	for n := range uint32(100) {
		a.Send(b.id, numbered(n, 1000))
	}
	if _, simulated := a.Transport.(*Endpoint); simulated {
		t.Skip("a simulated endpoint loses what is on its way when it closes")
	}
	if err := a.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	heard := b.Await(t, a.id, "a left", func(h Heard) bool { return !h.Connected })
	if len(heard.Frames) != 100 {
		t.Errorf("%d frames arrived before the close, want 100", len(heard.Frames))
	}
}

func beatsCarry(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	a.SetPace(b.id, wire.FastBeat)
	b.Await(t, a.id, "beats at the new pace", func(h Heard) bool { return h.Beats >= 8 && h.IntervalMs == wire.FastBeat })
	chat := demes.ChatID{7}
	a.SetHosting([]*wire.Hosting{{Chat: chat[:], Generation: 3, Term: 9}})
	lists := func(n int) func(Heard) bool { return func(h Heard) bool { return len(h.Hosting) == n } }
	heard := b.Await(t, a.id, "the hosting list", lists(1))
	if got := heard.Hosting[0]; !bytes.Equal(got.GetChat(), chat[:]) || got.GetGeneration() != 3 || got.GetTerm() != 9 {
		t.Errorf("hosting %v", got)
	}
	beats := heard.Beats
	b.Await(t, a.id, "the list in later beats too", func(h Heard) bool { return h.Beats > beats+2 && len(h.Hosting) == 1 })
	a.SetHosting(nil)
	b.Await(t, a.id, "an empty list", lists(0))
}

func delayShows(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	measured := func(n int) func(Heard) bool { return func(h Heard) bool { return len(h.Delays) >= n } }
	plain := a.Await(t, b.id, "a first measurement", measured(3))
	if low := slices.Min(plain.Delays); low <= 0 || low > 20 {
		t.Errorf("least round trip %v ms on one machine", low)
	}
	b.SetFaults([]wire.Fault{{Peer: a.id, DelayMs: 40}})
	a.SetPace(b.id, wire.FastBeat)
	b.SetPace(a.id, wire.FastBeat)
	had := len(a.Of(b.id).Delays)
	// What was on its way when the fault began is no measure of it.
	heard := a.Await(t, b.id, "measurements under delay", measured(had+8))
	for _, rtt := range heard.Delays[had+3:] {
		if rtt < 80 || rtt > 160 {
			t.Errorf("round trip %v ms with 40 ms each way", rtt)
		}
	}
	start := time.Now()
	for n := range uint32(20) {
		a.Send(b.id, numbered(n, 10))
	}
	got := b.Await(t, a.id, "frames under delay", func(h Heard) bool { return len(h.Frames) == 20 })
	if took := time.Since(start); took < 40*time.Millisecond || took > 500*time.Millisecond {
		t.Errorf("20 frames took %v under a delay of 40 ms", took)
	}
	if !slices.IsSorted(numbers(got)) {
		t.Errorf("delay changed the order: %v", numbers(got))
	}
}

func lossDrops(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	a.SetFaults([]wire.Fault{{Loss: 0.5}}) // for all devices
	const frames = 400
	for n := range uint32(frames) {
		if !a.Send(b.id, numbered(n, 10)) {
			t.Fatalf("frame %d was not taken", n)
		}
	}
	a.SetFaults(nil)
	a.Send(b.id, numbered(frames, 10))
	heard := b.Await(t, a.id, "the last frame", func(h Heard) bool {
		return len(h.Frames) > 0 && binary.BigEndian.Uint32(h.Frames[len(h.Frames)-1]) == frames
	})
	got := numbers(heard)
	if len(got) < frames/5 || len(got) > 4*frames/5 {
		t.Errorf("%d of %d frames arrived with a loss of one half", len(got), frames)
	}
	if !slices.IsSorted(got) || len(slices.Compact(got)) != len(got) {
		t.Error("loss changed the order or doubled a frame")
	}
}

func cutHeals(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	a.SetPace(b.id, wire.FastBeat)
	b.SetPace(a.id, wire.FastBeat)
	a.Await(t, b.id, "the pace of b", func(h Heard) bool { return h.IntervalMs == wire.FastBeat })
	a.SetFaults([]wire.Fault{{Peer: b.id, Cut: true}})
	for n := range uint32(3) {
		if !a.Send(b.id, numbered(n, 10)) {
			t.Fatal("a mute link looks closed")
		}
	}
	had := a.Of(b.id).Lost
	a.Await(t, b.id, "probes lost", func(h Heard) bool { return h.Lost > had })
	if heard := b.Of(a.id); len(heard.Frames) != 0 || !heard.Connected {
		t.Fatalf("through a cut came %d frames; connected %v", len(heard.Frames), heard.Connected)
	}
	if _, _, err := a.Join(t.Context(), wire.Target{Device: b.id[:]}, []byte("x")); err == nil {
		t.Error("a question went through a cut")
	}
	a.SetFaults(nil)
	heard := b.Await(t, a.id, "what waited", func(h Heard) bool { return len(h.Frames) == 3 })
	if got := numbers(heard); !slices.Equal(got, []uint32{0, 1, 2}) {
		t.Errorf("after the cut came %v", got)
	}
}

func queueBounded(t *testing.T, open OpenTransport) {
	a, b := pairUp(t, open)
	a.SetFaults([]wire.Fault{{Peer: b.id, Cut: true}})
	taken := 0
	for a.Send(b.id, make([]byte, wire.MaxFrame/2)) {
		if taken += wire.MaxFrame / 2; taken > 2*wire.MaxQueue {
			t.Fatalf("%d bytes wait for a link that does not move", taken)
		}
	}
	if taken < wire.MaxQueue/2 {
		t.Errorf("only %d bytes may wait, want about %d", taken, wire.MaxQueue)
	}
}

func joinAsks(t *testing.T, open OpenTransport) {
	a, b := newParty(t, open, "a"), newParty(t, open, "b")
	b.Answer = func(_ context.Context, from demes.DeviceID, ask []byte) []byte {
		return fmt.Appendf(nil, "%s asked %d", from.Short(), len(ask))
	}
	ask := make([]byte, wire.MaxJoinAsk)
	want := fmt.Sprintf("%s asked %d", a.id.Short(), len(ask))
	for _, contact := range []wire.Target{
		{Address: b.Addresses()[0], Device: b.id[:]},
		{Address: b.Addresses()[0]},
	} {
		answer, from, err := a.Join(t.Context(), contact, ask)
		if err != nil || from != b.id || string(answer) != want {
			t.Fatalf("answer %q from %s (%v), want %q", answer, from.Short(), err, want)
		}
	}
	if a.Of(b.id).Connects > 0 || b.Of(a.id).Connects > 0 {
		t.Error("a question made peers of strangers")
	}
	a.SetPeers(peersOf(b))
	b.SetPeers(peersOf(a))
	a.Await(t, b.id, "connected", isConnected)
	if answer, _, err := a.Join(t.Context(), wire.Target{Device: b.id[:]}, ask); err != nil || string(answer) != want {
		t.Fatalf("a peer's answer: %q (%v)", answer, err)
	}
	if !a.Of(b.id).Connected {
		t.Error("a question disconnected a peer")
	}
}

func joinFails(t *testing.T, open OpenTransport) {
	a, b, c := newParty(t, open, "a"), newParty(t, open, "b"), newParty(t, open, "c")
	b.Answer = func(context.Context, demes.DeviceID, []byte) []byte { return nil }
	gone := newParty(t, open, "gone")
	address := gone.Addresses()[0]
	if err := gone.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	for name, contact := range map[string]wire.Target{
		"no answer":     {Address: b.Addresses()[0], Device: b.id[:]},
		"other device":  {Address: b.Addresses()[0], Device: c.id[:]},
		"nobody there":  {Address: address},
		"no address":    {Address: "here and there"},
		"short device":  {Address: b.Addresses()[0], Device: []byte{1}},
		"oneself":       {Address: a.Addresses()[0], Device: a.id[:]},
		"unknown, bare": {Device: make([]byte, 32)},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, _, err := a.Join(ctx, contact, []byte("ask"))
		cancel()
		var problem *demes.Error
		if !errors.As(err, &problem) || problem.Code != demes.CodeUnreachable || problem.Detail == "" {
			t.Errorf("%s: error %v, want %s with a detail", name, err, demes.CodeUnreachable)
		}
	}
}
