package council

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// parliament is a parent generation that ends: electors that settle a log
// while they may, give receipts, and convene, over bad links and with crashes.
type parliament struct {
	seed    uint64
	rng     *rand.Rand
	now     int64
	members []*elector
	parents int // the first of members are the parent's electors
	council int // the first of them settle the log
	bugs    planted
	flight  []parcel
	broken  string
	final   uint64
	value   string
	base    uint64
	offered map[demes.Hash][]byte // every value that was to be accepted, by its hash
}

type elector struct {
	p       *parliament
	n       int
	e       *Elector
	saved   []byte
	settled uint64
	receipt uint64
	votes   map[ballot]string
}

type parcel struct {
	at       int64
	from, to int
	m        *wire.Convene
}

func headAt(index uint64) demes.Head {
	return demes.Head{Generation: 1, Index: index, Hash: demes.Hash{byte(index), byte(index >> 8), 9}}
}

func newParliament(seed uint64, parents, all, council int, bugs planted) *parliament {
	p := &parliament{seed: seed, rng: rand.New(rand.NewPCG(seed, 11)), parents: parents, council: council, bugs: bugs, offered: map[demes.Hash][]byte{}}
	for n := 1; n <= all; n++ {
		p.members = append(p.members, &elector{p: p, n: n, votes: map[ballot]string{}, settled: 1})
		p.members[n-1].start()
	}
	return p
}

func (x *elector) start() {
	e, err := NewElector(ElectorConfig{
		Chat: demes.ChatID{1}, Parent: 1, Self: testDevice(x.n), Electors: devices(upTo(x.p.parents)...),
		Sign: testSign(testDevice(x.n)), Verify: testVerify, Rand: x.p.rng.Uint64,
	}, x.saved)
	if err != nil {
		panic(err)
	}
	e.planted, x.e = x.p.bugs, e
}

func (x *elector) situation() Situation {
	return Situation{Settled: headAt(x.settled), Holds: func(h demes.Head) bool { return h.Index <= x.settled }}
}

func (p *parliament) clock() demes.Now { return demes.Now{Mono: p.now} }

// act lets one member do something; what it says leaves after its state is saved.
func (x *elector) act(do func() []Out) {
	out := do()
	if data, changed := x.e.Saved(); changed {
		if x.p.rng.IntN(30) == 0 { // a crash before the sync: nothing was said
			x.start()
			return
		}
		x.saved = data
	}
	for _, o := range out {
		x.p.look(x, o)
		for _, to := range x.p.members {
			if testDevice(to.n) == o.To && x.p.rng.IntN(10) > 0 {
				x.p.flight = append(x.p.flight, parcel{x.p.now + x.p.rng.Int64N(900), x.n, to.n, o.Convene})
			}
		}
	}
	if c := x.e.Decided(); c != nil {
		x.p.decided(c)
	}
}

// look checks a vote as it leaves.
func (p *parliament) look(x *elector, o Out) {
	if a := o.Convene.GetAccept(); a != nil {
		p.offered[demes.Sum(a.GetValue())] = a.GetValue()
	}
	v := o.Convene.GetAccepted()
	if v == nil {
		return
	}
	_, b, value, err := readVote(v, testVerify)
	if err != nil {
		p.broken = err.Error()
		return
	}
	if known, ok := x.votes[b]; ok && known != value.String() {
		p.broken = "an elector voted for two values in one ballot"
	}
	x.votes[b] = value.String()
	if decoded, err := readValue(p.offered[value], demes.ChatID{1}, 1); err == nil && decoded.GetBase().GetIndex() > x.settled {
		p.broken = "an elector accepted a base that it does not hold"
	}
}

func (p *parliament) decided(c *wire.Certificate) {
	value, err := VerifyCertificate(c, demes.ChatID{1}, devices(upTo(p.parents)...), testVerify)
	if err != nil {
		p.broken = fmt.Sprintf("a certificate that does not verify: %v", err)
		return
	}
	if p.value != "" && p.value != string(c.GetValue()) {
		p.broken = "two generations were decided"
	}
	p.value, p.base = string(c.GetValue()), value.GetBase().GetIndex()
	if p.base < p.final {
		p.broken = "a final entry is not in the base"
	}
}

