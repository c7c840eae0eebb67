package chat

import (
	"fmt"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// commits has a guest's device write a commit event of its own making.
func (r *room) commits(by *guest, make func(context demes.Hash) *wire.Commit) *demes.Event {
	r.t.Helper()
	return r.forges(by, demes.KindCommit, demes.Hash{}, func(context demes.Hash) []byte { return wire.Marshal(make(context)) })
}

// refresh is a guest's good commit of new keys; its program does not know of it.
func (by *guest) refresh(context demes.Hash) *wire.Commit {
	by.room.t.Helper()
	c := by.chat
	staged, err := c.keys.group.Commit(mls.Commit{Envelope: mls.Envelope{AuthenticatedData: context[:]}}, time.UnixMilli(c.fold.LogMs))
	if err != nil {
		by.room.t.Fatal(err)
	}
	defer staged.Discard()
	return &wire.Commit{Epoch: c.fold.Epoch, Mls: staged.Message}
}

// TestACommitThatNobodyCanFollowStopsNobody has a member write commits that look
// good from outside and that no member can process, or that cannot be judged: they
// change no keys, and the others go on, with messages and with commits.
func TestACommitThatNobodyCanFollowStopsNobody(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(evil *guest, context demes.Hash) *wire.Commit
	}{
		{"with a broken membership tag", func(evil *guest, context demes.Hash) *wire.Commit {
			commit := evil.refresh(context)
			commit.Mls[len(commit.Mls)-1] ^= 1
			return commit
		}},
		{"with a broken confirmation tag", func(evil *guest, context demes.Hash) *wire.Commit {
			commit := evil.refresh(context)
			commit.Mls[len(commit.Mls)-40] ^= 1
			return commit
		}},
		{"of an epoch that never comes", func(evil *guest, context demes.Hash) *wire.Commit {
			commit := evil.refresh(context)
			commit.Epoch = 1 << 60
			return commit
		}},
		{"of the next epoch", func(evil *guest, context demes.Hash) *wire.Commit {
			commit := evil.refresh(context)
			commit.Epoch++
			return commit
		}},
		{"of garbage", func(evil *guest, _ demes.Hash) *wire.Commit {
			return &wire.Commit{Epoch: evil.chat.fold.Epoch, Mls: []byte("garbage")}
		}},
	} {
		for _, n := range []int{2, 3, 4} {
			t.Run(fmt.Sprintf("%s, of %d", c.name, n), func(t *testing.T) {
				r := newRoom(t, n)
				evil := r.backup()
				epoch := evil.chat.fold.Epoch
				e := r.commits(evil, func(context demes.Hash) *wire.Commit { return c.make(evil, context) })
				evil.gives(e, r.others(evil)...)
				r.run(3_000)
				want := r.host().chat.fold.Position
				for _, g := range r.others(evil) {
					if _, err := g.chat.SendText(r.clock(), "on we go", nil, ""); err != nil {
						t.Fatal(err)
					}
					want++
				}
				r.pump()
				r.until(10_000, func() bool { return r.others(evil)[0].chat.fold.Position >= want })
				for _, g := range r.others(evil) {
					if g.chat.fold.Position < want || !g.chat.keys.current(g.chat) || g.chat.fold.Epoch != epoch {
						t.Fatalf("%s is at position %d, want %d; its keys are good: %v; epoch %d, was %d\n%s", g.name, g.chat.fold.Position, want,
							g.chat.keys.current(g.chat), g.chat.fold.Epoch, epoch, r)
					}
				}
				by := r.others(evil)[0]
				by.chat.door.refresh = true
				by.chat.stage()
				r.pump()
				if !r.until(10_000, func() bool { return by.chat.fold.Epoch == epoch+1 && by.chat.keys.current(by.chat) }) {
					t.Fatalf("the others cannot change their keys any more\n%s", r)
				}
			})
		}
	}
}
