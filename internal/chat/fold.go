package chat

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Limits of what the log may make every member remember
// (docs/protocol.md#limits).
const (
	MaxMembers     = 256     // the post-quantum suite is the default up to here
	MaxInvites     = 256     // unrevoked, unexpired, with uses left
	MaxInviteUses  = 1000    // of one invite
	MaxGone        = 1024    // devices that are no members any more; the oldest are forgotten
	MaxElectors    = 9       // a majority of them must be reachable to convene
	MaxLamportLead = 1 << 20 // above the log's maximum: one author cannot use the clock up
	MaxDevices     = 8       // of one account
	// RefreshGap is how much log time lies between two commits that change nobody,
	// and RejoinGap between two external commits of a device, in ms: keys change
	// often enough to heal, and no member keeps the others busy with it.
	RefreshGap = 600_000
	RejoinGap  = 60_000
	// MaxDisappear is the longest time after which messages may be set to be
	// deleted, in ms: a year.
	MaxDisappear = 365 * 24 * 3_600_000
)

// Format is the chat format that this program writes and reads.
const Format = 1

// Fold is the state of a chat after its settled log up to Head: who is a
// member, who may do what, which invites are good. It is a pure function of
// the log, the same on every member, byte for byte (promise S9,
// docs/protocol.md#apply).
type Fold struct {
	Chat     demes.ChatID
	Format   uint32
	Suite    mls.Suite // fixed by the found event
	Title    string
	Founder  demes.DeviceID
	Head     demes.Head
	Slot     uint64 // Raft index of the last entry consumed in this generation
	Position uint64 // messages among the entries
	Term     uint64 // of the last host record
	Host     demes.DeviceID
	LogMs    int64
	Lamport  uint64 // the highest of all consumed events
	Epoch    uint64
	Live     bool // started
	Members  map[demes.DeviceID]*Member
	Gone     map[demes.DeviceID]Gone
	Invites  map[[32]byte]*Invite
	Plan     []Rank // the succession, best first
	Settings Settings
	// RefreshedMs is the log time of the last commit that changed nobody.
	RefreshedMs int64
	// group is the public side of the chat's MLS group. Invariant: its leaves are
	// the devices of Members, and its epoch is Epoch (promise B5).
	group    *mls.Observer
	Electors []demes.DeviceID // of this generation, in the order of their Raft ids

	planted Planted
}

// Member is one member device in the fold.
type Member struct {
	Device     demes.DeviceID
	Account    demes.AccountID
	Cert       *wire.DeviceCert
	Name       string
	Role       demes.Role
	SinceIndex uint64
	SinceMs    int64  // log time
	SinceEpoch uint64 // to which its add led: its welcome is into that
	LastSeq    uint64
	LastHash   demes.Hash
	Leaving    bool // has left; the next commit removes it
	Addresses  []string
	RejoinedMs int64 // log time of its last external commit; 0: none
	History    bool  // it may see what was said before it came: by its invite, or with its person's other devices
	// ShownFrom is the index from which on this device may be shown what was said:
	// where the first device of its person came, or 1. It stays when that one goes.
	ShownFrom uint64
}

// Settings are the chat's rules, by the founder or an admin.
type Settings struct {
	AdminsInvite   bool  // only the founder and admins make invites
	DisappearAfter int64 // ms after which messages are deleted; 0: never
}

// Gone is what is remembered of a device that is no member any more, so that
// its log goes on where it ended when it returns.
type Gone struct {
	LastSeq  uint64
	LastHash demes.Hash
	Name     string
	Index    uint64 // where it went: the oldest are forgotten first
	Revoked  bool   // by its own person: it never comes back
}

// Invite is one invite that is good.
type Invite struct {
	Author   demes.DeviceID
	UsesLeft uint32
	NotAfter int64 // log time, Unix milliseconds
	History  bool
}

// Rank is one place in the succession.
type Rank struct {
	Device  demes.DeviceID
	ScoreUs int64 // -1: not measured
}

// Sealed is one entry as the council committed it.
type Sealed struct {
	Generation uint64
	Term       uint64 // of the Raft entry
	Slot       uint64
	LogMs      int64
	Event      *demes.Event // signature checked by the caller; or
	Record     *wire.Record
}

// Outcome is what applying an entry did.
type Outcome int

// The outcomes of the apply rule.
const (
	Ignored  Outcome = iota // no effect, as if it had never been there
	Early                   // a gap: stays in the tail and is offered again
	Consumed                // has an index
)

