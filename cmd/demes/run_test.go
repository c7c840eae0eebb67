package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

func TestFirstLineIsThePageWithItsToken(t *testing.T) {
	dir := t.TempDir()
	first, _ := runNode(t, apitest.NewNode(), "--data", dir, "--no-browser")
	match := regexp.MustCompile(`^demes: http://127\.0\.0\.1:(\d+)/#token=([A-Za-z0-9_-]{43})\n$`).FindStringSubmatch(first)
	if match == nil {
		t.Fatalf("first line %q", first)
	}
	token, port, err := announced(dir)
	if err != nil || token != match[2] || fmt.Sprint(port) != match[1] {
		t.Errorf("the files say %s and %d, %v; the line says %s and %s", token, port, err, match[2], match[1])
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{tokenFile, portFile} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, mode %v; want 0600", name, err, info.Mode())
			}
		}
	}
	res, err := http.Get("http://127.0.0.1:" + match[1] + "/")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("the page: %v, %v", res, err)
	}
	_ = res.Body.Close()
}

func TestStoppedNodeLeavesNoFiles(t *testing.T) {
	dir := t.TempDir()
	t.Run("run", func(t *testing.T) { runNode(t, apitest.NewNode(), "--data", dir, "--no-browser") })
	if _, _, err := announced(dir); err == nil {
		t.Error("the files of a node that left are still there")
	}
}

