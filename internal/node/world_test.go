package node_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/node/contract"
)

// patience is how long a test waits for what should take well under a second.
const patience = 20 * time.Second

// world is some nodes on one simulated network.
type world struct {
	t     testing.TB
	net   *contract.Network
	nodes []*party
	news  chan struct{} // holds a token when some node told of something
}

// party is one person's node, and what outlives its restarts.
type party struct {
	*node.Node
	w        *world
	name     string
	store    *contract.MemoryStore
	endpoint *contract.Endpoint
	config   node.Config
	events   context.CancelFunc
	drained  chan struct{}

	mu   sync.Mutex
	seen []demes.LiveEvent
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, net: contract.NewNetwork(), news: make(chan struct{}, 1)}
	t.Cleanup(func() {
		for _, p := range w.nodes {
			p.close()
		}
	})
	return w
}

// nearby makes every question at the door come from this machine.
type nearby struct{ node.Handler }

func (h nearby) Joining(ctx context.Context, from demes.DeviceID, _ string, ask []byte) []byte {
	return h.Handler.Joining(ctx, from, "/ip4/127.0.0.1/udp/4001/quic-v1", ask)
}

// add starts a node with a store of its own.
func (w *world) add(name string, change ...func(*node.Config)) *party {
	w.t.Helper()
	p := &party{w: w, name: name, store: contract.NewMemoryStore()}
	p.config = node.Config{
		Store: p.store, Name: name, Faults: true,
		Timing: chat.Timing{Shrink: 2_000, Grow: 300, Planned: 500},
		OpenTransport: func(key ed25519.PrivateKey, handler node.Handler) (node.Transport, error) {
			p.endpoint = w.net.Open(key, nearby{handler})
			return p.endpoint, nil
		},
	}
	if os.Getenv("DEMES_TEST_LOG") != "" {
		p.config.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", name)
	}
	for _, c := range change {
		c(&p.config)
	}
	w.nodes = append(w.nodes, p)
	p.open()
	return p
}

// open starts or restarts the node.
func (p *party) open() {
	p.w.t.Helper()
	p.store.Reopen()
	n, err := node.New(p.config)
	if err != nil {
		p.w.t.Fatalf("open %s: %v", p.name, err)
	}
	p.Node = n
	ctx, cancel := context.WithCancel(context.Background())
	events, _ := n.Live(ctx, "", node.FromNow)
	p.events, p.drained = cancel, make(chan struct{})
	go func() {
		defer close(p.drained)
		for e := range events {
			p.mu.Lock()
			p.seen = append(p.seen, e)
			p.mu.Unlock()
			select {
			case p.w.news <- struct{}{}:
			default:
			}
		}
	}()
}

func (p *party) close() {
	p.w.t.Helper()
	if p.Node == nil {
		return
	}
	if err := p.Close(context.Background()); err != nil {
		p.w.t.Errorf("close %s: %v", p.name, err)
	}
	p.events()
	<-p.drained
	p.Node = nil
}

// kill cuts the node off as if its process had died, and ends it behind that.
func (p *party) kill() {
	p.store.Fail(fmt.Errorf("killed"))
	_ = p.endpoint.Close()
	p.close()
	p.store.Fail(nil)
}

func (p *party) device() demes.DeviceID {
	d, err := demes.ParseDeviceID(p.Describe().Device)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return d
}

// until waits until the condition holds; it is looked at whenever some node
// tells of something.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(50 * time.Millisecond) // nothing tells of some things
	defer look.Stop()
	for !holds() {
		select {
		case <-w.news:
		case <-look.C:
		case <-deadline.C:
			w.t.Fatalf("gave up waiting: %s\n%s", what, w)
		}
	}
}

// String is what every node shows, for failures.
func (w *world) String() (text string) {
	for _, p := range w.nodes {
		if p.Node == nil {
			text += p.name + " is down\n"
			continue
		}
		views, err := p.Chats(context.Background())
		if err != nil {
			text += fmt.Sprintf("%s: %v\n", p.name, err)
		}
		for _, v := range views {
			host, next := "nobody", "nobody"
			if v.Host != nil {
				host = v.Host.Name
			}
			if v.Next != nil {
				next = v.Next.Name
			}
			text += fmt.Sprintf("%s: %s %s host %s next %s gen %d term %d index %d final %d position %d problem %v waiting %q\n", p.name, v.Phase, v.Mode,
				host, next, v.Generation, v.Term, v.Head.Index, v.Final, v.Position, v.Problem, v.WaitingText)
			for _, m := range v.Members {
				text += fmt.Sprintf("    %s online %v council %v elector %v held %d\n", m.Name, m.Online, m.Council, m.Elector, m.Held)
			}
			for _, m := range p.messages(parse(v.ID), 3) {
				text += fmt.Sprintf("    %s %q %s %v\n", m.ID[len(m.ID)-4:], m.Text, m.State, m.Problem)
			}
		}
	}
	return text
}

func parse(id string) demes.ChatID {
	c, err := demes.ParseChatID(id)
	if err != nil {
		panic(err)
	}
	return c
}

