package council

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/demes-chat/demes"
)

// Numbers of an election, in milliseconds (docs/protocol.md#election).
const (
	// DefaultDelta is δ, what each successor waits for the one before it: a whole
	// election on links of up to 130 ms round trip.
	DefaultDelta = 300
	// maxDelta bounds what SetDelta takes.
	maxDelta = 5000
	// maxRetryDoublings bounds the slots of a candidate that fails: 8·δ.
	maxRetryDoublings = 3
)

// election is what a device does while it has no host.
type election struct {
	succession []uint64 // Raft ids, best first, all electors
	delta      int64

	hostHeard   int64  // when a host of the current or a later term was confirmed
	lastLead    uint64 // the leader last known
	suspecting  bool
	suspectedAt int64
	repeatAt    int64 // when to say it again
	repeats     int
	askedAt     int64 // when a confirmed host was last asked for a Raft heartbeat

	campaignAt   int64 // 0: not armed
	campaignedAt int64
	grantedAt    int64 // when a vote for somebody else left
	round        int

	strainedUntil int64
}

// settle ends an election: there is a host.
func (e *election) settle(now int64) {
	e.hostHeard = now
	e.campaignAt, e.round, e.repeats = 0, 0, 0
}

// SetSuccession gives the newest plan, best first. Electors that it leaves out
// come last.
func (g *Group) SetSuccession(devices []demes.DeviceID) {
	order := make([]uint64, 0, len(g.peers))
	for _, list := range [][]demes.DeviceID{devices, g.cfg.Electors} {
		for _, device := range list {
			if id := g.ids[device]; id != 0 && !contains(order, id) {
				order = append(order, id)
			}
		}
	}
	g.election.succession = order
}

// SetDelta sets δ, in milliseconds: at least two round trips and two syncs.
func (g *Group) SetDelta(ms int64) { g.election.delta = min(max(ms, DefaultDelta), maxDelta) }

// Campaign starts an election at once: for the first of the council when a
// generation begins.
func (g *Group) Campaign(now demes.Now) {
	g.clock(now)
	if g.alive() && g.IsVoter() && g.view.state == raft.StateFollower {
		g.campaign()
	}
}

// healthy reports whether this device has reason to think that a host lives.
func (g *Group) healthy() bool {
	e := &g.election
	if lead := g.view.lead; lead != 0 {
		return !g.peers[lead-1].gone && g.now < e.hostHeard+g.patience(lead)
	}
	return e.hostHeard > e.suspectedAt && g.now < e.hostHeard+g.patience(e.lastLead)
}

// watch is called after every input: it suspects, withdraws, arms and campaigns.
func (g *Group) watch() {
	if !g.alive() || g.IsHost() {
		g.election.suspecting = false
		return
	}
	e := &g.election
	switch healthy := g.healthy(); {
	case g.soleVoter():
		// Nobody else can lead: there is nothing to wait for.
		if g.view.state == raft.StateFollower {
			g.campaign()
		}
		return
	case healthy && e.suspecting:
		e.suspecting, e.suspectedAt = false, never
		e.settle(e.hostHeard)
		g.sayToVoters(true)
	case !healthy && !e.suspecting:
		g.suspect()
	case !healthy && g.now >= e.repeatAt:
		g.sayToVoters(false)
		e.repeats++
		e.repeatAt = g.now + min(repeatSuspicion<<min(e.repeats, 10), maxRepeatSuspicion)
	}
	g.arm()
}

// suspect drops the host's lease here, and says so.
func (g *Group) suspect() {
	e := &g.election
	e.suspecting, e.suspectedAt, e.repeats = true, g.now, 0
	e.repeatAt = g.now + repeatSuspicion
	if g.view.lead != 0 {
		_ = g.do(func() error { return g.node.ForgetLeader() })
	}
	g.sayToVoters(false)
}

// arm campaigns when it is this device's turn: a majority suspects, and those
// before it in the succession had their time.
func (g *Group) arm() {
	e := &g.election
	if !e.suspecting || !g.IsVoter() || !g.majority(g.suspects) {
		e.campaignAt = 0
		return
	}
	if e.campaignAt == 0 {
		e.campaignAt = max(g.now+g.rank()*e.delta, e.campaignedAt+2*e.delta)
	}
	if g.now < e.campaignAt {
		return
	}
	if g.now < e.grantedAt+e.delta {
		e.campaignAt = g.retryAt() // somebody else has this device's vote: hold back
		return
	}
	g.campaign()
}

// suspects reports whether this voter has said that it has no host.
func (g *Group) suspects(id uint64) bool {
	if id == g.self {
		return g.election.suspecting
	}
	return g.now < g.peers[id-1].suspects
}

// rank is this device's place among the succession's voters. The suspect is left
// out; one that led itself, and is suspected by the others, comes last.
func (g *Group) rank() int64 {
	rank, wasHost := int64(0), g.election.lastLead == g.self
	for _, id := range g.election.succession {
		if id == g.self && !wasHost {
			break
		}
		if id != g.self && g.isVoter(id) && id != g.election.lastLead {
			rank++
		}
	}
	return rank
}

// retryAt is a later slot: they double and are jittered, so that two candidates
// part ways, and are longer than an election.
func (g *Group) retryAt() int64 {
	e := &g.election
	e.round++
	slot := e.delta << min(e.round, maxRetryDoublings)
	others := max(int64(len(g.Voters()))-2, 0)
	return g.now + slot*max(others, 1) + int64(g.cfg.Rand()%uint64(slot))
}

func (g *Group) campaign() {
	g.election.campaignedAt = g.now
	g.election.campaignAt = g.retryAt()
	_ = g.do(func() error { return g.node.Campaign() })
}

// askAgain campaigns anew when the first in the succession asked for votes before
// this voter could give its own: it had not entered the generation, or followed
// the host still. Its retry would come after the next one's turn.
func (g *Group) askAgain(voter uint64) {
	if g.view.state != raft.StatePreCandidate || !g.isVoter(voter) || g.rank() > 0 {
		return
	}
	at := g.election.campaignAt
	g.election.round--
	g.campaign()
	g.election.campaignAt = at
}

// granted notes that a vote for somebody else leaves.
func (g *Group) granted(m *pb.Message) {
	kind := m.GetType()
	if (kind == pb.MsgVoteResp || kind == pb.MsgPreVoteResp) && !m.GetReject() {
		g.election.grantedAt = g.now
	}
}

// stoodDown notes that this device leads no more.
func (g *Group) stoodDown(before view) {
	g.hosting = hosting{}
	e := &g.election
	e.hostHeard, e.suspectedAt = never, never
	e.lastLead = g.self
	if g.view.term > before.term {
		// Somebody else campaigns; give it its time.
		e.hostHeard = g.now
	}
}

// watchDeadline is when a device without the lead wants the time again.
func (g *Group) watchDeadline() int64 {
	e := &g.election
	if !e.suspecting {
		if g.soleVoter() {
			return 0 // it campaigned; the driver's next Ready goes on
		}
		host := g.view.lead
		if host == 0 {
			host = e.lastLead
		}
		return max(e.hostHeard+g.patience(host), g.now)
	}
	at := e.repeatAt
	if e.campaignAt != 0 {
		at = min(at, e.campaignAt)
	}
	return at
}
