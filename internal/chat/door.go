package chat

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Limits at the door.
const (
	MaxKnocks = 32                 // who may wait in front of a lobby
	MaxWanted = 64                 // requests that are being admitted at once
	InviteFor = 7 * 24 * 3_600_000 // ms that an invite is good by default
	InviteUse = 10                 // uses of an invite by default
	InviteMax = 365 * 24 * 3_600_000
)

// door is who wants to come in, and the changes of membership that this device
// brings about.
type door struct {
	open    bool // admits every knock from this machine and private networks
	knocks  map[demes.DeviceID]*knock
	wanted  map[demes.DeviceID]*applicant // admitted here and not in the log yet
	removes map[demes.DeviceID]bool       // to be removed by this device
	rejoins map[demes.DeviceID][]byte     // external commits that members asked to be put into the log
	bases   map[demes.DeviceID]*entrance  // what devices that were just added go on from
	refresh bool                          // this device's keys are to be renewed
	online  map[demes.DeviceID]bool       // by the host's last status
	council []demes.DeviceID              // by the host's last status
}

// applicant is a request with the key package that it names.
type applicant struct {
	request *wire.JoinRequest
	keys    *mls.KeyPackage
}

// entrance is the first final state with a new member in it: its welcome leads
// there.
type entrance struct {
	base  *wire.Base
	group *mls.Observer
}

type knock struct {
	request *applicant
	name    string
	address string
	refused bool
}

func (d *door) reset() {
	d.knocks, d.wanted = map[demes.DeviceID]*knock{}, map[demes.DeviceID]*applicant{}
	d.removes, d.online = map[demes.DeviceID]bool{}, map[demes.DeviceID]bool{}
	d.rejoins, d.bases = map[demes.DeviceID][]byte{}, map[demes.DeviceID]*entrance{}
}

// Ask answers a join request. The joiner repeats the identical request until it
// is refused or welcomed (docs/protocol.md#joining).
func (c *Chat) Ask(now demes.Now, from demes.DeviceID, address string, ask *wire.JoinAsk) *wire.JoinAnswer {
	c.now = now
	body, device, err := wire.OpenJoin(ask.GetRequest())
	if err != nil || device != from || demes.ChatID(wire.HashOf(body.GetChat())) != c.id || c.gone() {
		return refusal(demes.CodeRefused)
	}
	if c.fold.Members[device] != nil {
		delete(c.door.wanted, device)
		delete(c.door.knocks, device)
		if base := c.welcome(device); base != nil {
			return &wire.JoinAnswer{State: wire.JoinAnswer_WELCOME, Base: base}
		}
		_, waits := c.missing(c.fold.Electors)
		return &wire.JoinAnswer{State: wire.JoinAnswer_WAITING, Detail: waits}
	}
	who, err := c.apply(body, ask)
	if err != nil {
		return refusal(demes.CodeRefused)
	}
	switch reason := c.fold.admits(c.self, body, device); {
	case reason == VoidFull:
		return refusal(demes.CodeChatFull)
	case len(body.GetInviteKey()) == 0 && c.fold.devicesOf(accountOf(body)) == 0:
		return c.knocked(device, address, who, body)
	case reason == "":
		return c.admit(device, who)
	}
	return refusal(demes.CodeRefused)
}

func accountOf(body *wire.JoinBody) demes.AccountID {
	return demes.AccountID(wire.HashOf(body.GetCert().GetAccount()))
}

// apply checks the key package of a request as the commit that adds it will be.
func (c *Chat) apply(body *wire.JoinBody, ask *wire.JoinAsk) (*applicant, error) {
	sum := demes.Sum(ask.GetKeyPackage())
	if !bytes.Equal(sum[:], body.GetKeyPackageHash()) {
		return nil, fmt.Errorf("key package is not the one of the request: %w", ErrInvalid)
	}
	keys, err := mls.ParseKeyPackage(ask.GetKeyPackage())
	if err != nil {
		return nil, err
	}
	account, device := wire.CredentialBearer(keys.Leaf.Credential.Identity)
	if keys.Suite != c.fold.Suite || device != wire.Device(body.GetCert().GetDevice()) || account != accountOf(body) ||
		!bytes.Equal(keys.Bytes(), ask.GetKeyPackage()) {
		return nil, fmt.Errorf("key package of another suite, device or account: %w", ErrInvalid)
	}
	if err := keys.Check(c.policy(), time.UnixMilli(c.fold.LogMs)); err != nil {
		return nil, err
	}
	return &applicant{request: ask.GetRequest(), keys: keys}, nil
}

