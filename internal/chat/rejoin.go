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
	InfoPace  = 200    // between two group infos that a member gives out
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
	helpers, most := c.helpers(), BackAsked
	if k.backDoubt {
		most = 1 // one after the other, and nobody else is believed
	}
	for i := range min(most, len(helpers)) {
		d := helpers[(k.backTurn+i)%len(helpers)]
		if k.back == nil {
			k.backFrom = d
			c.send(d, &wire.Frame{Kind: &wire.Frame_KeysAsk{KeysAsk: &wire.KeysAsk{Epoch: c.fold.Epoch}}})
		} else if k.back.epoch == c.fold.Epoch {
			c.send(d, &wire.Frame{Kind: &wire.Frame_Rejoin{Rejoin: &wire.Rejoin{Epoch: k.back.epoch, Mls: k.back.mls}}})
			break // one puts it into the log
		}
	}
	k.backTurn++ // who was asked may have no keys either
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

// helpers are the connected members, who may help, the host first.
func (c *Chat) helpers() []demes.DeviceID {
	out := c.connected()
	if host, known := c.hostNow(); known {
		if at := slices.Index(out, host); at > 0 {
			copy(out[1:at+1], out[:at])
			out[0] = host
		}
	}
	return out
}

// stepKeysAsk gives a member what an external commit needs.
func (c *Chat) stepKeysAsk(from demes.DeviceID, m *wire.KeysAsk) error {
	k := &c.keys
	if !k.current(c) || m.GetEpoch() != c.fold.Epoch || k.infoAt != 0 && c.now.Mono-k.infoAt < InfoPace {
		return nil
	}
	k.infoAt = c.now.Mono
	info, err := k.group.GroupInfo(false)
	if err != nil {
		return fmt.Errorf("group info for %s: %w", from.Short(), err)
	}
	c.send(from, &wire.Frame{Kind: &wire.Frame_KeysInfo{KeysInfo: &wire.KeysInfo{Epoch: c.fold.Epoch, GroupInfo: info}}})
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
	k.back = &comeback{mls: commit, group: group, epoch: c.fold.Epoch}
	records := append(recordsOf(group.Records()), Value{Name: "commit", Data: commit}, Value{Name: "ends", Data: number(c.fold.Epoch)})
	k.fresh = append(k.fresh, SecretChange{Space: spaceBack, Reset: true, Put: records})
	k.backAt, k.backWait, k.backTurn = c.now.Mono, 0, 0
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
	k.back, k.backAt, k.backWait, k.backTurn, k.backDoubt = nil, 0, 0, 0, false
	c.planRefresh()
	c.notice(Notice{Kind: NoticeMembers})
}
