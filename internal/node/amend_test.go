package node_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/demes-chat/demes"
)

func eventID(t *testing.T, text string) demes.EventID {
	t.Helper()
	id, err := demes.ParseEventID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// message is how a node shows a message; the zero value when it has none.
func (p *party) message(id demes.ChatID, of string) demes.MessageView {
	all := p.messages(id, 100)
	at := slices.IndexFunc(all, func(m demes.MessageView) bool { return m.ID == of })
	if at < 0 {
		return demes.MessageView{}
	}
	return all[at]
}

// toldOf reports whether a node's listeners were told of a message as it is now.
func (p *party) toldOf(of string, is func(demes.MessageView) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.seen, func(e demes.LiveEvent) bool {
		return e.Type == "message" && e.Message != nil && e.Message.ID == of && is(*e.Message)
	})
}

func TestAChangedMessageIsSeenByTheOthersAndToldOf(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	alice, bob, carol := all[0], all[1], all[2]
	ctx := context.Background()
	sent := bob.say(id, "helo")
	target := eventID(t, sent.ID)
	w.settled(id, 1, all...)
	everybody := func(what string, is func(demes.MessageView) bool) {
		t.Helper()
		w.until(what, func() bool {
			return !slices.ContainsFunc(all, func(p *party) bool { return !is(p.message(id, sent.ID)) || !p.toldOf(sent.ID, is) })
		})
	}

	if err := bob.EditMessage(ctx, id, target, "<b>hello</b>"); err != nil {
		t.Fatal(err)
	}
	everybody("all see the edit", func(m demes.MessageView) bool { return m.Text == "<b>hello</b>" && m.EditedAt != nil })

	for _, p := range []*party{alice, carol} {
		if err := p.React(ctx, id, target, "🦆", true); err != nil {
			t.Fatal(err)
		}
	}
	everybody("all see two ducks", func(m demes.MessageView) bool {
		return len(m.Reactions) == 1 && m.Reactions[0].Emoji == "🦆" && len(m.Reactions[0].By) == 2
	})
	if !carol.message(id, sent.ID).Reactions[0].Mine || bob.message(id, sent.ID).Reactions[0].Mine {
		t.Error("the ducks are not those of who put them there")
	}
	if err := alice.React(ctx, id, target, "🦆", false); err != nil {
		t.Fatal(err)
	}
	everybody("all see one duck", func(m demes.MessageView) bool { return len(m.Reactions) == 1 && len(m.Reactions[0].By) == 1 })

	if err := bob.DeleteMessage(ctx, id, target); err != nil {
		t.Fatal(err)
	}
	everybody("all see that it is gone", func(m demes.MessageView) bool { return m.Deleted && m.Text == "" && m.Reactions == nil })
	if err := bob.EditMessage(ctx, id, target, "back"); !errors.Is(err, &demes.Error{Code: demes.CodeUnknownMessage}) {
		t.Errorf("a deleted message is edited: %v", err)
	}
	bob.close()
	bob.open()
	w.live(id, all...)
	if m := bob.message(id, sent.ID); !m.Deleted {
		t.Errorf("after a restart: %+v", m)
	}
}

