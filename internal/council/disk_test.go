package council

import (
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// disk is what survives a crash.
type disk struct {
	saved   *Saved
	history []Entry // committed entries with data, in order
}

// persist writes one Ready to the disk, and lets the checker look at it.
func (x *node) persist(r Ready) {
	d := &x.disk
	if d.saved == nil {
		d.saved = &Saved{Compacted: Entry{Index: 1, Term: 1}}
	}
	s := *d.saved
	s.Entries = slices.Clone(s.Entries)
	if r.Hard != nil {
		s.Hard = r.Hard
	}
	if r.Config != nil {
		s.Config = r.Config
	}
	if r.Snapshot != nil {
		s.Entries, s.Compacted = nil, Entry{Index: r.Snapshot.Index, Term: r.Snapshot.Term}
	}
	if len(r.Entries) > 0 {
		keep := r.Entries[0].Index - s.Compacted.Index - 1
		s.Entries = append(s.Entries[:keep], r.Entries...)
	}
	if r.CompactTo > 0 {
		s.Entries = s.Entries[r.CompactTo-s.Compacted.Index:]
		s.Compacted = Entry{Index: r.CompactTo, Term: r.CompactTerm}
	}
	s.Applied = r.Applied
	d.saved = &s
	d.history = append(d.history, r.Committed...)
	x.w.check.persisted(x, r)
	x.group.SetCheckpoint(r.Applied, fmt.Appendf(nil, "head %d", r.Applied))
}

// rot loses what a good disk keeps.
func (x *node) rot() {
	if x.disk.saved == nil || !x.forgetsVote && !x.losesTail {
		return
	}
	s := *x.disk.saved
	hard := &pb.HardState{}
	if err := proto.Unmarshal(s.Hard, hard); err != nil {
		x.w.t.Fatal(err)
	}
	if x.forgetsVote {
		hard.Vote = nil
		hard.Term = new(hard.GetTerm() - 1)
	}
	if x.losesTail && len(s.Entries) > 3 {
		s.Entries = s.Entries[:len(s.Entries)-3]
		last := s.Entries[len(s.Entries)-1].Index
		hard.Commit = new(min(hard.GetCommit(), last))
		s.Applied = min(s.Applied, last)
	}
	s.Hard = encode(hard)
	x.disk.saved = &s
}
