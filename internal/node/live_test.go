package node

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/demes-chat/demes"
)

func publish(h *Hub, kinds ...string) {
	for _, kind := range kinds {
		h.Publish(demes.LiveEvent{Type: kind})
	}
}

// read takes what waits in a channel, as "type@seq" words.
func read(events <-chan demes.LiveEvent) (words []string) {
	for {
		select {
		case event, open := <-events:
			if !open {
				return append(words, "closed")
			}
			words = append(words, event.Type+"@"+string(rune('0'+event.Seq)))
		default:
			return words
		}
	}
}

func TestHubResumesAfterTheLastEventSeen(t *testing.T) {
	h := NewHub()
	publish(h, "message", "settled", "typing", "host")
	for _, c := range []struct {
		name   string
		run    string
		since  uint64
		want   string
		missed bool
	}{
		{"from now on", "", FromNow, "hello@4", false},
		{"from the beginning, without what passed", h.run, 0, "hello@0 message@1 settled@2 host@4", false},
		{"from the middle", h.run, 2, "hello@2 host@4", false},
		{"from an event that was not kept", h.run, 3, "hello@3 host@4", false},
		{"nothing new", h.run, 4, "hello@4", false},
		{"no run named", "", 2, "hello@2 host@4", false},
		{"another run", "other", 2, "hello@4", true},
		{"an event that never was", h.run, 5, "hello@4", true},
	} {
		events, missed := h.Subscribe(t.Context(), c.run, c.since)
		if got := strings.Join(read(events), " "); got != c.want || missed != c.missed {
			t.Errorf("%s: got %q, missed %v; want %q, %v", c.name, got, missed, c.want, c.missed)
		}
	}
}

func TestHubSaysWhenTheGapIsTooOld(t *testing.T) {
	h := NewHub()
	for range keptEvents + 10 {
		publish(h, "message")
	}
	if _, missed := h.Subscribe(t.Context(), h.run, 9); !missed {
		t.Error("event 10 was forgotten: since=9 must be missed")
	}
	events, missed := h.Subscribe(t.Context(), h.run, 10)
	if missed || len(events) != 1+keptEvents {
		t.Errorf("since=10: missed %v and %d events, want false and %d", missed, len(events), 1+keptEvents)
	}
}

func TestHubBoundsWhatItKeeps(t *testing.T) {
	h := NewHub()
	text := strings.Repeat("x", demes.MaxText)
	for range 2000 {
		h.Publish(demes.LiveEvent{Type: "message", Message: &demes.MessageView{Text: text}})
		h.Publish(demes.LiveEvent{Type: "members", Detail: demes.ChatView{}})
	}
	if h.bytes > keptBytes || len(h.ring) == 0 {
		t.Errorf("keeps %d bytes in %d events, want at most %d bytes", h.bytes, len(h.ring), keptBytes)
	}
	sum := 0
	for _, event := range h.ring {
		sum += sizeOf(event)
		if event.Detail != nil {
			t.Fatalf("event %d keeps a whole chat", event.Seq)
		}
	}
	if sum != h.bytes {
		t.Errorf("counts %d bytes, holds %d", h.bytes, sum)
	}
}

func TestHubShowsChatsToWhoIsThere(t *testing.T) {
	h := NewHub()
	events, _ := h.Subscribe(t.Context(), "", FromNow)
	h.Publish(demes.LiveEvent{Type: "host", Detail: demes.ChatView{Title: "Ducks"}})
	<-events
	if chat, ok := (<-events).Detail.(demes.ChatView); !ok || chat.Title != "Ducks" {
		t.Errorf("a listener that is there got %+v, want the chat", chat)
	}
}

func TestHubDropsASlowListenerAndNoOther(t *testing.T) {
	h := NewHub()
	slow, _ := h.Subscribe(t.Context(), "", FromNow)
	quick, _ := h.Subscribe(t.Context(), "", FromNow)
	<-quick
	for i := range maxBehind + 5 {
		publish(h, "message")
		if event := <-quick; event.Seq != uint64(i+1) {
			t.Fatalf("the quick listener got event %d, want %d", event.Seq, i+1)
		}
	}
	words := read(slow)
	if last := words[len(words)-1]; last != "closed" || len(words) != maxBehind+2 {
		t.Errorf("the slow listener got %d events, the last %q; want %d and then closed", len(words)-1, last, maxBehind+1)
	}
}

func TestHubEndsListenersWithTheirContextAndItself(t *testing.T) {
	h := NewHub()
	ctx, cancel := context.WithCancel(t.Context())
	one, _ := h.Subscribe(ctx, "", FromNow)
	two, _ := h.Subscribe(t.Context(), "", FromNow)
	cancel()
	<-one
	if _, open := <-one; open {
		t.Error("a listener outlives its context")
	}
	h.Close()
	h.Close()
	publish(h, "message")
	<-two
	if _, open := <-two; open {
		t.Error("a listener outlives the hub")
	}
	late, _ := h.Subscribe(t.Context(), "", FromNow)
	if got := strings.Join(read(late), " "); got != "hello@0 closed" {
		t.Errorf("a closed hub says %q, want hello@0 closed", got)
	}
	if len(h.listeners) != 0 {
		t.Errorf("%d listeners are left", len(h.listeners))
	}
}

func TestHubIsSafeForMany(t *testing.T) {
	h := NewHub()
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				publish(h, "message")
			}
		})
		all.Go(func() {
			for range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				events, _ := h.Subscribe(ctx, h.run, 0)
				last := uint64(0)
				for range min(20, len(events)) {
					event := <-events
					if event.Seq < last {
						t.Errorf("event %d after %d", event.Seq, last)
					}
					last = event.Seq
				}
				cancel()
				for range events {
				}
			}
		})
	}
	all.Wait()
	if h.seq != 4000 || len(h.listeners) != 0 {
		t.Errorf("published %d events with %d listeners left, want 4000 and 0", h.seq, len(h.listeners))
	}
	for runtime.NumGoroutine() > before { // the last of AfterFunc's
		runtime.Gosched()
	}
}
