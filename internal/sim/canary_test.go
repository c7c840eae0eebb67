package sim

import (
	"bytes"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

// TestWhatIsSaidLeavesSealed has everybody say, change, delete and name things while
// members come, go and crash, and looks for the words in all that crosses a link and
// in all that a disk holds beside what was read (promise C1).
func TestWhatIsSaidLeavesSealed(t *testing.T) {
	canary := []byte("canary")
	w := live(t, 170, 4, lan)
	settleQuiet(t, w)
	frames, revealed := 0, false
	w.watch = func(n *Node, f chat.Outgoing) {
		raw := wire.Marshal(f.Frame)
		frames++
		if !bytes.Contains(raw, canary) {
			return
		}
		if f.Frame.GetRevealed() != nil {
			revealed = true // a member is shown what it has no keys for: inside the link's own encryption
			return
		}
		t.Fatalf("%s sends what was said in a %T", n.Name, f.Frame.GetKind())
	}
	secret := []byte("sixteen bytes !!")
	if err := w.Invite(0, secret); err != nil {
		t.Fatal(err)
	}
	for _, n := range w.Up() {
		if err := n.Say("canary of " + n.Name); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, w, 15_000)
	author := others(w, w.Host())[0]
	target := author.Sent[len(author.Sent)-1]
	does := func(n *Node, do func(*chat.Chat, demes.Now) error) {
		t.Helper()
		if err := do(n.chat, n.clock()); err != nil {
			t.Fatal(err)
		}
		n.turn()
	}
	does(author, func(c *chat.Chat, now demes.Now) error { return c.Edit(now, target, "another canary") })
	w.check.texts[target] = append(w.check.texts[target], "another canary")
	settle(t, w, 15_000)
	does(w.Nodes[0], func(c *chat.Chat, now demes.Now) error { return c.Retitle(now, "the canary's chat") })
	late := w.addLate(1)[0]
	w.JoinBy(late.index, 0, secret)
	w.Host().Crash()
	_ = author.Say("a canary without a host")
	w.Run(3_000)
	for _, n := range w.Nodes {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, w, 30_000)
	lost := others(w, w.Host())[1]
	lost.Crash()
	_ = w.Host().Say("a canary for who has lost its keys")
	w.Run(2_000)
	for name := range lost.disk.secrets {
		delete(lost.disk.secrets, name)
	}
	if err := lost.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, w, 60_000)
	if frames < 500 || !revealed {
		t.Errorf("%d frames were seen, and what was said was shown to who lost its keys: %v; the test proves nothing", frames, revealed)
	}
	for _, n := range w.Nodes {
		for name, data := range n.disk.values {
			if bytes.Contains(data, canary) && name != "title" {
				t.Errorf("%s keeps what was said in the value %q", n.Name, name)
			}
		}
		for _, e := range n.disk.raft {
			if bytes.Contains(e.Data, canary) {
				t.Errorf("the council's log of %s holds what was said", n.Name)
			}
		}
		for id, e := range n.disk.events {
			if bytes.Contains(e.Body, canary) || bytes.Contains(e.Payload, canary) {
				t.Errorf("%s keeps what was said in the event %s", n.Name, id)
			}
		}
	}
}
