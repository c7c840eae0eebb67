package node

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	// keptAddresses and keptDevices bound where devices were reached last.
	keptAddresses = 4
	keptDevices   = 1024
	// addressesAfter and addressesEvery are when this node looks whether its own
	// addresses are still those that the members know: the transport needs a while
	// to learn them.
	addressesAfter = 10 * time.Second
	addressesEvery = 10 * time.Minute
)

// steward tells the transport whom to connect to, what is hosted and how fast
// beats go. It works when something changed, and once when a chat's activity
// runs out.
type steward struct {
	node *Node
	news chan struct{} // holds a token
	quit chan struct{}
	done chan struct{}

	// The goroutine's own.
	peers   map[demes.DeviceID][]string
	hosting []*wire.Hosting
	pace    map[demes.DeviceID]uint32
	met     map[demes.DeviceID][]string // kept in the store
}

func newSteward(n *Node) *steward {
	s := &steward{
		node: n, news: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		pace: map[demes.DeviceID]uint32{}, met: readMet(n),
	}
	go s.run()
	return s
}

// wake makes the steward look again.
func (s *steward) wake() {
	if s == nil {
		return // the node is being opened
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *steward) close() {
	close(s.quit)
	<-s.done
}

func (s *steward) run() {
	defer close(s.done)
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	moved := time.NewTimer(addressesAfter)
	defer moved.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-s.news:
		case <-quiet.C:
		case <-moved.C:
			s.tellAddresses()
			moved.Reset(addressesEvery)
		}
		if until := s.arrange(); until > 0 {
			quiet.Reset(time.Duration(until) * time.Millisecond)
		} else {
			quiet.Stop()
		}
	}
}

// arrange hands the transport what has changed, and returns in how many
// milliseconds the next chat's activity runs out; 0: none is active.
func (s *steward) arrange() (until int64) {
	l, now := s.node.links, s.node.now().Mono
	peers, pace, hosting := map[demes.DeviceID][]string{}, map[demes.DeviceID]uint32{}, []*wire.Hosting{}
	runners := s.node.runners()
	l.mu.Lock()
	for _, r := range runners {
		w := l.wants[r]
		for d, addresses := range w.contacts {
			peers[d] = append(peers[d], addresses...)
		}
		if w.hosting != nil {
			hosting = append(hosting, w.hosting)
		}
		interval := uint32(wire.IdleBeat)
		if left := r.active.Load() - now; left > 0 {
			interval, until = wire.FastBeat, earlier(until, left)
		}
		for _, d := range w.mates {
			if had, any := pace[d]; !any || interval < had {
				pace[d] = interval
			}
		}
	}
	met := l.met
	l.met = map[demes.DeviceID][]string{}
	l.mu.Unlock()
	s.remember(met, peers)
	delete(peers, s.node.id.device)
	s.setPeers(peers)
	s.setHosting(hosting)
	s.setPace(peers, pace, met)
	return until
}

// setPeers names everybody to be connected to, with where they were reached
// last before what they said themselves.
func (s *steward) setPeers(peers map[demes.DeviceID][]string) {
	for d := range peers {
		all := append(slices.Clone(s.met[d]), peers[d]...)
		seen := map[string]bool{}
		all = slices.DeleteFunc(all, func(a string) bool { was := seen[a]; seen[a] = true; return was })
		peers[d] = all[:min(len(all), wire.MaxAddresses)]
	}
	if maps.EqualFunc(s.peers, peers, slices.Equal) && s.peers != nil {
		return
	}
	s.peers = peers
	s.node.transport.SetPeers(maps.Clone(peers))
}

func (s *steward) setHosting(hosting []*wire.Hosting) {
	slices.SortFunc(hosting, func(a, b *wire.Hosting) int { return slices.Compare(a.GetChat(), b.GetChat()) })
	same := slices.EqualFunc(s.hosting, hosting, func(a, b *wire.Hosting) bool {
		return slices.Equal(a.GetChat(), b.GetChat()) && a.GetGeneration() == b.GetGeneration() && a.GetTerm() == b.GetTerm()
	})
	if !same {
		s.hosting = hosting
		s.node.transport.SetHosting(hosting)
	}
}

// setPace says how fast beats go; to a device that has just connected it is
// said again.
func (s *steward) setPace(peers map[demes.DeviceID][]string, pace map[demes.DeviceID]uint32, fresh map[demes.DeviceID][]string) {
	for d := range peers {
		interval, mate := pace[d]
		if !mate {
			interval = wire.SlowBeat
		}
		if _, anew := fresh[d]; anew || s.pace[d] != interval {
			s.pace[d] = interval
			s.node.transport.SetPace(d, interval)
		}
	}
	for d := range s.pace {
		if _, still := peers[d]; !still {
			delete(s.pace, d)
		}
	}
}

// readMet reads where devices were reached in earlier runs.
func readMet(n *Node) map[demes.DeviceID][]string {
	met := map[demes.DeviceID][]string{}
	raw, err := n.store.Value(valueAddresses)
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &met)
	}
	if err != nil {
		n.log.Warn("the addresses of devices cannot be read; members tell them again", "err", err)
	}
	return met
}

// remember keeps where devices were reached, of those that are peers.
func (s *steward) remember(met, peers map[demes.DeviceID][]string) {
	changed := false
	for d, addresses := range met {
		if slices.Equal(s.met[d], addresses) {
			continue
		}
		s.met[d], changed = addresses, true
	}
	if !changed {
		return
	}
	for d := range s.met {
		if _, peer := peers[d]; !peer || len(s.met) > keptDevices {
			delete(s.met, d)
		}
	}
	raw, err := json.Marshal(s.met)
	if err == nil {
		err = s.node.store.SetValue(valueAddresses, raw)
	}
	if err != nil {
		s.node.log.Warn("the addresses of devices cannot be kept", "err", err)
	}
}

// tellAddresses makes a profile event in every chat whose members know other
// addresses of this device.
func (s *steward) tellAddresses() {
	addresses := s.node.addresses()
	for _, r := range s.node.runners() {
		r.inbox.putCall(&call{done: make(chan struct{}), do: func(c *chat.Chat, now demes.Now) error {
			me := c.Fold().Members[s.node.id.device]
			if me == nil || sameSet(me.Addresses, addresses) || len(addresses) == 0 {
				return nil
			}
			return c.Rename(now, me.Name, addresses)
		}})
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// addresses are what members are told of where this node can be dialled.
func (n *Node) addresses() []string {
	all := n.transport.Addresses()
	return all[:min(len(all), wire.MaxAddresses)]
}
