// Package group runs a group of real nodes: the binary, as processes of their
// own, spoken to only through its command line and its local API.
//
// Its one idea: an outsider. It imports nothing of DeMes and says in its own
// types what it expects of the API, so that a change of the contract breaks
// here first. Whatever goes wrong ends the test or the measurement at once,
// through Reporter; nothing here sleeps and hopes.
package group

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Reporter is what a group needs of a test, or of a program that measures.
type Reporter interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Patience bounds every wait that has no limit of its own. After faults stop,
// members are equal within 30 s (promise L2); a machine that builds beside the
// run gets as much again.
const Patience = 60 * time.Second

// names are what the nodes of a group are called, in the order of their start.
var names = []string{"Ann", "Bo", "Cy", "Di", "Ed", "Flo", "Gus"}

// Build makes the binary in dir, unless DEMES_BIN names one that is there.
func Build(dir string) (string, error) {
	if made := os.Getenv("DEMES_BIN"); made != "" {
		return filepath.Abs(made)
	}
	binary := filepath.Join(dir, "demes.exe")
	command := exec.Command("go", "build", "-o", binary, "github.com/demes-chat/demes/cmd/demes")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build demes: %w\n%s", err, out)
	}
	return binary, nil
}

// Group is some nodes and the chat that the first of them founded.
type Group struct {
	Reporter
	binary string
	dir    string
	Nodes  []*Node
	Chat   string
	live   bool // who is added now has no earlier messages
}

// New makes an empty group whose data lies below dir.
func New(r Reporter, binary, dir string) *Group {
	return &Group{Reporter: r, binary: binary, dir: dir}
}

// Open starts n nodes in one lobby, by the three terminals' commands.
func (g *Group) Open(n int) {
	g.Helper()
	founder := g.Add("--open-lobby")
	g.Until(Patience, "the founder's lobby", func() error {
		chats := founder.Chats()
		if len(chats) != 1 {
			return fmt.Errorf("%d chats", len(chats))
		}
		g.Chat = chats[0].ID
		return nil
	})
	port, _ := founder.Door()
	for len(g.Nodes) < n {
		g.Add("--join", fmt.Sprintf("localhost:%d", port))
	}
	g.Until(Patience, "all to be in the lobby", func() error { return g.allHave(g.Nodes, n) })
}

// Start is the founder's click, and the wait until the chat is live with a full
// council.
func (g *Group) Start() {
	g.Helper()
	g.Nodes[0].Must("POST", "/chats/"+g.Chat+"/start", nil, nil)
	g.live = true
	g.UntilWhole()
}

// Add makes and starts one more node.
func (g *Group) Add(args ...string) *Node {
	g.Helper()
	n := &Node{g: g, Name: names[len(g.Nodes)%len(names)], late: g.live, Dir: filepath.Join(g.dir, fmt.Sprint("node", len(g.Nodes)))}
	g.Nodes = append(g.Nodes, n)
	n.Start(args...)
	return n
}

// Close kills what runs still.
func (g *Group) Close() {
	for _, n := range g.Nodes {
		n.Kill()
	}
}

// Running are the nodes that were not ended and are not paused.
func (g *Group) Running() (out []*Node) {
	for _, n := range g.Nodes {
		if n.running() && !n.paused {
			out = append(out, n)
		}
	}
	return out
}

// Others are the running nodes but these.
func (g *Group) Others(without ...*Node) []*Node {
	return slices.DeleteFunc(g.Running(), func(n *Node) bool { return slices.Contains(without, n) })
}

// Of finds a node by its device.
func (g *Group) Of(device string) *Node {
	for _, n := range g.Nodes {
		if n.Device == device {
			return n
		}
	}
	g.Fatalf("no node has the device %q", device)
	return nil
}

// Host is the node that all running ones call their host.
func (g *Group) Host() *Node {
	g.Helper()
	return g.UntilHost(func(*Node) bool { return true })
}

