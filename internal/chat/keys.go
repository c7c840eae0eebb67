package chat

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Limits of past keys: messages that were sealed before a change of keys and come
// after it open for so long (docs/protocol.md#keys).
const (
	MaxPastEpochs = 32
	PastKeysFor   = 24 * 3_600_000 // ms
	// PadTo is the multiple to which sealed contents are padded, in bytes: short
	// messages look alike.
	PadTo = 256
)

// The spaces of a chat's secret records.
const (
	spaceNow  = "now"   // the group in its newest final epoch
	spacePast = "past/" // with the epoch's number: what still opens late messages
	spaceOwn  = "own"   // a commit of this device that is not final
	spaceBack = "back"  // the group that an external commit of this device leads to
)

// keys are this device's secrets of the chat's MLS group. They follow the settled
// log: a commit that settles is staged, and taken once it is final. So no change
// of keys is ever rolled back (docs/protocol.md#keys).
type keys struct {
	group *mls.Group // nil: lost; this device comes back by an external commit
	past  []pastKeys // oldest first
	next  []rekey    // settled, valid and not final, in order
	own   *ownCommit
	back  *comeback

	staged   *mls.Staged // a commit of another on group's epoch
	stagedOf demes.Hash  // the event that it stands in

	used  bool           // group has changes that are not part of a batch
	fresh []SecretChange // of this turn, beside those

	backAt    int64 // Mono ms when this device asks again for the way back
	backWait  int64
	backTurn  int            // whose turn it is to be asked
	backDoubt bool           // a way back led nowhere
	backFrom  demes.DeviceID // who was asked last
	info      []byte         // the group info of the epoch, once somebody asked for it
	pruneAt   int64          // wall ms when the oldest past keys go; 0: there are none
	// refreshAt is the Mono time in ms when this device wants new keys; 0: never.
	refreshAt int64
}

// pastKeys is an epoch that is over, for what comes late.
type pastKeys struct {
	epoch   uint64
	untilMs int64 // wall clock
	group   *mls.Group
	used    bool // it has changes that are not part of a batch
}

// rekey is a settled commit that is not final.
type rekey struct {
	index  uint64
	event  demes.Hash
	mls    []byte
	atMs   int64 // log time, by which it was judged
	cuts   bool  // it removes somebody: what is said now waits for it
	public *mls.Observer
}

// ownCommit is a commit that this device made.
type ownCommit struct {
	event  demes.Hash
	staged *mls.Staged
}

// comeback is an external commit of this device and where it leads.
type comeback struct {
	mls   []byte
	group *mls.Group
	epoch uint64 // that it ends
}

// newProfile is a fresh leaf key of this device, chained to it; scope is the chat,
// or the group's id where the chat has none yet.
func newProfile(cfg *Config, suite mls.Suite, scope []byte) (mls.Profile, error) {
	key, err := suite.NewSigningKey()
	if err != nil {
		return mls.Profile{}, fmt.Errorf("make leaf key: %w", err)
	}
	identity := wire.SealCredential(cfg.Key, cfg.Cert, scope, key.Public())
	return mls.Profile{Suite: suite, Credential: mls.Basic(identity), Key: key}, nil
}

// forEver is the lifetime of key packages: how long one is good its request says,
// which is judged by log time. A device whose clock is wrong can still join.
var forEver = mls.Lifetime{NotAfter: math.MaxUint64}

// NewKeyPackage makes what a member needs to let this device into the chat, and
// what this device needs to enter with it (docs/protocol.md#joining). suite is the
// number of the chat's.
func NewKeyPackage(cfg Config, chat demes.ChatID, suite uint32) (*mls.KeyPackageSecrets, error) {
	profile, err := newProfile(&cfg, mls.Suite(suite), chat[:])
	if err != nil {
		return nil, err
	}
	return mls.NewKeyPackage(profile, forEver)
}

// policy is leafPolicy with this device's cores.
func (c *Chat) policy() mls.Policy {
	p := leafPolicy(&c.id)
	p.Parallel = c.cfg.Parallel
	return p
}

// foundGroup makes the group of a new chat, and what its found event says of it.
func (c *Chat) foundGroup(suite mls.Suite, id []byte) (info []byte, err error) {
	profile, err := newProfile(&c.cfg, suite, id)
	if err != nil {
		return nil, err
	}
	first, err := mls.NewKeyPackage(profile, forEver)
	if err != nil {
		return nil, err
	}
	if c.keys.group, err = mls.Create(id, first, c.policy()); err != nil {
		return nil, err
	}
	c.keys.used = true
	return c.keys.group.GroupInfo(true)
}

