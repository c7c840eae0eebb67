package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

func TestNewMemberJoinsALiveChatWhileTheInviterIsAway(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob", "Carol")
	link := all[1].invite(id)
	all[0].say(id, "before")
	w.settled(id, 1, all...)
	all[1].close()
	dan := w.add("Dan")
	if v := dan.join(link, ""); v.State != demes.JoinJoined {
		t.Fatalf("Dan did not join: %+v", v)
	}
	dan.say(id, "hello all")
	w.settled(id, 2, all[0], all[2], dan)
	all[1].open()
	w.settled(id, 2, all[0], all[1], all[2], dan)
}

func TestBadLinksAreRefusedInWords(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob")
	ctx := context.Background()
	dan := w.add("Dan")
	good := all[0].invite(id)
	parsed, err := wire.GetLink(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		link string
		code demes.Code
	}{
		{"no link", "hello", demes.CodeLinkMalformed},
		{"half a link", good[:len(good)/2], demes.CodeLinkMalformed},
		{"an expired link", change(parsed, func(l *wire.Link) { l.NotAfterMs = time.Now().Add(-time.Hour).UnixMilli() }), demes.CodeInviteExpired},
	} {
		_, err := dan.Join(ctx, c.link, "", "")
		if !errors.Is(err, &demes.Error{Code: c.code}) {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
	for _, c := range []struct {
		name  string
		link  string
		state demes.JoinState
		code  demes.Code
	}{
		{"a secret that is not in the log", change(parsed, func(l *wire.Link) { l.Secret[3] ^= 1 }), demes.JoinRefused, demes.CodeRefused},
		{"an unknown chat", change(parsed, func(l *wire.Link) { l.Chat[3] ^= 1 }), demes.JoinRefused, demes.CodeRefused},
	} {
		v := dan.join(c.link, "")
		if v.State != c.state || v.Problem == nil || v.Problem.Code != c.code || v.Problem.Detail == "" || len(v.Tried) == 0 {
			t.Errorf("%s: %+v %v", c.name, v, v.Problem)
		}
	}
	if v := dan.join(good, ""); v.State != demes.JoinJoined {
		t.Errorf("the good link: %+v %v", v, v.Problem)
	}
	if v := dan.join(good, ""); v.State != demes.JoinJoined {
		t.Errorf("the good link again: %+v", v)
	}
}

// The slower of two joins must not put the chat back to where it entered.
func TestTwoJoinsOfOneChatAtOnce(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob")
	link := all[0].invite(id)
	all[0].close()
	all[1].close()
	dan := w.add("Dan")
	ctx := context.Background()
	var joins []string
	for range 2 {
		j, err := dan.Join(ctx, link, "", "")
		if err != nil {
			t.Fatal(err)
		}
		joins = append(joins, j)
	}
	state := func(j string) demes.JoinView {
		v, err := dan.JoinStatus(ctx, j)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, j := range joins {
		w.until("both have found nobody", func() bool { return len(state(j).Tried) > 0 })
	}
	all[0].open()
	all[1].open()
	w.until("one has joined", func() bool {
		return state(joins[0]).State == demes.JoinJoined || state(joins[1]).State == demes.JoinJoined
	})
	dan.say(id, "said between the two")
	w.until("both have joined", func() bool {
		return state(joins[0]).State == demes.JoinJoined && state(joins[1]).State == demes.JoinJoined
	})
	w.settled(id, 1, all[0], all[1], dan)
	dan.say(id, "said after them")
	w.settled(id, 2, all[0], all[1], dan)
}

func change(l *wire.Link, do func(*wire.Link)) string {
	text := wire.PutLink(l)
	copied, err := wire.GetLink(text)
	if err != nil {
		panic(err)
	}
	do(copied)
	return wire.PutLink(copied)
}

func TestAnInviteIsUsedUp(t *testing.T) {
	w := newWorld(t)
	alice := w.add("Alice")
	id := alice.lobby("Small")
	link, expires, err := alice.Invite(context.Background(), id, 1, time.Hour, false)
	if err != nil || time.Until(expires) > time.Hour || time.Until(expires) < 59*time.Minute {
		t.Fatalf("invite until %v: %v", expires, err)
	}
	if v := w.add("Bob").join(link, ""); v.State != demes.JoinJoined {
		t.Fatalf("the first: %+v", v)
	}
	if v := w.add("Carol").join(link, ""); v.State != demes.JoinRefused {
		t.Errorf("the second: %+v", v)
	}
}

func TestAKnockWaitsForTheFounder(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.add("Alice"), w.add("Bob")
	address := alice.Describe().Addresses[0]
	if v := bob.join("", address); v.State != demes.JoinRefused || v.Problem.Code != demes.CodeRefused {
		t.Errorf("without a lobby: %+v %v", v, v.Problem)
	}
	id := alice.lobby("Ducks")
	ctx := context.Background()
	j, err := bob.Join(ctx, "", address, "Bobby")
	if err != nil {
		t.Fatal(err)
	}
	var knock demes.KnockView
	w.until("Alice hears the knock", func() bool {
		for _, k := range alice.chat(id).Knocks {
			knock = k
		}
		return knock.Name == "Bobby"
	})
	v, err := bob.JoinStatus(ctx, j)
	if err != nil || v.State != demes.JoinKnocking || v.Code != knock.Code {
		t.Errorf("Bob sees %+v, Alice %+v; %v", v, knock, err)
	}
	if err := alice.DecideKnock(ctx, id, bob.device(), true); err != nil {
		t.Fatal(err)
	}
	w.until("Bob is in", func() bool {
		v, _ := bob.JoinStatus(ctx, j)
		return v.State == demes.JoinJoined
	})
	if _, err := bob.JoinStatus(ctx, "nothing"); !errors.Is(err, &demes.Error{Code: demes.CodeUnknownJoin}) {
		t.Errorf("an unknown join: %v", err)
	}
}

// An unknown chat and a bad invite must not be told apart, and strangers learn
// no addresses.
func TestStrangersLearnNothingAtTheDoor(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Alice", "Bob")
	dan := w.add("Dan")
	link, err := wire.GetLink(all[0].invite(id))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	answers := map[string]bool{}
	for _, raw := range [][]byte{
		nil, []byte("garbage"), request(t, link.GetChat(), []byte("sixteen bytes!!!")), request(t, make([]byte, 32), link.GetSecret()), make([]byte, 1<<20),
	} {
		answers[string(all[0].Joining(ctx, dan.device(), "203.0.113.7", raw))] = true
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers to a closed door, an unknown chat and a bad invite", len(answers))
	}
	for a := range answers {
		if len(a) > 32 || strings.Contains(a, all[0].Describe().Addresses[0]) {
			t.Errorf("the answer is %q", a)
		}
	}
}
