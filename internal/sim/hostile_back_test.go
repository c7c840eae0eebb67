package sim

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// TestAPathThatOneMemberCannotOpen has a commit that is good for all but one: it
// takes effect, and that one comes back by itself and reads everything.
func TestAPathThatOneMemberCannotOpen(t *testing.T) {
	w, v := keyBesieged(t, 0, chat.Planted{})
	var victim *Node
	for job := 0; job < 8 && victim == nil; job++ {
		v.skip = func(i int) bool { return i == job }
		staged, err := v.copied().Commit(mls.Commit{}, time.UnixMilli(v.fold.LogMs))
		if err != nil {
			t.Fatal(err)
		}
		var blind []*Node
		for _, n := range w.Up() {
			if _, err := n.group().Receive(staged.Message, time.UnixMilli(v.fold.LogMs)); err != nil {
				blind = append(blind, n)
			}
		}
		if len(blind) == 1 {
			victim = blind[0]
		}
	}
	if victim == nil {
		t.Fatal("no path secret is sealed to one member alone")
	}
	bad := map[string]bool{}
	w.watch = func(from *Node, f chat.Outgoing) {
		if j := f.Frame.GetJudge(); j != nil && !j.GetGood() {
			bad[from.Name] = true
		}
	}
	v.toAll(v.commit(&wire.Commit{}, mls.Commit{}, nil))
	if !w.Until(20_000, func() bool { return w.Nodes[0].chat.Fold().Epoch == v.fold.Epoch+2 && victim.hasKeys() }) {
		t.Fatalf("%s does not come back\n%s", victim.Name, w.Describe())
	}
	if victim != w.Host() && (len(bad) != 1 || !bad[victim.Name]) {
		t.Errorf("judged bad by %v, want %s alone", bad, victim.Name)
	}
	w.watch = nil
	goesOn(t, w)
}

// wrongKey is a group info of the villain's epoch, rightly signed, with another
// external key in it.
func (v *keyVillain) wrongKey() []byte {
	info, err := v.keys.GroupInfo(false)
	if err != nil {
		v.t.Fatal(err)
	}
	cut := len(info) - signatureLen
	r := tls(info[4+len(v.secrets.context):])
	for list := tls(r.vector()); len(list) > 0; {
		kind := list.take(2)
		if data := list.vector(); kind[1] == byte(mls.ExtensionExternalPub) {
			data[9] ^= 1
		}
	}
	out := append(info[:cut:cut], vector(v.signed("GroupInfoTBS", info[4:cut]))...)
	if _, err := mls.Observe(out, v.keys.Tree(), anyLeaf); err != nil {
		v.t.Fatalf("the lie is no good: %v", err)
	}
	return out
}

// TestALyingWayBack has a device that lost its keys be told of a group that is not
// the chat's as it stands, before anybody tells the truth.
func TestALyingWayBack(t *testing.T) {
	info := func(v *keyVillain, g *mls.Group) []byte {
		out, err := g.GroupInfo(false)
		if err != nil {
			v.t.Fatal(err)
		}
		return out
	}
	for i, lie := range []struct {
		name string
		of   func(v *keyVillain) []byte
		then bool // an epoch begins before the device asks
	}{
		{"of an epoch that is over", func(v *keyVillain) []byte { return info(v, v.keys) }, true},
		{"of a fork", func(v *keyVillain) []byte {
			g := v.copied()
			staged, err := g.Commit(mls.Commit{}, time.UnixMilli(v.fold.LogMs))
			if err != nil || g.Merge(staged) != nil {
				v.t.Fatal(err)
			}
			return info(v, g)
		}, true},
		{"of another group", func(v *keyVillain) []byte {
			_, _ = v.stranger(1)
			other := newNode(v.world, 800)
			other.request(nil)
			g, err := mls.Create(v.keys.ID(), other.keys, anyLeaf)
			if err != nil {
				v.t.Fatal(err)
			}
			return info(v, g)
		}, false},
		{"with another external key", func(v *keyVillain) []byte { return v.wrongKey() }, false},
		{"that is none", func(*keyVillain) []byte { return []byte("this way") }, false},
	} {
		t.Run(lie.name, func(t *testing.T) {
			w, v := keyBesieged(t, 50+uint64(i), chat.Planted{})
			told := lie.of(v)
			if lie.then {
				w.Nodes[1].loseKeys(t)
				w.Until(20_000, w.Nodes[1].hasKeys)
				settle(t, w, 5_000)
			}
			victim, asked := w.Nodes[4], 0
			w.watch = func(from *Node, f chat.Outgoing) {
				if from == victim && f.Frame.GetKeysAsk() != nil {
					asked++
					for _, epoch := range []uint64{v.fold.Epoch, f.Frame.GetKeysAsk().GetEpoch()} {
						v.say(victim, &wire.Frame{Kind: &wire.Frame_KeysInfo{KeysInfo: &wire.KeysInfo{Epoch: epoch, GroupInfo: told}}})
					}
				}
			}
			victim.loseKeys(t)
			if !w.Until(chat.RejoinGap, func() bool { return asked > 0 && victim.hasKeys() }) {
				t.Fatalf("asked %d times, it does not come back\n%s", asked, w.Describe())
			}
			goesOn(t, w)
		})
	}
}

