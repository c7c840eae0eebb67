package group

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Traffic is members who go on sending, whatever happens to their nodes. A call
// that was cut off is repeated with its key when the node is back, as a careful
// client does.
type Traffic struct {
	g    *Group
	chat string
	stop chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex
	tried  map[string]bool   // texts that were sent at all
	acked  map[string]string // texts that were accepted (202), with the message's id
	refuse error             // the first refusal that means something is wrong
}

// Send makes each of the nodes send a message every so often, by as many
// clients, until Stop.
func (g *Group) Send(every time.Duration, clients int, nodes ...*Node) *Traffic {
	t := &Traffic{g: g, chat: g.Chat, stop: make(chan struct{}), tried: map[string]bool{}, acked: map[string]string{}}
	for _, n := range nodes {
		for range clients {
			c := senders.Add(1)
			t.done.Go(func() { t.run(n, c, every) })
		}
	}
	return t
}

// SendAtOnce is Send with clients that wait for nothing but their answers.
func (g *Group) SendAtOnce(clients int, nodes ...*Node) *Traffic {
	return g.Send(time.Nanosecond, clients, nodes...)
}

// UntilSettled waits until all running nodes have so many settled messages.
func (g *Group) UntilSettled(position int) {
	g.Helper()
	g.Until(2*Patience, "settled messages", func() error {
		for _, n := range g.Running() {
			if chat, err := n.chat(g.Chat); err != nil || chat.Position < uint64(position) {
				return fmt.Errorf("%s has %d of %d, %v", n.Name, chat.Position, position, err)
			}
		}
		return nil
	})
}

// senders numbers the clients of all traffic, so that no text comes twice.
var senders atomic.Int64

func (t *Traffic) run(n *Node, c int64, every time.Duration) {
	pace := time.NewTicker(every)
	defer pace.Stop()
	for i := 0; ; i++ {
		text := fmt.Sprintf("%s %d says %d", n.Name, c, i)
		for !t.once(n, text) {
			select {
			case <-t.stop:
				return
			case <-pace.C:
			}
		}
		select {
		case <-t.stop:
			return
		case <-pace.C:
		}
	}
}

// once is true when there is nothing more to do for this text.
func (t *Traffic) once(n *Node, text string) bool {
	t.mu.Lock()
	t.tried[text] = true
	t.mu.Unlock()
	message, err := n.TrySend(t.chat, text)
	t.mu.Lock()
	defer t.mu.Unlock()
	var problem *Problem
	switch {
	case err == nil:
		t.acked[text] = message.ID
	case errors.As(err, &problem) && problem.Status < 500 && problem.Status != 401 && t.refuse == nil:
		t.refuse = fmt.Errorf("%s refused %q: %w", n.Name, text, err)
	}
	return err == nil
}

// Accepted is how many messages were accepted until now.
func (t *Traffic) Accepted() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.acked)
}

// Stop ends the sending.
func (t *Traffic) Stop() {
	close(t.stop)
	t.done.Wait()
}

// CheckSettled demands that everything accepted is settled once, under the id
// that was answered, and that nothing of what was sent is settled twice.
func (t *Traffic) CheckSettled(settled []Message) {
	t.g.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refuse != nil {
		t.g.Fatalf("%v", t.refuse)
	}
	times := map[string]int{}
	for _, m := range settled {
		times[m.Text]++
		switch id, accepted := t.acked[m.Text]; {
		case accepted && id != m.ID:
			t.g.Fatalf("%q was accepted as %s and settled as %s too", m.Text, id, m.ID)
		case times[m.Text] > 1:
			t.g.Fatalf("%q is settled twice, last as %s at position %d", m.Text, m.ID, *m.Position)
		}
	}
	lost := []string{}
	for text := range t.acked {
		if times[text] == 0 {
			lost = append(lost, text)
		}
	}
	if len(lost) > 0 {
		t.g.Fatalf("%d of %d accepted messages are lost, such as %q (%s)", len(lost), len(t.acked), lost[0], t.acked[lost[0]])
	}
}
