package council

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// Limits of the log in memory (docs/protocol.md#council).
const (
	// KeepEntries and KeepBytes bound the applied entries that stay in memory for
	// followers that lag: two seconds of a very busy chat, and small enough that a
	// hundred chats fit into one node. Who needs more fetches the settled log.
	KeepEntries = 4096
	KeepBytes   = 1 << 20
	// keepForActive is how many times more a host keeps for a follower that is
	// connected and still catching up.
	keepForActive = 4
	// compactStep is how many entries are dropped at once at least, so that
	// compaction is rare.
	compactStep = 512
	// MaxCheckpoint bounds what SetCheckpoint puts into a snapshot: a head.
	MaxCheckpoint = 4 << 10
)

// Entry is one entry of the council's log, opaque to whoever stores it.
type Entry struct {
	Index uint64
	Term  uint64
	Type  int32
	Data  []byte
}

// Saved is what a group goes on from after a restart: what its Readys asked to
// be made durable.
type Saved struct {
	Hard      []byte // newest Ready.Hard
	Config    []byte // newest Ready.Config
	Compacted Entry  // index and term of what is before Entries[0]; zero: the beginning
	Applied   uint64
	Entries   []Entry
}

// storage is the log as far as Ready has handed it out. It implements
// raft.Storage.
type storage struct {
	hard *pb.HardState
	// Invariant: conf is the configuration as of applied.
	conf *pb.ConfState
	// Invariant: entries are contiguous and begin behind before; before.Index <=
	// applied <= last().
	before  Entry
	entries []*pb.Entry
	applied uint64
	// confIndex is the highest index at which a change of the council stands;
	// appliedTerm the term of the entry at applied.
	confIndex   uint64
	appliedTerm uint64
	checkpoint  checkpoint
	bytes       int    // of the entries' data
	checkedAt   uint64 // applied when surplus was last looked for
}

// checkpoint is what a follower that needs more than the log gets.
type checkpoint struct {
	index, term uint64
	conf        *pb.ConfState
	data        []byte
}

func newStorage(saved *Saved, voters []uint64, electors int) (*storage, error) {
	beginning := Entry{Index: 1, Term: 1}
	if saved == nil {
		s := &storage{
			hard: &pb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(1))},
			conf: &pb.ConfState{AutoLeave: new(false)}, before: beginning, applied: 1, appliedTerm: 1,
		}
		for id := uint64(1); id <= uint64(electors); id++ {
			if contains(voters, id) {
				s.conf.Voters = append(s.conf.Voters, id)
			} else {
				s.conf.Learners = append(s.conf.Learners, id)
			}
		}
		s.checkpoint = checkpoint{index: 1, term: 1, conf: s.conf}
		return s, nil
	}
	s := &storage{hard: &pb.HardState{}, conf: &pb.ConfState{}, before: saved.Compacted, applied: saved.Applied}
	if s.before.Index == 0 {
		s.before = beginning
	}
	if err := proto.Unmarshal(saved.Hard, s.hard); err != nil {
		return nil, fmt.Errorf("read saved term and vote: %w", err)
	}
	if err := proto.Unmarshal(saved.Config, s.conf); err != nil {
		return nil, fmt.Errorf("read saved configuration: %w", err)
	}
	if !validConf(s.conf, electors) {
		return nil, errors.New("saved configuration names others than the electors")
	}
	for i, e := range saved.Entries {
		if e.Index != s.before.Index+uint64(i)+1 {
			return nil, fmt.Errorf("saved log has a gap at index %d", e.Index)
		}
		s.entries = append(s.entries, toRaft(e))
		s.note(s.entries[i])
	}
	if s.applied < s.before.Index || s.applied > s.hard.GetCommit() || s.hard.GetCommit() > s.last() {
		return nil, fmt.Errorf("saved log ends at %d, committed %d, applied %d", s.last(), s.hard.GetCommit(), s.applied)
	}
	s.appliedTerm, _ = s.Term(s.applied)
	return s, nil
}

func toRaft(e Entry) *pb.Entry {
	kind := pb.EntryType(e.Type)
	return &pb.Entry{Index: &e.Index, Term: &e.Term, Type: &kind, Data: e.Data}
}

func fromRaft(e *pb.Entry) Entry {
	return Entry{Index: e.GetIndex(), Term: e.GetTerm(), Type: int32(e.GetType()), Data: e.GetData()}
}

func contains(ids []uint64, id uint64) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

func (s *storage) last() uint64 { return s.before.Index + uint64(len(s.entries)) }

// append overwrites from entries[0] on.
func (s *storage) append(entries []*pb.Entry) {
	if len(entries) == 0 {
		return
	}
	keep := entries[0].GetIndex() - s.before.Index - 1
	for _, e := range s.entries[keep:] {
		s.bytes -= len(e.GetData())
	}
	if s.confIndex >= entries[0].GetIndex() {
		s.confIndex = 0
		for _, e := range s.entries[:keep] {
			if e.GetType() != pb.EntryNormal {
				s.confIndex = e.GetIndex()
			}
		}
	}
	s.entries = append(s.entries[:keep:keep], entries...)
	for _, e := range entries {
		s.note(e)
	}
}

func (s *storage) note(e *pb.Entry) {
	s.bytes += len(e.GetData())
	if e.GetType() != pb.EntryNormal {
		s.confIndex = e.GetIndex()
	}
}

