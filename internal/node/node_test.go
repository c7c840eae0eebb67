package node_test

import (
	"context"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node"
)

func TestThreePeopleChatAfterKnockingAtALobby(t *testing.T) {
	w := newWorld(t)
	alice := w.add("Alice", func(c *node.Config) { c.OpenLobby = true })
	contact, open := alice.Contact(context.Background())
	if !open {
		t.Fatal("the lobby takes no knocks")
	}
	bob, carol := w.add("Bob"), w.add("Carol")
	for _, p := range []*party{bob, carol} {
		if v := p.join("", contact.Addresses[0]); v.State != demes.JoinJoined || len(v.Code) != 6 {
			t.Fatalf("%s did not join: %+v", p.name, v)
		}
	}
	views, err := bob.Chats(context.Background())
	if err != nil || len(views) != 1 {
		t.Fatalf("Bob's chats: %v, %v", views, err)
	}
	id := parse(views[0].ID)
	w.until("all see three online", func() bool { return alice.online(id) == 3 && bob.online(id) == 3 && carol.online(id) == 3 })
	if err := alice.StartChat(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	w.live(id, alice, bob, carol)
	sent := bob.say(id, "hello")
	if sent.Text != "hello" || sent.Author.Name != "Bob" {
		t.Errorf("sent %+v", sent)
	}
	alice.say(id, "hi")
	carol.say(id, "hey")
	w.settled(id, 3, alice, bob, carol)
	if _, open := alice.Contact(context.Background()); open {
		t.Error("a chat that has started still takes knocks")
	}
}
