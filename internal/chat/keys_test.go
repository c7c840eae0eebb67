package chat

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// agree checks that all guests are in one epoch of one group, which is the log's
// (B5).
func (r *room) agree(when string) {
	r.t.Helper()
	first := r.guests[0].chat
	for _, g := range r.guests {
		c := g.chat
		if !c.keys.current(c) || !bytes.Equal(authenticator(c), authenticator(first)) || !c.fold.treeIsRoster(c.fold.group) {
			r.t.Fatalf("%s: the keys of %s are not everybody's: epoch %d of %d, current %v", when, g.name, c.keys.group.Epoch(), c.fold.Epoch, c.keys.current(c))
		}
	}
}

func authenticator(c *Chat) []byte {
	_, secret := c.Authenticator()
	return secret
}

// refreshes has a guest renew its keys, and waits until everybody has taken that.
func (r *room) refreshes(by *guest) {
	r.t.Helper()
	epoch := by.chat.fold.Epoch
	by.chat.fold.RefreshedMs = 0 // its own rule would have it wait
	for _, g := range r.guests {
		g.chat.fold.RefreshedMs = 0
	}
	by.chat.door.refresh = true
	by.chat.stage()
	r.pump()
	if !r.until(5_000, func() bool {
		return !slices.ContainsFunc(r.guests, func(g *guest) bool { return g.chat.fold.Epoch == epoch || !g.chat.keys.current(g.chat) })
	}) {
		r.t.Fatalf("the keys of %s are not renewed\n%s", by.name, r)
	}
}

func TestEverybodyHasTheKeysOfTheEpoch(t *testing.T) {
	for _, suite := range []mls.Suite{mls.X25519, mls.XWing} {
		t.Run(fmt.Sprintf("suite %04x", uint16(suite)), func(t *testing.T) {
			r := newRoomIn(t, suite, 3)
			r.agree("at first")
			before := authenticator(r.guests[0].chat)
			for _, g := range r.guests {
				r.refreshes(g)
				r.agree("after new keys of " + g.name)
				r.goesOn()
			}
			if bytes.Equal(before, authenticator(r.guests[0].chat)) {
				t.Error("new keys are the old ones")
			}
			again := r.reopened(t)
			again.agree("after a restart")
			again.refreshes(again.guests[1])
			again.goesOn()
			again.agree("in the end")
		})
	}
}

// TestWhatIsSaidIsNowhereInTheClear looks for the text in every frame, event and
// named value, and for its length in the payload.
func TestWhatIsSaidIsNowhereInTheClear(t *testing.T) {
	r := newRoom(t, 3)
	const secret = "nobody else should know this"
	var frames int
	r.tap = func(raw []byte) {
		frames++
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("a frame of %d bytes has the text in the clear", len(raw))
		}
	}
	id := r.says(r.backup(), secret)
	short := r.says(r.backup(), "?")
	if frames == 0 {
		t.Fatal("no frame was seen")
	}
	for _, g := range r.guests {
		if e := g.entry(id).Event; bytes.Contains(e.Payload, []byte(secret)) || bytes.Contains(e.Body, []byte(secret)) {
			t.Error("the event has the text in the clear")
		}
		if a, b := len(g.entry(id).Event.Payload), len(g.entry(short).Event.Payload); a != b {
			t.Errorf("a text of %d bytes takes %d, one of 1 takes %d: short messages should look alike", len(secret), a, b)
		}
		for name, value := range g.disk.values {
			if bytes.Contains(value, []byte(secret)) {
				t.Errorf("the value %s of %s has the text", name, g.name)
			}
		}
		for _, e := range g.disk.raft {
			if bytes.Contains(e.Data, []byte(secret)) {
				t.Errorf("the council's log of %s has the text", g.name)
			}
		}
	}
}