// restore replaces the log by a snapshot.
func (s *storage) restore(snap *pb.Snapshot) {
	meta := snap.GetMetadata()
	s.conf = meta.GetConfState()
	s.before = Entry{Index: meta.GetIndex(), Term: meta.GetTerm()}
	s.entries, s.bytes, s.confIndex = nil, 0, 0
	s.applied, s.appliedTerm = meta.GetIndex(), meta.GetTerm()
	s.checkpoint = checkpoint{index: meta.GetIndex(), term: meta.GetTerm(), conf: s.conf, data: snap.GetData()}
}

// compactTo forgets the entries up to index.
func (s *storage) compactTo(index uint64) {
	n := index - s.before.Index
	for _, e := range s.entries[:n] {
		s.bytes -= len(e.GetData())
	}
	s.before = Entry{Index: index, Term: s.entries[n-1].GetTerm()}
	s.entries = append([]*pb.Entry(nil), s.entries[n:]...)
}

// surplus is the index up to which applied entries need not be kept: behind the
// checkpoint, beyond the bounds, and, within a wider bound, not needed by an
// active follower (whose index needed is). 0: compact nothing now.
func (s *storage) surplus(needed uint64) uint64 {
	s.checkedAt = s.applied
	index, bytes := s.applied, 0
	for index > s.before.Index {
		bytes += len(s.entries[index-s.before.Index-1].GetData())
		count, factor := s.applied-index+1, 1
		if index > needed {
			factor = keepForActive
		}
		if count > uint64(KeepEntries*factor) || bytes > KeepBytes*factor {
			break
		}
		index--
	}
	if index = min(index, s.checkpoint.index); index < s.before.Index+compactStep {
		return 0
	}
	return index
}

// overfull tells cheaply whether surplus may find something.
func (s *storage) overfull() bool {
	if s.checkpoint.index < s.before.Index+compactStep || s.applied < s.checkedAt+compactStep/4 {
		return false
	}
	return s.applied-s.before.Index > KeepEntries+compactStep || s.bytes > KeepBytes
}

// InitialState implements raft.Storage.
func (s *storage) InitialState() (*pb.HardState, *pb.ConfState, error) { return s.hard, s.conf, nil }

// Entries implements raft.Storage.
func (s *storage) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	if lo <= s.before.Index {
		return nil, raft.ErrCompacted
	}
	if hi > s.last()+1 {
		return nil, raft.ErrUnavailable
	}
	some := s.entries[lo-s.before.Index-1 : hi-s.before.Index-1]
	size := uint64(0)
	for i, e := range some {
		if size += uint64(proto.Size(e)); size > maxSize && i > 0 {
			return some[:i:i], nil
		}
	}
	return some[:len(some):len(some)], nil
}

// Term implements raft.Storage.
func (s *storage) Term(i uint64) (uint64, error) {
	switch {
	case i < s.before.Index:
		return 0, raft.ErrCompacted
	case i == s.before.Index:
		return s.before.Term, nil
	case i > s.last():
		return 0, raft.ErrUnavailable
	}
	return s.entries[i-s.before.Index-1].GetTerm(), nil
}

// LastIndex implements raft.Storage.
func (s *storage) LastIndex() (uint64, error) { return s.last(), nil }

// FirstIndex implements raft.Storage.
func (s *storage) FirstIndex() (uint64, error) { return s.before.Index + 1, nil }

// Snapshot implements raft.Storage: metadata and the chat's head, never history.
func (s *storage) Snapshot() (*pb.Snapshot, error) {
	c := s.checkpoint
	if c.index < s.before.Index || c.index == 0 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &pb.Snapshot{Data: c.data, Metadata: &pb.SnapshotMetadata{
		Index: &c.index, Term: &c.term, ConfState: proto.Clone(c.conf).(*pb.ConfState),
	}}, nil
}

// SetCheckpoint says that a device which fetched the settled log of the chat up
// to what data names needs no entry of this log up to the Raft index applied.
// Call it as the log is settled, and once after New: the log in memory is cut
// up to there only. Data goes out with a snapshot and comes in by SnapshotData.
func (g *Group) SetCheckpoint(applied uint64, data []byte) {
	s := g.log
	if applied > s.applied || applied <= s.checkpoint.index && s.checkpoint.data != nil || applied < s.before.Index || len(data) > MaxCheckpoint {
		return
	}
	// The configuration is that of s.applied: it must be that of applied, too.
	if applied < s.applied && s.confIndex > applied {
		return
	}
	term, err := s.Term(applied)
	if err != nil {
		return
	}
	s.checkpoint = checkpoint{index: applied, term: term, conf: proto.Clone(s.conf).(*pb.ConfState), data: data}
}

// validConf reports whether a configuration is one that the library can
// restore, over the electors 1 to n and nobody else.
func validConf(conf *pb.ConfState, n int) bool {
	if len(conf.GetVoters()) == 0 {
		return false
	}
	for _, side := range [][]uint64{conf.GetVoters(), conf.GetLearners(), conf.GetVotersOutgoing(), conf.GetLearnersNext()} {
		if len(side) > n {
			return false
		}
		for _, id := range side {
			if id == 0 || id > uint64(n) {
				return false
			}
		}
	}
	cfg, progress, err := confchange.Restore(confchange.Changer{Tracker: tracker.MakeProgressTracker(1, 0), LastIndex: 1}, conf)
	if err != nil {
		return false
	}
	restored := tracker.ProgressTracker{Config: cfg, Progress: progress}
	if len(progress) != n {
		return false
	}
	return conf.Equivalent(restored.ConfState()) == nil
}
