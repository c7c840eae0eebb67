// Package council keeps one order of one chat: Raft behind a guard while a
// generation lives, and the Paxos decision that ends it.
//
// Its one idea: Raft keeps its safety rules and loses its clock. Only the
// leader ticks; who is suspected, who campaigns and when is decided here, from
// beats, closed connections and the agreed succession, so that the expected
// successor takes over (docs/protocol.md#election).
//
// A Group is one order, of one generation. An Elector is one elector's part in
// deciding the next generation. Both are pure: time, randomness and signatures
// come in as arguments, and what must be durable or sent goes out.
//
// The driver's contract, in this order (docs/protocol.md#council):
//
//  1. call Ready; when it has something, make Hard, Config, Snapshot, Entries,
//     CompactTo, Committed and Applied durable in one transaction;
//  2. call Advance; 3. send Messages; 4. call Ready again until it has nothing.
//
// The package knows no chats, events or members: entries are bytes to it.
package council

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits of a group (docs/protocol.md#limits).
const (
	// MaxElectors bounds the electors of a generation: a majority of nine is
	// five signatures, and beyond that every decision waits for more absent people.
	MaxElectors = 9
	// MaxVoters bounds the council: five bear two failures; more only slow it down.
	MaxVoters = 5
	// MaxEntry bounds one entry: a commit of demes.MaxCommitPayload with its body
	// and framing fits.
	MaxEntry = demes.MaxCommitPayload + 2*demes.MaxEventBody
	// MaxUncommitted bounds what a host holds appended and not committed: ten
	// seconds of a chat at 400 messages a second. Beyond it Propose says ErrBusy.
	MaxUncommitted = 4 << 20
	// maxAppend is where one append is cut: far below wire.MaxFrame, and several
	// hundred messages.
	maxAppend = 256 << 10
	// maxInflight and maxInflightBytes bound the appends on their way to one
	// follower: a quarter of wire.MaxQueue, so that nothing of the chat is crowded out.
	maxInflight      = 64
	maxInflightBytes = wire.MaxQueue / 4
	// maxApply bounds the entries of one Ready, and so of one transaction.
	maxApply = 1 << 20
	// electionTicks is Raft's own check: a host that no majority has answered for
	// this many ticks steps down.
	electionTicks = 10
	// caughtUpLag is how far behind a device may be to count as caught up: one
	// append away.
	caughtUpLag = 16
)

// Errors that callers branch on.
var (
	ErrNotHost  = errors.New("this device is not the host")
	ErrBusy     = errors.New("the council is busy: try again")
	ErrRefused  = errors.New("refused by the council's guard")
	ErrFrozen   = errors.New("this generation is frozen")
	ErrInactive = errors.New("this group is not active yet")
	ErrChanging = errors.New("a change of the council is under way")
)

// Config says who the electors and the first voters are. It is the same on all
// electors of a generation, except for Self, Rand and Beat.
type Config struct {
	Chat       demes.ChatID
	Generation uint64
	Self       demes.DeviceID
	// Electors are constant in the generation; an elector's Raft id is its place
	// here plus one.
	Electors []demes.DeviceID
	// Council are the first voters, best first; the other electors start as
	// learners. A group that goes on from Saved has its own.
	Council []demes.DeviceID
	// Sign signs the body of a hand-over note; Verify checks one.
	Sign   func(body []byte) []byte
	Verify func(device demes.DeviceID, body, signature []byte) bool
	Rand   func() uint64
	Beat   int64 // milliseconds between ticks of an active host; 0: wire.FastBeat
}

// Group is one order: the council of one generation of one chat.
type Group struct {
	cfg   Config
	self  uint64 // Raft id
	ids   map[demes.DeviceID]uint64
	node  *raft.RawNode
	log   *storage
	view  view
	peers []peer // by Raft id, minus one
	now   int64  // Mono ms of the newest input
	due   int64  // what Deadline said last

	guard    guard
	election election
	hosting  hosting
	handover handover
	out      outbox

	active bool
	// Invariant: once frozen, nothing is voted, acknowledged, proposed or emitted.
	frozen bool
}

// view is what RawNode last said about itself.
type view struct {
	term, lead, commit, transferee uint64
	state                          raft.StateType
}

// New makes a group: from saved after a restart, else fresh. A fresh group
// stands behind a log that ends at index 1, term 1, the same on all electors,
// so that the first leader is elected in term 2.
func New(cfg Config, saved *Saved) (*Group, error) {
	if cfg.Beat <= 0 {
		cfg.Beat = wire.FastBeat
	}
	g := &Group{cfg: cfg, ids: map[demes.DeviceID]uint64{}}
	for i, device := range cfg.Electors {
		if g.ids[device] != 0 {
			return nil, fmt.Errorf("new group: elector %s is named twice", device.Short())
		}
		g.ids[device] = uint64(i) + 1
		g.peers = append(g.peers, peer{device: device, heard: never})
	}
	g.self = g.ids[cfg.Self]
	if g.self == 0 || len(cfg.Electors) > MaxElectors {
		return nil, fmt.Errorf("new group: self must be one of at most %d electors", MaxElectors)
	}
	var voters []uint64
	var err error
	if saved == nil {
		if voters, err = g.voterIDs(cfg.Council); err != nil {
			return nil, fmt.Errorf("new group: %w", err)
		}
	}
	if g.log, err = newStorage(saved, voters, len(cfg.Electors)); err != nil {
		return nil, fmt.Errorf("new group: %w", err)
	}
	g.out.hard, g.out.config = saved == nil, saved == nil
	g.election = election{hostHeard: never, suspectedAt: never, campaignedAt: never, grantedAt: never, askedAt: never, delta: DefaultDelta}
	g.SetSuccession(cfg.Council)
	g.node, err = raft.NewRawNode(&raft.Config{
		ID: g.self, ElectionTick: electionTicks, HeartbeatTick: 1,
		Storage: g.log, Applied: g.log.applied,
		MaxSizePerMsg: maxAppend, MaxCommittedSizePerReady: maxApply,
		MaxUncommittedEntriesSize: MaxUncommitted,
		MaxInflightMsgs:           maxInflight, MaxInflightBytes: maxInflightBytes,
		CheckQuorum: true, PreVote: true, StepDownOnRemoval: true,
		DisableProposalForwarding: true, ReadOnlyOption: raft.ReadOnlySafe,
		Logger: silent{},
	})
	if err != nil {
		return nil, fmt.Errorf("new group: %w", err)
	}
	g.guard.safeLast = g.log.last()
	g.observe()
	return g, nil
}

// Activate lets the group take part. Until then it neither votes nor campaigns
// nor acknowledges, because an old copy of this device must not.
func (g *Group) Activate(now demes.Now) {
	g.clock(now)
	g.active = true
	g.watch()
}

// Active reports whether Activate was called.
func (g *Group) Active() bool { return g.active }

// Freeze ends this device's part in the generation, for good: a promise to a
// convening elector (docs/protocol.md#convening). Call it before Ready in the
// turn that answers with the promise, and after New when Elector.Frozen says so.
func (g *Group) Freeze() { g.frozen = true }

// Frozen reports whether Freeze was called, or an input broke the group.
func (g *Group) Frozen() bool { return g.frozen }

// clock moves the group's time; it never goes back. When it comes much later
// than it was wanted, this device's own loop stalled, and what looks like
// silence may be its own.
func (g *Group) clock(now demes.Now) {
	if g.due > 0 && now.Mono > g.due+g.cfg.Beat {
		g.election.strainedUntil = now.Mono + strainTime
		g.due = 0
	}
	g.now = max(g.now, now.Mono)
}

// alive reports whether the group may still do anything.
func (g *Group) alive() bool { return g.active && !g.frozen }

// do runs one call into RawNode and observes what it changed. The guard is
// meant to let nothing through that makes the library panic; should it do so
// all the same, only this group stops (promise B4).
func (g *Group) do(call func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			g.frozen = true
			err = fmt.Errorf("%w: the group stopped: %v", ErrFrozen, fault)
		}
	}()
	err = call()
	g.observe()
	return err
}

