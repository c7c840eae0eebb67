package chat

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// room is a few chats driven by hand: frames cross at once, nothing is lost, and
// time moves when the test says so. internal/sim has the faults.
type room struct {
	t      testing.TB
	now    int64
	guests []*guest
	random uint64
	suite  mls.Suite
	tap    func(frame []byte) // sees what is sent
}

// guest is one device of a room.
type guest struct {
	*author
	room *room
	chat *Chat
	disk *memory
}

func (r *room) clock() demes.Now { return demes.Now{Mono: r.now, Wall: at + r.now} }

func (g *guest) config() Config {
	return Config{
		Key: g.key, Cert: g.cert(), Log: g.disk, Suite: g.room.suite, Salt: func() [16]byte { return [16]byte{1} },
		Rand: func() uint64 {
			g.room.random = g.room.random*6364136223846793005 + 1442695040888963407
			return g.room.random >> 11
		},
	}
}

// newRoom is a live chat of n, at rest, all of them electors.
func newRoom(t testing.TB, n int) *room { return newRoomIn(t, mls.X25519, n) }

func newRoomIn(t testing.TB, suite mls.Suite, n int) *room {
	t.Helper()
	r := &room{t: t, now: 1, random: 1, suite: suite}
	for i := range n {
		r.guests = append(r.guests, &guest{author: newAuthor(uint64(i)), room: r, disk: newMemory()})
	}
	founder := r.guests[0]
	c, err := Found(founder.config(), r.clock(), "a chat", founder.name, [16]byte{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	founder.chat = c
	c.OpenLobby(r.clock(), true)
	for _, g := range r.guests[1:] {
		r.enter(g)
	}
	r.measure()
	if err := c.Start(r.clock()); err != nil {
		t.Fatal(err)
	}
	r.run(8_000)
	if host := r.host(); host == nil || host.chat.fold.Head.Generation != 1 || len(host.chat.fold.Electors) != min(n, MaxElectors) {
		t.Fatalf("the chat is not live\n%s", r)
	}
	return r
}

// enter lets a guest in from the lobby.
func (r *room) enter(g *guest) {
	r.t.Helper()
	ask, secrets := r.wishWith(g.author, nil, func(*wire.JoinBody) {})
	r.comesIn(g, r.guests[0], "127.0.0.1:1", ask, secrets)
}

// comesIn has a guest ask a member until it is welcomed.
func (r *room) comesIn(g, by *guest, address string, ask *wire.JoinAsk, secrets *mls.KeyPackageSecrets) {
	r.t.Helper()
	for range 100 {
		answer := by.chat.Ask(r.clock(), g.id, address, ask)
		r.run(50)
		if answer.GetState() != wire.JoinAnswer_WELCOME {
			continue
		}
		base := &wire.Base{}
		_ = wire.Unmarshal(wire.Marshal(answer.GetBase()), base)
		if err := CheckBase(base, by.chat.id, g.id, nil); err != nil {
			r.t.Fatalf("%s refuses its base: %v", g.name, err)
		}
		c, err := Enter(g.config(), r.clock(), base, secrets)
		if err != nil {
			r.t.Fatal(err)
		}
		g.chat = c
		r.connect(g)
		return
	}
	r.t.Fatalf("%s is not welcomed\n%s", g.name, r)
}

// base is what a guest would give a joiner now, apart from a welcome.
func (r *room) base(of *guest) *wire.Base {
	base := proto.CloneOf(of.chat.final.base)
	base.Tree = of.chat.final.group.Tree()
	return base
}

// connect joins a guest to all others that are there.
func (r *room) connect(g *guest) {
	for _, other := range r.guests {
		if other != g && other.chat != nil {
			g.chat.Connected(r.clock(), other.id)
			other.chat.Connected(r.clock(), g.id)
		}
	}
	r.pump()
}

func (r *room) measure() {
	for _, a := range r.guests {
		for _, b := range r.guests {
			if a != b {
				a.chat.Latency(r.clock(), b.id, 1_000, 1_100, 0, false)
			}
		}
	}
	r.pump()
}

// reopened is the same room after a restart of everybody, from copies of their
// disks: a room can be made once and used often.
func (r *room) reopened(t testing.TB) *room {
	again := &room{t: t, now: r.now, random: r.random, suite: r.suite}
	for _, g := range r.guests {
		n := &guest{author: g.author, room: again, disk: g.disk.clone()}
		c, err := Open(n.config(), again.clock(), n.disk.saved(g.chat.id))
		if err != nil {
			t.Fatal(err)
		}
		n.chat = c
		again.guests = append(again.guests, n)
	}
	for i, g := range again.guests {
		for _, other := range again.guests[:i] {
			g.chat.Connected(again.clock(), other.id)
			other.chat.Connected(again.clock(), g.id)
		}
	}
	again.until(10_000, func() bool { return again.host() != nil })
	return again
}

// pump carries outputs until nobody has any.
func (r *room) pump() {
	for turn := 0; ; turn++ {
		if turn > 10_000 {
			r.t.Fatalf("the chats never come to rest\n%s", r)
		}
		busy := false
		for _, g := range r.guests {
			if g.chat != nil && g.turn() {
				busy = true
			}
		}
		if !busy {
			return
		}
	}
}

// turn does one output of a chat as the shell would: durable, then sent.
func (g *guest) turn() bool {
	out, more := g.chat.Output()
	if !more {
		return false
	}
	if out.Batch != nil {
		g.disk.commit(out.Batch)
	}
	g.chat.Advance()
	for _, f := range out.Frames {
		to := g.room.guest(f.To)
		if to == nil || to.chat == nil || !to.chat.isConnected(g.id) {
			continue
		}
		frame, raw := &wire.Frame{}, wire.Marshal(f.Frame)
		if g.room.tap != nil {
			g.room.tap(raw)
		}
		if err := wire.Unmarshal(raw, frame); err != nil {
			g.room.t.Fatal(err)
		}
		_ = to.chat.Step(g.room.clock(), g.id, frame)
	}
	return true
}

func (r *room) guest(d demes.DeviceID) *guest {
	for _, g := range r.guests {
		if g.id == d {
			return g
		}
	}
	return nil
}

// run lets time go by, with beats.
func (r *room) run(ms int64) {
	for end := r.now + ms; r.now < end; {
		r.now += 50
		for _, g := range r.guests {
			if g.chat == nil {
				continue
			}
			if r.now%100 < 50 {
				r.beat(g)
			}
			if at := g.chat.Deadline(); at != 0 && at <= r.now {
				g.chat.Tick(r.clock())
			}
		}
		r.pump()
	}
}

func (r *room) beat(from *guest) {
	hosting := from.chat.Hosting()
	for _, to := range r.guests {
		if to != from && to.chat != nil && to.chat.isConnected(from.id) {
			to.chat.Heard(r.clock(), from.id, wire.FastBeat, hosting)
		}
	}
}

func (r *room) until(most int64, what func() bool) bool {
	for end := r.now + most; r.now < end && !what(); {
		r.run(50)
	}
	return what()
}

func (r *room) host() *guest {
	for _, g := range r.guests {
		if g.chat != nil && g.chat.Hosting() != nil {
			return g
		}
	}
	return nil
}

// backup is a guest who is not the host.
func (r *room) backup() *guest {
	for _, g := range r.guests {
		if g != r.host() {
			return g
		}
	}
	return nil
}

// goesOn has everybody say something and waits until all of it is settled.
func (r *room) goesOn() {
	r.t.Helper()
	want := uint64(0)
	for _, g := range r.guests {
		want = max(want, g.chat.fold.Position)
	}
	for _, g := range r.guests {
		if _, err := g.chat.SendText(r.clock(), "and on we go", nil, ""); err != nil {
			r.t.Fatalf("%s cannot write: %v", g.name, err)
		}
		want++
	}
	settled := func() bool {
		for _, g := range r.guests {
			if g.chat.fold.Position < want || g.chat.fold.Head != r.guests[0].chat.fold.Head {
				return false
			}
		}
		return true
	}
	r.pump()
	if !r.until(15_000, settled) {
		r.t.Fatalf("not settled, want position %d\n%s", want, r)
	}
}

func (r *room) String() (out string) {
	for _, g := range r.guests {
		if g.chat == nil {
			out += g.name + " is not in\n"
			continue
		}
		host, known := g.chat.hostNow()
		out += fmt.Sprintf("%s: %s %s, head %s, position %d, host %s (%v), %d in the tail, trouble %v\n", g.name, g.chat.phase, g.chat.mode,
			g.chat.fold.Head, g.chat.fold.Position, g.chat.name(host), known, g.chat.tail.len(), g.chat.trouble)
	}
	return out
}
