package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

//go:generate go test . -run TestOpenAPIIsCommitted -update

var update = flag.Bool("update", false, "write openapi.json anew")

func TestOpenAPIIsCommitted(t *testing.T) {
	s, _ := newTestServer(t)
	served := ask{path: "openapi.json", token: "-"}.to(s).Body.Bytes()
	if *update {
		if err := os.WriteFile("openapi.json", served, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile("openapi.json")
	if err != nil || !bytes.Equal(committed, served) {
		t.Fatalf("openapi.json is not what the code says (%v): run `go generate ./internal/api` and commit it", err)
	}
}

// TestEveryContractedCallIsDescribed names the calls, so that none gets lost.
func TestEveryContractedCallIsDescribed(t *testing.T) {
	s, _ := newTestServer(t)
	var spec struct {
		OpenAPI    string                               `json:"openapi"`
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(s.spec, &spec); err != nil {
		t.Fatal(err)
	}
	for path, calls := range map[string][]string{
		"/node": {"get", "patch"}, "/chats": {"get", "post"}, "/chats/{chat}": {"get", "patch"}, "/chats/{chat}/start": {"post"},
		"/chats/{chat}/invites": {"post"}, "/joins": {"post"}, "/joins/{join}": {"get"}, "/chats/{chat}/knocks/{device}": {"post"},
		"/chats/{chat}/messages": {"get", "post"}, "/chats/{chat}/handover": {"post"}, "/chats/{chat}/members/{device}": {"delete"},
		"/chats/{chat}/leave": {"post"}, "/live": {"get"}, "/shutdown": {"post"}, "/faults": {"get", "put"}, "/session": {"post"}, "/contact": {"get"},
		"/chats/{chat}/typing": {"post"}, "/chats/{chat}/read": {"post"},
		"/lock": {"get", "post", "put"}, "/unlock": {"post"}, "/account": {"get", "patch"}, "/account/words": {"post"}, "/account/export": {"post"},
		"/chats/{chat}/safety/{account}":        {"get", "put"},
		"/chats/{chat}/messages/{device}/{seq}": {"patch", "delete"}, "/chats/{chat}/messages/{device}/{seq}/reactions/{emoji}": {"put", "delete"},
		"/chats/{chat}/members/{account}/role": {"put"},
	} {
		for _, method := range calls {
			call := spec.Paths[path][method]
			if call == nil || call["summary"] == "" || call["operationId"] == "" {
				t.Errorf("%s %s is not described", method, path)
			}
		}
		if len(spec.Paths[path]) != len(calls) {
			t.Errorf("%s takes %d methods, want %v", path, len(spec.Paths[path]), calls)
		}
	}
	for _, name := range []string{"Chat", "Message", "Node", "Member", "Join", "Invite", "Knock", "LinkFault", "Problem", "LiveEvent",
		"MessageEvent", "ChatEvent", "KnockEvent", "JoinEvent", "TypingEvent", "StreamEvent"} {
		if spec.Components.Schemas[name] == nil {
			t.Errorf("there is no schema %s", name)
		}
	}
	if spec.OpenAPI != "3.1.0" || bytes.Contains(s.spec, []byte("$schema")) {
		t.Errorf("OpenAPI %s, want 3.1.0 and no $schema", spec.OpenAPI)
	}
}
