package node

import (
	"math"
	"slices"
	"sync"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/centrality"
	"github.com/demes-chat/demes/internal/wire"
)

// When a measured round trip is reported, in milliseconds
// (docs/protocol.md#election).
const (
	// firstSamples are enough for a first report: the transport takes them right
	// after connecting.
	firstSamples = 4
	// sampleEvery is how often a window is summed up.
	sampleEvery = 500
	// movedEvery and what follows: a report goes when the median moved by a tenth
	// and by 2 ms, at most this often.
	movedEvery  = 10_000
	movedShare  = 0.10
	movedByMs   = 2.0
	reportEvery = 600_000
)

// links is what is known of the devices that are connected, and what each chat
// wants of them. The transport writes to it, and the chats' goroutines read it
// at the beginning of a turn: a link is a state, so that no change of it can be
// lost in a queue.
type links struct {
	node *Node

	mu     sync.Mutex
	up     map[demes.DeviceID]*link
	serial uint64
	wants  map[*runner]wants
	mates  map[demes.DeviceID][]*runner // which chats want each beat of a device
	met    map[demes.DeviceID][]string  // where devices were reached, not yet kept
}

// link is one connected device.
type link struct {
	serial   uint64 // of the connection
	interval uint32 // between its beats, as announced; 0: none came yet
	hosting  map[demes.ChatID]hostEntry
	rtt      measure
}

// hostEntry is what a beat says of one chat.
type hostEntry struct {
	generation, term uint64
}

// wants is what a chat wants of the links.
type wants struct {
	contacts map[demes.DeviceID][]string
	hosting  *wire.Hosting
	mates    []demes.DeviceID
}

// measure is what is measured of one connection; direct and relayed paths are
// never mixed.
type measure struct {
	window  centrality.Window
	watch   centrality.Watch
	relayed bool
	probes  int
	lookAt  int64 // Mono ms when the window is summed up next
	serial  uint64
	sent    centrality.Sample
	sentAt  int64 // Mono ms; 0: never
}

func newLinks(n *Node) *links {
	return &links{
		node: n, up: map[demes.DeviceID]*link{}, wants: map[*runner]wants{}, mates: map[demes.DeviceID][]*runner{},
		met: map[demes.DeviceID][]string{},
	}
}

// Connected implements Handler.
func (n *Node) Connected(device demes.DeviceID, addresses []string) {
	l := n.links
	l.mu.Lock()
	l.serial++
	l.up[device] = &link{serial: l.serial}
	if len(addresses) > 0 {
		l.met[device] = slices.Clone(addresses[:min(len(addresses), keptAddresses)])
	}
	l.tellAll(device)
	l.mu.Unlock()
	n.steward.wake()
}

// Disconnected implements Handler.
func (n *Node) Disconnected(device demes.DeviceID) {
	l := n.links
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.up, device)
	l.tellAll(device)
}

// tellAll makes the chats that share a device look at the links. l.mu is held.
func (l *links) tellAll(device demes.DeviceID) {
	for r, w := range l.wants {
		if _, shares := w.contacts[device]; shares {
			r.inbox.putLinks()
		}
	}
}

// Frame implements Handler.
func (n *Node) Frame(from demes.DeviceID, raw []byte) {
	f, id, err := frameOf(raw)
	if err != nil {
		n.log.Debug("a frame cannot be read", "from", from.Short(), "bytes", len(raw), "err", err)
		return
	}
	if r := n.runner(id); r != nil && !r.inbox.putFrame(peerFrame{from: from, frame: f, size: len(raw)}) {
		n.log.Debug("a frame was dropped: the chat is busy", "chat", id.Short(), "from", from.Short())
	}
}

// Beat implements Handler. Chats with the sender on their council take each
// beat; the others only learn when it begins or ceases to be their host.
func (n *Node) Beat(from demes.DeviceID, intervalMs uint32, hosting []*wire.Hosting) {
	l, now := n.links, n.now().Mono
	l.mu.Lock()
	defer l.mu.Unlock()
	up := l.up[from]
	if up == nil {
		return
	}
	first := up.interval == 0
	up.interval = intervalMs
	l.setHosting(from, up, hosting)
	if first {
		l.tellAll(from)
	}
	for _, r := range l.mates[from] {
		r.inbox.putBeat(beat{from: from, intervalMs: intervalMs, at: now})
	}
}

