package group

import (
	"bufio"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// readyWithin is how long a node may take to say its first line. The aim is
// half a second; this only ends a run that hangs.
const readyWithin = 30 * time.Second

// Node is one process of the binary, and the folder that outlives it.
type Node struct {
	g      *Group
	Name   string
	Dir    string
	Device string
	late   bool // it joined the live chat

	mu    sync.Mutex // guards port and token: clients go on calling while the node starts again
	port  int
	token string

	process *exec.Cmd
	ended   chan struct{} // closed once the process is gone
	logs    *tail
	paused  bool
}

// Start runs the binary on the node's folder until it serves.
func (n *Node) Start(args ...string) {
	n.g.Helper()
	if err := n.start(args...); err != nil {
		n.g.Fatalf("start %s: %v\n%s", n.Name, err, n.lastWords())
	}
	var self struct{ Device string }
	n.Must("GET", "/node", nil, &self)
	n.Device = self.Device
}

func (n *Node) start(args ...string) error {
	args = append([]string{"run", "--data", n.Dir, "--name", n.Name, "--port", "0", "--no-browser", "--faults"}, args...)
	process := exec.Command(n.g.binary, args...)
	process.Env = append(os.Environ(), "DEMES_KEYCHAIN=off") // a measurement leaves nothing in anybody's keychain
	n.logs = &tail{}
	process.Stderr = n.logs
	out, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	n.process, n.ended, n.paused = process, make(chan struct{}), false
	page := make(chan string, 1)
	go n.attend(process, bufio.NewReader(out), page, n.ended)
	select {
	case line := <-page:
		return n.readPage(line)
	case <-time.After(readyWithin):
		return fmt.Errorf("not ready within %s", readyWithin)
	}
}

// attend reads what the process says until it is gone.
func (n *Node) attend(process *exec.Cmd, out *bufio.Reader, page chan<- string, ended chan<- struct{}) {
	line, _ := out.ReadString('\n')
	page <- line
	_, _ = out.WriteTo(&bytes.Buffer{})
	_ = process.Wait()
	close(ended)
}

// readPage takes port and token out of the first line on standard output.
func (n *Node) readPage(line string) error {
	page, err := url.Parse(strings.TrimSpace(strings.TrimPrefix(line, "demes: ")))
	if err != nil || page.Port() == "" {
		return fmt.Errorf("its first line is %q", line)
	}
	port, err := strconv.Atoi(page.Port())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.port, n.token = port, strings.TrimPrefix(page.Fragment, "token=")
	return err
}

// Door is the port of the local API and the token that opens it.
func (n *Node) Door() (port int, token string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.port, n.token
}

func (n *Node) running() bool {
	if n.process == nil {
		return false
	}
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// PID is the number of the node's process.
func (n *Node) PID() int { return n.process.Process.Pid }

// Kill ends the process as a crash would, and returns once it is gone.
func (n *Node) Kill() {
	if n.process == nil {
		return
	}
	_ = n.process.Process.Kill()
	<-n.ended
}

// Signal sends a signal, and does not wait for what it does.
func (n *Node) Signal(signal os.Signal) {
	n.g.Helper()
	if err := n.process.Process.Signal(signal); err != nil {
		n.g.Fatalf("signal %s to %s: %v", signal, n.Name, err)
	}
}

// ExitCode waits for the end of the process.
func (n *Node) ExitCode() int {
	n.g.Helper()
	select {
	case <-n.ended:
	case <-time.After(Patience):
		n.g.Fatalf("%s did not end within %s\n%s", n.Name, Patience, n.lastWords())
	}
	return n.process.ProcessState.ExitCode()
}

// Logged is the end of what the node logged since it was started last.
func (n *Node) Logged() string { return n.lastWords() }

// lastWords is the end of what the node logged.
func (n *Node) lastWords() string {
	if n.logs == nil {
		return ""
	}
	return n.logs.String()
}

// tail keeps the end of a log.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// maxTail is enough for what a node says in a failed run, and little enough to read.
const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - maxTail; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
