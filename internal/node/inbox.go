package node

import (
	"sync"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits of what waits for one chat.
const (
	// maxFrames and maxFrameBytes bound the frames of peers; beyond them frames are
	// dropped, and asked for again by the exchanges they belong to.
	maxFrames     = 4096
	maxFrameBytes = 2 * wire.MaxQueue
	// maxTurn is how many frames one turn takes, so that one transaction stays
	// small.
	maxTurn = 512
	// maxBeats bounds the beats that wait: at the fastest pace, those of a council
	// in more than a second. Beyond it the oldest are forgotten.
	maxBeats = 64
	// maxCalls bounds the user's calls under way in one chat; further callers wait.
	maxCalls = 1024
)

// inbox is what waits for one chat's goroutine: frames and beats in order, the
// state of the links as the newest word only, and calls of the user.
type inbox struct {
	news   chan struct{} // holds a token when something waits
	places chan struct{} // one per call under way

	mu     sync.Mutex
	frames []peerFrame
	bytes  int
	beats  []beat
	links  bool // look at the links again
	calls  []*call
	closed bool
}

// peerFrame is a frame of a peer, and its size on the wire.
type peerFrame struct {
	from  demes.DeviceID
	frame *wire.Frame
	size  int
}

// beat is a beat of a council member, and the Mono time in ms when it came.
type beat struct {
	from       demes.DeviceID
	intervalMs uint32
	at         int64
}

// taken is what one turn works on.
type taken struct {
	frames []peerFrame
	beats  []beat
	links  bool
	calls  []*call
}

func newInbox() *inbox {
	return &inbox{news: make(chan struct{}, 1), places: make(chan struct{}, maxCalls)}
}

func (b *inbox) wake() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// putFrame reports false when there is no room: the frame is dropped.
func (b *inbox) putFrame(f peerFrame) bool {
	b.mu.Lock()
	full := b.closed || len(b.frames) >= maxFrames || b.bytes+f.size > maxFrameBytes
	if !full {
		b.frames = append(b.frames, f)
		b.bytes += f.size
	}
	b.mu.Unlock()
	if !full {
		b.wake()
	}
	return !full
}

// putBeat keeps a beat until the chat works next, and wakes nobody: a beat only
// says that nothing is to be done. Whoever would suspect its sender does so at a
// deadline, and the beats that came until then are counted first. So an idle
// chat works once in three beats or more, however many members it has.
func (b *inbox) putBeat(beat beat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if len(b.beats) >= maxBeats {
		b.beats = b.beats[1:]
	}
	b.beats = append(b.beats, beat)
}

// putLinks asks the chat to look at the links again.
func (b *inbox) putLinks() {
	b.mu.Lock()
	b.links = true
	b.mu.Unlock()
	b.wake()
}

// putCall reports false when the chat's goroutine has ended.
func (b *inbox) putCall(c *call) bool {
	b.mu.Lock()
	open := !b.closed
	if open {
		b.calls = append(b.calls, c)
	}
	b.mu.Unlock()
	b.wake()
	return open
}

// take empties the inbox, except for frames beyond maxTurn.
func (b *inbox) take() taken {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := taken{frames: b.frames, beats: b.beats, links: b.links, calls: b.calls}
	b.beats, b.links, b.calls = nil, false, nil
	b.frames = nil
	if len(t.frames) > maxTurn {
		b.frames = t.frames[maxTurn:]
		t.frames = t.frames[:maxTurn:maxTurn]
		b.wake()
	}
	for _, f := range t.frames {
		b.bytes -= f.size
	}
	return t
}

// close refuses what comes from now on and returns the calls that wait.
func (b *inbox) close() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	calls := b.calls
	b.frames, b.beats, b.calls, b.bytes = nil, nil, nil, 0
	return calls
}
