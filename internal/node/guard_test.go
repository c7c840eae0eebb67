package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/wire"
)

// request is a well-formed join request of a stranger.
func request(t *testing.T, id, secret []byte) []byte {
	t.Helper()
	_, account, _ := ed25519.GenerateKey(rand.Reader)
	_, device, _ := ed25519.GenerateKey(rand.Reader)
	key, err := wire.InviteKey(demes.ChatID(id), secret)
	if err != nil {
		t.Fatal(err)
	}
	self := demes.DeviceID(device.Public().(ed25519.PublicKey))
	return wire.Marshal(&wire.JoinAsk{Request: wire.SealJoin(device, key, &wire.JoinBody{
		Chat: id, Cert: wire.SealCert(account, self, 1), Name: "Eve", NotAfterMs: time.Now().Add(time.Hour).UnixMilli(),
	})})
}

func TestNoGoroutineOutlivesTheNode(t *testing.T) {
	before := runtime.NumGoroutine()
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	all[0].say(id, "hello")
	w.settled(id, 1, all...)
	if _, err := all[1].Join(context.Background(), change(mustLink(t, all[0].invite(id)), func(l *wire.Link) { l.Chat[0] ^= 1 }), "", ""); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		p.close()
	}
	settle(t, before)
}

// settle waits until there are no more goroutines than there were.
func settle(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

func mustLink(t *testing.T, text string) *wire.Link {
	t.Helper()
	l, err := wire.GetLink(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAThousandComingsAndGoingsLeakNothing(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob")
	alice, bob := all[0], all[1].device()
	frame := wire.Marshal(&wire.Frame{Chat: id[:], Kind: &wire.Frame_Typing{Typing: &wire.Typing{}}})
	before := runtime.NumGoroutine()
	for range 1000 {
		alice.Disconnected(bob)
		alice.Connected(bob, []string{"somewhere"})
		alice.Frame(bob, frame)
	}
	alice.chat(id) // all of it is worked off
	settle(t, before+1)
	alice.say(id, "still there")
	w.settled(id, 1, all...)
}

func TestGarbageFromPeersEndsNothing(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob")
	alice, bob := all[0], all[1].device()
	for _, raw := range [][]byte{
		nil, []byte("garbage"), make([]byte, 1<<20),
		wire.Marshal(&wire.Frame{Chat: []byte("short")}),
		wire.Marshal(&wire.Frame{Chat: id[:]}),
		wire.Marshal(&wire.Frame{Chat: id[:], Generation: 1 << 60, Kind: &wire.Frame_Status{}}),
		wire.Marshal(&wire.Frame{Chat: id[:], Kind: &wire.Frame_Raft{Raft: &wire.Raft{Message: []byte{1, 2, 3}}}}),
		wire.Marshal(&wire.Frame{Chat: id[:], Kind: &wire.Frame_Events{Events: &wire.Events{Events: []*wire.Event{nil, {}}}}}),
		wire.Marshal(&wire.Frame{Chat: id[:], Kind: &wire.Frame_Settled{Settled: &wire.Settled{From: 1 << 62, Entries: []*wire.SettledEntry{{}}}}}),
	} {
		alice.Frame(bob, raw)
		alice.Frame(demes.DeviceID{7}, raw)
	}
	alice.Beat(demes.DeviceID{7}, 0, nil)
	alice.Delay(demes.DeviceID{7}, -1, false, false)
	if v := alice.chat(id); v.Problem != nil {
		t.Fatalf("garbage stopped the chat: %+v", v.Problem)
	}
	alice.say(id, "still there")
	w.settled(id, 1, all...)
}

// damaged is a store in which one chat's state is not what it was.
type damaged struct {
	node.Store
	id demes.ChatID
}

func (d damaged) Load(id demes.ChatID) (*chat.Saved, error) {
	saved, err := d.Store.Load(id)
	if err == nil && id == d.id {
		saved.Values["fold"] = []byte("damaged")
	}
	return saved, err
}

func TestDamagedChatDoesNotKeepTheOthersFromRunning(t *testing.T) {
	w := newWorld(t)
	alice := w.add("Alice", func(c *node.Config) {})
	good, bad := alice.lobby("Good"), alice.lobby("Bad")
	alice.close()
	alice.config.Store = damaged{alice.store, bad}
	alice.open()
	ctx := context.Background()
	if v := alice.chat(good); v.Problem != nil || v.Title != "Good" {
		t.Errorf("the good chat: %+v", v)
	}
	if v := alice.chat(bad); v.Problem == nil || v.Problem.Detail == "" {
		t.Errorf("the damaged chat: %+v", v)
	}
	if err := alice.StartChat(ctx, bad); err == nil {
		t.Error("a damaged chat was started")
	}
	if err := alice.StartChat(ctx, good); err != nil {
		t.Errorf("start the good one: %v", err)
	}
	if _, err := alice.Chat(ctx, demes.ChatID{1}); !errors.Is(err, &demes.Error{Code: demes.CodeUnknownChat}) {
		t.Errorf("an unknown chat: %v", err)
	}
}
