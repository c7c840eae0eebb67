package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

var badIDs = []string{
	"x", "0", "-1", "null", "undefined", "%00", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%20", "%E2%80%AE", "'", "\"", "<script>",
	strings.Repeat("a", 51), strings.Repeat("a", 53), strings.Repeat("a", 250), strings.Repeat("1", 52), strings.Repeat("a", 51) + "%c3",
	"{chat}", "*", "$(id)", "a;b", "a,b", "a:b", "%ff%fe",
}

func TestIDsThatNameNothing(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	stranger := demes.ChatID{77}.String()
	for _, raw := range append([]string{stranger}, badIDs...) {
		id, err := url.PathUnescape(raw)
		if err != nil {
			id = raw
		}
		if strings.Contains(id, "/") || strings.Trim(id, ".") == "" {
			continue // another path: see TestPathsThatLeadNowhere
		}
		for _, a := range []ask{
			{path: "chats/" + id}, {path: "chats/" + id + "/messages"},
			{method: "POST", path: "chats/" + id + "/start"}, {method: "POST", path: "chats/" + id + "/leave"},
			{method: "POST", path: "chats/" + id + "/typing"}, {method: "POST", path: "chats/" + id + "/invites"},
			{method: "POST", path: "chats/" + id + "/read", body: `{"position":1}`},
			{method: "POST", path: "chats/" + id + "/handover"}, {method: "POST", path: "chats/" + id + "/messages", body: `{"text":"x"}`},
			{method: "POST", path: "chats/" + id + "/knocks/" + apitest.Other.String(), body: `{"admit":true}`},
			{method: "DELETE", path: "chats/" + id + "/members/" + apitest.Other.String()},
			{method: "PATCH", path: "chats/" + id, body: `{"title":"x"}`}, {method: "PATCH", path: "chats/" + id, body: `{"settings":{}}`},
			{method: "PUT", path: "chats/" + id + "/members/" + apitest.Other.String() + "/role", body: `{"role":"admin"}`},
			{method: "PATCH", path: "chats/" + id + "/messages/" + apitest.Device.String() + "/1", body: `{"text":"x"}`},
			{method: "DELETE", path: "chats/" + id + "/messages/" + apitest.Device.String() + "/1"},
			{method: "PUT", path: "chats/" + id + "/messages/" + apitest.Device.String() + "/1/reactions/👍"},
			{method: "DELETE", path: "chats/" + id + "/messages/" + apitest.Device.String() + "/1/reactions/👍"},
		} {
			refused(t, s, 404, demes.CodeUnknownChat, a)
		}
		refused(t, s, 404, demes.CodeUnknownMember, ask{method: "DELETE", path: "chats/" + chat + "/members/" + id})
		refused(t, s, 404, demes.CodeUnknownMember, ask{method: "POST", path: "chats/" + chat + "/knocks/" + id, body: `{"admit":true}`})
		refused(t, s, 404, demes.CodeUnknownJoin, ask{path: "joins/" + id})
		refused(t, s, 404, demes.CodeUnknownMember, ask{method: "PUT", path: "chats/" + chat + "/members/" + id + "/role", body: `{"role":"admin"}`})
		for _, message := range []string{id + "/1", apitest.Device.String() + "/" + id, apitest.Device.String() + "/99"} {
			if id == "1" || len(message) > 32+53 && strings.HasPrefix(message, apitest.Device.String()) {
				continue // a seq is short
			}
			at := "chats/" + chat + "/messages/" + message
			refused(t, s, 404, demes.CodeUnknownMessage, ask{method: "PATCH", path: at, body: `{"text":"x"}`})
			refused(t, s, 404, demes.CodeUnknownMessage, ask{method: "DELETE", path: at})
			refused(t, s, 404, demes.CodeUnknownMessage, ask{method: "PUT", path: at + "/reactions/👍"})
			refused(t, s, 404, demes.CodeUnknownMessage, ask{method: "DELETE", path: at + "/reactions/👍"})
		}
		body := `{"device":"` + strings.ReplaceAll(raw, `"`, `'`) + `"}`
		refused(t, s, 404, demes.CodeUnknownMember, ask{method: "POST", path: "chats/" + chat + "/handover", body: body})
	}
}

