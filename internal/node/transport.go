package node

import (
	"context"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Transport carries frames between devices. Connections are mutually
// authenticated: the device id that a callback names is proven. internal/p2p is
// the real one; the suite in internal/node/contract runs against every
// implementation.
type Transport interface {
	// SetPeers names everybody this node talks to, with the addresses known for
	// each. Who is not among them is refused (except by Join); who is no longer
	// among them is disconnected. The transport keeps trying to be connected to
	// each, by itself, with backing off.
	SetPeers(peers map[demes.DeviceID][]string)

	// Send queues a frame for a connected device: in order, at most once, dropped
	// when the connection ends. It reports false when the device is not connected
	// or its queue is full (wire.MaxQueue bytes): the frame was not sent.
	Send(to demes.DeviceID, frame []byte) bool

	// SetHosting tells what the beats say: the chats this node is host of.
	SetHosting(hosting []*wire.Hosting)

	// SetPace says how fast the beats to a device go. Fast: wire.FastBeat;
	// otherwise wire.IdleBeat or wire.SlowBeat.
	SetPace(to demes.DeviceID, intervalMs uint32)

	// Join asks the node at an address (or a known device) one question over the
	// join protocol and returns its answer.
	Join(ctx context.Context, contact wire.Target, ask []byte) (answer []byte, from demes.DeviceID, err error)

	// Addresses lists what others can dial, best first; PeerID is the text form
	// of this node's libp2p peer id.
	Addresses() []string
	PeerID() string

	// SetFaults replaces all faults: cut, delayed, jittered and lossy links.
	SetFaults(faults []wire.Fault)

	Close() error
}

// Handler is what a transport calls. Calls about one device come one at a time
// and in order; they must not block for long.
type Handler interface {
	Connected(device demes.DeviceID, addresses []string)
	Disconnected(device demes.DeviceID)
	Frame(from demes.DeviceID, frame []byte)
	// Beat hands over a beat that arrived: the sender's interval, and what it
	// says it hosts (the last full list when the beat carried none).
	Beat(from demes.DeviceID, intervalMs uint32, hosting []*wire.Hosting)
	// Delay hands over one measured round trip, or a probe that was lost.
	Delay(to demes.DeviceID, rttMs float64, lost, relayed bool)
	// Joining answers a question over the join protocol. It may take as long as
	// the context lets it.
	Joining(ctx context.Context, from demes.DeviceID, address string, ask []byte) []byte
}
