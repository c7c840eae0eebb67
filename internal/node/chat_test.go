package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/council"
)

func TestTheSameKeyStoresOneMessage(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	bob := all[1]
	ctx := context.Background()
	const key = "0123456789abcdef"
	first, err := bob.SendMessage(ctx, id, "once", nil, key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := bob.SendMessage(ctx, id, "once", nil, key)
	if err != nil || again.ID != first.ID {
		t.Errorf("the same key again: %s, %v; want %s", again.ID, err, first.ID)
	}
	w.settled(id, 1, all...)
	bob.close()
	bob.open()
	w.live(id, all...)
	again, err = bob.SendMessage(ctx, id, "once", nil, key)
	if err != nil || again.ID != first.ID || again.Position == nil || *again.Position != 1 {
		t.Errorf("the same key after a restart: %+v, %v; want %s at 1", again, err, first.ID)
	}
	other, err := bob.SendMessage(ctx, id, "twice", nil, key+"0")
	if err != nil || other.ID == first.ID {
		t.Errorf("another key: %s, %v", other.ID, err)
	}
	w.settled(id, 2, all...)
}

func TestNextInLineTakesOverWhenTheHostDies(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	host, others := w.host(id, all...)
	others[0].say(id, "before")
	w.settled(id, 1, all...)
	next := others[0].chat(id).Next
	// Who has just given its vote holds back: that must be over.
	elected := time.Now()
	w.until("the election is over for long", func() bool { return time.Since(elected) > 2*council.DefaultDelta*time.Millisecond })
	host.kill()
	lost := others[0].say(id, "to the dead host")
	w.live(id, others...)
	if now := others[0].chat(id).Host; next == nil || now.Device != next.Device {
		t.Errorf("%v hosts now, %v was next\n%s", now, next, others[0].story())
	}
	others[1].say(id, "after")
	w.settled(id, 3, others...)
	if m := others[1].messages(id, 10); !slices.ContainsFunc(m, func(v demes.MessageView) bool { return v.ID == lost.ID }) {
		t.Errorf("the message sent to the dead host is lost: %v", m)
	}
	host.open()
	w.settled(id, 3, all...)
}

func TestHostThatLeavesHandsOver(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	host, others := w.host(id, all...)
	generation, term := others[0].chat(id).Generation, others[0].chat(id).Term
	host.close()
	w.live(id, others...)
	w.until("the next one opens its term", func() bool { return others[0].chat(id).Term > term })
	if v := others[0].chat(id); v.Generation != generation {
		t.Errorf("generation %d after the host of %d left", v.Generation, generation)
	}
	others[0].say(id, "on")
	w.settled(id, 1, others...)
}

func TestEverybodyRestartsAndGoesOn(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	for i := range 5 {
		all[i%3].say(id, fmt.Sprint("message ", i))
	}
	w.settled(id, 5, all...)
	for _, p := range all {
		p.kill()
	}
	for _, p := range all {
		p.open()
	}
	w.live(id, all...)
	all[2].say(id, "again")
	w.settled(id, 6, all...)
}

func TestWithoutQuorumTheChatGoesOnAndSettlesLater(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	all[0].say(id, "settled")
	w.settled(id, 1, all...)
	all[1].kill()
	all[2].kill()
	w.until("Alice is alone", func() bool { return all[0].chat(id).Mode == demes.ModeProvisional })
	if v := all[0].chat(id); v.WaitingText == "" {
		t.Errorf("whom it waits for is not said: %+v", v)
	}
	waiting := all[0].say(id, "alone")
	if waiting.Position != nil {
		t.Errorf("settled without a quorum: %+v", waiting)
	}
	page := all[0].messages(id, 10)
	if len(page) != 2 || page[1].ID != waiting.ID {
		t.Errorf("the page is %v, want the settled one and then %s", page, waiting.ID)
	}
	all[1].open()
	w.settled(id, 2, all[0], all[1])
	all[2].open()
	w.settled(id, 2, all...)
}

func TestFullDiskAcknowledgesNothingAndLosesNothing(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	host, others := w.host(id, all...)
	bob := others[0]
	ctx := context.Background()
	bob.store.Fail(demes.Problem(demes.CodeStorageFull, "The disk is full", "Free some space; DeMes goes on by itself."))
	const key = "0123456789abcdef"
	_, err := bob.SendMessage(ctx, id, "no room", nil, key)
	if want := (&demes.Error{Code: demes.CodeStorageFull}); !errors.Is(err, want) {
		t.Fatalf("sent with a full disk: %v, want %s", err, want.Code)
	}
	if !strings.Contains(err.Error(), "look before you repeat it") {
		t.Errorf("does not say that the message waits: %v", err)
	}
	if _, err := bob.SendMessage(ctx, id, "still none", nil, ""); err == nil || strings.Contains(err.Error(), "before you repeat") {
		t.Errorf("says that a refused message waits: %v", err)
	}
	if _, err := bob.FoundChat(ctx, "No room"); !errors.Is(err, &demes.Error{Code: demes.CodeStorageFull}) || strings.Contains(err.Error(), "before you repeat") {
		t.Errorf("founded with a full disk: %v", err)
	}
	if views, err := bob.Chats(ctx); err != nil || len(views) != 1 {
		t.Errorf("chats after that: %d, %v", len(views), err)
	}
	if v := bob.chat(id); v.Problem == nil || v.Problem.Code != demes.CodeStorageFull {
		t.Errorf("the chat shows %v", v.Problem)
	}
	host.say(id, "the others go on")
	w.settled(id, 1, host, others[1])
	bob.store.Fail(nil)
	sent, err := bob.SendMessage(ctx, id, "no room", nil, key)
	for errors.Is(err, &demes.Error{Code: demes.CodeStorageFull}) {
		w.until("the disk is noticed", func() bool { return bob.chat(id).Problem == nil })
		sent, err = bob.SendMessage(ctx, id, "no room", nil, key)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.settled(id, 2, all...)
	for _, m := range host.messages(id, 1) {
		if m.ID != sent.ID {
			t.Errorf("settled %s, sent %s", m.ID, sent.ID)
		}
	}
}

func TestPagesKeepTheirBounds(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice")
	for i := range 30 {
		all[0].say(id, fmt.Sprint(i+1))
	}
	w.settled(id, 30, all...)
	for _, c := range []struct {
		after, before uint64
		limit         int
		first, last   uint64
	}{
		{0, 0, 10, 21, 30}, {10, 0, 5, 11, 15}, {0, 11, 5, 6, 10}, {29, 0, 5, 30, 30}, {3, 6, 9, 4, 5}, {0, 2, 1, 1, 1},
	} {
		m, head, err := all[0].Messages(context.Background(), id, c.after, c.before, c.limit)
		if err != nil || head.Position != 30 || head.Hash == "" {
			t.Fatalf("%+v: head %+v, %v", c, head, err)
		}
		if len(m) != int(c.last-c.first+1) || *m[0].Position != c.first || *m[len(m)-1].Position != c.last {
			t.Errorf("%+v: got %d messages from %d", c, len(m), *m[0].Position)
		}
	}
}

func TestAwayForThousandsOfMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of messages take a while: run without -short")
	}
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	host, others := w.host(id, all...)
	others[1].kill()
	ctx := context.Background()
	const n, writers = 10_000, 50
	failed := make(chan error, writers)
	for range writers {
		go func() {
			for i := range n / writers {
				if _, err := host.SendMessage(ctx, id, fmt.Sprint("message ", i), nil, ""); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range writers {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	w.settled(id, n, host, others[0])
	others[1].open()
	w.settled(id, n, all...)
}