// settle is the parent's order while it lives: one more entry, if a majority of
// the council goes on; and receipts of whoever is not frozen.
func (p *parliament) settle() {
	var able []*elector
	for _, x := range p.members[:p.council] {
		if !x.e.Frozen() && p.rng.IntN(4) > 0 {
			able = append(able, x)
		}
	}
	if len(able) > p.council/2 {
		top := uint64(0)
		for _, x := range p.members[:p.council] {
			top = max(top, x.settled)
		}
		for _, x := range able {
			x.settled = top + 1
		}
	}
	x := p.members[p.rng.IntN(p.parents)]
	if from := p.members[p.rng.IntN(p.parents)]; !x.e.Frozen() && from.settled > x.settled {
		x.settled = from.settled
	}
	receipts := map[uint64]int{}
	for _, x := range p.members[:p.parents] {
		if !x.e.Frozen() {
			x.receipt = x.settled
		}
		for i := uint64(1); i <= x.receipt; i++ {
			receipts[i]++
			if receipts[i] > p.parents/2 {
				p.final = max(p.final, i)
			}
		}
	}
	if p.value != "" && p.final > p.base {
		p.broken = "an entry beyond the base became final"
	}
}

// step is one random thing.
func (p *parliament) step(planned bool) {
	p.now += p.rng.Int64N(400)
	if p.rng.IntN(3) == 0 {
		p.settle()
	}
	x := p.members[p.rng.IntN(len(p.members))]
	switch r := p.rng.IntN(100); {
	case r < 4:
		x.act(func() []Out {
			return x.e.Propose(p.clock(), planned, x.situation(), func(demes.Head) (council, electors []demes.DeviceID) {
				if planned {
					return devices(x.n), devices(upTo(len(p.members))...)
				}
				return devices(x.n), devices(upTo(p.parents)...)
			})
		})
	case r < 6:
		x.start() // a crash and a restart
	case r < 30:
		x.act(func() []Out { return x.e.Tick(p.clock(), x.situation()) })
	case r < 34:
		x.e.Connected(p.clock(), testDevice(1+p.rng.IntN(p.parents)))
	case r < 40:
		if base, _, ok := x.e.Wants(); ok { // the chat fetched the log
			x.settled = max(x.settled, base.Index)
			x.act(func() []Out { return x.e.Tick(p.clock(), x.situation()) })
		}
	}
	p.deliver()
}

func (p *parliament) deliver() {
	for i := 0; i < len(p.flight); i++ {
		q := p.flight[i]
		if q.at > p.now {
			continue
		}
		if p.rng.IntN(20) > 0 { // else it comes again later
			p.flight = append(p.flight[:i], p.flight[i+1:]...)
			i--
		}
		x := p.members[q.to-1]
		x.act(func() []Out { return x.e.Step(p.clock(), testDevice(q.from), q.m, x.situation()) })
	}
}

func (p *parliament) run(steps int, planned bool) string {
	for range steps {
		p.step(planned)
		if p.broken != "" {
			return p.broken
		}
	}
	return ""
}

func TestConveningKeepsItsPromises(t *testing.T) {
	seeds := seeds(300)
	for _, c := range []struct {
		parents, all, council int
		planned               bool
	}{{3, 3, 1, false}, {3, 3, 3, false}, {5, 5, 3, false}, {4, 4, 3, false}, {3, 5, 3, true}, {1, 3, 1, true}} {
		t.Run(fmt.Sprintf("%d electors, council %d, then %d", c.parents, c.council, c.all), func(t *testing.T) {
			decided := 0
			for seed := range seeds {
				p := newParliament(seed, c.parents, c.all, c.council, planted{})
				if broken := p.run(600, c.planned); broken != "" {
					t.Fatalf("seed %d: %s", seed, broken)
				}
				if p.value != "" {
					decided++
				}
			}
			if decided < int(seeds)*3/4 {
				t.Errorf("decided in %d of %d runs: too few to prove anything", decided, seeds)
			}
		})
	}
}

