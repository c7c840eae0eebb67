package api

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

// only is the one message of a chat.
func only(t *testing.T, s *Server, chat string) demes.MessageView {
	t.Helper()
	var page PageView
	want(t, s, 200, ask{path: "chats/" + chat + "/messages"}, &page)
	if len(page.Messages) != 1 {
		t.Fatalf("got %d messages, want 1", len(page.Messages))
	}
	return page.Messages[0]
}

func TestAMessageIsEditedReactedToAndDeleted(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	var sent demes.MessageView
	want(t, s, 202, ask{method: "POST", path: "chats/" + chat + "/messages", body: `{"text":"helo"}`}, &sent)
	at := "chats/" + chat + "/messages/" + sent.ID
	want(t, s, 202, ask{method: "PATCH", path: at, body: `{"text":"<b>hello</b>"}`}, nil)
	if m := only(t, s, chat); m.Text != "<b>hello</b>" || m.EditedAt == nil {
		t.Errorf("after the edit: %+v", m)
	}
	refused(t, s, 400, demes.CodeTextEmpty, ask{method: "PATCH", path: at, body: `{"text":" "}`})
	for _, emoji := range []string{"👍", "🏳️‍🌈", "❤️", "👩🏽‍🚀"} {
		want(t, s, 202, ask{method: "PUT", path: at + "/reactions/" + emoji}, nil)
		if r := only(t, s, chat).Reactions; len(r) != 1 || r[0].Emoji != emoji || !r[0].Mine || len(r[0].By) != 1 {
			t.Errorf("reacted with %s: %+v", emoji, r)
		}
		want(t, s, 202, ask{method: "DELETE", path: at + "/reactions/" + emoji}, nil)
	}
	want(t, s, 202, ask{method: "DELETE", path: at}, nil)
	if m := only(t, s, chat); !m.Deleted || m.Text != "" || len(m.Reactions) != 0 {
		t.Errorf("after the deletion: %+v", m)
	}
	refused(t, s, 404, demes.CodeUnknownMessage, ask{method: "DELETE", path: at})
}

// TestAnEmojiIsPercentEncoded goes through a real connection: a path in a test's
// request is not decoded.
func TestAnEmojiIsPercentEncoded(t *testing.T) {
	_, node, address := liveServer(t)
	view, err := node.FoundChat(t.Context(), "Ducks")
	if err != nil {
		t.Fatal(err)
	}
	chat, err := demes.ParseChatID(view.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.StartChat(t.Context(), chat); err != nil {
		t.Fatal(err)
	}
	sent, err := node.SendMessage(t.Context(), chat, "x", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for text, status := range map[string]int{"🏳️‍🌈": 202, "👍/👍": 202, "<img src=x>": 400, "../..": 404} {
		path := "http://" + address + BasePath + "/chats/" + view.ID + "/messages/" + sent.ID + "/reactions/" + url.PathEscape(text)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+testToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("%q: got %d, want %d", text, res.StatusCode, status)
		}
	}
}

func TestATitleAndRulesAreChanged(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	for _, c := range []struct {
		body  string
		title string
		rules demes.SettingsView
	}{
		{`{"title":" Ducks "}`, "Ducks", demes.SettingsView{}},
		{`{"settings":{"admins_invite":true}}`, "Ducks", demes.SettingsView{AdminsInvite: true}},
		{`{"settings":{"disappear_after_s":3600}}`, "Ducks", demes.SettingsView{AdminsInvite: true, DisappearAfterS: 3600}},
		{`{"title":"Geese","settings":{"disappear_after_s":0,"admins_invite":false}}`, "Geese", demes.SettingsView{}},
	} {
		want(t, s, 202, ask{method: "PATCH", path: "chats/" + chat, body: c.body}, nil)
		var view demes.ChatView
		want(t, s, 200, ask{path: "chats/" + chat}, &view)
		if view.Title != c.title || view.Settings != c.rules {
			t.Errorf("%s: got %q %+v, want %q %+v", c.body, view.Title, view.Settings, c.title, c.rules)
		}
	}
}

func TestARoleIsGiven(t *testing.T) {
	s, _ := newTestServer(t)
	chat := started(t, s)
	want(t, s, 202, ask{method: "PUT", path: "chats/" + chat + "/members/" + apitest.Other.String() + "/role", body: `{"role":"admin"}`}, nil)
	refused(t, s, 404, demes.CodeUnknownMember, ask{method: "PUT", path: "chats/" + chat + "/members/" + demes.DeviceID{5}.String() + "/role", body: `{"role":"member"}`})
}
