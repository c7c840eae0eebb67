package wire

import "github.com/demes-chat/demes"

// Limits of what crosses a link. Each bounds what one peer can make this node
// hold in memory (docs/protocol.md#limits).
const (
	// MaxFrame bounds one frame: a commit event of demes.MaxCommitPayload fits.
	MaxFrame = 2 << 20
	// MaxQueue bounds what waits for one connected device; a peer that does not
	// read loses frames, and asks for them again when it reads.
	MaxQueue = 8 << 20
	// MaxBeat bounds one beat: hosting lists of 4,000 chats fit.
	MaxBeat = 256 << 10
	// MaxJoinAsk and MaxJoinAnswer bound the join protocol.
	MaxJoinAsk    = 64 << 10
	MaxJoinAnswer = 4 << 20
	// MaxReceipt bounds the signed part of a receipt: a chat, a head and a hash.
	MaxReceipt = 256
	// MaxSealing is what an event adds to its plaintext at most: body, signature,
	// encryption and padding.
	MaxSealing = demes.MaxEventBody + 4<<10
	// MaxBatch is where a range of the settled log is cut.
	MaxBatch = 256 << 10
	// MaxAddresses bounds the addresses kept for one device.
	MaxAddresses = 16
)

// Beat intervals in milliseconds (docs/protocol.md#beats): a chat's council
// while it is active, the council of an idle chat, and everybody else.
const (
	FastBeat = 100
	IdleBeat = 250
	SlowBeat = 2000
)

// Target is whom to ask over the join protocol: an address, and the device that
// is expected there when it is known (32 bytes; empty: whoever answers).
type Target struct {
	Address string
	Device  []byte
}
