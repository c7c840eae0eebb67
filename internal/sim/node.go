package sim

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Node is one device of the world.
type Node struct {
	Name   string
	ID     demes.DeviceID
	index  int
	world  *World
	key    ed25519.PrivateKey
	cert   *wire.DeviceCert
	chat   *chat.Chat
	disk   *disk
	before *disk // the disk without its last commit, when disks are lazy
	links  map[demes.DeviceID]*link
	up     bool
	paused bool
	busy   bool // a commit is under way
	life   int  // counts starts: what was scheduled for an earlier life is void
	skew   int64
	inbox  []func()
	timer  int64 // the deadline that is scheduled; 0: none
	lastAt map[demes.DeviceID]int64
	Sent   []demes.EventID

	spent    time.Duration          // real time in the chat, for benchmarks; nothing depends on it
	received int                    // bytes of frames
	keys     *mls.KeyPackageSecrets // of its newest join request
}

// link is one pair of devices.
type link struct {
	delay     int64
	cut       bool // mute in both directions
	connected bool
	epoch     int // counts connections: a frame of an earlier one is lost
}

func newNode(w *World, i int) *Node {
	k := key(w.Seed, i)
	account := key(w.Seed, i+1000)
	n := &Node{
		Name: string(rune('A'+i%26)) + suffix(i), ID: demes.DeviceID(k.Public().(ed25519.PublicKey)), index: i, world: w, key: k,
		disk: newDisk(), links: map[demes.DeviceID]*link{}, up: true, lastAt: map[demes.DeviceID]int64{},
	}
	n.cert = wire.SealCert(account, n.ID, 1)
	return n
}

func suffix(i int) string {
	if i < 26 {
		return ""
	}
	return fmt.Sprint(i / 26)
}

func (n *Node) config() chat.Config {
	salt := uint64(0)
	return chat.Config{
		Key: n.key, Cert: n.cert, Log: n.disk, Rand: n.world.Rand.Uint64,
		Suite: n.world.Net.Suite, Planted: n.world.Net.Planted, Timing: chat.Timing{Planned: 15_000}, // so that a run of two minutes sees several generations
		Salt: func() (out [16]byte) {
			salt++
			out[0], out[1] = byte(salt), byte(salt>>8)
			return out
		},
	}
}

func (n *Node) clock() demes.Now {
	return demes.Now{Mono: n.world.now + 1, Wall: n.world.now + epoch + n.skew}
}

// Chat is the node's chat; nil before it has one.
func (n *Node) Chat() *chat.Chat { return n.chat }

// begin starts a chat on this node and connects it to everybody.
func (n *Node) begin(c *chat.Chat) {
	n.chat = c
	n.turn()
	for _, other := range n.world.Nodes {
		if other == n {
			continue
		}
		l := n.links[other.ID]
		if l.connected {
			peer := other.ID
			n.input(func() { n.chat.Connected(n.clock(), peer) })
			n.world.At(150, func() { n.measure(other) })
			continue
		}
		n.world.connect(n, other)
	}
}

// input does something with the chat, after what is under way.
func (n *Node) input(do func()) {
	if !n.up {
		return
	}
	n.inbox = append(n.inbox, do)
	n.work()
}

func (n *Node) work() {
	for n.up && !n.busy && !n.paused && len(n.inbox) > 0 {
		do := n.inbox[0]
		n.inbox = n.inbox[1:]
		do()
		n.turn()
	}
}

// turn takes one output, makes it durable after a while, and then sends it.
func (n *Node) turn() {
	if n.chat == nil || n.busy || !n.up {
		return
	}
	begun := time.Now()
	out, more := n.chat.Output()
	n.spent += time.Since(begun)
	if !more {
		n.arm()
		n.world.check.look(n)
		return
	}
	if out.Batch == nil || n.world.Net.Fsync == 0 {
		n.done(out)
		return
	}
	if n.world.Net.Hasty {
		for _, f := range out.Frames {
			n.send(f)
		}
		out.Frames = nil
	}
	n.busy = true
	life := n.life
	n.disk.begin(out.Batch)
	n.world.At(n.world.Rand.Int64N(n.world.Net.Fsync)+1, func() {
		if n.life != life || !n.up {
			return
		}
		n.busy = false
		n.done(out)
		n.work()
	})
}

func (n *Node) done(out chat.Output) {
	if out.Batch != nil {
		n.disk.begin(out.Batch)
		if n.world.Net.Lazy {
			n.before = n.disk.clone()
		}
		n.disk.commit()
		n.world.check.settled(n, out.Batch)
	}
	for _, f := range out.Frames {
		n.send(f)
	}
	n.chat.Advance()
	n.turn()
}

