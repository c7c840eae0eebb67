package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/demes-chat/demes"
)

// fakeNode is a node of one member that behaves: chats are founded and started,
// messages get positions, keys make repeats harmless.
type fakeNode struct {
	mu       sync.Mutex
	view     demes.NodeView
	chats    []*fakeChat
	joins    map[string]demes.JoinView
	joined   []string // what Join was asked for
	faults   []demes.LinkFault
	lobby    bool
	fail     error // what every call answers when it is not nil
	events   []demes.LiveEvent
	watchers map[chan demes.LiveEvent]bool
	buffer   int
}

type fakeChat struct {
	view     demes.ChatView
	messages []demes.MessageView
	keys     map[string]int
}

var (
	fakeDevice = demes.DeviceID{1, 2, 3}
	otherPeer  = demes.DeviceID{9, 9, 9}
)

func newFakeNode() *fakeNode {
	return &fakeNode{
		view: demes.NodeView{Device: fakeDevice.String(), Account: fakeDevice.String(), Name: "Ann", Version: "test",
			PeerID: "12D3KooWfake", DataDir: "/data"},
		joins: map[string]demes.JoinView{}, watchers: map[chan demes.LiveEvent]bool{}, buffer: 16,
	}
}

func (f *fakeNode) Describe() demes.NodeView { return f.view }

func (f *fakeNode) Rename(_ context.Context, name string) error {
	f.view.Name = name
	return f.fail
}

func (f *fakeNode) Chats(context.Context) (views []demes.ChatView, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, chat := range f.chats {
		views = append(views, chat.view)
	}
	return views, f.fail
}

func (f *fakeNode) find(id demes.ChatID) (*fakeChat, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	for _, chat := range f.chats {
		if chat.view.ID == id.String() {
			return chat, nil
		}
	}
	return nil, demes.Problem(demes.CodeUnknownChat, "There is no such chat", "Look at the list.")
}

func (f *fakeNode) Chat(_ context.Context, id demes.ChatID) (demes.ChatView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	chat, err := f.find(id)
	if err != nil {
		return demes.ChatView{}, err
	}
	return chat.view, nil
}

func (f *fakeNode) FoundChat(_ context.Context, title string) (demes.ChatView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := demes.ChatID{byte(len(f.chats) + 1)}
	chat := &fakeChat{keys: map[string]int{}, view: demes.ChatView{ID: id.String(), Title: title, Phase: demes.PhaseLobby, Mode: demes.ModeSettled}}
	f.chats = append(f.chats, chat)
	return chat.view, f.fail
}

func (f *fakeNode) onChat(id demes.ChatID, act func(*fakeChat) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	chat, err := f.find(id)
	if err != nil {
		return err
	}
	return act(chat)
}

func (f *fakeNode) StartChat(_ context.Context, id demes.ChatID) error {
	return f.onChat(id, func(c *fakeChat) error {
		if c.view.Phase != demes.PhaseLobby {
			return demes.Problem(demes.CodeWrongPhase, "The chat has started", "Nothing is left to do.")
		}
		c.view.Phase = demes.PhaseLive
		return nil
	})
}

func (f *fakeNode) Invite(_ context.Context, id demes.ChatID, uses int, validFor time.Duration) (string, time.Time, error) {
	if validFor == 0 {
		validFor = 7 * 24 * time.Hour
	}
	err := f.onChat(id, func(*fakeChat) error { return nil })
	return fmt.Sprintf("https://demes.example/#invite-%d", uses), time.Unix(0, 0).Add(validFor), err
}

func (f *fakeNode) onMember(id demes.ChatID, device demes.DeviceID) error {
	return f.onChat(id, func(*fakeChat) error {
		if device != otherPeer {
			return demes.Problem(demes.CodeUnknownMember, "There is no such member", "Look at the list.")
		}
		return nil
	})
}

func (f *fakeNode) DecideKnock(_ context.Context, id demes.ChatID, device demes.DeviceID, _ bool) error {
	return f.onMember(id, device)
}

