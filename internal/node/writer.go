package node

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/demes-chat/demes/internal/chat"
)

// maxMerge is how many chats' batches one transaction may take: with more, the
// first of them would wait for too long.
const maxMerge = 64

// What was deleted stays readable to who has the profile's key until the store
// erases it, which costs about as much as a few commits.
const (
	// eraseIdle is how long nothing is written before it is erased: long enough
	// not to come between the messages of one burst.
	eraseIdle = time.Second

	// eraseMost is how long it may stay when the writing does not end: keys of
	// the past live for hours anyway, where messages are lost or late.
	eraseMost = 30 * time.Second
)

// writer makes batches durable. Those that wait at the same time, of several
// chats, share one transaction and its sync. Between them, and at its end, it
// erases what was deleted.
type writer struct {
	store Store
	waits chan *write
	quit  chan struct{}
	done  chan struct{}

	mu          sync.Mutex
	commits     uint64
	seconds     float64
	secondsMost float64
}

// write is one chat's batch on its way.
type write struct {
	batch *chat.Batch
	done  chan error
}

func newWriter(store Store) *writer {
	w := &writer{store: store, waits: make(chan *write, maxMerge), quit: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// commit returns when the batch is durable, or could not be made so.
func (w *writer) commit(b *chat.Batch) error {
	wait := &write{batch: b, done: make(chan error, 1)}
	w.waits <- wait
	return <-wait.done
}

// close ends the writer; nobody may call commit any more.
func (w *writer) close() {
	close(w.quit)
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	defer w.erase()
	idle := time.NewTimer(eraseIdle) // an earlier run may have left something
	defer idle.Stop()
	var latest time.Time // when what was written must be erased; zero: nothing was
	for {
		select {
		case <-w.quit:
			return
		case first := <-w.waits:
			w.commitAll(w.gather(first))
			now := time.Now()
			if latest.IsZero() {
				latest = now.Add(eraseMost)
			}
			if now.Before(latest) {
				idle.Reset(eraseIdle)
				continue
			}
		case <-idle.C:
		}
		latest = time.Time{}
		if !w.erase() {
			idle.Reset(eraseMost)
		}
	}
}

// erase reports whether it was done. A failure takes nothing from anybody; what
// is wrong with the disk shows at the next commit.
func (w *writer) erase() bool { return guarded(w.store.Erase) == nil }

// guarded turns a panic of the store into an error.
func guarded(call func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the store broke: %v\n%s", fault, debug.Stack())
		}
	}()
	return call()
}

// gather takes what waits besides the first.
func (w *writer) gather(first *write) []*write {
	all := []*write{first}
	for len(all) < maxMerge {
		select {
		case next := <-w.waits:
			all = append(all, next)
		default:
			return all
		}
	}
	return all
}

// commitAll tries one transaction. When it fails each batch is tried alone, so
// that one chat's defect does not stop the others.
func (w *writer) commitAll(all []*write) {
	batches := make([]*chat.Batch, 0, len(all))
	for _, wait := range all {
		batches = append(batches, wait.batch)
	}
	err := w.transact(batches)
	for _, wait := range all {
		if err != nil && len(all) > 1 {
			wait.done <- w.transact([]*chat.Batch{wait.batch})
			continue
		}
		wait.done <- err
	}
}

func (w *writer) transact(batches []*chat.Batch) error {
	start := time.Now()
	err := guarded(func() error { return w.store.Commit(batches) })
	took := time.Since(start).Seconds()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commits++
	w.seconds += took
	w.secondsMost = max(w.secondsMost, took)
	return err
}
