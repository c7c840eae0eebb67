// Package apitest holds a node that behaves and does nothing: chats are founded
// and started in memory, messages get positions at once. Tests of the API and of
// the command line talk to it where they need no other member.
package apitest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/demes-chat/demes"
)

// Node is a node of one member that behaves: chats are founded and started,
// messages get positions, keys make repeats harmless.
type Node struct {
	mu       sync.Mutex
	View     demes.NodeView
	chats    []*room
	joins    map[string]demes.JoinView
	Joined   []string // what Join was asked for
	faults   []demes.LinkFault
	Lobby    bool  // whether Contact answers
	Arrives  bool  // whether joins are done when one asks for them
	Fail     error // what every call answers when it is not nil
	events   []demes.LiveEvent
	watchers map[chan demes.LiveEvent]bool
	buffer   int

	wordsSaved, verified bool

	pending *demes.PendingDevice // asks to be a device of the account
	second  bool                 // it is one
}

type room struct {
	view     demes.ChatView
	messages []demes.MessageView
	keys     map[string]int
}

// The devices of a node's chats: its own, and the one other that every lobby
// has at its door.
var (
	Device = demes.DeviceID{1, 2, 3}
	Other  = demes.DeviceID{9, 9, 9}
)

// NewNode makes a node without chats.
func NewNode() *Node {
	return &Node{
		View: demes.NodeView{Device: Device.String(), Account: Device.String(), Name: "Ann", Version: "test",
			PeerID: "12D3KooWfake", DataDir: "/data"},
		joins: map[string]demes.JoinView{}, watchers: map[chan demes.LiveEvent]bool{}, buffer: 16,
	}
}

func (f *Node) Describe() demes.NodeView { return f.View }

func (f *Node) Rename(_ context.Context, name string) error {
	f.View.Name = name
	return f.Fail
}

func (f *Node) Chats(context.Context) (views []demes.ChatView, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, chat := range f.chats {
		views = append(views, chat.view)
	}
	return views, f.Fail
}

func (f *Node) find(id demes.ChatID) (*room, error) {
	if f.Fail != nil {
		return nil, f.Fail
	}
	for _, chat := range f.chats {
		if chat.view.ID == id.String() {
			return chat, nil
		}
	}
	return nil, demes.Problem(demes.CodeUnknownChat, "There is no such chat", "Look at the list.")
}

func (f *Node) Chat(_ context.Context, id demes.ChatID) (demes.ChatView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	chat, err := f.find(id)
	if err != nil {
		return demes.ChatView{}, err
	}
	return chat.view, nil
}

func (f *Node) FoundChat(_ context.Context, title string) (demes.ChatView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := demes.ChatID{byte(len(f.chats) + 1)}
	chat := &room{keys: map[string]int{}, view: demes.ChatView{ID: id.String(), Title: title, Phase: demes.PhaseLobby,
		Mode: demes.ModeSettled, Suite: "XWING", PostQuantum: true, Epoch: 3, EpochCode: "123456789012345678901234567890", Keys: demes.KeysView{State: demes.KeysGood}, Me: f.View.Device, Founder: f.View.Device, Host: f.me(),
		Members: []demes.MemberView{{Device: f.View.Device, Account: f.View.Account, Name: f.View.Name, Online: true, Role: demes.RoleFounder, Council: true}},
		Knocks:  []demes.KnockView{{Device: Other.String(), Name: "Bo", Code: "123456", Address: "10.0.0.2"}}}}
	f.chats = append(f.chats, chat)
	return chat.view, f.Fail
}

func (f *Node) me() *demes.Peer { return &demes.Peer{Device: f.View.Device, Name: f.View.Name} }

func (f *Node) onChat(id demes.ChatID, act func(*room) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	chat, err := f.find(id)
	if err != nil {
		return err
	}
	return act(chat)
}

func (f *Node) StartChat(_ context.Context, id demes.ChatID) error {
	return f.onChat(id, func(c *room) error {
		if c.view.Phase != demes.PhaseLobby {
			return demes.Problem(demes.CodeWrongPhase, "The chat has started", "Nothing is left to do.")
		}
		c.view.Phase, c.view.Knocks = demes.PhaseLive, nil
		return nil
	})
}

func (f *Node) Invite(_ context.Context, id demes.ChatID, uses int, validFor time.Duration, _ bool) (string, time.Time, error) {
	if validFor == 0 {
		validFor = 7 * 24 * time.Hour
	}
	err := f.onChat(id, func(*room) error { return nil })
	return fmt.Sprintf("https://demes.example/#invite-%d", uses), time.Unix(0, 0).Add(validFor), err
}

func (f *Node) onMember(id demes.ChatID, device demes.DeviceID) error {
	return f.onChat(id, func(*room) error {
		if device != Other {
			return demes.Problem(demes.CodeUnknownMember, "There is no such member", "Look at the list.")
		}
		return nil
	})
}

func (f *Node) DecideKnock(_ context.Context, id demes.ChatID, device demes.DeviceID, _ bool) error {
	return f.onMember(id, device)
}

func (f *Node) Handover(_ context.Context, id demes.ChatID, to *demes.DeviceID) error {
	if to == nil {
		return f.onChat(id, func(*room) error { return nil })
	}
	return f.onMember(id, *to)
}

func (f *Node) RemoveMember(_ context.Context, id demes.ChatID, device demes.DeviceID) error {
	return f.onMember(id, device)
}

