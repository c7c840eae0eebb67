package group

import "fmt"

// Another founds one more live chat of all running nodes, at the first of them,
// and answers its id. The others join by an invite link.
func (g *Group) Another(title string) string {
	g.Helper()
	founder, others := g.Running()[0], g.Running()[1:]
	var chat Chat
	founder.Must("POST", "/chats", map[string]string{"title": title}, &chat)
	var invite struct{ Link string }
	founder.Must("POST", "/chats/"+chat.ID+"/invites", map[string]any{}, &invite)
	for _, n := range others {
		n.Join(invite.Link)
	}
	founder.Must("POST", "/chats/"+chat.ID+"/start", nil, nil)
	g.Until(Patience, "one more live chat", func() error {
		for _, n := range g.Running() {
			seen, err := n.chat(chat.ID)
			if err != nil || seen.Phase != "live" || seen.Host == nil {
				return fmt.Errorf("%s sees %s, %v", n.Name, seen, err)
			}
		}
		return nil
	})
	return chat.ID
}

// Join joins by a link and waits until it is done.
func (n *Node) Join(link string) {
	n.g.Helper()
	var join struct{ Join string }
	n.Must("POST", "/joins", map[string]string{"link": link}, &join)
	n.g.Until(Patience, n.Name+" to join", func() error {
		var state struct {
			State   string
			Problem *Problem
		}
		n.Must("GET", "/joins/"+join.Join, nil, &state)
		switch state.State {
		case "joined":
			return nil
		case "failed", "refused":
			n.g.Fatalf("%s cannot join: %s, %v", n.Name, state.State, state.Problem)
		}
		return fmt.Errorf("it is %s", state.State)
	})
}
