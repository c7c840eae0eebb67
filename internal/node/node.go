// Package node runs the chats of one profile: it owns every goroutine, the
// clock, the store and the transport.
//
// Its one idea: a chat says what it wants (chat.Output) and one function,
// runner.carryOut, does it in the only right order: first durable, then sent,
// then shown. Each chat has one goroutine; inputs reach it through its inbox,
// and what it asks to be kept goes through one writer, which puts waiting
// batches of several chats into one transaction.
//
//	transport ─▶ links ─▶ inbox ─▶ runner ─▶ writer ─▶ store
//	api ───────▶ calls ─────────▲     └────▶ transport, hub
//
// The package decides nothing about order, membership or hosts: that is
// internal/chat.
package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	crand "crypto/rand"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	// MaxChats bounds the chats of a profile: each costs a goroutine and its state.
	MaxChats = 1000
	// departTime is how long a clean leave waits for its hosts to be handed over.
	departTime = 2 * time.Second
	// departLook is how often it looks at a hand-over that nothing told of.
	departLook = 20 * time.Millisecond
	// clockOrigin is where Mono begins: 0 means "never" to the pure packages.
	clockOrigin = 1_000
)

// Config is what a node needs.
type Config struct {
	Store Store
	// OpenTransport opens the network for this device. The handler may be called
	// from then on; nobody is connected before SetPeers.
	OpenTransport func(key ed25519.PrivateKey, handler Handler) (Transport, error)

	Name      string // what others see; empty: the one kept, or the OS user's
	Version   string
	DataDir   string
	Restored  bool // the profile was found to be put back to an earlier state
	OpenLobby bool // found a lobby if there is none, and admit local knocks
	Faults    bool // faults may be injected

	Log    *slog.Logger     // nil: none
	Now    func() demes.Now // nil: the real clock
	Timing chat.Timing      // of all chats; zero: the defaults
}

// Node is a running node. It implements what internal/api serves.
type Node struct {
	cfg       Config
	log       *slog.Logger
	now       func() demes.Now
	store     Store
	id        self
	safety    *safety
	hub       *Hub
	writer    *writer
	links     *links
	steward   *steward
	transport Transport
	door      *door
	joins     *joins
	devices   *devices
	faults    faults
	stats     counters

	mu      sync.RWMutex
	chats   map[demes.ChatID]*runner
	order   []demes.ChatID // oldest first
	closing bool
}

// New opens a profile and its chats, and goes online. From then on Close closes
// the store too; after an error that is the caller's. Errors are for a user.
func New(cfg Config) (*Node, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = realClock()
	}
	n := &Node{cfg: cfg, log: cfg.Log, now: cfg.Now, store: cfg.Store, hub: NewHub(), chats: map[demes.ChatID]*runner{}}
	var err error
	if n.id, err = openIdentity(cfg.Store, cfg.Name, cfg.Now()); err != nil {
		return nil, fmt.Errorf("open identity: %w", err)
	}
	if n.safety, err = openSafety(cfg.Store); err != nil {
		return nil, fmt.Errorf("open verified accounts: %w", err)
	}
	n.links = newLinks(n)
	n.joins = newJoins(n)
	n.devices = &devices{node: n}
	n.door = newDoor(n)
	if err := n.openChats(); err != nil {
		return nil, fmt.Errorf("open chats: %w", err)
	}
	if n.transport, err = cfg.OpenTransport(n.id.key, n); err != nil {
		return nil, fmt.Errorf("open transport: %w", err)
	}
	n.writer = newWriter(cfg.Store)
	n.steward = newSteward(n)
	for _, id := range n.order {
		n.chats[id].start()
	}
	n.joins.comeBack()
	if cfg.OpenLobby {
		if err := n.openLobby(); err != nil {
			return nil, errors.Join(err, n.Close(context.Background()))
		}
	}
	return n, nil
}

// realClock counts Mono from now on.
func realClock() func() demes.Now {
	start := time.Now()
	return func() demes.Now {
		return demes.Now{Mono: clockOrigin + time.Since(start).Milliseconds(), Wall: time.Now().UnixMilli()}
	}
}

// openChats goes on with every chat of the profile. One that cannot be opened
// is listed with its problem and does not keep the others from running.
func (n *Node) openChats() error {
	ids, err := n.store.Chats()
	if err != nil {
		return err
	}
	for _, id := range ids {
		saved, err := n.store.Load(id)
		if err != nil {
			n.add(brokenRunner(n, id, nil, err))
			continue
		}
		r, err := openRunner(n, saved)
		if err != nil {
			n.log.Error("a chat cannot be opened", "chat", id.Short(), "err", err)
			r = brokenRunner(n, id, saved, err)
		}
		n.add(r)
	}
	return nil
}