func TestBodiesThatAreNoJSON(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	garbage := []string{
		"{", "}", "[", "nul", "{\"", "{'text':'x'}", `{"text":}`, `{"text":"x"`, `{"text":"x"}}`, `{"text":"x"}{"text":"y"}`, `{"text":"x",}`,
		"\x00", "\xff\xfe", "text=x", "<xml/>", "--boundary", `{"text":"\x"}`, `{"text":"\ud8"}`, `{"text":1e}`, "01", "+1", "NaN", "\ufeff{}",
		`[]`, `"x"`, `1`, `true`, `1e999`, strings.Repeat("[", 20000), `{"a":` + strings.Repeat(`{"a":`, 12000),
	}
	for _, body := range garbage {
		for _, a := range withBodies(chat) {
			a.body = body
			refused(t, s, 400, demes.CodeBadInput, a)
		}
	}
}

// withBodies are the calls that read a body.
func withBodies(chat string) []ask {
	return []ask{
		{method: "PATCH", path: "node"}, {method: "POST", path: "session"}, {method: "POST", path: "chats"}, {method: "POST", path: "joins"},
		{method: "PUT", path: "faults"}, {method: "POST", path: "chats/" + chat + "/messages"}, {method: "POST", path: "chats/" + chat + "/read"},
		{method: "POST", path: "chats/" + chat + "/invites"}, {method: "POST", path: "chats/" + chat + "/handover"},
		{method: "POST", path: "chats/" + chat + "/knocks/" + apitest.Other.String()},
		{method: "PATCH", path: "chats/" + chat}, {method: "PATCH", path: "chats/" + chat + "/messages/" + apitest.Device.String() + "/1"},
		{method: "PUT", path: "chats/" + chat + "/members/" + apitest.Other.String() + "/role"},
	}
}

func TestFieldsOfTheWrongType(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	in := "chats/" + chat
	for path, fields := range map[string][]string{
		"PATCH node":               {"name:string"},
		"POST session":             {"code:string"},
		"POST chats":               {"title:string"},
		"POST joins":               {"link:string?", "address:string?", "name:string?"},
		"POST " + in + "/messages": {"text:string", "reply_to:string?"},
		"POST " + in + "/read":     {"position:integer"},
		"POST " + in + "/invites":  {"uses:integer?", "expires_in_s:integer?"},
		"POST " + in + "/handover": {"device:string?"},
		"POST " + in + "/knocks/" + apitest.Other.String(): {"admit:boolean"},
		"PATCH " + in: {"title:string?", "settings:object?"},
		"PATCH " + in + "/messages/" + apitest.Device.String() + "/1": {"text:string"},
		"PUT " + in + "/members/" + apitest.Other.String() + "/role":  {"role:string"},
		"PUT faults": {"links:array"},
	} {
		method, path, _ := strings.Cut(path, " ")
		for _, field := range fields {
			name, kind, _ := strings.Cut(field, ":")
			kind, optional := strings.CutSuffix(kind, "?")
			for value, valueKind := range map[string]string{
				`"x"`: "string", `7`: "integer", `true`: "boolean", `null`: "null", `[]`: "array", `{}`: "object", `1.5`: "number",
				`-1`: "negative", `1e400`: "huge", `["x"]`: "list", `{"a":1}`: "map", `99999999999999999999`: "overflow",
			} {
				if valueKind == kind || optional && valueKind == "null" { // null: left out
					continue
				}
				a := ask{method: method, path: path, body: `{"` + name + `":` + value + `}`}
				p := refused(t, s, 400, demes.CodeBadInput, a)
				if len(p.Errors) == 0 {
					t.Errorf("%s: lists no field", a)
				}
			}
		}
		p := refused(t, s, 400, demes.CodeBadInput, ask{method: method, path: path, body: `{"no such field":1}`})
		if !strings.Contains(p.Detail, "body") {
			t.Errorf("%s %s: an unknown field is explained as %q", method, path, p.Detail)
		}
	}
}

