package node

import (
	"context"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// EditMessage gives a message of this account another text.
func (n *Node) EditMessage(ctx context.Context, id demes.ChatID, target demes.EventID, text string) error {
	return n.amend(ctx, id, target, func(c *chat.Chat, now demes.Now) error { return c.Edit(now, target, text) })
}

// DeleteMessage deletes a message on all devices.
func (n *Node) DeleteMessage(ctx context.Context, id demes.ChatID, target demes.EventID) error {
	return n.amend(ctx, id, target, func(c *chat.Chat, now demes.Now) error { return c.Delete(now, target) })
}

// React puts an emoji to a message, or takes it back.
func (n *Node) React(ctx context.Context, id demes.ChatID, target demes.EventID, emoji string, on bool) error {
	return n.amend(ctx, id, target, func(c *chat.Chat, now demes.Now) error { return c.React(now, target, emoji, on) })
}

// amend does something to a message that is here and says something. The chat
// takes amends of anything: one may come before its target.
func (n *Node) amend(ctx context.Context, id demes.ChatID, target demes.EventID, do func(*chat.Chat, demes.Now) error) error {
	r, err := n.find(id)
	if err != nil {
		return err
	}
	return n.actIn(ctx, id, func(c *chat.Chat, now demes.Now) error {
		v, known, err := r.lookUp(c, target)
		switch {
		case err != nil:
			return err
		case !known:
			return demes.Problem(demes.CodeUnknownMessage, "There is no such message", "Look at the chat again.")
		case v.Deleted:
			return demes.Problem(demes.CodeUnknownMessage, "This message was deleted", "Nothing of it is left to change.")
		case v.State == demes.StateFailed:
			return demes.Problem(demes.CodeWrongPhase, "The chat did not take this message", "Only this device shows it. Send it again if it matters.")
		}
		return do(c, now)
	})
}

// lookUp shows a message that is settled, held or still to be sent; known is
// false when there is none of that id.
func (r *runner) lookUp(c *chat.Chat, id demes.EventID) (v demes.MessageView, known bool, err error) {
	if v, known = c.Find(id); known {
		return v, true, nil
	}
	entry, known, err := r.node.store.Event(r.id, id)
	if err != nil || !known || entry.Event.Kind != demes.KindMessage {
		return demes.MessageView{}, false, err
	}
	return c.Message(entry), true, nil
}

// Retitle gives a chat another title.
func (n *Node) Retitle(ctx context.Context, id demes.ChatID, title string) error {
	return n.actIn(ctx, id, func(c *chat.Chat, now demes.Now) error { return c.Retitle(now, title) })
}

// SetSettings changes those rules of a chat that are named.
func (n *Node) SetSettings(ctx context.Context, id demes.ChatID, change demes.SettingsChange) error {
	return n.actIn(ctx, id, func(c *chat.Chat, now demes.Now) error {
		settings := c.View().Settings
		if change.AdminsInvite != nil {
			settings.AdminsInvite = *change.AdminsInvite
		}
		if change.DisappearAfterS != nil {
			settings.DisappearAfterS = *change.DisappearAfterS
		}
		return c.SetSettings(now, settings)
	})
}

// SetRole says what the devices of an account may do in a chat.
func (n *Node) SetRole(ctx context.Context, id demes.ChatID, account demes.AccountID, role demes.Role) error {
	return n.actIn(ctx, id, func(c *chat.Chat, now demes.Now) error { return c.SetRole(now, account, role) })
}
