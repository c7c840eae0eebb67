package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test binary be demes itself, so that tests run it as a
// process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("DEMES_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// home is a user's home folder and what runs in it.
type home struct {
	t   *testing.T
	dir string
}

func newHome(t *testing.T) home { return home{t, t.TempDir()} }

func (h home) command(args ...string) *exec.Cmd {
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), "DEMES_TEST_MAIN=1", "DEMES_KEYCHAIN=off", "HOME="+h.dir, "LOCALAPPDATA="+h.dir, "XDG_DATA_HOME="+filepath.Join(h.dir, "data"), "DISPLAY=", "WAYLAND_DISPLAY=")
	return command
}

// said runs demes to its end.
func (h home) said(args ...string) (stdout, stderr string, code int) {
	h.t.Helper()
	var out, errs bytes.Buffer
	command := h.command(args...)
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

// process is a node that runs.
type process struct {
	*exec.Cmd
	page   string
	port   string
	stderr bytes.Buffer
}

// start runs a node until it is ready.
func (h home) start(args ...string) *process {
	h.t.Helper()
	return h.startTold("", args...)
}

// startTold is start with something on standard input.
func (h home) startTold(input string, args ...string) *process {
	h.t.Helper()
	p := &process{Cmd: h.command(append([]string{"run", "--no-browser"}, args...)...)}
	p.Stdin = strings.NewReader(input)
	p.Stderr = &p.stderr
	out, err := p.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	p.page, err = bufio.NewReader(out).ReadString('\n')
	match := regexp.MustCompile(`127\.0\.0\.1:(\d+)/`).FindStringSubmatch(p.page)
	if err != nil || match == nil {
		_ = p.Wait()
		h.t.Fatalf("the node did not start: %q, %v\n%s", p.page, err, p.stderr.String())
	}
	p.port = match[1]
	return p
}

func TestStartErrorsOfTheBinary(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	h := newHome(t)
	notFolder := filepath.Join(h.dir, "file")
	if err := os.WriteFile(notFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(h.dir, "way")
	if err := os.MkdirAll(filepath.Join(inTheWay, tokenFile), 0o700); err != nil {
		t.Fatal(err)
	}
	running := h.start("--profile", "ann", "--port", "0")
	for _, c := range []struct {
		name  string
		args  []string
		code  int
		wants []string
	}{
		{"port taken", []string{"run", "--profile", "bo", "--port", port}, exitError, []string{"Port " + port + " is taken", "--port"}},
		{"profile in use", []string{"run", "--profile", "ann", "--port", "0"}, exitError, []string{"The profile ann is in use", "localhost:" + running.port, "--profile NAME"}},
		{"its port and profile in use", []string{"run", "--profile", "ann", "--port", running.port}, exitError, []string{"The profile ann is in use", "--profile NAME"}},
		{"data folder is a file", []string{"run", "--data", notFolder, "--port", "0"}, exitError, []string{notFolder + " cannot be used", "--data FOLDER"}},
		{"a folder in the way", []string{"run", "--data", inTheWay, "--port", "0"}, exitError, []string{inTheWay + " cannot be written", "--data FOLDER"}},
		{"p2p port taken", []string{"run", "--profile", "cy", "--port", "0", "--p2p-port", port}, exitError, []string{"The port " + port + ", where others", "--p2p-port"}},
		{"bad flag", []string{"run", "--colour"}, exitUsage, []string{"--colour", "demes run --help"}},
		{"bad port", []string{"run", "--port", "99999"}, exitUsage, []string{"--port", "99999"}},
		{"bad command", []string{"rum"}, exitUsage, []string{`"rum"`, "demes --help"}},
		{"bad profile", []string{"run", "--profile", "../x"}, exitUsage, []string{"profile"}},
		{"client of an unknown profile", []string{"status", "--profile", "nobody"}, exitError, []string{"No node of the profile nobody is running", "demes run --profile nobody"}},
		{"client of a node that never ran", []string{"chats"}, exitError, []string{"No node is running", "demes run"}},
	} {
		out, errs, code := h.said(append(c.args, noBrowserOf(c.args)...)...)
		if code != c.code || out != "" {
			t.Errorf("%s: exit code %d, standard output %q; want %d and nothing\n%s", c.name, code, out, c.code, errs)
		}
		for _, want := range c.wants {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: says nothing of %q:\n%s", c.name, want, errs)
			}
		}
		if lines := strings.Count(errs, "\n"); lines > 2 || strings.Contains(errs, "goroutine ") || strings.Contains(errs, "\t") {
			t.Errorf("%s: not one or two plain lines:\n%s", c.name, errs)
		}
	}
}

func noBrowserOf(args []string) []string {
	if args[0] == "run" {
		return []string{"--no-browser"}
	}
	return nil
}

// signals are what asks a node to leave.
var signals = map[string]os.Signal{"interrupt": os.Interrupt, "terminated": syscall.SIGTERM, "terminal closed": syscall.SIGHUP}

func TestSignalsEndTheNodeCleanly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such signals")
	}
	h := newHome(t)
	for _, name := range []string{"interrupt", "terminated", "terminal closed"} {
		node := h.start("--port", "0")
		if _, errs, code := h.said("new", "Ducks of "+name); code != exitOK {
			t.Fatalf("new: %s", errs)
		}
		if err := node.Process.Signal(signals[name]); err != nil {
			t.Fatal(err)
		}
		if err := node.Wait(); err != nil {
			t.Errorf("%s: %v, want exit code 0\n%s", name, err, node.stderr.String())
		}
	}
	h.start("--port", "0")
	if out, errs, _ := h.said("chats"); !strings.Contains(out, "Ducks of interrupt") || !strings.Contains(out, "Ducks of terminated") {
		t.Errorf("after two restarts: %s%s", out, errs)
	}
}

func TestKilledNodeStartsAgainAndFindsItsChat(t *testing.T) {
	h := newHome(t)
	node := h.start("--port", "0", "--name", "Ann")
	for _, args := range [][]string{{"new", "Ducks"}, {"start"}, {"send", "quack"}} {
		if _, errs, code := h.said(args...); code != exitOK {
			t.Fatalf("%v: %s", args, errs)
		}
	}
	if err := node.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = node.Wait()
	if _, errs, code := h.said("status"); code != exitError || !strings.Contains(errs, "No node is running") {
		t.Errorf("after the kill: exit code %d, %s", code, errs)
	}
	h.start("--port", "0")
	if out, errs, _ := h.said("tail", "--once"); !strings.Contains(out, "Ann: quack") {
		t.Errorf("after the restart: %s%s", out, errs)
	}
	if _, errs, code := h.said("stop"); code != exitOK {
		t.Errorf("stop: %s", errs)
	}
	h.start("--port", "0") // nothing is in use once stop is back
}
