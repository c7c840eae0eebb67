package group

import "fmt"

// UntilEqual waits until no running node has anything unsettled and all hold
// the same settled messages, with positions 1, 2, 3 … and equal heads. It
// returns those messages.
func (g *Group) UntilEqual() []Message {
	g.Helper()
	return g.UntilEqualIn(g.Chat)
}

// UntilEqualIn is UntilEqual for any chat.
func (g *Group) UntilEqualIn(chat string) []Message {
	g.Helper()
	g.Until(Patience, "equal heads", func() error { return g.quiet(chat) })
	var settled []Message
	g.Until(Patience, "equal messages", func() error {
		var err error
		settled, err = g.equal(chat)
		return err
	})
	return settled
}

// quiet looks at the heads alone, which is cheap.
func (g *Group) quiet(chat string) error {
	var first Head
	for i, n := range g.Running() {
		view, err := n.chat(chat)
		switch {
		case err != nil:
			return err
		case view.Mode != "settled":
			return fmt.Errorf("%s is %s and waits for %q", n.Name, view.Mode, view.WaitingText)
		case i == 0:
			first = view.Head
		case view.Head.Generation == first.Generation && view.Head.Index == first.Index && view.Head.Hash != first.Hash:
			g.Fatalf("two heads at generation %d, index %d: %s has %s, another %s", first.Generation, first.Index, n.Name, view.Head.Hash, first.Hash)
		case view.Head != first:
			return fmt.Errorf("%s is at generation %d, index %d, another at %d, %d", n.Name, view.Head.Generation, view.Head.Index, first.Generation, first.Index)
		}
	}
	return nil
}

// equal reads all messages of all running nodes and holds them against each other.
func (g *Group) equal(chat string) (first []Message, err error) {
	var firstHead Head
	for i, n := range g.Running() {
		settled, unsettled, head, err := n.Log(chat)
		if err != nil {
			return nil, err
		}
		if len(unsettled) > 0 {
			return nil, fmt.Errorf("%s has %d unsettled messages, the first %q of %s", n.Name, len(unsettled), unsettled[0].Text, unsettled[0].Author.Name)
		}
		g.checkPositions(n, settled)
		if i == 0 {
			first, firstHead = settled, head
			continue
		}
		if err := sameLog(n, settled, first); err != nil {
			return nil, err
		}
		if head != firstHead {
			return nil, fmt.Errorf("%s has the head %v, another %v", n.Name, head, firstHead)
		}
	}
	return first, nil
}

// checkPositions demands that positions go up by one, from 1; only who joined
// late begins above.
func (g *Group) checkPositions(n *Node, settled []Message) {
	g.Helper()
	if len(settled) > 0 && *settled[0].Position != 1 && !n.late {
		g.Fatalf("%s begins with position %d", n.Name, *settled[0].Position)
	}
	seen := map[string]uint64{}
	for i, m := range settled {
		if want := *settled[0].Position + uint64(i); *m.Position != want {
			g.Fatalf("%s has a gap: position %d after %d", n.Name, *m.Position, want-1)
		}
		if other, twice := seen[m.ID]; twice {
			g.Fatalf("%s has %s at the positions %d and %d", n.Name, m.ID, other, *m.Position)
		}
		seen[m.ID] = *m.Position
	}
}

// sameLog compares where both have something: a newcomer has only the end.
func sameLog(n *Node, settled, first []Message) error {
	if len(settled) == 0 || len(first) == 0 {
		return nil
	}
	from := max(*settled[0].Position, *first[0].Position)
	a, b := settled[from-*settled[0].Position:], first[from-*first[0].Position:]
	if len(a) != len(b) {
		return fmt.Errorf("%s has %d messages from position %d on, another %d", n.Name, len(a), from, len(b))
	}
	for i := range a {
		if a[i].ID != b[i].ID || a[i].Text != b[i].Text || *a[i].Position != *b[i].Position {
			return fmt.Errorf("position %d is %s %q at %s, and %s %q at another", *a[i].Position, a[i].ID, a[i].Text, n.Name, b[i].ID, b[i].Text)
		}
	}
	return nil
}
