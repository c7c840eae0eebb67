package group

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"
)

// Event is a live event of a node, with the moment at which it arrived here.
type Event struct {
	At       time.Time `json:"-"`
	Type     string
	Chat     string
	Message  *Message
	Messages []Message
	Detail   struct{ Host *Peer } // of events that show the chat
}

// All are the messages that the event tells of.
func (e Event) All() []Message {
	if e.Message != nil {
		return append([]Message{*e.Message}, e.Messages...)
	}
	return e.Messages
}

// Follow hands each live event of the node to see, in order, on a goroutine of
// its own, until the returned function is called or the node goes.
func (n *Node) Follow(see func(Event)) (stop func()) {
	n.g.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	port, token := n.Door()
	token = "token." + base64.RawURLEncoding.EncodeToString([]byte(token))
	conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%d/api/v1/live", port), &websocket.DialOptions{Subprotocols: []string{"demes.v1", token}})
	if err != nil {
		cancel()
		n.g.Fatalf("follow %s: %v", n.Name, err)
	}
	conn.SetReadLimit(64 << 20)
	greeted, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		first := true
		for {
			_, text, err := conn.Read(ctx)
			event := Event{At: time.Now()}
			if err != nil || json.Unmarshal(text, &event) != nil {
				return
			}
			see(event)
			if first {
				close(greeted)
				first = false
			}
		}
	}()
	select {
	case <-greeted:
	case <-ended:
		n.g.Fatalf("follow %s: the stream ended before it began", n.Name)
	}
	return func() {
		cancel()
		_ = conn.CloseNow()
		<-ended
	}
}