func (p *party) chat(id demes.ChatID) demes.ChatView {
	v, err := p.Chat(context.Background(), id)
	if err != nil {
		p.w.t.Fatalf("chat of %s: %v", p.name, err)
	}
	return v
}

func (p *party) messages(id demes.ChatID, limit int) []demes.MessageView {
	m, _, err := p.Messages(context.Background(), id, 0, 0, limit)
	if err != nil {
		p.w.t.Fatalf("messages of %s: %v", p.name, err)
	}
	return m
}

func (p *party) say(id demes.ChatID, text string) demes.MessageView {
	p.w.t.Helper()
	m, err := p.SendMessage(context.Background(), id, text, nil, "")
	if err != nil {
		p.w.t.Fatalf("%s says %q: %v", p.name, text, err)
	}
	return m
}

// lobby founds a chat.
func (p *party) lobby(title string) demes.ChatID {
	p.w.t.Helper()
	v, err := p.FoundChat(context.Background(), title)
	if err != nil {
		p.w.t.Fatalf("found: %v", err)
	}
	return parse(v.ID)
}

func (p *party) invite(id demes.ChatID) string {
	p.w.t.Helper()
	link, _, err := p.Invite(context.Background(), id, 0, 0, false)
	if err != nil {
		p.w.t.Fatalf("%s invites: %v", p.name, err)
	}
	return link
}

// join follows a link and waits until that is done.
func (p *party) join(link, address string) demes.JoinView {
	p.w.t.Helper()
	j, err := p.Join(context.Background(), link, address, "")
	if err != nil {
		p.w.t.Fatalf("%s joins: %v", p.name, err)
	}
	var v demes.JoinView
	p.w.until(p.name+" joins", func() bool {
		v, err = p.JoinStatus(context.Background(), j)
		return err != nil || v.State == demes.JoinJoined || v.State == demes.JoinRefused || v.State == demes.JoinFailed
	})
	return v
}

// group makes a live chat of some nodes, founded by the first.
func (w *world) group(names ...string) (demes.ChatID, []*party) {
	w.t.Helper()
	var all []*party
	for _, name := range names {
		all = append(all, w.add(name))
	}
	id := all[0].lobby("Ducks")
	link := all[0].invite(id)
	for _, p := range all[1:] {
		if v := p.join(link, ""); v.State != demes.JoinJoined {
			w.t.Fatalf("%s did not join: %+v", p.name, v)
		}
	}
	w.until("everybody sees everybody", func() bool {
		return !slices.ContainsFunc(all, func(p *party) bool { return p.online(id) < len(all) })
	})
	if err := all[0].StartChat(context.Background(), id); err != nil {
		w.t.Fatal(err)
	}
	w.live(id, all...)
	return id, all
}

// live waits until the chat is live with a host that all agree on.
func (w *world) live(id demes.ChatID, all ...*party) {
	w.t.Helper()
	w.until("the chat is live", func() bool {
		hosts := map[string]bool{}
		for _, p := range all {
			v := p.chat(id)
			if v.Phase != demes.PhaseLive || v.Generation == 0 || v.Term == 0 || v.Host == nil {
				return false
			}
			hosts[v.Host.Device] = true
		}
		return len(hosts) == 1
	})
}

// online counts the members that a node sees online.
func (p *party) online(id demes.ChatID) (n int) {
	for _, m := range p.chat(id).Members {
		if m.Online {
			n++
		}
	}
	return n
}

// settled waits until all hold n messages as settled, in one order.
func (w *world) settled(id demes.ChatID, n int, all ...*party) {
	w.t.Helper()
	w.until(fmt.Sprintf("all settle %d messages", n), func() bool {
		heads := map[string]bool{}
		for _, p := range all {
			v := p.chat(id)
			if v.Position != uint64(n) {
				return false
			}
			_, head, err := p.Messages(context.Background(), id, 0, 0, 1)
			if err != nil {
				w.t.Fatal(err)
			}
			heads[head.Hash] = true
		}
		return len(heads) == 1
	})
}

// host is who hosts, as the first of them sees it, and the others.
func (w *world) host(id demes.ChatID, all ...*party) (host *party, others []*party) {
	w.t.Helper()
	w.live(id, all...)
	v := all[0].chat(id)
	for _, p := range all {
		if p.Describe().Device == v.Host.Device {
			host = p
		} else {
			others = append(others, p)
		}
	}
	if host == nil {
		w.t.Fatalf("the host is none of these\n%s", w)
	}
	return host, others
}

// story is what a node told of hosts, for failures.
func (p *party) story() (text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.seen {
		if v, ok := e.Detail.(demes.ChatView); ok && e.Type != "members" && e.Type != "latency" {
			host := "nobody"
			if v.Host != nil {
				host = v.Host.Name
			}
			text += fmt.Sprintf("%s: host %s term %d generation %d index %d, succession", e.Type, host, v.Term, v.Generation, v.Head.Index)
			for _, r := range v.Succession {
				if text += " " + r.Name; r.ScoreMs != nil {
					text += fmt.Sprintf(" %.2f", *r.ScoreMs)
				}
			}
			text += "; " + e.Text + "\n"
		}
	}
	return text
}