// chatConfig is what every chat needs of this device.
func (n *Node) chatConfig() chat.Config {
	return chat.Config{
		Key: n.id.key, Cert: n.id.cert, Log: n.store, Rand: rand.Uint64, Timing: n.cfg.Timing, Parallel: onAllCores,
		Salt: func() (salt [16]byte) {
			_, _ = crand.Read(salt[:]) // never fails
			return salt
		},
	}
}

func (n *Node) add(r *runner) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.chats[r.id] == nil {
		n.order = append(n.order, r.id)
	}
	n.chats[r.id] = r
}

func (n *Node) remove(r *runner) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.chats[r.id] == r {
		delete(n.chats, r.id)
		n.order = slices.DeleteFunc(n.order, func(id demes.ChatID) bool { return id == r.id })
	}
}

// runner finds a chat; nil when there is none.
func (n *Node) runner(id demes.ChatID) *runner {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.chats[id]
}

// find is runner for a user's call.
func (n *Node) find(id demes.ChatID) (*runner, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closing {
		return nil, shuttingDown()
	}
	if r := n.chats[id]; r != nil {
		return r, nil
	}
	return nil, demes.Problem(demes.CodeUnknownChat, "There is no such chat", "See the chats of this profile with: demes chats.")
}

// runners lists all chats, oldest first.
func (n *Node) runners() []*runner {
	n.mu.RLock()
	defer n.mu.RUnlock()
	out := make([]*runner, 0, len(n.order))
	for _, id := range n.order {
		out = append(out, n.chats[id])
	}
	return out
}

func shuttingDown() error {
	return demes.Problem(demes.CodeShuttingDown, "DeMes is closing", "Start it again.")
}

// Describe shows this node.
func (n *Node) Describe() demes.NodeView {
	return demes.NodeView{
		Device: n.id.device.String(), Account: n.id.account.String(), Name: n.id.currentName(), Version: n.cfg.Version,
		PeerID: n.transport.PeerID(), Addresses: n.transport.Addresses(), DataDir: n.cfg.DataDir,
		Restored: n.cfg.Restored,
	}
}

// Live subscribes to live events; see Hub.Subscribe.
func (n *Node) Live(ctx context.Context, run string, since uint64) (events <-chan demes.LiveEvent, missed bool) {
	return n.hub.Subscribe(ctx, run, since)
}

// Close leaves cleanly: whoever hosts hands over first, then everybody is told.
// Killing the process instead is safe; the others notice later.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	if n.closing {
		n.mu.Unlock()
		return nil
	}
	n.closing = true
	n.mu.Unlock()
	n.joins.close()
	n.depart(ctx)
	for _, r := range n.runners() {
		r.stop()
	}
	for _, r := range n.runners() {
		<-r.done
	}
	n.steward.close()
	err := n.transport.Close()
	n.writer.close()
	n.hub.Close()
	return errors.Join(err, n.store.Close())
}

// depart hands over every chat that this device hosts, and says goodbye.
func (n *Node) depart(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, departTime)
	defer cancel()
	all := n.runners()
	look := time.NewTicker(departLook)
	defer look.Stop()
	for busy := true; busy && ctx.Err() == nil; {
		busy = false
		for _, r := range all {
			var under bool // the chat's goroutine alone touches it
			still, err := ask(ctx, r, func(c *chat.Chat, now demes.Now) error {
				under = c.Depart(now)
				return nil
			}, func(*chat.Chat) (bool, error) { return under, nil })
			busy = busy || err == nil && still
		}
		if busy {
			select {
			case <-look.C:
			case <-ctx.Done():
			}
		}
	}
	for _, r := range all {
		_ = r.act(ctx, func(c *chat.Chat, now demes.Now) error {
			c.Farewell(now)
			return nil
		})
	}
}

// frameOf reads a frame and the chat that it is about.
func frameOf(raw []byte) (*wire.Frame, demes.ChatID, error) {
	f := &wire.Frame{}
	if err := wire.Unmarshal(raw, f); err != nil {
		return nil, demes.ChatID{}, err
	}
	return f, demes.ChatID(wire.HashOf(f.GetChat())), nil
}

// onAllCores runs f(0) to f(n-1) on all cores and returns when all are done. Each
// core takes a share of its own: the work of one is some 50 µs.
func onAllCores(n int, f func(int)) {
	shares := min(runtime.GOMAXPROCS(0), n)
	var work sync.WaitGroup
	faults := make(chan any, shares)
	for share := range shares {
		work.Go(func() {
			defer func() {
				if fault := recover(); fault != nil {
					faults <- fault
				}
			}()
			for i := share; i < n; i += shares {
				f(i)
			}
		})
	}
	work.Wait()
	select {
	case fault := <-faults:
		panic(fault) // it breaks the chat that it was work for, and no other (promise B4)
	default:
	}
}
