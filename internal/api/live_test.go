package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

// liveServer serves on a free port of both loopbacks until the test ends.
func liveServer(t *testing.T) (*Server, *apitest.Node, string) {
	t.Helper()
	listeners, port, err := Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	node := apitest.NewNode()
	s := New(Config{Node: node, UI: testPage, Port: port, Token: testToken, Faults: true})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, listeners, 5*time.Second) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	})
	return s, node, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func tokenProtocol() string {
	return "token." + base64.RawURLEncoding.EncodeToString([]byte(testToken))
}

func dial(t *testing.T, address, query string, options *websocket.DialOptions) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	if options == nil {
		options = &websocket.DialOptions{Subprotocols: []string{liveProtocol, tokenProtocol()}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, "ws://"+address+BasePath+"/live"+query, options)
	if conn != nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, res, err
}

func follow(t *testing.T, address, query string) *websocket.Conn {
	t.Helper()
	conn, _, err := dial(t, address, query, nil)
	if err != nil {
		t.Fatalf("follow %s: %v", query, err)
	}
	return conn
}

func next(t *testing.T, conn *websocket.Conn) demes.LiveEvent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, frame, err := conn.Read(ctx)
	if err != nil {
		t.Fatalf("read live event: %v", err)
	}
	var event demes.LiveEvent
	if err := json.Unmarshal(frame, &event); err != nil {
		t.Fatalf("live event %q: %v", frame, err)
	}
	return event
}

func expect(t *testing.T, conn *websocket.Conn, words ...string) {
	t.Helper()
	for _, word := range words {
		event := next(t, conn)
		if got := event.Type + "@" + strconv.FormatUint(event.Seq, 10); got != word || event.Run != "run-1" {
			t.Fatalf("got %s of %s, want %s of run-1", got, event.Run, word)
		}
	}
}

func TestLiveEventsResume(t *testing.T) {
	_, node, address := liveServer(t)
	node.Publish(demes.LiveEvent{Type: "message"})
	first := follow(t, address, "")
	expect(t, first, "hello@1")
	node.Publish(demes.LiveEvent{Type: "settled"})
	expect(t, first, "settled@2")
	expect(t, follow(t, address, "?since=0&run=run-1"), "hello@2", "message@1", "settled@2")
	expect(t, follow(t, address, "?since=1&run=run-1"), "hello@2", "settled@2")
	expect(t, follow(t, address, "?since=1"), "hello@2", "settled@2")
	late := follow(t, address, "?since=1&run=another")
	expect(t, late, "reset@2")
	node.Publish(demes.LiveEvent{Type: "host"})
	expect(t, late, "host@3")
}

func TestLiveSocketNamesItsProtocolOnly(t *testing.T) {
	_, _, address := liveServer(t)
	conn, res, err := dial(t, address, "", nil)
	if err != nil || conn.Subprotocol() != liveProtocol {
		t.Fatalf("got protocol %q, %v; want %s", conn.Subprotocol(), err, liveProtocol)
	}
	if echoed := res.Header.Get("Sec-WebSocket-Protocol"); echoed != liveProtocol {
		t.Errorf("echoes %q, want %s and no token", echoed, liveProtocol)
	}
	header := http.Header{"Authorization": {"Bearer " + testToken}}
	if _, _, err := dial(t, address, "", &websocket.DialOptions{HTTPHeader: header}); err != nil {
		t.Errorf("a program with a header: %v", err)
	}
	plain := []string{liveProtocol, "token." + testToken}
	if _, _, err := dial(t, address, "", &websocket.DialOptions{Subprotocols: plain}); err != nil {
		t.Errorf("the token as it is: %v", err)
	}
}

func TestLiveSocketsThatAreRefused(t *testing.T) {
	_, _, address := liveServer(t)
	for _, c := range []struct {
		name      string
		protocols []string
		header    http.Header
		host      string
		status    int
	}{
		{"no token", []string{liveProtocol}, nil, "", 401},
		{"no protocols", nil, nil, "", 401},
		{"wrong token", []string{liveProtocol, "token.eA"}, nil, "", 401},
		{"no base64", []string{liveProtocol, "token.!!"}, nil, "", 401},
		{"wrong header beside the right protocol", []string{liveProtocol, tokenProtocol()}, http.Header{"Authorization": {"Bearer x"}}, "", 401},
		{"another protocol", []string{"demes.v9", tokenProtocol()}, nil, "", 400},
		{"a foreign page", []string{liveProtocol, tokenProtocol()}, http.Header{"Origin": {"http://evil.example"}}, "", 403},
		{"another port's page", []string{liveProtocol, tokenProtocol()}, http.Header{"Origin": {"http://127.0.0.1:1"}}, "", 403},
		{"no page at all", []string{liveProtocol, tokenProtocol()}, http.Header{"Origin": {"null"}}, "", 403},
		{"a cross-site page", []string{liveProtocol, tokenProtocol()}, http.Header{"Sec-Fetch-Site": {"cross-site"}}, "", 403},
		{"a rebound name", []string{liveProtocol, tokenProtocol()}, nil, "evil.example", 421},
	} {
		conn, res, err := dial(t, address, "", &websocket.DialOptions{Subprotocols: c.protocols, HTTPHeader: c.header, Host: c.host})
		if err == nil || conn != nil || res == nil || res.StatusCode != c.status {
			t.Errorf("%s: got %v, %v; want status %d", c.name, res, err, c.status)
		}
	}
	own := http.Header{"Origin": {"http://" + address}, "Sec-Fetch-Site": {"same-origin"}}
	if _, _, err := dial(t, address, "", &websocket.DialOptions{Subprotocols: []string{liveProtocol, tokenProtocol()}, HTTPHeader: own}); err != nil {
		t.Errorf("the node's own page: %v", err)
	}
}

