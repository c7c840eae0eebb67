package council

import (
	"bytes"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits of what a peer can send (docs/protocol.md#guard).
const (
	// maxTerm and maxTermJump bound terms, so that nobody can use them up: a
	// million elections at one a second are eleven days of nothing else.
	maxTerm     = 1 << 62
	maxTermJump = 1_000_000
	// maxIndex bounds indices, so that sums of them never overflow.
	maxIndex = 1 << 62
	// maxEntries bounds the entries of one append: more than maxAppend holds.
	maxEntries = 1 << 16
	// maxNote bounds the body of a hand-over note.
	maxNote = 256
)

// campaignTransfer marks the vote that a leader asked for; the library takes
// such a vote for granted even while a host is alive.
var campaignTransfer = []byte("CampaignTransfer")

// guard is what the library does not check: it trusts its caller completely.
type guard struct {
	// Invariant: only leader may append, beat or send snapshots in leaderTerm; the
	// first device seen doing so is it.
	leaderTerm, leader uint64
	// safeLast is at most the index of RawNode's last entry, whatever was stepped
	// since the last Ready.
	safeLast uint64
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrRefused}, args...)...)
}

// Step feeds one Raft message of the authenticated device from. An error says
// why nothing was done with it (docs/protocol.md#guard).
func (g *Group) Step(now demes.Now, from demes.DeviceID, m *wire.Raft) error {
	g.clock(now)
	if g.frozen {
		return ErrFrozen
	}
	if !g.active {
		return ErrInactive
	}
	message, err := g.admit(from, m)
	if err != nil {
		return err
	}
	g.alivePeer(from)
	if message.GetType() == pb.MsgTimeoutNow {
		g.handover.granted = m.GetNote()
	}
	err = g.do(func() error { return g.node.Step(message) })
	g.stepped(message)
	g.watch()
	return err
}

// admit decodes a message and lets it through only if it is one that a correct
// elector could have sent.
func (g *Group) admit(from demes.DeviceID, m *wire.Raft) (*pb.Message, error) {
	id := g.ids[from]
	if id == 0 || id == g.self {
		return nil, refuse("%s is no other elector", from.Short())
	}
	if len(m.GetMessage()) > wire.MaxFrame {
		return nil, refuse("message of %d bytes", len(m.GetMessage()))
	}
	message := &pb.Message{}
	if err := proto.Unmarshal(m.GetMessage(), message); err != nil {
		return nil, refuse("malformed message: %v", err)
	}
	if message.GetFrom() != id || message.GetTo() != g.self {
		return nil, refuse("message from %d to %d, sent by %d to %d", message.GetFrom(), message.GetTo(), id, g.self)
	}
	term := message.GetTerm()
	if term == 0 || term >= maxTerm || term > g.view.term+maxTermJump {
		return nil, refuse("term %d, here it is %d", term, g.view.term)
	}
	if message.GetIndex() >= maxIndex || message.GetCommit() >= maxIndex || message.GetRejectHint() >= maxIndex || message.GetLogTerm() > term {
		return nil, refuse("index %d, commit %d, hint %d, log term %d", message.GetIndex(), message.GetCommit(), message.GetRejectHint(), message.GetLogTerm())
	}
	if len(message.GetResponses()) > 0 || message.Vote != nil {
		return nil, refuse("message with local parts")
	}
	if err := g.admitKind(message, m.GetNote()); err != nil {
		return nil, err
	}
	return message, nil
}

// admitKind checks what each type of message may carry. Types not named here
// are local to the library or not used.
func (g *Group) admitKind(m *pb.Message, note *wire.Handover) error {
	kind := m.GetType()
	if kind != pb.MsgApp && len(m.GetEntries()) > 0 {
		return refuse("%v with entries", kind)
	}
	if kind != pb.MsgSnap && m.Snapshot != nil {
		return refuse("%v with a snapshot", kind)
	}
	transfer := kind == pb.MsgVote && bytes.Equal(m.GetContext(), campaignTransfer)
	if len(m.GetContext()) > 0 && !transfer {
		return refuse("%v with a context", kind)
	}
	switch kind {
	case pb.MsgApp:
		return g.admitAppend(m)
	case pb.MsgHeartbeat:
		// A commit beyond the log would stop the library: what this device holds
		// for certain is enough, the next beat brings the rest.
		m.Commit = new(min(m.GetCommit(), g.guard.safeLast))
		return g.admitLeader(m)
	case pb.MsgSnap:
		return g.admitSnapshot(m)
	case pb.MsgVote, pb.MsgPreVote:
		if m.GetIndex() == 0 || m.GetLogTerm() == 0 || m.GetLogTerm() >= m.GetTerm() {
			return refuse("vote for a log that ends at %d in term %d", m.GetIndex(), m.GetLogTerm())
		}
		if transfer {
			return g.checkNote(note, m.GetTerm()-1, m.GetFrom())
		}
		return nil
	case pb.MsgTimeoutNow:
		if m.GetTerm() != g.view.term || m.GetFrom() != g.guard.leader {
			return refuse("asked to campaign by %d, who does not lead term %d", m.GetFrom(), m.GetTerm())
		}
		return g.checkNote(note, m.GetTerm(), g.self)
	case pb.MsgAppResp:
		if !m.GetReject() && m.GetIndex() > g.log.last() && m.GetTerm() == g.view.term {
			return refuse("acknowledged index %d, the log ends at %d", m.GetIndex(), g.log.last())
		}
		if m.GetRejectHint() > m.GetIndex() {
			return refuse("hint %d for index %d", m.GetRejectHint(), m.GetIndex())
		}
		return nil
	case pb.MsgHeartbeatResp, pb.MsgVoteResp, pb.MsgPreVoteResp:
		return nil
	}
	return refuse("%v does not travel", kind)
}

