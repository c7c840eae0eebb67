package api

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

// newLockedServer is a server whose profile is locked.
func newLockedServer(t *testing.T) (*Server, *apitest.Lock) {
	t.Helper()
	node, lock := apitest.NewNode(), &apitest.Lock{Passphrase: "correct horse", Locked: true}
	s := New(Config{Lock: lock, UI: testPage, Port: testPort, Token: testToken, Faults: true, Shutdown: func() {}})
	t.Cleanup(s.Close)
	lock.Changed = func(locked bool) {
		if locked {
			s.Shut()
		} else {
			s.Open(node, nil)
		}
	}
	return s, lock
}

func TestLockedNodeAnswersNothingElse(t *testing.T) {
	s, _ := newLockedServer(t)
	var spec struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(s.spec, &spec); err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{"/session": true, "/openapi.json": true, "/contact": true, "/lock": true, "/unlock": true, "/shutdown": true}
	for path, calls := range spec.Paths {
		for method := range calls {
			if !open[path] {
				refused(t, s, 423, demes.CodeLocked, ask{method: strings.ToUpper(method), path: strings.NewReplacer("{", "", "}", "").Replace(path[1:]), body: "{}"})
			}
		}
	}
	refused(t, s, 423, demes.CodeLocked, ask{path: "/debug/pprof/"})
	refused(t, s, 423, demes.CodeLocked, ask{method: "PUT", path: "lock", body: `{"new":"another one"}`})
	refused(t, s, 404, CodeNoLobby, ask{path: "contact", token: "-"})
	refused(t, s, 401, codeToken, ask{path: "lock", token: "-"})
	refused(t, s, 401, codeToken, ask{method: "POST", path: "unlock", body: `{"passphrase":"correct horse"}`, token: "-"})
	for _, path := range []string{"/", "/healthz", "/metrics", "/api/v1/openapi.json"} {
		want(t, s, 200, ask{path: path}, nil)
	}
	want(t, s, 202, ask{method: "POST", path: "shutdown"}, nil)
}

func TestNodeIsUnlockedAndLocked(t *testing.T) {
	s, _ := newLockedServer(t)
	var v demes.LockView
	want(t, s, 200, ask{path: "lock"}, &v)
	if !v.Locked || !v.HasPassphrase || v.Key != "passphrase" {
		t.Errorf("lock %+v", v)
	}
	refused(t, s, 403, demes.CodeWrongPassphrase, ask{method: "POST", path: "unlock", body: `{"passphrase":"x"}`})
	refused(t, s, 400, demes.CodeBadInput, ask{method: "POST", path: "unlock", body: `{}`})
	refused(t, s, 423, demes.CodeLocked, ask{path: "chats"})
	want(t, s, 200, ask{method: "POST", path: "unlock", body: `{"passphrase":"correct horse"}`}, &v)
	if v.Locked {
		t.Errorf("unlocked: %+v", v)
	}
	want(t, s, 200, ask{path: "chats"}, nil)
	want(t, s, 200, ask{method: "POST", path: "lock"}, &v)
	if !v.Locked {
		t.Errorf("locked: %+v", v)
	}
	refused(t, s, 423, demes.CodeLocked, ask{path: "chats"})
}

func TestCallThatMeetsTheLockAnswersLocked(t *testing.T) {
	s, _ := newLockedServer(t)
	worksLocked[BasePath+"/chats"] = true // it was let in just before
	defer delete(worksLocked, BasePath+"/chats")
	refused(t, s, 423, demes.CodeLocked, ask{path: "chats"})
}

func TestPassphraseIsSetChangedAndRemoved(t *testing.T) {
	s, lock := newLockedServer(t)
	want(t, s, 200, ask{method: "POST", path: "unlock", body: `{"passphrase":"correct horse"}`}, nil)
	refused(t, s, 403, demes.CodeWrongPassphrase, ask{method: "PUT", path: "lock", body: `{"new":"another horse"}`})
	want(t, s, 200, ask{method: "PUT", path: "lock", body: `{"old":"correct horse","new":"another horse"}`}, nil)
	if lock.Passphrase != "another horse" {
		t.Errorf("passphrase %q", lock.Passphrase)
	}
	var v demes.LockView
	want(t, s, 200, ask{method: "PUT", path: "lock", body: `{"old":"another horse"}`}, &v)
	if v.HasPassphrase || v.Key != "key-file" {
		t.Errorf("removed: %+v", v)
	}
	refused(t, s, 409, demes.CodeNoPassphrase, ask{method: "POST", path: "lock"})
}

