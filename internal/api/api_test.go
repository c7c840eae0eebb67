package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

func TestChatFromLobbyToMessages(t *testing.T) {
	s, _ := newTestServer(t)
	var chats chatsOutput
	want(t, s, 200, ask{path: "chats"}, &chats)
	if chats.Chats == nil {
		t.Error("no chats are null, want an empty list")
	}
	var chat demes.ChatView
	want(t, s, 201, ask{method: "POST", path: "chats", body: `{"title":"  Ducks "}`}, &chat)
	if chat.Title != "Ducks" || chat.Phase != demes.PhaseLobby || chat.Members == nil || chat.Latency.RTTms == nil {
		t.Errorf("founded %+v", chat)
	}
	in := "chats/" + chat.ID
	refused(t, s, 409, demes.CodeWrongPhase, ask{method: "POST", path: in + "/messages", body: `{"text":"early"}`})
	want(t, s, 202, ask{method: "POST", path: in + "/start", body: "{}"}, nil)
	refused(t, s, 409, demes.CodeWrongPhase, ask{method: "POST", path: in + "/start"})

	key := map[string]string{"Idempotency-Key": "0123456789abcdef"}
	var first, again, reply demes.MessageView
	want(t, s, 202, ask{method: "POST", path: in + "/messages", body: `{"text":"quack <&> \u0000"}`, header: key}, &first)
	want(t, s, 202, ask{method: "POST", path: in + "/messages", body: `{"text":"quack"}`, header: key}, &again)
	want(t, s, 202, ask{method: "POST", path: in + "/messages", body: `{"text":"indeed","reply_to":"` + first.ID + `"}`}, &reply)
	if first.ID != again.ID || first.Text != "quack <&> \x00" || reply.ReplyTo != first.ID {
		t.Errorf("sent %+v, again %+v, reply %+v", first, again, reply)
	}
	for _, call := range []ask{
		{method: "POST", path: in + "/typing"},
		{method: "POST", path: in + "/read", body: `{"position":2}`},
		{method: "POST", path: in + "/handover"},
		{method: "POST", path: in + "/handover", body: `{}`},
		{method: "POST", path: in + "/handover", body: `{"device":"` + apitest.Other.String() + `"}`},
		{method: "POST", path: in + "/knocks/" + apitest.Other.String(), body: `{"admit":false}`},
		{method: "DELETE", path: in + "/members/" + apitest.Other.String()},
		{method: "POST", path: in + "/leave"},
	} {
		want(t, s, 202, call, nil)
	}
}

func TestMessagePages(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	for i := range 25 {
		want(t, s, 202, ask{method: "POST", path: "chats/" + chat + "/messages", body: fmt.Sprintf(`{"text":"%d"}`, i+1)}, nil)
	}
	for _, c := range []struct {
		query       string
		first, last uint64
	}{
		{"", 1, 25},
		{"?limit=10", 16, 25},
		{"?after=0&limit=10", 1, 10},
		{"?after=0&limit=1", 1, 1},
		{"?after=0", 1, 25},
		{"?after=10&limit=10", 11, 20},
		{"?after=20&limit=10", 21, 25},
		{"?before=11&limit=10", 1, 10},
		{"?before=3&limit=10", 1, 2},
		{"?after=4&before=9", 5, 8},
		{"?after=0&before=3", 1, 2},
		{"?limit=1000000", 1, 25},
		{"?after=25", 0, 0},
		{"?after=18446744073709551615", 0, 0},
	} {
		var page PageView
		want(t, s, 200, ask{path: "chats/" + chat + "/messages" + c.query}, &page)
		var got []uint64
		for _, message := range page.Messages {
			got = append(got, *message.Position)
		}
		if page.Head.Position != 25 || page.Messages == nil {
			t.Errorf("%q: head %+v, messages %v", c.query, page.Head, page.Messages)
		}
		var wanted []uint64
		for p := c.first; p <= c.last && p > 0; p++ {
			wanted = append(wanted, p)
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%q: got positions %v, want %v", c.query, got, wanted)
		}
	}
}

func TestInvitesAndJoins(t *testing.T) {
	s, node := newTestServer(t)
	chat := started(t, s)
	for body, link := range map[string]string{
		"": "https://demes.example/#invite-0", "{}": "https://demes.example/#invite-0",
		`{"uses":3,"expires_in_s":60}`: "https://demes.example/#invite-3",
	} {
		var invite demes.InviteView
		want(t, s, 201, ask{method: "POST", path: "chats/" + chat + "/invites", body: body}, &invite)
		if invite.Link != link || !strings.HasPrefix(invite.QRSVG, "<svg ") || invite.ExpiresAt.IsZero() {
			t.Errorf("%q gave %+v, want link %s with a picture", body, invite, link)
		}
	}
	for body, asked := range map[string]string{
		`{"link":"https://demes.example/#x","name":" Bo "}`: "https://demes.example/#x as Bo",
		`{"address":"10.0.0.5:4000"}`:                       "10.0.0.5:4000 as ",
	} {
		var join joinOutput
		want(t, s, 202, ask{method: "POST", path: "joins", body: body}, &join)
		var status demes.JoinView
		want(t, s, 200, ask{path: "joins/" + join.Join}, &status)
		if status.State != demes.JoinConnecting || status.Tried == nil {
			t.Errorf("join says %+v", status)
		}
		if last := node.Joined[len(node.Joined)-1]; last != asked {
			t.Errorf("the node was asked for %q, want %q", last, asked)
		}
	}
	refused(t, s, 400, demes.CodeLinkMalformed, ask{method: "POST", path: "joins", body: `{"link":"x"}`})
	refused(t, s, 404, demes.CodeUnknownJoin, ask{path: "joins/none"})
}

