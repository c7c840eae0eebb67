package sim

import (
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// checker holds the world to the promises, at every step.
type checker struct {
	world *World
	err   error

	hashes  map[[2]uint64]demes.Hash         // S1: (generation, index) → running hash
	states  map[[2]uint64]demes.Hash         // S9: (generation, index) → state
	final   map[uint64]demes.Hash            // S10: index → running hash once final anywhere
	heads   map[*Node]demes.Head             // S8: the highest head shown by each node
	own     map[*Node]map[demes.EventID]bool // S6: said and not seen settled
	durable map[demes.EventID]bool           // S2: settled durably by somebody
	checked map[*Node]uint64                 // audited up to this index
	keys    map[uint64]string                // B5: epoch → authenticator
	texts   map[demes.EventID][]string       // B2: what was said; by a device and its copies
}

func (c *checker) init(w *World) {
	*c = checker{
		world: w, hashes: map[[2]uint64]demes.Hash{}, states: map[[2]uint64]demes.Hash{}, final: map[uint64]demes.Hash{},
		heads: map[*Node]demes.Head{}, own: map[*Node]map[demes.EventID]bool{}, durable: map[demes.EventID]bool{},
		checked: map[*Node]uint64{}, keys: map[uint64]string{}, texts: map[demes.EventID][]string{},
	}
}

// said notes what a node's user said: it leaves the outbox only when it is seen
// settled (S6).
func (c *checker) said(n *Node, id demes.EventID, text string) {
	c.texts[id] = append(c.texts[id], text)
	if c.own[n] == nil {
		c.own[n] = map[demes.EventID]bool{}
	}
	c.own[n][id] = true
}

// fail keeps the first broken promise.
func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("seed %d at %d ms: %s", c.world.Seed, c.world.now, fmt.Sprintf(format, args...))
	}
}

// settled checks entries as they become durable on a node.
func (c *checker) settled(n *Node, b *chat.Batch) {
	if c.world.kept != nil {
		c.world.kept(n, b)
	}
	for _, s := range b.Settled {
		at := [2]uint64{s.Generation, s.Index}
		if have, was := c.hashes[at]; was && have != s.Hash {
			c.fail("S1: %s settled %d:%d as %s, another as %s", n.Name, s.Generation, s.Index, s.Hash.String()[:8], have.String()[:8])
		}
		c.hashes[at] = s.Hash
		if s.Event != nil {
			c.durable[s.Event.ID] = true
			delete(c.own[n], s.Event.ID)
			n.world.trace(n, "settles", fmt.Sprintf("%d:%d %s of %s/%d%s", s.Generation, s.Index, s.Event.Kind, n.world.node(s.Event.ID.Device).Name, s.Event.ID.Seq, void(s.Void)))
		} else {
			n.world.trace(n, "settles", fmt.Sprintf("%d:%d record, term %d", s.Generation, s.Index, s.Term))
		}
	}
	if b.Unsettle != nil {
		n.world.trace(n, "unsettles", fmt.Sprint("back to ", *b.Unsettle))
		c.checked[n] = 0
	}
	c.audit(n)
}

func void(reason string) string {
	if reason == "" {
		return ""
	}
	return " void: " + reason
}

// audit checks the node's whole settled log: no event twice (S3), each author's
// events in order without a gap (S4), nothing before what its author had been
// shown (S5), positions without a gap.
func (c *checker) audit(n *Node) {
	if len(n.disk.settled)%16 != 0 { // the log is walked now and then, and at the end
		return
	}
	c.auditAll(n)
}

func (c *checker) auditAll(n *Node) {
	seen := map[demes.DeviceID]uint64{}
	left := map[demes.DeviceID]bool{} // what they write afterwards never counts
	position := uint64(0)
	for i, s := range n.disk.settled {
		if i > 0 && s.Index != n.disk.settled[i-1].Index+1 {
			c.fail("S4: the log of %s has a gap at %d", n.Name, s.Index)
		}
		if s.Position != 0 {
			if position != 0 && s.Position != position+1 {
				c.fail("positions of %s jump from %d to %d", n.Name, position, s.Position)
			}
			position = s.Position
		}
		if s.Event == nil {
			continue
		}
		id := s.Event.ID
		if last, any := seen[id.Device]; any && id.Seq != last+1 {
			c.fail("S3/S4: %s settled %s/%d after %d", n.Name, c.world.node(id.Device).Name, id.Seq, last)
		}
		seen[id.Device] = id.Seq
		left[id.Device] = left[id.Device] || s.Event.Kind == demes.KindLeave || s.Void == chat.VoidFork
		for _, m := range s.Event.After {
			if n.disk.settled[0].Index == 1 && seen[m.Device] < m.Seq && !left[m.Device] && !c.world.removed[m.Device] {
				c.fail("S5: %s consumed %s/%d before %s/%d", n.Name, c.world.node(id.Device).Name, id.Seq, c.world.node(m.Device).Name, m.Seq)
			}
		}
	}
}

// look checks what a node shows after a turn.
func (c *checker) look(n *Node) {
	f := n.chat.Fold()
	last := c.heads[n]
	if f.Head.Generation == last.Generation && f.Head.Index < last.Index {
		c.fail("S8: the head of %s went from %s back to %s", n.Name, last, f.Head)
	}
	if f.Head != last {
		at := [2]uint64{f.Head.Generation, f.Head.Index}
		state := f.Hash()
		if have, was := c.states[at]; was && have != state {
			c.fail("S9: the state of %s at %s is not that of another", n.Name, f.Head)
		}
		c.states[at] = state
	}
	c.heads[n] = f.Head
	c.finality(n)
	c.sameKeys(n)
}

