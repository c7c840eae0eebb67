package api

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// codeLife is how long a browser may take to start and open the page.
	codeLife = 60 * time.Second
	// maxCodes bounds the codes that wait; the oldest gives way.
	maxCodes = 16
)

// codes are the single-use codes that a browser exchanges for the token, so
// that the token itself never stands in a command line or a history.
type codes struct {
	now func() time.Time

	mu      sync.Mutex
	waiting []waitingCode // oldest first
}

type waitingCode struct {
	hash  [sha256.Size]byte
	until time.Time
}

func (c *codes) add() string {
	code := randomText(16)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= maxCodes {
		c.waiting = c.waiting[1:]
	}
	c.waiting = append(c.waiting, waitingCode{sha256.Sum256([]byte(code)), c.now().Add(codeLife)})
	return code
}

// take uses a code up; false when it is unknown, used or too old.
func (c *codes) take(code string) bool {
	hash, now := sha256.Sum256([]byte(code)), c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, known := range c.waiting {
		if known.hash == hash { // of hashes: timing tells nothing of the code
			c.waiting = append(c.waiting[:i:i], c.waiting[i+1:]...)
			return now.Before(known.until)
		}
	}
	return false
}