// arm schedules the chat's next deadline.
func (n *Node) arm() {
	at := n.chat.Deadline()
	if at == 0 || at == n.timer {
		return
	}
	n.timer = at
	life := n.life
	n.world.At(max(at-n.clock().Mono, 1), func() {
		if n.life != life || n.timer != at {
			return
		}
		n.timer = 0
		n.world.ticked++
		n.input(func() { n.chat.Tick(n.clock()) })
	})
}

// send puts a frame on the link: in order, unless the world says otherwise.
func (n *Node) send(f chat.Outgoing) {
	w, l := n.world, n.links[f.To]
	if l == nil || !l.connected {
		return
	}
	raw := wire.Marshal(f.Frame)
	if w.watch != nil {
		w.watch(n, f)
	}
	if w.tamper != nil && w.tamper(n, f) {
		raw = wire.Marshal(f.Frame)
	}
	if w.Rand.Float64() < w.Net.Loss {
		n.input(func() { n.chat.Dropped(n.clock(), f.To) })
		return
	}
	copies := 1
	if w.Rand.Float64() < w.Net.Duplicate {
		copies = 2
	}
	for range copies {
		at := w.now + l.delay + w.jitter()
		if w.Rand.Float64() >= w.Net.Reorder {
			at = max(at, n.lastAt[f.To])
			n.lastAt[f.To] = at
		}
		to, during := w.node(f.To), l.epoch
		w.At(at-w.now, func() {
			if l.cut || l.epoch != during || !to.up {
				return
			}
			to.input(func() { to.receive(n, raw) })
		})
	}
}

func (n *Node) receive(from *Node, raw []byte) {
	if n.chat == nil {
		return
	}
	f := &wire.Frame{}
	if err := wire.Unmarshal(raw, f); err != nil {
		n.world.check.fail("frame of %s does not decode: %v", from.Name, err)
		return
	}
	n.received += len(raw)
	begun := time.Now()
	err := n.chat.Step(n.clock(), from.ID, f)
	n.spent += time.Since(begun)
	if err != nil {
		n.world.trace(n, "refused", fmt.Sprintf("%T of %s: %v", f.GetKind(), from.Name, err))
	}
}

func (w *World) node(d demes.DeviceID) *Node {
	for _, n := range w.Nodes {
		if n.ID == d {
			return n
		}
	}
	panic("sim: no such node")
}

// measure hands the chat a round trip, as the shell would.
func (n *Node) measure(other *Node) {
	l := n.links[other.ID]
	if !n.up || !l.connected || n.chat == nil {
		return
	}
	us := 2 * l.delay * 1000
	n.input(func() { n.chat.Latency(n.clock(), other.ID, us, us+us/10, 0, false) })
}

// Say sends a message from this node.
func (n *Node) Say(text string) error {
	var err error
	n.input(func() {
		var id demes.EventID
		id, err = n.chat.SendText(n.clock(), text, nil, "")
		if err == nil {
			n.Sent = append(n.Sent, id)
			n.world.check.said(n, id, text)
			n.world.trace(n, "says", text)
		}
	})
	return err
}

// Crash ends the node at once; what was being written is lost or kept.
func (n *Node) Crash() {
	if !n.up {
		return
	}
	n.world.trace(n, "crash", "")
	if b := n.disk.pending; n.busy && n.world.Rand.Float64() >= n.world.Net.LostWrite {
		n.disk.commit()
		n.world.check.settled(n, b)
	}
	n.disk.pending = nil
	if n.before != nil {
		n.disk, n.before = n.before, nil
	}
	n.up, n.busy, n.paused, n.inbox, n.timer = false, false, false, nil, 0
	n.life++
	n.chat = nil
	for _, other := range n.world.Nodes {
		if other != n {
			n.world.At(5+n.world.Rand.Int64N(200), func() { n.world.sever(n, other) })
		}
	}
	n.world.check.crashed(n)
}

// Start brings a crashed node back from its disk.
func (n *Node) Start() error {
	if n.up {
		return nil
	}
	n.world.trace(n, "start", "")
	if n.world.opening != nil {
		n.world.opening(n)
	}
	n.up = true
	for d, l := range n.links {
		if l.connected {
			n.world.sever(n, n.world.node(d))
			l.connected = false
			l.epoch++
		}
	}
	saved := n.disk.load()
	if saved == nil {
		return nil
	}
	c, err := chat.Open(n.config(), n.clock(), saved)
	if err != nil {
		return fmt.Errorf("%s does not open again: %w", n.Name, err)
	}
	n.begin(c)
	return nil
}

// Pause stops the node (SIGSTOP); Resume lets it go on with what waited.
func (n *Node) Pause() {
	n.world.trace(n, "pause", "")
	n.paused = true
}

// Resume ends a pause.
func (n *Node) Resume() {
	n.world.trace(n, "resume", "")
	n.paused = false
	n.work()
}