// TestContentsThatAreShownWrongly has a member show a device that lost its keys
// other contents than were said.
func TestContentsThatAreShownWrongly(t *testing.T) {
	asked, played := 0, 0
	for seed := uint64(60); played < 3; seed++ {
		first := func(i int) demes.DeviceID { return demes.DeviceID(key(900+seed, i).Public().(ed25519.PublicKey)) }
		if liar := first(3); liar.Compare(first(0)) < 0 && liar.Compare(first(1)) < 0 && liar.Compare(first(2)) < 0 {
			asked += shownWrongly(t, seed) // it is asked first
			played++
		}
	}
	if asked == 0 {
		t.Error("nobody asked the liar, so that the test sees nothing")
	}
}

// shownWrongly plays it once, and returns how often the liar was asked.
func shownWrongly(t *testing.T, seed uint64) (asked int) {
	t.Helper()
	w, v := keyBesieged(t, seed, chat.Planted{})
	victim := w.Nodes[4]
	victim.links[v.ID].delay = 1
	victim.Crash()
	for _, n := range w.Up() {
		_ = n.Say("said while one was away, by " + n.Name)
	}
	w.Run(1_000)
	victim.disk.loseSecrets("now")
	w.watch = func(from *Node, f chat.Outgoing) {
		ask := f.Frame.GetRevealAsk()
		if from != victim || ask == nil {
			return
		}
		if f.To == v.ID {
			asked++
		}
		lie := &wire.Revealed{From: ask.GetFrom(), To: ask.GetTo()}
		for _, s := range messages(w.Nodes[0].disk, ask.GetFrom(), ask.GetTo()+1) {
			plain, _ := wire.PutContent([16]byte{7}, &wire.MessageContent{Text: "never said"})
			lie.Contents = append(lie.Contents, &wire.Content{Device: s.Event.ID.Device[:], Seq: s.Event.ID.Seq, Plain: plain})
		}
		v.say(victim, &wire.Frame{Kind: &wire.Frame_Revealed{Revealed: lie}})
		v.say(victim, &wire.Frame{Kind: &wire.Frame_Revealed{Revealed: &wire.Revealed{From: 1, To: 1 << 62}}})
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	far := v.fold.Head
	far.Index += 1 << 20
	for i := range int64(30) { // it seems to have come far enough to be asked
		w.At(20*i, func() {
			v.say(victim, &wire.Frame{Kind: &wire.Frame_Have{Have: &wire.Have{Head: wire.PutHead(far), Answer: true}}})
		})
	}
	if !w.Until(30_000, func() bool { return victim.hasKeys() && w.check.unread(victim) == "" }) {
		t.Fatalf("it does not read everything again\n%s", w.Describe())
	}
	goesOn(t, w)
	return asked
}

// TestTwoRemovalsAtOnce has two members with the right to it remove two others in
// the same epoch: both take effect.
func TestTwoRemovalsAtOnce(t *testing.T) {
	for seed := range uint64(4) {
		cryptotest.SetGlobalRandom(t, seed)
		w := live(t, 970+seed, 6, lan)
		settleQuiet(t, w)
		founder, admin := w.Nodes[0], w.Nodes[1]
		founder.input(func() {
			_ = founder.chat.SetRole(founder.clock(), founder.chat.Fold().Members[admin.ID].Account, demes.RoleAdmin)
		})
		w.Until(5_000, func() bool { return admin.chat.Fold().Members[admin.ID].Role == demes.RoleAdmin })
		for i, n := range []*Node{founder, admin} {
			who := w.Nodes[3+i]
			w.removed[who.ID] = true
			n.input(func() {
				if err := n.chat.Remove(n.clock(), who.ID); err != nil {
					t.Error(err)
				}
			})
		}
		if !w.Until(20_000, func() bool { return len(founder.chat.Fold().Members) == 4 }) {
			t.Fatalf("seed %d: not both are removed\n%s", w.Seed, w.Describe())
		}
		goesOn(t, w)
	}
}

// TestARemovedMemberCommitsNothing has a member that was removed go on as if it had
// not been, with all that it has and what a friend tells it.
func TestARemovedMemberCommitsNothing(t *testing.T) {
	w, v := keyBesieged(t, 61, chat.Planted{})
	founder := w.Nodes[0]
	founder.input(func() {
		if err := founder.chat.Remove(founder.clock(), v.ID); err != nil {
			t.Error(err)
		}
	})
	w.removed[v.ID] = true
	if !w.Until(20_000, func() bool { return founder.chat.Fold().Members[v.ID] == nil }) {
		t.Fatalf("not removed\n%s", w.Describe())
	}
	settle(t, w, 5_000)
	epoch := founder.chat.Fold().Epoch
	info, err := w.Nodes[2].group().GroupInfo(true)
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := v.keys.Suite().ParseSigningKey(v.secrets.signer) // its old leaf key
	join := mls.ExternalJoin{
		Profile:           mls.Profile{Suite: v.keys.Suite(), Credential: v.keys.Leaf(v.keys.Self()).Credential, Key: signer},
		AuthenticatedData: wire.SealVoucher(v.key, w.Chat, epoch, signer.Public()),
	}
	_, external, err := mls.JoinExternal(info, nil, join, anyLeaf)
	if err != nil {
		t.Fatal(err)
	}
	v.toAll(v.commit(&wire.Commit{}, mls.Commit{}, nil), v.commit(&wire.Commit{Epoch: epoch, Mls: external}, mls.Commit{}, nil))
	for _, n := range w.Up() {
		v.say(n, &wire.Frame{Kind: &wire.Frame_Rejoin{Rejoin: &wire.Rejoin{Epoch: epoch, Mls: external}}})
		v.say(n, &wire.Frame{Kind: &wire.Frame_KeysAsk{KeysAsk: &wire.KeysAsk{Epoch: epoch}}})
		v.say(n, &wire.Frame{Kind: &wire.Frame_RevealAsk{RevealAsk: &wire.RevealAsk{From: 1, To: 1 << 40}}})
	}
	told := 0
	w.watch = func(_ *Node, f chat.Outgoing) {
		if f.To == v.ID && (f.Frame.GetKeysInfo() != nil || f.Frame.GetRevealed() != nil || f.Frame.GetEvents() != nil) {
			told++
		}
	}
	goesOn(t, w)
	if now := founder.chat.Fold().Epoch; now != epoch || told > 0 {
		t.Errorf("epoch %d, want %d; told %d times", now, epoch, told)
	}
}

// TestAWelcomeThatDoesNotFit gives joiners everything but the way into the group:
// they come in by an external commit.
func TestAWelcomeThatDoesNotFit(t *testing.T) {
	for i, spoil := range []func(b *wire.Base){
		func(b *wire.Base) { b.Welcome = nil },
		func(b *wire.Base) { b.Welcome = []byte("come in") },
		func(b *wire.Base) { b.Welcome[len(b.Welcome)-5] ^= 1 },
	} {
		cryptotest.SetGlobalRandom(t, uint64(i))
		w := live(t, 980+uint64(i), 3, lan)
		chatter(t, w, "before", 1)
		secret := []byte("sixteen bytes !!")
		if err := w.Invite(0, secret); err != nil {
			t.Fatal(err)
		}
		w.Run(2_000)
		w.welcoming = spoil
		late := w.addLate(1)[0]
		w.JoinBy(late.index, 0, secret)
		if !w.Until(30_000, func() bool { return late.chat != nil && late.hasKeys() }) {
			t.Fatalf("%d: it does not come in\n%s", i, w.Describe())
		}
		goesOn(t, w)
	}
}

// TestAMemberBehindManyEpochs has a member be away for more epochs than past keys
// are kept: it follows all of them, and is shown what it cannot open any more.
func TestAMemberBehindManyEpochs(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	w := live(t, 990, 5, lan)
	settleQuiet(t, w)
	away := w.Nodes[4]
	away.Crash()
	epoch := w.Nodes[0].chat.Fold().Epoch
	for round := 0; w.Nodes[0].chat.Fold().Epoch < epoch+chat.MaxPastEpochs+10; round++ {
		if round > 60 {
			t.Fatalf("keys change too seldom\n%s", w.Describe())
		}
		n := w.Nodes[1+round%3]
		n.loseKeys(t)
		if !w.Until(20_000, n.hasKeys) {
			t.Fatalf("%s does not come back\n%s", n.Name, w.Describe())
		}
		for _, other := range w.Up() {
			_ = other.Say(fmt.Sprint("in round ", round))
		}
		w.Run(500)
		if round%3 == 2 {
			w.skip(chat.RejoinGap)
			w.Run(2_000)
		}
	}
	shown := 0
	w.watch = func(_ *Node, f chat.Outgoing) {
		if f.To == away.ID {
			shown += len(f.Frame.GetRevealed().GetContents())
		}
	}
	if err := away.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, w, 60_000)
	if shown == 0 {
		t.Error("nothing had to be shown: all past keys are kept")
	}
	goesOn(t, w)
}
