package node

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits at the door, where strangers stand (docs/protocol.md#joining).
const (
	// maxAskers may wait for an answer at once.
	maxAskers = 8
	// holdFor is how long an answer waits for something better than "wait": it
	// stays below the join protocol's ten seconds. While the door is crowded it
	// does not wait.
	holdFor = 8 * time.Second
	crowded = maxAskers / 2
	// An address may ask askBurst times at once and askPerSecond on average: an
	// office that joins together, each repeating every two seconds.
	askBurst     = 32
	askPerSecond = 4
	// maxAddressRates bounds the addresses remembered for that.
	maxAddressRates = 256
)

// door answers join requests of devices that are no members yet.
type door struct {
	node *Node

	mu     sync.Mutex
	askers int
	rates  map[string]rate
}

// rate is what an address may still ask.
type rate struct {
	left float64
	at   int64 // Mono ms
}

func newDoor(n *Node) *door { return &door{node: n, rates: map[string]rate{}} }

// refused is the one answer to an unknown chat, a bad invite and a closed door.
func refused(code demes.Code) []byte {
	return wire.Marshal(&wire.JoinAnswer{State: wire.JoinAnswer_REFUSED, Code: string(code)})
}

// Joining implements Handler: it answers one question over the join protocol.
func (n *Node) Joining(ctx context.Context, from demes.DeviceID, address string, raw []byte) []byte {
	address = plainAddress(address)
	hold, ok := n.door.enter(address)
	if !ok {
		return refused(demes.CodeTooMany)
	}
	defer n.door.leave()
	question := &wire.JoinAsk{}
	if len(raw) > wire.MaxJoinAsk || wire.Unmarshal(raw, question) != nil {
		return refused(demes.CodeRefused)
	}
	if question.GetDevice() != nil {
		return n.devices.asked(ctx, hold, from, address, question.GetDevice())
	}
	if question.GetRequest() == nil {
		return n.whichLobby(ctx)
	}
	body := &wire.JoinBody{}
	if wire.Unmarshal(question.GetRequest().GetBody(), body) != nil {
		return refused(demes.CodeRefused)
	}
	r := n.runner(demes.ChatID(wire.HashOf(body.GetChat())))
	if r == nil {
		return refused(demes.CodeRefused)
	}
	if !hold {
		return r.askOnce(ctx, from, address, question).raw
	}
	return r.askUntil(ctx, from, address, question)
}

// whichLobby tells who knocks by an address which chat that is. It names no
// member but this device, to which the asker is connected anyway.
func (n *Node) whichLobby(ctx context.Context) []byte {
	r := n.lobby()
	if r == nil {
		return refused(demes.CodeRefused)
	}
	suite, err := ask(ctx, r, nil, func(c *chat.Chat) (uint32, error) { return uint32(c.Fold().Suite), nil })
	if err != nil {
		return refused(demes.CodeRefused)
	}
	return wire.Marshal(&wire.JoinAnswer{
		State: wire.JoinAnswer_KNOCKING, Chat: r.id[:], Title: r.lastView().Title, Device: n.id.device[:], Suite: suite,
	})
}

// askUntil asks the chat again whenever its membership moves, until there is a
// final answer or holdFor is over.
func (r *runner) askUntil(ctx context.Context, from demes.DeviceID, address string, question *wire.JoinAsk) []byte {
	ctx, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	for {
		moved := r.watch()
		a := r.askOnce(ctx, from, address, question)
		if !a.open {
			return a.raw
		}
		select {
		case <-moved:
		case <-r.done:
			return a.raw
		case <-ctx.Done():
			return a.raw
		}
	}
}

// answer is what a chat says to a join request.
type answer struct {
	raw  []byte
	open bool // something better may follow
}

func (r *runner) askOnce(ctx context.Context, from demes.DeviceID, address string, question *wire.JoinAsk) answer {
	var said answer // the chat's goroutine alone touches it
	a, err := ask(context.WithoutCancel(ctx), r, func(c *chat.Chat, now demes.Now) error {
		reply := c.Ask(now, from, address, question)
		state := reply.GetState()
		// The base belongs to the chat: it is encoded here.
		said = answer{raw: wire.Marshal(reply), open: state == wire.JoinAnswer_WAITING || state == wire.JoinAnswer_KNOCKING}
		return nil
	}, func(*chat.Chat) (answer, error) { return said, nil })
	if err != nil {
		return answer{raw: refused(demes.CodeRefused)}
	}
	return a
}

// enter takes a place at the door; hold says that there is room to wait.
func (d *door) enter(address string) (hold, ok bool) {
	now := d.node.now().Mono
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.askers >= maxAskers || !d.spend(address, now) {
		return false, false
	}
	d.askers++
	return d.askers <= crowded, true
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.askers--
}

// spend counts one question of an address. d.mu is held.
func (d *door) spend(address string, now int64) bool {
	r, known := d.rates[address]
	if !known {
		if len(d.rates) >= maxAddressRates {
			for old, rest := range d.rates {
				if rest.refill(now) >= askBurst {
					delete(d.rates, old)
				}
			}
		}
		if len(d.rates) >= maxAddressRates {
			return false
		}
		r = rate{left: askBurst, at: now}
	}
	left := r.refill(now)
	ok := left >= 1
	if ok {
		left--
	}
	d.rates[address] = rate{left: left, at: now}
	return ok
}

func (r rate) refill(now int64) float64 {
	return min(askBurst, r.left+float64(now-r.at)/1000*askPerSecond)
}

// plainAddress is the IP address of a multiaddress; of one that leads through
// another member it is "relay", because whose it is cannot be told.
func plainAddress(address string) string {
	if !strings.HasPrefix(address, "/") {
		return address
	}
	parts := strings.Split(address, "/")
	if strings.Contains(address, "/p2p-circuit") || len(parts) < 3 || parts[1] != "ip4" && parts[1] != "ip6" {
		return "relay"
	}
	return parts[2]
}