// enterGroup joins by the welcome of a base. Without one that fits, this device
// comes in by an external commit.
func (c *Chat) enterGroup(base *wire.Base, secrets *mls.KeyPackageSecrets) {
	if len(base.GetWelcome()) == 0 || secrets == nil {
		return
	}
	group, err := mls.Join(base.GetWelcome(), base.GetTree(), secrets, c.policy())
	if err != nil || !c.fold.group.Matches(group) {
		return
	}
	c.keys.group, c.keys.used = group, true
}

// add notes a settled commit.
func (k *keys) add(e *demes.Event, index uint64, atMs int64, public *mls.Observer) {
	commit := &wire.Commit{}
	if wire.Unmarshal(e.Payload, commit) != nil {
		return
	}
	cuts := slices.ContainsFunc(commit.GetChanges(), removesSomebody)
	k.next = append(k.next, rekey{index: index, event: e.Hash, mls: commit.GetMls(), atMs: atMs, cuts: cuts, public: public})
}

// removesSomebody reports whether a change takes a device out: also one whose place
// another takes.
func removesSomebody(change *wire.Change) bool {
	body := &wire.JoinBody{}
	return change.GetAdd() == nil || wire.Unmarshal(change.GetAdd().GetBody(), body) == nil && !wire.Device(body.GetReplaces()).IsZero()
}

// settled follows a commit that took effect in the log.
func (k *keys) settled(c *Chat, e *demes.Event) {
	k.add(e, c.fold.Head.Index, c.fold.LogMs, c.fold.group)
	if len(k.next) == 1 {
		c.put("rekey", number(k.next[0].index))
	}
	k.stage()
	k.advance(c)
}

// stage checks the first settled commit against this device's secrets, ahead of
// its being final.
func (k *keys) stage() {
	if len(k.next) == 0 || k.group == nil || k.stagedOf == k.next[0].event && k.staged != nil {
		return
	}
	first := &k.next[0]
	if k.own != nil && k.own.event == first.event && k.own.staged != nil {
		return
	}
	k.drop()
	staged, err := k.receive(first.mls, first.atMs)
	if err != nil || first.public != nil && !staged.Expelled && !first.public.MatchesStaged(staged) {
		return // take says what follows
	}
	k.staged, k.stagedOf = staged, first.event
}

func (k *keys) receive(commit []byte, atMs int64) (*mls.Staged, error) {
	r, err := k.group.Receive(commit, time.UnixMilli(atMs))
	if err != nil {
		return nil, err
	}
	if r.Commit == nil {
		return nil, fmt.Errorf("no commit: %w", ErrInvalid)
	}
	return r.Commit, nil
}

// drop forgets a commit of another that was staged.
func (k *keys) drop() {
	if k.staged != nil {
		k.staged.Discard()
	}
	k.staged, k.stagedOf = nil, demes.Hash{}
}

// lose gives this device's secrets up. Messages of the epochs that it knew go on
// opening.
func (k *keys) lose(c *Chat) {
	if k.group == nil {
		return
	}
	k.keepPast(c)
	k.drop()
	k.group, k.own = nil, nil
	k.fresh = append(k.fresh, SecretChange{Space: spaceNow, Reset: true}, SecretChange{Space: spaceOwn, Reset: true})
	c.notice(Notice{Kind: NoticeMembers})
}

// advance takes the commits that are final.
func (k *keys) advance(c *Chat) {
	for len(k.next) > 0 && (k.next[0].index <= c.final.index || c.cfg.Planted.Hasty) {
		first := k.next[0]
		k.stage() // after a restart it is not yet
		k.next = k.next[1:]
		k.take(c, &first)
		from := []byte(nil)
		if len(k.next) > 0 {
			from = number(k.next[0].index)
		}
		c.put("rekey", from)
		k.stage()
		c.reading.again = true
		c.notice(Notice{Kind: NoticeMembers})
	}
}

// take enters the epoch that a final commit leads to. What cannot be processed
// here, others may well have processed: then this device's keys are lost.
func (k *keys) take(c *Chat, first *rekey) {
	defer c.judgeAll()
	if k.back != nil && bytes.Equal(k.back.mls, first.mls) {
		k.comeBack(c)
		return
	}
	staged := k.staged
	if k.own != nil && k.own.event == first.event {
		staged = k.own.staged
	} else if k.stagedOf != first.event {
		staged = nil
	}
	if k.group == nil {
		return
	}
	if staged == nil {
		k.lose(c)
		return
	}
	k.keepPast(c)
	k.info = nil
	if err := k.group.Merge(staged); err != nil {
		k.lose(c)
		return
	}
	k.staged, k.stagedOf, k.used = nil, demes.Hash{}, true
	k.forgetOwn()
	c.planRefresh()
	if k.group.Expelled() {
		k.group = nil
		k.fresh = append(k.fresh, SecretChange{Space: spaceNow, Reset: true})
	}
}

