package demes

import "time"

// The types in this file are what a user is shown of a node, a chat and a
// message. Their JSON form is the local API's contract.

// Phase is where a chat is in its life.
type Phase string

// The phases of a chat, seen from this device.
const (
	PhaseLobby   Phase = "lobby"
	PhaseLive    Phase = "live"
	PhaseLeft    Phase = "left"
	PhaseRemoved Phase = "removed"
)

// Mode says whether a quorum orders the chat now.
type Mode string

// The modes of a chat.
const (
	ModeSettled     Mode = "settled"
	ModeProvisional Mode = "provisional"
)

// MessageState is how far a message has come.
type MessageState string

// The states of a message, in the order in which it passes through them.
const (
	StatePending MessageState = "pending" // only on this device
	StateSent    MessageState = "sent"    // at least one other device holds it
	StateSettled MessageState = "settled" // it has its position
	StateFailed  MessageState = "failed"  // consumed void; Problem says why
)

// Role is what a member may do.
type Role string

// The roles of members.
const (
	RoleFounder Role = "founder"
	RoleAdmin   Role = "admin"
	RoleMember  Role = "member"
)

// NodeView describes this node.
type NodeView struct {
	Device    string   `json:"device"`
	Account   string   `json:"account"`
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	PeerID    string   `json:"peer_id"`
	Addresses []string `json:"addresses"`
	DataDir   string   `json:"data_dir"`
	// Restored: the profile was put back to an earlier state, or copied. Each chat
	// asks its members what they remember before it writes.
	Restored bool `json:"restored,omitempty"`
}

// Peer names a device to a reader.
type Peer struct {
	Device string `json:"device"`
	Name   string `json:"name"`
}

// HeadView is a Head as the local API shows it.
type HeadView struct {
	Generation uint64 `json:"generation"`
	Index      uint64 `json:"index"`
	Hash       string `json:"hash"`
}

// MemberView describes one member of a chat.
type MemberView struct {
	Device  string   `json:"device"`
	Account string   `json:"account"`
	Name    string   `json:"name"`
	Online  bool     `json:"online"`
	Role    Role     `json:"role"`
	Council bool     `json:"council"`
	Elector bool     `json:"elector"`
	Held    uint64   `json:"held"` // position up to which this member holds the chat
	Read    uint64   `json:"read"` // position up to which this member has shown it
	RTTms   *float64 `json:"rtt_ms"`
	Leaving bool     `json:"leaving,omitempty"` // has left; its removal is not final yet
	History bool     `json:"history,omitempty"` // may see messages from before it came
	// RejoinedAt is when the device last came back with new keys by itself.
	RejoinedAt *time.Time `json:"rejoined_at,omitempty"`
	// Verified: the user compared safety numbers with this account, and none of its
	// devices has changed since.
	Verified bool `json:"verified"`
}

// RankView is one place in the succession.
type RankView struct {
	Device  string   `json:"device"`
	Name    string   `json:"name"`
	ScoreMs *float64 `json:"score_ms"` // sum of one-way delays to all; null when never measured
}

// LatencyView is the matrix of measured round-trip times in milliseconds; null
// where a pair was not measured or cannot reach each other.
type LatencyView struct {
	Devices []string     `json:"devices"`
	RTTms   [][]*float64 `json:"rtt_ms"`
}

// KnockView is somebody who waits at the lobby's door.
type KnockView struct {
	Device  string `json:"device"`
	Name    string `json:"name"`
	Code    string `json:"code"` // six digits that both screens show
	Address string `json:"address"`
}