func TestValuesOutOfRange(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	in := "chats/" + chat
	key := func(k string) map[string]string { return map[string]string{"Idempotency-Key": k} }
	device := apitest.Other.String()
	want(t, s, 202, ask{method: "POST", path: in + "/messages", body: `{"text":"x"}`}, nil)
	reactions := in + "/messages/" + apitest.Device.String() + "/1/reactions/"
	for _, a := range []ask{
		{method: "PATCH", path: "node", body: `{"name":""}`}, {method: "PATCH", path: "node", body: `{"name":" \t "}`},
		{method: "PATCH", path: "node", body: `{"name":"a\nb"}`}, {method: "PATCH", path: "node", body: `{"name":"a\u0000b"}`},
		{method: "PATCH", path: "node", body: `{"name":"a\u202eb"}`}, {method: "PATCH", path: "node", body: `{"name":"a\u2028b"}`},
		{method: "PATCH", path: "node", body: `{"name":"a\u200bb"}`}, {method: "PATCH", path: "node", body: `{"name":"\u200d"}`},
		{method: "PATCH", path: "node", body: `{"name":"` + strings.Repeat("x", 100_000) + `"}`}, {method: "PATCH", path: "node", body: "{\"name\":\"a\xff\"}"},
		{method: "POST", path: in + "/messages", body: "{\"text\":\"a\xff\"}"}, {method: "POST", path: "joins", body: `{"address":"` + strings.Repeat("x", 600) + `:1"}`},
		{method: "PATCH", path: "node", body: `{"name":"` + strings.Repeat("é", 65) + `"}`}, {method: "PATCH", path: "node", body: `{}`},
		{method: "POST", path: "chats", body: `{"title":""}`}, {method: "POST", path: "chats", body: `{"title":"` + strings.Repeat("x", 101) + `"}`},
		{method: "POST", path: "chats", body: `{"title":"` + strings.Repeat("x", 5000) + `"}`},
		{method: "POST", path: "joins", body: `{}`}, {method: "POST", path: "joins", body: `{"link":"a","address":"b:1"}`},
		{method: "POST", path: "joins", body: `{"name":"x"}`},
		{method: "POST", path: "joins", body: `{"link":"https://demes.example/#x","name":"a\nb"}`},
		{method: "POST", path: in + "/messages", body: `{"text":"x"}`, header: key("short")},
		{method: "POST", path: in + "/messages", body: `{"text":"x"}`, header: key(strings.Repeat("x", 129))},
		{method: "POST", path: in + "/messages", body: `{"text":"x"}`, header: key("0123456789 bcdef")},
		{method: "POST", path: in + "/messages", body: `{"text":"x"}`, header: key("0123456789\u00e9bcdef")},
		{method: "POST", path: in + "/messages", body: `{"text":"x","reply_to":"y"}`},
		{method: "POST", path: in + "/messages", body: `{"text":"x","reply_to":"` + device + `/0"}`},
		{method: "POST", path: in + "/messages", body: `{"text":"x","reply_to":"` + device + `/99999999999999999999"}`},
		{method: "POST", path: in + "/messages", body: ``}, {method: "POST", path: in + "/messages", body: `{}`},
		{method: "POST", path: in + "/invites", body: `{"uses":0}`}, {method: "POST", path: in + "/invites", body: `{"uses":10001}`},
		{method: "POST", path: in + "/invites", body: `{"expires_in_s":0}`}, {method: "POST", path: in + "/invites", body: `{"expires_in_s":31536001}`},
		{path: in + "/messages?limit=0"}, {path: in + "/messages?limit=-1"}, {path: in + "/messages?limit=x"}, {path: in + "/messages?limit=1.5"},
		{path: in + "/messages?after=-1"}, {path: in + "/messages?after=x"}, {path: in + "/messages?before=0"}, {path: in + "/messages?before=1e3"},
		{path: in + "/messages?after=18446744073709551616"}, {path: in + "/messages?limit=99999999999999999999"},
		{method: "PATCH", path: in, body: `{}`}, {method: "PATCH", path: in, body: `{"title":""}`}, {method: "PATCH", path: in, body: `{"title":"a\nb"}`},
		{method: "PATCH", path: in, body: `{"title":"` + strings.Repeat("x", 101) + `"}`}, {method: "PATCH", path: in, body: `{"settings":{"disappear_after_s":-1}}`},
		{method: "PATCH", path: in, body: `{"settings":{"disappear_after_s":31536001}}`}, {method: "PATCH", path: in, body: `{"settings":{"admins_invite":1}}`},
		{method: "PATCH", path: in, body: `{"settings":{"other":1}}`},
		{method: "PUT", path: in + "/members/" + device + "/role", body: `{"role":"founder"}`}, {method: "PUT", path: in + "/members/" + device + "/role", body: `{}`},
		{method: "PUT", path: reactions + "x", body: `{}`}, {method: "PUT", path: reactions + "<b>", body: `{}`}, {method: "PUT", path: reactions + "<script>", body: `{}`},
		{method: "PUT", path: reactions + "1", body: `{}`}, {method: "PUT", path: reactions + " ", body: `{}`}, {method: "PUT", path: reactions + "\u202e", body: `{}`},
		{method: "DELETE", path: reactions + "\xff\xfe", body: `{}`}, {method: "PUT", path: reactions + strings.Repeat("👍", 60), body: `{}`},
		{method: "PUT", path: reactions + "👍\n👍", body: `{}`},
		{method: "PUT", path: "faults", body: `{"links":[{"peer":"x"}]}`}, {method: "PUT", path: "faults", body: `{"links":[{"peer":"*"},{"peer":"*"}]}`},
		{method: "PUT", path: "faults", body: `{"links":[{"peer":"*","loss":1.01}]}`}, {method: "PUT", path: "faults", body: `{"links":[{"peer":"*","loss":-0.1}]}`},
		{method: "PUT", path: "faults", body: `{"links":[{"peer":"*","delay_ms":-1}]}`}, {method: "PUT", path: "faults", body: `{"links":[{"peer":"*","jitter_ms":1e9}]}`},
		{method: "PUT", path: "faults", body: `{"links":[{}]}`}, {method: "PUT", path: "faults", body: `{"links":[` + strings.Repeat(`{"peer":"*"},`, 1024) + `{"peer":"*"}]}`},
		{path: "live?since=x"}, {path: "live?since=-1"}, {path: "live?since=18446744073709551616"}, {path: "live?run=" + strings.Repeat("x", 129)},
		{path: "live", header: map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "eHh4eHh4eHh4eHh4eHh4eA==", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "other.v1"}},
	} {
		if p := refused(t, s, 400, demes.CodeBadInput, a); len(p.Errors) == 0 && a.body != "" {
			t.Errorf("%s: lists no field", a)
		}
	}
}

