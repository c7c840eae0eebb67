package chat

import (
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// applyFound begins the log: the founder is the only member, elector and host
// of generation 0, the lobby.
func (f *Fold) applyFound(s Sealed) (Outcome, string) {
	e, found := s.Event, &wire.Found{}
	if e.ID.Seq != 1 || above(e.Lamport, 0, MaxLamportLead) || demes.ChatID(e.Hash) != f.Chat || wire.Unmarshal(e.Payload, found) != nil {
		return Ignored, ""
	}
	device, account, err := wire.OpenCert(found.GetCert())
	if err != nil || device != e.ID.Device || found.GetFormat() != Format ||
		!wire.ValidTitle(found.GetTitle()) || !wire.ValidName(found.GetName()) || !wire.ValidAddresses(found.GetAddresses()) {
		return Ignored, ""
	}
	group, err := f.openGroup(found)
	if err != nil {
		return Ignored, ""
	}
	f.advance(s, e.Hash)
	f.Format, f.Suite, f.Title, f.Founder, f.group = found.GetFormat(), group.Suite(), found.GetTitle(), device, group
	f.Electors = []demes.DeviceID{device}
	f.Lamport = e.Lamport
	f.Members[device] = &Member{
		Device: device, Account: account, Cert: found.GetCert(), Name: found.GetName(), Role: demes.RoleFounder,
		SinceIndex: f.Head.Index, ShownFrom: f.Head.Index, SinceMs: f.LogMs, LastSeq: 1, LastHash: e.Hash, Addresses: found.GetAddresses(),
	}
	return Consumed, ""
}

// effect does what a consumed event's kind says, or returns why it is void.
func (f *Fold) effect(author *Member, e *demes.Event) (void string) {
	switch e.Kind {
	case demes.KindMessage:
		if !f.Live {
			return VoidLobby
		}
		f.Position++
		return ""
	case demes.KindAmend:
		if !f.Live {
			return VoidLobby
		}
		return ""
	case demes.KindStart:
		if f.Live || e.ID.Device != f.Founder {
			return VoidRight
		}
		f.Live = true
		return ""
	case demes.KindCommit:
		return f.commit(author, e)
	case demes.KindLeave:
		author.Leaving = true
		return ""
	case demes.KindInvite:
		return f.invite(author, e.Payload)
	case demes.KindRevoke:
		return f.revoke(author, e.Payload)
	case demes.KindProfile:
		return f.profile(author, e.Payload)
	case demes.KindRole:
		return f.role(author, e.Payload)
	case demes.KindSettings:
		return f.settings(author, e.Payload)
	}
	return VoidKind
}

// trial is a fold whose membership can be changed without changing f's.
func (f *Fold) trial() *Fold {
	t := *f
	t.Members = make(map[demes.DeviceID]*Member, len(f.Members))
	for d, m := range f.Members {
		t.Members[d] = m
	}
	t.Gone = make(map[demes.DeviceID]Gone, len(f.Gone))
	for d, g := range f.Gone {
		t.Gone[d] = g
	}
	t.Invites = make(map[[32]byte]*Invite, len(f.Invites))
	for k, i := range f.Invites {
		invite := *i
		t.Invites[k] = &invite
	}
	return &t
}

func (f *Fold) invite(author *Member, payload []byte) (void string) {
	invite := &wire.Invite{}
	if wire.Unmarshal(payload, invite) != nil {
		return VoidMalformed
	}
	if f.Settings.AdminsInvite && author.Role == demes.RoleMember {
		return VoidRight
	}
	key, ok := wire.Bytes32(invite.GetInviteKey())
	if !ok || invite.GetUses() == 0 || invite.GetUses() > MaxInviteUses || f.Invites[key] != nil {
		return VoidMalformed
	}
	for k, i := range f.Invites {
		if i.NotAfter < f.LogMs {
			delete(f.Invites, k)
		}
	}
	if len(f.Invites) >= MaxInvites {
		return VoidFull
	}
	f.Invites[key] = &Invite{Author: author.Device, UsesLeft: invite.GetUses(), NotAfter: invite.GetNotAfterMs(), History: invite.GetHistory()}
	return ""
}

func (f *Fold) revoke(author *Member, payload []byte) (void string) {
	revoke := &wire.Revoke{}
	if wire.Unmarshal(payload, revoke) != nil {
		return VoidMalformed
	}
	key, _ := wire.Bytes32(revoke.GetInviteKey())
	invite := f.Invites[key]
	if invite == nil {
		return VoidInvite
	}
	if invite.Author != author.Device && author.Role == demes.RoleMember {
		return VoidRight
	}
	delete(f.Invites, key)
	return ""
}

func (f *Fold) profile(author *Member, payload []byte) (void string) {
	profile := &wire.Profile{}
	if wire.Unmarshal(payload, profile) != nil || !wire.ValidName(profile.GetName()) || !wire.ValidAddresses(profile.GetAddresses()) {
		return VoidMalformed
	}
	author.Name, author.Addresses = profile.GetName(), slices.Clone(profile.GetAddresses())
	return ""
}

// role says what the devices of an account may do: the founder's word.
func (f *Fold) role(author *Member, payload []byte) (void string) {
	role := &wire.Role{}
	account, ok := [32]byte{}, false
	if wire.Unmarshal(payload, role) == nil {
		account, ok = wire.Bytes32(role.GetAccount())
	}
	if !ok || role.GetRole() > roleNumbers[demes.RoleAdmin] {
		return VoidMalformed
	}
	if author.Role != demes.RoleFounder || author.Account == demes.AccountID(account) {
		return VoidRight
	}
	found := false
	for _, m := range f.Members {
		if m.Account == demes.AccountID(account) {
			found, m.Role = true, roleOf(role.GetRole())
		}
	}
	if !found {
		return VoidMalformed
	}
	return ""
}

// settings changes the chat's rules.
func (f *Fold) settings(author *Member, payload []byte) (void string) {
	settings := &wire.Settings{}
	if wire.Unmarshal(payload, settings) != nil || settings.GetDisappearAfterMs() < 0 || settings.GetDisappearAfterMs() > MaxDisappear {
		return VoidMalformed
	}
	if author.Role == demes.RoleMember {
		return VoidRight
	}
	f.Settings = Settings{AdminsInvite: settings.GetAdminsInvite(), DisappearAfter: settings.GetDisappearAfterMs()}
	return ""
}
