package council

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/demes-chat/demes"
)

// snapshotRetry is how long a host waits for the answer to a snapshot before it
// sends it again, in milliseconds: the other side fetches the log meanwhile.
const snapshotRetry = 5000

// hosting is a leader's clock. Only leaders tick RawNode.
type hosting struct {
	nextTick int64
	// ticks since Raft's last check that a majority is there.
	ticks int
	// quiet: ticking has stopped. Invariant: only right after a passed check, so
	// that a full round of answers comes before the next one.
	quiet bool
	// proposedConf: a change of the council was proposed and is not in a Ready yet.
	proposedConf bool
}

// Tick tells the time. It is wanted at Deadline; calling it at other times is
// harmless.
func (g *Group) Tick(now demes.Now) {
	g.clock(now)
	if !g.alive() {
		return
	}
	if g.IsHost() {
		g.tickHost()
	}
	g.passOn()
	g.watch()
}

// Deadline is the Mono time in milliseconds when Tick is wanted next; 0: never.
func (g *Group) Deadline() int64 {
	g.due = g.deadline()
	return g.due
}

func (g *Group) deadline() int64 {
	if !g.alive() {
		return 0
	}
	at := int64(0)
	if g.IsHost() {
		at = g.hostDeadline()
	} else {
		at = g.watchDeadline()
	}
	if next := g.handover.deadline(); next != 0 && (at == 0 || next < at) {
		at = next
	}
	return at
}

func (g *Group) hostDeadline() int64 {
	if !g.hosting.quiet {
		return g.hosting.nextTick
	}
	// A quiet host wakes when a voter falls silent.
	at := int64(0)
	for i := range g.peers {
		p := &g.peers[i]
		if id := uint64(i) + 1; id == g.self || !g.isVoter(id) || p.gone {
			continue
		}
		if due := p.heard + p.silence(g.cfg.Beat) + 1; at == 0 || due < at {
			at = due
		}
	}
	return at
}

func (g *Group) tickHost() {
	h := &g.hosting
	if h.quiet {
		if g.voterSilent() {
			g.wake()
		}
		return
	}
	if g.now < h.nextTick {
		return
	}
	h.nextTick = max(h.nextTick+g.cfg.Beat, g.now+1)
	if h.nextTick < g.now+g.cfg.Beat/2 {
		h.nextTick = g.now + g.cfg.Beat
	}
	h.ticks++
	_ = g.do(func() error { g.node.Tick(); return nil })
	if !g.IsHost() {
		return
	}
	g.retrySnapshots()
	g.demote()
	if h.ticks >= electionTicks {
		h.ticks = 0
		h.quiet = g.nothingUnderWay()
	}
}

// wake makes a quiet host tick again.
func (g *Group) wake() {
	if g.hosting.quiet {
		g.hosting.quiet, g.hosting.nextTick = false, g.now+g.cfg.Beat
	}
}

// answerNow makes a host send a Raft heartbeat soon: at most one more than its
// beat would, so that nobody can make it busy.
func (g *Group) answerNow() {
	if g.IsHost() {
		g.wake()
		g.hosting.nextTick = min(g.hosting.nextTick, g.now+g.cfg.Beat/4)
	}
}

// voterSilent reports whether some other voter is not heard.
func (g *Group) voterSilent() bool {
	for i := range g.peers {
		if id := uint64(i) + 1; id != g.self && g.isVoter(id) && g.silent(&g.peers[i]) {
			return true
		}
	}
	return false
}

// nothingUnderWay reports whether a host may stop ticking: every voter, and
// every device that is there, has all that there is, and it is applied.
func (g *Group) nothingUnderWay() bool {
	last := g.log.last()
	if g.log.applied != last || g.view.commit != last || g.Changing() || g.handover.to != 0 || g.voterSilent() {
		return false
	}
	behind := false
	g.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if id != g.self && p.Match != last && !g.silent(&g.peers[id-1]) {
			behind = true
		}
	})
	return !behind
}

// unreachable tells RawNode that what was on its way to the device is lost.
func (g *Group) unreachable(id uint64) {
	if !g.IsHost() {
		return
	}
	_ = g.do(func() error { g.node.ReportUnreachable(id); return nil })
	g.snapshotDone(id, raft.SnapshotFailure)
}

// snapshotAnswered notes that the follower has acknowledged something since a
// snapshot was sent to it: it goes on from there.
func (g *Group) snapshotAnswered(id uint64) { g.snapshotDone(id, raft.SnapshotFinish) }

func (g *Group) snapshotDone(id uint64, status raft.SnapshotStatus) {
	p := &g.peers[id-1]
	if p.snapshotAt == 0 || !g.IsHost() {
		return
	}
	p.snapshotAt = 0
	_ = g.do(func() error { g.node.ReportSnapshot(id, status); return nil })
}

func (g *Group) retrySnapshots() {
	for i := range g.peers {
		if p := &g.peers[i]; p.snapshotAt != 0 && g.now >= p.snapshotAt+snapshotRetry {
			g.snapshotDone(uint64(i)+1, raft.SnapshotFailure)
		}
	}
}
