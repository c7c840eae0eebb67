package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

// The tests' server: what a page of it would be allowed to do.
const (
	testPort  = 3000
	testToken = "a-token-for-tests"
	testHost  = "127.0.0.1:3000"
)

var testPage = fstest.MapFS{
	"index.html":      {Data: []byte("<!doctype html><title>DeMes</title>")},
	"assets/app.js":   {Data: []byte("'use strict'")},
	"assets/font.xyz": {Data: []byte("no known type")},
	"SOURCE_HASH":     {Data: []byte("0123")},
}

func newTestServer(t testing.TB) (*Server, *apitest.Node) {
	t.Helper()
	node := apitest.NewNode()
	s := New(Config{Node: node, UI: testPage, Port: testPort, Token: testToken, Faults: true,
		Stats: func() Stats { return Stats{Chats: 3} }})
	t.Cleanup(s.Close)
	return s, node
}

// ask is one request; the zero value of a field means what is usual.
type ask struct {
	method, path, body string
	host, token        string // "-": none
	header             map[string]string
}

func (a ask) request() *http.Request {
	method := a.method
	if method == "" {
		method = http.MethodGet
	}
	path := a.path
	if !strings.HasPrefix(path, "/") {
		path = BasePath + "/" + path
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(a.body))
	r.Method = method // also those that no parser would let through
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	r.RequestURI = path
	r.Host = testHost
	if a.host != "" {
		r.Host = a.host
	}
	switch a.token {
	case "":
		r.Header.Set("Authorization", "Bearer "+testToken)
	case "-":
	default:
		r.Header.Set("Authorization", a.token)
	}
	if a.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	return r
}

func (a ask) String() string {
	body := a.body
	if len(body) > 60 {
		body = body[:60] + "…"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s host=%q token=%q %v", a.method, a.path, body, a.host, a.token, a.header))
}

func (a ask) to(s *Server) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, a.request())
	return w
}

// want answers the request, fails unless it has this status, and reads what
// came back into out when that is not nil.
func want(t testing.TB, s *Server, status int, a ask, out any) {
	t.Helper()
	w := a.to(s)
	if w.Code != status {
		t.Fatalf("%s\n got %d %s\nwant %d", a, w.Code, w.Body, status)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
		t.Fatalf("%s\nanswer %q: %v", a, w.Body, err)
	}
}

// refused checks that an answer is a well-formed problem of this status and code.
func refused(t testing.TB, s *Server, status int, code demes.Code, a ask) Problem {
	t.Helper()
	w := a.to(s)
	p, err := readProblem(w.Result())
	if err != nil {
		t.Errorf("%s\n got %d %s\n%v", a, w.Code, w.Body, err)
	} else if w.Code != status || p.Code != code {
		t.Errorf("%s\n got %d %s (%s: %s)\nwant %d %s", a, w.Code, p.Code, p.Title, p.Detail, status, code)
	}
	return p
}

func readProblem(res *http.Response) (p Problem, err error) {
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return p, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, fmt.Errorf("no problem document: %w", err)
	}
	switch {
	case res.Header.Get("Content-Type") != "application/problem+json":
		return p, errors.New("wrong content type " + res.Header.Get("Content-Type"))
	case p.Status != res.StatusCode:
		return p, fmt.Errorf("says status %d", p.Status)
	case p.Code == "" || p.Title == "" || p.Detail == "" || p.Type == "":
		return p, errors.New("a member of the problem is empty")
	case slices.ContainsFunc(p.Errors, func(e FieldError) bool { return e.Location == "" || e.Message == "" }):
		return p, errors.New("a field error is empty")
	}
	return p, nil
}

// started founds and starts a chat and returns its id.
func started(t testing.TB, s *Server) string {
	t.Helper()
	var chat demes.ChatView
	want(t, s, 201, ask{method: "POST", path: "chats", body: `{"title":"Ducks"}`}, &chat)
	want(t, s, 202, ask{method: "POST", path: "chats/" + chat.ID + "/start"}, nil)
	return chat.ID
}
