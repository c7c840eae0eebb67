package chat

import (
	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Start ends the lobby: the founder's last act as its only elector.
func (c *Chat) Start(now demes.Now) error {
	c.now = now
	if c.phase != demes.PhaseLobby || c.fold.Live {
		return demes.Problem(demes.CodeWrongPhase, "The chat has started already", "Nothing more is needed: write a message.")
	}
	if c.self != c.fold.Founder {
		return demes.Problem(demes.CodeNotAllowed, "Only the founder can start the chat",
			"Ask "+c.name(c.fold.Founder)+" to press Start chat.")
	}
	if c.gens.wantStart == 0 {
		c.gens.wantStart = now.Mono
	}
	c.host.dirty, c.host.planAt = true, 0 // the plan that the start needs does not wait for its pace
	c.wake(0)
	return nil
}

// goLive is the lobby's part of the host's duties: once every pair is measured,
// or StartWait has passed, the start is written.
func (g *generations) goLive(c *Chat) {
	if g.wantStart == 0 || g.startedAt != 0 || c.own.next > c.fold.Members[c.self].LastSeq {
		return
	}
	if !c.measured() && c.now.Mono-g.wantStart < StartWait || c.host.dirty {
		c.wake(50)
		return
	}
	_, _ = c.submit(demes.KindStart, wire.Marshal(&wire.Start{}), "")
}

// measured reports whether every pair of present members is.
func (c *Chat) measured() bool {
	there := append(c.connected(), c.self)
	for _, from := range there {
		for _, to := range there {
			if from != to && c.host.reports[[2]demes.DeviceID{from, to}] == nil {
				return false
			}
		}
	}
	return true
}

// leaveLobby certifies generation 1 once the present members hold the start.
func (g *generations) leaveLobby(c *Chat) {
	if g.startedAt == 0 {
		g.startedAt = c.now.Mono // a restart came between the start and its certificate
	}
	waiting := false
	for _, d := range c.connected() {
		waiting = waiting || c.peers[d].head.Index < c.fold.Head.Index
	}
	if waiting && c.now.Mono-g.startedAt < StartWait {
		c.wake(50)
		return
	}
	c.convened(g.elector.Propose(c.now, true, c.situation(), c.nextCouncil(c.wantedElectors())))
}