func TestTextsThatAreEmptyOrTooLong(t *testing.T) {
	s, _ := newTestServer(t)
	send := func(text string) ask {
		return ask{method: "POST", path: "chats/" + s.mustChat(t) + "/messages", body: `{"text":"` + text + `"}`}
	}
	for _, text := range []string{"", " ", `\n\n`, `\t`, `\u00a0`, `\u2003`, `\u200b`, `\u202e \u2066`, `\u0000`, `\ufeff\u00ad`} {
		refused(t, s, 400, demes.CodeTextEmpty, send(text))
	}
	want(t, s, 202, send(strings.Repeat("x", demes.MaxText)), nil)
	want(t, s, 202, send(strings.Repeat(`\u00e9`, demes.MaxText/2)), nil)
	refused(t, s, 400, demes.CodeTextTooLong, send(strings.Repeat("x", demes.MaxText+1)))
	refused(t, s, 400, demes.CodeTextTooLong, send(strings.Repeat(`\u00e9`, demes.MaxText/2+1)))
	refused(t, s, 400, demes.CodeTextTooLong, send(strings.Repeat("x", 1_000_000)))
}

// mustChat is the one chat of the server's node, started.
func (s *Server) mustChat(t *testing.T) string {
	var chats chatsOutput
	want(t, s, 200, ask{path: "chats"}, &chats)
	if len(chats.Chats) == 0 {
		return started(t, s)
	}
	return chats.Chats[0].ID
}

func TestBodiesThatAreTooLarge(t *testing.T) {
	s, _ := newTestServer(t)
	for _, a := range withBodies(started(t, s)) {
		a.body = `{"text":"` + strings.Repeat("x", 1<<20) + `"}`
		refused(t, s, 413, codeTooLarge, a)
	}
}

func TestBodiesOfOtherTypes(t *testing.T) {
	s, _ := newTestServer(t)
	for _, a := range withBodies(started(t, s)) {
		a.body = `{"text":"x"}`
		for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "x", "application/cbor", ";+"} {
			a.header = map[string]string{"Content-Type": media}
			refused(t, s, 415, codeMediaType, a)
		}
	}
}

func TestMethodsThatACallDoesNotTake(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	taken := map[string]string{
		"node": "GET HEAD PATCH", "chats": "GET HEAD POST", "chats/" + chat: "GET HEAD PATCH", "chats/" + chat + "/start": "POST",
		"chats/" + chat + "/leave": "POST", "chats/" + chat + "/typing": "POST", "chats/" + chat + "/read": "POST",
		"chats/" + chat + "/invites": "POST", "chats/" + chat + "/messages": "GET HEAD POST", "chats/" + chat + "/handover": "POST",
		"chats/" + chat + "/knocks/" + apitest.Other.String(): "POST", "chats/" + chat + "/members/" + apitest.Other.String(): "DELETE",
		"chats/" + chat + "/messages/x/1": "DELETE PATCH", "chats/" + chat + "/messages/x/1/reactions/x": "DELETE PUT", "chats/" + chat + "/members/x/role": "PUT",
		"joins": "POST", "joins/x": "GET HEAD", "faults": "GET HEAD PUT", "shutdown": "POST", "session": "POST", "contact": "GET HEAD",
		"live": "GET HEAD", "openapi.json": "GET HEAD", "/healthz": "GET HEAD", "/metrics": "GET HEAD", "/debug/pprof/": "GET HEAD",
		"/": "GET HEAD", "/assets/app.js": "GET HEAD",
	}
	for path, methods := range taken {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get", "PROPFIND"} {
			if strings.Contains(" "+methods+" ", " "+method+" ") {
				continue
			}
			a := ask{method: method, path: path}
			refused(t, s, 405, codeMethod, a)
			if allow := a.to(s).Header().Get("Allow"); strings.ReplaceAll(allow, ", ", " ") != methods {
				t.Errorf("%s: Allow says %q, want %q", a, allow, methods)
			}
		}
	}
}

