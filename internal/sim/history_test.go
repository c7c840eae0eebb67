package sim

import (
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

var historySecret = []byte("sixteen bytes !!")

// withHistory is a live chat of n in which 30 things were said, that has an invite
// which shares them or not, and a newcomer without the chat.
func withHistory(t *testing.T, seed uint64, n int, shared bool) (w *World, late *Node) {
	t.Helper()
	w = live(t, seed, n, lan)
	for i := range 30 {
		_ = w.Nodes[i%n].Say(fmt.Sprint("said before ", i))
		w.Run(30)
	}
	settle(t, w, 10_000)
	if err := w.invite(0, historySecret, shared); err != nil {
		t.Fatal(err)
	}
	settle(t, w, 10_000)
	return w, w.addLate(1)[0]
}

// told reports whether a node has all of the history that it may see, and can
// read it.
func told(w *World, n *Node) bool {
	if n.chat == nil || n.chat.View().History != nil || n.chat.View().Keys.Missing != nil || n.busy {
		return false
	}
	return w.Settled()
}

// sameHistory checks that a node shows what another does, at the same positions.
func sameHistory(t *testing.T, w *World, n, other *Node) {
	t.Helper()
	if len(n.disk.settled) != len(other.disk.settled) {
		t.Fatalf("seed %d: %s has %d settled entries, %s has %d", w.Seed, n.Name, len(n.disk.settled), other.Name, len(other.disk.settled))
	}
	for i, s := range n.disk.settled {
		o := other.disk.settled[i]
		if s.Index != o.Index || s.Position != o.Position || s.Hash != o.Hash || s.Void != o.Void || s.LogMs != o.LogMs {
			t.Fatalf("seed %d: entry %d of %s is %+v, of %s %+v", w.Seed, i, n.Name, s, other.Name, o)
		}
		if s.Position == 0 {
			continue
		}
		mine, theirs := n.chat.Message(chat.SettledEntry{Index: s.Index, Position: s.Position, Event: n.disk.read(s.Event)}), other.chat.Message(chat.SettledEntry{Index: o.Index, Position: o.Position, Event: other.disk.read(o.Event)})
		if mine.Text != theirs.Text || mine.Text == "" {
			t.Fatalf("seed %d: %s shows %q at %d, %s %q", w.Seed, n.Name, mine.Text, s.Position, other.Name, theirs.Text)
		}
	}
	if len(n.disk.past) > 0 {
		t.Errorf("seed %d: %s keeps %d unproven entries", w.Seed, n.Name, len(n.disk.past))
	}
}

func TestANewcomerWithHistorySeesWhatWasSaid(t *testing.T) {
	for seed := range uint64(4) {
		w, late := withHistory(t, 400+seed, 3, true)
		w.JoinBy(late.index, 0, historySecret)
		if !w.Until(20_000, func() bool { return told(w, late) }) {
			t.Fatalf("seed %d: no history\n%s", w.Seed, w.Describe())
		}
		sameHistory(t, w, late, w.Nodes[0])
		_ = late.Say("thank you")
		settle(t, w, 5_000)
		w.Run(10_000)
		if at := late.chat.Deadline(); at != 0 && at < late.clock().Mono+10_000 {
			t.Errorf("seed %d: a history that is there wakes the chat in %d ms", w.Seed, at-late.clock().Mono)
		}
	}
}

// TestANewcomerWithoutHistoryGetsNone also asks for it as a program of its own making
// would.
func TestANewcomerWithoutHistoryGetsNone(t *testing.T) {
	w, late := withHistory(t, 410, 3, false)
	w.JoinBy(late.index, 0, historySecret)
	if !w.Until(20_000, func() bool { return late.chat != nil && w.Settled() }) {
		t.Fatalf("the newcomer did not come in\n%s", w.Describe())
	}
	since := late.chat.Fold().Members[late.ID].SinceIndex
	if late.chat.View().History != nil || len(late.disk.settled) > 0 && late.disk.settled[0].Index < since {
		t.Errorf("it has the log from before %d, where it came", since)
	}
	_ = w.Nodes[0].Say("since then")
	settle(t, w, 5_000)
	got := 0
	w.watch = func(from *Node, f chat.Outgoing) {
		if f.To != late.ID {
			return
		}
		for _, content := range f.Frame.GetRevealed().GetContents() {
			t.Errorf("%s shows it %d of %x", from.Name, content.GetSeq(), content.GetDevice()[:4])
		}
		if s := f.Frame.GetSettled(); s != nil && len(s.GetEntries()) > 0 && s.GetFrom() < since {
			t.Errorf("%s sends it the log from %d on", from.Name, s.GetFrom())
		}
		for _, e := range f.Frame.GetEvents().GetEvents() {
			if event, err := wire.OpenEvent(e); err == nil && w.check.texts[event.ID] != nil && w.check.texts[event.ID][0] != "since then" {
				t.Errorf("%s sends it %s", from.Name, event.ID)
			}
		}
		got++
	}
	v := turnBad(late)
	for _, to := range w.Nodes[:3] {
		for from := range uint64(5) {
			for _, history := range []bool{false, true} {
				v.say(to, &wire.Frame{Kind: &wire.Frame_Fetch{Fetch: &wire.Fetch{From: from, History: history}}})
			}
			v.say(to, &wire.Frame{Kind: &wire.Frame_RevealAsk{RevealAsk: &wire.RevealAsk{From: max(from, 1), To: since - 1}}})
		}
	}
	w.Run(2_000)
	w.Partition(0, late.index) // without a host everybody sends what the other seems to lack
	w.Run(5_000)
	v.say(w.Nodes[0], &wire.Frame{Kind: &wire.Frame_Have{Have: &wire.Have{Head: &wire.Head{Generation: v.fold.Head.Generation}}}})
	w.Run(2_000)
	if got == 0 {
		t.Error("nobody answered at all: the test asks wrongly")
	}
}

// TestAHistoryOfLiesIsFoundOut has all but one tell another history. In which term
// and at which place of the council's log an old event stood is not proven, and
// changes nothing.
func TestAHistoryOfLiesIsFoundOut(t *testing.T) {
	lies := map[string]func(entries []*wire.SettledEntry) []*wire.SettledEntry{
		"one dropped": func(e []*wire.SettledEntry) []*wire.SettledEntry { return append(e[:9:9], e[10:]...) },
		"two changed places": func(e []*wire.SettledEntry) []*wire.SettledEntry {
			for i := len(e) - 1; i > 0; i-- { // of two that do not know of each other, neither comes too early
				if a, b := e[i-1].GetEvent(), e[i].GetEvent(); a != nil && b != nil {
					e[i-1], e[i] = e[i], e[i-1]
					return e
				}
			}
			return e
		},
		"another time": func(e []*wire.SettledEntry) []*wire.SettledEntry { e[12].LogMs++; return e },
		"another payload": func(e []*wire.SettledEntry) []*wire.SettledEntry {
			e[len(e)-3].GetEvent().Payload = []byte("x")
			return e
		},
		"another signature": func(e []*wire.SettledEntry) []*wire.SettledEntry {
			for _, one := range e[20:] {
				if one.GetEvent() != nil {
					one.GetEvent().Signature[3] ^= 1
				}
			}
			return e
		},
		"the beginning again": func(e []*wire.SettledEntry) []*wire.SettledEntry { return append(e[:5:5], e...) },
		"another term":        func(e []*wire.SettledEntry) []*wire.SettledEntry { e[7].Term += 9; return e },
		"another slot":        func(e []*wire.SettledEntry) []*wire.SettledEntry { e[len(e)-1].Slot++; return e },
		"nothing":             func([]*wire.SettledEntry) []*wire.SettledEntry { return nil },
		"what is held": func(e []*wire.SettledEntry) []*wire.SettledEntry {
			e[3].What = &wire.SettledEntry_Held{Held: &wire.Mark{}}
			return e
		},
		"nonsense": func([]*wire.SettledEntry) []*wire.SettledEntry { return []*wire.SettledEntry{{}, nil} },
	}
	for name, lie := range lies {
		seed := uint64(421)
		t.Run(name, func(t *testing.T) {
			w, late := withHistory(t, seed, 3, true)
			lied := 0
			w.tamper = func(from *Node, f chat.Outgoing) bool {
				s := f.Frame.GetSettled()
				if from == w.Nodes[1] || !s.GetHistory() || len(s.GetEntries()) < 20 {
					return false
				}
				copied := &wire.Settled{}
				_ = wire.Unmarshal(wire.Marshal(s), copied) // the events are the liar's own, too
				copied.Entries = lie(copied.Entries)
				f.Frame.Kind = &wire.Frame_Settled{Settled: copied}
				lied++
				return true
			}
			w.JoinBy(late.index, 0, historySecret)
			if !w.Until(30_000, func() bool { return told(w, late) }) {
				t.Fatalf("seed %d: no history after a lie\n%s", w.Seed, w.Describe())
			}
			if lied == 0 {
				t.Fatalf("seed %d: nobody lied", w.Seed)
			}
			sameHistory(t, w, late, w.Nodes[1])
		})
	}
}

// TestHistoryGoesOnAfterEveryCrash crashes the newcomer after each batch that it
// keeps.
func TestHistoryGoesOnAfterEveryCrash(t *testing.T) {
	for step := 1; ; step++ {
		w, late := withHistory(t, 440, 3, true)
		kept := 0
		w.kept = func(n *Node, _ *chat.Batch) {
			if n == late {
				if kept++; kept == step {
					w.At(0, late.Crash)
					w.At(500, func() {
						if err := late.Start(); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
		w.JoinBy(late.index, 0, historySecret)
		if !w.Until(40_000, func() bool { return late.up && told(w, late) }) {
			t.Fatalf("crash after batch %d: no history\n%s", step, w.Describe())
		}
		sameHistory(t, w, late, w.Nodes[0])
		if kept < step {
			t.Logf("a newcomer keeps %d batches", kept)
			break
		}
	}
}

// another makes a node a further device of another's account.
func (n *Node) another(of *Node, replaces bool) *wire.JoinAsk {
	n.cert = wire.SealCert(key(n.world.Seed, of.index+1000), n.ID, 2)
	ask := n.request(nil)
	if !replaces {
		return ask
	}
	body := &wire.JoinBody{}
	_ = wire.Unmarshal(ask.GetRequest().GetBody(), body)
	body.Replaces = of.ID[:]
	return &wire.JoinAsk{KeyPackage: ask.GetKeyPackage(), Request: wire.SealJoin(n.key, nil, body)}
}

// TestAFurtherDeviceSeesWhatItsPersonMay has a person come in the middle, without
// history, and then with a second device, and with a third that takes the place of
// the first.
func TestAFurtherDeviceSeesWhatItsPersonMay(t *testing.T) {
	for seed := range uint64(3) {
		w, first := withHistory(t, 450+seed, 3, false)
		w.JoinBy(first.index, 0, historySecret)
		if !w.Until(20_000, func() bool { return first.chat != nil && w.Settled() }) {
			t.Fatalf("seed %d: the first device did not come in\n%s", w.Seed, w.Describe())
		}
		since := first.chat.Fold().Members[first.ID].SinceIndex
		_ = first.Say("on the first device")
		settle(t, w, 10_000)
		second := w.addLate(1)[0]
		w.ask(second, 1, second.another(first, false))
		if !w.Until(20_000, func() bool { return told(w, second) }) {
			t.Fatalf("seed %d: the second device has no history\n%s", w.Seed, w.Describe())
		}
		if got := second.disk.settled[0].Index; got != since {
			t.Errorf("seed %d: the second device has the log from %d on, its person came at %d", w.Seed, got, since)
		}
		if !settledTexts(second)["on the first device"] || settledTexts(second)["said before 29"] {
			t.Errorf("seed %d: the second device shows %v", w.Seed, settledTexts(second))
		}
		third := w.addLate(1)[0]
		w.removed[first.ID] = true
		w.ask(third, 0, third.another(first, true))
		if !w.Until(30_000, func() bool { return told(w, third) }) {
			t.Fatalf("seed %d: the third device has no history\n%s", w.Seed, w.Describe())
		}
		f := third.chat.Fold()
		if f.Members[first.ID] != nil || !f.Gone[first.ID].Revoked || !settledTexts(third)["on the first device"] || settledTexts(third)["said before 29"] {
			t.Errorf("seed %d: the first device is %v, the third shows %v", w.Seed, f.Gone[first.ID], settledTexts(third))
		}
		second.input(func() {
			if err := second.chat.Remove(second.clock(), third.ID); err != nil {
				t.Error(err)
			}
		})
		w.removed[third.ID] = true
		if !w.Until(20_000, func() bool {
			return third.chat.Phase() == demes.PhaseRemoved && w.Nodes[0].chat.Fold().Gone[third.ID].Revoked
		}) {
			t.Fatalf("seed %d: a device of one's own is not revoked\n%s", w.Seed, w.Describe())
		}
		settle(t, w, 10_000)
	}
}
