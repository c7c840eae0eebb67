package council

import (
	"bytes"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// maxOut bounds the notes and suspicions that wait for the next Ready: one of
// each for every elector, a few times over.
const maxOut = 8 * MaxElectors

// Ready is what one turn asks of the driver; see the package's contract.
type Ready struct {
	Hard   []byte // Raft's term, vote and commit, when changed
	Config []byte // the configuration as of Applied, when changed

	// Snapshot, when not nil, replaces the whole log: forget all entries first;
	// Compacted is its index and term from now on.
	Snapshot *Snapshot
	// Entries overwrite the log from Entries[0].Index on.
	Entries []Entry
	// CompactTo says to forget the entries up to it; 0: none. Compacted is then
	// (CompactTo, CompactTerm).
	CompactTo, CompactTerm uint64

	// Committed are the entries with data that are in the order now.
	Committed []Entry
	Applied   uint64 // up to here all was handed out as committed

	Messages []Message
}

// Snapshot says where the log goes on after one was received.
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

// outbox is what waits for the next Ready.
type outbox struct {
	messages     []Message
	hard, config bool        // to be handed out though RawNode knows them as saved
	pending      *raft.Ready // handed out and not advanced
}

// Ready hands out what must be made durable and sent; false when there is
// nothing. Nothing else is handed out before Advance.
func (g *Group) Ready() (Ready, bool) {
	// A turn that gives nothing to do is advanced here; each makes progress.
	for !g.frozen && g.out.pending == nil {
		var r Ready
		var rd raft.Ready
		if len(g.out.messages) > maxOut {
			g.out.messages = g.out.messages[:maxOut]
		}
		if !g.node.HasReady() && !g.out.hard && len(g.out.messages) == 0 && !g.log.overfull() {
			break
		}
		if err := g.do(func() error {
			rd = g.node.Ready()
			g.collect(&r, rd)
			return nil
		}); err != nil {
			break
		}
		g.out.pending = &rd
		g.compact(&r)
		g.passOn()
		g.watch()
		if !r.empty() {
			return r, true
		}
		g.Advance()
		if !g.node.HasReady() {
			break
		}
	}
	return Ready{}, false
}

func (r *Ready) empty() bool {
	return r.Hard == nil && r.Config == nil && r.Snapshot == nil && len(r.Entries) == 0 &&
		len(r.Committed) == 0 && r.CompactTo == 0 && len(r.Messages) == 0
}

// Advance says that the last Ready is durable.
func (g *Group) Advance() {
	if g.out.pending == nil {
		return
	}
	rd := *g.out.pending
	g.out.pending = nil
	if g.frozen {
		return
	}
	_ = g.do(func() error { g.node.Advance(rd); return nil })
	g.passOn()
	g.watch()
}

// collect turns RawNode's Ready into ours.
func (g *Group) collect(r *Ready, rd raft.Ready) {
	if !raft.IsEmptySnap(rd.Snapshot) {
		g.log.restore(rd.Snapshot)
		meta := rd.Snapshot.GetMetadata()
		r.Snapshot = &Snapshot{Index: meta.GetIndex(), Term: meta.GetTerm(), Data: rd.Snapshot.GetData()}
		g.out.config = true
	}
	g.log.append(rd.Entries)
	if len(rd.Entries) > 0 {
		g.hosting.proposedConf = false
	}
	g.guard.safeLast = g.log.last()
	for _, e := range rd.Entries {
		r.Entries = append(r.Entries, fromRaft(e))
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		g.log.hard, g.out.hard = rd.HardState, true
	}
	for _, e := range rd.CommittedEntries {
		g.log.applied, g.log.appliedTerm = e.GetIndex(), e.GetTerm()
		switch {
		case e.GetType() != pb.EntryNormal:
			if g.applyChange(e.GetData()) {
				g.out.config = true
			}
		case len(e.GetData()) > 0:
			r.Committed = append(r.Committed, fromRaft(e))
		}
	}
	r.Applied = g.log.applied
	if g.out.hard {
		r.Hard, g.out.hard = encode(g.log.hard), false
	}
	if g.out.config {
		r.Config, g.out.config = encode(g.log.conf), false
	}
	for _, m := range rd.Messages {
		r.Messages = append(r.Messages, g.envelope(m))
	}
	r.Messages = append(r.Messages, g.out.messages...)
	g.out.messages = nil
}

// envelope prepares one Raft message for the wire.
func (g *Group) envelope(m *pb.Message) Message {
	g.granted(m)
	body := &wire.Raft{Message: encode(m)}
	switch {
	case m.GetType() == pb.MsgTimeoutNow:
		body.Note = g.handover.note
	case m.GetType() == pb.MsgVote && bytes.Equal(m.GetContext(), campaignTransfer):
		body.Note = g.handover.granted
	case m.GetType() == pb.MsgSnap:
		g.peers[m.GetTo()-1].snapshotAt = g.now
	}
	return Message{To: g.device(m.GetTo()), Raft: body}
}

// compact drops what need not be kept in memory.
func (g *Group) compact(r *Ready) {
	if !g.log.overfull() {
		return
	}
	needed := g.log.applied
	if g.IsHost() {
		g.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
			if id != g.self && !g.silent(&g.peers[id-1]) {
				needed = min(needed, p.Match)
			}
		})
	}
	if to := g.log.surplus(needed); to != 0 {
		g.log.compactTo(to)
		r.CompactTo, r.CompactTerm = to, g.log.before.Term
	}
}

func encode(m proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("council: a message of the library cannot be encoded: " + err.Error())
	}
	return data
}

// silent drops the library's log lines: what matters is returned or observed.
type silent struct{}

func (silent) Debug(...any)            {}
func (silent) Debugf(string, ...any)   {}
func (silent) Error(...any)            {}
func (silent) Errorf(string, ...any)   {}
func (silent) Info(...any)             {}
func (silent) Infof(string, ...any)    {}
func (silent) Warning(...any)          {}
func (silent) Warningf(string, ...any) {}
func (silent) Fatal(...any)            { panic("council: raft stopped") }
func (silent) Panic(...any)            { panic("council: raft stopped") }

func (silent) Fatalf(format string, args ...any) { panic("council: " + format) }
func (silent) Panicf(format string, args ...any) { panic("council: " + format) }
