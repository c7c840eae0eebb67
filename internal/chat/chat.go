// Package chat is one chat on one device: events, tail, settled log, membership
// and who hosts, behind Step, Tick and Output.
//
// Its one idea: everything that happens is an input, and everything that it
// asks of the world is an output. The package starts no goroutine, reads no
// clock and opens no file, so that a seeded simulator can drive whole groups
// through it, and so that one function of the shell can keep the order of
// "make durable, then send" (docs/protocol.md#output).
//
// The way of an event: Submit gives it a seq; seal signs it once, at its first
// sending (author.go); the tail holds it (tail.go); the host puts it into the
// council's log (host.go); what the council committed is consumed by the fold
// (settle.go, fold.go, effect.go); what a majority of the electors hold as
// settled is final (final.go).
package chat

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Config is what a chat needs of its device.
type Config struct {
	Key    ed25519.PrivateKey // the device's
	Cert   *wire.DeviceCert
	Log    Log
	Rand   func() uint64
	Salt   func() [16]byte // for messages; secret randomness
	Timing Timing
	Suite  mls.Suite // of chats that are founded here; zero: the post-quantum hybrid
	// Parallel runs f(0) to f(n-1), possibly at once, and returns when all are
	// done; nil: one after the other.
	Parallel func(n int, f func(int))
	// Planted are faults that the simulator switches on to see its checks catch
	// them; the zero value is the program.
	Planted Planted
}

// Planted are bugs, one for each promise that they break.
type Planted struct {
	Twice     bool // S3: what is in the order already is put there again, and consumed
	Unshown   bool // S5: After is not looked at
	Forget    bool // S6: the tail and the outbox are dropped at a restart
	Rewind    bool // S8: a restart begins at an old state
	Diverge   bool // S9: the state depends on who folds it
	Swap      bool // S1: some devices settle in another order than the council's
	Hasty     bool // B5: keys change when a commit is settled, not when it is final
	Keep      bool // C2: keys of messages stay after they were used
	Credulous bool // B2: who wrote something is what the event says, not who sealed it
}

// Timing are the waits of a chat in milliseconds; the zero value means the
// defaults (docs/protocol.md#timing).
type Timing struct {
	Silence     int64 // S: the host is suspected
	Slot        int64 // δ: between two candidates
	Resend      int64 // first repetition of what was not acknowledged
	ResendMost  int64 // the repetitions double up to here
	Shrink      int64 // a silent voter is demoted
	Grow        int64 // a present elector is promoted; doubles for those that flap
	Planned     int64 // between two planned generations
	Status      int64 // between two status frames of the host
	ReceiptPace int64 // between two receipts that nobody waits for
}

func (t Timing) orDefaults() Timing {
	set := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	set(&t.Silence, 350)
	set(&t.Slot, 300)
	set(&t.Resend, 350)
	set(&t.ResendMost, 5_000)
	set(&t.Shrink, 20_000)
	set(&t.Grow, 5_000)
	set(&t.Planned, 60_000)
	set(&t.Status, 500)
	set(&t.ReceiptPace, 100)
	return t
}

// Chat is one chat on one device. One goroutine owns it.
type Chat struct {
	cfg  Config
	self demes.DeviceID
	id   demes.ChatID
	now  demes.Now

	fold  *Fold
	log   settledLog
	tail  *tail
	own   outbox
	peers map[demes.DeviceID]*peer
	seat  seat
	host  hosting
	final finality
	door  door
	gens  generations
	keys  keys

	reading reading
	history history
	title   string // by an amend; empty: that of the found event
	titleAt uint64 // index of that amend

	phase   demes.Phase
	mode    demes.Mode
	trouble *demes.ProblemView
	askAt   int64 // Mono ms when what is further elsewhere is asked for again
	pollAt  int64 // Mono ms when what is waited for is looked at again
	checked bool  // another member's memory of this device agrees: it may sign and vote
	out     Output
}