// welcome is what a device that was added goes on from: the state of its add, with
// the welcome into it. Where that is not here any more it is the newest state, and
// the device comes in by an external commit (docs/protocol.md#rejoining).
func (c *Chat) welcome(device demes.DeviceID) *wire.Base {
	at, welcome := c.door.bases[device], []byte(nil)
	if at != nil {
		welcome = c.welcomeOf(c.fold.Members[device].SinceIndex)
	} else if c.final.base != nil && inBase(c.final.base, device) {
		at = &entrance{c.final.base, c.final.group}
		if m := c.fold.Members[device]; m.SinceEpoch == c.final.group.Epoch() {
			welcome = c.welcomeOf(m.SinceIndex)
		}
	}
	if at == nil {
		return nil
	}
	return &wire.Base{
		State: at.base.GetState(), Proof: at.base.GetProof(), Found: at.base.GetFound(), Tree: at.group.Tree(), Welcome: welcome,
		Certificates: c.gens.chain[:min(len(c.gens.chain), int(at.base.GetState().GetGeneration()))],
	}
}

// commitAt reads a commit of the settled log; nil where it is not held.
func (c *Chat) commitAt(index uint64) *wire.Commit {
	entries, err := c.cfg.Log.Settled(c.id, index, 1)
	if err != nil || len(entries) == 0 || entries[0].Event == nil || entries[0].Event.Kind != demes.KindCommit {
		return nil
	}
	commit := &wire.Commit{}
	if wire.Unmarshal(entries[0].Event.Payload, commit) != nil {
		return nil
	}
	return commit
}

func (c *Chat) welcomeOf(index uint64) []byte { return c.commitAt(index).GetWelcome() }

// keepBase keeps a state that has become final for the devices that it was the
// first to have, until they are seen.
func (d *door) keepBase(c *Chat) {
	state := c.final.base.GetState()
	for _, m := range state.GetMembers() {
		device := wire.Device(m.GetDevice())
		if d.bases[device] == nil && m.GetLastSeq() == 0 && !c.isConnected(device) && device != c.self &&
			m.GetSinceEpoch() == state.GetEpoch() && len(d.bases) < MaxWanted {
			d.bases[device] = &entrance{c.final.base, c.final.group}
		}
	}
	for device := range d.bases {
		if m := c.fold.Members[device]; m == nil || m.LastSeq > 0 || c.isConnected(device) {
			delete(d.bases, device)
		}
	}
}

func refusal(code demes.Code) *wire.JoinAnswer {
	return &wire.JoinAnswer{State: wire.JoinAnswer_REFUSED, Code: string(code)}
}

func inBase(base *wire.Base, d demes.DeviceID) bool {
	return slices.ContainsFunc(base.GetState().GetMembers(), func(m *wire.MemberState) bool { return wire.Device(m.GetDevice()) == d })
}

// admit stages the add of a device whose request is good.
func (c *Chat) admit(device demes.DeviceID, who *applicant) *wire.JoinAnswer {
	if len(c.door.wanted) >= MaxWanted {
		return refusal(demes.CodeTooMany)
	}
	c.door.wanted[device] = who
	c.stage()
	return &wire.JoinAnswer{State: wire.JoinAnswer_WAITING}
}

// knocked lets a device wait in front of the lobby for the founder's word.
func (c *Chat) knocked(device demes.DeviceID, address string, who *applicant, body *wire.JoinBody) *wire.JoinAnswer {
	if c.fold.Live || c.self != c.fold.Founder {
		return refusal(demes.CodeRefused)
	}
	k := c.door.knocks[device]
	if k == nil {
		if len(c.door.knocks) >= MaxKnocks && !c.door.forgetRefused() {
			return refusal(demes.CodeTooMany)
		}
		k = &knock{request: who, name: body.GetName(), address: address}
		c.door.knocks[device] = k
		c.notice(Notice{Kind: NoticeKnock, Peer: device})
		c.notice(Notice{Kind: NoticeMembers})
	}
	if k.refused {
		return refusal(demes.CodeRefused)
	}
	if c.door.open && wire.IsLocal(address) || c.door.wanted[device] != nil {
		return c.admit(device, k.request)
	}
	return &wire.JoinAnswer{State: wire.JoinAnswer_KNOCKING}
}

// forgetRefused makes room for another knock.
func (d *door) forgetRefused() bool {
	for _, device := range sortedDevices(d.knocks) {
		if d.knocks[device].refused {
			delete(d.knocks, device)
			return true
		}
	}
	return false
}