// setHosting takes a device's list of the chats that it hosts, and tells those
// that it means something new to. l.mu is held.
func (l *links) setHosting(from demes.DeviceID, up *link, hosting []*wire.Hosting) {
	same := len(hosting) == len(up.hosting)
	for _, h := range hosting {
		same = same && up.hosting[demes.ChatID(wire.HashOf(h.GetChat()))] == hostEntry{h.GetGeneration(), h.GetTerm()}
	}
	if same {
		return
	}
	before := up.hosting
	up.hosting = make(map[demes.ChatID]hostEntry, len(hosting))
	for _, h := range hosting {
		up.hosting[demes.ChatID(wire.HashOf(h.GetChat()))] = hostEntry{h.GetGeneration(), h.GetTerm()}
	}
	for r, w := range l.wants {
		_, shares := w.contacts[from]
		now, hosts := up.hosting[r.id]
		was, hosted := before[r.id]
		if shares && (hosts != hosted || now != was) {
			r.inbox.putLinks()
		}
	}
}

// Delay implements Handler: one measured round trip.
func (n *Node) Delay(to demes.DeviceID, rttMs float64, lost, relayed bool) {
	now := n.now().Mono
	l := n.links
	l.mu.Lock()
	defer l.mu.Unlock()
	if up := l.up[to]; up != nil && up.rtt.take(now, rttMs, lost, relayed) {
		l.tellAll(to)
	}
}

// take notes one probe and reports whether the members should be told.
func (m *measure) take(now int64, rttMs float64, lost, relayed bool) bool {
	if relayed != m.relayed {
		*m = measure{relayed: relayed, serial: m.serial, sent: m.sent}
	}
	if lost {
		m.window.Lose()
	} else {
		m.window.Answer(rttMs)
	}
	m.probes++
	if m.probes < firstSamples || now < m.lookAt {
		return false
	}
	m.lookAt = now + sampleEvery
	marked := m.watch.Marked(now, m.window.RecentMs())
	if marked {
		m.window.Forget()
	}
	sample := m.window.Sample(relayed)
	if !sample.Known || math.IsInf(sample.P50, 0) || m.sentAt != 0 && !marked && !m.moved(now, sample) {
		return false
	}
	m.serial++
	m.sent, m.sentAt = sample, now
	m.watch.Rebase(sample.P50)
	return true
}

// moved reports whether a sample differs enough from the one that was sent.
func (m *measure) moved(now int64, sample centrality.Sample) bool {
	by := math.Abs(sample.P50 - m.sent.P50)
	moved := by > movedByMs && by > movedShare*m.sent.P50
	return moved && now-m.sentAt >= movedEvery || now-m.sentAt >= reportEvery
}

// want notes what a chat wants of the links now.
func (l *links) want(r *runner, w wants) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(r)
	l.wants[r] = w
	for _, d := range w.mates {
		if d != l.node.id.device {
			l.mates[d] = append(l.mates[d], r)
		}
	}
}

// forget ends what a chat wants.
func (l *links) forget(r *runner) {
	l.mu.Lock()
	l.drop(r)
	l.mu.Unlock()
	l.node.steward.wake()
}

// drop needs l.mu.
func (l *links) drop(r *runner) {
	for _, d := range l.wants[r].mates {
		if rest := slices.DeleteFunc(l.mates[d], func(other *runner) bool { return other == r }); len(rest) > 0 {
			l.mates[d] = rest
		} else {
			delete(l.mates, d)
		}
	}
	delete(l.wants, r)
}

// state copies what is known of the links to these devices.
func (l *links) state(id demes.ChatID, devices map[demes.DeviceID][]string) map[demes.DeviceID]linked {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[demes.DeviceID]linked, len(l.up))
	for d, up := range l.up {
		if _, wanted := devices[d]; wanted {
			entry, hosts := up.hosting[id]
			out[d] = linked{serial: up.serial, interval: up.interval, hosts: hosts, host: entry, report: up.rtt.serial}
		}
	}
	return out
}

// sample is the newest report about a device.
func (l *links) sample(d demes.DeviceID) (s centrality.Sample, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	up := l.up[d]
	if up == nil || up.rtt.sentAt == 0 {
		return s, false
	}
	return up.rtt.sent, true
}

// connected counts the devices that are connected.
func (l *links) connected() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.up)
}