// observe reads RawNode's state and acts on what changed.
func (g *Group) observe() {
	status := g.node.BasicStatus()
	before := g.view
	g.view = view{
		term: status.GetTerm(), lead: status.Lead, commit: status.GetCommit(),
		transferee: status.LeadTransferee, state: status.RaftState,
	}
	switch leads, led := g.IsHost(), before.state == raft.StateLeader; {
	case leads && (!led || before.term != g.view.term):
		g.guard.leaderTerm, g.guard.leader = g.view.term, g.self
		g.hosting = hosting{nextTick: g.now + g.cfg.Beat}
		g.handover.clear()
		g.election.settle(g.now)
	case led && !leads:
		g.stoodDown(before)
	case g.view.lead != 0 && g.view.lead != before.lead:
		g.peers[g.view.lead-1].suspects = 0 // that was the host before it
		g.election.settle(g.now)
	}
	if g.view.lead != 0 {
		g.election.lastLead = g.view.lead
	}
}

// Propose appends entries to the order; only the host can. ErrBusy says that
// nothing was appended and that it may be tried again: a hand-over is under way
// or MaxUncommitted is reached.
func (g *Group) Propose(data ...[]byte) error {
	switch {
	case g.frozen:
		return ErrFrozen
	case !g.IsHost():
		return ErrNotHost
	case g.standingDown():
		return ErrBusy
	case len(data) == 0:
		return nil
	}
	entries := make([]*pb.Entry, len(data))
	for i, d := range data {
		if len(d) == 0 || len(d) > MaxEntry {
			return fmt.Errorf("propose: an entry of %d bytes, at most %d", len(d), MaxEntry)
		}
		entries[i] = &pb.Entry{Type: pb.EntryNormal.Enum(), Data: d}
	}
	g.wake()
	err := g.do(func() error {
		return g.node.Step(&pb.Message{Type: pb.MsgProp.Enum(), From: &g.self, Entries: entries})
	})
	if errors.Is(err, raft.ErrProposalDropped) {
		return ErrBusy
	}
	return err
}

// device names the elector with this Raft id; zero when there is none.
func (g *Group) device(id uint64) demes.DeviceID {
	if id == 0 || id > uint64(len(g.peers)) {
		return demes.DeviceID{}
	}
	return g.peers[id-1].device
}

// peer is the elector's record here; nil for strangers and for self.
func (g *Group) peer(device demes.DeviceID) *peer {
	id := g.ids[device]
	if id == 0 || id == g.self {
		return nil
	}
	return &g.peers[id-1]
}
