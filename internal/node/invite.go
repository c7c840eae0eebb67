package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	// maxLinkContacts bounds the members that a link names: with five, the newcomer
	// gets in while the inviter and three more are away.
	maxLinkContacts = 5
	// maxLinkAddresses bounds the addresses of each, so that a QR code holds the link.
	maxLinkAddresses = 4
)

// Invite makes an invite link. It works once its event is settled. Uses 0 and
// validFor 0 mean the defaults: 10 uses, 7 days. With history, who comes by it may
// see what was said before.
func (n *Node) Invite(ctx context.Context, id demes.ChatID, uses int, validFor time.Duration, history bool) (link string, expires time.Time, err error) {
	r, err := n.find(id)
	if err != nil {
		return "", time.Time{}, err
	}
	if uses == 0 {
		uses = chat.InviteUse
	}
	if validFor == 0 {
		validFor = chat.InviteFor * time.Millisecond
	}
	if uses < 0 || uses > chat.MaxInviteUses {
		uses = chat.MaxInviteUses + 1 // the chat refuses it, in words
	}
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return "", time.Time{}, err
	}
	key, err := wire.InviteKey(id, secret)
	if err != nil {
		return "", time.Time{}, err
	}
	var notAfter int64 // the chat's goroutine alone touches it
	made, err := ask(ctx, r, func(c *chat.Chat, now demes.Now) (err error) {
		notAfter, err = c.Invite(now, key.Public().(ed25519.PublicKey), uint32(uses), validFor.Milliseconds(), history)
		return err
	}, func(c *chat.Chat) (*wire.Link, error) {
		return &wire.Link{
			Chat: id[:], Account: n.id.account[:], Secret: secret, NotAfterMs: notAfter, Contacts: n.linkContacts(c),
			Suite: uint32(c.Fold().Suite),
		}, nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return wire.PutLink(made), time.UnixMilli(made.GetNotAfterMs()).UTC(), nil
}

// linkContacts are the members whom a newcomer asks: this device first, then
// the host, then who is online, best first, then the rest.
func (n *Node) linkContacts(c *chat.Chat) []*wire.Contact {
	view := c.View()
	order := []string{}
	if view.Host != nil {
		order = append(order, view.Host.Device)
	}
	online := map[string]bool{}
	for _, m := range view.Members {
		online[m.Device] = m.Online
	}
	for _, there := range []bool{true, false} {
		for _, rank := range view.Succession {
			if online[rank.Device] == there && !slices.Contains(order, rank.Device) {
				order = append(order, rank.Device)
			}
		}
	}
	contacts := []*wire.Contact{{Device: n.id.device[:], Addresses: fewAddresses(n.addresses())}}
	for _, text := range order {
		d, err := demes.ParseDeviceID(text)
		m := c.Fold().Members[d]
		if err != nil || m == nil || m.Leaving || d == n.id.device || len(contacts) >= maxLinkContacts {
			continue
		}
		contacts = append(contacts, &wire.Contact{Device: d[:], Addresses: fewAddresses(m.Addresses)})
	}
	return contacts
}

// fewAddresses are the best ones and the last, which is this machine's own: it
// serves several profiles on one machine.
func fewAddresses(all []string) []string {
	if len(all) <= maxLinkAddresses {
		return all
	}
	return append(slices.Clone(all[:maxLinkAddresses-1]), all[len(all)-1])
}
