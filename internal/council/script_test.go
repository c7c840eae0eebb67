package council

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
)

var (
	update    = flag.Bool("update", false, "write what the scripts in testdata say now")
	seedCount = flag.Uint64("seeds", 0, "run this many seeds of the random worlds instead of the usual number")
)

// seeds is how many random worlds a test runs.
func seeds(usual uint64) uint64 {
	switch {
	case *seedCount > 0:
		return *seedCount
	case testing.Short():
		return max(usual/8, 1)
	}
	return usual
}

// TestScripts plays the conversations in testdata. A script is blocks of
//
//	command …
//	----
//	what happened, with milliseconds since the block began
//
// Commands: world ELECTORS COUNCIL SEED · run MS · crash N (silent) · close N ·
// restart N · cut N · join N · propose TEXT · handover N · council N … ·
// succession N … · goodbye N · lose PERCENT · state.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(raw))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(raw) {
				t.Errorf("%s: this happened instead (run with -update to accept it):\n%s", file, got)
			}
		})
	}
}

// play runs a script and returns it with what happened.
func play(t *testing.T, script string) string {
	var out strings.Builder
	var w *world
	skip := false
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		switch {
		case line == "----":
			skip = true
			out.WriteString("----\n")
			if w != nil {
				for _, l := range w.trace {
					out.WriteString(strings.TrimRight(l, " ") + "\n")
				}
				w.trace, w.began = nil, w.now
			}
		case line == "":
			skip = false
			out.WriteString("\n")
		case skip:
		case strings.HasPrefix(line, "#"):
			out.WriteString(line + "\n")
		default:
			out.WriteString(line + "\n")
			if w = command(t, w, strings.Fields(line)); w == nil {
				t.Fatalf("a script begins with a world")
			}
		}
	}
	return out.String()
}

func command(t *testing.T, w *world, words []string) *world {
	var ns []int
	for _, word := range words[1:] {
		n, _ := strconv.Atoi(word)
		ns = append(ns, n)
	}
	if words[0] == "world" {
		w = newWorld(t, uint64(ns[2]), ns[0], ns[1])
		return w
	}
	do := func(what string, call func(g *Group) error) {
		if host := w.host(); host == nil {
			w.note("%s: no host", what)
		} else {
			host.input(func() {
				if err := call(host.group); err != nil {
					w.note("%s: %v", what, err)
				}
			})
		}
	}
	switch words[0] {
	case "run":
		w.run(int64(ns[0]))
	case "crash":
		w.node(ns[0]).crash(false)
	case "close":
		w.node(ns[0]).crash(true)
	case "restart":
		w.node(ns[0]).restart()
	case "cut", "join":
		w.isolate(ns[0], words[0] == "cut")
	case "lose":
		w.loss = float64(ns[0]) / 100
	case "propose":
		do("propose", func(g *Group) error { return g.Propose([]byte(words[1])) })
	case "handover":
		do("hand over", func(g *Group) error { return g.Handover(w.clock(), testDevice(ns[0])) })
	case "council":
		do("council", func(g *Group) error { return g.Reconfigure(w.clock(), devices(ns...)) })
	case "succession":
		for _, x := range w.nodes {
			x.group.SetSuccession(devices(ns...))
		}
	case "goodbye":
		for _, other := range w.nodes {
			if other.n != ns[0] {
				w.carry(w.node(ns[0]), other, func(to *node) { to.group.Goodbye(w.clock(), testDevice(ns[0])) })
			}
		}
	case "state":
		for _, x := range w.nodes {
			w.note("%s", x.summary())
		}
	default:
		t.Fatalf("unknown command %v", words)
	}
	return w
}

// summary is one line about a node: its state, its council, its order.
func (x *node) summary() string {
	if !x.up {
		return fmt.Sprintf("%d is down", x.n)
	}
	var voters, order []string
	for _, d := range x.group.Voters() {
		voters = append(voters, fmt.Sprint(x.group.ids[demes.DeviceID(d)]))
	}
	for _, e := range x.disk.history {
		order = append(order, string(e.Data))
	}
	return fmt.Sprintf("%d %s; council %s; settled [%s]", x.n, x.shown, strings.Join(voters, " "), strings.Join(order, " "))
}