// peer is what is known of another member device.
type peer struct {
	connected bool
	since     int64 // Mono ms of the last connect
	lostAt    int64 // Mono ms of the last loss
	flaps     int   // losses since it was last stable: doubles what it must show
	head      demes.Head
	held      uint64
	read      uint64
	clock     int64 // its wall clock less our Mono, as ours may jump; 0: not known
	hosting   *wire.Hosting
	holds     map[demes.DeviceID]uint64 // per author, the highest seq it said it holds
	cursor    uint64                    // settled entries sent to it, in order, up to here
	live      bool                      // gets what is settled as it settles
	haveAt    int64                     // Mono ms of the last Have sent
	chainAt   int64                     // Mono ms of the last certificates sent
	fetchAt   int64
	misled    bool         // it told an order that is not the proven one: its word is not taken again
	lackAt    int64        // Mono ms when it was asked for what came too early
	lackWait  int64        // before it is asked again
	sayAt     int64        // Mono ms when vectors are compared again; 0: no need
	ping      *wire.Report // this device's own measurement
	goodbye   bool         // it said that it goes
	dismissed bool         // it was told that it is removed
	missedAt  int64        // Mono ms when a generation was given up because it did not come to witness it
}

func newChat(cfg Config, now demes.Now, fold *Fold) *Chat {
	cfg.Timing = cfg.Timing.orDefaults()
	self := demes.DeviceID(cfg.Key.Public().(ed25519.PublicKey))
	fold.planted = cfg.Planted
	c := &Chat{
		cfg: cfg, self: self, id: fold.Chat, now: now, fold: fold, tail: newTail(), peers: map[demes.DeviceID]*peer{},
		phase: demes.PhaseLobby, mode: demes.ModeSettled,
	}
	c.tail.planted = cfg.Planted
	c.final.reset()
	c.host.reset()
	c.door.reset()
	c.seat.lostAt, c.log.movedAt = now.Mono, now.Mono
	return c
}

// Found makes a new chat in its lobby; this device is its founder and host.
func Found(cfg Config, now demes.Now, title, name string, nonce [16]byte, addresses []string) (*Chat, error) {
	if !wire.ValidTitle(title) || !wire.ValidName(name) {
		return nil, demes.Problem(demes.CodeBadInput, "The title or the name cannot be used",
			fmt.Sprintf("A title has 1 to %d characters and a name 1 to %d, on one line.", demes.MaxTitle, demes.MaxName))
	}
	self := demes.DeviceID(cfg.Key.Public().(ed25519.PublicKey))
	if cfg.Suite == 0 {
		cfg.Suite = mls.XWing
	}
	c := newChat(cfg, now, newFold(demes.ChatID{}))
	info, err := c.foundGroup(cfg.Suite, nonce[:])
	if err != nil {
		return nil, fmt.Errorf("found chat: %w", err)
	}
	payload := wire.Marshal(&wire.Found{
		Format: Format, Title: title, Suite: uint32(cfg.Suite), Cert: cfg.Cert, Name: name, Nonce: nonce[:], Mls: info, Addresses: addresses,
	})
	e := wire.Seal(cfg.Key, wire.Draft{
		ID: demes.EventID{Device: self, Seq: 1}, Kind: demes.KindFound, Lamport: 1, SentAt: now.Wall, Payload: payload,
	})
	c.id, c.fold.Chat = e.Chat, e.Chat
	c.checked = true
	c.fold.Electors = []demes.DeviceID{self}
	c.batch().Events = append(c.batch().Events, e)
	if out := c.consume(Sealed{LogMs: now.Wall, Event: e}); out != Consumed {
		return nil, demes.Problem(demes.CodeInternal, "The chat could not be founded", "Try another title.")
	}
	c.gens.found = wire.PutEvent(e)
	c.put("found", wire.Marshal(c.gens.found))
	c.keepFold(true)
	return c, c.takeSeat(nil)
}

// Enter begins a chat that this device was welcomed to with a base that
// CheckBase accepted. secrets are those of the key package in its request.
func Enter(cfg Config, now demes.Now, base *wire.Base, secrets *mls.KeyPackageSecrets) (*Chat, error) {
	fold, err := decodeFold(base.GetState(), base.GetTree(), true)
	if err != nil {
		return nil, fmt.Errorf("enter chat: %w", err)
	}
	c := newChat(cfg, now, fold)
	c.checked = true // a device that just entered has written nothing that anyone could remember
	if m := fold.Members[c.self]; m == nil || m.LastSeq != 0 {
		c.checked = false
	}
	c.gens.found, c.gens.chain = base.GetFound(), base.GetCertificates()
	c.final.proof, c.final.index = base.GetProof(), fold.Head.Index
	c.final.base, c.final.group = base, fold.group
	c.enterGroup(base, secrets)
	c.log.first, c.log.durable = fold.Head.Index+1, fold.Head.Index
	c.put("found", wire.Marshal(c.gens.found))
	c.put("chain", wire.Marshal(&wire.Chain{Certificates: c.gens.chain}))
	c.planRefresh()
	c.put("base", wire.Marshal(&wire.Base{State: base.GetState(), Proof: base.GetProof(), Found: base.GetFound()}))
	c.put("first", wire.Marshal(wire.PutHead(fold.Head)))
	c.wantHistory()
	c.keepFold(true)
	c.setPhase()
	return c, c.takeSeat(nil)
}