// Reasons why an event is consumed void; they are the codes of a message's
// problem.
const (
	VoidLobby     = "lobby"
	VoidKind      = "unknown-kind"
	VoidRight     = "no-right"
	VoidEpoch     = "stale-epoch"
	VoidMalformed = "malformed"
	VoidInvite    = "invite"
	VoidFull      = "full"
	VoidLamport   = "lamport"
	VoidFork      = "fork" // it proves that its author wrote two histories: it is silenced
	VoidKeys      = "keys" // its MLS commit is not valid, or does something else than it says
	VoidRate      = "rate"
)

// Apply consumes one entry, or says why it does not. void is the reason for
// which a consumed event had no effect.
func (f *Fold) Apply(s Sealed) (out Outcome, void string) {
	if s.Generation != f.Head.Generation || (s.Slot != 0 && s.Slot <= f.Slot) {
		return Ignored, ""
	}
	if s.Record != nil {
		return f.applyRecord(s), ""
	}
	if s.Event == nil {
		return Ignored, ""
	}
	return f.applyEvent(s)
}

func (f *Fold) applyEvent(s Sealed) (Outcome, string) {
	e := s.Event
	if e.Kind == demes.KindFound && f.Head.Index == 0 {
		return f.applyFound(s)
	}
	author := f.Members[e.ID.Device]
	if e.Chat != f.Chat || author == nil || author.Leaving || e.ID.Seq <= author.LastSeq && !f.planted.Twice {
		return Ignored, ""
	}
	forks := e.ID.Seq == author.LastSeq+1 && e.Prev != author.LastHash && !f.planted.Twice
	if e.ID.Seq > author.LastSeq+1 || !forks && !f.shown(e.After) && !f.planted.Unshown {
		return Early, ""
	}
	f.advance(s, e.Hash)
	author.LastSeq, author.LastHash = e.ID.Seq, e.Hash
	if forks { // nobody waits for what it showed to some
		author.Leaving = true
		return Consumed, VoidFork
	}
	if above(e.Lamport, f.Lamport, MaxLamportLead) {
		return Consumed, VoidLamport
	}
	f.Lamport = max(f.Lamport, e.Lamport)
	return Consumed, f.effect(author, e)
}

// above reports whether a is more than lead above b.
func above(a, b, lead uint64) bool { return a > b && a-b > lead }

// shown reports whether everything that an author had been shown is consumed.
// What a device that is no member wrote will never be: it does not count.
func (f *Fold) shown(after []demes.Mark) bool {
	for _, m := range after {
		if member := f.Members[m.Device]; member != nil && !member.Leaving && member.LastSeq < m.Seq {
			return false
		}
	}
	return true
}

// advance moves index, hash and log time on.
func (f *Fold) advance(s Sealed, entry demes.Hash) {
	f.LogMs = max(f.LogMs, s.LogMs)
	f.Head.Index++
	f.Head.Hash = nextHash(f.Head.Hash, f.LogMs, entry)
	if s.Slot != 0 {
		f.Slot = s.Slot
	}
}

// nextHash is hash(i) = SHA-256(hash(i−1) ‖ log_ms ‖ entry hash)
// (docs/protocol.md#heads).
func nextHash(prev demes.Hash, logMs int64, entry demes.Hash) demes.Hash {
	var stamp [8]byte
	for i := range stamp {
		stamp[i] = byte(uint64(logMs) >> (56 - 8*i))
	}
	return demes.Sum(prev[:], stamp[:], entry[:])
}

// applyRecord consumes a record of the host: in its own term only, and only
// from the elector that opened the term.
func (f *Fold) applyRecord(s Sealed) Outcome {
	body, device, err := wire.OpenRecord(s.Record)
	if err != nil || wire.HashOf(body.GetChat()) != demes.Hash(f.Chat) || body.GetGeneration() != s.Generation ||
		body.GetTerm() != s.Term || !slices.Contains(f.Electors, device) {
		return Ignored
	}
	switch kind := body.GetKind().(type) {
	case *wire.RecordBody_Host:
		if s.Term <= f.Term {
			return Ignored
		}
		f.Term, f.Host = s.Term, device
	case *wire.RecordBody_Plan:
		if s.Term != f.Term || device != f.Host || len(kind.Plan.GetRanks()) > MaxMembers {
			return Ignored
		}
		f.Plan = readRanks(kind.Plan.GetRanks())
	default:
		return Ignored
	}
	f.advance(s, wire.RecordHash(s.Record))
	return Consumed
}