// admitLeader lets through only one leader of each term.
func (g *Group) admitLeader(m *pb.Message) error {
	switch term := m.GetTerm(); {
	case g.peers[m.GetFrom()-1].gone:
		return refuse("%d is not connected", m.GetFrom())
	case term < g.guard.leaderTerm:
		return nil // the library answers with the newer term
	case term == g.guard.leaderTerm && m.GetFrom() != g.guard.leader:
		return refuse("%d claims to lead term %d, which %d leads", m.GetFrom(), term, g.guard.leader)
	case term == g.view.term && g.view.lead == g.self:
		return refuse("%d claims to lead this host's term %d", m.GetFrom(), term)
	case term >= g.view.term:
		g.guard.leaderTerm, g.guard.leader = term, m.GetFrom()
	}
	return nil
}

func (g *Group) admitAppend(m *pb.Message) error {
	if m.GetIndex() == 0 || m.GetLogTerm() == 0 || len(m.GetEntries()) > maxEntries {
		return refuse("append of %d entries behind index %d of term %d", len(m.GetEntries()), m.GetIndex(), m.GetLogTerm())
	}
	index, term := m.GetIndex(), m.GetLogTerm()
	for _, e := range m.GetEntries() {
		index++
		if e.GetIndex() != index || e.GetTerm() < term || e.GetTerm() > m.GetTerm() {
			return refuse("entry %d of term %d where %d was due", e.GetIndex(), e.GetTerm(), index)
		}
		term = e.GetTerm()
		if len(e.GetData()) > MaxEntry {
			return refuse("entry %d of %d bytes", index, len(e.GetData()))
		}
		switch e.GetType() {
		case pb.EntryNormal:
		case pb.EntryConfChangeV2:
			if _, err := g.decodeChange(e.GetData()); err != nil {
				return err
			}
		default:
			return refuse("entry %d of type %v", index, e.GetType())
		}
	}
	return g.admitLeader(m)
}

func (g *Group) admitSnapshot(m *pb.Message) error {
	snap := m.GetSnapshot()
	meta := snap.GetMetadata()
	if meta.GetIndex() == 0 || meta.GetIndex() >= maxIndex || meta.GetTerm() == 0 || meta.GetTerm() > m.GetTerm() {
		return refuse("snapshot at index %d, term %d", meta.GetIndex(), meta.GetTerm())
	}
	if len(snap.GetData()) > MaxCheckpoint {
		return refuse("snapshot of %d bytes", len(snap.GetData()))
	}
	if !validConf(meta.GetConfState(), len(g.peers)) {
		return refuse("snapshot of an impossible configuration")
	}
	return g.admitLeader(m)
}

// stepped keeps what the guard and the detector learn from a message that
// RawNode was given.
func (g *Group) stepped(m *pb.Message) {
	leads := m.GetTerm() == g.view.term && m.GetFrom() == g.view.lead
	switch m.GetType() {
	case pb.MsgApp:
		if len(m.GetEntries()) > 0 {
			g.guard.safeLast = min(g.guard.safeLast, max(m.GetIndex(), g.view.commit))
		}
	case pb.MsgSnap:
		g.guard.safeLast = min(g.guard.safeLast, m.GetSnapshot().GetMetadata().GetIndex())
	case pb.MsgHeartbeat:
	case pb.MsgAppResp:
		g.snapshotAnswered(m.GetFrom())
		return
	default:
		return
	}
	if leads {
		g.election.hostHeard = g.now
	}
}

// SnapshotData is what the sender's chat gave to SetCheckpoint, when m carries
// a snapshot. The chat fetches and verifies the settled log up to there before
// it calls Step with m.
func SnapshotData(m *wire.Raft) ([]byte, bool) {
	message := &pb.Message{}
	if len(m.GetMessage()) > wire.MaxFrame || proto.Unmarshal(m.GetMessage(), message) != nil || message.GetType() != pb.MsgSnap {
		return nil, false
	}
	return message.GetSnapshot().GetData(), true
}
