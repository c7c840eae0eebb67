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
	if err != nil || device != e.ID.Device || found.GetFormat() != Format || found.GetSuite() != SuiteClear ||
		!wire.ValidTitle(found.GetTitle()) || !wire.ValidName(found.GetName()) || !wire.ValidAddresses(found.GetAddresses()) {
		return Ignored, ""
	}
	f.advance(s, e.Hash)
	f.Format, f.Suite, f.Title, f.Founder = found.GetFormat(), found.GetSuite(), found.GetTitle(), device
	f.Electors = []demes.DeviceID{device}
	f.Lamport = e.Lamport
	f.Members[device] = &Member{
		Device: device, Account: account, Cert: found.GetCert(), Name: found.GetName(), Role: demes.RoleFounder,
		SinceIndex: f.Head.Index, SinceMs: f.LogMs, LastSeq: 1, LastHash: e.Hash, Addresses: found.GetAddresses(),
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
	case demes.KindStart:
		if f.Live || e.ID.Device != f.Founder {
			return VoidRight
		}
		f.Live = true
		return ""
	case demes.KindCommit:
		return f.commit(author, e.Payload)
	case demes.KindLeave:
		author.Leaving = true
		return ""
	case demes.KindInvite:
		return f.invite(author, e.Payload)
	case demes.KindRevoke:
		return f.revoke(author, e.Payload)
	case demes.KindProfile:
		return f.profile(author, e.Payload)
	}
	return VoidKind
}

// commit changes who is a member. All of its changes hold, or none
// (docs/protocol.md#membership).
func (f *Fold) commit(author *Member, payload []byte) (void string) {
	commit := &wire.Commit{}
	if wire.Unmarshal(payload, commit) != nil || len(commit.GetChanges()) == 0 || len(commit.GetMls()) != 0 {
		return VoidMalformed
	}
	if commit.GetEpoch() != f.Epoch {
		return VoidEpoch
	}
	trial := f.trial()
	for _, change := range commit.GetChanges() {
		if void := trial.change(author, change); void != "" {
			return void
		}
	}
	f.Members, f.Gone, f.Invites = trial.Members, trial.Gone, trial.Invites
	f.forget()
	f.Epoch++
	return ""
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

func (f *Fold) change(author *Member, change *wire.Change) (void string) {
	switch kind := change.GetKind().(type) {
	case *wire.Change_Add:
		return f.add(author, kind.Add)
	case *wire.Change_Remove:
		return f.remove(author, wire.Device(kind.Remove))
	}
	return VoidKind
}

func (f *Fold) add(author *Member, request *wire.JoinRequest) (void string) {
	body, device, err := wire.OpenJoin(request)
	if err != nil || demes.ChatID(wire.HashOf(body.GetChat())) != f.Chat {
		return VoidMalformed
	}
	if reason := f.admits(author.Device, body, device); reason != "" {
		return reason
	}
	if key, invited := wire.Bytes32(body.GetInviteKey()); invited {
		f.Invites[key].UsesLeft--
		if f.Invites[key].UsesLeft == 0 {
			delete(f.Invites, key)
		}
	}
	_, account, _ := wire.OpenCert(body.GetCert())
	member := &Member{
		Device: device, Account: account, Cert: body.GetCert(), Name: body.GetName(), Role: demes.RoleMember,
		SinceIndex: f.Head.Index, SinceMs: f.LogMs, Addresses: body.GetAddresses(),
	}
	if gone, was := f.Gone[device]; was {
		member.LastSeq, member.LastHash = gone.LastSeq, gone.LastHash
		delete(f.Gone, device)
	}
	f.Members[device] = member
	return ""
}

// admits says why the request is not good now, or "". An invite must be good at
// this index; a knock is good in the lobby only, and only the founder may admit
// it (docs/protocol.md#joining).
func (f *Fold) admits(author demes.DeviceID, body *wire.JoinBody, device demes.DeviceID) (void string) {
	if f.Members[device] != nil {
		return VoidRight
	}
	if len(f.Members) >= MaxMembers {
		return VoidFull
	}
	if body.GetNotAfterMs() < f.LogMs {
		return VoidInvite
	}
	key, invited := wire.Bytes32(body.GetInviteKey())
	if !invited {
		if f.Live || author != f.Founder {
			return VoidRight
		}
		return ""
	}
	invite := f.Invites[key]
	if invite == nil || invite.UsesLeft == 0 || invite.NotAfter < f.LogMs || f.Members[invite.Author] == nil {
		return VoidInvite
	}
	return ""
}

// remove takes a device out: one that has left by anybody, any other by the
// founder or an admin. The founder stays.
func (f *Fold) remove(author *Member, device demes.DeviceID) (void string) {
	member := f.Members[device]
	if member == nil {
		return VoidMalformed
	}
	may := author.Role == demes.RoleFounder || author.Role == demes.RoleAdmin
	if !member.Leaving && (!may || member.Role == demes.RoleFounder || device == author.Device) {
		return VoidRight
	}
	delete(f.Members, device)
	f.Gone[device] = Gone{LastSeq: member.LastSeq, LastHash: member.LastHash, Name: member.Name, Index: f.Head.Index}
	for key, invite := range f.Invites {
		if invite.Author == device {
			delete(f.Invites, key)
		}
	}
	return ""
}

func (f *Fold) invite(author *Member, payload []byte) (void string) {
	invite := &wire.Invite{}
	if wire.Unmarshal(payload, invite) != nil {
		return VoidMalformed
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