func TestStopCommandEndsTheNode(t *testing.T) {
	dir := t.TempDir()
	term := newTerminal(apitest.NewNode())
	ended := make(chan int)
	closed := false
	term.open = func(nodeConfig) (*opened, error) {
		return &opened{node: apitest.NewNode(), close: func(context.Context) error { closed = true; return nil }}, nil
	}
	ready := make(chan bool)
	term.stdout = writerFunc(func(raw []byte) { close(ready) })
	go func() {
		ended <- term.execute(t.Context(), []string{"run", "--data", dir, "--port", "0", "--no-browser"})
	}()
	<-ready
	if said := command1(t, dir, []string{"stop"}, ""); said != "" {
		t.Errorf("stop says %q", said)
	}
	if code := <-ended; code != exitOK || !closed {
		t.Errorf("the node left with exit code %d, closed %v; want 0 and true", code, closed)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(raw []byte) (int, error) { f(raw); return len(raw), nil }

func TestBrowserGetsACodeThatWorksOnce(t *testing.T) {
	dir := t.TempDir()
	term := newTerminal(apitest.NewNode())
	term.env = func(name string) string { return map[string]string{"DISPLAY": ":0"}[name] }
	shown := make(chan string, 1)
	term.browse = func(url string) error { shown <- url; return errors.New("no browser") }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- term.execute(ctx, []string{"--data", dir, "--port", "0"}) }()
	page, code, ok := strings.Cut(<-shown, "#code=")
	if !ok {
		t.Fatal("the browser gets no code")
	}
	for _, status := range []int{200, 401} {
		res, err := http.Post(page+"api/v1/session", "application/json", strings.NewReader(`{"code":"`+code+`"}`))
		if err != nil || res.StatusCode != status {
			t.Errorf("session: %v, %v; want %d", res, err, status)
		}
		_ = res.Body.Close()
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestNoBrowserWhereNobodySeesIt(t *testing.T) {
	for _, env := range []map[string]string{{"SSH_CONNECTION": "1 2 3 4", "DISPLAY": ":0"}, {"SSH_TTY": "/dev/pts/1", "DISPLAY": ":0"}} {
		if ok, why := canBrowse(func(name string) string { return env[name] }); ok || why == "" {
			t.Errorf("%v: a browser would open", env)
		}
	}
	if ok, _ := canBrowse(func(string) string { return "" }); ok && runtime.GOOS == "linux" {
		t.Error("a browser would open without a display")
	}
}

func TestTakenPortSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	term := newTerminal(apitest.NewNode())
	term.open = func(nodeConfig) (*opened, error) { t.Error("the node was opened"); return nil, errors.New("opened") }
	code := term.execute(t.Context(), []string{"run", "--data", t.TempDir(), "--port", port})
	want := "demes: Port " + port + " is taken\n  Name a free one with --port, or leave --port out to get the next free one.\n"
	if code != exitError || term.err.String() != want || term.out.String() != "" {
		t.Errorf("exit code %d, %q; want 1 and %q", code, term.err.String(), want)
	}
}

func TestProfileInUseNamesTheNodeThatRuns(t *testing.T) {
	dir := t.TempDir()
	first, _ := runNode(t, apitest.NewNode(), "--data", dir, "--no-browser")
	port := regexp.MustCompile(`:(\d+)/`).FindStringSubmatch(first)[1]
	inUse := func(nodeConfig) (*opened, error) {
		return nil, fmt.Errorf("open: %w", demes.Problem(demes.CodeProfileInUse, "in use", "x"))
	}
	for _, flag := range []string{port, "0"} { // its own port again, or any
		term := newTerminal(nil)
		term.open = inUse
		code := term.execute(t.Context(), []string{"run", "--data", dir, "--port", flag})
		want := "demes: The data folder is in use by a node that runs at http://localhost:" + port + "\n"
		if code != exitError || !strings.HasPrefix(term.err.String(), want) || !strings.Contains(term.err.String(), "--profile NAME") {
			t.Errorf("--port %s: exit code %d, %q; want 1 and %q", flag, code, term.err.String(), want)
		}
	}
}

func TestStartErrorsAreTwoPlainLines(t *testing.T) {
	for _, err := range []error{
		demes.Problem(demes.CodeProfileDamaged, "The profile is damaged", "Do this."),
		&demes.Error{Code: demes.CodeStorage, Title: "The profile is damaged", Detail: "Do this.", Cause: errors.New("sql: stack\n\x1b[31m")},
	} {
		term := newTerminal(nil)
		term.open = func(nodeConfig) (*opened, error) { return nil, fmt.Errorf("open node: %w", err) }
		code := term.execute(t.Context(), []string{"run", "--data", t.TempDir(), "--port", "0"})
		if want := "demes: The profile is damaged\n  Do this.\n"; code != exitError || term.err.String() != want {
			t.Errorf("exit code %d, %q; want 1 and %q", code, term.err.String(), want)
		}
	}
}

func TestTextThatIsNoUTF8OrTooLongIsNotSent(t *testing.T) {
	dir := t.TempDir()
	runNode(t, apitest.NewNode(), "--data", dir, "--no-browser")
	for _, c := range []struct{ word, input, want string }{
		{"a\xff", "", "! demes: The message is not UTF-8 text\n"},
		{"-", "a\xffb", "! demes: The message is not UTF-8 text\n"},
		{"-", strings.Repeat("x", 1<<20), "! demes: The message is too long\n"},
	} {
		if said := command1(t, dir, []string{"send", c.word}, c.input); !strings.HasPrefix(said, c.want) || !strings.HasSuffix(said, "exit 1\n") {
			t.Errorf("%.9q: %q", c.word+c.input, said)
		}
	}
}

func TestAFullDiskAtTheStartDoesNotPromiseToGoOn(t *testing.T) {
	term := newTerminal(nil)
	term.open = func(nodeConfig) (*opened, error) {
		return nil, demes.Problem(demes.CodeStorageFull, "The disk is full", "DeMes goes on by itself.")
	}
	code := term.execute(t.Context(), []string{"run", "--data", t.TempDir(), "--port", "0"})
	if said := term.err.String(); code != exitError || strings.Contains(said, "by itself") || !strings.Contains(said, "start DeMes again") {
		t.Errorf("exit code %d, %q", code, said)
	}
}

func TestClientCommandsWithoutANode(t *testing.T) {
	home := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"status"}, "demes: No node is running\n  Start it: demes run --no-browser\n"},
		{[]string{"send", "x", "--profile", "nobody"}, "demes: No node of the profile nobody is running\n  Start it: demes run --profile nobody\n"},
		{[]string{"chats", "--data", home}, "demes: No node is running in " + home + "\n  Start it: demes run --data " + home + "\n"},
	} {
		term := newTerminal(nil)
		term.env = func(name string) string { return map[string]string{"HOME": home, "LOCALAPPDATA": home}[name] }
		if code := term.execute(t.Context(), c.args); code != exitError || term.err.String() != c.want {
			t.Errorf("%v: exit code %d, %q; want 1 and %q", c.args, code, term.err.String(), c.want)
		}
	}
	// Files of a node that was killed, and of another that took its port.
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = http.Serve(other, http.NotFoundHandler()) }() // ends with its listener
	for _, listening := range []bool{true, false} {
		if _, err := announce(home, "old-token", other.Addr().(*net.TCPAddr).Port); err != nil {
			t.Fatal(err)
		}
		if !listening {
			_ = other.Close()
		}
		if said := command1(t, home, []string{"status"}, ""); !strings.Contains(said, "No node is running in ") {
			t.Errorf("listening %v: %q", listening, said)
		}
	}
}