func (f *fakeNode) Handover(_ context.Context, id demes.ChatID, to *demes.DeviceID) error {
	if to == nil {
		return f.onChat(id, func(*fakeChat) error { return nil })
	}
	return f.onMember(id, *to)
}

func (f *fakeNode) RemoveMember(_ context.Context, id demes.ChatID, device demes.DeviceID) error {
	return f.onMember(id, device)
}

func (f *fakeNode) LeaveChat(_ context.Context, id demes.ChatID) error {
	return f.onChat(id, func(c *fakeChat) error { c.view.Phase = demes.PhaseLeft; return nil })
}

func (f *fakeNode) Typing(_ context.Context, id demes.ChatID) error {
	return f.onChat(id, func(*fakeChat) error { return nil })
}

func (f *fakeNode) MarkRead(_ context.Context, id demes.ChatID, _ uint64) error {
	return f.onChat(id, func(*fakeChat) error { return nil })
}

func (f *fakeNode) SendMessage(_ context.Context, id demes.ChatID, text string, replyTo *demes.EventID, key string) (sent demes.MessageView, err error) {
	err = f.onChat(id, func(c *fakeChat) error {
		if c.view.Phase != demes.PhaseLive {
			return demes.Problem(demes.CodeWrongPhase, "The chat has not started", "Wait for its founder.")
		}
		if at, known := c.keys[key]; known && key != "" {
			sent = c.messages[at]
			return nil
		}
		position := uint64(len(c.messages) + 1)
		sent = demes.MessageView{ID: demes.EventID{Device: fakeDevice, Seq: position}.String(), Chat: c.view.ID, Text: text,
			Position: &position, State: demes.StateSettled, SentAt: time.Unix(int64(position), 0).UTC(), HeldBy: 1, Members: 1}
		if replyTo != nil {
			sent.ReplyTo = replyTo.String()
		}
		c.keys[key] = len(c.messages)
		c.messages = append(c.messages, sent)
		c.view.Position = position
		return nil
	})
	return sent, err
}

