package council

import (
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/demes-chat/demes"
)

// Host names the host of this group and its term: the leader that is known now
// and not suspected.
func (g *Group) Host() (device demes.DeviceID, term uint64, known bool) {
	if g.frozen || g.view.lead == 0 || g.election.suspecting {
		return demes.DeviceID{}, g.view.term, false
	}
	return g.device(g.view.lead), g.view.term, true
}

// IsHost reports whether this device leads now.
func (g *Group) IsHost() bool { return !g.frozen && g.view.state == raft.StateLeader }

// Term is the newest term this device knows.
func (g *Group) Term() uint64 { return g.view.term }

// Voters are the voting devices of the applied configuration, in the order of
// the electors; while a change is under way, those of both sides.
func (g *Group) Voters() []demes.DeviceID {
	var out []demes.DeviceID
	for i := range g.peers {
		if g.isVoter(uint64(i) + 1) {
			out = append(out, g.peers[i].device)
		}
	}
	return out
}

// IsVoter reports whether this device votes in the applied configuration.
func (g *Group) IsVoter() bool { return g.isVoter(g.self) }

func (g *Group) isVoter(id uint64) bool {
	return slices.Contains(g.log.conf.Voters, id) || slices.Contains(g.log.conf.VotersOutgoing, id)
}

// soleVoter reports whether this device alone is the council.
func (g *Group) soleVoter() bool {
	conf := g.log.conf
	return len(conf.VotersOutgoing) == 0 && len(conf.Voters) == 1 && conf.Voters[0] == g.self
}

// majority reports whether those that say yes are a majority of the voters, of
// both sides while a change is under way.
func (g *Group) majority(yes func(id uint64) bool) bool {
	for _, side := range [][]uint64{g.log.conf.Voters, g.log.conf.VotersOutgoing} {
		n := 0
		for _, id := range side {
			if yes(id) {
				n++
			}
		}
		if len(side) > 0 && n <= len(side)/2 {
			return false
		}
	}
	return true
}

// Suspected reports whether this device thinks that there is no host.
func (g *Group) Suspected() bool { return g.election.suspecting }

// LastHeard is the Mono time in milliseconds when a host of this group was last
// confirmed; negative when there was none yet.
func (g *Group) LastHeard() int64 {
	if g.IsHost() {
		return g.now
	}
	return g.election.hostHeard
}

// CaughtUp reports, on the host, whether the device holds all that is committed
// or is one append away from it.
func (g *Group) CaughtUp(device demes.DeviceID) bool {
	id := g.ids[device]
	if id == 0 || !g.IsHost() {
		return false
	}
	match := g.progress(id).Match // 0 until the device has answered this leader
	return match > 0 && match+caughtUpLag >= g.view.commit
}

// Match is, on the host, the index up to which the device's log is known to
// match; 0 elsewhere.
func (g *Group) Match(device demes.DeviceID) uint64 { return g.progress(g.ids[device]).Match }

func (g *Group) progress(id uint64) (found tracker.Progress) {
	if !g.IsHost() || id == 0 {
		return tracker.Progress{}
	}
	g.node.WithProgress(func(at uint64, _ raft.ProgressType, p tracker.Progress) {
		if at == id {
			found = p
		}
	})
	return found
}

// Quiet reports whether nothing of this group is under way: all that this
// device knows of is applied, and a host has stopped ticking.
func (g *Group) Quiet() bool {
	settled := g.log.applied == g.view.commit && g.log.applied == g.log.last()
	return settled && (g.hosting.quiet || !g.IsHost() && !g.election.suspecting)
}

// LastIndex is the index of the last entry that Ready has handed out.
func (g *Group) LastIndex() uint64 { return g.log.last() }

// Commit is the highest index known to be committed.
func (g *Group) Commit() uint64 { return g.view.commit }

// Applied is the highest index that Ready has handed out as committed.
func (g *Group) Applied() uint64 { return g.log.applied }

// Changing reports whether a change of the council is under way.
func (g *Group) Changing() bool {
	return len(g.log.conf.VotersOutgoing) > 0 || g.log.confIndex > g.log.applied || g.hosting.proposedConf
}

// HandingOver names the device that this host is handing over to.
func (g *Group) HandingOver() (to demes.DeviceID, under bool) {
	return g.device(g.handover.to), g.handover.to != 0
}