// Open goes on with a chat after a restart.
func Open(cfg Config, now demes.Now, saved *Saved) (*Chat, error) {
	state := &wire.State{}
	if err := wire.Unmarshal(saved.Values["fold"], state); err != nil {
		return nil, fmt.Errorf("open chat: %w", err)
	}
	fold, err := decodeFold(state, saved.Values["tree"], true)
	if err != nil {
		return nil, fmt.Errorf("open chat: %w", err)
	}
	c := newChat(cfg, now, fold)
	c.log.tree = fold.group
	if err := c.readValues(saved.Values); err != nil {
		return nil, fmt.Errorf("open chat: %w", err)
	}
	if err := c.replay(); err != nil && !cfg.Planted.Rewind {
		return nil, fmt.Errorf("open chat: %w", err)
	}
	if c.cfg.Planted.Forget {
		saved.Tail, saved.Outbox = nil, nil
	}
	c.tail.refill(c.fold, saved.Tail)
	c.own.pending = saved.Outbox
	for _, item := range c.own.pending {
		c.own.kept = max(c.own.kept, item.Seq)
		c.own.left = c.own.left || item.Kind == demes.KindLeave
	}
	for _, e := range c.tail.logs[c.self] {
		c.own.left = c.own.left || e.Kind == demes.KindLeave
		if e.Kind == demes.KindCommit {
			c.own.commit = e.ID.Seq
		}
	}
	if err := c.keys.load(c, saved); err != nil {
		return nil, fmt.Errorf("open chat: %w", err)
	}
	c.planRefresh()
	if err := c.resumeReading(saved.Values); err != nil {
		return nil, fmt.Errorf("open chat: %w", err)
	}
	if err := c.resumeHistory(saved.Values); err != nil {
		return nil, fmt.Errorf("open chat: %w", err)
	}
	c.checked = len(c.fold.Members) == 1
	c.setPhase()
	if c.gone() {
		return c, nil
	}
	return c, c.takeSeat(saved)
}

func (c *Chat) readValues(values map[string][]byte) error {
	found, chain, base, proof, first := &wire.Event{}, &wire.Chain{}, &wire.Base{}, &wire.FinalProof{}, &wire.Head{}
	for _, err := range []error{
		wire.Unmarshal(values["found"], found), wire.Unmarshal(values["chain"], chain), wire.Unmarshal(values["base"], base),
		wire.Unmarshal(values["final"], proof), wire.Unmarshal(values["first"], first),
	} {
		if err != nil {
			return err
		}
	}
	c.gens.found, c.gens.chain = found, chain.GetCertificates()
	if group := base.GetState().GetGroup(); group != nil && bytes.Equal(group, c.fold.group.State()) {
		c.final.base, c.final.group = base, c.fold.group // without its tree nobody can join by it
	}
	c.log.first = first.GetIndex() + 1
	c.log.start = values["start"]
	c.final.proof = proof
	start := &wire.State{}
	if err := wire.Unmarshal(c.log.start, start); err != nil {
		return err
	}
	c.log.startTree = values["start.tree"]
	c.title, c.titleAt = string(values["title"]), readNumber(values["title.at"])
	c.final.index = max(proofHead(proof).Index, start.GetIndex()) // a base is final
	c.own.read = readNumber(values["read"])
	return nil
}

// readNumber reads a big-endian number of up to eight bytes.
func readNumber(b []byte) (n uint64) {
	for _, v := range b[:min(len(b), 8)] {
		n = n<<8 | uint64(v)
	}
	return n
}