// ProblemView is a problem of a chat or a message, in words.
type ProblemView struct {
	Code   Code   `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// ChatView is a chat as this device sees it.
type ChatView struct {
	ID          string       `json:"id"`
	Title       string       `json:"title"`
	Phase       Phase        `json:"phase"`
	Mode        Mode         `json:"mode"`
	Host        *Peer        `json:"host"`
	Next        *Peer        `json:"next"`
	Term        uint64       `json:"term"`
	Generation  uint64       `json:"generation"`
	Position    uint64       `json:"position"`
	Head        HeadView     `json:"head"`
	Final       uint64       `json:"final"` // index up to which the log is final
	Members     []MemberView `json:"members"`
	Succession  []RankView   `json:"succession"`
	Latency     LatencyView  `json:"latency"`
	Epoch       uint64       `json:"epoch"`
	Suite       string       `json:"suite"`                // the MLS cipher suite, fixed when the chat was founded
	PostQuantum bool         `json:"post_quantum"`         // the suite's key exchange is a hybrid with ML-KEM
	EpochCode   string       `json:"epoch_code,omitempty"` // 30 digits: equal on all members in the same epoch of the same group
	Settings    SettingsView `json:"settings"`
	Keys        KeysView     `json:"keys"`
	Me          string       `json:"me"`
	Founder     string       `json:"founder"`
	WaitingFor  []string     `json:"waiting_for,omitempty"`
	WaitingText string       `json:"waiting_text,omitempty"` // "2 of Ann, Bo, Cy"
	Knocks      []KnockView  `json:"knocks,omitempty"`
	Problem     *ProblemView `json:"problem,omitempty"`
	CatchingUp  *Progress    `json:"catching_up,omitempty"`
	History     *Progress    `json:"history,omitempty"` // of what settled before this device came
}

// SettingsView are the rules of a chat.
type SettingsView struct {
	AdminsInvite    bool  `json:"admins_invite"`     // only the founder and admins make invites
	DisappearAfterS int64 `json:"disappear_after_s"` // messages are deleted so long after they settled; 0: never
}

// SettingsChange changes those rules of a chat that it names.
type SettingsChange struct {
	AdminsInvite    *bool  `json:"admins_invite,omitempty"`
	DisappearAfterS *int64 `json:"disappear_after_s,omitempty"`
}

// KeysState is how this device's keys of a chat are.
type KeysState string

// The states of a device's keys.
const (
	KeysGood    KeysState = "good"
	KeysWaiting KeysState = "waiting" // a change of keys is settled and not final yet
	KeysLost    KeysState = "lost"    // this device comes back with new keys as soon as a member helps
)

// KeysView describes the encryption of a chat on this device.
type KeysView struct {
	State   KeysState `json:"state"`
	Waits   string    `json:"waits_for,omitempty"` // who has to be online for a change of keys to be final
	Missing *Progress `json:"missing,omitempty"`   // messages that this device asks other members for
}

// ReactionView is one emoji that members put to a message.
type ReactionView struct {
	Emoji string `json:"emoji"`
	By    []Peer `json:"by"`
	Mine  bool   `json:"mine"`
}

// SafetyView compares two accounts: both see the same digits.
type SafetyView struct {
	Account  string `json:"account"`
	Name     string `json:"name"`
	Digits   string `json:"digits"` // 60, in groups of five
	QRSVG    string `json:"qr_svg"`
	Verified bool   `json:"verified"`
	Changed  bool   `json:"changed"` // it was verified, and a device of the account has changed since
}

// Progress is how far something that takes time has come.
type Progress struct {
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

// MessageView is a message as this device sees it.
type MessageView struct {
	ID       string       `json:"id"`
	Chat     string       `json:"chat"`
	Position *uint64      `json:"position"`
	Author   Peer         `json:"author"`
	Text     string       `json:"text"`
	SentAt   time.Time    `json:"sent_at"`
	State    MessageState `json:"state"`
	HeldBy   int          `json:"held_by"`
	Members  int          `json:"members"`
	ReplyTo  string       `json:"reply_to,omitempty"`
	Problem  *ProblemView `json:"problem,omitempty"`

	EditedAt  *time.Time     `json:"edited_at,omitempty"`
	Deleted   bool           `json:"deleted,omitempty"`
	Reactions []ReactionView `json:"reactions,omitempty"`
	ExpiresAt *time.Time     `json:"expires_at,omitempty"` // when it disappears
}

// PageHead is the chat's last settled position and the running hash right
// after that message.
type PageHead struct {
	Generation uint64 `json:"generation"`
	Position   uint64 `json:"position"`
	Hash       string `json:"hash"`
}

// Contact is what a node on this machine may learn of a lobby that takes knocks.
type Contact struct {
	PeerID    string   `json:"peer_id"`
	Device    string   `json:"device"`
	Addresses []string `json:"addresses"`
}

// JoinState is how far a join has come.
type JoinState string

// The states of a join.
const (
	JoinConnecting JoinState = "connecting"
	JoinKnocking   JoinState = "knocking"
	JoinWaiting    JoinState = "waiting" // admitted, not final yet
	JoinJoined     JoinState = "joined"
	JoinRefused    JoinState = "refused"
	JoinFailed     JoinState = "failed"
)

// Attempt is one address that was tried, and how it went.
type Attempt struct {
	Address string `json:"address"`
	Result  string `json:"result"`
}

// JoinView is a join as this device sees it.
type JoinView struct {
	Join    string       `json:"join"`
	State   JoinState    `json:"state"`
	Chat    string       `json:"chat,omitempty"`
	Code    string       `json:"code,omitempty"` // six digits to compare, when knocking over a LAN
	Problem *ProblemView `json:"problem,omitempty"`
	Waits   string       `json:"waits_for,omitempty"` // who has to be online for the admission to be final: "1 of Ann, Bo"
	Tried   []Attempt    `json:"tried"`
}

// InviteView is an invite that was just made. The link holds a secret.
type InviteView struct {
	Link      string    `json:"link"`
	QRSVG     string    `json:"qr_svg"`
	ExpiresAt time.Time `json:"expires_at"`
}

// LinkFault is what the fault API does to the traffic with one peer ("*": all),
// in both directions, seen from this node.
type LinkFault struct {
	Peer     string  `json:"peer"`
	DelayMs  float64 `json:"delay_ms"`
	JitterMs float64 `json:"jitter_ms"`
	Loss     float64 `json:"loss"` // 0 to 1
	Cut      bool    `json:"cut"`
}

// LiveEvent is one entry of the live stream. Detail is the noun the type names:
// ChatView for host, members, mode and latency; JoinView for join; KnockView
// for knock.
type LiveEvent struct {
	Seq      uint64        `json:"seq"`
	Run      string        `json:"run"`
	Type     string        `json:"type"`
	Chat     string        `json:"chat,omitempty"`
	Message  *MessageView  `json:"message,omitempty"`
	Messages []MessageView `json:"messages,omitempty"`
	Detail   any           `json:"detail,omitempty"`
	Text     string        `json:"text,omitempty"` // a line to show in the chat, for host and election
}
