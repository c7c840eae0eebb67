package node

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// Stats are numbers for operators. Totals count since the start.
type Stats struct {
	Chats             int     // chats of this profile
	Connections       int     // devices that are connected now
	Messages          uint64  // messages settled on this device, total
	Elections         uint64  // changes of host that this device saw, total
	Commits           uint64  // transactions of the store, total
	CommitSeconds     float64 // time that they took, total
	CommitSecondsMost float64 // the longest of them
}

// counters are what several goroutines count.
type counters struct {
	messages  atomic.Uint64
	elections atomic.Uint64
}

// Stats returns the numbers as they are now.
func (n *Node) Stats() Stats {
	w := n.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{
		Chats: len(n.runners()), Connections: n.links.connected(), Messages: n.stats.messages.Load(),
		Elections: n.stats.elections.Load(), Commits: w.commits, CommitSeconds: w.seconds, CommitSecondsMost: w.secondsMost,
	}
}

// Chats shows every chat of the profile, oldest first.
func (n *Node) Chats(ctx context.Context) ([]demes.ChatView, error) {
	out := []demes.ChatView{}
	for _, r := range n.runners() {
		v, err := r.current(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Chat shows one chat.
func (n *Node) Chat(ctx context.Context, id demes.ChatID) (demes.ChatView, error) {
	r, err := n.find(id)
	if err != nil {
		return demes.ChatView{}, err
	}
	return r.current(ctx)
}

// current is the chat's view; of a chat that broke it is the last one.
func (r *runner) current(ctx context.Context) (demes.ChatView, error) {
	v, err := ask(ctx, r, nil, func(c *chat.Chat) (demes.ChatView, error) { return r.view(c), nil })
	var coded *demes.Error
	if last := r.lastView(); errors.As(err, &coded) && coded.Code != demes.CodeShuttingDown && last.ID != "" {
		return last, nil
	}
	return v, err
}

// page is what Messages returns.
type page struct {
	messages []demes.MessageView
	head     demes.PageHead
}

// Messages returns settled messages in position order: those above after (when
// above 0) and below before (when not 0), the ones nearest to the named bound,
// at most limit; with neither bound the newest. Unsettled ones follow, in their
// provisional order, where the page reaches the end of the settled ones.
func (n *Node) Messages(ctx context.Context, id demes.ChatID, after, before uint64, limit int) ([]demes.MessageView, demes.PageHead, error) {
	r, err := n.find(id)
	if err != nil {
		return nil, demes.PageHead{}, err
	}
	p, err := ask(ctx, r, nil, func(c *chat.Chat) (page, error) { return r.page(c, after, before, limit) })
	return p.messages, p.head, err
}

func (r *runner) page(c *chat.Chat, after, before uint64, limit int) (page, error) {
	entries, err := r.node.store.Messages(r.id, after, before, limit)
	if err != nil {
		return page{}, err
	}
	p := page{messages: make([]demes.MessageView, 0, len(entries))}
	for _, entry := range entries {
		p.messages = append(p.messages, c.Message(entry))
	}
	if err := r.pageHead(&p.head); err != nil {
		return page{}, err
	}
	reachesEnd := before == 0 && (len(entries) == 0 || entries[len(entries)-1].Position == p.head.Position)
	if reachesEnd {
		p.messages = append(p.messages, c.Unsettled()...)
	}
	return p, nil
}

// pageHead is the last settled position, and the running hash right after it.
func (r *runner) pageHead(head *demes.PageHead) error {
	newest, err := r.node.store.Messages(r.id, 0, 0, 1)
	if err != nil {
		return err
	}
	if len(newest) == 0 {
		head.Hash = demes.Hash{}.String()
		return nil
	}
	last := newest[0]
	*head = demes.PageHead{Generation: last.Generation, Position: last.Position, Hash: last.Hash.String()}
	return nil
}

// message shows one message of the chat, settled or not.
func (r *runner) message(c *chat.Chat, id demes.EventID) (demes.MessageView, error) {
	v, known, err := r.lookUp(c, id)
	if err == nil && !known {
		err = demes.Problem(demes.CodeInternal, "The message is not here any more", "Look at the chat again.")
	}
	return v, err
}