// Decide is the founder's word on a knock.
func (c *Chat) Decide(now demes.Now, device demes.DeviceID, in bool) error {
	c.now = now
	k := c.door.knocks[device]
	if k == nil {
		return demes.Problem(demes.CodeUnknownMember, "Nobody with this id is knocking", "It may have gone, or it is a member already.")
	}
	if !in {
		k.refused = true
		c.notice(Notice{Kind: NoticeMembers})
		return nil
	}
	c.admit(device, k.request)
	return nil
}

// OpenLobby admits every knock from this machine and private networks until the
// start.
func (c *Chat) OpenLobby(now demes.Now, open bool) {
	c.now, c.door.open = now, open
}

// TakesKnocks reports whether this device answers knocks for the chat.
func (c *Chat) TakesKnocks() bool {
	return !c.fold.Live && c.self == c.fold.Founder && c.phase == demes.PhaseLobby
}

// KnockCode is six digits that both screens show: they differ when somebody
// stands in between.
func KnockCode(a, b demes.DeviceID) string {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	sum := demes.Sum([]byte("DeMes 1 knock\x00"), a[:], b[:])
	return fmt.Sprintf("%06d", readNumber(sum[:8])%1_000_000)
}

// changed looks again at what is staged: membership, or what is final, moved.
func (d *door) changed(c *Chat) {
	for device := range d.knocks {
		if c.fold.Members[device] != nil || c.fold.Live {
			delete(d.knocks, device)
		}
	}
	c.stage()
	c.notice(Notice{Kind: NoticeMembers})
}

// stageRemovals is the host's duty: who has left is removed, once a generation
// without it is certified. Were electors removed before, those that remain could
// be too few to certify anything.
func (c *Chat) stageRemovals() {
	for _, d := range sortedDevices(c.fold.Members) {
		m := c.fold.Members[d]
		if !m.Leaving || d == c.self {
			continue
		}
		if slices.Contains(c.fold.Electors, d) {
			continue // keepElectors brings the next generation about
		}
		c.door.removes[d] = true
	}
	c.stage()
}

// Invite puts an invite key into the log; the caller keeps the secret. history says
// that who comes by it may see what was said before.
func (c *Chat) Invite(now demes.Now, key ed25519.PublicKey, uses uint32, validForMs int64, history bool) (notAfter int64, err error) {
	c.now = now
	if uses == 0 || uses > MaxInviteUses || validForMs <= 0 || validForMs > InviteMax {
		return 0, demes.Problem(demes.CodeBadInput, "The invite's limits cannot be used",
			fmt.Sprintf("Uses go from 1 to %d, and an invite is good for at most a year.", MaxInviteUses))
	}
	if me := c.fold.Members[c.self]; me != nil && me.Role == demes.RoleMember && c.fold.Settings.AdminsInvite {
		return 0, notAllowed()
	}
	notAfter = max(now.Wall, c.fold.LogMs) + validForMs
	_, err = c.submit(demes.KindInvite, wire.Marshal(&wire.Invite{InviteKey: key, Uses: uses, NotAfterMs: notAfter, History: history}), "")
	return notAfter, err
}

// Rename changes what this device's user is called here.
func (c *Chat) Rename(now demes.Now, name string, addresses []string) error {
	c.now = now
	if me := c.fold.Members[c.self]; me == nil || me.Name == name && slices.Equal(me.Addresses, addresses) {
		return nil
	}
	if !wire.ValidName(name) {
		return demes.Problem(demes.CodeBadInput, "The name cannot be used",
			fmt.Sprintf("A name has 1 to %d characters on one line.", demes.MaxName))
	}
	_, err := c.submit(demes.KindProfile, wire.Marshal(&wire.Profile{Name: name, Addresses: addresses}), "")
	return err
}

// Remove takes a member's whole account out of the chat; of this user's own account
// it takes the one device, which never comes back.
func (c *Chat) Remove(now demes.Now, device demes.DeviceID) error {
	c.now = now
	target, me := c.fold.Members[device], c.fold.Members[c.self]
	switch {
	case target == nil || me == nil:
		return demes.Problem(demes.CodeUnknownMember, "There is no such member", "See who is a member with: demes members.")
	case device == c.self:
		return demes.Problem(demes.CodeBadInput, "You cannot remove yourself", "Leave the chat instead.")
	case target.Account != me.Account && (me.Role == demes.RoleMember || target.Role == demes.RoleFounder):
		return demes.Problem(demes.CodeNotAllowed, "You may not remove this member", "Ask the founder.")
	}
	goes := func(m *Member) bool {
		return m.Device == device || m.Account == target.Account && target.Account != me.Account
	}
	remain := 0
	for _, d := range c.fold.Electors {
		if m := c.fold.Members[d]; m != nil && !goes(m) && c.present(d) {
			remain++
		}
	}
	if remain <= len(c.fold.Electors)/2 {
		return demes.Problem(demes.CodeTooMany, "Too few of the chat's electors would remain",
			"Try again when other electors are online, or in a minute, when other members have taken their places.")
	}
	for d, m := range c.fold.Members {
		if goes(m) {
			c.door.removes[d] = true
		}
	}
	c.stage()
	return nil
}

