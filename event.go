package demes

// Kind says what an event does. Unknown kinds are consumed void
// (docs/protocol.md#kinds).
type Kind uint32

// The kinds of events. Found to Settings decide membership and rights and are
// readable by every member; the payloads of Message and Amend are sealed.
const (
	KindFound    Kind = 1
	KindStart    Kind = 2
	KindCommit   Kind = 3
	KindLeave    Kind = 4
	KindInvite   Kind = 5
	KindRevoke   Kind = 6
	KindRole     Kind = 7
	KindProfile  Kind = 8
	KindSettings Kind = 9
	KindMessage  Kind = 16
	KindAmend    Kind = 17
)

// Decides reports whether events of the kind decide membership or rights.
func (k Kind) Decides() bool { return k >= KindFound && k <= KindSettings }

// HasContent reports whether events of the kind have a sealed payload.
func (k Kind) HasContent() bool { return k == KindMessage || k == KindAmend }

var kindNames = map[Kind]string{
	KindFound: "found", KindStart: "start", KindCommit: "commit", KindLeave: "leave",
	KindInvite: "invite", KindRevoke: "revoke", KindRole: "role", KindProfile: "profile", KindSettings: "settings",
	KindMessage: "message", KindAmend: "amend",
}

func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return "unknown"
}

// Limits of what one event may carry, in bytes (docs/protocol.md#limits).
const (
	MaxText           = 16 << 10 // a message's text, UTF-8
	MaxMessagePayload = 20 << 10 // a message's payload: text, salt and framing
	MaxCommitPayload  = 1 << 20  // a commit's payload: join requests and MLS bytes
	MaxOtherPayload   = 8 << 10  // the payload of every other kind
	MaxEventBody      = 24 << 10 // the signed part: grows with the devices named in After
	MaxName           = 64       // a display name, in characters
	MaxTitle          = 100      // a chat's title, in characters
)

// Mark says how much of one device's log is meant: everything up to Seq, whose
// event has this Hash.
type Mark struct {
	Device DeviceID
	Seq    uint64
	Hash   Hash
}

// Event is one signed entry of one device's log in one chat, decoded. Body is
// exactly what was signed; the other fields were read from it and are never
// encoded again (docs/protocol.md#event).
type Event struct {
	ID        EventID
	Chat      ChatID
	Kind      Kind
	Prev      Hash   // hash of the device's previous event here; zero for the first
	After     []Mark // per other device, the last unsettled seq its author was shown
	Seen      Head   // the author's head
	Lamport   uint64 // above all that the author had seen
	SentAt    int64  // Unix milliseconds; shown, never used for order
	Hash      Hash   // of Body
	Content   Hash   // content_commit; zero for kinds that are clear
	Body      []byte
	Signature []byte
	Payload   []byte // may be nil once erased; its hash stands in Body
	Plain     []byte // what a sealed payload says, once it was opened here; never sent
	// ExpiresMs is the log time, Unix ms, at which Plain is deleted; 0: never.
	ExpiresMs int64
}

// Before is the provisional order: lamport, then device, then seq
// (docs/protocol.md#provisional-order).
func (e *Event) Before(other *Event) bool {
	if e.Lamport != other.Lamport {
		return e.Lamport < other.Lamport
	}
	return e.ID.Compare(other.ID) < 0
}

// Size is what the event costs in memory and on the wire, in bytes.
func (e *Event) Size() int { return len(e.Body) + len(e.Signature) + len(e.Payload) }
