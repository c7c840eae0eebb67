// Package council keeps one order of one chat in one generation: Raft behind a
// guard, and the single-decree Paxos that ends a generation.
package council

import (
	"errors"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Errors that callers branch on.
var (
	ErrNotHost  = errors.New("this device is not the host")
	ErrBusy     = errors.New("the council is busy: try again")
	ErrRefused  = errors.New("refused by the council's guard")
	ErrFrozen   = errors.New("this generation is frozen")
	ErrChanging = errors.New("a change of the council is under way")
)

// Config says who the electors and the first voters are.
type Config struct {
	Chat       demes.ChatID
	Generation uint64
	Self       demes.DeviceID
	Electors   []demes.DeviceID
	Council    []demes.DeviceID
	Sign       func(body []byte) []byte
	Verify     func(device demes.DeviceID, body, signature []byte) bool
	Rand       func() uint64
	Beat       int64
}

// Entry is one entry of the council's log.
type Entry struct {
	Index uint64
	Term  uint64
	Type  int32
	Data  []byte
}

// Saved is what a group goes on from after a restart.
type Saved struct {
	Hard      []byte
	Config    []byte
	Compacted Entry
	Applied   uint64
	Entries   []Entry
}

// Snapshot says that the log up to Index was replaced.
type Snapshot struct {
	Index, Term uint64
	Data        []byte // what the sender's chat gave to SetCheckpoint
}

// Message goes to one device; exactly one of the three is set.
type Message struct {
	To        demes.DeviceID
	Raft      *wire.Raft
	Suspicion *wire.Suspicion
	Handover  *wire.Handover
}

// Ready is persisted first, then Advance is called, then Messages are sent.
type Ready struct {
	Hard        []byte
	Config      []byte
	Snapshot    *Snapshot // forget all entries; Compacted is (Index, Term) from now on
	Entries     []Entry
	CompactTo   uint64
	CompactTerm uint64 // term of the entry at CompactTo
	Committed   []Entry
	Applied     uint64
	Messages    []Message
}

// Group is one order.
type Group struct{}

func New(cfg Config, saved *Saved) (*Group, error)                                       { return nil, nil }
func (g *Group) Activate(now demes.Now)                                                  {}
func (g *Group) Active() bool                                                            { return false }
func (g *Group) Step(now demes.Now, from demes.DeviceID, m *wire.Raft) error             { return nil }
func (g *Group) Heard(now demes.Now, from demes.DeviceID, intervalMs uint32)             {}
func (g *Group) Confirmed(now demes.Now, from demes.DeviceID, term uint64)               {}
func (g *Group) Connected(now demes.Now, device demes.DeviceID)                          {}
func (g *Group) Lost(now demes.Now, device demes.DeviceID)                               {}
func (g *Group) Suspicion(now demes.Now, from demes.DeviceID, m *wire.Suspicion)         {}
func (g *Group) HandoverNote(now demes.Now, from demes.DeviceID, m *wire.Handover) error { return nil }
func (g *Group) Goodbye(now demes.Now, from demes.DeviceID)                              {}
func (g *Group) SetSuccession(devices []demes.DeviceID)                                  {}
func (g *Group) SetDelta(ms int64)                                                       {}
func (g *Group) SetCheckpoint(applied uint64, data []byte)                               {}
func (g *Group) Propose(data ...[]byte) error                                            { return nil }
func (g *Group) Handover(now demes.Now, to demes.DeviceID) error                         { return nil }
func (g *Group) Reconfigure(now demes.Now, voters []demes.DeviceID) error                { return nil }
func (g *Group) Campaign(now demes.Now)                                                  {}
func (g *Group) Freeze()                                                                 {}
func (g *Group) Frozen() bool                                                            { return false }
func (g *Group) Tick(now demes.Now)                                                      {}
func (g *Group) Deadline() int64                                                         { return 0 }
func (g *Group) Ready() (Ready, bool)                                                    { return Ready{}, false }
func (g *Group) Advance()                                                                {}
func (g *Group) Host() (device demes.DeviceID, term uint64, known bool)                  { return }
func (g *Group) IsHost() bool                                                            { return false }
func (g *Group) Term() uint64                                                            { return 0 }
func (g *Group) Voters() []demes.DeviceID                                                { return nil }
func (g *Group) IsVoter() bool                                                           { return false }
func (g *Group) Suspected() bool                                                         { return false }
func (g *Group) CaughtUp(device demes.DeviceID) bool                                     { return false }
func (g *Group) Match(device demes.DeviceID) uint64                                      { return 0 }
func (g *Group) Quiet() bool                                                             { return false }
func (g *Group) LastHeard() int64                                                        { return 0 }
func (g *Group) LastIndex() uint64                                                       { return 0 }
func (g *Group) Commit() uint64                                                          { return 0 }
func (g *Group) Applied() uint64                                                         { return 0 }
func (g *Group) Changing() bool                                                          { return false }
func (g *Group) HandingOver() (to demes.DeviceID, under bool)                            { return }

// SnapshotData is what the sender's chat said about the log up to the snapshot
// that m carries; false when m carries none.
func SnapshotData(m *wire.Raft) ([]byte, bool) { return nil, false }
