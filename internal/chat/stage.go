package chat

import (
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// MaxCommitAdds bounds the devices that one commit adds: its payload stays within
// its limit, and what it takes to judge it within a moment.
const MaxCommitAdds = 32

// stage makes one commit for everything wanted, once it can be signed at once:
// what is made on an epoch is of no use in the next. One is under way at a time. A
// commit that lost its epoch is made anew (docs/protocol.md#membership).
func (c *Chat) stage() {
	if me := c.fold.Members[c.self]; c.own.commit != 0 || c.gone() || me == nil || me.Leaving || c.own.left {
		return
	}
	wanted := len(c.door.wanted) > 0 || len(c.door.removes) > 0 || len(c.door.rejoins) > 0 || c.door.refresh
	if !wanted || !c.checked || c.trouble != nil || !c.audience() || len(c.own.pending) > 0 || !c.keys.current(c) {
		return
	}
	item := OutboxItem{Seq: max(c.own.next, c.lastOwn()) + 1, Kind: demes.KindCommit, SentAt: c.now.Wall}
	draft := c.draft(item)
	if !c.tail.takes(c.fold, c.self, draft.Lamport, demes.MaxCommitPayload) {
		return
	}
	var staged *mls.Staged
	nothing := false
	e, err := wire.SealWith(c.cfg.Key, draft, func(context demes.Hash) ([]byte, error) {
		commit, next, err := c.makeCommit(context)
		if staged = next; commit == nil {
			nothing = true
			return nil, err
		}
		return wire.Marshal(commit), err
	})
	if nothing {
		c.door.refresh = false // too soon: it is planned again
	}
	if nothing || err != nil || len(e.Payload) > demes.MaxCommitPayload || c.tail.hold(c.fold, e) != held {
		if staged != nil {
			staged.Discard()
		}
		return
	}
	c.own.next, c.own.commit = item.Seq, item.Seq
	if staged != nil {
		c.keys.keepOwn(e.Hash, staged)
	}
	c.nowHeld(e, c.self)
}

// makeCommit makes the commit that is wanted most: a member that comes back, then
// changes of membership, then new keys for this device. It is nil when nothing is
// wanted after all.
func (c *Chat) makeCommit(context demes.Hash) (*wire.Commit, *mls.Staged, error) {
	if commit := c.rejoinCommit(); commit != nil {
		return commit, nil, nil
	}
	commit := &wire.Commit{Epoch: c.fold.Epoch}
	order := mls.Commit{OmitTree: true, Envelope: mls.Envelope{AuthenticatedData: context[:]}}
	leaves, trial := c.leaves(), c.fold.trial()
	c.addWanted(commit, &order, leaves, trial)
	c.addRemoves(commit, &order, leaves, trial)
	if len(commit.Changes) == 0 && !c.refreshDue() {
		return nil, nil, nil
	}
	c.door.refresh = false
	profile, err := newProfile(&c.cfg, c.fold.Suite, c.id[:])
	if err != nil {
		return nil, nil, err
	}
	order.Profile = &profile
	staged, err := c.keys.group.Commit(order, time.UnixMilli(c.fold.LogMs))
	if err != nil {
		c.door.drop(commit)
		return nil, nil, err
	}
	commit.Mls, commit.Welcome = staged.Message, staged.Welcome
	return commit, staged, nil
}

// drop forgets wishes that no commit can be made of, or whose commit had no effect:
// one bad key package must not keep the others out, and nothing is tried for ever. A
// joiner asks again.
func (d *door) drop(commit *wire.Commit) {
	adds := false
	for _, change := range commit.GetChanges() {
		if change.GetAdd() == nil {
			continue
		}
		adds = true
		if _, device, err := wire.OpenJoin(change.GetAdd()); err == nil {
			delete(d.wanted, device)
		}
	}
	for _, change := range commit.GetChanges() {
		if !adds { // the removals alone were at fault
			delete(d.removes, wire.Device(change.GetRemove()))
		}
	}
}

// leaves says where each device stands in the tree.
func (c *Chat) leaves() map[demes.DeviceID]mls.LeafIndex {
	out := make(map[demes.DeviceID]mls.LeafIndex, len(c.fold.Members))
	c.fold.group.Members(func(i mls.LeafIndex, leaf *mls.LeafNode) bool {
		out[leafDevice(leaf)] = i
		return true
	})
	return out
}

// addWanted adds who wants to come in, as far as all of them fit: what one takes,
// the last use of an invite for one, the others do not have.
func (c *Chat) addWanted(commit *wire.Commit, order *mls.Commit, leaves map[demes.DeviceID]mls.LeafIndex, trial *Fold) {
	for _, d := range sortedDevices(c.door.wanted) {
		who := c.door.wanted[d]
		body, device, err := wire.OpenJoin(who.request)
		if err != nil || c.fold.admits(c.self, body, device) != "" {
			delete(c.door.wanted, d)
			continue
		}
		if len(order.Add) == MaxCommitAdds {
			continue
		}
		proposed := &proposals{adds: []*mls.KeyPackage{who.keys}, removes: map[demes.DeviceID]bool{}}
		old := wire.Device(body.GetReplaces())
		at, is := leaves[old]
		if proposed.removes[old] = is && old != c.self && !c.door.removes[old]; !proposed.removes[old] && !old.IsZero() {
			continue // somebody else puts this device's successor in its place
		}
		if trial.add(trial.Members[c.self], who.request, proposed) != "" {
			continue // it is judged again when this commit has settled
		}
		if is {
			order.Remove = append(order.Remove, at)
			delete(leaves, old)
		}
		commit.Changes = append(commit.Changes, &wire.Change{Kind: &wire.Change_Add{Add: who.request}})
		order.Add = append(order.Add, who.keys)
	}
}

// addRemoves takes out whom this device may take out: what it might once, it may
// not for ever.
func (c *Chat) addRemoves(commit *wire.Commit, order *mls.Commit, leaves map[demes.DeviceID]mls.LeafIndex, trial *Fold) {
	for _, d := range sortedDevices(c.door.removes) {
		at, is := leaves[d]
		if c.fold.Members[d] != nil && !is {
			continue // another took its place in this very commit
		}
		if trial.remove(trial.Members[c.self], d) != "" {
			delete(c.door.removes, d)
			continue
		}
		order.Remove = append(order.Remove, at)
		commit.Changes = append(commit.Changes, &wire.Change{Kind: &wire.Change_Remove{Remove: d[:]}})
	}
}

// rejoinCommit wraps the next external commit that a member asked for and that is
// good.
func (c *Chat) rejoinCommit() *wire.Commit {
	for _, d := range sortedDevices(c.door.rejoins) {
		commit := &wire.Commit{Epoch: c.fold.Epoch, Mls: c.door.rejoins[d]}
		delete(c.door.rejoins, d)
		seen, err := c.fold.group.Commit(commit.GetMls(), time.UnixMilli(c.fold.LogMs))
		trial := c.fold.trial()
		trial.LogMs = max(trial.LogMs, c.now.Wall) // about what the host will stamp: a quiet chat's log time stands
		if err != nil || !seen.External || trial.rejoin(commit, seen) != "" {
			continue
		}
		// Its tags and secrets nobody sees who has no keys. One that cannot be processed
		// is never proposed: it would hold up all that this device says behind it.
		c.keys.drop()
		staged, err := c.keys.receive(commit.GetMls(), c.fold.LogMs)
		if err == nil && seen.Next.MatchesStaged(staged) {
			staged.Discard()
			return commit
		}
	}
	return nil
}

// refreshDue reports whether this device may renew its keys now: the host will
// stamp about what this device's clock says.
func (c *Chat) refreshDue() bool {
	return c.door.refresh && (c.fold.RefreshedMs == 0 || max(c.now.Wall, c.fold.LogMs)-c.fold.RefreshedMs >= RefreshGap)
}

// keepOwn keeps a commit of this device until it is final or lost.
func (k *keys) keepOwn(event demes.Hash, staged *mls.Staged) {
	k.own = &ownCommit{event: event, staged: staged}
	if stored, err := staged.MarshalBinary(); err == nil {
		k.fresh = append(k.fresh, SecretChange{Space: spaceOwn, Reset: true, Put: []Value{
			{Name: "event", Data: event[:]}, {Name: "staged", Data: stored},
		}})
	}
}

// Keys of a device that says nothing age as well: each renews its own now and
// then, so that who has stolen them loses them again. A device that never did
// comes first; its place in the tree costs every commit a ciphertext of its own.
const (
	RefreshFirst = 60_000             // ms after a device came
	RefreshEvery = 7 * 24 * 3_600_000 // ms after its last commit
	refreshSpan  = 10 * RefreshFirst  // so that not all want to at once
)

// planRefresh says when this device's keys are to be renewed.
func (c *Chat) planRefresh() {
	k := &c.keys
	if k.group == nil {
		return
	}
	wait := int64(RefreshEvery)
	if k.group.Leaf(k.group.Self()).Source != mls.SourceCommit && len(c.fold.Members) > 1 {
		wait = RefreshFirst
	}
	k.refreshAt = c.now.Mono + wait + int64(c.cfg.Rand()%refreshSpan)
}

// refresh asks for new keys when they are due.
func (c *Chat) refresh() {
	k := &c.keys
	if k.refreshAt == 0 || k.refreshAt > c.now.Mono {
		return
	}
	k.refreshAt = c.now.Mono + RefreshGap + int64(c.cfg.Rand()%refreshSpan)
	c.door.refresh = c.fold.Live && len(c.fold.Members) > 1
}
