package p2p

import (
	"sync"
	"time"

	"github.com/demes-chat/demes/internal/wire"
)

// frameCost is what a waiting frame counts beside its bytes, so that a million
// empty frames are bounded too.
const frameCost = 64

var buffers = sync.Pool{New: func() any {
	buffer := make([]byte, 0, stepBytes)
	return &buffer
}}

func takeBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

func giveBuffer(buffer []byte) {
	buffer = buffer[:0]
	buffers.Put(&buffer)
}

// queue is what waits to be written to one link: at most wire.MaxQueue bytes.
type queue struct {
	mu     sync.Mutex
	items  []queued
	head   int // items before it were taken
	bytes  int
	closed bool
	signal chan struct{} // holds a token when there is news for the writer
}

type queued struct {
	frame []byte
	due   time.Time // zero without a fault
}

func newQueue() *queue { return &queue{signal: make(chan struct{}, 1)} }

// push appends a frame that may leave at the given instant, or later when one
// before it leaves later. It reports false when the queue is full or closed.
func (q *queue) push(frame []byte, due time.Time) bool {
	q.mu.Lock()
	cost := len(frame) + frameCost
	if q.closed || q.bytes+cost > wire.MaxQueue {
		q.mu.Unlock()
		return false
	}
	if n := len(q.items); n > q.head && q.items[n-1].due.After(due) {
		due = q.items[n-1].due
	}
	q.items = append(q.items, queued{frame, due})
	q.bytes += cost
	q.mu.Unlock()
	q.wake()
	return true
}

// pop takes the first frame. over says that none is left and none will come.
func (q *queue) pop() (item queued, ok, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.items) {
		return item, false, q.closed
	}
	item = q.items[q.head]
	q.items[q.head] = queued{}
	q.head++
	q.bytes -= len(item.frame) + frameCost
	switch {
	case q.head == len(q.items):
		q.head = 0
		if q.items = q.items[:0]; cap(q.items) > 1024 {
			q.items = nil
		}
	case q.head >= 1024 && 2*q.head >= len(q.items):
		q.items = append(q.items[:0], q.items[q.head:]...)
		clear(q.items[len(q.items):cap(q.items)])
		q.head = 0
	}
	return item, true, false
}

// finish lets nothing more in; what waits is still written.
func (q *queue) finish() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}