func (f *Node) LeaveChat(_ context.Context, id demes.ChatID) error {
	return f.onChat(id, func(c *room) error { c.view.Phase = demes.PhaseLeft; return nil })
}

func (f *Node) Typing(_ context.Context, id demes.ChatID) error {
	return f.onChat(id, func(*room) error { return nil })
}

func (f *Node) MarkRead(_ context.Context, id demes.ChatID, _ uint64) error {
	return f.onChat(id, func(*room) error { return nil })
}

func (f *Node) SendMessage(_ context.Context, id demes.ChatID, text string, replyTo *demes.EventID, key string) (sent demes.MessageView, err error) {
	err = f.onChat(id, func(c *room) error {
		if c.view.Phase != demes.PhaseLive {
			return demes.Problem(demes.CodeWrongPhase, "The chat has not started", "Wait for its founder.")
		}
		if at, known := c.keys[key]; known && key != "" {
			sent = c.messages[at]
			return nil
		}
		position := uint64(len(c.messages) + 1)
		sent = demes.MessageView{ID: demes.EventID{Device: Device, Seq: position}.String(), Chat: c.view.ID, Author: *f.me(), Text: text,
			Position: &position, State: demes.StateSettled, SentAt: time.Unix(int64(position), 0).UTC(), HeldBy: 1, Members: 1}
		if replyTo != nil {
			sent.ReplyTo = replyTo.String()
		}
		c.keys[key] = len(c.messages)
		c.messages = append(c.messages, sent)
		c.view.Position = position
		copied := sent
		f.publish(demes.LiveEvent{Type: "message", Chat: c.view.ID, Message: &copied})
		return nil
	})
	return sent, err
}

// Messages keeps the contract of node.Store.Messages: 0 is no bound, and with
// no bound come the newest.
func (f *Node) Messages(_ context.Context, id demes.ChatID, after, before uint64, limit int) (page []demes.MessageView, head demes.PageHead, err error) {
	err = f.onChat(id, func(c *room) error {
		head = demes.PageHead{Generation: 1, Position: uint64(len(c.messages)), Hash: "00"}
		for _, message := range c.messages {
			if *message.Position > after && (before == 0 || *message.Position < before) {
				page = append(page, message)
			}
		}
		if extra := len(page) - limit; extra > 0 && after > 0 {
			page = page[:limit]
		} else if extra > 0 {
			page = page[extra:]
		}
		return nil
	})
	return page, head, err
}

func (f *Node) Join(_ context.Context, link, address, name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if link != "" && !strings.HasPrefix(link, "https://demes.example/#") {
		return "", demes.Problem(demes.CodeLinkMalformed, "This is no invite link", "Copy the whole link.")
	}
	f.Joined = append(f.Joined, link+address+" as "+name)
	id := fmt.Sprintf("join-%d", len(f.Joined))
	f.joins[id] = demes.JoinView{Join: id, State: demes.JoinConnecting}
	return id, f.Fail
}

func (f *Node) JoinStatus(_ context.Context, join string) (demes.JoinView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	view, ok := f.joins[join]
	if ok && f.Arrives {
		view.State, view.Chat = demes.JoinJoined, demes.ChatID{42}.String()
	}
	if !ok {
		return view, demes.Problem(demes.CodeUnknownJoin, "There is no such join", "Begin it again.")
	}
	return view, f.Fail
}

func (f *Node) Contact(context.Context) (demes.Contact, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return demes.Contact{PeerID: f.View.PeerID, Device: f.View.Device, Addresses: []string{"/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1"}}, f.Lobby
}

func (f *Node) Live(ctx context.Context, run string, since uint64) (<-chan demes.LiveEvent, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	missed := run != "" && run != "run-1"
	out := make(chan demes.LiveEvent, f.buffer+len(f.events))
	out <- demes.LiveEvent{Seq: uint64(len(f.events)), Run: "run-1", Type: "hello"}
	if since != math.MaxUint64 && !missed {
		for _, event := range f.events[min(int(since), len(f.events)):] {
			out <- event
		}
	}
	f.watchers[out] = true
	context.AfterFunc(ctx, func() { f.drop(out) })
	return out, missed
}

func (f *Node) drop(out chan demes.LiveEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers[out] {
		delete(f.watchers, out)
		close(out)
	}
}

// Publish sends an event to all streams.
func (f *Node) Publish(event demes.LiveEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.publish(event)
}

func (f *Node) publish(event demes.LiveEvent) {
	event.Seq, event.Run = uint64(len(f.events)+1), "run-1"
	f.events = append(f.events, event)
	for out := range f.watchers {
		select {
		case out <- event:
		default:
			delete(f.watchers, out)
			close(out)
		}
	}
}

// OpenLobby makes Contact answer.
func (f *Node) OpenLobby() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Lobby = true
}

// JoinsAsked is what Join was asked for.
func (f *Node) JoinsAsked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.Joined)
}

// DropReaders ends all streams, as if their readers had been too slow.
func (f *Node) DropReaders() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for out := range f.watchers {
		delete(f.watchers, out)
		close(out)
	}
}

// Readers is how many streams are open.
func (f *Node) Readers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers)
}

func (f *Node) Faults(context.Context) []demes.LinkFault { return f.faults }

func (f *Node) SetFaults(_ context.Context, faults []demes.LinkFault) error {
	f.faults = faults
	return f.Fail
}
