package chat

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Waits of the way back, in milliseconds.
const (
	BackFirst = 500    // before a member is asked again; doubles
	BackMost  = 30_000 // up to here
	BackAsked = 4      // members that are asked for a group info at once
	// BackGiveUp is the wait at which an external commit that does not settle is
	// given up: it was sent for 8 s then.
	BackGiveUp = 4_000
)

// comeBackAgain asks a member for the way back: a device without keys takes its own
// place in the group again by an external commit (docs/protocol.md#rejoining).
func (c *Chat) comeBackAgain() {
	k := &c.keys
	if k.group != nil || c.gone() || c.trouble != nil || len(c.fold.Members) < 2 || k.backAt > c.now.Mono {
		return
	}
	if k.back != nil && k.back.epoch != c.fold.Epoch && !c.settles(k.back) {
		c.dropBack() // another commit won its epoch
	}
	if k.back != nil && k.backWait >= BackGiveUp && !c.settles(k.back) {
		c.dropBack() // nobody can follow it: who gave the way may have lied
		k.backDoubt, k.backWait = true, 0
	}
	k.backWait = min(max(2*k.backWait, BackFirst), BackMost)
	k.backAt = c.now.Mono + k.backWait
	helpers := c.helpers()
	if k.back != nil {
		if k.back.epoch == c.fold.Epoch && len(helpers) > 0 { // one puts it into the log
			c.send(helpers[0], &wire.Frame{Kind: &wire.Frame_Rejoin{Rejoin: &wire.Rejoin{Epoch: k.back.epoch, Mls: k.back.mls}}})
		}
		return
	}
	most := BackAsked
	if k.backDoubt {
		most = 1 // one after the other, and nobody else is believed
	}
	for _, d := range helpers[:min(most, len(helpers))] {
		k.backFrom = d
		c.send(d, &wire.Frame{Kind: &wire.Frame_KeysAsk{KeysAsk: &wire.KeysAsk{Epoch: c.fold.Epoch}}})
	}
}

// settles reports whether this device's external commit is settled and not final.
func (c *Chat) settles(back *comeback) bool {
	for _, r := range c.keys.next {
		if bytes.Equal(r.mls, back.mls) {
			return true
		}
	}
	return false
}

func (c *Chat) dropBack() {
	c.keys.back = nil
	c.keys.fresh = append(c.keys.fresh, SecretChange{Space: spaceBack, Reset: true})
}

// helpers are the connected members, who may help: first who has given the way
// back, which needs keys; then the host; then the others in turn, as who was asked
// may have lost its keys, too. In doubt all take turns.
func (c *Chat) helpers() []demes.DeviceID {
	out := c.connected()
	if len(out) == 0 {
		return nil
	}
	turn := c.keys.backTurn % len(out)
	c.keys.backTurn++
	out = append(slices.Clone(out[turn:]), out[:turn]...)
	first := func(d demes.DeviceID) {
		if at := slices.Index(out, d); at > 0 {
			copy(out[1:at+1], out[:at])
			out[0] = d
		}
	}
	if host, known := c.hostNow(); known && !c.keys.backDoubt {
		first(host)
	}
	if c.keys.back != nil {
		first(c.keys.backFrom)
	}
	return out
}

// stepKeysAsk gives a member what an external commit needs.
func (c *Chat) stepKeysAsk(from demes.DeviceID, m *wire.KeysAsk) error {
	k := &c.keys
	if !k.current(c) || m.GetEpoch() != c.fold.Epoch {
		return nil
	}
	if k.info == nil {
		info, err := k.group.GroupInfo(false)
		if err != nil {
			return fmt.Errorf("group info for %s: %w", from.Short(), err)
		}
		k.info = info
	}
	c.send(from, &wire.Frame{Kind: &wire.Frame_KeysInfo{KeysInfo: &wire.KeysInfo{Epoch: c.fold.Epoch, GroupInfo: k.info}}})
	return nil
}

// stepKeysInfo makes the external commit. What the member says of the group has to
// be what the settled log says: nobody is led back behind a removal.
func (c *Chat) stepKeysInfo(from demes.DeviceID, m *wire.KeysInfo) error {
	k := &c.keys
	if k.group != nil || k.back != nil || m.GetEpoch() != c.fold.Epoch || c.fold.Members[c.self] == nil || k.backDoubt && from != k.backFrom {
		return nil
	}
	if !c.fold.group.MatchesInfo(m.GetGroupInfo()) {
		return fmt.Errorf("group info of %s is not of this chat as it stands: %w", from.Short(), ErrInvalid)
	}
	profile, err := newProfile(&c.cfg, c.fold.Suite, c.id[:])
	if err != nil {
		return err
	}
	join := mls.ExternalJoin{
		Profile: profile, AuthenticatedData: wire.SealVoucher(c.cfg.Key, c.id, c.fold.Epoch, profile.Key.Public()),
	}
	c.fold.group.Members(func(i mls.LeafIndex, leaf *mls.LeafNode) bool {
		if leafDevice(leaf) == c.self {
			join.Replace = &i
		}
		return join.Replace == nil
	})
	group, commit, err := mls.JoinExternal(m.GetGroupInfo(), c.fold.group.Tree(), join, c.policy())
	if err != nil {
		return fmt.Errorf("come back with what %s gave: %w", from.Short(), err)
	}
	k.backFrom = from
	k.back = &comeback{mls: commit, group: group, epoch: c.fold.Epoch}
	records := append(recordsOf(group.Records()), Value{Name: "commit", Data: commit}, Value{Name: "ends", Data: number(c.fold.Epoch)})
	k.fresh = append(k.fresh, SecretChange{Space: spaceBack, Reset: true, Put: records})
	k.backAt, k.backWait = c.now.Mono, 0
	c.comeBackAgain()
	return nil
}

// stepRejoin is asked to put a member's external commit into the log.
func (c *Chat) stepRejoin(from demes.DeviceID, m *wire.Rejoin) error {
	if m.GetEpoch() != c.fold.Epoch || len(m.GetMls()) > demes.MaxCommitPayload/2 {
		return nil
	}
	c.door.rejoins[from] = m.GetMls()
	c.stage()
	return nil
}

// comeBack takes the group that this device's external commit led to.
func (k *keys) comeBack(c *Chat) {
	if k.group != nil {
		k.keepPast(c)
	}
	k.group, k.used = k.back.group, false
	k.group.Saved()
	k.fresh = append(k.fresh, SecretChange{Space: spaceNow, Reset: true, Put: recordsOf(k.group.Records())},
		SecretChange{Space: spaceBack, Reset: true})
	k.back, k.info, k.backAt, k.backWait, k.backTurn, k.backDoubt = nil, nil, 0, 0, 0, false
	c.planRefresh()
	c.notice(Notice{Kind: NoticeMembers})
}
