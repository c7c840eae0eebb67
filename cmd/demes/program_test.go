package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes/internal/api/apitest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// terminal is one program with its own standard streams.
type terminal struct {
	program
	out, err lockedBuffer
}

// lockedBuffer can be read while the program writes.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(raw []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(raw)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newTerminal(node *apitest.Node) *terminal {
	t := &terminal{}
	t.program = program{
		stdin: strings.NewReader(""), stdout: &t.out, stderr: &t.err,
		env: func(string) string { return "" },
		open: func(cfg nodeConfig) (*opened, error) {
			if err := os.MkdirAll(cfg.dir, 0o700); err != nil {
				return nil, err
			}
			return &opened{node: node, close: func(context.Context) error { return nil }}, nil
		},
		browse: func(string) error { return nil },
	}
	return t
}

// runNode starts a node with the given flags and returns its first line of
// output. It leaves when the test ends.
func runNode(t *testing.T, node *apitest.Node, args ...string) (first string, term *terminal) {
	t.Helper()
	term = newTerminal(node)
	read, write := io.Pipe()
	term.stdout = write
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int)
	go func() { ended <- term.execute(ctx, append([]string{"run", "--port", "0"}, args...)) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("the node left with exit code %d\n%s", code, term.err.String())
		}
	})
	line := make([]byte, 512)
	n, err := read.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, read) }() // ends with the test binary
	return string(line[:n]), term
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run `go test ./cmd/demes -update` and look at the change.\n--- got\n%s", file, got)
	}
}

// TestHelpIsTheManual keeps the help of every command in one file to read.
func TestHelpIsTheManual(t *testing.T) {
	term := newTerminal(nil)
	var manual strings.Builder
	var walk func(*cobra.Command)
	walk = func(command *cobra.Command) {
		if command.Name() == "completion" || command.Name() == "help" {
			return
		}
		term.out.text.Reset()
		args := append(strings.Fields(command.CommandPath())[1:], "--help")
		if code := newTerminalOn(term).execute(t.Context(), args); code != exitOK {
			t.Errorf("%v: exit code %d", args, code)
		}
		fmt.Fprintf(&manual, "$ %s --help\n%s\n", command.CommandPath(), term.out.String())
		for _, child := range command.Commands() {
			walk(child)
		}
	}
	walk(term.command())
	golden(t, "help.txt", manual.String())
}

// newTerminalOn is a fresh program that writes to the same terminal.
func newTerminalOn(term *terminal) *program {
	p := term.program
	p.json, p.data, p.profile = false, "", ""
	return &p
}

// TestScripts plays conversations: lines that begin with "$ demes" are run
// against one node, and what follows is what they print; "!" marks standard
// error, and "exit" an exit code that is not 0.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.script")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range scripts {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Base(file), play(t, string(raw)))
		})
	}
}

func play(t *testing.T, script string) string {
	node := apitest.NewNode()
	node.Arrives = true
	dir := t.TempDir()
	first, _ := runNode(t, node, "--data", dir, "--no-browser")
	port := regexp.MustCompile(`127\.0\.0\.1:(\d+)/`).FindStringSubmatch(first)[1]
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# ") {
			out.WriteString(line + "\n")
		}
		command, ok := strings.CutPrefix(line, "$ demes ")
		if !ok {
			continue
		}
		out.WriteString(line + "\n")
		command, input, _ := strings.Cut(command, " <<< ")
		text := command1(t, dir, words(command), input)
		text = strings.ReplaceAll(text, port, "PORT")
		out.WriteString(strings.ReplaceAll(text, dir, "DATA"))
	}
	return out.String()
}

// command1 runs one command and returns what a terminal shows of it.
func command1(t *testing.T, dir string, args []string, input string) string {
	term := newTerminal(nil)
	term.stdin = strings.NewReader(input)
	code := term.execute(t.Context(), append(args, "--data", dir))
	text := term.out.String()
	for line := range strings.Lines(term.err.String()) {
		text += "! " + line
	}
	if code != exitOK {
		text += fmt.Sprintf("exit %d\n", code)
	}
	return text
}

// words splits a line as a shell does, with double quotes.
func words(line string) (list []string) {
	for _, match := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		list = append(list, match[1]+match[2])
	}
	return list
}
