package group

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// callWithin ends a call to a node that does not answer, such as a paused one.
const callWithin = 20 * time.Second

var client = &http.Client{Timeout: callWithin, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}}

// Peer names a member.
type Peer struct{ Device, Name string }

// Head is a place in the settled log.
type Head struct {
	Generation, Index, Position uint64
	Hash                        string
}

// Member is one member of a chat as a node sees it.
type Member struct {
	Device, Name string
	Online       bool
	Council      bool
	Held         uint64
}

// Chat is a chat as a node sees it.
type Chat struct {
	ID, Title, Phase, Mode string
	Host, Next             *Peer
	Term, Generation       uint64
	Position               uint64
	Head                   Head
	Members                []Member
	Succession             []Peer
	Latency                Latency
	WaitingText            string `json:"waiting_text"`
	Problem                *Problem
}

// Latency is the round trips between all members, in milliseconds.
type Latency struct {
	RTT [][]*float64 `json:"rtt_ms"`
}

func (l Latency) String() string {
	text, _ := json.Marshal(l.RTT)
	return string(text)
}

func (c Chat) count() (online, voters int) {
	for _, m := range c.Members {
		if m.Online {
			online++
		}
		if m.Council {
			voters++
		}
	}
	return online, voters
}

func (c Chat) String() string {
	online, voters := c.count()
	host, next := "nobody", "nobody"
	if c.Host != nil {
		host = c.Host.Name
	}
	if c.Next != nil {
		next = c.Next.Name
	}
	return fmt.Sprintf("%s, %s, host %s, next %s, term %d, generation %d, position %d, head %d %.8s, %d members, %d online, council %d, waits for %q, problem %v",
		c.Phase, c.Mode, host, next, c.Term, c.Generation, c.Position, c.Head.Index, c.Head.Hash, len(c.Members), online, voters, c.WaitingText, c.Problem)
}

// Message is a message as a node sees it.
type Message struct {
	ID, Text, State string
	Position        *uint64
	Author          Peer
	Problem         *Problem
}

// Problem is what the API says when it does not do what it was asked for.
type Problem struct {
	Status              int
	Code, Title, Detail string
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%d %s: %s. %s", p.Status, p.Code, p.Title, p.Detail)
}

// Fault is what one link of a node does to all that passes.
type Fault struct {
	Peer     string  `json:"peer"`
	DelayMs  float64 `json:"delay_ms"`
	JitterMs float64 `json:"jitter_ms"`
	Loss     float64 `json:"loss"`
	Cut      bool    `json:"cut"`
}

// Call asks the node's local API. The error is a *Problem when the node
// answered, and may mean that it did what it was asked for otherwise.
func (n *Node) Call(method, path string, in, out any, header ...string) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	port, token := n.Door()
	request, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d/api/v1%s", port, path), body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return read(answer.StatusCode, text, out)
}

func read(status int, text []byte, out any) error {
	if status >= 300 {
		problem := &Problem{}
		_ = json.Unmarshal(text, problem)
		problem.Status = status
		return problem
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, out)
}

// Must is Call where nothing may go wrong.
func (n *Node) Must(method, path string, in, out any) {
	n.g.Helper()
	if err := n.Call(method, path, in, out); err != nil {
		n.g.Fatalf("%s %s at %s: %v\n%s", method, path, n.Name, err, n.g.State())
	}
}

// Chats are the chats of the node.
func (n *Node) Chats() []Chat {
	n.g.Helper()
	var out struct{ Chats []Chat }
	n.Must("GET", "/chats", nil, &out)
	return out.Chats
}

// View is the group's chat as this node sees it.
func (n *Node) View() Chat {
	n.g.Helper()
	chat, err := n.chat(n.g.Chat)
	if err != nil {
		n.g.Fatalf("ask %s: %v", n.Name, err)
	}
	return chat
}

func (n *Node) chat(id string) (out Chat, err error) {
	if err = n.Call("GET", "/chats/"+id, nil, &out); err != nil {
		return out, fmt.Errorf("ask %s: %w", n.Name, err)
	}
	return out, nil
}

// Send sends a message to the group's chat.
func (n *Node) Send(text string) Message {
	n.g.Helper()
	message, err := n.TrySend(n.g.Chat, text)
	if err != nil {
		n.g.Fatalf("send %q at %s: %v", text, n.Name, err)
	}
	return message
}

// TrySend sends a text once, however often it is called with it: the text makes
// the key that lets the node know it again.
func (n *Node) TrySend(chat, text string) (out Message, err error) {
	key := "outside-test-key-" + strings.ReplaceAll(text, " ", "-")
	err = n.Call("POST", "/chats/"+chat+"/messages", map[string]string{"text": text}, &out, "Idempotency-Key", key)
	return out, err
}

// SetFaults replaces the faults of the node's links.
func (n *Node) SetFaults(faults ...Fault) {
	n.g.Helper()
	if faults == nil {
		faults = []Fault{}
	}
	n.Must("PUT", "/faults", map[string]any{"links": faults}, nil)
}

// Invite makes an invite link to the group's chat.
func (n *Node) Invite() string {
	n.g.Helper()
	var out struct{ Link string }
	n.Must("POST", "/chats/"+n.g.Chat+"/invites", map[string]any{}, &out)
	return out.Link
}

// Log is the settled messages of a chat from the first on, those that are not
// settled, and the head after the last settled one.
func (n *Node) Log(chat string) (settled, unsettled []Message, head Head, err error) {
	after := uint64(0)
	for {
		var page struct {
			Messages []Message
			Head     Head
		}
		if err := n.Call("GET", fmt.Sprintf("/chats/%s/messages?after=%d&limit=1000", chat, after), nil, &page); err != nil {
			return nil, nil, Head{}, fmt.Errorf("read %s's messages: %w", n.Name, err)
		}
		before := len(settled)
		unsettled = nil
		for _, m := range page.Messages {
			if m.Position == nil {
				unsettled = append(unsettled, m)
				continue
			}
			settled, after = append(settled, m), *m.Position
		}
		if len(settled) == before || after >= page.Head.Position {
			return settled, unsettled, page.Head, nil
		}
	}
}