func readRanks(ranks []*wire.Rank) []Rank {
	out := make([]Rank, 0, len(ranks))
	for _, r := range ranks {
		out = append(out, Rank{Device: wire.Device(r.GetDevice()), ScoreUs: r.GetScoreUs()})
	}
	return out
}

// Enter begins the generation that a certificate decided, from its base, at
// which the fold must stand.
func (f *Fold) Enter(generation uint64, electors []demes.DeviceID) {
	f.Head.Generation = generation
	f.Electors = slices.Clone(electors)
	f.Term, f.Host, f.Slot = 0, demes.DeviceID{}, 0
}

// sorted returns the keys of a map in order.
func sortedDevices[V any](m map[demes.DeviceID]V) []demes.DeviceID {
	out := make([]demes.DeviceID, 0, len(m))
	for d := range m {
		out = append(out, d)
	}
	slices.SortFunc(out, demes.DeviceID.Compare)
	return out
}

// Encode gives the canonical bytes of the state.
func (f *Fold) Encode() []byte { return wire.Marshal(f.state()) }

// Hash is the hash of the canonical state.
func (f *Fold) Hash() demes.Hash { return demes.Sum(f.Encode()) }

func (f *Fold) state() *wire.State {
	s := &wire.State{
		Chat: f.Chat[:], Format: f.Format, Suite: uint32(f.Suite), Title: f.Title, Founder: f.Founder[:],
		Generation: f.Head.Generation, Term: f.Term, Host: f.Host[:], Index: f.Head.Index, Position: f.Position,
		Hash: f.Head.Hash[:], LogMs: f.LogMs, Lamport: f.Lamport, Epoch: f.Epoch, Live: f.Live, Slot: f.Slot,
		Group: f.group.State(), RefreshedMs: f.RefreshedMs,
		Settings: &wire.Settings{AdminsInvite: f.Settings.AdminsInvite, DisappearAfterMs: f.Settings.DisappearAfter},
	}
	for _, d := range sortedDevices(f.Members) {
		s.Members = append(s.Members, f.Members[d].encode())
	}
	for _, d := range sortedDevices(f.Gone) {
		g := f.Gone[d]
		s.Gone = append(s.Gone, &wire.GoneState{Device: d[:], LastSeq: g.LastSeq, LastHash: g.LastHash[:], Name: g.Name, Index: g.Index, Revoked: g.Revoked})
	}
	keys := make([][32]byte, 0, len(f.Invites))
	for k := range f.Invites {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	for _, k := range keys {
		i := f.Invites[k]
		s.Invites = append(s.Invites, &wire.InviteState{InviteKey: k[:], Author: i.Author[:], UsesLeft: i.UsesLeft, NotAfterMs: i.NotAfter, History: i.History})
	}
	s.Plan = PutRanks(f.Plan)
	for _, d := range f.Electors {
		s.Electors = append(s.Electors, d[:])
	}
	return s
}

// PutRanks encodes a succession.
func PutRanks(ranks []Rank) []*wire.Rank {
	out := make([]*wire.Rank, 0, len(ranks))
	for _, r := range ranks {
		out = append(out, &wire.Rank{Device: r.Device[:], ScoreUs: r.ScoreUs})
	}
	return out
}

var roleNumbers = map[demes.Role]uint32{demes.RoleMember: 0, demes.RoleAdmin: 1, demes.RoleFounder: 2}

// roleOf is the role of a number; an unknown one gives no rights.
func roleOf(number uint32) demes.Role {
	for name, n := range roleNumbers {
		if n == number {
			return name
		}
	}
	return demes.RoleMember
}

func (m *Member) encode() *wire.MemberState {
	return &wire.MemberState{
		Device: m.Device[:], Cert: m.Cert, Name: m.Name, Role: roleNumbers[m.Role], SinceIndex: m.SinceIndex,
		SinceMs: m.SinceMs, LastSeq: m.LastSeq, LastHash: m.LastHash[:], Leaving: m.Leaving, Addresses: m.Addresses,
		RejoinedMs: m.RejoinedMs, SinceEpoch: m.SinceEpoch, History: m.History, ShownFrom: m.ShownFrom,
	}
}

// decodeFold reads a state; certificates in it are checked again. The ratchet
// tree travels apart from it: the state has its hash.
func decodeFold(s *wire.State, tree []byte, trusted bool) (*Fold, error) {
	f, err := decodeState(s)
	if err != nil {
		return nil, err
	}
	if f.group, err = mls.ParseObserver(s.GetGroup(), tree, leafPolicy(&f.Chat), trusted); err != nil {
		return nil, fmt.Errorf("the state's keys: %w", err)
	}
	if f.group.Suite() != f.Suite || f.group.Epoch() != f.Epoch || !f.treeIsRoster(f.group) {
		return nil, fmt.Errorf("the state's keys are not those of its members: %w", wire.ErrMalformed)
	}
	return f, nil
}

func decodeState(s *wire.State) (*Fold, error) {
	f := newFold(demes.ChatID(wire.HashOf(s.GetChat())))
	f.Format, f.Suite, f.Title, f.Founder = s.GetFormat(), mls.Suite(s.GetSuite()), s.GetTitle(), wire.Device(s.GetFounder())
	f.Head = demes.Head{Generation: s.GetGeneration(), Index: s.GetIndex(), Hash: wire.HashOf(s.GetHash())}
	f.Slot, f.Position, f.Term, f.Host = s.GetSlot(), s.GetPosition(), s.GetTerm(), wire.Device(s.GetHost())
	f.LogMs, f.Lamport, f.Epoch, f.Live = s.GetLogMs(), s.GetLamport(), s.GetEpoch(), s.GetLive()
	f.RefreshedMs = s.GetRefreshedMs()
	f.Settings = Settings{AdminsInvite: s.GetSettings().GetAdminsInvite(), DisappearAfter: s.GetSettings().GetDisappearAfterMs()}
	if len(s.GetMembers()) > MaxMembers || len(s.GetGone()) > MaxGone || len(s.GetInvites()) > MaxInvites || len(s.GetElectors()) > MaxElectors || len(s.GetPlan()) > MaxMembers {
		return nil, wire.ErrTooLarge
	}
	for _, m := range s.GetMembers() {
		member, err := decodeMember(m)
		if err != nil {
			return nil, err
		}
		f.Members[member.Device] = member
	}
	for _, g := range s.GetGone() {
		f.Gone[wire.Device(g.GetDevice())] = Gone{LastSeq: g.GetLastSeq(), LastHash: wire.HashOf(g.GetLastHash()), Name: g.GetName(), Index: g.GetIndex(), Revoked: g.GetRevoked()}
	}
	for _, i := range s.GetInvites() {
		key, _ := wire.Bytes32(i.GetInviteKey())
		f.Invites[key] = &Invite{Author: wire.Device(i.GetAuthor()), UsesLeft: i.GetUsesLeft(), NotAfter: i.GetNotAfterMs(), History: i.GetHistory()}
	}
	f.Plan = readRanks(s.GetPlan())
	for _, d := range s.GetElectors() {
		f.Electors = append(f.Electors, wire.Device(d))
	}
	return f, nil
}

func decodeMember(m *wire.MemberState) (*Member, error) {
	device, account, err := wire.OpenCert(m.GetCert())
	if err != nil {
		return nil, err
	}
	if device != wire.Device(m.GetDevice()) || !wire.ValidName(m.GetName()) || !wire.ValidAddresses(m.GetAddresses()) {
		return nil, wire.ErrMalformed
	}
	return &Member{
		Device: device, Account: account, Cert: m.GetCert(), Name: m.GetName(), Role: roleOf(m.GetRole()), SinceIndex: m.GetSinceIndex(),
		SinceMs: m.GetSinceMs(), LastSeq: m.GetLastSeq(), LastHash: wire.HashOf(m.GetLastHash()), Leaving: m.GetLeaving(),
		Addresses: m.GetAddresses(), RejoinedMs: m.GetRejoinedMs(), SinceEpoch: m.GetSinceEpoch(), History: m.GetHistory(), ShownFrom: m.GetShownFrom(),
	}, nil
}

func newFold(chat demes.ChatID) *Fold {
	return &Fold{
		Chat: chat, Members: map[demes.DeviceID]*Member{}, Gone: map[demes.DeviceID]Gone{}, Invites: map[[32]byte]*Invite{},
	}
}

// forget drops the longest-gone devices above MaxGone.
func (f *Fold) forget() {
	for len(f.Gone) > MaxGone {
		oldest := slices.MinFunc(sortedDevices(f.Gone), func(a, b demes.DeviceID) int {
			return cmp.Compare(f.Gone[a].Index, f.Gone[b].Index)
		})
		delete(f.Gone, oldest)
	}
}
