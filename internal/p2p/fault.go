package p2p

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// faults is the table of links that are disturbed on purpose.
type faults struct {
	mu      sync.Mutex
	others  wire.Fault // for devices without a fault of their own
	own     map[demes.DeviceID]wire.Fault
	changed chan struct{} // closed and replaced by each set
}

func newFaults() *faults { return &faults{changed: make(chan struct{})} }

func (f *faults) set(list []wire.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.others = wire.Fault{}
	f.own = make(map[demes.DeviceID]wire.Fault, len(list))
	for _, fault := range list {
		if fault.Peer.IsZero() {
			f.others = fault
		} else {
			f.own[fault.Peer] = fault
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// of gives the fault of a device, and a channel that closes when it may have
// changed.
func (f *faults) of(device demes.DeviceID) (wire.Fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault, ok := f.own[device]; ok {
		return fault, f.changed
	}
	return f.others, f.changed
}

func lost(f wire.Fault) bool { return f.Loss > 0 && rand.Float64() < f.Loss }

func lateness(f wire.Fault) time.Duration {
	ms := f.DelayMs
	if f.JitterMs > 0 {
		ms += rand.Float64() * f.JitterMs
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// wait blocks until the fault lets something through that is due at an instant
// (zero: now). It reports false when done closes first.
func (f *faults) wait(device demes.DeviceID, due time.Time, done <-chan struct{}) bool {
	for {
		fault, changed := f.of(device)
		late := time.Until(due)
		if !fault.Cut && (due.IsZero() || late <= 0) {
			return true
		}
		var timer <-chan time.Time
		if !fault.Cut {
			timer = time.After(late)
		}
		select {
		case <-done:
			return false
		case <-changed:
		case <-timer:
		}
	}
}

// delayLine holds back what crosses a disturbed link, in order. Without faults
// it is empty, costs nothing and has no goroutine.
type delayLine struct {
	faults *faults
	device demes.DeviceID
	done   <-chan struct{}

	mu      sync.Mutex
	items   []delayed
	bytes   int // at most wire.MaxQueue, plus one item
	running bool
	room    chan struct{} // holds a token when bytes went down
}

type delayed struct {
	due  time.Time
	size int
	do   func()
}

func newDelayLine(f *faults, device demes.DeviceID, done <-chan struct{}) *delayLine {
	return &delayLine{faults: f, device: device, done: done, room: make(chan struct{}, 1)}
}

// pass runs do now or, under a fault, later. It blocks while the line is full.
func (l *delayLine) pass(size int, fault wire.Fault, start func(func()), do func()) {
	l.mu.Lock()
	if !l.running && !fault.Cut && fault.DelayMs == 0 && fault.JitterMs == 0 {
		l.mu.Unlock()
		do()
		return
	}
	for l.bytes > wire.MaxQueue {
		l.mu.Unlock()
		select {
		case <-l.done:
			return
		case <-l.room:
		}
		l.mu.Lock()
	}
	due := time.Now().Add(lateness(fault))
	if n := len(l.items); n > 0 && l.items[n-1].due.After(due) {
		due = l.items[n-1].due
	}
	l.items = append(l.items, delayed{due, size, do})
	l.bytes += size
	if !l.running {
		l.running = true
		start(l.drain)
	}
	l.mu.Unlock()
}

func (l *delayLine) drain() {
	for {
		l.mu.Lock()
		if len(l.items) == 0 {
			l.running = false
			l.mu.Unlock()
			return
		}
		item := l.items[0]
		l.mu.Unlock()
		if !l.faults.wait(l.device, item.due, l.done) {
			return
		}
		item.do()
		l.mu.Lock()
		l.items = l.items[1:]
		l.bytes -= item.size
		l.mu.Unlock()
		select {
		case l.room <- struct{}{}:
		default:
		}
	}
}
