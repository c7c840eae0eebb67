package p2p_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node/contract"
	"github.com/demes-chat/demes/internal/p2p"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	frames protocol.ID = "/demes/frames/1"
	beats  protocol.ID = "/demes/beats/1"
	join   protocol.ID = "/demes/join/1"
)

func target(address string, id demes.DeviceID) wire.Target {
	return wire.Target{Address: address, Device: id[:]}
}

// attacker is a plain libp2p host: it speaks the protocols, and what it likes.
type attacker struct {
	host.Host
	id  demes.DeviceID
	key crypto.PrivKey
}

func newAttacker(t testing.TB, key ed25519.PrivateKey) *attacker {
	t.Helper()
	if key == nil {
		var err error
		if _, key, err = ed25519.GenerateKey(nil); err != nil {
			t.Fatal(err)
		}
	}
	priv, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(priv), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return &attacker{h, demes.DeviceID(key.Public().(ed25519.PublicKey)), priv}
}

func infoOf(t testing.TB, d *device) peer.AddrInfo {
	t.Helper()
	id, err := p2p.PeerID(d.id)
	if err != nil {
		t.Fatal(err)
	}
	info := peer.AddrInfo{ID: id}
	for _, text := range d.Addresses() {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			t.Fatal(err)
		}
		info.Addrs = append(info.Addrs, addr)
	}
	return info
}

func short(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// refused reports whether a stream of a protocol cannot be had, or ends at once.
func (a *attacker) refused(t testing.TB, victim peer.ID, id protocol.ID) bool {
	stream, err := a.NewStream(short(t), victim, id)
	if err != nil {
		return true
	}
	if err := stream.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return true
	}
	_, err = stream.Read(make([]byte, 1))
	return err != nil && err != io.EOF
}

// link makes the attacker, a member, a working link with its victim and returns
// the attacker's frame stream and beat stream. It says that it follows the link
// of the given serial number.
func (a *attacker) link(t testing.TB, victim *device, session, serial, before uint64) (out, beat network.Stream) {
	t.Helper()
	info := infoOf(t, victim)
	if err := a.Connect(short(t), info); err != nil {
		t.Fatalf("connect: %v", err)
	}
	out, err := a.NewStream(short(t), info.ID, frames)
	if err != nil {
		t.Fatalf("open frame stream: %v", err)
	}
	head := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, session), serial)
	start := prefixed(binary.BigEndian.AppendUint64(nil, before))
	if _, err := out.Write(append(head, start...)); err != nil {
		t.Fatal(err)
	}
	beat, err = a.NewStream(short(t), info.ID, beats)
	if err != nil {
		t.Fatalf("open beat stream: %v", err)
	}
	return out, beat
}