func TestLiveWithoutWebSocket(t *testing.T) {
	s, _ := newTestServer(t)
	refused(t, s, 426, codeUpgrade, ask{path: "live"})
	refused(t, s, 426, codeUpgrade, ask{path: "live", header: map[string]string{"Upgrade": "websocket"}})
}

// closedWith waits until the server ends the socket and says why.
func closedWith(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			var closed websocket.CloseError
			if !errors.As(err, &closed) {
				t.Fatalf("the socket broke: %v", err)
			}
			return closed.Code
		}
	}
}

func TestSlowReadersAreDropped(t *testing.T) {
	_, node, address := liveServer(t)
	conn := follow(t, address, "")
	expect(t, conn, "hello@0")
	node.DropReaders()
	if code := closedWith(t, conn); code != websocket.StatusTryAgainLater {
		t.Errorf("closed with %v, want try again later", code)
	}
}

func TestWhoTalksOnTheLiveSocketIsCutOff(t *testing.T) {
	_, _, address := liveServer(t)
	for _, text := range []string{"hello", strings.Repeat("x", 10*maxLiveInput)} {
		conn := follow(t, address, "")
		expect(t, conn, "hello@0")
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if code := closedWith(t, conn); code != websocket.StatusPolicyViolation {
			t.Errorf("%d bytes: closed with %v, want policy violation", len(text), code)
		}
	}
}

func TestTooManyLiveSockets(t *testing.T) {
	_, node, address := liveServer(t)
	var open []*websocket.Conn
	for range maxLive {
		open = append(open, follow(t, address, ""))
	}
	if _, res, err := dial(t, address, "", nil); err == nil || res.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("socket %d: %v, want status 429", maxLive+1, err)
	}
	node.Publish(demes.LiveEvent{Type: "message"})
	expect(t, open[maxLive-1], "hello@0", "message@1")
}

func TestClosingEndsLiveSockets(t *testing.T) {
	s, _, address := liveServer(t)
	conn := follow(t, address, "")
	expect(t, conn, "hello@0")
	go s.Close()
	if code := closedWith(t, conn); code != websocket.StatusGoingAway {
		t.Errorf("closed with %v, want going away", code)
	}
}

func TestManySocketsAndCallsLeaveNoGoroutine(t *testing.T) {
	_, node, address := liveServer(t)
	expect(t, follow(t, address, ""), "hello@0")
	before := runtime.NumGoroutine()
	for range 200 {
		conn := follow(t, address, "")
		expect(t, conn, "hello@0")
		_ = conn.CloseNow()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 200 {
		res, err := client.Get("http://" + address + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > before+5 {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
	if node.Readers() > 1 {
		t.Errorf("%d listeners are left at the node, want 1", node.Readers())
	}
}

func TestEventsAreWhatTheirDescriptionSays(t *testing.T) {
	s, _ := newTestServer(t)
	schemas := s.api.OpenAPI().Components.Schemas
	union := schemas.Map()["LiveEvent"]
	position, rtt := uint64(3), 1.5
	message := demes.MessageView{ID: "d/1", Position: &position, State: demes.StateSettled}
	good := demes.KeysView{State: demes.KeysGood}
	live := demes.ChatView{Keys: good, Phase: demes.PhaseLive, Mode: demes.ModeSettled}
	chat := demes.ChatView{Keys: good, Phase: demes.PhaseLobby, Mode: demes.ModeProvisional, Members: []demes.MemberView{{RTTms: &rtt, Role: demes.RoleFounder}}, Host: &demes.Peer{}, Problem: &demes.ProblemView{}, CatchingUp: &demes.Progress{}}
	for _, event := range []demes.LiveEvent{
		{Type: "message", Chat: "c", Message: &message},
		{Type: "settled", Chat: "c", Messages: []demes.MessageView{message, {State: demes.StatePending}}},
		{Type: "host", Chat: "c", Detail: chat, Text: "Ann hosts now"}, {Type: "members", Chat: "c", Detail: &chat},
		{Type: "latency", Chat: "c", Detail: live}, {Type: "mode", Chat: "c"}, {Type: "election", Chat: "c", Text: "…"},
		{Type: "knock", Chat: "c", Detail: demes.KnockView{}}, {Type: "join", Detail: demes.JoinView{State: demes.JoinKnocking}},
		{Type: "typing", Chat: "c", Detail: demes.Peer{}}, {Type: "hello", Run: "r"}, {Type: "reset", Run: "r"},
	} {
		raw, err := json.Marshal(shownEvent(event))
		if err != nil {
			t.Fatal(err)
		}
		var parsed any
		if err := json.Unmarshal(raw, &parsed); err != nil {
			t.Fatal(err)
		}
		var result huma.ValidateResult
		huma.Validate(schemas, union, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, parsed, &result)
		if len(result.Errors) > 0 {
			t.Errorf("%s: %v\n%s", event.Type, result.Errors, raw)
		}
		if strings.Contains(string(raw), `"members":null`) || strings.Contains(string(raw), `"tried":null`) {
			t.Errorf("%s has null for a list: %s", event.Type, raw)
		}
	}
}

// Every field of the sent event stands in one of the described ones.
func TestDescribedEventsCoverTheSentOne(t *testing.T) {
	described := map[string]bool{}
	for _, event := range eventTypes {
		for _, field := range reflect.VisibleFields(event) {
			described[strings.Split(field.Tag.Get("json"), ",")[0]] = true
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[demes.LiveEvent]()) {
		if name := strings.Split(field.Tag.Get("json"), ",")[0]; !described[name] {
			t.Errorf("events have %s, and openapi.json does not: add it in events.go", name)
		}
	}
}
