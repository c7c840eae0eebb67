package sim

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// anyLeaf is the policy of who breaks in: it takes whatever opens something.
var anyLeaf = mls.Policy{MaxLifetime: -1, Credential: func(mls.Admission) error { return nil }}

// thief has copied a disk, and tries all keys on it.
type thief []*mls.Group

// steal loads every group that a disk holds: the newest, those of past epochs, the
// way back, and where an own commit leads.
func steal(d *disk) (t thief) {
	secrets := d.loadSecrets()
	for _, space := range slices.Sorted(maps.Keys(secrets)) {
		var records []mls.Record
		for _, v := range secrets[space] {
			if space != "back" || v.Name != "commit" && v.Name != "ends" {
				records = append(records, mls.Record{Name: v.Name, Value: v.Data})
			}
		}
		group, err := mls.Load(records, anyLeaf)
		if err != nil {
			continue // an own commit, which is none by itself
		}
		t = append(t, group)
		for _, own := range secrets["own"] {
			next := copyOf(group)
			if staged, err := next.ParseStaged(own.Data); err == nil && next.Merge(staged) == nil {
				t = append(t, next)
			}
		}
	}
	return t
}

// copyOf makes another group of the same records.
func copyOf(g *mls.Group) *mls.Group {
	out, err := mls.Load(g.Records(), anyLeaf)
	if err != nil {
		panic(err)
	}
	return out
}

// follow has the thief take the commits of a log as far as its keys go.
func (t thief) follow(log []chat.SettledEntry) thief {
	for _, s := range log {
		commit := &wire.Commit{}
		if s.Event == nil || s.Event.Kind != demes.KindCommit || wire.Unmarshal(s.Event.Payload, commit) != nil {
			continue
		}
		for _, g := range slices.Clone(t) {
			next := copyOf(g)
			r, err := next.Receive(commit.GetMls(), time.UnixMilli(s.LogMs))
			if err == nil && r.Commit != nil && next.Merge(r.Commit) == nil && !next.Expelled() {
				t = append(t, next)
			}
		}
	}
	return t
}

// opens reports whether any of the keys opens a sealed payload.
func (t thief) opens(payload []byte) bool {
	for _, g := range t {
		if r, err := g.Receive(payload, time.Time{}); err == nil && r.Data != nil {
			return true
		}
	}
	return false
}

// messages are the settled messages of a log between two indices, the second not
// included.
func messages(d *disk, from, to uint64) (out []chat.SettledEntry) {
	for _, s := range d.settled {
		if s.Index >= from && s.Index < to && s.Event != nil && s.Event.Kind == demes.KindMessage && s.Void == "" {
			out = append(out, s)
		}
	}
	return out
}

// chatter has every running member say so many things.
func chatter(t *testing.T, w *World, what string, n int) {
	t.Helper()
	for i := range n {
		for _, node := range w.members() {
			if err := node.Say(fmt.Sprint(what, " ", i)); err != nil {
				t.Fatalf("seed %d: %s: %v", w.Seed, node.Name, err)
			}
		}
		w.Run(100)
	}
	settle(t, w, 15_000)
}

const endOfLog = 1 << 62

// renewed lets a time pass in which members renew their keys, so that there are
// past epochs.
func renewed(t *testing.T, w *World) {
	t.Helper()
	epoch := w.Nodes[0].chat.Fold().Epoch
	for range 4 {
		w.skip(chat.RefreshGap + 1)
		w.Run(5_000)
		chatter(t, w, "in between", 1)
	}
	if now := w.Nodes[0].chat.Fold().Epoch; now <= epoch {
		t.Fatalf("seed %d: nobody renewed its keys: epoch %d", w.Seed, now)
	}
}

// TestARemovedMembersDiskOpensNothingLater removes a member that is away and keeps
// all it ever had (C2).
func TestARemovedMembersDiskOpensNothingLater(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	w := live(t, 1, 5, lan)
	chatter(t, w, "with everybody", 3)
	renewed(t, w)
	gone, founder := w.Nodes[3], w.Nodes[0]
	gone.Crash()
	known := founder.chat.Fold().Head.Index + 1
	chatter(t, w, "while it is away", 2)
	stolen := steal(gone.disk.clone())
	var err error
	founder.input(func() { err = founder.chat.Remove(founder.clock(), gone.ID) })
	if err != nil {
		t.Fatal(err)
	}
	w.removed[gone.ID] = true
	if !w.Until(30_000, func() bool { return founder.chat.Fold().Members[gone.ID] == nil }) {
		t.Fatalf("not removed\n%s", w.Describe())
	}
	removed := founder.chat.Fold().Head.Index
	chatter(t, w, "without it", 3)
	w.skip(chat.RefreshEvery)
	w.Run(700_000) // all renew their keys
	chatter(t, w, "much later", 2)

	later := messages(founder.disk, removed, endOfLog)
	if len(later) < 20 {
		t.Fatalf("only %d messages were said after it was removed", len(later))
	}
	stolen = stolen.follow(founder.disk.settled)
	for _, s := range later {
		if stolen.opens(s.Event.Payload) {
			t.Errorf("C2: the removed member's disk opens entry %d, said after entry %d", s.Index, removed)
		}
	}
	// What was said before it was removed those keys do open: the test can fail.
	for _, s := range messages(founder.disk, known, removed) {
		if s.Event.ID.Device != gone.ID && !stolen.opens(s.Event.Payload) {
			t.Errorf("the keys do not open entry %d, which was said to their owner", s.Index)
		}
	}
}