func prefixed(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

func beatBytes(t testing.TB, beat *wire.Beat) []byte {
	t.Helper()
	raw, err := proto.Marshal(beat)
	if err != nil {
		t.Fatal(err)
	}
	return prefixed(raw)
}

// member is an attacker that the victim takes for a peer.
func member(t testing.TB, victim *device) *attacker {
	t.Helper()
	a := newAttacker(t, nil)
	a.SetStreamHandler(frames, func(s network.Stream) {}) // accepted, never read
	victim.SetPeers(map[demes.DeviceID][]string{a.id: nil})
	return a
}

func TestStrangersReachTheJoinProtocolOnly(t *testing.T) {
	victim, stranger := newDevice(t, true), newAttacker(t, nil)
	info := infoOf(t, victim)
	if err := stranger.Connect(short(t), info); err != nil {
		t.Fatalf("connect: %v", err)
	}
	if answer, err := stranger.ask(t, info.ID); err != nil || answer != "ask" {
		t.Fatalf("answer %q (%v)", answer, err)
	}
	for _, id := range []protocol.ID{
		frames, beats, "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0",
		"/libp2p/circuit/relay/0.2.0/hop", "/libp2p/circuit/relay/0.2.0/stop", "/libp2p/dcutr", "/x",
	} {
		if !stranger.refused(t, info.ID, id) {
			t.Errorf("a stranger reached %s", id)
		}
	}
	const enough = 8
	answered := 1
	for answered < enough {
		if _, err := stranger.ask(t, info.ID); err != nil {
			break
		}
		answered++
	}
	if answered == enough {
		t.Errorf("a stranger asked %d times in one stay", answered)
	}
}

// ask asks one question over the join protocol.
func (a *attacker) ask(t testing.TB, victim peer.ID) (string, error) {
	stream, err := a.NewStream(short(t), victim, join)
	if err != nil {
		return "", err
	}
	if err := stream.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := stream.Write(prefixed([]byte("ask"))); err != nil {
		return "", err
	}
	answer := make([]byte, 7)
	_, err = io.ReadFull(stream, answer)
	return string(answer[4:]), err
}

func TestOversizedQuestionIsNotRead(t *testing.T) {
	victim, stranger := newDevice(t, false), newAttacker(t, nil)
	var asked atomic.Int32
	victim.Answer = func(context.Context, demes.DeviceID, []byte) []byte { asked.Add(1); return []byte{} }
	info := infoOf(t, victim)
	if err := stranger.Connect(short(t), info); err != nil {
		t.Fatal(err)
	}
	stream, err := stranger.NewStream(short(t), info.ID, join)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write(binary.BigEndian.AppendUint32(nil, wire.MaxJoinAsk+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Read(make([]byte, 1)); err == nil || err == io.EOF || asked.Load() > 0 {
		t.Errorf("an oversized question: %v, answered %d times", err, asked.Load())
	}
}

func TestStrangersAreFew(t *testing.T) {
	victim := newDevice(t, false)
	var inside, most atomic.Int32
	release := make(chan struct{})
	victim.Answer = func(context.Context, demes.DeviceID, []byte) []byte {
		if n := inside.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-release
		return []byte("x")
	}
	const strangers = 12
	results := make(chan error, strangers)
	for range strangers {
		d := newDevice(t, false)
		go func() {
			_, _, err := d.Join(t.Context(), target(victim.Addresses()[0], victim.id), []byte("ask"))
			results <- err
		}()
	}
	for range strangers - 8 {
		if err := <-results; err == nil {
			t.Error("a stranger beyond the eighth got an answer")
		}
	}
	close(release)
	for range 8 {
		if err := <-results; err != nil {
			t.Errorf("one of the eight got no answer: %v", err)
		}
	}
	if most.Load() != 8 {
		t.Errorf("%d strangers at once, want 8", most.Load())
	}
}

// TestGarbageEndsTheLink: each kind of malformed input costs its sender the
// connection, and nothing else happens.
func TestGarbageEndsTheLink(t *testing.T) {
	huge := binary.BigEndian.AppendUint32(nil, wire.MaxFrame+1)
	crowd := &wire.Beat{Seq: 1}
	for range 5000 {
		crowd.Hosting = append(crowd.Hosting, &wire.Hosting{})
	}
	tests := []struct {
		name string
		send func(t *testing.T, a *attacker, victim peer.ID, out, beat network.Stream)
	}{
		{"oversized frame", func(t *testing.T, _ *attacker, _ peer.ID, out, _ network.Stream) { _, _ = out.Write(huge) }},
		{"truncated frame", func(t *testing.T, _ *attacker, _ peer.ID, out, _ network.Stream) {
			_, _ = out.Write([]byte{0, 0, 1, 0, 'x'})
			_ = out.CloseWrite()
		}},
		{"oversized beat", func(t *testing.T, _ *attacker, _ peer.ID, _, beat network.Stream) { _, _ = beat.Write(huge) }},
		{"garbage beat", func(t *testing.T, _ *attacker, _ peer.ID, _, beat network.Stream) {
			_, _ = beat.Write(prefixed([]byte{0xff, 0xff, 0xff}))
		}},
		{"beat without number", func(t *testing.T, _ *attacker, _ peer.ID, _, beat network.Stream) {
			_, _ = beat.Write(prefixed(nil))
		}},
		{"crowded beat", func(t *testing.T, _ *attacker, _ peer.ID, _, beat network.Stream) {
			_, _ = beat.Write(beatBytes(t, crowd))
		}},
		{"beats backward", func(t *testing.T, _ *attacker, _ peer.ID, _, beat network.Stream) {
			_, _ = beat.Write(beatBytes(t, &wire.Beat{Seq: 9}))
			_, _ = beat.Write(beatBytes(t, &wire.Beat{Seq: 8}))
		}},
		{"echo of the future", func(t *testing.T, _ *attacker, _ peer.ID, _, beat network.Stream) {
			_, _ = beat.Write(beatBytes(t, &wire.Beat{Seq: 1, Echo: 1 << 60}))
		}},
		{"flood of beats", func(t *testing.T, _ *attacker, _ peer.ID, _, beat network.Stream) {
			for seq := range uint64(2000) {
				if _, err := beat.Write(beatBytes(t, &wire.Beat{Seq: seq + 1})); err != nil {
					return
				}
			}
		}},
		{"second frame stream", func(t *testing.T, a *attacker, victim peer.ID, _, _ network.Stream) {
			a.refused(t, victim, frames)
		}},
		{"second beat stream", func(t *testing.T, a *attacker, victim peer.ID, _, beat network.Stream) {
			_, _ = beat.Write(beatBytes(t, &wire.Beat{Seq: 1})) // opens the first one
			a.refused(t, victim, beats)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			victim := newDevice(t, false)
			a := member(t, victim)
			out, beat := a.link(t, victim, 7, 1, 0)
			victim.Await(t, a.id, "connected", connected)
			test.send(t, a, infoOf(t, victim).ID, out, beat)
			victim.Await(t, a.id, "cut off", func(h contract.Heard) bool { return h.Disconnects == 1 && !h.Connected })
		})
	}
}

func TestMemberWithAThousandStreamsIsBounded(t *testing.T) {
	victim := newDevice(t, false)
	a := member(t, victim)
	a.link(t, victim, 7, 1, 0)
	victim.Await(t, a.id, "connected", connected)
	id := infoOf(t, victim).ID
	before := runtime.NumGoroutine()
	opened := 0
	for range 1000 {
		stream, err := a.Network().NewStream(short(t), id) // no protocol: hangs in negotiation
		if err != nil {
			break
		}
		if _, err := stream.Write([]byte{1}); err == nil {
			opened++
		}
	}
	await(t, "few goroutines", func() bool { return runtime.NumGoroutine() < before+200 })
	friend := newDevice(t, false)
	victim.SetPeers(map[demes.DeviceID][]string{friend.id: friend.Addresses()})
	friend.SetPeers(map[demes.DeviceID][]string{victim.id: victim.Addresses()})
	victim.Await(t, friend.id, "connected", connected)
	t.Logf("%d streams opened, %d goroutines more", opened, runtime.NumGoroutine()-before)
}

func TestMemberThatNeverReadsHoldsItsQueueOnly(t *testing.T) {
	victim := newDevice(t, false)
	a := member(t, victim)
	out, beat := a.link(t, victim, 7, 1, 0)
	victim.Await(t, a.id, "connected", connected)
	taken := 0
	for victim.Send(a.id, make([]byte, 100<<10)) {
		if taken += 100 << 10; taken > 64<<20 {
			t.Fatalf("%d bytes were taken for a peer that does not read", taken)
		}
	}
	if taken < wire.MaxQueue/2 {
		t.Errorf("only %d bytes were taken", taken)
	}
	// What the same peer sends is still handled.
	if _, err := out.Write(prefixed([]byte("hello"))); err != nil {
		t.Fatal(err)
	}
	if _, err := beat.Write(beatBytes(t, &wire.Beat{Seq: 1, IntervalMs: 100})); err != nil {
		t.Fatal(err)
	}
	victim.Await(t, a.id, "its frame and beat", func(h contract.Heard) bool { return len(h.Frames) == 1 && h.Beats == 1 })
}

func TestSilentStrangersMakeRoom(t *testing.T) {
	victim := newDevice(t, false)
	info := infoOf(t, victim)
	for range 8 {
		if err := newAttacker(t, nil).Connect(short(t), info); err != nil {
			t.Fatalf("connect: %v", err)
		}
	}
	joiner := newDevice(t, false)
	await(t, "room for one who asks", func() bool {
		_, _, err := joiner.Join(t.Context(), target(victim.Addresses()[0], victim.id), []byte("ask"))
		return err == nil
	})
}

func TestReconnectStormLeavesRoomForOthers(t *testing.T) {
	victim, friend := newDevice(t, false), newDevice(t, false)
	stranger := newAttacker(t, nil)
	info := infoOf(t, victim)
	for range 200 {
		_ = stranger.Connect(short(t), info)
		_ = stranger.Network().ClosePeer(info.ID)
	}
	connect(t, victim, friend)
	if victim.Of(stranger.id).Connects > 0 {
		t.Error("the stranger became a peer")
	}
}

func TestTwoConnectionsOfOneDevice(t *testing.T) {
	victim := newDevice(t, false)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two, other := newAttacker(t, key), newAttacker(t, key), newAttacker(t, key)
	for _, a := range []*attacker{one, two, other} {
		a.SetStreamHandler(frames, func(s network.Stream) { _, _ = io.Copy(io.Discard, s) })
	}
	victim.SetPeers(map[demes.DeviceID][]string{one.id: nil})
	out1, _ := one.link(t, victim, 7, 2, 0)
	victim.Await(t, one.id, "connected", connected)
	out2, _ := two.link(t, victim, 7, 1, 2) // the lower number is preferred
	_, _ = out2.Write(prefixed([]byte("b")))
	_, _ = out1.Write(prefixed([]byte("a")))
	_ = out1.CloseWrite()
	heard := victim.Await(t, one.id, "frames of both", func(h contract.Heard) bool { return len(h.Frames) == 2 })
	if got := string(heard.Frames[0]) + string(heard.Frames[1]); got != "ab" {
		t.Errorf("frames %q, want those of the first connection first", got)
	}
	if heard.Connects != 1 || heard.Disconnects != 0 {
		t.Errorf("connected %d times, ended %d, want one connection throughout", heard.Connects, heard.Disconnects)
	}
	// A new process of the device ends what the old one left.
	out3, _ := other.link(t, victim, 8, 1, 0)
	_, _ = out3.Write(prefixed([]byte("c")))
	heard = victim.Await(t, one.id, "the new process", func(h contract.Heard) bool { return h.Connects == 2 && len(h.Frames) == 3 })
	if heard.Disconnects != 1 {
		t.Errorf("%d ends, want 1", heard.Disconnects)
	}
}

func TestNothingLeaksOverManyConnections(t *testing.T) {
	hub := newDevice(t, false)
	round := func() {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		recorder := contract.NewRecorder()
		other, err := p2p.Open(p2p.Config{Key: key, Handler: recorder, Log: testLog(), Loopback: true})
		if err != nil {
			t.Fatal(err)
		}
		id := demes.DeviceID(key.Public().(ed25519.PublicKey))
		hub.SetPeers(map[demes.DeviceID][]string{id: other.Addresses()})
		other.SetPeers(map[demes.DeviceID][]string{hub.id: hub.Addresses()})
		hub.Await(t, id, "connected", connected)
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		hub.Await(t, id, "gone", func(h contract.Heard) bool { return !h.Connected })
	}
	round()
	before := runtime.NumGoroutine()
	for range 100 {
		round()
	}
	await(t, "goroutines as before", func() bool { return runtime.NumGoroutine() <= before+10 })
}