func TestServerWithoutALock(t *testing.T) {
	s, _ := newTestServer(t)
	var v demes.LockView
	want(t, s, 200, ask{path: "lock"}, &v)
	if v.Locked || v.HasPassphrase {
		t.Errorf("lock %+v", v)
	}
	refused(t, s, 409, demes.CodeNoPassphrase, ask{method: "POST", path: "lock"})
	refused(t, s, 409, demes.CodeNoPassphrase, ask{method: "PUT", path: "lock", body: `{"new":"another horse"}`})
}

func TestAccount(t *testing.T) {
	s, lock := newLockedServer(t)
	want(t, s, 200, ask{method: "POST", path: "unlock", body: `{"passphrase":"correct horse"}`}, nil)
	var account demes.AccountView
	want(t, s, 200, ask{path: "account"}, &account)
	if account.WordsSaved || !account.HasWords || account.DeviceNumber != 1_700_000_000 {
		t.Errorf("account %+v", account)
	}
	want(t, s, 200, ask{method: "PATCH", path: "account", body: `{"words_saved":true}`}, &account)
	if !account.WordsSaved {
		t.Errorf("account %+v", account)
	}
	refused(t, s, 403, demes.CodeWrongPassphrase, ask{method: "POST", path: "account/words", body: `{}`})
	refused(t, s, 405, codeMethod, ask{path: "account/words"})
	var words wordsOutput
	want(t, s, 200, ask{method: "POST", path: "account/words", body: `{"passphrase":"correct horse"}`}, &words)
	if len(words.Words) != 24 {
		t.Errorf("words %q", words.Words)
	}
	refused(t, s, 403, demes.CodeWrongPassphrase, ask{method: "POST", path: "account/export", body: `{"passphrase":"of the file"}`})
	refused(t, s, 400, demes.CodeBadInput, ask{method: "POST", path: "account/export", body: `{"passphrase":"short","current":"correct horse"}`})
	var export map[string]string
	want(t, s, 200, ask{method: "POST", path: "account/export", body: `{"passphrase":"of the file","current":"correct horse"}`}, &export)
	if raw, err := base64.StdEncoding.DecodeString(export["file"]); err != nil || string(raw) != "sealed under of the file" || export["name"] != ExportName {
		t.Errorf("export %+v", export)
	}
	lock.Passphrase = ""
	want(t, s, 200, ask{method: "POST", path: "account/words", body: `{}`}, nil)
}

func TestSafety(t *testing.T) {
	s, _ := newTestServer(t)
	path := "chats/" + started(t, s) + "/safety/"
	var v demes.SafetyView
	want(t, s, 200, ask{path: path + apitest.Other.String()}, &v)
	if len(strings.Fields(v.Digits)) != 12 || !strings.HasPrefix(v.QRSVG, "<svg") || v.Verified {
		t.Errorf("safety %+v", v)
	}
	want(t, s, 200, ask{method: "PUT", path: path + apitest.Other.String(), body: `{"verified":true}`}, &v)
	if !v.Verified || v.QRSVG == "" {
		t.Errorf("verified %+v", v)
	}
	want(t, s, 200, ask{method: "PUT", path: path + apitest.Other.String(), body: `{"verified":false}`}, &v)
	if v.Verified {
		t.Errorf("withdrawn %+v", v)
	}
	refused(t, s, 404, demes.CodeUnknownMember, ask{path: path + "nobody"})
	refused(t, s, 404, demes.CodeUnknownMember, ask{path: path + demes.DeviceID{7}.String()})
	refused(t, s, 404, demes.CodeUnknownMember, ask{method: "PUT", path: path + demes.DeviceID{7}.String(), body: `{"verified":true}`})
	refused(t, s, 404, demes.CodeUnknownChat, ask{path: "chats/x/safety/" + apitest.Other.String()})
	refused(t, s, 400, demes.CodeBadInput, ask{method: "PUT", path: path + apitest.Other.String(), body: `{}`})
}