func number(n uint64) []byte {
	out := make([]byte, 8)
	for i := range out {
		out[i] = byte(n >> (56 - 8*i))
	}
	return out
}

// ID is the chat's id.
func (c *Chat) ID() demes.ChatID { return c.id }

// Fold is the state of the settled log; the caller must not change it.
func (c *Chat) Fold() *Fold { return c.fold }

// Final is the index up to which the log is known to be final.
func (c *Chat) Final() uint64 { return c.final.index }

// Phase is where the chat is in its life.
func (c *Chat) Phase() demes.Phase { return c.phase }

// Mode says whether a quorum orders the chat.
func (c *Chat) Mode() demes.Mode { return c.mode }

// setPhase derives the phase from the fold.
func (c *Chat) setPhase() {
	before := c.phase
	me := c.fold.Members[c.self]
	switch {
	case me == nil:
		c.phase = demes.PhaseRemoved
	case me.Leaving || c.own.left:
		c.phase = demes.PhaseLeft
	case c.fold.Live:
		c.phase = demes.PhaseLive
	default:
		c.phase = demes.PhaseLobby
	}
	if before != c.phase && (c.phase == demes.PhaseRemoved || c.phase == demes.PhaseLeft) {
		c.notice(Notice{Kind: NoticeRemoved})
	}
}

// gone reports whether this device has no part in the chat any more. An elector
// that has left serves until a generation without it is certified.
func (c *Chat) gone() bool {
	me := c.fold.Members[c.self]
	return me == nil || me.Leaving && !c.isElector()
}

// batch is the durable part of this turn's output.
func (c *Chat) batch() *Batch {
	if c.out.Batch == nil {
		c.out.Batch = &Batch{Chat: c.id}
	}
	return c.out.Batch
}

func (c *Chat) put(name string, data []byte) {
	b := c.batch()
	for i := range b.Put {
		if b.Put[i].Name == name {
			b.Put[i].Data = data
			return
		}
	}
	b.Put = append(b.Put, Value{Name: name, Data: data})
}

func (c *Chat) notice(n Notice) {
	if n.Kind != NoticeMessage && n.Kind != NoticeSettled && n.Text == "" {
		for _, have := range c.out.Notices {
			if have.Kind == n.Kind && have.Peer == n.Peer && have.Text == "" {
				return
			}
		}
	}
	c.out.Notices = append(c.out.Notices, n)
}

// send queues a frame of the current generation.
func (c *Chat) send(to demes.DeviceID, f *wire.Frame) {
	f.Chat, f.Generation = c.id[:], c.fold.Head.Generation
	c.out.Frames = append(c.out.Frames, Outgoing{To: to, Frame: f})
}

// connected lists the connected members, in order.
func (c *Chat) connected() []demes.DeviceID {
	out := make([]demes.DeviceID, 0, len(c.peers))
	for d, p := range c.peers {
		if p.connected && c.fold.Members[d] != nil {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, demes.DeviceID.Compare)
	return out
}

func (c *Chat) peer(d demes.DeviceID) *peer {
	p := c.peers[d]
	if p == nil {
		p = &peer{holds: map[demes.DeviceID]uint64{}}
		c.peers[d] = p
	}
	return p
}

func (c *Chat) isConnected(d demes.DeviceID) bool {
	p := c.peers[d]
	return p != nil && p.connected
}

// Output drains what this turn asks of the world; see Output for the order that
// the caller owes. It reports false when there is nothing.
func (c *Chat) Output() (Output, bool) {
	if !c.gone() {
		c.goOn()
		c.readOn()
		c.comeBackAgain()
		c.recall()
		c.askContents()
		c.seal()
		c.stage()
		c.offer()
		c.collect()
		c.relay()
		c.watch()
	}
	c.own.keep(c)
	c.keys.keep(c)
	out := c.out
	c.out = Output{}
	if out.Batch == nil && len(out.Frames) == 0 && len(out.Notices) == 0 {
		if c.seat.ready {
			return Output{}, true
		}
		return Output{}, false
	}
	return out, true
}

// Advance says that the last output is durable and was sent.
func (c *Chat) Advance() {
	c.log.durable = c.fold.Head.Index
	if c.seat.ready {
		c.seat.ready = false
		if c.seat.group != nil {
			c.seat.group.Advance()
		}
	}
}
