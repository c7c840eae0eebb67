package store

import (
	"errors"
	"sync"
)

// maxReaders bounds the connections that read beside the writer. Each costs
// about 1 MiB; two let a long catch-up run beside the user's scrolling.
const maxReaders = 2

// pool lends connections that read. Who finds all of them lent out waits.
type pool struct {
	source source
	tokens chan struct{} // one for each connection that may be lent out

	mu     sync.Mutex // guards what follows
	idle   []*conn
	closed bool
}

func newPool(s source) *pool {
	p := &pool{source: s, tokens: make(chan struct{}, maxReaders)}
	for range maxReaders {
		p.tokens <- struct{}{}
	}
	return p
}

// take lends a connection; a new one is opened only when no other is idle.
func (p *pool) take() (*conn, error) {
	<-p.tokens
	c, err := p.pick()
	if err != nil {
		p.tokens <- struct{}{}
	}
	return c, err
}

func (p *pool) pick() (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed()
	}
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return c, nil
	}
	return p.source.openReader()
}

func (p *pool) give(c *conn) {
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	p.tokens <- struct{}{}
}

// close waits for all that are lent out and closes them.
func (p *pool) close() (err error) {
	for range maxReaders {
		<-p.tokens
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		err = errors.Join(err, c.close())
	}
	p.idle = nil
	for range maxReaders {
		p.tokens <- struct{}{} // whoever comes now is told that it is closed
	}
	return err
}