// TestAJoinersDiskOpensNothingEarlier takes in a member that asks everybody for
// everything (C3).
func TestAJoinersDiskOpensNothingEarlier(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 2)
	w := live(t, 2, 3, lan)
	chatter(t, w, "not for late ears", 4)
	renewed(t, w)
	secret := []byte("sixteen bytes !!")
	if err := w.Invite(0, secret); err != nil {
		t.Fatal(err)
	}
	w.Run(2_000)
	joiner := w.addLate(1)[0]
	var told []*wire.Frame // to the joiner, by anybody
	w.watch = func(_ *Node, f chat.Outgoing) {
		if f.To == joiner.ID {
			told = append(told, f.Frame)
		}
	}
	w.JoinBy(joiner.index, 0, secret)
	if !w.Until(30_000, func() bool { return joiner.chat != nil && joiner.chat.View().Keys.State == demes.KeysGood }) {
		t.Fatalf("the joiner does not come in\n%s", w.Describe())
	}
	since := joiner.chat.Fold().Members[joiner.ID].SinceIndex
	chatter(t, w, "for all ears", 3)
	greedy := turnBad(joiner)
	for _, n := range w.Up() {
		for from := uint64(1); from <= since; from += 7 {
			greedy.say(n, &wire.Frame{Kind: &wire.Frame_RevealAsk{RevealAsk: &wire.RevealAsk{From: from, To: 1 << 40}}})
			greedy.say(n, &wire.Frame{Kind: &wire.Frame_Fetch{Fetch: &wire.Fetch{From: from}}})
		}
		for e := range uint64(20) {
			greedy.say(n, &wire.Frame{Kind: &wire.Frame_KeysAsk{KeysAsk: &wire.KeysAsk{Epoch: e}}})
		}
		greedy.say(n, &wire.Frame{Kind: &wire.Frame_Have{Have: &wire.Have{}}})
		w.Run(1_000)
	}

	early := messages(w.Nodes[0].disk, 1, since)
	if len(early) < 12 {
		t.Fatalf("only %d messages were said before it came", len(early))
	}
	keys := steal(joiner.disk)
	for _, s := range early {
		if keys.opens(s.Event.Payload) {
			t.Errorf("C3: the joiner's disk opens entry %d, said before it came at %d", s.Index, since)
		}
		if _, has := joiner.disk.contents[s.Event.ID]; has {
			t.Errorf("C3: the joiner has the content of entry %d, said before it came at %d", s.Index, since)
		}
	}
	shown := false
	for _, f := range told {
		raw := wire.Marshal(f)
		if bytes.Contains(raw, []byte("not for late ears")) || bytes.Contains(raw, []byte("in between")) {
			t.Errorf("C3: a %T shows the joiner what was said before it came", f.GetKind())
		}
		shown = shown || bytes.Contains(raw, []byte("for all ears"))
	}
	if !shown {
		t.Error("nobody showed the joiner what it may be shown, so that the test sees nothing")
	}
	goesOn(t, w)
}

// reopened lets a group chat, and reports what a disk opens a second time (C2: the
// keys of a message go when it was read).
func reopened(t *testing.T, seed uint64, planted chat.Planted) (twice []string) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	w := live(t, seed, 3, Net{DelayMin: 1, DelayMax: 20, Jitter: 5, Fsync: 4, Planted: planted})
	chatter(t, w, "read once", 3)
	w.Partition(2) // what comes late, of a past epoch, is read once as well
	_ = w.Nodes[2].Say("from afar")
	renewed := func() bool { return w.Nodes[0].chat.Fold().Epoch > 2 }
	for !renewed() && w.now < 40*chat.RefreshGap {
		w.skip(chat.RefreshGap)
		w.Run(30_000)
	}
	w.Partition()
	chatter(t, w, "read later", 2)
	for _, n := range w.Nodes {
		twice = append(twice, w.check.spent(n)...)
	}
	return twice
}

func TestAReadersDiskOpensNothingTwice(t *testing.T) {
	for seed := range uint64(4) {
		if twice := reopened(t, seed, chat.Planted{}); len(twice) > 0 {
			t.Errorf("seed %d: %s", seed, strings.Join(twice, "\n"))
		}
	}
	if len(reopened(t, 0, chat.Planted{Keep: true})) == 0 {
		t.Error("keys that stay are not noticed")
	}
}

// spent lists what a node has read and its disk opens a second time.
func (c *checker) spent(n *Node) (twice []string) {
	keys := steal(n.disk)
	for _, s := range messages(n.disk, 1, endOfLog) {
		content, read := n.disk.contents[s.Event.ID]
		if read && len(content.Plain) > 1 && s.Event.ID.Device != n.ID && keys.opens(s.Event.Payload) {
			twice = append(twice, fmt.Sprintf("C2: the disk of %s opens entry %d, which it has read, a second time", n.Name, s.Index))
		}
	}
	return twice
}
