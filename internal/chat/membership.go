package chat

import (
	"bytes"
	"fmt"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// leafPolicy judges leaves of the chat's MLS group: account, device and leaf key
// are chained, and who replaces a leaf is the device that it was of
// (docs/protocol.md#identity). The founder's first leaf is made before the chat
// has an id, which is therefore read when it is needed; that leaf names the group.
func leafPolicy(chat *demes.ChatID) mls.Policy {
	return mls.Policy{MaxLifetime: -1, Credential: func(a mls.Admission) error {
		bearer, err := bearerOf(chat, a.Leaf, a.GroupID)
		if err != nil {
			return err
		}
		if a.Previous != nil {
			if before := wire.CredentialDevice(a.Previous.Credential.Identity); before != bearer.Device {
				return fmt.Errorf("leaf of %s in the place of %s: %w", bearer.Device.Short(), before.Short(), ErrInvalid)
			}
		} else if a.Reason == mls.ReasonCommit || a.Reason == mls.ReasonUpdate || a.Reason == mls.ReasonExternal {
			return fmt.Errorf("leaf of %s in nobody's place: %w", bearer.Device.Short(), ErrInvalid)
		}
		return nil
	}}
}

func bearerOf(chat *demes.ChatID, leaf *mls.LeafNode, groupID []byte) (wire.Bearer, error) {
	if leaf.Credential.Type != mls.CredentialBasic {
		return wire.Bearer{}, fmt.Errorf("credential of type %d: %w", leaf.Credential.Type, ErrInvalid)
	}
	return wire.OpenCredential(leaf.Credential.Identity, leaf.SignatureKey, chat[:], groupID)
}

// leafDevice is whose leaf it is. The credential was checked when the leaf came
// into the tree.
func leafDevice(leaf *mls.LeafNode) demes.DeviceID {
	if leaf == nil {
		return demes.DeviceID{}
	}
	return wire.CredentialDevice(leaf.Credential.Identity)
}

// openGroup reads the MLS group that a found event begins: of the founder alone,
// under the nonce as its id.
func (f *Fold) openGroup(found *wire.Found) (*mls.Observer, error) {
	group, err := mls.Observe(found.GetMls(), nil, leafPolicy(&f.Chat))
	if err != nil {
		return nil, err
	}
	suite := group.Suite()
	if suite != mls.XWing && suite != mls.X25519 || uint32(suite) != found.GetSuite() || group.Epoch() != 0 ||
		len(found.GetNonce()) != 16 || !bytes.Equal(group.ID(), found.GetNonce()) || len(group.Context().Extensions) != 0 {
		return nil, fmt.Errorf("the chat's group: %w", ErrInvalid)
	}
	leaves := 0
	group.Members(func(_ mls.LeafIndex, leaf *mls.LeafNode) bool {
		leaves++
		account, device := wire.CredentialBearer(leaf.Credential.Identity)
		if cert := found.GetCert(); device != wire.Device(cert.GetDevice()) || account != demes.AccountID(wire.HashOf(cert.GetAccount())) {
			err = fmt.Errorf("the chat's group is another's: %w", ErrInvalid)
		}
		return err == nil
	})
	if leaves != 1 && err == nil {
		err = fmt.Errorf("the chat's group has %d members: %w", leaves, ErrInvalid)
	}
	return group, err
}

// treeIsRoster reports whether the leaves of a group are the devices of the
// members, no more and no less (promise B5).
func (f *Fold) treeIsRoster(group *mls.Observer) bool {
	leaves, same := 0, true
	group.Members(func(_ mls.LeafIndex, leaf *mls.LeafNode) bool {
		leaves++
		account, device := wire.CredentialBearer(leaf.Credential.Identity)
		m := f.Members[device]
		same = m != nil && m.Account == account
		return same
	})
	return same && leaves == len(f.Members)
}

// commit changes who is a member, and the keys with it. All of its changes hold,
// or none. What is judged here every member finds alike: tags and path secrets,
// which need secrets, are left out (docs/protocol.md#membership).
func (f *Fold) commit(author *Member, e *demes.Event) (void string) {
	commit := &wire.Commit{}
	if wire.Unmarshal(e.Payload, commit) != nil {
		return VoidMalformed
	}
	if commit.GetEpoch() != f.Epoch {
		return VoidEpoch
	}
	seen, err := f.group.Commit(commit.GetMls(), time.UnixMilli(f.LogMs))
	if err != nil {
		return VoidKeys
	}
	trial := f.trial()
	if seen.External {
		void = trial.rejoin(commit, seen)
	} else {
		void = trial.change(author, e, commit, seen)
	}
	if void != "" {
		return void
	}
	if !trial.treeIsRoster(seen.Next) {
		return VoidKeys
	}
	f.Members, f.Gone, f.Invites, f.RefreshedMs = trial.Members, trial.Gone, trial.Invites, trial.RefreshedMs
	f.group, f.Epoch = seen.Next, seen.Next.Epoch()
	f.Founder = trial.Founder
	f.forget()
	return ""
}

// change judges a commit of a member: it does exactly what its changes say, and
// its author may do each of them.
func (f *Fold) change(author *Member, e *demes.Event, commit *wire.Commit, seen *mls.Observed) (void string) {
	context, err := wire.Context(e)
	if err != nil || leafDevice(seen.Leaf) != author.Device || !bytes.Equal(seen.AuthenticatedData, context[:]) || !seen.HasPath {
		return VoidKeys
	}
	if len(commit.GetChanges()) == 0 {
		if len(seen.Proposals) != 0 {
			return VoidKeys
		}
		if f.RefreshedMs != 0 && f.LogMs-f.RefreshedMs < RefreshGap {
			return VoidRate
		}
		f.RefreshedMs = f.LogMs
		return ""
	}
	proposals := newProposals(f.group, seen)
	for _, change := range commit.GetChanges() {
		switch kind := change.GetKind().(type) {
		case *wire.Change_Add:
			void = f.add(author, kind.Add, proposals)
		case *wire.Change_Remove:
			if void = f.remove(author, wire.Device(kind.Remove)); void == "" && !proposals.remove(wire.Device(kind.Remove)) {
				void = VoidKeys
			}
		default:
			void = VoidKind
		}
		if void != "" {
			return void
		}
	}
	if !proposals.none() {
		return VoidKeys
	}
	return ""
}

// proposals are what an MLS commit proposes and no change has named yet.
type proposals struct {
	adds    []*mls.KeyPackage
	removes map[demes.DeviceID]bool
	strange bool // something else is among them
}

func newProposals(group *mls.Observer, seen *mls.Observed) *proposals {
	p := &proposals{removes: map[demes.DeviceID]bool{}}
	for _, one := range seen.Proposals {
		switch one.Type {
		case mls.ProposalAdd:
			p.adds = append(p.adds, one.KeyPackage)
		case mls.ProposalRemove:
			p.removes[leafDevice(group.Leaf(one.Removed))] = true
		default:
			p.strange = true
		}
	}
	return p
}

// add takes the next key package if it is the one that a request names.
func (p *proposals) add(device demes.DeviceID, hash []byte) bool {
	if len(p.adds) == 0 {
		return false
	}
	next := p.adds[0]
	p.adds = p.adds[1:]
	sum := demes.Sum(next.Bytes())
	return bytes.Equal(sum[:], hash) && leafDevice(next.Leaf) == device
}

func (p *proposals) remove(device demes.DeviceID) bool {
	named := p.removes[device]
	delete(p.removes, device)
	return named
}

func (p *proposals) none() bool { return len(p.adds) == 0 && len(p.removes) == 0 && !p.strange }

// rejoin judges an external commit: a member's device, which vouches for it, takes
// its own place again with new keys, and nothing else. It stands in the log of
// whoever was asked to put it there (docs/protocol.md#rejoining).
func (f *Fold) rejoin(commit *wire.Commit, seen *mls.Observed) (void string) {
	device, err := wire.OpenVoucher(seen.AuthenticatedData, f.Chat, f.Epoch, seen.Leaf.SignatureKey)
	m := f.Members[device]
	if err != nil || m == nil || leafDevice(seen.Leaf) != device || len(commit.GetChanges()) != 0 {
		return VoidKeys
	}
	for _, p := range seen.Proposals {
		if p.Type != mls.ProposalExternalInit && (p.Type != mls.ProposalRemove || leafDevice(f.group.Leaf(p.Removed)) != device) {
			return VoidKeys
		}
	}
	if m.Leaving {
		return VoidRight
	}
	if m.RejoinedMs != 0 && f.LogMs-m.RejoinedMs < RejoinGap {
		return VoidRate
	}
	back := *m
	back.RejoinedMs = f.LogMs
	f.Members[device] = &back
	return ""
}

// add takes in a device whose request is good. One that takes the place of
// another of its person goes on with that one's role.
func (f *Fold) add(author *Member, request *wire.JoinRequest, p *proposals) (void string) {
	body, device, err := wire.OpenJoin(request)
	if err != nil || demes.ChatID(wire.HashOf(body.GetChat())) != f.Chat {
		return VoidMalformed
	}
	if reason := f.admits(author.Device, body, device); reason != "" {
		return reason
	}
	if !p.add(device, body.GetKeyPackageHash()) {
		return VoidKeys
	}
	_, account, _ := wire.OpenCert(body.GetCert())
	member := &Member{
		Device: device, Account: account, Cert: body.GetCert(), Name: body.GetName(), Role: f.roleOfAccount(account),
		SinceIndex: f.Head.Index, SinceMs: f.LogMs, SinceEpoch: f.Epoch + 1, Addresses: body.GetAddresses(),
	}
	f.recall(member)
	if key, invited := wire.Bytes32(body.GetInviteKey()); invited {
		invite := f.Invites[key]
		if invite.History {
			member.History, member.ShownFrom = true, 1
		}
		if invite.UsesLeft--; invite.UsesLeft == 0 {
			delete(f.Invites, key)
		}
	}
	if gone, was := f.Gone[device]; was {
		member.LastSeq, member.LastHash = gone.LastSeq, gone.LastHash
		delete(f.Gone, device)
	}
	if old := wire.Device(body.GetReplaces()); !old.IsZero() {
		if !p.remove(old) {
			return VoidKeys
		}
		f.take(old, true)
		if f.Founder == old {
			f.Founder = device
		}
	}
	f.Members[device] = member
	return ""
}

// recall gives a new member what it may see of the time before: all that its
// person's other devices may, and all of a lobby, where nothing is said. So the
// log's beginning is on more devices than the founder's.
func (f *Fold) recall(m *Member) {
	m.ShownFrom = f.shownTo(m.Account, m.SinceIndex)
	if m.History = m.ShownFrom < m.SinceIndex; !f.Live {
		m.ShownFrom = 1
	}
}

// shownTo is the index from which on a further device of an account may be shown
// what was said: all that its person's other devices may. For the first one it is
// since.
func (f *Fold) shownTo(account demes.AccountID, since uint64) uint64 {
	for _, m := range f.Members {
		if m.Account == account {
			since = min(since, m.ShownFrom)
		}
	}
	return since
}

// roleOfAccount is what the devices of an account may do: a person's devices are
// equal.
func (f *Fold) roleOfAccount(account demes.AccountID) demes.Role {
	for _, m := range f.Members {
		if m.Account == account {
			return m.Role
		}
	}
	return demes.RoleMember
}

// admits says why the request is not good now, or "". An invite must be good at
// this index; a further device of a member needs none: its certificate is its
// person's word; a knock is good in the lobby only, and only the founder may
// admit it (docs/protocol.md#joining).
func (f *Fold) admits(author demes.DeviceID, body *wire.JoinBody, device demes.DeviceID) (void string) {
	if f.Members[device] != nil || f.Gone[device].Revoked {
		return VoidRight
	}
	_, account, err := wire.OpenCert(body.GetCert())
	if err != nil {
		return VoidMalformed
	}
	devices := f.devicesOf(account)
	old := wire.Device(body.GetReplaces())
	if !old.IsZero() && (f.Members[old] == nil || f.Members[old].Account != account) {
		return VoidRight
	}
	if len(f.Members) >= MaxMembers || devices >= MaxDevices {
		if old.IsZero() {
			return VoidFull
		}
	}
	if body.GetNotAfterMs() < f.LogMs {
		return VoidInvite
	}
	key, invited := wire.Bytes32(body.GetInviteKey())
	if !invited {
		_, was := f.Gone[device]
		if devices > 0 && !was || !f.Live && author == f.Founder {
			return ""
		}
		return VoidRight
	}
	invite := f.Invites[key]
	if invite == nil || invite.UsesLeft == 0 || invite.NotAfter < f.LogMs || f.Members[invite.Author] == nil {
		return VoidInvite
	}
	return ""
}

func (f *Fold) devicesOf(account demes.AccountID) (n int) {
	for _, m := range f.Members {
		if m.Account == account {
			n++
		}
	}
	return n
}

// remove takes a device out: one that has left by anybody, one of its own person
// by that person, any other by the founder or an admin. The founder stays, and an
// admin is removed by the founder alone.
func (f *Fold) remove(author *Member, device demes.DeviceID) (void string) {
	member := f.Members[device]
	if member == nil {
		return VoidMalformed
	}
	if device == author.Device {
		return VoidRight
	}
	own := member.Account == author.Account
	if !member.Leaving && !own && rank(author.Role) <= rank(member.Role) {
		return VoidRight
	}
	if own && f.Founder == device {
		f.Founder = author.Device
	}
	f.take(device, own)
	return ""
}

// rank orders the roles: who is above may remove who is below.
func rank(role demes.Role) uint32 { return roleNumbers[role] }

// take forgets a member, and the invites that it made.
func (f *Fold) take(device demes.DeviceID, revoked bool) {
	member := f.Members[device]
	delete(f.Members, device)
	f.Gone[device] = Gone{LastSeq: member.LastSeq, LastHash: member.LastHash, Name: member.Name, Index: f.Head.Index, Revoked: revoked}
	for key, invite := range f.Invites {
		if invite.Author == device {
			delete(f.Invites, key)
		}
	}
}
