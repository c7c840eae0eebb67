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

// writer makes batches durable. Those that wait at the same time, of several
// chats, share one transaction and its sync.
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
	for {
		select {
		case <-w.quit:
			return
		case first := <-w.waits:
			w.commitAll(w.gather(first))
		}
	}
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

func (w *writer) transact(batches []*chat.Batch) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the store broke: %v\n%s", fault, debug.Stack())
		}
	}()
	start := time.Now()
	err = w.store.Commit(batches)
	took := time.Since(start).Seconds()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commits++
	w.seconds += took
	w.secondsMost = max(w.secondsMost, took)
	return err
}
