package chat

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// wish is a join request by an invite of the room's chat.
func (r *room) wish(of *author, key ed25519.PrivateKey, notAfter int64) *wire.JoinAsk {
	ask, _ := r.wishWith(of, key, func(b *wire.JoinBody) { b.NotAfterMs = notAfter })
	return ask
}

// wishWith is a request in which something is otherwise, with its key package,
// whose secrets are returned.
func (r *room) wishWith(of *author, key ed25519.PrivateKey, change func(b *wire.JoinBody)) (*wire.JoinAsk, *mls.KeyPackageSecrets) {
	r.t.Helper()
	c := r.guests[0].chat
	secrets := packageOf(r.t, of.profile(r.t, c.fold.Suite, c.id[:]))
	keys := secrets.KeyPackage.Bytes()
	sum := demes.Sum(keys)
	body := &wire.JoinBody{
		Chat: c.id[:], Cert: of.cert(), Name: of.name, Nonce: []byte{1}, NotAfterMs: at + 600_000, KeyPackageHash: sum[:],
	}
	change(body)
	return &wire.JoinAsk{Request: wire.SealJoin(of.key, key, body), KeyPackage: keys}, secrets
}

// invited has a guest make an invite and waits until it is settled.
func (r *room) invited(by *guest, uses uint32) ed25519.PrivateKey {
	r.t.Helper()
	key := keyOf(7_000)
	if _, err := by.chat.Invite(r.clock(), key.Public().(ed25519.PublicKey), uses, 3_600_000, false); err != nil {
		r.t.Fatal(err)
	}
	r.run(500)
	return key
}

func (r *room) ask(at *guest, of *author, request *wire.JoinAsk) wire.JoinAnswer_State {
	return at.chat.Ask(r.clock(), of.id, "10.0.0.9:1", request).GetState()
}

// TestTwoCommitsOfOneEpochBothTakeEffectInTheEnd has two members admit at the same
// time: one commit is void, and its author stages it again.
func TestTwoCommitsOfOneEpochBothTakeEffectInTheEnd(t *testing.T) {
	r := newRoom(t, 3)
	key := r.invited(r.guests[0], 5)
	one, two := newAuthor(50), newAuthor(51)
	epoch := r.guests[0].chat.fold.Epoch
	r.ask(r.guests[1], one, r.wish(one, key, at+3_600_000))
	r.ask(r.guests[2], two, r.wish(two, key, at+3_600_000))
	r.run(2_000)
	f := r.guests[0].chat.fold
	if f.Members[one.id] == nil || f.Members[two.id] == nil || f.Epoch != epoch+2 {
		t.Fatalf("members %v and %v, epoch %d; want both, %d", f.Members[one.id], f.Members[two.id], f.Epoch, epoch+2)
	}
	void := 0
	for _, s := range r.guests[0].disk.settled {
		if s.Void == VoidEpoch {
			void++
		}
	}
	if void != 1 {
		t.Errorf("%d commits were void with a stale epoch, want 1", void)
	}
}

// TestTheLastUseOfAnInviteIsTakenOnce races two joiners for it at two members.
func TestTheLastUseOfAnInviteIsTakenOnce(t *testing.T) {
	r := newRoom(t, 3)
	key := r.invited(r.guests[0], 1)
	one, two := newAuthor(50), newAuthor(51)
	first, second := r.wish(one, key, at+3_600_000), r.wish(two, key, at+3_600_000)
	r.ask(r.guests[1], one, first)
	r.ask(r.guests[2], two, second)
	r.run(2_000)
	f := r.guests[0].chat.fold
	if (f.Members[one.id] != nil) == (f.Members[two.id] != nil) {
		t.Fatalf("in are %v and %v, want one of them", f.Members[one.id] != nil, f.Members[two.id] != nil)
	}
	answers := []wire.JoinAnswer_State{r.ask(r.guests[1], one, first), r.ask(r.guests[1], two, second)}
	for i, in := range []bool{f.Members[one.id] != nil, f.Members[two.id] != nil} {
		if refused := answers[i] == wire.JoinAnswer_REFUSED; refused == in {
			t.Errorf("joiner %d is in: %v, and is answered %v", i+1, in, answers[i])
		}
	}
	r.goesOn()
}