func TestOnlyWhoMayChangesAMessage(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	alice, bob, carol := all[0], all[1], all[2]
	ctx := context.Background()
	sent := bob.say(id, "mine")
	target := eventID(t, sent.ID)
	w.settled(id, 1, all...)
	for what, err := range map[string]error{
		"another's edit":           carol.EditMessage(ctx, id, target, "hers"),
		"the founder's edit":       alice.EditMessage(ctx, id, target, "hers"),
		"a member's deletion":      carol.DeleteMessage(ctx, id, target),
		"a member's title":         carol.Retitle(ctx, id, "Hers"),
		"a member's settings":      carol.SetSettings(ctx, id, demes.SettingsChange{}),
		"a role that bob gives":    bob.SetRole(ctx, id, accountOf(carol), demes.RoleAdmin),
		"an admin by carol's word": carol.SetRole(ctx, id, accountOf(carol), demes.RoleAdmin),
	} {
		if !errors.Is(err, &demes.Error{Code: demes.CodeNotAllowed}) {
			t.Errorf("%s: %v, want %s", what, err, demes.CodeNotAllowed)
		}
	}
	none := demes.EventID{Device: target.Device, Seq: target.Seq + 100}
	if err := bob.EditMessage(ctx, id, none, "x"); !errors.Is(err, &demes.Error{Code: demes.CodeUnknownMessage}) {
		t.Errorf("an edit of no message: %v", err)
	}
	// The founder is an event, and no message.
	if err := alice.React(ctx, id, demes.EventID{Device: alice.device(), Seq: 1}, "👍", true); !errors.Is(err, &demes.Error{Code: demes.CodeUnknownMessage}) {
		t.Errorf("a reaction to what is no message: %v", err)
	}
	alice.say(id, "after all that")
	w.settled(id, 2, all...)
	for _, p := range all {
		if m := p.message(id, sent.ID); m.Text != "mine" || m.EditedAt != nil || m.Deleted {
			t.Errorf("%s shows %+v", p.name, m)
		}
	}
	if err := alice.DeleteMessage(ctx, id, target); err != nil {
		t.Errorf("the founder deletes: %v", err)
	}
	w.until("all see that it is gone", func() bool {
		return !slices.ContainsFunc(all, func(p *party) bool { return !p.message(id, sent.ID).Deleted })
	})
}

func TestTitleRulesAndRolesReachEverybody(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	alice, bob, carol := all[0], all[1], all[2]
	ctx := context.Background()
	everybody := func(what string, is func(demes.ChatView) bool) {
		t.Helper()
		w.until(what, func() bool { return !slices.ContainsFunc(all, func(p *party) bool { return !is(p.chat(id)) }) })
	}
	if err := alice.SetRole(ctx, id, accountOf(bob), demes.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	everybody("bob is an admin", func(v demes.ChatView) bool {
		return slices.ContainsFunc(v.Members, func(m demes.MemberView) bool { return m.Name == "Bob" && m.Role == demes.RoleAdmin })
	})
	if err := bob.Retitle(ctx, id, "Geese"); err != nil {
		t.Fatal(err)
	}
	everybody("the title", func(v demes.ChatView) bool { return v.Title == "Geese" })
	yes, hour := true, int64(3600)
	if err := bob.SetSettings(ctx, id, demes.SettingsChange{AdminsInvite: &yes}); err != nil {
		t.Fatal(err)
	}
	everybody("admins invite", func(v demes.ChatView) bool { return v.Settings.AdminsInvite })
	if err := alice.SetSettings(ctx, id, demes.SettingsChange{DisappearAfterS: &hour}); err != nil {
		t.Fatal(err)
	}
	everybody("both rules", func(v demes.ChatView) bool {
		return v.Settings == demes.SettingsView{AdminsInvite: true, DisappearAfterS: hour}
	})
	if _, _, err := carol.Invite(ctx, id, 0, 0, false); !errors.Is(err, &demes.Error{Code: demes.CodeNotAllowed}) {
		t.Errorf("a member invites where only admins do: %v", err)
	}
	sent := carol.say(id, "for an hour")
	w.settled(id, 1, all...)
	if m := bob.message(id, sent.ID); m.ExpiresAt == nil {
		t.Errorf("does not say when it goes: %+v", m)
	}
}

func TestEpochCodesAreEqualAndChangeWithTheKeys(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	ctx := context.Background()
	code := func(all ...*party) (code string) {
		t.Helper()
		w.until("one code on all screens", func() bool {
			code = all[0].chat(id).EpochCode
			return code != "" && !slices.ContainsFunc(all, func(p *party) bool { return p.chat(id).EpochCode != code })
		})
		return code
	}
	before := code(all...)
	if len(before) != 30 {
		t.Errorf("the code %q has %d digits, want 30", before, len(before))
	}
	if err := all[0].RemoveMember(ctx, id, all[2].device()); err != nil {
		t.Fatal(err)
	}
	w.until("the keys have changed", func() bool { return all[0].chat(id).EpochCode != before && len(all[0].chat(id).Members) == 2 })
	if after := code(all[:2]...); after == before {
		t.Error("the code is the same after a removal")
	}
}
