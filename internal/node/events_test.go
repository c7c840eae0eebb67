package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/node/contract"
	"github.com/demes-chat/demes/internal/wire"
)

// told returns the first live event that fits.
func (p *party) told(fits func(demes.LiveEvent) bool) (demes.LiveEvent, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.seen, fits); i >= 0 {
		return p.seen[i], true
	}
	return demes.LiveEvent{}, false
}

// hears waits until the node told of something.
func (p *party) hears(what string, fits func(demes.LiveEvent) bool) (e demes.LiveEvent) {
	p.w.t.Helper()
	p.w.until(p.name+" hears of "+what, func() (ok bool) {
		e, ok = p.told(fits)
		return ok
	})
	return e
}

func TestListenersHearOfEverything(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	alice, bob := all[0], all[1]
	ctx := context.Background()
	sent := bob.say(id, "hello")
	for _, p := range all {
		p.hears("a message", func(e demes.LiveEvent) bool {
			return e.Type == "settled" && e.Chat == id.String() && slices.ContainsFunc(e.Messages, func(m demes.MessageView) bool {
				return m.ID == sent.ID && m.Text == "hello" && m.Position != nil && *m.Position == 1
			})
		})
	}
	if err := bob.Typing(ctx, id); err != nil {
		t.Fatal(err)
	}
	alice.hears("typing", func(e demes.LiveEvent) bool {
		who, ok := e.Detail.(demes.Peer)
		return e.Type == "typing" && ok && who.Name == "Bob"
	})
	if err := bob.Rename(ctx, "Bobby"); err != nil {
		t.Fatal(err)
	}
	alice.hears("a new name", func(e demes.LiveEvent) bool {
		v, ok := e.Detail.(demes.ChatView)
		return e.Type == "members" && ok && slices.ContainsFunc(v.Members, func(m demes.MemberView) bool { return m.Name == "Bobby" })
	})
	if err := bob.Rename(ctx, "two\nlines"); !errors.Is(err, &demes.Error{Code: demes.CodeBadInput}) {
		t.Errorf("a name of two lines: %v", err)
	}
	if err := bob.MarkRead(ctx, id, 1); err != nil {
		t.Fatal(err)
	}
	alice.hears("what Bob has read", func(e demes.LiveEvent) bool {
		v, ok := e.Detail.(demes.ChatView)
		return ok && slices.ContainsFunc(v.Members, func(m demes.MemberView) bool { return m.Name == "Bobby" && m.Read == 1 })
	})
	alice.hears("round trips", func(e demes.LiveEvent) bool {
		v, ok := e.Detail.(demes.ChatView)
		return e.Type == "latency" && ok && len(v.Latency.RTTms) == 3 && v.Latency.RTTms[0][1] != nil
	})
	bob.hears("its join", func(e demes.LiveEvent) bool {
		v, ok := e.Detail.(demes.JoinView)
		return e.Type == "join" && ok && v.State == demes.JoinJoined
	})
	_, others := w.host(id, all...)
	to := others[0].device()
	w.until("the host is asked to hand over", func() bool { return others[1].Handover(ctx, id, &to) == nil })
	others[1].hears("another host", func(e demes.LiveEvent) bool {
		v, ok := e.Detail.(demes.ChatView)
		return e.Type == "host" && ok && v.Host != nil && v.Host.Device == to.String()
	})
}

func TestLeavingEndsTheChatForOneOnly(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	ctx := context.Background()
	if err := all[1].LeaveChat(ctx, id); err != nil {
		t.Fatal(err)
	}
	w.until("Bob has left", func() bool { return all[1].chat(id).Phase == demes.PhaseLeft })
	if _, err := all[1].SendMessage(ctx, id, "one more", nil, ""); err == nil {
		t.Error("sent after leaving")
	}
	for what, err := range map[string]error{
		"start": all[1].StartChat(ctx, id), "hand over": all[1].Handover(ctx, id, nil),
		"admit": all[1].DecideKnock(ctx, id, all[0].device(), true), "remove": all[1].RemoveMember(ctx, id, all[0].device()),
	} {
		if !errors.Is(err, &demes.Error{Code: demes.CodeWrongPhase}) || !strings.Contains(err.Error(), "not in this chat") {
			t.Errorf("%s after leaving: %v", what, err)
		}
	}
	if err := all[1].LeaveChat(ctx, id); err != nil {
		t.Errorf("leave twice: %v", err)
	}
	w.until("the others are two", func() bool { return len(all[0].chat(id).Members) == 2 && len(all[2].chat(id).Members) == 2 })
	w.live(id, all[0], all[2])
	all[0].say(id, "on")
	w.settled(id, 1, all[0], all[2])
}

// store is one that panics when the settled log is read.
type store struct {
	*contract.MemoryStore
	broke *atomic.Bool
}

func (s store) Settled(id demes.ChatID, from uint64, maxBytes int) ([]chat.SettledEntry, error) {
	if s.broke.Load() {
		panic("planted")
	}
	return s.MemoryStore.Settled(id, from, maxBytes)
}

func TestAChatThatBreaksStopsAlone(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	alice := all[0]
	other := alice.lobby("Other")
	alice.close()
	broke := new(atomic.Bool)
	alice.config.Store = store{alice.store, broke}
	alice.open()
	w.live(id, all...)
	broke.Store(true)
	alice.Frame(all[1].device(), wire.Marshal(&wire.Frame{
		Chat: id[:], Generation: alice.chat(id).Generation, Kind: &wire.Frame_Fetch{Fetch: &wire.Fetch{From: 1, History: true}},
	}))
	w.until("the chat says that it has stopped", func() bool { return alice.chat(id).Problem != nil })
	if v := alice.chat(id); v.Problem.Code != demes.CodeInternal || v.Title != "Ducks" {
		t.Errorf("shown as %q: %+v", v.Title, v.Problem)
	}
	if _, err := alice.SendMessage(context.Background(), id, "hello", nil, ""); !errors.Is(err, &demes.Error{Code: demes.CodeInternal}) {
		t.Errorf("sent into a broken chat: %v", err)
	}
	broke.Store(false)
	if err := alice.StartChat(context.Background(), other); err != nil {
		t.Errorf("the other chat: %v", err)
	}
	all[1].say(id, "we go on")
	w.settled(id, 1, all[1], all[2])
}