func TestPathsThatLeadNowhere(t *testing.T) {
	s, _ := newTestServer(t)
	for _, path := range []string{
		"/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/node", "/api/v1/nodes", "/api/v1/node/", "/api/v1//node", "//api/v1/node", "/api/v1/./node",
		"/api/v1/../v1/node", "/api/v1/chats/", "/api/v1/chats//messages", "/api/v1/chats/../node", "/api/v1/openapi.yaml", "/api/v1/openapi",
		"/api/v1/docs", "/api/v1/schemas", "/api/v1/schemas/Chat.json", "/api/v1/chats/x/reconvene", "/api/v1/NODE", "/API/v1/node", "/api/v1/node\x00",
		"/debug", "/debug/vars", "/healthz/", "/metrics/", "/..", "/../", "/../../etc/passwd", "/./index.html", "/assets", "/assets/",
		"/assets/../index.html", "/assets//app.js", "/assets/app.js/", "/SOURCE_HASH", "/assets/font.xyz", "/index.htm", "/favicon.ico", "/.git/config",
		"/\\..\\..\\windows", "/%2e%2e/etc", "/assets/app.js\x00.html", "//evil.example/", "/" + strings.Repeat("a", 10000), "/" + strings.Repeat("a/", 3000),
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w := ask{method: method, path: path}.to(s)
			if w.Code != 404 || w.Header().Get("Location") != "" {
				t.Errorf("%s %.80q: got %d, location %q; want 404", method, path, w.Code, w.Header().Get("Location"))
			}
		}
		refused(t, s, 404, codeNotFound, ask{path: path})
	}
}

func TestErrorsRepeatNoInput(t *testing.T) {
	s, _ := newTestServer(t)
	const secret = "s3cr3t-invite-link"
	for _, a := range []ask{
		{method: "POST", path: "joins", body: `{"link":["` + secret + `"]}`}, {method: "POST", path: "joins", body: `{"link":"` + secret},
		{method: "POST", path: "session", body: `{"code":"` + strings.Repeat(secret, 20) + `"}`}, {method: "POST", path: "session", body: `{"code":{"a":"` + secret + `"}}`},
		{path: "chats/" + secret}, {path: "joins/" + secret}, {path: "node", token: "Bearer " + secret}, {path: "/" + secret},
	} {
		if w := a.to(s); strings.Contains(w.Body.String(), secret) || w.Code < 400 {
			t.Errorf("%s: got %d %s", a, w.Code, w.Body)
		}
	}
}

func FuzzRequests(f *testing.F) {
	f.Add("GET", "/api/v1/chats", "", "application/json", "")
	f.Add("POST", "/api/v1/chats", `{"title":"x"}`, "application/json", "0123456789abcdef")
	f.Add("POST", "/api/v1/chats/x/messages", `{"text":1}`, "text/plain", "k")
	f.Add("PUT", "/api/v1/faults", `{"links":[{"peer":"*","loss":0.5}]}`, "", "")
	f.Add("GET", "/assets/../..", "", "", "")
	f.Add("GET", "/api/v1/live?since=1", "", "", "")
	s, _ := newTestServer(f)
	f.Fuzz(func(t *testing.T, method, path, body, media, key string) {
		if method == "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/debug/pprof/") {
			t.Skip() // profiles take the seconds that one asks for
		}
		a := ask{method: method, path: path, body: body, header: map[string]string{"Content-Type": media, "Idempotency-Key": key}}
		w := a.to(s)
		if w.Code >= 500 {
			t.Fatalf("%s\n got %d %s", a, w.Code, w.Body)
		}
		if w.Code >= 300 {
			if _, err := readProblem(w.Result()); err != nil {
				t.Fatalf("%s\n got %d %s: %v", a, w.Code, w.Body, err)
			}
		}
	})
}