// forgetOwn drops this device's commit: it was taken, or another won.
func (k *keys) forgetOwn() {
	if k.own == nil {
		return
	}
	k.own.staged.Discard()
	k.own = nil
	k.fresh = append(k.fresh, SecretChange{Space: spaceOwn, Reset: true})
}

// keepPast keeps the epoch that ends, for what comes late.
func (k *keys) keepPast(c *Chat) {
	until := c.now.Wall + PastKeysFor
	k.past = append(k.past, pastKeys{epoch: k.group.Epoch(), untilMs: until, group: k.group.Freeze(), used: true})
	c.put("past."+strconv.FormatUint(k.group.Epoch(), 10), number(uint64(until)))
	for len(k.past) > MaxPastEpochs {
		k.forgetPast(c)
	}
	k.schedulePrune()
}

// forgetPast deletes the oldest past keys.
func (k *keys) forgetPast(c *Chat) {
	name := strconv.FormatUint(k.past[0].epoch, 10)
	k.past = k.past[1:]
	k.fresh = append(k.fresh, SecretChange{Space: spacePast + name, Reset: true})
	c.put("past."+name, nil)
}

// prune deletes past keys whose time is over.
func (k *keys) prune(c *Chat) {
	for len(k.past) > 0 && k.past[0].untilMs <= c.now.Wall {
		k.forgetPast(c)
	}
	k.schedulePrune()
}

func (k *keys) schedulePrune() {
	k.pruneAt = 0
	if len(k.past) > 0 {
		k.pruneAt = k.past[0].untilMs
	}
}

// unsettle takes back the commits above an index that a change of generation
// unsettled. None of them was final. This device's own stays: it may settle again.
func (k *keys) unsettle(c *Chat, to uint64) {
	k.next = slices.DeleteFunc(k.next, func(r rekey) bool { return r.index > to })
	if len(k.next) == 0 {
		k.drop()
		c.put("rekey", nil)
	}
}

// current reports whether this device's keys are those of the settled log.
func (k *keys) current(c *Chat) bool {
	return k.group != nil && len(k.next) == 0 && c.fold.group.Matches(k.group)
}

// maySend reports whether contents may be sealed now: not while a removal waits
// to be final, as long as the council can make it so. Without a quorum they go
// out under the last final keys (docs/protocol.md#keys).
func (k *keys) maySend(c *Chat) bool {
	if k.group == nil {
		return false
	}
	cut := slices.ContainsFunc(k.next, func(r rekey) bool { return r.cuts })
	return !cut || c.mode == demes.ModeProvisional
}

// openContent decrypts a message of an epoch whose keys are here; known is false
// when they are not.
func (k *keys) openContent(message []byte, epoch uint64) (r *mls.Received, known bool, err error) {
	if k.group != nil && k.group.Epoch() == epoch {
		k.used = true
		r, err = k.group.Receive(message, time.Time{})
		return r, true, err
	}
	for i := range k.past {
		if p := &k.past[i]; p.epoch == epoch {
			p.used = true
			r, err = p.group.Receive(message, time.Time{})
			return r, true, err
		}
	}
	return nil, false, nil
}

// ahead reports whether the keys of an epoch may still come to this device.
func (k *keys) ahead(c *Chat, epoch uint64) bool {
	if k.group == nil {
		return k.back != nil && epoch > k.back.epoch || epoch > c.fold.Epoch || epoch == c.fold.Epoch && k.back == nil
	}
	return epoch > k.group.Epoch()
}

// sealContent encrypts what an item says, for the event that context names.
func (k *keys) sealContent(plain []byte, context demes.Hash) ([]byte, error) {
	if k.group == nil {
		return nil, errors.New("no keys")
	}
	k.used = true
	return k.group.Send(plain, mls.Envelope{AuthenticatedData: context[:], PadTo: PadTo})
}

// Authenticator is the epoch that this device's keys are of, and the epoch
// authenticator (RFC 9420 §8.7): equal on members that are in the same epoch of the
// same group. Nil without keys.
func (c *Chat) Authenticator() (epoch uint64, secret []byte) {
	if c.keys.group == nil {
		return 0, nil
	}
	return c.keys.group.Epoch(), c.keys.group.Authenticator()
}