func TestThePlantedFaultsAreCaught(t *testing.T) {
	for _, c := range []struct {
		name string
		bugs planted
	}{
		{"no freeze", planted{noFreeze: true}},
		{"own base", planted{ownBase: true}},
		{"minority", planted{minority: true}},
		{"accepted value ignored", planted{ignoreAccepted: true}},
		{"accepted without the log", planted{withoutLog: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(2000) {
				p := newParliament(seed, 3, 3, 1+2*int(seed%2), c.bugs)
				if broken := p.run(600, false); broken != "" {
					t.Logf("caught at seed %d: %s", seed, broken)
					return
				}
			}
			t.Error("2000 seeds did not catch it")
		})
	}
}

func TestASingleElectorDecidesAtOnce(t *testing.T) {
	p := newParliament(1, 1, 1, 1, planted{})
	x := p.members[0]
	out := x.e.Propose(p.clock(), true, x.situation(), func(base demes.Head) (council, electors []demes.DeviceID) {
		return devices(1), devices(1)
	})
	if len(out) != 0 || x.e.Decided() == nil || !x.e.Frozen() {
		t.Fatalf("want a certificate at once and nothing to send, got %v and %d messages", x.e.Decided(), len(out))
	}
	if data, changed := x.e.Saved(); !changed || len(data) == 0 {
		t.Error("the decision must be saved")
	}
}

func TestWhoKnowsAHostRefusesToConvene(t *testing.T) {
	p := newParliament(1, 3, 3, 3, planted{})
	x := p.members[1]
	s := x.situation()
	s.Quorum, s.Host = true, testDevice(3)
	for _, m := range []*wire.Convene{
		{Kind: &wire.Convene_Ask{Ask: &wire.Prepare{Ballot: ballot{1, testDevice(1)}.wire()}}},
		{Kind: &wire.Convene_Prepare{Prepare: &wire.Prepare{Ballot: ballot{1, testDevice(1)}.wire()}}},
	} {
		out := x.e.Step(p.clock(), testDevice(1), m, s)
		if len(out) != 1 || !out[0].Convene.GetRefused().GetQuorum() || x.e.Frozen() {
			t.Errorf("want a refusal that names a quorum, got %v", out)
		}
	}
	m := &wire.Convene{Kind: &wire.Convene_Prepare{Prepare: &wire.Prepare{Ballot: ballot{2, testDevice(3)}.wire()}}}
	if x.e.Step(p.clock(), testDevice(3), m, s); !x.e.Frozen() {
		t.Error("the host itself may end its generation")
	}
}