// Messages keeps the contract of node.Store.Messages: 0 is no bound, and with
// no bound come the newest.
func (f *fakeNode) Messages(_ context.Context, id demes.ChatID, after, before uint64, limit int) (page []demes.MessageView, head demes.PageHead, err error) {
	err = f.onChat(id, func(c *fakeChat) error {
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

func (f *fakeNode) Join(_ context.Context, link, address, name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if link != "" && !strings.HasPrefix(link, "https://demes.example/#") {
		return "", demes.Problem(demes.CodeLinkMalformed, "This is no invite link", "Copy the whole link.")
	}
	f.joined = append(f.joined, link+address+" as "+name)
	id := fmt.Sprintf("join-%d", len(f.joined))
	f.joins[id] = demes.JoinView{Join: id, State: demes.JoinConnecting}
	return id, f.fail
}

func (f *fakeNode) JoinStatus(_ context.Context, join string) (demes.JoinView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	view, ok := f.joins[join]
	if !ok {
		return view, demes.Problem(demes.CodeUnknownJoin, "There is no such join", "Begin it again.")
	}
	return view, f.fail
}

func (f *fakeNode) Contact(context.Context) (Contact, bool) {
	return Contact{PeerID: f.view.PeerID, Device: f.view.Device, Addresses: []string{"/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1"}}, f.lobby
}

func (f *fakeNode) Live(ctx context.Context, run string, since uint64) (<-chan demes.LiveEvent, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	missed := run != "" && run != "run-1"
	out := make(chan demes.LiveEvent, f.buffer+len(f.events))
	out <- demes.LiveEvent{Seq: uint64(len(f.events)), Run: "run-1", Type: EventHello}
	if since != FromNow && !missed {
		for _, event := range f.events[min(int(since), len(f.events)):] {
			out <- event
		}
	}
	f.watchers[out] = true
	context.AfterFunc(ctx, func() { f.drop(out) })
	return out, missed
}

func (f *fakeNode) drop(out chan demes.LiveEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers[out] {
		delete(f.watchers, out)
		close(out)
	}
}

func (f *fakeNode) publish(event demes.LiveEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
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

func (f *fakeNode) Faults(context.Context) []demes.LinkFault { return f.faults }

func (f *fakeNode) SetFaults(_ context.Context, faults []demes.LinkFault) error {
	f.faults = faults
	return f.fail
}

// The tests' server: what a page of it would be allowed to do.
const (
	testPort  = 3000
	testToken = "a-token-for-tests"
	testHost  = "127.0.0.1:3000"
)

var testPage = fstest.MapFS{
	"index.html":      {Data: []byte("<!doctype html><title>DeMes</title>")},
	"assets/app.js":   {Data: []byte("'use strict'")},
	"assets/font.xyz": {Data: []byte("no known type")},
	"SOURCE_HASH":     {Data: []byte("0123")},
}

func newTestServer(t testing.TB) (*Server, *fakeNode) {
	t.Helper()
	node := newFakeNode()
	s := New(Config{Node: node, UI: testPage, Port: testPort, Token: testToken, Faults: true,
		Stats: func() Stats { return Stats{Chats: 3} }})
	t.Cleanup(s.Close)
	return s, node
}

// ask is one request; the zero value of a field means what is usual.
type ask struct {
	method, path, body string
	host, token        string // "-": none
	header             map[string]string
}

func (a ask) request() *http.Request {
	method := a.method
	if method == "" {
		method = http.MethodGet
	}
	path := a.path
	if !strings.HasPrefix(path, "/") {
		path = BasePath + "/" + path
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(a.body))
	r.Method = method // also those that no parser would let through
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	r.RequestURI = path
	r.Host = testHost
	if a.host != "" {
		r.Host = a.host
	}
	switch a.token {
	case "":
		r.Header.Set("Authorization", "Bearer "+testToken)
	case "-":
	default:
		r.Header.Set("Authorization", a.token)
	}
	if a.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	return r
}

func (a ask) String() string {
	body := a.body
	if len(body) > 60 {
		body = body[:60] + "…"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s host=%q token=%q %v", a.method, a.path, body, a.host, a.token, a.header))
}

func (a ask) to(s *Server) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, a.request())
	return w
}

// want answers the request, fails unless it has this status, and reads what
// came back into out when that is not nil.
func want(t testing.TB, s *Server, status int, a ask, out any) {
	t.Helper()
	w := a.to(s)
	if w.Code != status {
		t.Fatalf("%s\n got %d %s\nwant %d", a, w.Code, w.Body, status)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
		t.Fatalf("%s\nanswer %q: %v", a, w.Body, err)
	}
}

// refused checks that an answer is a well-formed problem of this status and code.
func refused(t testing.TB, s *Server, status int, code demes.Code, a ask) Problem {
	t.Helper()
	w := a.to(s)
	p, err := readProblem(w.Result())
	if err != nil {
		t.Errorf("%s\n got %d %s\n%v", a, w.Code, w.Body, err)
	} else if w.Code != status || p.Code != code {
		t.Errorf("%s\n got %d %s (%s: %s)\nwant %d %s", a, w.Code, p.Code, p.Title, p.Detail, status, code)
	}
	return p
}

func readProblem(res *http.Response) (p Problem, err error) {
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return p, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, fmt.Errorf("no problem document: %w", err)
	}
	switch {
	case res.Header.Get("Content-Type") != "application/problem+json":
		return p, errors.New("wrong content type " + res.Header.Get("Content-Type"))
	case p.Status != res.StatusCode:
		return p, fmt.Errorf("says status %d", p.Status)
	case p.Code == "" || p.Title == "" || p.Detail == "" || p.Type == "":
		return p, errors.New("a member of the problem is empty")
	case slices.ContainsFunc(p.Errors, func(e FieldError) bool { return e.Location == "" || e.Message == "" }):
		return p, errors.New("a field error is empty")
	}
	return p, nil
}

// started founds and starts a chat and returns its id.
func started(t testing.TB, s *Server) string {
	t.Helper()
	var chat demes.ChatView
	want(t, s, 201, ask{method: "POST", path: "chats", body: `{"title":"Ducks"}`}, &chat)
	want(t, s, 202, ask{method: "POST", path: "chats/" + chat.ID + "/start"}, nil)
	return chat.ID
}
