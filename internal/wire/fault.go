package wire

import "github.com/demes-chat/demes"

// Fault is what a transport does, on purpose, to all traffic with a device:
// what it sends there and what it receives from there, each way once. Tests and
// the fault interface of a node set it; two nodes that both set one add up.
type Fault struct {
	Peer     demes.DeviceID // zero: every device without a fault of its own
	DelayMs  float64        // added each way; order is kept
	JitterMs float64        // up to this much more, drawn per frame and per beat
	Loss     float64        // 0 to 1, per frame and per beat
	// Cut makes the link mute: the connection stays, nothing crosses it, and no
	// new one comes about. Frames that wait when it ends cross then.
	Cut bool
}