func TestForgedCertificatesAreRefused(t *testing.T) {
	value := encode(&wire.Value{
		Chat: chatBytes(), Parent: 1, Base: writeHead(headAt(7)),
		Council: writeDevices(devices(1)), Electors: writeDevices(devices(1, 2, 3)),
	})
	vote := func(n int, b ballot, value []byte) *wire.Vote {
		hash := demes.Sum(value)
		body := encode(&wire.VoteBody{Ballot: b.wire(), ValueHash: hash[:]})
		d := testDevice(n)
		return &wire.Vote{Body: body, Device: d[:], Signature: testSign(d)(body)}
	}
	b := ballot{1, testDevice(1)}
	good := func() *wire.Certificate {
		return &wire.Certificate{Value: value, Votes: []*wire.Vote{vote(1, b, value), vote(2, b, value)}}
	}
	verify := func(c *wire.Certificate, parents ...int) error {
		_, err := VerifyCertificate(c, demes.ChatID{1}, devices(parents...), testVerify)
		return err
	}
	if err := verify(good(), 1, 2, 3); err != nil {
		t.Fatalf("a good one is refused: %v", err)
	}
	cases := map[string]func(c *wire.Certificate){
		"no votes":          func(c *wire.Certificate) { c.Votes = nil },
		"a minority":        func(c *wire.Certificate) { c.Votes = c.Votes[:1] },
		"one vote twice":    func(c *wire.Certificate) { c.Votes[1] = c.Votes[0] },
		"a stranger's vote": func(c *wire.Certificate) { c.Votes[1] = vote(9, b, value) },
		"two ballots":       func(c *wire.Certificate) { c.Votes[1] = vote(2, ballot{2, testDevice(1)}, value) },
		"a stranger's round": func(c *wire.Certificate) {
			c.Votes[0], c.Votes[1] = vote(1, ballot{1, testDevice(9)}, value), vote(2, ballot{1, testDevice(9)}, value)
		},
		"another value":   func(c *wire.Certificate) { c.Value = append([]byte{0x50, 1}, c.Value...) },
		"a bad signature": func(c *wire.Certificate) { c.Votes[0].Signature[3] ^= 1 },
		"no value":        func(c *wire.Certificate) { c.Value = nil },
		"too many votes": func(c *wire.Certificate) {
			for range 40 {
				c.Votes = append(c.Votes, c.Votes[0])
			}
		},
	}
	for name, spoil := range cases {
		c := proto.Clone(good()).(*wire.Certificate)
		spoil(c)
		if verify(c, 1, 2, 3) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if verify(good(), 1, 4, 5) == nil || verify(good(), 1, 2, 3, 4) == nil {
		t.Error("two votes are no majority of these parents, and were accepted")
	}
}

func TestElectorRefusesGarbage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p := newParliament(3, 3, 4, 3, planted{})
	for range 20_000 {
		x := p.members[rng.IntN(4)]
		m := &wire.Convene{}
		junk := make([]byte, rng.IntN(60))
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		b := &wire.Ballot{Round: rng.Uint64() >> rng.IntN(64), Device: junk}
		if rng.IntN(2) == 0 {
			d := testDevice(1 + rng.IntN(4))
			b.Device = d[:]
		}
		switch rng.IntN(6) {
		case 0:
			m.Kind = &wire.Convene_Ask{Ask: &wire.Prepare{Ballot: b}}
		case 1:
			m.Kind = &wire.Convene_Prepare{Prepare: &wire.Prepare{Ballot: b}}
		case 2:
			m.Kind = &wire.Convene_Promise{Promise: &wire.Promise{Ballot: b, AcceptedBallot: b, AcceptedValue: junk}}
		case 3:
			m.Kind = &wire.Convene_Accept{Accept: &wire.Accept{Ballot: b, Value: junk}}
		case 4:
			m.Kind = &wire.Convene_Accepted{Accepted: &wire.Vote{Body: junk, Device: b.Device, Signature: junk}}
		case 5:
			m.Kind = &wire.Convene_Refused{Refused: &wire.Refusal{Ballot: b, Promised: b}}
		}
		x.e.Step(p.clock(), testDevice(1+rng.IntN(5)), m, x.situation())
		if x.e.Decided() != nil {
			t.Fatal("garbage decided something")
		}
		if round := x.e.promised.round; round > 20_000*maxRoundJump {
			t.Fatalf("a stranger used up the rounds: %d", round)
		}
	}
}

func TestElectorGoesOnFromWhatItSaved(t *testing.T) {
	p := newParliament(1, 3, 3, 3, planted{})
	x := p.members[1]
	m := &wire.Convene{Kind: &wire.Convene_Prepare{Prepare: &wire.Prepare{Ballot: ballot{5, testDevice(1)}.wire()}}}
	x.e.Step(p.clock(), testDevice(1), m, x.situation())
	x.saved, _ = x.e.Saved()
	x.start()
	low := &wire.Convene{Kind: &wire.Convene_Prepare{Prepare: &wire.Prepare{Ballot: ballot{4, testDevice(3)}.wire()}}}
	out := x.e.Step(p.clock(), testDevice(3), low, x.situation())
	if !x.e.Frozen() || len(out) != 1 || out[0].Convene.GetRefused() == nil {
		t.Errorf("a restarted elector forgot its promise: %v", out)
	}
	for cut := 1; cut < len(x.saved); cut++ {
		if _, err := NewElector(x.e.cfg, x.saved[:cut]); err == nil {
			t.Errorf("cut at %d: read without an error", cut)
		}
	}
}

func chatBytes() []byte { id := demes.ChatID{1}; return id[:] }
