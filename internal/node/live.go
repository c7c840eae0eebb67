package node

import (
	"context"
	"crypto/rand"
	"math"
	"sync"

	"github.com/demes-chat/demes"
)

const (
	// keptEvents is how many events a listener may be behind and still resume: at
	// a busy 100 events a second, 50 seconds, which a page survives that reloads.
	keptEvents = 5000
	// keptBytes bounds what those hold, about: the longest messages are 16 KiB.
	keptBytes = 8 << 20
	// maxBehind is how many events a connected listener may be behind before it is
	// dropped. It resumes from the ring.
	maxBehind = 1024
	// eventBytes is what an event costs apart from its texts.
	eventBytes = 400

	// FromNow as the since of Subscribe asks for what happens from now on.
	FromNow = uint64(math.MaxUint64)

	eventHello = "hello"
)

// passing are the types that are worth nothing later: they are sent, not kept.
var passing = map[string]bool{"typing": true, "latency": true}

// Hub passes live events to everybody who listens, and keeps the last ones for
// those who come back. It has no goroutine: who publishes also delivers, and
// never waits for a listener.
type Hub struct {
	run string // names this start; sequence numbers count within it

	mu        sync.Mutex
	seq       uint64            // of the last event
	ring      []demes.LiveEvent // the kept ones, oldest first
	bytes     int               // what ring holds, about
	forgotten uint64            // seq of the last event that was kept and is no more
	listeners map[*listener]struct{}
	closed    bool
}

type listener struct {
	events chan demes.LiveEvent
	leave  func() bool // stops waiting for its context
}

// NewHub makes a hub with a run of its own.
func NewHub() *Hub {
	return &Hub{run: rand.Text(), listeners: map[*listener]struct{}{}}
}

// Publish numbers an event and passes it on. It must not be changed afterwards.
func (h *Hub) Publish(event demes.LiveEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.seq++
	event.Seq, event.Run = h.seq, h.run
	if !passing[event.Type] {
		h.keep(event)
	}
	for l := range h.listeners {
		select {
		case l.events <- event:
		default:
			h.remove(l)
		}
	}
}

// keep puts an event into the ring. A kept event has lost the chat that it
// showed: it would be old, and hundreds of members times thousands of events
// are too much. Who resumes fetches the chat.
func (h *Hub) keep(event demes.LiveEvent) {
	switch event.Detail.(type) {
	case demes.ChatView, *demes.ChatView:
		event.Detail = nil
	}
	h.ring = append(h.ring, event)
	h.bytes += sizeOf(event)
	for len(h.ring) > keptEvents || h.bytes > keptBytes {
		h.bytes -= sizeOf(h.ring[0])
		h.forgotten = h.ring[0].Seq
		h.ring[0] = demes.LiveEvent{} // let its texts go
		h.ring = h.ring[1:]
	}
}

func sizeOf(event demes.LiveEvent) int {
	size := eventBytes + len(event.Text)
	if event.Message != nil {
		size += eventBytes + len(event.Message.Text)
	}
	for i := range event.Messages {
		size += eventBytes + len(event.Messages[i].Text)
	}
	return size
}

// Subscribe listens from the event after since on. The first event is always a
// hello, which says where the stream stands: at since, or at the last event
// when since is FromNow or when missed says that events after since are gone
// (or that run is not this one; an empty run is taken on trust). The channel
// closes when the context ends, the hub closes or the listener is too slow.
func (h *Hub) Subscribe(ctx context.Context, run string, since uint64) (events <-chan demes.LiveEvent, missed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var kept []demes.LiveEvent
	at := h.seq
	switch {
	case since == FromNow:
	case run != "" && run != h.run, since > h.seq, since < h.forgotten:
		missed = true
	default:
		at = since
		kept = h.after(since)
	}
	l := &listener{events: make(chan demes.LiveEvent, 1+len(kept)+maxBehind)}
	l.events <- demes.LiveEvent{Seq: at, Run: h.run, Type: eventHello}
	for _, event := range kept {
		l.events <- event
	}
	if h.closed {
		close(l.events)
		return l.events, missed
	}
	h.listeners[l] = struct{}{}
	l.leave = context.AfterFunc(ctx, func() { h.unsubscribe(l) })
	return l.events, missed
}

func (h *Hub) after(since uint64) []demes.LiveEvent {
	first := len(h.ring)
	for first > 0 && h.ring[first-1].Seq > since {
		first--
	}
	return h.ring[first:]
}

func (h *Hub) unsubscribe(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(l)
}

// remove ends a listener, once. h.mu is held.
func (h *Hub) remove(l *listener) {
	if _, listening := h.listeners[l]; !listening {
		return
	}
	delete(h.listeners, l)
	l.leave()
	close(l.events)
}

// Close ends all listeners. What is published afterwards goes nowhere.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for l := range h.listeners {
		h.remove(l)
	}
}
