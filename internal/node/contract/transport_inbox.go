package contract

import (
	"container/heap"
	"sync"
	"time"
)

// inbox makes the calls to one handler, one at a time, each not before it is
// due, those due at the same instant in the order in which they were put.
type inbox struct {
	mu     sync.Mutex
	calls  inboxHeap
	count  uint64
	closed bool
	news   chan struct{} // holds a token
	done   chan struct{}
}

type inboxCall struct {
	due  time.Time
	rank uint64
	call func()
}

func newInbox() *inbox {
	b := &inbox{news: make(chan struct{}, 1), done: make(chan struct{})}
	go b.run()
	return b
}

// put plans a call; a zero instant is now.
func (b *inbox) put(due time.Time, call func()) {
	if due.IsZero() {
		due = time.Now()
	}
	b.mu.Lock()
	b.count++
	heap.Push(&b.calls, inboxCall{due, b.count, call})
	b.mu.Unlock()
	b.wake()
}

func (b *inbox) wake() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// close makes no more calls and waits for the one that runs.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.wake()
	<-b.done
}

func (b *inbox) run() {
	defer close(b.done)
	for {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return
		}
		if len(b.calls) == 0 {
			b.mu.Unlock()
			<-b.news
			continue
		}
		if wait := time.Until(b.calls[0].due); wait > 0 {
			b.mu.Unlock()
			timer := time.NewTimer(wait)
			select {
			case <-b.news:
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		next := heap.Pop(&b.calls).(inboxCall)
		b.mu.Unlock()
		next.call()
	}
}

type inboxHeap []inboxCall

func (h inboxHeap) Len() int { return len(h) }
func (h inboxHeap) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].rank < h[j].rank
}
func (h inboxHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *inboxHeap) Push(x any)   { *h = append(*h, x.(inboxCall)) }
func (h *inboxHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = inboxCall{}
	*h = (*h)[:len(*h)-1]
	return last
}