// UntilHost waits until all running nodes name one host in one term that
// fits, in settled mode.
func (g *Group) UntilHost(fits func(*Node) bool) (host *Node) {
	g.Helper()
	g.Until(Patience, "a host that all agree on", func() error {
		var err error
		host, err = g.agreed()
		if err == nil && !fits(host) {
			return fmt.Errorf("it is %s", host.Name)
		}
		return err
	})
	return host
}

func (g *Group) agreed() (*Node, error) {
	var first Chat
	for i, n := range g.Running() {
		chat, err := n.chat(g.Chat)
		switch {
		case err != nil:
			return nil, err
		case chat.Host == nil || chat.Mode != "settled" || chat.Phase != "live":
			return nil, fmt.Errorf("%s is %s and %s and knows the host %v", n.Name, chat.Phase, chat.Mode, chat.Host)
		case i == 0:
			first = chat
		case *chat.Host != *first.Host || chat.Term != first.Term || chat.Generation != first.Generation:
			return nil, fmt.Errorf("%s follows %s in term %d of generation %d, another %s in term %d of generation %d",
				n.Name, chat.Host.Name, chat.Term, chat.Generation, first.Host.Name, first.Term, first.Generation)
		}
	}
	if first.Host == nil {
		return nil, fmt.Errorf("no node runs")
	}
	host := g.Of(first.Host.Device)
	if !slices.Contains(g.Running(), host) {
		return nil, fmt.Errorf("all follow %s, which does not run", host.Name)
	}
	return host, nil
}

// UntilWhole waits until all running nodes agree on a host and see each other,
// with the council that the design has for as many.
func (g *Group) UntilWhole() *Node {
	g.Helper()
	running := len(g.Running())
	council := min(5, (running-1)|1)
	if running == 2 {
		council = 1
	}
	var host *Node
	g.Until(Patience, "the whole group", func() error {
		var err error
		if host, err = g.agreed(); err != nil {
			return err
		}
		for _, n := range g.Running() {
			chat, err := n.chat(g.Chat)
			if err != nil {
				return err
			}
			online, voters := chat.count()
			if online < running || voters < min(3, council) || voters > 5 || voters%2 == 0 {
				return fmt.Errorf("%s sees %d of %d online, %d in the council", n.Name, online, running, voters)
			}
			if chat.Next == nil && running > 1 {
				return fmt.Errorf("%s knows nobody who is next", n.Name)
			}
		}
		return nil
	})
	return host
}

func (g *Group) allHave(nodes []*Node, members int) error {
	for _, n := range nodes {
		chat, err := n.chat(g.Chat)
		if err != nil {
			return err
		}
		if len(chat.Members) != members {
			return fmt.Errorf("%s knows %d members, want %d", n.Name, len(chat.Members), members)
		}
	}
	return nil
}

// Until repeats try until it is content, and ends the run when it is not in
// time. It is the only wait here that looks again and again.
func (g *Group) Until(limit time.Duration, what string, try func() error) {
	g.Helper()
	if err := poll(limit, try); err != nil {
		g.Fatalf("waited %s for %s: %v\n%s", limit, what, err, g.State())
	}
}

func poll(limit time.Duration, try func() error) error {
	end := time.Now().Add(limit)
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
		<-look.C
	}
}

// State says how each node sees the chat, for a failure's message.
func (g *Group) State() string {
	var out strings.Builder
	for _, n := range g.Nodes {
		switch {
		case !n.running():
			fmt.Fprintf(&out, "%s: ended\n", n.Name)
		case n.paused:
			fmt.Fprintf(&out, "%s: paused\n", n.Name)
		default:
			chat, err := n.chat(g.Chat)
			if err != nil {
				fmt.Fprintf(&out, "%s: %v\n", n.Name, err)
			} else {
				fmt.Fprintf(&out, "%s (%.8s): %s\n", n.Name, n.Device, chat)
			}
		}
		fmt.Fprintf(&out, "%s", n.lastWords())
	}
	return out.String()
}
