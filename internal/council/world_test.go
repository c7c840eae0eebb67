package council

import (
	"bytes"
	"container/heap"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// world is a council in virtual time: an event heap, links with latency and
// loss, disks with a sync delay, and a checker that looks at every step.
type world struct {
	t      testing.TB
	seed   uint64
	rng    *rand.Rand
	now    int64
	events eventHeap
	count  int
	nodes  []*node

	fsync     int64
	latency   func(from, to int) int64 // one way
	loss      float64
	duplicate float64
	reorder   bool
	beat      int64
	cut       map[[2]int]bool
	lastAt    map[[2]int]int64

	check checker
	trace []string
	began int64

	raftSent, snapshots int
}

// node is one device: a group, its disk, and the loop that drives it.
type node struct {
	w       *world
	n       int // Raft id
	device  demes.DeviceID
	group   *Group
	up      bool
	life    int // changes with each crash
	disk    disk
	syncing bool
	queue   []func()
	tickAt  int64
	shown   string
	// rotten disks forget, to see the checker catch it.
	forgetsVote, losesTail bool
	// dieAt, when positive, counts persist steps down to a crash: even before,
	// odd after the disk was written.
	dieAt int
}

type event struct {
	at    int64
	order int
	run   func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func testDevice(n int) demes.DeviceID { return demes.DeviceID{byte(n), 0xD0} }

// testSign stands in for Ed25519: only the device's own group calls it.
func testSign(device demes.DeviceID) func([]byte) []byte {
	return func(body []byte) []byte {
		sum := sha256.Sum256(append(append([]byte("sign"), device[:]...), body...))
		return sum[:]
	}
}

func testVerify(device demes.DeviceID, body, signature []byte) bool {
	return bytes.Equal(testSign(device)(body), signature)
}

func devices(ns ...int) (out []demes.DeviceID) {
	for _, n := range ns {
		out = append(out, testDevice(n))
	}
	return out
}

func upTo(n int) (out []int) {
	for i := 1; i <= n; i++ {
		out = append(out, i)
	}
	return out
}

// newWorld makes electors 1 to n of which the first are the council, running
// and connected.
func newWorld(t testing.TB, seed uint64, n, council int) *world {
	w := &world{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), fsync: 5, beat: wire.FastBeat,
		cut: map[[2]int]bool{}, lastAt: map[[2]int]int64{}, check: newChecker(),
	}
	base := map[[2]int]int64{}
	w.latency = func(from, to int) int64 {
		key := [2]int{min(from, to), max(from, to)}
		if base[key] == 0 {
			base[key] = 20 + w.rng.Int64N(40)
		}
		return base[key] + w.rng.Int64N(10)
	}
	for i := 1; i <= n; i++ {
		w.nodes = append(w.nodes, &node{w: w, n: i, device: testDevice(i)})
	}
	for _, x := range w.nodes {
		x.start(n, council)
	}
	for _, x := range w.nodes {
		x.beats(x.life)
	}
	return w
}

func (w *world) at(delay int64, run func()) {
	w.count++
	heap.Push(&w.events, event{w.now + delay, w.count, run})
}

func (w *world) node(n int) *node { return w.nodes[n-1] }

// run lets time pass.
func (w *world) run(ms int64) {
	until := w.now + ms
	for len(w.events) > 0 && w.events[0].at <= until {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.run()
	}
	w.now = until
}

// runUntil lets time pass until done, at most ms; it reports whether it was.
func (w *world) runUntil(ms int64, done func() bool) bool {
	until := w.now + ms
	for !done() {
		if len(w.events) == 0 || w.events[0].at > until {
			w.now = until
			return done()
		}
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.run()
	}
	return true
}

func (w *world) clock() demes.Now { return demes.Now{Mono: w.now} }

// host is the node that leads the highest term; nil when nobody does.
func (w *world) host() (best *node) {
	for _, x := range w.nodes {
		if x.up && x.group.IsHost() && (best == nil || x.group.Term() > best.group.Term()) {
			best = x
		}
	}
	return best
}

// carry delivers something from one node to another, as the link pleases.
func (w *world) carry(from, to *node, deliver func(*node)) {
	if w.cut[[2]int{from.n, to.n}] {
		return
	}
	delay := w.latency(from.n, to.n)
	key := [2]int{from.n, to.n}
	if w.loss > 0 && w.rng.Float64() < w.loss {
		if w.reorder {
			return
		}
		delay = 3*delay + 30 // retransmitted
	}
	at := w.now + delay
	if !w.reorder {
		at = max(at, w.lastAt[key]) // links keep order
		w.lastAt[key] = at
	}
	copies := 1
	if w.duplicate > 0 && w.rng.Float64() < w.duplicate {
		copies = 2
	}
	for i := range copies {
		w.at(at-w.now+int64(i)*w.rng.Int64N(200)*int64(i), func() {
			if to.up && !w.cut[key] {
				to.input(func() { deliver(to) })
			}
		})
	}
}

func (x *node) config(electors, council int) Config {
	return Config{
		Chat: demes.ChatID{1}, Generation: 1, Self: x.device,
		Electors: devices(upTo(electors)...), Council: devices(upTo(council)...),
		Sign: testSign(x.device), Verify: testVerify, Rand: x.w.rng.Uint64,
	}
}

func (x *node) start(electors, council int) {
	group, err := New(x.config(electors, council), x.disk.saved)
	if err != nil {
		x.w.t.Fatalf("seed %d: node %d does not start: %v", x.w.seed, x.n, err)
	}
	x.group, x.up, x.syncing, x.queue, x.shown = group, true, false, nil, ""
	x.life++
	for _, other := range x.w.nodes {
		if other != x && other.up && !x.w.cut[[2]int{x.n, other.n}] {
			group.Connected(x.w.clock(), other.device)
			if other.group != nil {
				other.input(func() { other.group.Connected(x.w.clock(), x.device) })
			}
		}
	}
	x.input(func() { group.Activate(x.w.clock()) })
}

// restart starts a crashed node from its disk.
func (x *node) restart() {
	x.rot()
	x.start(len(x.w.nodes), 1) // the council comes from the disk
	x.beats(x.life)
}

// crash stops a node; closed says whether the others see the connection close.
func (x *node) crash(closed bool) {
	x.up = false
	x.life++
	if !closed {
		return
	}
	for _, other := range x.w.nodes {
		if other != x && other.up {
			x.w.at(x.w.latency(x.n, other.n), func() {
				if other.up && !x.up {
					other.input(func() { other.group.Lost(x.w.clock(), x.device) })
				}
			})
		}
	}
}

// isolate cuts a node from the others, or joins it again.
func (w *world) isolate(n int, cut bool) {
	for _, other := range w.nodes {
		w.cut[[2]int{n, other.n}], w.cut[[2]int{other.n, n}] = cut, cut
	}
}

func (x *node) beats(life int) {
	if x.life != life || !x.up {
		return
	}
	for _, to := range x.w.nodes {
		if to == x {
			continue
		}
		hosting, term := x.group.IsHost(), x.group.Term()
		x.w.carry(x, to, func(to *node) {
			to.group.Heard(x.w.clock(), x.device, uint32(x.w.beat))
			if hosting {
				to.group.Confirmed(x.w.clock(), x.device, term)
			}
		})
	}
	x.w.at(x.w.beat, func() { x.beats(life) })
}

// input is one event for the node's loop.
func (x *node) input(run func()) {
	if x.syncing {
		x.queue = append(x.queue, run)
		return
	}
	run()
	x.turn()
}

// turn drives the group as the contract says.
func (x *node) turn() {
	x.observe()
	r, ok := x.group.Ready()
	if !ok {
		x.observe()
		x.arm()
		return
	}
	x.syncing = true
	life := x.life
	delay := x.w.fsync
	if r.Hard == nil && len(r.Entries) == 0 && r.Snapshot == nil {
		delay = 0
	}
	x.w.at(delay, func() {
		if x.life != life {
			return
		}
		if x.dying() {
			return
		}
		x.persist(r)
		if x.dying() {
			return
		}
		x.group.Advance()
		for _, m := range r.Messages {
			x.send(m)
		}
		x.syncing = false
		queue := x.queue
		x.queue = nil
		for _, run := range queue {
			x.input(run)
		}
		if !x.syncing {
			x.turn()
		}
	})
}

func (x *node) dying() bool {
	if x.dieAt == 0 {
		return false
	}
	x.dieAt--
	if x.dieAt == 0 {
		x.crash(true)
		return true
	}
	return false
}

func (x *node) arm() {
	at := x.group.Deadline()
	if at == 0 || at == x.tickAt {
		return
	}
	x.tickAt = at
	life := x.life
	x.w.at(max(at-x.w.now, 0), func() {
		if x.life == life && x.tickAt == at {
			x.tickAt = 0
			x.input(func() { x.group.Tick(x.w.clock()) })
		}
	})
}

func (x *node) send(m Message) {
	for _, to := range x.w.nodes {
		if to.device != m.To {
			continue
		}
		x.w.check.sent(x, m)
		if m.Raft != nil {
			x.w.raftSent++
		}
		x.w.carry(x, to, func(to *node) {
			switch {
			case m.Raft != nil:
				to.receive(x, m.Raft)
			case m.Suspicion != nil:
				to.group.Suspicion(x.w.clock(), x.device, m.Suspicion)
			case m.Handover != nil:
				_ = to.group.HandoverNote(x.w.clock(), x.device, m.Handover)
			}
		})
	}
}

// receive steps a Raft message; before a snapshot, the chat fetches the log.
func (x *node) receive(from *node, m *wire.Raft) {
	if _, snapshot := SnapshotData(m); snapshot {
		x.w.snapshots++
		message := &pb.Message{}
		if err := proto.Unmarshal(m.GetMessage(), message); err != nil {
			x.w.t.Fatal(err)
		}
		if index := message.GetSnapshot().GetMetadata().GetIndex(); index > x.group.Applied() {
			x.disk.history = nil
			for _, e := range from.disk.history {
				if e.Index <= index {
					x.disk.history = append(x.disk.history, e)
				}
			}
		}
	}
	_ = x.group.Step(x.w.clock(), from.device, m)
	if x.group.Frozen() {
		x.w.t.Fatalf("seed %d: %d ms: group %d stopped", x.w.seed, x.w.now, x.n)
	}
}

// observe writes what changed into the trace, and checks the leaders.
func (x *node) observe() {
	g := x.group
	state := "waits"
	if device, term, ok := g.Host(); ok {
		state = fmt.Sprintf("follows %d in term %d", g.ids[device], term)
		if device == x.device {
			state = fmt.Sprintf("leads term %d", term)
		}
	} else if g.Suspected() {
		state = "suspects"
	}
	if x.shown != state {
		x.w.note("%d %s", x.n, state)
		x.shown = state
	}
	if g.IsHost() {
		x.w.check.leads(x)
	}
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%5d  ", w.now-w.began)+fmt.Sprintf(format, args...))
}
