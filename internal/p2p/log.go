package p2p

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// noisePerSecond bounds the log lines that peers can cause.
const noisePerSecond = 10

// complaints counts the lines of the current second.
type complaints struct {
	mu      sync.Mutex
	second  int64
	lines   int
	dropped int
}

// complain logs, at Debug, what a peer did.
func (t *Transport) complain(message string, attrs ...any) {
	if !t.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	n := &t.complaints
	n.mu.Lock()
	if now := time.Now().Unix(); now != n.second {
		n.second, n.lines = now, 0
	}
	n.lines++
	quiet := n.lines > noisePerSecond
	dropped := n.dropped
	if quiet {
		n.dropped++
	} else {
		n.dropped = 0
	}
	n.mu.Unlock()
	if quiet {
		return
	}
	if dropped > 0 {
		attrs = append(attrs, "left_out", dropped)
	}
	t.log.Debug(message, attrs...)
}