// sameKeys checks that keys change in one way: all who are in an epoch have the
// same, and none is ever left for another of its number (B5).
func (c *checker) sameKeys(n *Node) {
	epoch, secret := n.chat.Authenticator()
	if secret == nil {
		return
	}
	if have, was := c.keys[epoch]; was && have != string(secret) {
		c.fail("B5: %s has other keys in epoch %d than another", n.Name, epoch)
	}
	c.keys[epoch] = string(secret)
}

// unread is the first settled message that a node cannot show as it was said;
// empty when it can show all (B2).
func (c *checker) unread(n *Node) string {
	for _, s := range n.disk.settled {
		if s.Position == 0 {
			continue
		}
		view := n.chat.Message(chat.SettledEntry{Index: s.Index, Position: s.Position, LogMs: s.LogMs, Event: n.disk.read(s.Event)})
		want, said := c.texts[s.Event.ID]
		if !said || slices.Contains(want, view.Text) {
			continue
		}
		name := fmt.Sprintf("%s/%d at %d", c.world.node(s.Event.ID.Device).Name, s.Event.ID.Seq, s.Index)
		if view.Text != "" {
			c.fail("B2: %s shows %s as %q, not one of %q", n.Name, name, view.Text, want)
		}
		return name
	}
	return ""
}

// finality checks that what is final anywhere never moves (S10).
func (c *checker) finality(n *Node) {
	index := n.chat.Final()
	if index == 0 || index > uint64(len(n.disk.settled)) || n.disk.settled[0].Index != 1 {
		return
	}
	s := n.disk.settled[index-1]
	if have, was := c.final[index]; was && have != s.Hash {
		c.fail("S10: final entry %d moved on %s", index, n.Name)
	}
	c.final[index] = s.Hash
}

// crashed forgets what a node's user had said and was not told is stored.
func (c *checker) crashed(n *Node) {
	for id := range c.own[n] {
		if n.disk.events[id] == nil {
			if _, waits := n.disk.outbox[id.Seq]; !waits {
				delete(c.own[n], id) // it was never acknowledged to its user
			}
		}
	}
}

// members are the running nodes that are members by the furthest log: one that
// left while it was away is not told.
func (w *World) members() (out []*Node) {
	var far *chat.Fold
	for _, n := range w.Up() {
		if f := n.chat.Fold(); far == nil || f.Head.Generation > far.Head.Generation || f.Head.Generation == far.Head.Generation && f.Head.Index > far.Head.Index {
			far = f
		}
	}
	if far == nil {
		return nil
	}
	for _, n := range w.Up() {
		if m := far.Members[n.ID]; m != nil && !m.Leaving {
			out = append(out, n)
		}
	}
	return out
}

// Settled reports whether everything that anybody said is settled everywhere,
// with equal heads.
func (w *World) Settled() bool {
	up := w.members()
	for _, n := range up {
		if n.busy || n.chat.Fold().Head != up[0].chat.Fold().Head || len(w.check.own[n]) > 0 || len(n.chat.Unsettled()) > 0 {
			return false
		}
	}
	if len(up) == 0 || w.Host() == nil {
		return false
	}
	for _, n := range up {
		if n.chat.View().Keys.State != demes.KeysGood || w.check.unread(n) != "" {
			return false
		}
	}
	return true
}

// Final runs the checks that need a world at rest: nothing that was settled
// durably is missing (S2), and the logs are whole.
func (w *World) Final() error {
	for _, n := range w.members() {
		w.check.auditAll(n)
		if len(n.disk.settled) == 0 || n.disk.settled[0].Index != 1 {
			continue
		}
		have := map[demes.EventID]bool{}
		for _, s := range n.disk.settled {
			if s.Event != nil {
				have[s.Event.ID] = true
			}
		}
		for id := range w.check.durable {
			if !have[id] && n.disk.events[id] == nil && !w.removed[id.Device] { // what was unsettled of who is removed is forgotten
				w.check.fail("S2: %s lacks %s/%d, which was settled", n.Name, w.node(id.Device).Name, id.Seq)
			}
		}
	}
	return w.check.err
}

// Describe says where everybody stands, for a failure message.
func (w *World) Describe() (out string) {
	for _, n := range w.Nodes {
		if !n.up || n.chat == nil {
			out += fmt.Sprintf("%s down\n", n.Name)
			continue
		}
		v := n.chat.View()
		host := "nobody"
		if v.Host != nil {
			host = v.Host.Name
		}
		epoch, _ := n.chat.Authenticator()
		out += fmt.Sprintf("%s %s %s head %s final %d host %s term %d, %d unsettled, %d of its own not seen settled, keys %s of epoch %d in %d, unread %q, problem %v\n",
			n.Name, v.Phase, v.Mode, n.chat.Fold().Head, v.Final, host, v.Term, len(n.chat.Unsettled()), len(w.check.own[n]),
			v.Keys.State, epoch, v.Epoch, w.check.unread(n), v.Problem)
	}
	return out
}