func TestAnswersAtTheDoor(t *testing.T) {
	r := newRoom(t, 2)
	key := r.invited(r.guests[0], 5)
	joiner, other := newAuthor(50), newAuthor(51)
	good := r.wish(joiner, key, at+3_600_000)
	for _, c := range []struct {
		name    string
		of      *author
		request *wire.JoinAsk
		want    wire.JoinAnswer_State
	}{
		{"nothing at all", joiner, nil, wire.JoinAnswer_REFUSED},
		{"another's request", other, good, wire.JoinAnswer_REFUSED},
		{"a knock at a live chat", joiner, r.wish(joiner, nil, at+3_600_000), wire.JoinAnswer_REFUSED},
		{"an invite that nobody made", joiner, r.wish(joiner, keyOf(1), at+3_600_000), wire.JoinAnswer_REFUSED},
		{"a request that has expired", joiner, r.wish(joiner, key, at-1), wire.JoinAnswer_REFUSED},
		{"a good request", joiner, good, wire.JoinAnswer_WAITING},
		{"the same once more", joiner, good, wire.JoinAnswer_WAITING},
	} {
		if got := r.ask(r.guests[1], c.of, c.request); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	r.run(2_000)
	for _, g := range r.guests { // whoever is asked has the base
		if got := r.ask(g, joiner, good); got != wire.JoinAnswer_WELCOME {
			t.Errorf("a member is answered %v by %s, want welcome", got, g.name)
		}
	}
}

func TestKnocksAreBoundedAndWaitForTheFounder(t *testing.T) {
	r := &room{t: t, now: 1}
	founder := &guest{author: newAuthor(0), room: r, disk: newMemory()}
	c, err := Found(founder.config(), r.clock(), "a chat", "Ada", [16]byte{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	founder.chat, r.guests = c, []*guest{founder}
	r.pump()
	for i := range uint64(MaxKnocks) {
		a := newAuthor(100 + i)
		if got := r.ask(founder, a, r.wish(a, nil, at+3_600_000)); got != wire.JoinAnswer_KNOCKING {
			t.Fatalf("knock %d: %v", i+1, got)
		}
	}
	late := newAuthor(999)
	if got := r.ask(founder, late, r.wish(late, nil, at+3_600_000)); got != wire.JoinAnswer_REFUSED {
		t.Errorf("one knock too many: %v, want refused", got)
	}
	first := newAuthor(100)
	if err := c.Decide(r.clock(), first.id, true); err != nil {
		t.Fatal(err)
	}
	r.run(200)
	if c.fold.Members[first.id] == nil {
		t.Error("whom the founder let in is no member")
	}
	second := newAuthor(101)
	if err := c.Decide(r.clock(), second.id, false); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(founder, second, r.wish(second, nil, at+3_600_000)); got != wire.JoinAnswer_REFUSED {
		t.Errorf("whom the founder refused: %v", got)
	}
	if err := c.Decide(r.clock(), demes.DeviceID{1}, true); err == nil {
		t.Error("a knock that nobody made is let in")
	}
}

// TestACommitOfEverythingWantedFits admits as many as may wait, each with the
// largest request there can be.
func TestACommitOfEverythingWantedFits(t *testing.T) {
	for _, suite := range []mls.Suite{mls.X25519, mls.XWing} {
		t.Run(fmt.Sprintf("suite %04x", uint16(suite)), func(t *testing.T) { everythingWantedFits(t, newRoomIn(t, suite, 2)) })
	}
}

func everythingWantedFits(t *testing.T, r *room) {
	key := r.invited(r.guests[0], MaxWanted)
	g := r.guests[1]
	c := g.chat
	for i := range uint64(MaxWanted) {
		a := newAuthor(100 + i)
		request, _ := r.wishWith(a, key, func(b *wire.JoinBody) { b.Nonce = make([]byte, demes.MaxOtherPayload-400) })
		if body, _, err := wire.OpenJoin(request.GetRequest()); err != nil || len(body.GetNonce()) < 7_000 {
			t.Fatalf("request %d: %v", i, err)
		}
		if i == 0 {
			c.own.commit = 1 << 40 // one is under way: all others wait for the next
		}
		r.ask(g, a, request)
	}
	c.own.commit = 0
	c.stage()
	r.run(3_000)
	if got := len(r.guests[0].chat.fold.Members); got != MaxWanted+2 {
		t.Fatalf("%d members, want %d", got, MaxWanted+2)
	}
	largest := 0
	for _, entry := range r.guests[0].disk.settled {
		if entry.Event != nil && entry.Void == "" {
			largest = max(largest, len(entry.Event.Payload))
		}
	}
	// The path of a commit grows with the members that never committed, by a
	// ciphertext each.
	if most := demes.MaxCommitPayload - MaxMembers*1_300; largest > most {
		t.Errorf("the largest commit has %d bytes, which leaves no room for the path of a large chat: want at most %d", largest, most)
	}
	r.agree("with all of them wanted")
}

// TestMoreWishesThanTheyCanBeGranted has one member asked by more than an invite,
// or a person, has room for: those that fit come in, and the rest do not keep them
// out.
func TestMoreWishesThanTheyCanBeGranted(t *testing.T) {
	r := newRoom(t, 2)
	g := r.guests[1]
	key := r.invited(r.guests[0], 2)
	busy := func(asks func()) {
		g.chat.own.commit = 1 << 40 // one is under way: all others wait for the next
		asks()
		g.chat.own.commit = 0
		g.chat.stage()
		r.run(3_000)
	}
	members := len(g.chat.fold.Members)
	busy(func() {
		for i := range uint64(4) {
			a := newAuthor(50 + i)
			r.ask(g, a, r.wish(a, key, at+3_600_000))
		}
	})
	if got := len(r.guests[0].chat.fold.Members); got != members+2 {
		t.Errorf("%d members, want %d: an invite for two let four ask", got, members+2)
	}
	busy(func() {
		for i := range uint64(MaxDevices + 2) {
			a := g.author.device(70 + i)
			r.ask(g, a, r.wish(a, nil, at+3_600_000))
		}
	})
	if got := r.guests[0].chat.fold.devicesOf(r.guests[0].chat.fold.Members[g.id].Account); got != MaxDevices {
		t.Errorf("%d devices of one person, want %d", got, MaxDevices)
	}
	if n := len(g.chat.door.wanted); n != 0 {
		t.Errorf("%d wishes that cannot be granted are kept", n)
	}
	void := 0
	for _, s := range r.guests[0].disk.settled {
		if s.Void != "" {
			void++
		}
	}
	if void != 0 {
		t.Errorf("%d commits were void", void)
	}
	r.goesOn()
}

// TestRequestsWithoutTheirKeyPackage are refused at the door: a commit that adds
// them would be void.
func TestRequestsWithoutTheirKeyPackage(t *testing.T) {
	r := newRoom(t, 2)
	key := r.invited(r.guests[0], 9)
	joiner := newAuthor(50)
	other := &room{t: t, guests: r.guests, suite: r.suite, now: r.now}
	for _, c := range []struct {
		name   string
		change func(ask *wire.JoinAsk)
	}{
		{"without any", func(ask *wire.JoinAsk) { ask.KeyPackage = nil }},
		{"of garbage", func(ask *wire.JoinAsk) { replace(ask, r.naming(joiner, key, []byte{1, 2, 3})) }},
		{"other than the one named", func(ask *wire.JoinAsk) { ask.KeyPackage = other.wish(joiner, key, at+3_600_000).KeyPackage }},
		{"altered", func(ask *wire.JoinAsk) {
			altered := append([]byte(nil), ask.KeyPackage...)
			altered[len(altered)-1] ^= 1
			replace(ask, r.naming(joiner, key, altered))
		}},
		{"with bytes behind", func(ask *wire.JoinAsk) {
			replace(ask, r.naming(joiner, key, append(append([]byte(nil), ask.KeyPackage...), 0)))
		}},
		{"of another device", func(ask *wire.JoinAsk) {
			replace(ask, r.naming(joiner, key, packageOf(t, newAuthor(51).profile(t, r.suite, r.guests[0].chat.id[:])).KeyPackage.Bytes()))
		}},
		{"of another chat", func(ask *wire.JoinAsk) {
			replace(ask, r.naming(joiner, key, packageOf(t, joiner.profile(t, r.suite, make([]byte, 32))).KeyPackage.Bytes()))
		}},
		{"of another suite", func(ask *wire.JoinAsk) {
			replace(ask, r.naming(joiner, key, packageOf(t, joiner.profile(t, mls.XWing, r.guests[0].chat.id[:])).KeyPackage.Bytes()))
		}},
		{"of another account", func(ask *wire.JoinAsk) {
			two := newAuthor(50)
			two.account = keyOf(888)
			replace(ask, r.naming(joiner, key, packageOf(t, two.profile(t, r.suite, r.guests[0].chat.id[:])).KeyPackage.Bytes()))
		}},
	} {
		ask := r.wish(joiner, key, at+3_600_000)
		c.change(ask)
		if got := r.ask(r.guests[1], joiner, ask); got != wire.JoinAnswer_REFUSED {
			t.Errorf("a request with a key package %s is answered %v", c.name, got)
		}
	}
	r.run(1_000)
	if r.guests[0].chat.fold.Members[joiner.id] != nil {
		t.Error("one of them let it in")
	}
	r.goesOn()
}

func replace(ask, by *wire.JoinAsk) {
	ask.Request, ask.KeyPackage = by.GetRequest(), by.GetKeyPackage()
}

// naming is a good request that names some bytes as its key package.
func (r *room) naming(of *author, key ed25519.PrivateKey, keys []byte) *wire.JoinAsk {
	sum := demes.Sum(keys)
	ask, _ := r.wishWith(of, key, func(b *wire.JoinBody) { b.KeyPackageHash = sum[:] })
	ask.KeyPackage = keys
	return ask
}