func TestProfilesThatAreNoName(t *testing.T) {
	for _, profile := range []string{"", "..", "../x", "a/b", `a\b`, ".hidden", "a b", "é", strings.Repeat("x", 65), "-x", "a\x00"} {
		term := newTerminal(nil)
		if code := term.execute(t.Context(), []string{"status", "--profile=" + profile}); code != exitUsage {
			t.Errorf("%q: exit code %d, want %d", profile, code, exitUsage)
		}
	}
}

func TestFolderOfAProfile(t *testing.T) {
	p := program{profile: "ann", env: func(name string) string {
		return map[string]string{"HOME": "/home/u", "XDG_DATA_HOME": "/data"}[name]
	}}
	if runtime.GOOS == "linux" {
		if dir, err := p.folder(); err != nil || dir != "/data/demes/ann" {
			t.Errorf("folder %s, %v; want /data/demes/ann", dir, err)
		}
	}
	p.env = func(string) string { return "" }
	if _, err := p.folder(); err == nil {
		t.Error("without a home there is a folder")
	}
}

// TestJoinFromTheStart knocks at another node of this machine that founds its
// lobby late.
func TestJoinFromTheStart(t *testing.T) {
	lobby := apitest.NewNode()
	first, _ := runNode(t, lobby, "--data", t.TempDir(), "--no-browser")
	address := "localhost:" + regexp.MustCompile(`:(\d+)/`).FindStringSubmatch(first)[1]
	guest := apitest.NewNode()
	guest.Arrives = true
	guest.View.Device = apitest.Other.String()
	_, term := runNode(t, guest, "--data", t.TempDir(), "--no-browser", "--join", address)
	waitFor(t, term, "waiting for the other node")
	lobby.OpenLobby()
	waitFor(t, term, "state=joined")
	if asked := guest.JoinsAsked(); len(asked) != 1 || asked[0] != "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWfake as " {
		t.Errorf("the node was asked for %q", asked)
	}
}

// waitFor waits until the terminal's standard error holds a text.
func waitFor(t *testing.T, term *terminal, text string) {
	t.Helper()
	for !strings.Contains(term.err.String(), text) {
		if t.Context().Err() != nil {
			return
		}
		runtime.Gosched()
	}
}

func TestTargets(t *testing.T) {
	for target, address := range map[string]bool{
		"localhost:3000": true, "10.0.0.1:4000": true, "[::1]:3000": true, "host.local:1": true, "/ip4/1.2.3.4/tcp/1": true, "/dns4/x/tcp/1": true,
		"demes:abc": false, "https://demes.example/#x": false, "https://h:80": false, "abc": false, "localhost": false, "host:port": false, "h:99999": false,
	} {
		link, got := splitTarget(target)
		if (got == target) != address || (link == target) == address {
			t.Errorf("%s: link %q, address %q", target, link, got)
		}
	}
}

func TestTailFollows(t *testing.T) {
	dir := t.TempDir()
	node := apitest.NewNode()
	runNode(t, node, "--data", dir, "--no-browser")
	command1(t, dir, []string{"new", "Ducks"}, "")
	command1(t, dir, []string{"start"}, "")
	command1(t, dir, []string{"send", "before"}, "")
	follower := newTerminal(nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- follower.execute(ctx, []string{"tail", "--data", dir}) }()
	for node.Readers() == 0 {
		runtime.Gosched()
	}
	for _, text := range []string{"one", "two\x1b[31m\nlines"} {
		command1(t, dir, []string{"send", text}, "")
	}
	for !strings.Contains(follower.out.String(), "lines") {
		runtime.Gosched()
	}
	node.DropReaders() // it takes the stream up again
	command1(t, dir, []string{"send", "three"}, "")
	for !strings.Contains(follower.out.String(), "three") {
		runtime.Gosched()
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d, %s", code, follower.err.String())
	}
	want := "     1  Ann: before\n     2  Ann: one\n     3  Ann: two\ufffd[31m\n        Ann: lines\n     4  Ann: three\n"
	if got := follower.out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
