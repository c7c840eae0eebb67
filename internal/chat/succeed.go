package chat

import (
	"slices"

	"github.com/demes-chat/demes/internal/wire"
)

// Succeed has a chat that was just entered go on where an earlier life left its
// part of the store: this device was removed and comes back, or another device's
// profile was restored and it takes that one's place. What was final stays and can
// be read; what was not may have come otherwise, and goes back to the tail. What
// the earlier life had not sent is not sent: it may have been, by the very copy
// that made a new device necessary (docs/protocol.md#old-copies).
func (c *Chat) Succeed(saved *Saved) {
	b := c.batch()
	for _, item := range saved.Outbox {
		b.OutboxDone = append(b.OutboxDone, item.Seq)
	}
	for name := range saved.Values {
		if slices.Contains([]string{"unread", "lacks", "rekey", "raft.hard", "raft.config", "raft.compacted", "raft.applied", "elector"}, name) && !c.puts(name) {
			c.put(name, nil)
		}
	}
	if b.Raft == nil {
		b.Raft = &RaftChange{Generation: c.fold.Head.Generation, Reset: true}
	}
	spaces := []string{spaceOwn, spaceBack}
	if c.keys.group == nil {
		spaces = append(spaces, spaceNow) // of the earlier life's leaf
	}
	for _, space := range spaces {
		b.Secrets = append([]SecretChange{{Space: space, Reset: true}}, b.Secrets...)
	}
	proof, start := &wire.FinalProof{}, &wire.State{}
	_ = wire.Unmarshal(saved.Values["final"], proof) // a malformed one is the zero head
	_ = wire.Unmarshal(saved.Values["start"], start)
	final := min(max(proofHead(proof).Index, start.GetIndex()), c.fold.Head.Index)
	b.Unsettle = &final
	for _, e := range saved.Tail {
		if c.tail.hold(c.fold, e) != held {
			b.Drop = append(b.Drop, e.ID)
		}
	}
}

// puts reports whether this turn's batch gives a value already.
func (c *Chat) puts(name string) bool {
	return slices.ContainsFunc(c.batch().Put, func(v Value) bool { return v.Name == name })
}
