package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	// valueReturns is where the profile keeps the chats that this device has still
	// to come into, as JSON.
	valueReturns = "returns"
	// maxReturns go into their chats at once; the others wait.
	maxReturns = 4
	// returnFor is how long one request is good; returnMost the wait between two.
	returnFor  = 24 * time.Hour
	returnMost = 5 * time.Minute
)

// returning is a chat that a new device of a member's account comes into: by its
// certificate, without an invite (docs/protocol.md#devices).
type returning struct {
	Chat     string           `json:"chat"`
	Suite    uint32           `json:"suite"`
	Title    string           `json:"title"`
	Replaces string           `json:"replaces,omitempty"` // the device that it takes the place of
	Contacts []returnsContact `json:"contacts"`
}

type returnsContact struct {
	Device    string   `json:"device"` // hex
	Addresses []string `json:"addresses"`
}

func newReturning(one *wire.AddedChat, replaces *demes.DeviceID) returning {
	out := returning{Chat: demes.ChatID(wire.HashOf(one.GetChat())).String(), Suite: one.GetSuite(), Title: one.GetTitle()}
	if replaces != nil {
		out.Replaces = replaces.String()
	}
	for _, c := range one.GetContacts() {
		out.Contacts = append(out.Contacts, returnsContact{hex.EncodeToString(c.GetDevice()), c.GetAddresses()})
	}
	return out
}

func putReturns(store Store, all []returning) error {
	if len(all) == 0 {
		return store.SetValue(valueReturns, nil)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return store.SetValue(valueReturns, raw)
}

func getReturns(store Store) (all []returning, err error) {
	raw, err := store.Value(valueReturns)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("read the chats to come back to: %w", err)
	}
	return all, nil
}

// comeBack begins to go into the chats that this device has still to come into.
func (s *joins) comeBack() {
	all, err := getReturns(s.node.store)
	if err != nil {
		s.node.log.Error("the chats to come back to cannot be read", "err", err)
	}
	places := make(chan struct{}, maxReturns)
	for _, one := range all {
		s.mu.Lock()
		if !s.ended {
			s.work.Go(func() { s.returnTo(s.ctx, places, one) })
		}
		s.mu.Unlock()
	}
}

// returnTo asks to be let into one chat, again and again: who could let this device
// in may be away for days.
func (s *joins) returnTo(ctx context.Context, places chan struct{}, one returning) {
	for wait := repeatFirst; ; wait = min(2*wait, returnMost) {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		j, err := s.newReturn(one)
		if err == nil {
			err = s.keep(j)
		}
		if err == nil {
			j.run(ctx)
		}
		<-places
		if err != nil {
			s.node.log.Error("a chat cannot be come back to", "chat", one.Title, "err", err)
			return
		}
		if j.state().State == demes.JoinJoined {
			s.forgetReturn(one.Chat)
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// newReturn is a join by the rule of one account.
func (s *joins) newReturn(one returning) (*join, error) {
	id, err := demes.ParseChatID(one.Chat)
	if err != nil {
		return nil, err
	}
	j := &join{joins: s, id: rand.Text(), name: s.node.id.currentName(), chat: id, suite: one.Suite, own: true, until: time.Now().Add(returnFor)}
	if one.Replaces != "" {
		if j.replaces, err = demes.ParseDeviceID(one.Replaces); err != nil {
			return nil, err
		}
	}
	j.view = demes.JoinView{Join: j.id, State: demes.JoinConnecting, Chat: one.Chat, Tried: []demes.Attempt{}}
	link := &wire.Link{}
	for _, c := range one.Contacts {
		device, err := hex.DecodeString(c.Device)
		if err != nil {
			return nil, err
		}
		link.Contacts = append(link.Contacts, &wire.Contact{Device: device, Addresses: c.Addresses})
	}
	j.targets = linkTargets(link, s.node.id.device)
	return j, nil
}

// forgetReturn takes a chat off the list: this device is in it.
func (s *joins) forgetReturn(chat string) {
	s.returns.Lock()
	defer s.returns.Unlock()
	all, err := getReturns(s.node.store)
	if err == nil {
		err = putReturns(s.node.store, slices.DeleteFunc(all, func(one returning) bool { return one.Chat == chat }))
	}
	if err != nil {
		s.node.log.Warn("a chat that was come back to is asked for again at the next start", "err", err)
	}
}

// RenewDevice gives this profile a new device key, which takes the old one's place
// in every chat: for a profile that was restored from an old copy, whose old key may
// sign nothing any more. It counts from the next start of the node on.
func (n *Node) RenewDevice(ctx context.Context) error {
	if n.id.seed == nil {
		return demes.Problem(demes.CodeNoWords, "This device cannot renew itself",
			"It was added to the account by another device: start with a new --profile, add that one there with demes device add, and revoke this one.")
	}
	n.joins.returns.Lock()
	defer n.joins.returns.Unlock()
	all, err := getReturns(n.store)
	if err != nil {
		return err
	}
	for _, r := range n.runners() {
		one, err := r.whereabouts(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // a chat that broke must not keep the others from coming back
			n.log.Warn("a chat cannot be come back to", "chat", r.id.Short(), "err", err)
		case one != nil:
			all = slices.DeleteFunc(all, func(old returning) bool { return old.Chat == r.id.String() })
			all = append(all, newReturning(one, &n.id.device))
		}
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails
	if err := putReturns(n.store, all); err != nil {
		return err
	}
	// Without a certificate the next start makes one, for whichever key is there then.
	return errors.Join(n.store.SetValue(valueCert, nil), n.store.SetValue(valueDevice, seed))
}
