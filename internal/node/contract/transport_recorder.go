package contract

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/wire"
)

// patience is how long an expectation may take to come true.
const patience = 20 * time.Second

// Recorder is a node.Handler that remembers what it heard and lets a test wait
// for it.
type Recorder struct {
	// Answer gives the answers over the join protocol; nil echoes the question.
	Answer func(ctx context.Context, from demes.DeviceID, ask []byte) []byte

	mu     sync.Mutex
	change chan struct{} // closed and replaced by each call
	heard  map[demes.DeviceID]*Heard
	wrong  []string // calls that the contract forbids
}

var _ node.Handler = (*Recorder)(nil)

// Heard is what a Recorder heard of one device.
type Heard struct {
	Connected   bool
	Connects    int
	Disconnects int
	Addresses   []string
	Frames      [][]byte
	Beats       int
	IntervalMs  uint32
	Hosting     []*wire.Hosting
	Delays      []float64
	Lost        int
	Relayed     int
}

// NewRecorder makes an empty Recorder.
func NewRecorder() *Recorder {
	return &Recorder{change: make(chan struct{}), heard: make(map[demes.DeviceID]*Heard)}
}

func (r *Recorder) note(device demes.DeviceID, f func(*Heard)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.heard[device]
	if h == nil {
		h = new(Heard)
		r.heard[device] = h
	}
	f(h)
	close(r.change)
	r.change = make(chan struct{})
}

// Connected implements node.Handler.
func (r *Recorder) Connected(device demes.DeviceID, addresses []string) {
	r.note(device, func(h *Heard) {
		if h.Connected {
			r.wrong = append(r.wrong, "connected twice")
		}
		h.Connected, h.Addresses = true, addresses
		h.Connects++
	})
}

// Disconnected implements node.Handler.
func (r *Recorder) Disconnected(device demes.DeviceID) {
	r.note(device, func(h *Heard) {
		if !h.Connected {
			r.wrong = append(r.wrong, "disconnected twice")
		}
		h.Connected = false
		h.Disconnects++
	})
}

// Frame implements node.Handler.
func (r *Recorder) Frame(from demes.DeviceID, frame []byte) {
	r.note(from, func(h *Heard) {
		if !h.Connected {
			r.wrong = append(r.wrong, "frame of a device that is not connected")
		}
		h.Frames = append(h.Frames, frame)
	})
}

// Beat implements node.Handler.
func (r *Recorder) Beat(from demes.DeviceID, intervalMs uint32, hosting []*wire.Hosting) {
	r.note(from, func(h *Heard) {
		h.Beats++
		h.IntervalMs, h.Hosting = intervalMs, hosting
	})
}

// Delay implements node.Handler.
func (r *Recorder) Delay(to demes.DeviceID, rttMs float64, lost, relayed bool) {
	r.note(to, func(h *Heard) {
		if lost {
			h.Lost++
		} else {
			h.Delays = append(h.Delays, rttMs)
		}
		if relayed {
			h.Relayed++
		}
	})
}

// Joining implements node.Handler.
func (r *Recorder) Joining(ctx context.Context, from demes.DeviceID, _ string, ask []byte) []byte {
	if r.Answer != nil {
		return r.Answer(ctx, from, ask)
	}
	return ask
}

// Of returns a copy of what was heard of a device.
func (r *Recorder) Of(device demes.DeviceID) Heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.heard[device]; h != nil {
		out := *h
		out.Frames = slices.Clone(h.Frames)
		out.Delays = slices.Clone(h.Delays)
		return out
	}
	return Heard{}
}

// Await waits until what was heard of a device is as wanted.
func (r *Recorder) Await(t testing.TB, device demes.DeviceID, what string, wanted func(Heard) bool) Heard {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		change := r.change
		now := Heard{}
		if h := r.heard[device]; h != nil {
			now = *h
		}
		come := wanted(now) // under the lock: its slices are the Recorder's own
		r.mu.Unlock()
		if come {
			return r.Of(device)
		}
		select {
		case <-change:
		case <-deadline.C:
			heard := r.Of(device)
			t.Fatalf("%s: did not come true in %v; of %s was heard: connected %v (%d times, %d ended), "+
				"%d frames, %d beats, %d delays, %d lost", what, patience, device.Short(), heard.Connected,
				heard.Connects, heard.Disconnects, len(heard.Frames), heard.Beats, len(heard.Delays), heard.Lost)
		}
	}
}

// Wrong lists the calls that the contract forbids.
func (r *Recorder) Wrong() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.wrong)
}
