package council

import (
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
)

// Reconfigure makes voters the council, by one joint change; all other electors
// become learners (docs/protocol.md#council-size). The host itself stays a
// voter: it hands over before it goes. Success means that the change is under
// way; Changing tells when it is done and Voters what came of it.
func (g *Group) Reconfigure(now demes.Now, voters []demes.DeviceID) error {
	g.clock(now)
	ids, err := g.voterIDs(voters)
	if err != nil {
		return fmt.Errorf("change council: %w", err)
	}
	if !contains(ids, g.self) {
		return errors.New("change council: the host must stay in it; hand over first")
	}
	return g.change(ids)
}

// voterIDs checks a council: one to MaxVoters different electors.
func (g *Group) voterIDs(voters []demes.DeviceID) ([]uint64, error) {
	if len(voters) == 0 || len(voters) > MaxVoters {
		return nil, fmt.Errorf("a council of %d, between 1 and %d", len(voters), MaxVoters)
	}
	var ids []uint64
	for _, device := range voters {
		id := g.ids[device]
		if id == 0 || contains(ids, id) {
			return nil, fmt.Errorf("voter %s is no elector, or named twice", device.Short())
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// change proposes one joint change. The library silently drops one that it
// deems too early, so it is only proposed where it cannot be.
func (g *Group) change(voters []uint64) error {
	switch {
	case g.frozen:
		return ErrFrozen
	case !g.IsHost():
		return ErrNotHost
	case g.Changing():
		return ErrChanging
	case g.log.appliedTerm != g.view.term || g.view.transferee != 0:
		return ErrBusy // a new leader's first entry must be applied before
	}
	cc := &pb.ConfChangeV2{Transition: pb.ConfChangeTransitionJointImplicit.Enum()}
	for i := range g.peers {
		id := uint64(i) + 1
		kind := pb.ConfChangeAddLearnerNode
		if contains(voters, id) {
			kind = pb.ConfChangeAddNode
		}
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: kind.Enum(), NodeId: &id})
	}
	g.wake()
	if err := g.do(func() error { return g.node.ProposeConfChange(cc) }); err != nil {
		return ErrBusy
	}
	g.hosting.proposedConf = true
	return nil
}

// decodeChange reads a change of the council as an entry carries it: empty, to
// leave the joint configuration, or exactly one role for each elector.
func (g *Group) decodeChange(data []byte) (*pb.ConfChangeV2, error) {
	cc := &pb.ConfChangeV2{}
	if err := proto.Unmarshal(data, cc); err != nil {
		return nil, refuse("malformed change of the council: %v", err)
	}
	if cc.LeaveJoint() {
		return cc, nil
	}
	voters := 0
	for i, c := range cc.GetChanges() {
		switch {
		case c.GetNodeId() != uint64(i)+1:
			return nil, refuse("change of the council names %d at place %d", c.GetNodeId(), i)
		case c.GetType() == pb.ConfChangeAddNode:
			voters++
		case c.GetType() != pb.ConfChangeAddLearnerNode:
			return nil, refuse("change of the council with %v", c.GetType())
		}
	}
	if len(cc.GetChanges()) != len(g.peers) || voters == 0 || voters > MaxVoters ||
		cc.GetTransition() != pb.ConfChangeTransitionJointImplicit {
		return nil, refuse("change of the council to %d voters of %d", voters, len(cc.GetChanges()))
	}
	return cc, nil
}

// applyChange applies a committed change. One that does not fit the
// configuration has no effect, on every elector alike.
func (g *Group) applyChange(data []byte) bool {
	cc, err := g.decodeChange(data)
	joint := len(g.log.conf.GetVotersOutgoing()) > 0
	if err != nil || cc.LeaveJoint() != joint {
		return false
	}
	return g.do(func() error {
		g.log.conf = g.node.ApplyConfChange(cc)
		return nil
	}) == nil
}

// standingDown reports whether this host gives its own vote away in a joint
// change. It appends nothing more: it stands down when the end of the change is
// committed, and with a longer log than its successor it would deny it the vote
// that the successor may still need.
func (g *Group) standingDown() bool {
	return len(g.log.conf.VotersOutgoing) > 0 && !contains(g.log.conf.Voters, g.self)
}

// demote takes the vote of those that said goodbye, as soon as it can: other
// devices that are there and caught up take their places, and the size stays odd.
func (g *Group) demote() {
	if !g.IsHost() || g.Changing() || g.handover.to != 0 {
		return
	}
	var keep, spare []uint64
	leaving, size := false, 0
	for _, id := range g.election.succession {
		p := &g.peers[id-1]
		switch {
		case !g.isVoter(id):
			if !g.silent(p) && !p.leaving && g.CaughtUp(p.device) {
				spare = append(spare, id)
			}
			continue
		case p.leaving:
			leaving = true
		case id == g.self:
			keep = append([]uint64{id}, keep...)
		default:
			keep = append(keep, id)
		}
		size++
	}
	if !leaving {
		return
	}
	for len(keep) < size && len(spare) > 0 {
		keep, spare = append(keep, spare[0]), spare[1:]
	}
	if len(keep)%2 == 0 {
		keep = keep[:len(keep)-1]
	}
	_ = g.change(keep)
}
