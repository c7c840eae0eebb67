package node

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

// typingEvery is how often the others are told that the user is typing.
const typingEvery = 2 * time.Second

// act does something to a chat for its user.
func (n *Node) act(ctx context.Context, id demes.ChatID, do func(*chat.Chat, demes.Now) error) error {
	r, err := n.find(id)
	if err != nil {
		return err
	}
	return r.act(ctx, do)
}

// actIn is act for what only a member can do.
func (n *Node) actIn(ctx context.Context, id demes.ChatID, do func(*chat.Chat, demes.Now) error) error {
	return n.act(ctx, id, func(c *chat.Chat, now demes.Now) error {
		if c.Phase() == demes.PhaseLeft || c.Phase() == demes.PhaseRemoved {
			return demes.Problem(demes.CodeWrongPhase, "You are not in this chat any more", "Ask a member for a new invite.")
		}
		return do(c, now)
	})
}

// FoundChat makes a chat in its lobby, with this device as founder and host.
func (n *Node) FoundChat(ctx context.Context, title string) (demes.ChatView, error) {
	if err := n.room(); err != nil {
		return demes.ChatView{}, err
	}
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	c, err := chat.Found(n.chatConfig(), n.now(), title, n.id.currentName(), nonce, n.addresses())
	if err != nil {
		return demes.ChatView{}, err
	}
	r, err := n.begin(ctx, c)
	if err != nil {
		return demes.ChatView{}, err
	}
	return r.current(ctx)
}

// room reports whether one more chat fits.
func (n *Node) room() error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	switch {
	case n.closing:
		return shuttingDown()
	case len(n.chats) >= MaxChats:
		return demes.Problem(demes.CodeTooMany, "This profile has too many chats", "Start another profile with --profile NAME.")
	}
	return nil
}

// begin starts the goroutine of a new chat and returns when the chat is
// durable. What could not be stored has never been.
func (n *Node) begin(ctx context.Context, c *chat.Chat) (*runner, error) {
	r := newRunner(n, c.ID(), c)
	n.add(r)
	r.start()
	if err := r.act(ctx, func(*chat.Chat, demes.Now) error { return nil }); err != nil {
		n.end(r)
		var known *demes.Error
		if errors.As(errors.Unwrap(err), &known) {
			err = known // nothing of this chat waits to be stored: it is gone
		}
		return nil, err
	}
	return r, nil
}

// end stops a chat's goroutine and takes the chat off the list.
func (n *Node) end(r *runner) {
	r.stop()
	<-r.done
	n.remove(r)
	n.links.forget(r)
}

// openLobby founds a lobby unless there is one, and admits every local knock.
func (n *Node) openLobby() error {
	ctx := context.Background()
	r := n.lobby()
	if r == nil {
		v, err := n.FoundChat(ctx, "Chat with "+n.id.currentName())
		if err != nil {
			return err
		}
		id, err := demes.ParseChatID(v.ID)
		if err != nil {
			return err
		}
		r = n.runner(id)
	}
	return r.act(ctx, func(c *chat.Chat, now demes.Now) error {
		c.OpenLobby(now, true)
		return nil
	})
}

// lobby is the newest one that takes knocks; nil when there is none.
func (n *Node) lobby() (newest *runner) {
	for _, r := range n.runners() {
		if r.knocks.Load() {
			newest = r
		}
	}
	return newest
}

// Contact is where this node takes knocks; ok is false when no lobby does.
func (n *Node) Contact(context.Context) (contact demes.Contact, ok bool) {
	if n.lobby() == nil {
		return contact, false
	}
	return demes.Contact{PeerID: n.transport.PeerID(), Device: n.id.device.String(), Addresses: n.transport.Addresses()}, true
}

// StartChat ends the lobby.
func (n *Node) StartChat(ctx context.Context, id demes.ChatID) error {
	return n.actIn(ctx, id, (*chat.Chat).Start)
}

// DecideKnock is the founder's word on who knocks.
func (n *Node) DecideKnock(ctx context.Context, id demes.ChatID, device demes.DeviceID, admit bool) error {
	return n.actIn(ctx, id, func(c *chat.Chat, now demes.Now) error { return c.Decide(now, device, admit) })
}

// Handover moves the host to a member, or to the next in line.
func (n *Node) Handover(ctx context.Context, id demes.ChatID, to *demes.DeviceID) error {
	return n.actIn(ctx, id, func(c *chat.Chat, now demes.Now) error { return c.Handover(now, to) })
}

