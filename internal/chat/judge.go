package chat

import (
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// JudgeWait is how long the host waits for the council's word on a commit, in
// milliseconds: a voter that cannot judge now must not stop the chat.
const JudgeWait = 1_000

// judgement is the host's collection of what voters say of one commit.
type judgement struct {
	epoch   uint64 // of the chat when it was asked for
	said    map[demes.DeviceID]bool
	untilMs int64 // Mono
}

// Only members can tell whether a commit's secrets are right, each for itself
// (RFC 9420 §16.12). So before the host puts a commit into the log, a majority of
// the council says that it could process it (docs/protocol.md#judging).

// fits reports whether the host may put an event into the log now.
func (c *Chat) fits(e *demes.Event) bool {
	if e.Kind != demes.KindCommit {
		return true
	}
	commit := &wire.Commit{}
	if wire.Unmarshal(e.Payload, commit) != nil || commit.GetEpoch() < c.fold.Epoch {
		return true // it will be void
	}
	j := c.host.judged[e.Hash]
	if j == nil || j.epoch != c.fold.Epoch {
		j = c.askJudges(e)
	}
	if commit.GetEpoch() > c.fold.Epoch {
		return c.now.Mono >= j.untilMs // what it stands on has not settled here; if it never does, it is void
	}
	good, bad, voters := 0, 0, c.seat.group.Voters()
	for _, d := range voters {
		if word, said := j.said[d]; said && word {
			good++
		} else if said {
			bad++
		}
	}
	switch {
	case good > len(voters)/2:
		return true
	case bad > len(voters)/2:
		return false
	}
	return c.now.Mono >= j.untilMs
}

// askJudges shows the voters a commit: who holds it says what it finds.
func (c *Chat) askJudges(e *demes.Event) *judgement {
	for hash, old := range c.host.judged {
		if old.epoch != c.fold.Epoch {
			delete(c.host.judged, hash)
		}
	}
	j := &judgement{epoch: c.fold.Epoch, said: map[demes.DeviceID]bool{}, untilMs: c.now.Mono + JudgeWait}
	c.host.judged[e.Hash] = j
	if good, can := c.judge(e); can {
		j.said[c.self] = good
	}
	for _, d := range c.seat.group.Voters() {
		if d != c.self && c.isConnected(d) && c.peers[d].holds[e.ID.Device] < e.ID.Seq {
			c.sendEvents(d, []*demes.Event{e})
		}
	}
	c.wake(JudgeWait)
	return j
}

// judge says whether this device could process a commit that is not settled; can
// is false when it cannot tell.
func (c *Chat) judge(e *demes.Event) (good, can bool) {
	commit := &wire.Commit{}
	if wire.Unmarshal(e.Payload, commit) != nil || !c.keys.current(c) || commit.GetEpoch() != c.fold.Epoch {
		return false, false
	}
	public, err := c.fold.group.Commit(commit.GetMls(), time.UnixMilli(c.fold.LogMs))
	if err != nil {
		return true, true // it will be void, and harm nobody
	}
	k := &c.keys
	if k.own != nil && k.own.event == e.Hash {
		return true, true
	}
	if k.staged != nil && k.stagedOf == e.Hash {
		return true, true
	}
	staged, err := k.receive(commit.GetMls(), c.fold.LogMs)
	if err != nil || !staged.Expelled && !public.Next.MatchesStaged(staged) {
		return false, true
	}
	k.drop()
	k.staged, k.stagedOf = staged, e.Hash // the work is done once
	return true, true
}

// judgeHeld tells the host what this voter finds of a commit that it holds.
func (c *Chat) judgeHeld(e *demes.Event) {
	host, known := c.hostNow()
	if e.Kind != demes.KindCommit || !known || host == c.self || c.seat.group == nil || !c.seat.group.IsVoter() {
		return
	}
	if good, can := c.judge(e); can {
		c.send(host, &wire.Frame{Kind: &wire.Frame_Judge{Judge: &wire.Judge{Event: e.Hash[:], Good: good}}})
	}
}

// judgeAll looks again at the commits that are held, in a new epoch or for a new
// host.
func (c *Chat) judgeAll() {
	for _, d := range sortedDevices(c.tail.logs) {
		for _, e := range c.tail.logs[d] {
			c.judgeHeld(e)
		}
	}
}

// stepJudge takes a voter's word.
func (c *Chat) stepJudge(from demes.DeviceID, m *wire.Judge) error {
	if j := c.host.judged[wire.HashOf(m.GetEvent())]; j != nil {
		j.said[from] = m.GetGood()
	}
	return nil
}
