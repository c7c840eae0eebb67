// Package sim drives whole groups of chats through faults in virtual time.
//
// Its one idea: the core is pure, so a single-threaded heap of events and one
// seed decide everything that happens, and a failure is reproduced by its seed.
// Real keys and real codecs run; links, disks and clocks are simulated. The
// promises of the design are checked at every step (check.go,
// docs/protocol.md#promises).
package sim

import (
	"container/heap"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// World is one seeded run.
type World struct {
	Seed  uint64
	Rand  *rand.Rand
	Nodes []*Node
	Chat  demes.ChatID
	Trace *strings.Builder // a fixed-width line for each thing that happened; nil: none
	Net   Net
	now   int64 // virtual milliseconds
	queue events
	order uint64
	check checker

	leavers int                                    // nodes that were told to leave
	ticked  int                                    // deadlines that came
	watch   func(from *Node, f chat.Outgoing)      // sees every frame that is sent; nil: nobody
	tamper  func(from *Node, f chat.Outgoing) bool // changes frames of liars; nil: nobody lies
	kept    func(n *Node, b *chat.Batch)           // sees every batch that became durable; nil: nobody
	opening func(n *Node)                          // sees every node that starts; nil: nobody
	// welcoming alters the base that a joiner is given; nil: nobody does.
	welcoming func(b *wire.Base)
	blind     *Node                   // whose private keys were made wrong; nil: nobody's
	removed   map[demes.DeviceID]bool // nodes that the founder removes

	welcome  int           // bytes of the last answer that let somebody in, and
	entering time.Duration // the real time that it took to check it and go in: for benchmarks
}

// Net are the faults of the links; rates are between 0 and 1.
type Net struct {
	DelayMin, DelayMax int64 // one way, drawn for each pair once
	Jitter             int64 // for each frame
	Loss               float64
	Duplicate          float64
	Reorder            float64 // a frame overtakes
	Fsync              int64   // a commit takes up to this long
	LostWrite          float64 // a crash during a commit loses it (else it is kept)

	Suite mls.Suite // of the chats; zero: X25519, the fast one

	Planted chat.Planted // bugs of the chats
	Lazy    bool         // a bug of the disks: the last commit is lost by a crash
	Hasty   bool         // a bug of the shells: frames leave before the commit is durable
}

// event is something that happens at a time.
type event struct {
	at    int64
	order uint64
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// New makes a world of n devices that know each other; no chat exists yet.
func New(seed uint64, n int, net Net) *World {
	w := &World{Seed: seed, Rand: rand.New(rand.NewPCG(seed, 1)), Net: net, removed: map[demes.DeviceID]bool{}}
	if w.Net.Suite == 0 {
		w.Net.Suite = mls.X25519
	}
	w.check.init(w)
	w.addLate(n)
	return w
}

// addLate adds n devices that have no chat yet, and returns them.
func (w *World) addLate(n int) []*Node {
	first := len(w.Nodes)
	for range n {
		a := newNode(w, len(w.Nodes))
		for _, b := range w.Nodes {
			l := &link{delay: w.Net.DelayMin + w.Rand.Int64N(max(w.Net.DelayMax-w.Net.DelayMin, 1))}
			a.links[b.ID], b.links[a.ID] = l, l
		}
		w.Nodes = append(w.Nodes, a)
	}
	return w.Nodes[first:]
}

// entered reports whether every node has the chat.
func (w *World) entered() bool {
	for _, n := range w.Nodes {
		if n.chat == nil {
			return false
		}
	}
	return true
}

// At schedules something after a wait in milliseconds.
func (w *World) At(wait int64, do func()) {
	w.order++
	heap.Push(&w.queue, event{at: w.now + max(wait, 0), order: w.order, do: do})
}

// Now is the virtual time in milliseconds.
func (w *World) Now() int64 { return w.now }

// Run lets the world go on for so many milliseconds.
func (w *World) Run(ms int64) {
	end := w.now + ms
	for len(w.queue) > 0 && w.queue[0].at <= end && w.check.err == nil {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
	}
	w.now = max(w.now, end)
}

// Until runs until the condition holds, for at most so many milliseconds, and
// reports whether it does.
func (w *World) Until(most int64, what func() bool) bool {
	for end := w.now + most; w.now < end && w.check.err == nil; {
		if what() {
			return true
		}
		w.Run(10)
	}
	return what()
}

// Err is the first promise that was broken, or nil.
func (w *World) Err() error { return w.check.err }

func (w *World) trace(n *Node, what, detail string) {
	if w.Trace == nil {
		return
	}
	fmt.Fprintf(w.Trace, "%8d  %-3s %-10s %s\n", w.now, n.Name, what, detail)
}

// Found makes node 0 the founder of a chat.
func (w *World) Found() error {
	n := w.Nodes[0]
	c, err := chat.Found(n.config(), n.clock(), "a chat", n.Name, [16]byte{1}, nil)
	if err != nil {
		return err
	}
	w.Chat = c.ID()
	n.begin(c)
	return nil
}

// GoLive founds a chat, has everybody join it and starts it.
func (w *World) GoLive() error {
	if err := w.Found(); err != nil {
		return err
	}
	n := len(w.Nodes)
	for i := 1; i < n; i++ {
		w.Join(i)
	}
	if !w.Until(20_000, func() bool { return len(w.Up()) == n }) {
		return fmt.Errorf("seed %d: not everybody joined the lobby: %w\n%s", w.Seed, w.Err(), w.Describe())
	}
	w.Run(1_000)
	founder := w.Nodes[0]
	var err error
	founder.input(func() { err = founder.chat.Start(founder.clock()) })
	started := func() bool {
		for i := range w.Nodes {
			if !w.Live(i) || w.Nodes[i].chat.Fold().Head.Generation == 0 {
				return false
			}
		}
		return w.Host() != nil
	}
	if !w.Until(20_000, started) || err != nil {
		return fmt.Errorf("seed %d: the chat did not start: %w\n%s", w.Seed, errors.Join(err, w.Err()), w.Describe())
	}
	return nil
}

// Join has node i knock at the founder until it is welcomed; the founder admits
// everybody.
func (w *World) Join(i int) {
	n := w.Nodes[i]
	w.ask(n, 0, n.request(nil))
}

// JoinBy has node i ask through the door node with the secret of an invite.
func (w *World) JoinBy(i, door int, secret []byte) {
	n := w.Nodes[i]
	key, err := wire.InviteKey(w.Chat, secret)
	if err != nil {
		panic(err)
	}
	w.ask(n, door, n.request(key))
}

// request asks to be let in, with a fresh key package.
func (n *Node) request(invite ed25519.PrivateKey) *wire.JoinAsk {
	w := n.world
	secrets, err := chat.NewKeyPackage(n.config(), w.Chat, uint32(w.Net.Suite))
	if err != nil {
		panic(err)
	}
	n.keys = secrets
	keys := secrets.KeyPackage.Bytes()
	sum := demes.Sum(keys)
	return &wire.JoinAsk{KeyPackage: keys, Request: wire.SealJoin(n.key, invite, &wire.JoinBody{
		Chat: w.Chat[:], Cert: n.cert, Name: n.Name, Nonce: []byte{byte(n.index)}, NotAfterMs: w.now + 400*day + epoch,
		KeyPackageHash: sum[:],
	})}
}

// Invite has node i write an invite into the log, one that shares no history.
func (w *World) Invite(i int, secret []byte) error { return w.invite(i, secret, false) }

func (w *World) invite(i int, secret []byte, history bool) error {
	key, err := wire.InviteKey(w.Chat, secret)
	if err != nil {
		return err
	}
	n := w.Nodes[i]
	_, err = n.chat.Invite(n.clock(), key.Public().(ed25519.PublicKey), 1000, 365*day, history) // longer than any clock here is wrong
	n.turn()
	return err
}

func (w *World) ask(n *Node, door int, request *wire.JoinAsk) {
	d := w.Nodes[door]
	if n.chat != nil {
		return
	}
	if up := w.members(); len(up) > 0 && !slices.Contains(up, d) {
		d = up[w.Rand.IntN(len(up))]
	}
	if n.up && d.up && d.chat != nil && !n.links[d.ID].cut {
		d.chat.OpenLobby(d.clock(), true)
		answer := d.chat.Ask(d.clock(), n.ID, "127.0.0.1:1", request)
		d.turn()
		if answer.GetState() == wire.JoinAnswer_WELCOME {
			raw := wire.Marshal(answer)
			begun := time.Now()
			_ = wire.Unmarshal(raw, answer)
			if w.welcoming != nil {
				w.welcoming(answer.GetBase())
			}
			if err := chat.CheckBase(answer.GetBase(), w.Chat, n.ID, nil); err != nil {
				w.check.fail("joiner %s refuses its base: %v", n.Name, err)
				return
			}
			c, err := chat.Enter(n.config(), n.clock(), answer.GetBase(), n.keys)
			if err != nil {
				w.check.fail("joiner %s cannot enter: %v", n.Name, err)
				return
			}
			w.welcome, w.entering = len(raw), time.Since(begun)
			n.begin(c)
			return
		}
	}
	w.At(200, func() { w.ask(n, door, request) })
}

// epoch is the wall clock at virtual time zero; day is one in milliseconds.
const (
	epoch = 1_700_000_000_000
	day   = 86_400_000
)

// Live reports whether node i has the chat and it is live there.
func (w *World) Live(i int) bool {
	n := w.Nodes[i]
	return n.up && n.chat != nil && n.chat.Phase() == demes.PhaseLive
}

// Up lists the nodes that run and are in the chat.
func (w *World) Up() (out []*Node) {
	for _, n := range w.Nodes {
		if n.up && n.chat != nil && (n.chat.Phase() == demes.PhaseLobby || n.chat.Phase() == demes.PhaseLive) {
			out = append(out, n)
		}
	}
	return out
}

// Host is the node that hosts, by its own word; nil when none or several do.
func (w *World) Host() (host *Node) {
	for _, n := range w.Up() {
		if n.chat.Hosting() != nil {
			if host != nil {
				return nil
			}
			host = n
		}
	}
	return host
}

// Partition cuts all links between the two sides; no sides heals everything.
func (w *World) Partition(side ...int) {
	for _, a := range w.Nodes {
		for _, b := range w.Nodes {
			if a.index < b.index {
				w.cut(a, b, len(side) > 0 && slices.Contains(side, a.index) != slices.Contains(side, b.index))
			}
		}
	}
}

func (w *World) cut(a, b *Node, cut bool) {
	l := a.links[b.ID]
	if l.cut == cut {
		return
	}
	l.cut = cut
	if cut { // each side notices for itself, later
		w.At(300+w.Rand.Int64N(3000), func() { w.sever(a, b) })
		return
	}
	w.connect(a, b)
}

// sever ends a connection that is cut, or whose other end is gone.
func (w *World) sever(a, b *Node) {
	l := a.links[b.ID]
	if !l.connected || !l.cut && a.up && b.up {
		return
	}
	l.connected = false
	l.epoch++
	for _, pair := range [][2]*Node{{a, b}, {b, a}} {
		if n := pair[0]; n.up {
			peer := pair[1].ID
			n.input(func() {
				if n.chat != nil {
					n.chat.Disconnected(n.clock(), peer)
				}
			})
		}
	}
}

// connect joins two running nodes after a handshake.
func (w *World) connect(a, b *Node) {
	l := a.links[b.ID]
	w.At(2*l.delay+1, func() {
		if l.cut || l.connected || !a.up || !b.up {
			return
		}
		l.connected = true
		for _, pair := range [][2]*Node{{a, b}, {b, a}} {
			n, peer := pair[0], pair[1]
			n.input(func() {
				if n.chat != nil {
					n.chat.Connected(n.clock(), peer.ID)
				}
			})
			w.beat(n, peer, l.epoch)
			w.At(150, func() { n.measure(peer) })
		}
	})
}

// beat sends a beat from one node to another, again and again while they are
// connected.
func (w *World) beat(from, to *Node, during int) {
	l := from.links[to.ID]
	if !from.up || !l.connected || l.epoch != during {
		return
	}
	if !from.paused {
		var hosting *wire.Hosting
		if from.chat != nil {
			hosting = from.chat.Hosting()
		}
		if !l.cut && w.Rand.Float64() >= w.Net.Loss {
			w.At(l.delay+w.jitter(), func() {
				to.input(func() {
					if to.chat != nil && l.connected {
						to.chat.Heard(to.clock(), from.ID, wire.FastBeat, hosting)
					}
				})
			})
		}
	}
	w.At(wire.FastBeat, func() { w.beat(from, to, during) })
}

func (w *World) jitter() int64 {
	if w.Net.Jitter == 0 {
		return 0
	}
	return w.Rand.Int64N(w.Net.Jitter)
}

// key makes the i-th device's key from the seed.
func key(seed uint64, i int) ed25519.PrivateKey {
	var raw [32]byte
	binary.BigEndian.PutUint64(raw[:], seed)
	binary.BigEndian.PutUint64(raw[8:], uint64(i)+1)
	sum := demes.Sum(raw[:])
	return ed25519.NewKeyFromSeed(sum[:])
}