// TestKnockAtAPortOfThisMachine joins by the HTTP port of another node.
func TestKnockAtAPortOfThisMachine(t *testing.T) {
	s, node := newTestServer(t)
	_, lobby, address := liveServer(t)
	lobby.Lobby = true
	join := ask{method: "POST", path: "joins", body: `{"address":"` + address + `"}`}
	if p := refused(t, s, 400, demes.CodeBadInput, join); !strings.Contains(p.Title, "this very node") {
		t.Errorf("knocking at oneself: %q", p.Title)
	}
	lobby.Lobby = false
	lobby.View.Device = apitest.Other.String()
	join = ask{method: "POST", path: "joins", body: `{"address":"` + address + `"}`}
	refused(t, s, 409, CodeNoLobby, join)
	lobby.Lobby = true
	want(t, s, 202, join, nil)
	if got, wanted := node.Joined[0], "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWfake as "; got != wanted {
		t.Errorf("knocks at %q, want %q", got, wanted)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	p := refused(t, s, 400, demes.CodeBadInput, ask{method: "POST", path: "joins",
		body: `{"address":"` + strings.TrimPrefix(other.URL, "http://") + `"}`})
	if !strings.Contains(p.Title, "is no DeMes node") {
		t.Errorf("knocking at another program: %q", p.Title)
	}
	other.Close()
	refused(t, s, 503, demes.CodeUnreachable, ask{method: "POST", path: "joins",
		body: `{"address":"` + strings.TrimPrefix(other.URL, "http://") + `"}`})
}

func TestNodeAndName(t *testing.T) {
	s, _ := newTestServer(t)
	var node demes.NodeView
	want(t, s, 200, ask{path: "node"}, &node)
	if node.Name != "Ann" || node.Addresses == nil || node.DataDir != "/data" {
		t.Errorf("node says %+v", node)
	}
	want(t, s, 200, ask{method: "PATCH", path: "node", body: `{"name":"Ænne 🦆"}`}, &node)
	if node.Name != "Ænne 🦆" {
		t.Errorf("renamed to %q", node.Name)
	}
}

func TestShutdownIsAskedFor(t *testing.T) {
	asked := make(chan bool, 1)
	s := New(Config{Node: apitest.NewNode(), Port: testPort, Token: testToken, Shutdown: func() { asked <- true }})
	defer s.Close()
	refused(t, s, 405, codeMethod, ask{path: "shutdown"})
	if len(asked) != 0 {
		t.Fatal("GET shut the node down")
	}
	want(t, s, 202, ask{method: "POST", path: "shutdown"}, nil)
	<-asked
}

func TestFaultsOnlyWhenTurnedOn(t *testing.T) {
	off := New(Config{Node: apitest.NewNode(), Port: testPort, Token: testToken})
	defer off.Close()
	refused(t, off, 404, codeFaultsOff, ask{path: "faults"})
	refused(t, off, 404, codeFaultsOff, ask{method: "PUT", path: "faults", body: `{"links":[]}`})

	s, node := newTestServer(t)
	var set faultsBody
	want(t, s, 200, ask{path: "faults"}, &set)
	if set.Links == nil {
		t.Error("no faults are null, want an empty list")
	}
	body := `{"links":[{"peer":"*","delay_ms":20.5,"loss":0.1},{"peer":"` + apitest.Other.String() + `","cut":true}]}`
	want(t, s, 200, ask{method: "PUT", path: "faults", body: body}, &set)
	if len(node.Faults(t.Context())) != 2 || !node.Faults(t.Context())[1].Cut || node.Faults(t.Context())[0].DelayMs != 20.5 || len(set.Links) != 2 {
		t.Errorf("node has faults %+v, answer %+v", node.Faults(t.Context()), set)
	}
}

func TestErrorsOfTheNodeBecomeProblems(t *testing.T) {
	s, node := newTestServer(t)
	chat := started(t, s)
	for code, status := range statuses {
		node.Fail = fmt.Errorf("send: %w", &demes.Error{Code: code, Title: "T", Detail: "D", Cause: fmt.Errorf("secret cause")})
		p := refused(t, s, status, code, ask{path: "chats/" + chat})
		if text, _ := json.Marshal(p); strings.Contains(string(text), "secret") {
			t.Errorf("%s shows its cause: %s", code, text)
		}
	}
	node.Fail = fmt.Errorf("secret internals")
	p := refused(t, s, 500, demes.CodeInternal, ask{path: "chats/" + chat})
	if strings.Contains(p.Detail+p.Title, "secret") {
		t.Errorf("an error without a code is shown: %+v", p)
	}
}

func TestABrokenCallLeavesTheServerRunning(t *testing.T) {
	s, _ := newTestServer(t)
	s.Open(struct{ Node }{}, nil)
	refused(t, s, 500, demes.CodeInternal, ask{path: "chats"})
	want(t, s, 200, ask{path: "/healthz"}, nil)
}

func TestDiagnostics(t *testing.T) {
	s, _ := newTestServer(t)
	health := ask{path: "/healthz", token: "-"}.to(s)
	if health.Code != 200 || health.Body.String() != "ok\n" {
		t.Errorf("healthz says %d %q", health.Code, health.Body)
	}
	numbers := ask{path: "/metrics"}.to(s)
	for _, name := range []string{"demes_chats 3", "demes_messages_total", "demes_store_commits_total", "go_goroutines"} {
		if !strings.Contains(numbers.Body.String(), name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	want(t, s, 200, ask{path: "/debug/pprof/"}, nil)
	want(t, s, 200, ask{path: "/debug/pprof/goroutine?debug=1"}, nil)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
		refused(t, s, 401, codeToken, ask{path: path, token: "-"})
	}
}
