package council

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	// promotionTime is how long a host waits for the device it hands over to to
	// become a voter, in milliseconds; then it stays host.
	promotionTime = 5000
	// passingTime is how long a device repeats that its sole vote has moved, in
	// milliseconds; by then the other has campaigned, or is away.
	passingTime = 30_000
)

// handover is a change of host on purpose (docs/protocol.md#handover).
type handover struct {
	stage handoverStage
	to    uint64
	since int64
	// note is this host's signed word that to may campaign at once.
	note   *wire.Handover
	nextAt int64 // when to say it again
	// granted is the note that this device, as candidate, got from its leader.
	granted *wire.Handover
}

type handoverStage int

const (
	idle         handoverStage = iota
	promoting                  // a joint change makes to a voter first
	transferring               // RawNode transfers; proposals are refused
	passing                    // the sole vote moves; this device says so until to leads
)

func (h *handover) clear() { *h = handover{granted: h.granted} }

func (h *handover) deadline() int64 {
	if h.stage == passing {
		return h.nextAt
	}
	return 0
}

// Handover gives the lead to another elector that is caught up. A voter gets it
// at once; another device becomes a voter first, in place of the last in the
// succession; a sole voter moves its vote, and goes on until the other leads.
// Success means that it is under way: see HandingOver, IsHost.
func (g *Group) Handover(now demes.Now, to demes.DeviceID) error {
	g.clock(now)
	id := g.ids[to]
	switch {
	case g.frozen:
		return ErrFrozen
	case !g.IsHost():
		return ErrNotHost
	case id == 0 || id == g.self:
		return fmt.Errorf("hand over: %s is no other elector", to.Short())
	case g.handover.to != 0:
		return ErrBusy
	case !g.CaughtUp(to) || g.silent(&g.peers[id-1]):
		return fmt.Errorf("hand over: %w: %s is not caught up", ErrBusy, to.Short())
	}
	next := handover{to: id, since: g.now, note: g.signNote(id)}
	switch {
	case g.isVoter(id) && !g.Changing():
		g.handover = next
		g.transfer()
		return nil
	case g.soleVoter():
		next.stage = passing
		if err := g.change([]uint64{id}); err != nil {
			return err
		}
	default:
		next.stage = promoting
		if err := g.change(g.withVoter(id)); err != nil {
			return err
		}
	}
	g.handover = next
	return nil
}

// withVoter is the council with id in place of its last in the succession.
func (g *Group) withVoter(id uint64) []uint64 {
	voters := []uint64{g.self, id}
	for _, other := range g.election.succession {
		if len(voters) < len(g.log.conf.Voters) && other != g.self && contains(g.log.conf.Voters, other) {
			voters = append(voters, other)
		}
	}
	return voters
}

func (g *Group) transfer() {
	g.handover.stage = transferring
	g.wake()
	g.hosting.ticks = 0 // RawNode restarts its check with the transfer, too
	_ = g.do(func() error { g.node.TransferLeader(g.handover.to); return nil })
}

// passOn carries a hand-over on: after each Ready and at each Tick.
func (g *Group) passOn() {
	h := &g.handover
	switch h.stage {
	case promoting:
		switch {
		case !g.IsHost() || g.now > h.since+promotionTime:
			h.clear()
		case !g.Changing() && g.isVoter(h.to):
			g.transfer()
		}
	case transferring:
		// RawNode gives up after electionTicks; the host then stays.
		if g.view.transferee == 0 {
			h.clear()
		}
	case passing:
		g.passVote()
	}
}

// passVote tells the new sole voter to campaign, until somebody leads: it may
// not know yet that the change is committed.
func (g *Group) passVote() {
	h := &g.handover
	switch {
	case g.view.lead != 0 && g.view.lead != g.self || g.now > h.since+passingTime:
		h.clear()
	case !g.IsHost() && g.now >= h.nextAt:
		h.nextAt = g.now + g.cfg.Beat
		g.out.messages = append(g.out.messages, Message{To: g.device(h.to), Handover: h.note})
	}
}

// signNote signs this leader's word that the candidate may campaign at once.
func (g *Group) signNote(to uint64) *wire.Handover {
	device := g.device(to)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&wire.HandoverBody{
		Chat: g.cfg.Chat[:], Generation: g.cfg.Generation, Term: g.view.term, To: device[:],
	})
	if err != nil {
		panic("council: a hand-over note cannot be encoded: " + err.Error())
	}
	return &wire.Handover{Body: body, Device: g.cfg.Self[:], Signature: g.cfg.Sign(body)}
}

// checkNote verifies that the leader of term has named the candidate.
func (g *Group) checkNote(note *wire.Handover, term, candidate uint64) error {
	if note == nil || len(note.GetBody()) > maxNote {
		return refuse("no hand-over note for a vote that the host asked for")
	}
	body := &wire.HandoverBody{}
	if err := proto.Unmarshal(note.GetBody(), body); err != nil {
		return refuse("malformed hand-over note: %v", err)
	}
	leader, to := g.device(g.guard.leader), g.device(candidate)
	switch {
	case g.guard.leaderTerm != term || body.GetTerm() != term || g.guard.leader == 0:
		return refuse("hand-over note of term %d, leader known of term %d, wanted %d", body.GetTerm(), g.guard.leaderTerm, term)
	case string(body.GetChat()) != string(g.cfg.Chat[:]) || body.GetGeneration() != g.cfg.Generation:
		return refuse("hand-over note of another order")
	case string(note.GetDevice()) != string(leader[:]) || string(body.GetTo()) != string(to[:]):
		return refuse("hand-over note of another host or for another device")
	case !g.cfg.Verify(leader, note.GetBody(), note.GetSignature()):
		return refuse("hand-over note with a bad signature")
	}
	return nil
}

// HandoverNote takes the word of the host, whose vote has moved to this device,
// that it may campaign now.
func (g *Group) HandoverNote(now demes.Now, from demes.DeviceID, note *wire.Handover) error {
	g.clock(now)
	if !g.alive() {
		return ErrInactive
	}
	id := g.ids[from]
	if id == 0 || id != g.guard.leader || g.view.state != raft.StateFollower {
		return refuse("hand-over note from %s, who is not the host here", from.Short())
	}
	if err := g.checkNote(note, g.view.term, g.self); err != nil {
		return err
	}
	g.alivePeer(from)
	g.handover.granted = note
	return g.do(func() error {
		return g.node.Step(&pb.Message{Type: pb.MsgTimeoutNow.Enum(), From: &id, To: &g.self, Term: new(g.view.term)})
	})
}