// groupOf is a device's group as its disk has it.
func (m *memory) groupOf(t *testing.T, c *Chat) *mls.Group {
	t.Helper()
	group, err := mls.Load(mlsRecords(m.saved(c.id).Secrets[spaceNow]), c.policy())
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// TestAKeyOpensOneMessageOnce takes a disk after messages were read: what stands on
// it opens none of them again.
func TestAKeyOpensOneMessageOnce(t *testing.T) {
	r := newRoom(t, 3)
	g := r.others(r.backup())[0]
	before := g.disk.groupOf(t, g.chat)
	id := r.says(r.backup(), "read once")
	payload := g.entry(id).Event.Payload
	if _, err := before.Receive(payload, time.Time{}); err != nil {
		t.Fatalf("the disk of before does not open it: %v", err)
	}
	if got, err := g.disk.groupOf(t, g.chat).Receive(payload, time.Time{}); err == nil {
		t.Errorf("the disk of after opens it again: %q", got.Data)
	}
}

// TestWhoWasRemovedOpensNothingLater takes all that a removed member has (C2).
func TestWhoWasRemovedOpensNothingLater(t *testing.T) {
	r := newRoom(t, 4)
	founder, out := r.guests[0], r.guests[3]
	stolen := out.disk.clone()
	if err := founder.chat.Remove(r.clock(), out.id); err != nil {
		t.Fatal(err)
	}
	r.pump()
	if !r.until(10_000, func() bool {
		return founder.chat.fold.Members[out.id] == nil && founder.chat.keys.current(founder.chat)
	}) {
		t.Fatalf("not removed\n%s", r)
	}
	r.guests = r.guests[:3]
	id := r.says(founder, "now that they are gone")
	payload := founder.entry(id).Event.Payload
	for name, disk := range map[string]*memory{"before": stolen, "after": out.disk} {
		for space, records := range disk.saved(founder.chat.id).Secrets {
			group, err := mls.Load(mlsRecords(records), founder.chat.policy())
			if err != nil {
				continue
			}
			if got, err := group.Receive(payload, time.Time{}); err == nil {
				t.Errorf("%s of the disk %s opens it: %q", space, name, got.Data)
			}
		}
	}
	r.agree("in the end")
}

// TestWhoJoinsOpensNothingEarlier gives a newcomer what was said before it came (C3).
func TestWhoJoinsOpensNothingEarlier(t *testing.T) {
	r := newRoom(t, 3)
	id := r.says(r.guests[1], "before you came")
	payload := r.guests[0].entry(id).Event.Payload
	key := r.invited(r.guests[0], 5)
	g := &guest{author: newAuthor(30), room: r, disk: newMemory()}
	ask, secrets := r.wishWith(g.author, key, func(*wire.JoinBody) {})
	r.guests = append(r.guests, g)
	r.comesIn(g, r.guests[1], "10.0.0.9:1", ask, secrets)
	r.run(3_000)
	r.agree("with the newcomer")
	if got, err := g.disk.groupOf(t, g.chat).Receive(payload, time.Time{}); err == nil {
		t.Errorf("the newcomer opens it: %q", got.Data)
	}
	r.goesOn()
	if err := g.tells(r.guests[0], &wire.Frame{Kind: &wire.Frame_RevealAsk{RevealAsk: &wire.RevealAsk{From: 1, To: 1 << 20}}}); err != nil {
		t.Fatal(err)
	}
	out, _ := r.guests[0].chat.Output()
	shown := 0
	for _, f := range out.Frames {
		for _, content := range f.Frame.GetRevealed().GetContents() {
			shown++
			if bytes.Contains(content.GetPlain(), []byte("before you came")) {
				t.Error("a member shows the newcomer what was said before")
			}
		}
	}
	if shown == 0 {
		t.Error("nothing at all is shown: the test asks wrongly")
	}
}

// TestAWelcomeIsForOneDevice has somebody else enter with the base of a joiner.
func TestAWelcomeIsForOneDevice(t *testing.T) {
	r := newRoom(t, 2)
	key := r.invited(r.guests[0], 5)
	joiner, thief := newAuthor(30), newAuthor(31)
	ask, secrets := r.wishWith(joiner, key, func(*wire.JoinBody) {})
	_, others := r.wishWith(joiner, key, func(*wire.JoinBody) {})
	var base *wire.Base
	r.until(5_000, func() bool {
		base = r.guests[1].chat.Ask(r.clock(), joiner.id, "10.0.0.9:1", ask).GetBase()
		return base != nil
	})
	if base == nil || len(base.GetWelcome()) == 0 {
		t.Fatal("no welcome")
	}
	enter := func(secrets *mls.KeyPackageSecrets) *Chat {
		g := &guest{author: joiner, room: r, disk: newMemory()}
		c, err := Enter(g.config(), r.clock(), base, secrets)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := enter(secrets); c.keys.group == nil || !c.keys.current(c) {
		t.Error("the joiner has no keys")
	}
	if c := enter(others); c.keys.group != nil {
		t.Error("another key package opens the welcome")
	}
	if c := enter(nil); c.keys.group != nil {
		t.Error("nobody's key package opens the welcome")
	}
	if err := CheckBase(base, r.guests[0].chat.id, thief.id, nil); err == nil {
		t.Error("the base is good for who is no member")
	}
}

// TestADeviceThatLostItsKeysComesBack takes the secrets from a disk. The device
// takes its place again and is shown what it could not open meanwhile.
func TestADeviceThatLostItsKeysComesBack(t *testing.T) {
	for _, suite := range []mls.Suite{mls.X25519, mls.XWing} {
		t.Run(fmt.Sprintf("suite %04x", uint16(suite)), func(t *testing.T) {
			r := newRoomIn(t, suite, 4)
			g := r.others(r.host())[0]
			r.says(g, "from before")
			r.loses(g)
			var missed []demes.EventID
			for i, by := range r.others(g) {
				id, err := by.chat.SendText(r.clock(), fmt.Sprint("missed ", i), nil, "")
				if err != nil {
					t.Fatal(err)
				}
				missed = append(missed, id)
			}
			r.run(1_000)
			g.disk.secrets = map[string]map[string][]byte{}
			c, err := Open(g.config(), r.clock(), g.disk.saved(g.chat.id))
			if err != nil {
				t.Fatal(err)
			}
			g.chat = c
			if c.keys.group != nil || authenticator(c) != nil {
				t.Fatal("the keys are not lost")
			}
			pending, err := c.SendText(r.clock(), "written without keys", nil, "")
			if err != nil {
				t.Fatal(err)
			}
			r.finds(g)
			if !r.until(20_000, func() bool {
				return g.chat.keys.group != nil && g.chat.keys.current(g.chat) && g.chat.reading.lacks.empty()
			}) {
				t.Fatalf("it does not come back; lacks %v\n%s", g.chat.reading.lacks, r)
			}
			r.settles(pending)
			r.agree("once it is back")
			for i, id := range missed {
				if v := g.shows(id); v.Text != fmt.Sprint("missed ", i) {
					t.Errorf("it shows %q, problem %v", v.Text, v.Problem)
				}
			}
			for _, other := range r.guests {
				if v := other.shows(pending); v.Text != "written without keys" {
					t.Errorf("%s shows %q, problem %v", other.name, v.Text, v.Problem)
				}
				if other.chat.fold.Members[g.id].RejoinedMs == 0 {
					t.Errorf("%s does not know that it came back", other.name)
				}
			}
			r.goesOn()
			if got := g.chat.fold.Members[g.id].SinceIndex; got == 0 || len(g.disk.secrets[spaceBack]) != 0 {
				t.Errorf("it is a member since %d, and keeps %d records of its way back", got, len(g.disk.secrets[spaceBack]))
			}
		})
	}
}

// TestWhatIsShownIsWhatWasSaid has members show contents that are others than those
// that authors committed to, or nothing.
func TestWhatIsShownIsWhatWasSaid(t *testing.T) {
	r := newRoom(t, 3)
	author, liar := r.guests[0], r.guests[1]
	g := r.guests[2]
	id := r.says(author, "the truth")
	index := g.entry(id).Index
	delete(g.disk.contents, id) // as if it had never had the keys
	forged, _ := wire.PutContent([16]byte{1}, &wire.MessageContent{Text: "a lie"})
	other, _ := wire.PutContent([16]byte{2}, &wire.MessageContent{Text: "the truth"})
	answer := func(from *guest, plain []byte) error {
		g.chat.reading.lacks, g.chat.reading.asked = span{index, index}, from.id
		m := &wire.Revealed{From: index, To: index}
		if plain != nil {
			m.Contents = []*wire.Content{{Device: id.Device[:], Seq: id.Seq, Plain: plain}}
		}
		err := from.tells(g, &wire.Frame{Kind: &wire.Frame_Revealed{Revealed: m}})
		out, _ := g.chat.Output()
		if out.Batch != nil {
			g.disk.commit(out.Batch)
		}
		g.chat.Advance()
		return err
	}
	for name, plain := range map[string][]byte{"another text": forged, "another salt": other, "garbage": {0xff, 1}, "nothing": {}, "what was deleted": gone} {
		if err := answer(liar, plain); err == nil && len(plain) > 1 {
			t.Errorf("%s is taken without a word", name)
		}
		if v := g.shows(id); v.Text != "" || g.chat.reading.lacks.empty() {
			t.Errorf("%s is shown: %+v", name, v)
		}
	}
	if err := answer(liar, nil); err != nil || g.chat.reading.lacks.empty() {
		t.Errorf("who has nothing to show: %v", err)
	}
	if err := answer(author, author.disk.plain(id)); err != nil {
		t.Fatal(err)
	}
	if v := g.shows(id); v.Text != "the truth" || !g.chat.reading.lacks.empty() {
		t.Errorf("it shows %+v in the end", v)
	}
	before := len(g.disk.contents)
	g.chat.reading.lacks, g.chat.reading.asked = span{index, index}, author.id
	if _ = liar.tells(g, &wire.Frame{Kind: &wire.Frame_Revealed{Revealed: &wire.Revealed{From: index, To: index}}}); len(g.disk.contents) != before || g.chat.reading.lacks.empty() {
		t.Error("an answer of who was not asked counts")
	}
}

// TestPastKeysAreBounded keeps the keys of past epochs for what comes late, and no
// longer.
func TestPastKeysAreBounded(t *testing.T) {
	r := newRoom(t, 3)
	g, author := r.guests[1], r.backup()
	if author == g {
		author = r.guests[2]
	}
	r.loses(author)
	if _, err := author.chat.SendText(r.clock(), "sealed before, come after", nil, ""); err != nil {
		t.Fatal(err)
	}
	author.chat.checked = true
	late := r.forges(author, demes.KindMessage, commitOf("late"), func(context demes.Hash) []byte {
		plain, _ := wire.PutContent([16]byte{1}, &wire.MessageContent{Text: "late"})
		return author.seal(plain, context[:])
	})
	author.chat.own.pending = nil // the forged one stands in its place
	all := r.guests
	r.guests = r.others(author)
	r.refreshes(r.guests[0])
	epoch := g.chat.keys.group.Epoch()
	past := func() (n int) {
		for space := range g.disk.secrets {
			if strings.HasPrefix(space, spacePast) {
				n++
			}
		}
		return n
	}
	if len(g.chat.keys.past) == 0 || past() != len(g.chat.keys.past) {
		t.Fatalf("%d past epochs are kept, %d on the disk", len(g.chat.keys.past), past())
	}
	if r2, known, err := g.chat.keys.openContent(late.Payload, epoch-1); !known || err != nil || leafDevice(r2.Leaf) != author.id {
		t.Errorf("what comes late does not open: known %v, %v", known, err)
	}
	for i := range MaxPastEpochs + 5 {
		c := g.chat
		c.keys.past = append(c.keys.past[:len(c.keys.past):len(c.keys.past)], pastKeys{epoch: uint64(1000 + i), untilMs: r.clock().Wall + PastKeysFor, group: c.keys.group.Freeze(), used: true})
		for len(c.keys.past) > MaxPastEpochs {
			c.keys.forgetPast(c)
		}
	}
	r.pump()
	if got := past(); got != MaxPastEpochs {
		t.Errorf("%d past epochs are on the disk, want %d", got, MaxPastEpochs)
	}
	g.chat.keys.schedulePrune()
	if d := g.chat.Deadline(); d == 0 {
		t.Error("nothing is due when keys are to go")
	}
	r.now += PastKeysFor
	g.chat.Tick(r.clock())
	g.turn()
	if got := past(); got != 0 || len(g.chat.keys.past) != 0 {
		t.Errorf("%d past epochs are kept when their time is over", got)
	}
	r.guests = all
}

func commitOf(text string) demes.Hash {
	_, commit := wire.PutContent([16]byte{1}, &wire.MessageContent{Text: text})
	return commit
}

// TestWhatIsSaidWaitsForARemoval says something while a removal is settled and not
// final: it goes out under keys that who is removed does not have.
func TestWhatIsSaidWaitsForARemoval(t *testing.T) {
	request := func(replaces []byte) *wire.Change {
		return add(&wire.JoinRequest{Body: wire.Marshal(&wire.JoinBody{Replaces: replaces})})
	}
	device := newAuthor(1).id
	for _, c := range []struct {
		name    string
		changes []*wire.Change
		waits   bool
	}{
		{"new keys", nil, false},
		{"an add", []*wire.Change{request(nil)}, false},
		{"a removal", []*wire.Change{remove(newAuthor(1))}, true},
		{"a removal beside an add", []*wire.Change{request(nil), remove(newAuthor(1))}, true},
		{"a device in another's place", []*wire.Change{request(device[:])}, true},
	} {
		r := newRoom(t, 2)
		chat := r.guests[1].chat
		chat.keys.add(&demes.Event{Payload: wire.Marshal(&wire.Commit{Changes: c.changes})}, 1<<40, at, nil)
		if got := !chat.keys.maySend(chat); got != c.waits {
			t.Errorf("behind %s that is not final, what is said waits: %v, want %v", c.name, got, c.waits)
		}
		chat.mode = demes.ModeProvisional
		if !chat.keys.maySend(chat) {
			t.Errorf("behind %s nothing can be said without a quorum", c.name)
		}
	}
}

// TestACommitSurvivesItsAuthorsRestart stops the author of a commit between its
// sending and its being final.
func TestACommitSurvivesItsAuthorsRestart(t *testing.T) {
	r := newRoom(t, 3)
	by := r.others(r.host())[0]
	joiner := newAuthor(40)
	key := r.invited(r.guests[0], 1)
	r.ask(by, joiner, r.wish(joiner, key, at+3_600_000))
	by.turn() // durable and sent; nothing else has happened
	if by.chat.own.commit == 0 || by.chat.keys.own == nil {
		t.Fatal("no commit is under way")
	}
	r.loses(by)
	c, err := Open(by.config(), r.clock(), by.disk.saved(by.chat.id))
	if err != nil {
		t.Fatal(err)
	}
	by.chat = c
	r.finds(by)
	if !r.until(10_000, func() bool { return by.chat.fold.Members[joiner.id] != nil && by.chat.keys.current(by.chat) }) {
		t.Fatalf("the commit did not settle, or its author lost its keys: %v\n%s", by.chat.keys.group == nil, r)
	}
	r.agree("after the restart")
	if by.chat.fold.Members[by.id].RejoinedMs != 0 {
		t.Error("the author of the commit had to come back by an external one")
	}
	r.goesOn()
}

// TestAWayBackThatLeadsNowhereIsGivenUp has a device without keys hold an external
// commit that nobody can follow, as it gets from who lies about the group: it asks
// others in turn.
func TestAWayBackThatLeadsNowhereIsGivenUp(t *testing.T) {
	r := newRoom(t, 4)
	g := r.others(r.host())[0]
	c := g.chat
	c.keys.lose(c)
	c.keys.back = &comeback{mls: []byte("nobody can follow this"), group: r.host().disk.groupOf(t, r.host().chat), epoch: c.fold.Epoch}
	if !r.until(60_000, func() bool { return c.keys.group != nil && c.keys.current(c) }) {
		t.Fatalf("it waits for ever for what never settles\n%s", r)
	}
	r.agree("once it is back")
	c.keys.lose(c)
	liar := r.others(g, r.host())[0]
	c.keys.backDoubt, c.keys.backFrom = true, r.host().id
	info, err := liar.chat.keys.group.GroupInfo(false)
	if err != nil {
		t.Fatal(err)
	}
	if _ = liar.tells(g, &wire.Frame{Kind: &wire.Frame_KeysInfo{KeysInfo: &wire.KeysInfo{Epoch: c.fold.Epoch, GroupInfo: info}}}); c.keys.back != nil {
		t.Error("after a lie, one is believed who was not asked")
	}
	if !r.until(RejoinGap+60_000, func() bool { return c.keys.group != nil && c.keys.current(c) }) {
		t.Fatalf("it does not come back a second time\n%s", r)
	}
	if c.keys.backDoubt {
		t.Error("it doubts for ever")
	}
}