// Leave takes this device out: its word is silenced at once, and the next commit
// removes it. A host hands over first.
func (c *Chat) Leave(now demes.Now) error {
	c.now = now
	if c.gone() || c.phase == demes.PhaseLeft || c.own.left {
		return nil
	}
	c.own.leaving = true
	c.tryLeave()
	return nil
}

// tryLeave writes the leave once this device is not host, or nobody could be.
func (c *Chat) tryLeave() {
	if !c.own.leaving {
		return
	}
	if c.seat.isHost() && c.fold.Live && c.Depart(c.now) {
		return
	}
	c.own.leaving = false
	if _, err := c.submit(demes.KindLeave, wire.Marshal(&wire.Leave{}), ""); err == nil {
		c.own.left = true
		c.setPhase()
	}
}

// Depart hands the host over before this device goes, and reports whether that
// is under way.
func (c *Chat) Depart(now demes.Now) (busy bool) {
	c.now = now
	if !c.seat.isHost() || c.gens.frozen() {
		return false
	}
	if _, moving := c.seat.group.HandingOver(); moving {
		return true
	}
	for _, d := range c.succession() {
		if d != c.self && slices.Contains(c.fold.Electors, d) && c.isConnected(d) && c.seat.group.Handover(now, d) == nil {
			return true
		}
	}
	return false
}

// Farewell tells everybody that this device goes now.
func (c *Chat) Farewell(now demes.Now) {
	c.now = now
	for _, d := range c.connected() {
		c.send(d, &wire.Frame{Kind: &wire.Frame_Goodbye{Goodbye: &wire.Goodbye{}}})
	}
}

// Handover moves the host on purpose: to the named member, or to the next in
// line. A member that is not the host asks it.
func (c *Chat) Handover(now demes.Now, to *demes.DeviceID) error {
	c.now = now
	host, known := c.hostNow()
	switch {
	case !known || !c.fold.Live:
		return demes.Problem(demes.CodeNotHost, "There is no host that could hand over", "Wait until the chat has started and the members have elected one.")
	case to != nil && c.fold.Members[*to] == nil:
		return demes.Problem(demes.CodeUnknownMember, "There is no such member", "See who is a member with: demes members.")
	case to != nil && *to == host:
		return nil
	case to != nil && (!slices.Contains(c.fold.Electors, *to) || !c.online(*to)):
		return demes.Problem(demes.CodeUnreachable, c.name(*to)+" cannot be host now",
			"A host is online and one of the chat's electors; a new member becomes one within a minute.")
	case host != c.self:
		ask := &wire.HandoverAsk{}
		if to != nil {
			ask.To = to[:]
		}
		c.send(host, &wire.Frame{Kind: &wire.Frame_HandoverAsk{HandoverAsk: ask}})
		return nil
	}
	return c.handOver(to)
}

// handOver is the host's part of it.
func (c *Chat) handOver(to *demes.DeviceID) error {
	if to == nil {
		if c.Depart(c.now) {
			return nil
		}
		return demes.Problem(demes.CodeUnreachable, "Nobody can take over now", "Another elector of this chat has to be online.")
	}
	if err := c.seat.group.Handover(c.now, *to); err != nil {
		return demes.Problem(demes.CodeUnreachable, "The host cannot be handed over now", "Try again in a moment.")
	}
	c.host.steering.Moved(c.now.Mono)
	return nil
}

// stepHandoverAsk does what a member asks for, at most once in MoveGap (promise
// L4). The member that is asked for has to be able to host.
func (c *Chat) stepHandoverAsk(from demes.DeviceID, m *wire.HandoverAsk) error {
	if !c.seat.isHost() || !c.fold.Live || c.host.movedAt != 0 && c.now.Mono-c.host.movedAt < MoveGap {
		return nil
	}
	var to *demes.DeviceID
	if d := wire.Device(m.GetTo()); !d.IsZero() {
		if d == c.self || !slices.Contains(c.fold.Electors, d) || !c.isConnected(d) {
			return nil
		}
		to = &d
	}
	c.host.movedAt = c.now.Mono
	return c.handOver(to)
}

// stepGoodbye takes a member's word that it goes.
func (c *Chat) stepGoodbye(from demes.DeviceID) {
	c.peer(from).goodbye = true
	if c.seat.group != nil {
		c.seat.group.Goodbye(c.now, from)
	}
	c.wake(0)
}
