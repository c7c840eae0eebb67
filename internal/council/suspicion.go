package council

import (
	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Numbers of the failure detector, in milliseconds (docs/protocol.md#election).
const (
	// minSilence and maxSilence clamp S: below, ordinary jitter would move hosts;
	// above, nobody would wait.
	minSilence = 300
	maxSilence = 5000
	// repeatSuspicion is when a suspicion is said again, doubling up to
	// maxRepeatSuspicion: messages get lost, and nothing else repeats it.
	repeatSuspicion    = int64(500)
	maxRepeatSuspicion = int64(4000)
	// suspicionLife is how long another's suspicion counts: two repetitions.
	suspicionLife = 10_000
	// presence is how long a device that fell silent counts as one that did so
	// just now; later it is simply away.
	presence = 10_000
	// strainTime is how long a device doubts itself after its own loop stalled:
	// what waited meanwhile has been read by then.
	strainTime = 2500
	// maxInterval bounds the announced beat.
	maxInterval = 60_000

	// never is before every instant.
	never = int64(-1) << 40
)

// peer is what a group knows of another elector.
type peer struct {
	device   demes.DeviceID
	heard    int64 // when anything of it arrived
	beatAt   int64 // when its last announced beat arrived; 0: none
	interval int64 // as announced; 0: not yet
	late     int64 // how late its beats come, a maximum that fades
	gone     bool  // its connection closed, or it said goodbye; until Connected
	leaving  bool  // it said goodbye: a host demotes it
	suspects int64 // until when its suspicion counts

	snapshotAt int64 // when a snapshot was sent that it has not answered; 0: none
}

// silence is S for this link: three and a half beats, more where beats come late.
func (p *peer) silence(beat int64) int64 {
	if p.interval > 0 {
		beat = p.interval
	}
	return min(max(beat*5/2+max(beat, p.late), minSilence), maxSilence)
}

// beaten notes an announced beat.
func (p *peer) beaten(now, interval int64) {
	if p.beatAt > 0 && p.interval > 0 && !p.gone {
		// Fading by a 64th per beat: one bad second is forgotten in a minute.
		p.late = max(p.late-(p.late+63)/64, now-p.beatAt-p.interval)
	}
	p.beatAt, p.interval = now, min(max(interval, 1), maxInterval)
}

// Heard says that a beat of the device arrived, which announced the next one in
// intervalMs.
func (g *Group) Heard(now demes.Now, from demes.DeviceID, intervalMs uint32) {
	g.clock(now)
	if p := g.peer(from); p != nil {
		p.beaten(g.now, int64(intervalMs))
		g.alivePeer(from)
		g.watch()
	}
}

// alivePeer notes that something of the device arrived. It does not bring back
// a connection that closed: that may be what was still on its way.
func (g *Group) alivePeer(from demes.DeviceID) { g.peer(from).heard = g.now }

// Confirmed says that a beat of the device named it host of this chat and
// generation in this term.
func (g *Group) Confirmed(now demes.Now, from demes.DeviceID, term uint64) {
	g.clock(now)
	p := g.peer(from)
	if p == nil || p.gone || term < g.view.term || term >= maxTerm || !g.alive() {
		return
	}
	g.alivePeer(from)
	if g.IsHost() {
		g.wake() // whoever leads a later term answers this host's next beat with it
		return
	}
	id := g.ids[from]
	if term == g.view.term && g.guard.leaderTerm == term && g.guard.leader != id {
		return
	}
	g.election.hostHeard = g.now
	g.watch()
	if g.view.lead != id && g.now >= g.election.askedAt+g.cfg.Beat {
		g.election.askedAt = g.now
		g.sendSuspicion(id, true)
	}
}

// Connected says that the device is connected again.
func (g *Group) Connected(now demes.Now, device demes.DeviceID) {
	g.clock(now)
	if p := g.peer(device); p != nil {
		p.heard, p.gone, p.leaving, p.beatAt = g.now, false, false, 0
		g.wake() // it may need what was appended meanwhile
		if g.election.suspecting && g.alive() {
			g.sendSuspicion(g.ids[device], false)
		}
		g.watch()
	}
}

// Lost says that the last connection to the device closed: it is suspected at
// once, and until Connected it is no host here, whatever still arrives.
func (g *Group) Lost(now demes.Now, device demes.DeviceID) {
	g.clock(now)
	p := g.peer(device)
	if p == nil {
		return
	}
	p.gone, p.suspects, p.beatAt = true, 0, 0
	if g.alive() {
		g.unreachable(g.ids[device])
	}
	g.wake()
	g.watch()
}

// Goodbye says that the device leaves now: a follower suspects it at once, and
// a host takes its vote away at once.
func (g *Group) Goodbye(now demes.Now, from demes.DeviceID) {
	if p := g.peer(from); p != nil {
		p.leaving = true
		g.Lost(now, from)
		g.demote()
	}
}

// Suspicion takes another elector's word that it has no host, or has one again.
// A host answers either with a beat of its own, so that whoever suspects a
// living host falsely is reassured.
func (g *Group) Suspicion(now demes.Now, from demes.DeviceID, m *wire.Suspicion) {
	g.clock(now)
	p := g.peer(from)
	if p == nil || !g.alive() {
		return
	}
	g.alivePeer(from)
	known := g.now < p.suspects
	p.suspects = 0
	if !m.GetWithdrawn() {
		p.suspects = g.now + suspicionLife
		if !known {
			g.askAgain(g.ids[from])
		}
	}
	g.answerNow()
	g.watch()
}

// strained reports whether this device should doubt itself: more than half of
// the others fell silent with the suspect, or its own loop stalled.
func (g *Group) strained(suspect uint64) bool {
	if g.now < g.election.strainedUntil {
		return true
	}
	present, silent := 0, 0
	for i := range g.peers {
		p := &g.peers[i]
		if id := uint64(i) + 1; id == g.self || id == suspect || p.gone || g.now-p.heard > presence {
			continue
		}
		present++
		if g.now-p.heard > p.silence(g.cfg.Beat) {
			silent++
		}
	}
	return 2*silent > present
}

// patience is S towards a host, doubled while this device doubts itself.
func (g *Group) patience(host uint64) int64 {
	s := int64(minSilence)
	if host != 0 && host != g.self {
		s = g.peers[host-1].silence(g.cfg.Beat)
	} else {
		s = (&peer{}).silence(g.cfg.Beat)
	}
	if g.strained(host) {
		s *= 2
	}
	return s
}

// silent reports whether a connected device has not been heard for S.
func (g *Group) silent(p *peer) bool {
	return p.gone || g.now-p.heard > p.silence(g.cfg.Beat)
}

// sendSuspicion says to one voter what this device thinks of its host.
func (g *Group) sendSuspicion(to uint64, withdrawn bool) {
	suspect := g.device(g.election.lastLead)
	g.out.messages = append(g.out.messages, Message{To: g.device(to), Suspicion: &wire.Suspicion{
		Term: g.view.term, Suspect: suspect[:], Withdrawn: withdrawn,
	}})
}

// sayToVoters tells the council.
func (g *Group) sayToVoters(withdrawn bool) {
	for i := range g.peers {
		id := uint64(i) + 1
		if id != g.self && (g.isVoter(id) || id == g.election.lastLead) {
			g.sendSuspicion(id, withdrawn)
		}
	}
}
