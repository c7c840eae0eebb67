package chat

import (
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// MaxReactions is how many emoji are shown at one message; who reacts does not
// count. It bounds what a flood of reactions makes others show.
const MaxReactions = 32

// What is said about a message – another text, its deletion, reactions – is an
// event of its own, sealed like a message. Who may do what is judged where it is
// shown, from the same log by everybody (docs/protocol.md#amends).

// Edit gives a message of this device's user another text.
func (c *Chat) Edit(now demes.Now, target demes.EventID, text string) error {
	c.now = now
	if err := goodText(text); err != nil {
		return err
	}
	return c.amendAs(target, &wire.Amend{Target: wire.PutRef(target), Kind: &wire.Amend_Edit{Edit: text}})
}

// Delete deletes a message everywhere: one's own, or anybody's as founder or admin.
func (c *Chat) Delete(now demes.Now, target demes.EventID) error {
	c.now = now
	return c.amendAs(target, &wire.Amend{Target: wire.PutRef(target), Kind: &wire.Amend_Delete{Delete: true}})
}

// React puts an emoji to a message, or takes it back.
func (c *Chat) React(now demes.Now, target demes.EventID, emoji string, on bool) error {
	c.now = now
	if !wire.ValidEmoji(emoji) {
		return demes.Problem(demes.CodeBadInput, "This is no emoji to react with", "Use one emoji.")
	}
	a := &wire.Amend{Target: wire.PutRef(target), Kind: &wire.Amend_React{React: emoji}}
	if !on {
		a.Kind = &wire.Amend_Unreact{Unreact: emoji}
	}
	return c.amendAs(target, a)
}

// Retitle gives the chat another title: the founder's and admins' word. It is
// sealed: only members learn it.
func (c *Chat) Retitle(now demes.Now, title string) error {
	c.now = now
	me := c.fold.Members[c.self]
	switch {
	case !wire.ValidTitle(title):
		return demes.Problem(demes.CodeBadInput, "The title cannot be used", "A title has 1 to 100 characters on one line.")
	case me == nil || me.Role == demes.RoleMember:
		return notAllowed()
	}
	_, err := c.utter(demes.KindAmend, &wire.MessageContent{Amend: &wire.Amend{Kind: &wire.Amend_Title{Title: title}}}, "")
	return err
}

func notAllowed() error {
	return demes.Problem(demes.CodeNotAllowed, "Only the founder and admins may do this", "Ask one of them; the list of members says who they are.")
}

// amendAs sends an amend if this device's user may make it.
func (c *Chat) amendAs(target demes.EventID, a *wire.Amend) error {
	if !c.mayAmend(c.self, target.Device, a) {
		return demes.Problem(demes.CodeNotAllowed, "This message is not yours",
			"Its author may change it; the founder and admins may delete it.")
	}
	if _, err := c.utter(demes.KindAmend, &wire.MessageContent{Amend: a}, ""); err != nil {
		return err
	}
	c.notice(Notice{Kind: NoticeMessage, Event: target})
	return nil
}

// mayAmend is the right to amend what the device of wrote.
func (c *Chat) mayAmend(by, of demes.DeviceID, a *wire.Amend) bool {
	author, target := c.fold.Members[by], c.fold.Members[of]
	own := by == of || author != nil && target != nil && author.Account == target.Account
	leads := author != nil && author.Role != demes.RoleMember
	switch a.GetKind().(type) {
	case *wire.Amend_Edit:
		return own
	case *wire.Amend_Delete:
		return own || leads
	case *wire.Amend_Title:
		return leads
	}
	return true
}

// amend does what a settled amend asks of this device: a deleted message is
// deleted from its disk, and what is shown changes. index is where it settled: what
// was said long ago may be read late.
func (c *Chat) amend(e *demes.Event, index uint64) {
	said, err := wire.OpenContent(e, e.Plain)
	if err != nil {
		return
	}
	a := said.GetAmend()
	target := wire.GetRef(a.GetTarget())
	if !c.mayAmend(e.ID.Device, target.Device, a) {
		return
	}
	switch kind := a.GetKind().(type) {
	case *wire.Amend_Title:
		if index < c.titleAt {
			return
		}
		c.title, c.titleAt = kind.Title, index
		c.put("title", []byte(kind.Title))
		c.put("title.at", number(index))
		c.notice(Notice{Kind: NoticeMembers})
		return
	case *wire.Amend_Delete:
		c.batch().Contents = append(c.batch().Contents, Content{Event: target, Plain: gone})
		for _, about := range c.amends(target) {
			if about.Event.ID != e.ID {
				c.batch().Contents = append(c.batch().Contents, Content{Event: about.Event.ID, Plain: gone, Amends: true, Target: &target})
			}
		}
		if held := c.tail.get(target); held != nil {
			held.Plain = gone
		}
	default:
		if c.deleted(target) { // its author had not heard of it
			e.Plain = gone
			c.batch().Contents = append(c.batch().Contents, Content{Event: e.ID, Plain: gone, Amends: true, Target: &target})
		}
	}
	c.notice(Notice{Kind: NoticeMessage, Event: target})
}

// deleted reports whether a message was deleted, in this turn or before.
func (c *Chat) deleted(target demes.EventID) bool {
	for _, content := range c.batch().Contents {
		if content.Event == target && isGone(content.Plain) {
			return true
		}
	}
	for _, about := range c.amends(target) {
		said, err := wire.OpenContent(about.Event, about.Event.Plain)
		_, deletes := said.GetAmend().GetKind().(*wire.Amend_Delete)
		if err == nil && deletes && c.mayAmend(about.Event.ID.Device, target.Device, said.GetAmend()) {
			return true
		}
	}
	return false
}

// amends lists what is known to amend an event, in the order in which it counts.
func (c *Chat) amends(target demes.EventID) []SettledEntry {
	if !c.reading.amended {
		return nil
	}
	entries, err := c.cfg.Log.Amends(c.id, []demes.EventID{target})
	if err != nil {
		return nil // the disk says so to its user elsewhere
	}
	return entries
}

// unsent lists what this device's user said about an event and nobody was sent yet.
func (c *Chat) unsent(target demes.EventID) (out []SettledEntry) {
	for _, item := range c.own.pending {
		if item.Kind != demes.KindAmend {
			continue
		}
		e := &demes.Event{
			ID: demes.EventID{Device: c.self, Seq: item.Seq}, Kind: item.Kind, Plain: item.Payload, Content: commitment(item), SentAt: item.SentAt,
		}
		if said, err := wire.OpenContent(e, e.Plain); err == nil && wire.GetRef(said.GetAmend().GetTarget()) == target {
			out = append(out, SettledEntry{Event: e})
		}
	}
	return out
}

// amended changes how a message is shown by what was said about it.
func (c *Chat) amended(v *demes.MessageView, id demes.EventID) {
	reactions := map[string][]demes.DeviceID{}
	var order []string
	for _, entry := range append(c.amends(id), c.unsent(id)...) {
		said, err := wire.OpenContent(entry.Event, entry.Event.Plain)
		by := entry.Event.ID.Device
		if err != nil || !c.mayAmend(by, id.Device, said.GetAmend()) {
			continue
		}
		switch kind := said.GetAmend().GetKind().(type) {
		case *wire.Amend_Edit:
			at := timeOf(entry.Event.SentAt)
			v.Text, v.EditedAt, v.Problem = kind.Edit, &at, nil
		case *wire.Amend_Delete:
			v.Deleted = true
		case *wire.Amend_React:
			if _, known := reactions[kind.React]; !known {
				order = append(order, kind.React)
			}
			if !slices.Contains(reactions[kind.React], by) {
				reactions[kind.React] = append(reactions[kind.React], by)
			}
		case *wire.Amend_Unreact:
			reactions[kind.Unreact] = slices.DeleteFunc(reactions[kind.Unreact], func(d demes.DeviceID) bool { return d == by })
		}
	}
	if v.Deleted {
		v.Text, v.ReplyTo, v.EditedAt, v.Problem = "", "", nil, nil
		return
	}
	for _, emoji := range order {
		if by := reactions[emoji]; len(by) > 0 && len(v.Reactions) < MaxReactions {
			shown := demes.ReactionView{Emoji: emoji, Mine: slices.Contains(by, c.self)}
			for _, d := range by {
				shown.By = append(shown.By, *c.who(d))
			}
			v.Reactions = append(v.Reactions, shown)
		}
	}
}

// SetRole says what the devices of an account may do: the founder's word.
func (c *Chat) SetRole(now demes.Now, account demes.AccountID, role demes.Role) error {
	c.now = now
	me := c.fold.Members[c.self]
	switch {
	case role != demes.RoleAdmin && role != demes.RoleMember:
		return demes.Problem(demes.CodeBadInput, "There is no such role", `A role is "admin" or "member".`)
	case me == nil || me.Role != demes.RoleFounder:
		return demes.Problem(demes.CodeNotAllowed, "Only the founder gives roles", "Ask "+c.name(c.fold.Founder)+".")
	case account == me.Account:
		return demes.Problem(demes.CodeBadInput, "The founder stays the founder", "Name another member.")
	case c.fold.devicesOf(account) == 0:
		return demes.Problem(demes.CodeUnknownMember, "There is no such member", "See who is a member with: demes members.")
	}
	_, err := c.submit(demes.KindRole, wire.Marshal(&wire.Role{Account: account[:], Role: roleNumbers[role]}), "")
	return err
}

// SetSettings changes the chat's rules: the founder's and admins' word.
func (c *Chat) SetSettings(now demes.Now, v demes.SettingsView) error {
	c.now = now
	me := c.fold.Members[c.self]
	switch {
	case me == nil || me.Role == demes.RoleMember:
		return notAllowed()
	case v.DisappearAfterS < 0 || v.DisappearAfterS > MaxDisappear/1000:
		return demes.Problem(demes.CodeBadInput, "The time cannot be used", "Messages disappear after at most a year; 0 keeps them.")
	}
	_, err := c.submit(demes.KindSettings, wire.Marshal(&wire.Settings{
		AdminsInvite: v.AdminsInvite, DisappearAfterMs: v.DisappearAfterS * 1000,
	}), "")
	return err
}
