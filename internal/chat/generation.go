package chat

import (
	"fmt"
	"math"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/council"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits and waits of generations.
const (
	MaxAhead    = 64     // certificates sent at once, and kept while the log is fetched
	StartWait   = 2_000  // for the last measurements, and for members to hold the start, in ms
	RescueAfter = 3_000  // a frozen generation whose convener went is ended by another, in ms
	ReconveneAt = 60_000 // without a quorum
)

// generations is the way from one council to the next: certificates that a
// majority of the electors signed (docs/protocol.md#generations).
type generations struct {
	found     *wire.Event
	chain     []*wire.Certificate // of all generations so far, oldest first
	ahead     []*wire.Certificate // verified, and not entered: the log up to their bases is missing
	elector   *council.Elector    // this device's part in ending the current generation
	enteredAt int64               // Mono ms when this generation was entered here
	startedAt int64               // Mono ms when the start was consumed here; 0: not in this run
	wantStart int64               // Mono ms when the founder pressed Start chat
	rescueAt  int64               // Mono ms when this device ends the generation itself; 0: no need
	stuck     bool                // an elector has promised to end this generation and cannot
}

// limit is the index up to which the settled log of this generation goes.
func (g *generations) limit() uint64 {
	if len(g.ahead) == 0 {
		return math.MaxUint64
	}
	return certValue(g.ahead[0]).GetBase().GetIndex()
}

func (g *generations) frozen() bool {
	return len(g.ahead) > 0 || g.elector != nil && g.elector.Frozen()
}

// wants reports whether the log up to a proposed base is wanted, to accept it.
func (g *generations) wants() bool {
	if g.elector == nil {
		return false
	}
	_, _, wanted := g.elector.Wants()
	return wanted
}

// council lists the first voters of the current generation, best first.
func (g *generations) council(c *Chat) []demes.DeviceID {
	for _, cert := range g.chain {
		if value := certValue(cert); value.GetParent()+1 == c.fold.Head.Generation {
			return devices(value.GetCouncil())
		}
	}
	return []demes.DeviceID{c.fold.Founder}
}

func certValue(cert *wire.Certificate) *wire.Value {
	v := &wire.Value{}
	_ = wire.Unmarshal(cert.GetValue(), v) // verified when it came
	return v
}

func devices(raw [][]byte) []demes.DeviceID {
	out := make([]demes.DeviceID, 0, len(raw))
	for _, r := range raw {
		out = append(out, wire.Device(r))
	}
	return out
}

// takeVote prepares this device's part in ending the current generation.
func (g *generations) takeVote(c *Chat, saved *Saved) error {
	var blob []byte
	if saved != nil {
		blob = saved.Values["elector"]
	}
	g.enteredAt, g.stuck = c.now.Mono, false
	elector, err := council.NewElector(council.ElectorConfig{
		Chat: c.id, Parent: c.fold.Head.Generation, Self: c.self, Electors: c.fold.Electors, Rand: c.cfg.Rand,
		Sign: func(body []byte) []byte { return wire.Sign(c.cfg.Key, wire.LabelVote, body) }, Verify: verifyVote,
	}, blob)
	if err != nil {
		return fmt.Errorf("take part in convening: %w", err)
	}
	g.elector = elector
	if cert := elector.Decided(); cert != nil {
		g.ahead = append(g.ahead, cert)
	}
	if saved == nil {
		c.put("elector", nil)
	}
	return nil
}

func verifyVote(d demes.DeviceID, body, signature []byte) bool {
	return wire.Verify(d[:], wire.LabelVote, body, signature)
}

// situation is what this device can say to a convener.
func (c *Chat) situation() council.Situation {
	host, known := c.hostNow()
	return council.Situation{
		Settled: c.fold.Head, Final: c.final.index, Quorum: known, Host: host,
		Holds: func(h demes.Head) bool {
			mine, here := c.hashAt(h.Index)
			return here && mine == h.Hash
		},
	}
}

// stepConvene takes part in ending this generation.
func (c *Chat) stepConvene(from demes.DeviceID, m *wire.Convene) error {
	if !c.checked || c.trouble != nil || c.gens.elector == nil || len(c.gens.ahead) > 0 {
		return nil
	}
	if m.GetPrepare() != nil && c.seat.isHost() && slices.Contains(c.fold.Electors, from) {
		c.gens.stuck = true // it takes no part any more: the next generation takes it along
		c.wake(0)
	}
	c.convened(c.gens.elector.Step(c.now, from, m, c.situation()))
	return nil
}

// convened makes what the elector asks for part of this turn's output.
func (c *Chat) convened(outs []council.Out) {
	e := c.gens.elector
	if blob, changed := e.Saved(); changed {
		c.put("elector", blob)
	}
	for _, o := range outs {
		c.send(o.To, &wire.Frame{Kind: &wire.Frame_Convene{Convene: o.Convene}})
	}
	if e.Frozen() && c.seat.group != nil {
		c.seat.group.Freeze()
	}
	if base, from, wanted := e.Wants(); wanted {
		for _, d := range c.connected() {
			if d == from || c.peers[d].head.Index >= base.Index || from == c.self {
				c.fetch(d)
			}
		}
	}
	if cert := e.Decided(); cert != nil && len(c.gens.ahead) == 0 {
		if c.learn(cert) == nil {
			for _, d := range c.connected() {
				c.send(d, &wire.Frame{Kind: &wire.Frame_Chain{Chain: &wire.Chain{Certificates: []*wire.Certificate{cert}}}})
			}
		}
	}
}

// stepChain takes certificates of generations that come after this one.
func (c *Chat) stepChain(from demes.DeviceID, m *wire.Chain) error {
	for _, cert := range m.GetCertificates()[:min(len(m.GetCertificates()), MaxAhead)] {
		if certValue(cert).GetParent() < c.fold.Head.Generation+uint64(len(c.gens.ahead)) {
			continue
		}
		if err := c.learn(cert); err != nil {
			return fmt.Errorf("certificate from %s: %w", from.Short(), err)
		}
	}
	return nil
}

// learn verifies the next certificate and ends this generation here.
func (c *Chat) learn(cert *wire.Certificate) error {
	parent, electors := c.fold.Head.Generation, c.fold.Electors
	if n := len(c.gens.ahead); n > 0 {
		if n >= MaxAhead {
			return nil
		}
		last := certValue(c.gens.ahead[n-1])
		parent, electors = last.GetParent()+1, devices(last.GetElectors())
	}
	value, err := council.VerifyCertificate(cert, c.id, electors, verifyVote)
	if err != nil {
		return err
	}
	if value.GetParent() != parent {
		return fmt.Errorf("certificate ends generation %d, this is %d: %w", value.GetParent(), parent, ErrInvalid)
	}
	if len(c.gens.ahead) == 0 && c.gens.elector != nil {
		c.gens.elector.Learn(cert)
		if blob, changed := c.gens.elector.Saved(); changed {
			c.put("elector", blob)
		}
	}
	c.gens.ahead = append(c.gens.ahead, cert)
	if c.seat.group != nil {
		c.seat.group.Freeze()
	}
	return nil
}

// goOn enters the generations that are certified, as far as the log reaches
// (docs/protocol.md#adopt). It waits until all that is settled here is durable.
func (c *Chat) goOn() {
	for len(c.gens.ahead) > 0 && !c.seat.ready && c.log.durable == c.fold.Head.Index {
		base := wire.GetHead(certValue(c.gens.ahead[0]).GetBase())
		switch {
		case c.fold.Head.Index < base.Index:
			for _, d := range c.connected() {
				if c.peers[d].head.Index >= base.Index || c.peers[d].head.Generation > c.fold.Head.Generation {
					c.fetch(d)
				}
			}
			return
		case c.fold.Head.Index > base.Index:
			if err := c.unsettle(base.Index); err != nil {
				c.halt(err)
				return
			}
		}
		if c.fold.Head.Hash != base.Hash {
			c.halt(fmt.Errorf("the base of generation %d has another hash at %d: %w", base.Generation+1, base.Index, ErrInvalid))
			return
		}
		if err := c.enter(c.gens.ahead[0]); err != nil {
			c.halt(err)
			return
		}
	}
}

// halt stops a chat that cannot go on, and says so.
func (c *Chat) halt(err error) {
	c.gens.ahead = nil
	c.trouble = &demes.ProblemView{
		Code: demes.CodeInternal, Title: "This chat cannot go on here",
		Detail: "Its log and the members' decision about it do not fit together (" + err.Error() + "). Keep the data folder and ask for help.",
	}
	c.notice(Notice{Kind: NoticeMembers})
}

// enter begins the next generation.
func (c *Chat) enter(cert *wire.Certificate) error {
	value := certValue(cert)
	c.gens.ahead = c.gens.ahead[1:]
	c.gens.chain = append(slices.Clone(c.gens.chain), cert)
	c.put("chain", wire.Marshal(&wire.Chain{Certificates: c.gens.chain}))
	c.fold.Enter(value.GetParent()+1, devices(value.GetElectors()))
	c.log.start, c.log.way, c.log.proven = nil, nil, nil
	c.keepFold(true)
	c.final.reset()
	c.final.index = max(c.final.index, c.fold.Head.Index) // certificates make their base final
	c.keys.advance(c)
	c.host.term, c.host.queue = 0, nil
	c.own.marksAt = 0
	for _, p := range c.peers {
		p.live, p.hosting = false, nil
	}
	if err := c.takeSeat(nil); err != nil {
		return err
	}
	for _, d := range c.connected() {
		c.peers[d].haveAt = 0
		c.say(d, false)
	}
	c.notice(Notice{Kind: NoticeHost})
	return nil
}

// sendChain sends the certificates that a device lacks.
func (c *Chat) sendChain(to demes.DeviceID, generation uint64) {
	var lacking []*wire.Certificate
	for _, cert := range c.gens.chain {
		if certValue(cert).GetParent() >= generation && len(lacking) < MaxAhead {
			lacking = append(lacking, cert)
		}
	}
	if len(lacking) > 0 {
		c.send(to, &wire.Frame{Kind: &wire.Frame_Chain{Chain: &wire.Chain{Certificates: lacking}}})
	}
}

// rescue ends a generation that cannot go on: one whose convener went after it
// had frozen electors, and one without a quorum (docs/protocol.md#reconvening).
func (g *generations) rescue(c *Chat) {
	stuck := g.elector != nil && c.isElector() && c.checked && c.trouble == nil && len(g.ahead) == 0 && !g.elector.Busy()
	frozen := g.elector != nil && g.elector.Frozen()
	if !stuck || !frozen && c.mode != demes.ModeProvisional || !c.fold.Live || c.fold.Head.Generation == 0 && !frozen {
		g.rescueAt = 0
		return
	}
	jitter := int64(c.cfg.Rand() % RescueAfter)
	at := c.seat.lostAt + ReconveneAt + jitter
	if frozen {
		at = c.now.Mono + RescueAfter + jitter
	}
	if g.rescueAt == 0 || frozen && g.rescueAt > at {
		g.rescueAt = at
	}
	if c.now.Mono < g.rescueAt {
		return
	}
	g.rescueAt = 0
	c.convened(g.elector.Propose(c.now, frozen, c.situation(), c.nextCouncil(c.fold.Electors)))
}

// keepElectors ends a generation whose electors should be others: at the start,
// and when members joined, left or went (docs/protocol.md#planned).
func (g *generations) keepElectors(c *Chat) {
	if g.elector == nil || g.elector.Busy() {
		return
	}
	if c.fold.Head.Generation == 0 {
		g.leaveLobby(c)
		return
	}
	electors := c.wantedElectors()
	if len(electors) == 0 || sameDevices(electors, c.fold.Electors) && !g.stuck {
		return
	}
	if !c.majorityPresent(c.fold.Electors) || !c.majorityPresent(electors) {
		return // to promise would end this generation, and nothing could begin the next
	}
	wait := c.cfg.Timing.Planned
	if len(c.fold.Electors) < 3 {
		wait = min(wait, c.cfg.Timing.Grow)
	}
	if left := g.enteredAt + wait - c.now.Mono; left > 0 {
		c.wake(left)
		return
	}
	g.enteredAt = c.now.Mono
	c.convened(g.elector.Propose(c.now, true, c.situation(), c.nextCouncil(electors)))
}

// majorityPresent reports whether more than half of the electors are there and
// may answer.
func (c *Chat) majorityPresent(electors []demes.DeviceID) bool {
	n := 0
	for _, d := range electors {
		if c.present(d) && c.fold.Members[d] != nil {
			n++
		}
	}
	return n > len(electors)/2
}

// nextCouncil makes the value of a planned generation: its first voters are the
// best ranked of its electors that are present. When it is wanted again the first
// value found no majority: then the electors stay.
func (c *Chat) nextCouncil(electors []demes.DeviceID) func(demes.Head) (voters, chosen []demes.DeviceID) {
	tried := false
	return func(demes.Head) ([]demes.DeviceID, []demes.DeviceID) {
		for _, d := range electors {
			if tried && !slices.Contains(c.fold.Electors, d) {
				c.peer(d).missedAt = c.now.Mono
			}
		}
		if tried {
			electors = c.fold.Electors
		}
		tried = true
		var voters []demes.DeviceID
		for _, d := range c.succession() {
			if slices.Contains(electors, d) && c.present(d) {
				voters = append(voters, d)
			}
		}
		if len(voters) == 0 {
			voters = electors // all of them are leaving: they serve until then
		}
		return voters[:councilSize(len(voters))], electors
	}
}

// wantedElectors are up to nine members, one device of each person where that
// gives enough, who stayed longest or stand best: those that are electors now and
// were seen lately, then present members that hold the log.
func (c *Chat) wantedElectors() []demes.DeviceID {
	var out []demes.DeviceID
	accounts := map[demes.AccountID]bool{}
	take := func(d demes.DeviceID) {
		if m := c.fold.Members[d]; len(out) < MaxElectors && !accounts[m.Account] && !slices.Contains(out, d) {
			accounts[m.Account] = true
			out = append(out, d)
		}
	}
	order := c.succession()
	for _, d := range order {
		if p := c.peer(d); !c.own.left && d == c.self || slices.Contains(c.fold.Electors, d) && d != c.self && (p.connected || c.now.Mono-p.lostAt < UnseenMost) {
			take(d)
		}
	}
	for _, d := range order {
		if p := c.peer(d); p.missedAt != 0 && c.now.Mono-p.missedAt < GrowMost && !slices.Contains(c.fold.Electors, d) {
			c.wake(p.missedAt + GrowMost - c.now.Mono)
			continue
		}
		holds := c.fold.Head.Index-min(c.peer(d).head.Index, c.fold.Head.Index) <= CheckpointEvery
		if !holds && c.isConnected(d) {
			c.wake(DutyPace) // nothing else tells when it does
		}
		first := c.fold.Head.Generation == 0 && c.isConnected(d) && c.peer(d).head.Index >= c.fold.Head.Index
		if first || c.fold.Head.Generation > 0 && holds && c.peer(d).head.Index > 0 && c.stable(d) {
			take(d)
		}
	}
	slices.SortFunc(out, demes.DeviceID.Compare)
	return out
}

func sameDevices(a, b []demes.DeviceID) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, demes.DeviceID.Compare)
	slices.SortFunc(b, demes.DeviceID.Compare)
	return slices.Equal(a, b)
}
