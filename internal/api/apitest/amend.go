package apitest

import (
	"context"
	"slices"
	"time"

	"github.com/demes-chat/demes"
)

// onMessage changes a message that is there and tells of it, as a node does.
func (f *Node) onMessage(id demes.ChatID, target demes.EventID, change func(*demes.MessageView) error) error {
	return f.onChat(id, func(c *room) error {
		at := slices.IndexFunc(c.messages, func(m demes.MessageView) bool { return m.ID == target.String() })
		if at < 0 || c.messages[at].Deleted {
			return demes.Problem(demes.CodeUnknownMessage, "There is no such message", "Look at the chat again.")
		}
		if err := change(&c.messages[at]); err != nil {
			return err
		}
		copied := c.messages[at]
		f.publish(demes.LiveEvent{Type: "message", Chat: c.view.ID, Message: &copied})
		return nil
	})
}

func (f *Node) EditMessage(_ context.Context, id demes.ChatID, target demes.EventID, text string) error {
	return f.onMessage(id, target, func(m *demes.MessageView) error {
		at := m.SentAt.Add(time.Minute)
		m.Text, m.EditedAt = text, &at
		return nil
	})
}

func (f *Node) DeleteMessage(_ context.Context, id demes.ChatID, target demes.EventID) error {
	return f.onMessage(id, target, func(m *demes.MessageView) error {
		m.Text, m.Deleted, m.EditedAt, m.Reactions = "", true, nil, nil
		return nil
	})
}

func (f *Node) React(_ context.Context, id demes.ChatID, target demes.EventID, emoji string, on bool) error {
	return f.onMessage(id, target, func(m *demes.MessageView) error {
		m.Reactions = slices.DeleteFunc(slices.Clone(m.Reactions), func(r demes.ReactionView) bool { return r.Emoji == emoji })
		if on {
			m.Reactions = append(m.Reactions, demes.ReactionView{Emoji: emoji, By: []demes.Peer{*f.me()}, Mine: true})
		}
		return nil
	})
}

func (f *Node) Retitle(_ context.Context, id demes.ChatID, title string) error {
	return f.onChat(id, func(c *room) error { c.view.Title = title; return nil })
}

func (f *Node) SetSettings(_ context.Context, id demes.ChatID, change demes.SettingsChange) error {
	return f.onChat(id, func(c *room) error {
		if change.AdminsInvite != nil {
			c.view.Settings.AdminsInvite = *change.AdminsInvite
		}
		if change.DisappearAfterS != nil {
			c.view.Settings.DisappearAfterS = *change.DisappearAfterS
		}
		return nil
	})
}

// SetRole knows the one other member.
func (f *Node) SetRole(_ context.Context, id demes.ChatID, account demes.AccountID, role demes.Role) error {
	return f.onChat(id, func(c *room) error {
		at := slices.IndexFunc(c.view.Members, func(m demes.MemberView) bool { return m.Account == account.String() })
		if at < 0 && account != demes.AccountID(Other) {
			return demes.Problem(demes.CodeUnknownMember, "There is no such member", "Look at the list.")
		}
		if at >= 0 {
			c.view.Members[at].Role = role
		}
		return nil
	})
}
