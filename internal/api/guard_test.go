package api

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

func TestHostsThatAreNotThisNode(t *testing.T) {
	s, _ := newTestServer(t)
	for _, host := range []string{"127.0.0.1:3000", "localhost:3000", "[::1]:3000", "LocalHost:3000"} {
		for _, path := range []string{"/", "node", "/healthz"} {
			want(t, s, 200, ask{path: path, host: host}, nil)
		}
	}
	for _, host := range []string{
		"evil.example", "evil.example:3000", "127.0.0.1", "localhost", "127.0.0.1:3001", "127.0.0.1:03000", "127.1:3000",
		"127.0.0.2:3000", "0.0.0.0:3000", "[::]:3000", "[0:0:0:0:0:0:0:1]:3000", "::1:3000", "localhost.:3000", "localhost:3000.",
		"localhost.evil.example:3000", "evil.localhost:3000", "127.0.0.1:3000@evil.example", "127.0.0.1:3000:3000",
		"2130706433:3000", "0x7f000001:3000", "[::ffff:127.0.0.1]:3000", "127.0.0.1:3000 ", " 127.0.0.1:3000", "127.0.0.1:", ":3000", "-",
	} {
		for _, path := range []string{"/", "node", "/healthz", "contact", "session", "live"} {
			if p := refused(t, s, 421, codeHost, ask{path: path, host: host}); p.Status == 0 {
				t.FailNow()
			}
		}
	}
}

func TestOriginsOfOtherPages(t *testing.T) {
	s, _ := newTestServer(t)
	own := map[string]string{"Origin": "http://127.0.0.1:3000"}
	want(t, s, 200, ask{path: "node", header: own}, nil)
	want(t, s, 201, ask{method: "POST", path: "chats", body: `{"title":"x"}`, header: own}, nil)
	for _, origin := range []string{
		"http://evil.example", "https://127.0.0.1:3000", "http://127.0.0.1:3001", "http://127.0.0.1", "http://localhost:3000",
		"null", "", "http://127.0.0.1:3000.evil.example", "http://127.0.0.1:3000/", "file://", "chrome-extension://abc",
		"http://127.0.0.1:3000, http://evil.example", "http://evil.example@127.0.0.1:3000", "ws://127.0.0.1:3000",
	} {
		header := map[string]string{"Origin": origin}
		for _, a := range []ask{
			{path: "node"}, {path: "live"}, {path: "/"}, {path: "/healthz"}, {path: "openapi.json"},
			{method: "POST", path: "chats", body: `{"title":"x"}`}, {method: "POST", path: "session", body: `{"code":"x"}`},
			{method: "OPTIONS", path: "node"}, {method: "DELETE", path: "chats/x/members/y"},
		} {
			a.header = header
			refused(t, s, 403, codeOrigin, a)
		}
	}
}

func TestRequestsThatABrowserCallsForeign(t *testing.T) {
	s, _ := newTestServer(t)
	for _, site := range []string{"cross-site", "same-site", "strange"} {
		header := map[string]string{"Sec-Fetch-Site": site}
		for _, path := range []string{"node", "/metrics", "/debug/pprof/", "/healthz"} {
			refused(t, s, 403, codeOrigin, ask{path: path, header: header})
		}
		refused(t, s, 403, codeOrigin, ask{method: "POST", path: "chats", body: `{"title":"x"}`, header: header})
	}
	// A link from elsewhere may lead to the page: it has no token there.
	want(t, s, 200, ask{path: "/", token: "-", header: map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}}, nil)
	for _, site := range []string{"same-origin", "none"} {
		want(t, s, 200, ask{path: "node", header: map[string]string{"Sec-Fetch-Site": site}}, nil)
	}
}

func TestTokensThatAreWrong(t *testing.T) {
	s, _ := newTestServer(t)
	for _, good := range []string{"Bearer " + testToken, "bearer " + testToken, "Bearer  " + testToken} {
		want(t, s, 200, ask{path: "node", token: good}, nil)
	}
	for _, token := range []string{
		"-", "Bearer", "Bearer ", testToken, "Basic " + testToken, "Bearer " + testToken + "x", "Bearer " + testToken[:5], "Bearer x",
		"Bearer " + strings.ToUpper(testToken), "Bearer " + strings.Repeat("a", 20000), "Bearer \x00", "Bearer " + testToken + "," + testToken,
	} {
		for _, path := range []string{"node", "chats", "faults", "live", "chats/x/messages", "nothing", "/api", "/api/v2/x", "/metrics"} {
			refused(t, s, 401, codeToken, ask{path: path, token: token})
		}
		refused(t, s, 401, codeToken, ask{method: "POST", path: "shutdown", token: token})
	}
	r := ask{path: "node"}.request()
	r.Header.Add("Authorization", "Bearer "+testToken)
	if g := s.guard.caller(r); g == nil {
		t.Error("two Authorization headers pass")
	}
	// The subprotocol is for the live socket alone.
	protocol := "demes.v1, token." + base64.RawURLEncoding.EncodeToString([]byte(testToken))
	refused(t, s, 401, codeToken, ask{path: "node", token: "-", header: map[string]string{"Sec-WebSocket-Protocol": protocol}})
}

func TestCodesWorkOnceAndFor60Seconds(t *testing.T) {
	now := time.Unix(1000, 0)
	s := New(Config{Node: apitest.NewNode(), Port: testPort, Token: testToken, Now: func() time.Time { return now }})
	defer s.Close()
	enter := func(code string) ask {
		return ask{method: "POST", path: "session", token: "-", body: `{"code":"` + code + `"}`,
			header: map[string]string{"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-origin"}}
	}
	code := s.NewCode()
	var session sessionOutput
	want(t, s, 200, enter(code), &session)
	if session.Token != testToken {
		t.Errorf("got token %q", session.Token)
	}
	refused(t, s, 401, codeSession, enter(code))
	late := s.NewCode()
	now = now.Add(codeLife)
	refused(t, s, 401, codeSession, enter(late))
	for _, wrong := range []string{"x", "", testToken, strings.Repeat("x", 128)} {
		refused(t, s, 401, codeSession, enter(wrong))
	}
	refused(t, s, 400, demes.CodeBadInput, enter(strings.Repeat("x", 129)))
	refused(t, s, 405, codeMethod, ask{path: "session"})
	oldest := s.NewCode()
	for range maxCodes {
		s.NewCode()
	}
	refused(t, s, 401, codeSession, enter(oldest))
}

func TestContactIsForProgramsOfThisMachine(t *testing.T) {
	s, node := newTestServer(t)
	refused(t, s, 404, CodeNoLobby, ask{path: "contact", token: "-"})
	node.Lobby = true
	var contact Contact
	want(t, s, 200, ask{path: "contact", token: "-"}, &contact)
	if contact.PeerID != "12D3KooWfake" || len(contact.Addresses) != 2 {
		t.Errorf("contact says %+v", contact)
	}
	for name, value := range map[string]string{
		"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1",
	} {
		for _, lobby := range []bool{true, false} {
			node.Lobby = lobby
			refused(t, s, 403, codeOrigin, ask{path: "contact", header: map[string]string{name: value}})
		}
	}
}

func TestTokensAreFresh(t *testing.T) {
	if a, b := NewToken(), NewToken(); a == b || len(a) != 43 {
		t.Errorf("tokens %q and %q, want two of 43 characters", a, b)
	}
}
