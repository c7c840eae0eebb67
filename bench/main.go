// Bench measures real nodes on this machine: the binary itself, through its
// command line and local API, as docs/benchmarks.md has it.
//
//	go run ./bench                 everything, about six minutes
//	go run ./bench -only failover  what begins with that name
//
// It prints a Markdown table. Nothing here passes or fails by its numbers; a
// measurement whose messages do not all settle, in the same order everywhere,
// has none.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/demes-chat/demes/bench/group"
)

// measurement is one named thing to measure, with the aim of the design.
type measurement struct {
	name string
	what string
	aim  string
	run  func(*bench) string
}

// The sizes of what is measured: large enough that a percentile means
// something, small enough that everything takes some minutes.
const (
	trips         = 500              // single messages, one after the other
	loadFor       = 10 * time.Second // sustained sending
	loadClients   = 16               // senders per node
	kills         = 20
	stops         = 5
	leaves        = 10
	awayMessages  = 10_000
	idleFor       = 30 * time.Second
	idleChats     = 100
	starts        = 10
	failoverWarms = 100 // messages before a host is killed, so that the chat is active
)

var measurements = []measurement{
	{"delivery", fmt.Sprintf("send → delivered at all three, %d messages one by one", trips), "two hops + < 1 ms per hop", delivery},
	{"settle", fmt.Sprintf("send → settled at its author, %d messages one by one", trips), "one more council round trip + one sync", settle},
	{"throughput", fmt.Sprintf("settled messages per second, 3 nodes, %d senders each, %s", loadClients, loadFor), "≥ 2,000/s", throughput},
	{"failover-kill", fmt.Sprintf("host killed (kill -9), %d times", kills), "p50 < 0.6 s", failoverKill},
	{"failover-stop", fmt.Sprintf("host stopped (SIGSTOP), %d times, in a new group each", stops), "p50 < 0.6 s", failoverStop},
	{"failover-leave", fmt.Sprintf("host leaves (SIGTERM), %d times", leaves), "no gap", failoverLeave},
	{"catch-up", fmt.Sprintf("back after %d messages: start → all of them settled here", awayMessages), "< 2 s", catchUp},
	{"idle-1", fmt.Sprintf("idle, one live chat of three, %s", idleFor), "< 60 MB, < 0.5 % of a core", func(b *bench) string { return b.idle(1) }},
	{"idle-100", fmt.Sprintf("idle, %d live chats of three, %s", idleChats, idleFor), "< 90 MB, < 0.5 % of a core", func(b *bench) string { return b.idle(idleChats) }},
	{"ready", fmt.Sprintf("start → ready, new profile and one with a chat, %d times each", starts), "< 0.5 s", ready},
	{"size", "binary, stripped (-trimpath -ldflags='-s -w')", "< 50 MB", size},
}

// bench is one run: the group's Reporter, and where its data goes.
type bench struct {
	binary string
	dir    string
	groups []*group.Group
	count  int
}

func main() {
	only := flag.String("only", "", "measure only what begins with this name")
	list := flag.Bool("list", false, "list the names")
	verbose := flag.Bool("v", false, "print every single time")
	flag.Parse()
	if *list {
		for _, m := range measurements {
			fmt.Printf("%-15s %s\n", m.name, m.what)
		}
		return
	}
	printTimes = *verbose
	if err := run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// printTimes makes times print themselves, to see what a percentile hides.
var printTimes bool

func run(only string) error {
	chosen := slices.DeleteFunc(slices.Clone(measurements), func(m measurement) bool { return !strings.HasPrefix(m.name, only) })
	if len(chosen) == 0 {
		return fmt.Errorf("nothing is named %s…: see -list", only)
	}
	dir, err := os.MkdirTemp("", "demes-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, err := group.Build(dir)
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d cores, %s, load %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), load())
	fmt.Println("| name | what | aim | measured |\n|---|---|---|---|")
	failed := 0
	for _, m := range chosen {
		b := &bench{binary: binary, dir: dir}
		result, err := b.measure(m)
		if err != nil {
			failed++
			result = "failed"
			fmt.Fprintf(os.Stderr, "%s: %v\n", m.name, err)
		}
		fmt.Printf("| %s | %s | %s | %s |\n", m.name, m.what, m.aim, result)
	}
	if failed > 0 {
		return fmt.Errorf("%d measurements failed", failed)
	}
	return nil
}

// measure runs one measurement and ends its nodes.
func (b *bench) measure(m measurement) (result string, err error) {
	defer func() {
		for _, g := range b.groups {
			g.Close()
		}
		if fault, failed := recover().(failure); failed {
			err = fault
		}
	}()
	return m.run(b), nil
}

// live starts n nodes and their chat.
func (b *bench) live(n int) *group.Group {
	g := b.group()
	g.Open(n)
	g.Start()
	return g
}

// group is a group without nodes.
func (b *bench) group() *group.Group {
	b.count++
	dir, err := os.MkdirTemp(b.dir, "group")
	if err != nil {
		b.Fatalf("%v", err)
	}
	g := group.New(b, b.binary, dir)
	b.groups = append(b.groups, g)
	return g
}

// failure carries what ended a measurement up to measure.
type failure struct{ error }

// Helper is for group.Reporter.
func (b *bench) Helper() {}

// Logf is for group.Reporter.
func (b *bench) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Fatalf ends the measurement.
func (b *bench) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }
