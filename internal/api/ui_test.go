package api

import (
	"strings"
	"testing"

	"github.com/demes-chat/demes/internal/api/apitest"
)

func TestPageAndItsHeaders(t *testing.T) {
	s, _ := newTestServer(t)
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; " +
		"font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	for path, media := range map[string]string{
		"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8", "/assets/app.js": "text/javascript; charset=utf-8",
	} {
		w := ask{path: path, token: "-"}.to(s)
		if w.Code != 200 {
			t.Fatalf("%s: %d", path, w.Code)
		}
		for name, value := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-cache", "Content-Type": media,
		} {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		tag := w.Header().Get("ETag")
		again := ask{path: path, token: "-", header: map[string]string{"If-None-Match": tag}}.to(s)
		if tag == "" || again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("%s with its tag %s: got %d and %d bytes, want 304 and none", path, tag, again.Code, again.Body.Len())
		}
		if other := (ask{path: path, header: map[string]string{"If-None-Match": `"x"`}}).to(s); other.Code != 200 {
			t.Errorf("%s with another tag: got %d", path, other.Code)
		}
	}
}

func TestCallsAreNeverCachedOrFramed(t *testing.T) {
	s, _ := newTestServer(t)
	for _, a := range []ask{{path: "node"}, {path: "nothing"}, {path: "node", token: "-"}, {path: "node", host: "evil.example"}, {path: "/metrics"}} {
		w := a.to(s)
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: headers %v", a, w.Header())
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other pages may read it", a)
		}
	}
}

func TestServerWithoutAPage(t *testing.T) {
	s := New(Config{Node: apitest.NewNode(), Port: testPort, Token: testToken})
	defer s.Close()
	p := refused(t, s, 404, codeNotFound, ask{path: "/"})
	if !strings.Contains(p.Title, "no user interface") {
		t.Errorf("says %q", p.Title)
	}
}
