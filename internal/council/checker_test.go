package council

import (
	"bytes"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// checker holds what must be true of the whole council at every step.
type checker struct {
	leaders map[uint64]int       // election safety: one leader per term
	votes   map[[2]uint64]uint64 // one vote per (voter, term), across crashes
	order   map[uint64]Entry     // log matching: committed entries by index
	last    uint64               // highest committed index
	applied map[int]uint64
	led     map[[2]uint64]bool
}

func newChecker() checker {
	return checker{map[uint64]int{}, map[[2]uint64]uint64{}, map[uint64]Entry{}, 0, map[int]uint64{}, map[[2]uint64]bool{}}
}

// leads: nobody else leads this term, and the leader has all that is committed.
func (c *checker) leads(x *node) {
	term := x.group.Term()
	if other, known := c.leaders[term]; known && other != x.n {
		x.w.t.Fatalf("seed %d, %d ms: %d and %d both lead term %d", x.w.seed, x.w.now, other, x.n, term)
	}
	c.leaders[term] = x.n
	if key := [2]uint64{uint64(x.n), term}; !c.led[key] {
		c.led[key] = true
		if x.group.LastIndex() < c.last && x.group.log.before.Index < c.last {
			x.w.t.Fatalf("seed %d, %d ms: %d leads term %d with a log up to %d, committed is %d", x.w.seed, x.w.now, x.n, term, x.group.LastIndex(), c.last)
		}
	}
}

// persisted: committed entries are the same everywhere and never change.
func (c *checker) persisted(x *node, r Ready) {
	if r.Applied < c.applied[x.n] {
		x.w.t.Fatalf("seed %d, %d ms: %d went back from %d to %d", x.w.seed, x.w.now, x.n, c.applied[x.n], r.Applied)
	}
	c.applied[x.n] = r.Applied
	for _, e := range r.Committed {
		if known, ok := c.order[e.Index]; ok && (known.Term != e.Term || !bytes.Equal(known.Data, e.Data)) {
			x.w.t.Fatalf("seed %d, %d ms: %d has %q at %d, others %q", x.w.seed, x.w.now, x.n, e.Data, e.Index, known.Data)
		}
		c.order[e.Index] = e
		c.last = max(c.last, e.Index)
	}
	hard := &pb.HardState{}
	if err := proto.Unmarshal(x.disk.saved.Hard, hard); err != nil {
		x.w.t.Fatal(err)
	}
	if hard.GetVote() != 0 {
		c.voted(x, hard.GetTerm(), hard.GetVote())
	}
}

// sent: a vote that leaves stands on the disk.
func (c *checker) sent(x *node, m Message) {
	if m.Raft == nil {
		return
	}
	message := &pb.Message{}
	if err := proto.Unmarshal(m.Raft.GetMessage(), message); err != nil {
		x.w.t.Fatal(err)
	}
	hard := &pb.HardState{}
	if err := proto.Unmarshal(x.disk.saved.Hard, hard); err != nil {
		x.w.t.Fatal(err)
	}
	switch message.GetType() {
	case pb.MsgVoteResp:
		if !message.GetReject() {
			c.voted(x, message.GetTerm(), message.GetTo())
			if hard.GetTerm() < message.GetTerm() {
				x.w.t.Fatalf("seed %d: vote of %d in term %d left before it was durable", x.w.seed, x.n, message.GetTerm())
			}
		}
	case pb.MsgAppResp:
		s := x.disk.saved
		if !message.GetReject() && message.GetIndex() > s.Compacted.Index+uint64(len(s.Entries)) {
			x.w.t.Fatalf("seed %d: %d acknowledged %d before it was durable", x.w.seed, x.n, message.GetIndex())
		}
	}
}

func (c *checker) voted(x *node, term, candidate uint64) {
	key := [2]uint64{uint64(x.n), term}
	if before, ok := c.votes[key]; ok && before != candidate {
		x.w.t.Fatalf("seed %d, %d ms: %d voted for %d and %d in term %d", x.w.seed, x.w.now, x.n, before, candidate, term)
	}
	c.votes[key] = candidate
}
