package p2p

import (
	"io"
	"regexp"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// maxRendezvous bounds the names this node waits under: each has sockets and
// goroutines of its own.
const maxRendezvous = 8

var rendezvousName = regexp.MustCompile(`^[a-z0-9]{1,15}$`)

// lan finds peers on the local network by mDNS, under names that only members
// can derive.
type lan struct {
	t   *Transport
	off bool

	mu      sync.Mutex
	names   []string
	running map[string]io.Closer
	closed  bool
}

func newLAN(t *Transport, off bool) *lan {
	return &lan{t: t, off: off, running: make(map[string]io.Closer)}
}

func (l *lan) set(names []string) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !rendezvousName.MatchString(name) })
	l.mu.Lock()
	l.names = names[:min(len(names), maxRendezvous)]
	l.mu.Unlock()
	l.t.spawn(l.apply)
}

// restart announces anew: an announcement keeps the addresses of its start.
func (l *lan) restart() {
	l.t.spawn(func() {
		l.mu.Lock()
		l.stop(func(string) bool { return true })
		l.mu.Unlock()
		l.apply()
	})
}

func (l *lan) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.stop(func(string) bool { return true })
}

// apply starts and stops what differs from the names wanted.
func (l *lan) apply() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off || l.closed {
		return
	}
	l.stop(func(name string) bool { return !slices.Contains(l.names, name) })
	for _, name := range l.names {
		if l.running[name] != nil {
			continue
		}
		service, err := announce(l.t.host, "_"+name+"._udp", l)
		if err != nil {
			l.t.log.Debug("no discovery on the local network", "err", err)
			continue
		}
		l.running[name] = service
	}
}

// stop needs l.mu.
func (l *lan) stop(which func(string) bool) {
	for name, service := range l.running {
		if which(name) {
			_ = service.Close()
			delete(l.running, name)
		}
	}
}

// HandlePeerFound implements mdns.Notifee.
func (l *lan) HandlePeerFound(info peer.AddrInfo) { l.t.met(info.ID, info.Addrs) }