// RemoveMember takes the whole account of a device out of the chat.
func (n *Node) RemoveMember(ctx context.Context, id demes.ChatID, device demes.DeviceID) error {
	return n.actIn(ctx, id, func(c *chat.Chat, now demes.Now) error { return c.Remove(now, device) })
}

// LeaveChat takes this device out of the chat; a host hands over first.
func (n *Node) LeaveChat(ctx context.Context, id demes.ChatID) error {
	return n.act(ctx, id, (*chat.Chat).Leave)
}

// MarkRead notes up to which position the user has seen the chat.
func (n *Node) MarkRead(ctx context.Context, id demes.ChatID, position uint64) error {
	return n.act(ctx, id, func(c *chat.Chat, now demes.Now) error {
		c.MarkRead(now, position)
		return nil
	})
}

// Typing tells the connected members that the user is typing. Nothing of it is
// kept, and it may get lost.
func (n *Node) Typing(ctx context.Context, id demes.ChatID) error {
	r, err := n.find(id)
	if err != nil {
		return err
	}
	return r.enqueue(ctx, &call{answer: func(c *chat.Chat) error {
		now := n.now()
		if c.Phase() != demes.PhaseLive || now.Mono < r.news.typedAt+typingEvery.Milliseconds() && r.news.typedAt != 0 {
			return nil
		}
		r.news.typedAt = now.Mono
		frame := wire.Marshal(&wire.Frame{
			Chat: r.id[:], Generation: c.Fold().Head.Generation, Kind: &wire.Frame_Typing{Typing: &wire.Typing{}},
		})
		for d := range r.ties.linked {
			n.transport.Send(d, frame)
		}
		return nil
	}})
}

// SendMessage stores a message on this device and sends it. The same key again
// answers with the message that was stored for it.
func (n *Node) SendMessage(ctx context.Context, id demes.ChatID, text string, replyTo *demes.EventID, key string) (demes.MessageView, error) {
	r, err := n.find(id)
	if err != nil {
		return demes.MessageView{}, err
	}
	var sent demes.EventID // the chat's goroutine alone touches it
	return ask(ctx, r, func(c *chat.Chat, now demes.Now) (err error) {
		if seq, known := r.keys.find(key); known {
			sent = demes.EventID{Device: n.id.device, Seq: seq}
			return nil
		}
		if sent, err = c.SendText(now, text, replyTo, key); err != nil {
			return err
		}
		if key != "" {
			r.keys.add(key, sent.Seq)
		}
		return nil
	}, func(c *chat.Chat) (demes.MessageView, error) { return r.message(c, sent) })
}

// Rename changes what this device's user is called, here and in every chat.
func (n *Node) Rename(ctx context.Context, name string) error {
	if err := n.id.setName(n.store, name); err != nil {
		return err
	}
	addresses := n.addresses()
	var problems []error
	for _, r := range n.runners() {
		problems = append(problems, r.act(ctx, func(c *chat.Chat, now demes.Now) error {
			if c.Phase() == demes.PhaseLeft || c.Phase() == demes.PhaseRemoved {
				return nil
			}
			return c.Rename(now, name, addresses)
		}))
	}
	return errors.Join(problems...)
}

// faults are the link faults that were set last.
type faults struct {
	mu    sync.Mutex
	links []demes.LinkFault
}

// Faults lists the faults of this node's links.
func (n *Node) Faults(context.Context) []demes.LinkFault {
	n.faults.mu.Lock()
	defer n.faults.mu.Unlock()
	return n.faults.links
}

// SetFaults replaces all faults; they live in memory only.
func (n *Node) SetFaults(_ context.Context, links []demes.LinkFault) error {
	if !n.cfg.Faults {
		return demes.Problem(demes.CodeNotAllowed, "This node injects no faults", "Start it with --faults to test and to demonstrate.")
	}
	faults := make([]wire.Fault, 0, len(links))
	for _, l := range links {
		f := wire.Fault{DelayMs: l.DelayMs, JitterMs: l.JitterMs, Loss: l.Loss, Cut: l.Cut}
		if l.Peer != "*" {
			d, err := demes.ParseDeviceID(l.Peer)
			if err != nil {
				return demes.Problem(demes.CodeBadInput, "A fault names no device", `Name a device's id, or "*" for all.`)
			}
			f.Peer = d
		}
		faults = append(faults, f)
	}
	n.faults.mu.Lock()
	defer n.faults.mu.Unlock()
	n.faults.links = append([]demes.LinkFault(nil), links...)
	n.transport.SetFaults(faults)
	return nil
}
