package council

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// victim is a group that a hostile peer talks to: elector 2 of 3, which follows
// 1 in term 2 and holds a few entries.
func victim(t testing.TB) *node {
	w := settled(t, 1, 3, 3)
	for _, text := range []string{"a", "b", "c"} {
		if err := w.propose(text); err != nil {
			t.Fatal(err)
		}
		w.run(500)
	}
	w.cut = map[[2]int]bool{}
	for i := range 3 {
		for k := range 3 {
			w.cut[[2]int{i + 1, k + 1}] = true
		}
	}
	return w.node(2)
}

func (x *node) attack(from int, m *pb.Message, note *wire.Handover) error {
	err := x.group.Step(x.w.clock(), testDevice(from), &wire.Raft{Message: encode(m), Note: note})
	x.drain()
	return err
}

// drain lets the group do all it wants to, at once.
func (x *node) drain() (sent []Message) {
	for {
		r, ok := x.group.Ready()
		if !ok {
			return sent
		}
		x.persist(r)
		x.group.Advance()
		sent = append(sent, r.Messages...)
	}
}

func message(kind pb.MessageType, from, to, term uint64) *pb.Message {
	return &pb.Message{Type: kind.Enum(), From: &from, To: &to, Term: &term}
}

func entry(index, term uint64, kind pb.EntryType, data string) *pb.Entry {
	return &pb.Entry{Index: &index, Term: &term, Type: &kind, Data: []byte(data)}
}

func note(signer, to int, term uint64, change func(*wire.HandoverBody)) *wire.Handover {
	chat, device, target := demes.ChatID{1}, testDevice(signer), testDevice(to)
	body := &wire.HandoverBody{Chat: chat[:], Generation: 1, Term: term, To: target[:]}
	if change != nil {
		change(body)
	}
	raw := encode(body)
	return &wire.Handover{Body: raw, Device: device[:], Signature: testSign(device)(raw)}
}

// hostile is a message that no correct elector sends; last is the victim's last
// index.
type hostile struct {
	name string
	from int
	m    func(last uint64) *pb.Message
	note *wire.Handover
}

// with is a message with the fields of a good one, spoiled by more.
func with(kind pb.MessageType, from, term uint64, more func(m *pb.Message, last uint64)) func(uint64) *pb.Message {
	return func(last uint64) *pb.Message {
		m := message(kind, from, 2, term)
		m.Index, m.LogTerm = &last, new(uint64(2))
		if more != nil {
			more(m, last)
		}
		return m
	}
}

// appended is an append of one entry by the host.
func appended(kind pb.EntryType, data string) func(last uint64) *pb.Message {
	return with(pb.MsgApp, 1, 2, func(m *pb.Message, last uint64) {
		m.Entries = []*pb.Entry{entry(last+1, 2, kind, data)}
	})
}

func transfer(m *pb.Message, _ uint64) { m.Context = []byte("CampaignTransfer") }

func changeOf(transition *pb.ConfChangeTransition, kinds ...pb.ConfChangeType) string {
	cc := &pb.ConfChangeV2{Transition: transition}
	for i, kind := range kinds {
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(uint64(i) + 1)})
	}
	return string(encode(cc))
}

func hostileSenders() []hostile {
	return []hostile{
		{"a stranger", 9, with(pb.MsgApp, 9, 2, nil), nil},
		{"somebody who claims to be the host", 3, with(pb.MsgApp, 1, 2, nil), nil},
		{"a message to somebody else", 1, func(uint64) *pb.Message { return message(pb.MsgHeartbeat, 1, 3, 2) }, nil},
		{"its own echo", 2, with(pb.MsgApp, 2, 2, nil), nil},
		{"term 0, local to the library", 1, with(pb.MsgApp, 1, 0, nil), nil},
		{"a term of the far future", 3, with(pb.MsgVote, 3, 5_000_000, nil), nil},
		{"the last term of all", 3, with(pb.MsgHeartbeat, 3, 1<<63, nil), nil},
		{"a proposal", 3, with(pb.MsgProp, 3, 2, nil), nil},
		{"forget your leader", 3, with(pb.MsgForgetLeader, 3, 2, nil), nil},
		{"transfer the lead", 3, with(pb.MsgTransferLeader, 3, 2, nil), nil},
		{"read the index", 3, with(pb.MsgReadIndex, 3, 2, nil), nil},
		{"campaign", 3, with(pb.MsgHup, 3, 2, nil), nil},
		{"storage says it appended", 3, with(pb.MsgStorageAppendResp, 3, 2, nil), nil},
		{"a type that does not exist", 3, with(pb.MessageType(77), 3, 2, nil), nil},
		{"a second leader of the term: beat", 3, with(pb.MsgHeartbeat, 3, 2, nil), nil},
		{"a second leader of the term: append", 3, with(pb.MsgApp, 3, 2, nil), nil},
	}
}

func hostileVotes() []hostile {
	return []hostile{
		{"a vote forced without a note", 3, with(pb.MsgVote, 3, 3, transfer), nil},
		{"a vote forced with a note for another", 3, with(pb.MsgVote, 3, 3, transfer), note(1, 2, 2, nil)},
		{"a vote forced with one's own note", 3, with(pb.MsgVote, 3, 3, transfer), note(3, 3, 2, nil)},
		{"a vote forced with an old note", 3, with(pb.MsgVote, 3, 3, transfer), note(1, 3, 1, nil)},
		{"a vote forced two terms on", 3, with(pb.MsgVote, 3, 4, transfer), note(1, 3, 2, nil)},
		{"a vote forced with another chat's note", 3, with(pb.MsgVote, 3, 3, transfer), note(1, 3, 2, func(b *wire.HandoverBody) { b.Chat = []byte{9} })},
		{"a vote forced with another generation's note", 3, with(pb.MsgVote, 3, 3, transfer), note(1, 3, 2, func(b *wire.HandoverBody) { b.Generation = 2 })},
		{"a pre-vote that claims to be forced", 3, with(pb.MsgPreVote, 3, 3, transfer), note(1, 3, 2, nil)},
		{"campaign now, from another", 3, with(pb.MsgTimeoutNow, 3, 2, nil), note(1, 2, 2, nil)},
		{"campaign now, without a note", 1, with(pb.MsgTimeoutNow, 1, 2, nil), nil},
		{"campaign now, with another's note", 1, with(pb.MsgTimeoutNow, 1, 2, nil), note(1, 3, 2, nil)},
		{"a vote for an empty log", 3, with(pb.MsgVote, 3, 3, func(m *pb.Message, _ uint64) { m.Index = nil }), nil},
		{"a vote for a log of the future", 3, with(pb.MsgVote, 3, 3, func(m *pb.Message, _ uint64) { m.LogTerm = new(uint64(3)) }), nil},
	}
}

func hostileAppends() []hostile {
	joint := pb.ConfChangeTransitionJointImplicit.Enum()
	voter, learner := pb.ConfChangeAddNode, pb.ConfChangeAddLearnerNode
	return []hostile{
		{"entries with a gap", 1, with(pb.MsgApp, 1, 2, func(m *pb.Message, last uint64) { m.Entries = []*pb.Entry{entry(last+2, 2, 0, "x")} }), nil},
		{"entries of a later term", 1, with(pb.MsgApp, 1, 2, func(m *pb.Message, last uint64) { m.Entries = []*pb.Entry{entry(last+1, 3, 0, "x")} }), nil},
		{"entries of falling terms", 1, with(pb.MsgApp, 1, 2, func(m *pb.Message, last uint64) { m.Entries = []*pb.Entry{entry(last+1, 1, 0, "x")} }), nil},
		{"an append behind nothing", 1, with(pb.MsgApp, 1, 2, func(m *pb.Message, _ uint64) { m.Index = nil }), nil},
		{"an entry beyond the limit", 1, appended(pb.EntryNormal, string(make([]byte, MaxEntry+1))), nil},
		{"an old change of the council", 1, appended(pb.EntryConfChange, "x"), nil},
		{"an entry of no type", 1, appended(pb.EntryType(9), "x"), nil},
		{"a garbled change of the council", 1, appended(pb.EntryConfChangeV2, "\xff\xff"), nil},
		{"a change to nobody", 1, appended(pb.EntryConfChangeV2, changeOf(joint, learner, learner, learner)), nil},
		{"a change to a stranger", 1, appended(pb.EntryConfChangeV2, changeOf(joint, voter, voter, voter, voter)), nil},
		{"a change that removes", 1, appended(pb.EntryConfChangeV2, changeOf(joint, voter, pb.ConfChangeRemoveNode, voter)), nil},
		{"a change without a joint phase", 1, appended(pb.EntryConfChangeV2, changeOf(nil, voter)), nil},
	}
}

func hostileOthers() []hostile {
	return []hostile{
		{"an acknowledgement of what was never sent", 3, with(pb.MsgAppResp, 3, 2, func(m *pb.Message, last uint64) { m.Index = new(last + 5) }), nil},
		{"a hint beyond its index", 3, with(pb.MsgAppResp, 3, 2, func(m *pb.Message, last uint64) { m.Reject, m.RejectHint = new(true), new(last+5) }), nil},
		{"a beat with a context", 1, with(pb.MsgHeartbeat, 1, 2, func(m *pb.Message, _ uint64) { m.Context = []byte("x") }), nil},
		{"a beat with entries", 1, with(pb.MsgHeartbeat, 1, 2, func(m *pb.Message, last uint64) { m.Entries = []*pb.Entry{entry(last+1, 2, 0, "x")} }), nil},
		{"a beat with a snapshot", 1, with(pb.MsgHeartbeat, 1, 2, func(m *pb.Message, _ uint64) { m.Snapshot = &pb.Snapshot{} }), nil},
		{"a snapshot without a council", 1, with(pb.MsgSnap, 1, 2, func(m *pb.Message, _ uint64) { m.Snapshot = snapshot(50, 2, &pb.ConfState{}) }), nil},
		{"a snapshot with strangers", 1, with(pb.MsgSnap, 1, 2, func(m *pb.Message, _ uint64) {
			m.Snapshot = snapshot(50, 2, &pb.ConfState{Voters: []uint64{1, 2, 3, 8}})
		}), nil},
		{"a snapshot that leaves electors out", 1, with(pb.MsgSnap, 1, 2, func(m *pb.Message, _ uint64) { m.Snapshot = snapshot(50, 2, &pb.ConfState{Voters: []uint64{1, 2}}) }), nil},
		{"a snapshot with a doubled voter", 1, with(pb.MsgSnap, 1, 2, func(m *pb.Message, _ uint64) {
			m.Snapshot = snapshot(50, 2, &pb.ConfState{Voters: []uint64{1, 2, 2, 3}})
		}), nil},
		{"a snapshot with impossible learners", 1, with(pb.MsgSnap, 1, 2, func(m *pb.Message, _ uint64) {
			m.Snapshot = snapshot(50, 2, &pb.ConfState{Voters: []uint64{1, 2}, LearnersNext: []uint64{3}})
		}), nil},
		{"a snapshot of a later term", 1, with(pb.MsgSnap, 1, 2, func(m *pb.Message, _ uint64) { m.Snapshot = snapshot(50, 3, &pb.ConfState{Voters: []uint64{1, 2, 3}}) }), nil},
		{"a snapshot of nothing", 1, with(pb.MsgSnap, 1, 2, nil), nil},
	}
}

func TestGuardRefuses(t *testing.T) {
	for _, c := range slices.Concat(hostileSenders(), hostileVotes(), hostileAppends(), hostileOthers()) {
		t.Run(c.name, func(t *testing.T) {
			x := victim(t)
			hard, last := string(encode(x.group.log.hard)), x.group.LastIndex()
			if err := x.attack(c.from, c.m(last), c.note); !errors.Is(err, ErrRefused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if _, _, known := x.group.Host(); !known || x.group.LastIndex() != last || string(encode(x.group.log.hard)) != hard {
				t.Error("the group changed all the same")
			}
		})
	}
}

func snapshot(index, term uint64, conf *pb.ConfState) *pb.Snapshot {
	return &pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: &index, Term: &term, ConfState: conf}}
}

func TestGuardAdmitsTheCandidateThatTheHostNamed(t *testing.T) {
	x := victim(t)
	m := message(pb.MsgVote, 3, 2, 3)
	last := x.group.LastIndex()
	m.Index, m.LogTerm, m.Context = &last, new(uint64(2)), campaignTransfer
	if err := x.attack(3, m, note(1, 3, 2, nil)); err != nil {
		t.Fatal(err)
	}
	if x.group.Term() != 3 {
		t.Error("the vote that the host asked for was not granted")
	}
}

func TestABeatBeyondTheLogIsCut(t *testing.T) {
	x := victim(t)
	m := message(pb.MsgHeartbeat, 1, 2, 2)
	m.Commit = new(uint64(1 << 40))
	if err := x.attack(1, m, nil); err != nil || x.group.Commit() != x.group.LastIndex() {
		t.Errorf("err %v, commit %d of %d", err, x.group.Commit(), x.group.LastIndex())
	}
}

func TestAChangeThatDoesNotFitHasNoEffect(t *testing.T) {
	x := victim(t)
	last := x.group.LastIndex()
	m := message(pb.MsgApp, 1, 2, 2)
	m.Index, m.LogTerm, m.Commit = &last, new(uint64(2)), new(last+1)
	m.Entries = []*pb.Entry{entry(last+1, 2, pb.EntryConfChangeV2, "")} // leave a joint phase that is none
	if err := x.attack(1, m, nil); err != nil || x.group.Frozen() || x.group.Applied() != last+1 || len(x.group.Voters()) != 3 {
		t.Errorf("err %v, stopped %v, applied %d, voters %d", err, x.group.Frozen(), x.group.Applied(), len(x.group.Voters()))
	}
}

func TestHandoverNotesAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		from int
		note *wire.Handover
	}{
		"of another":  {3, note(3, 2, 2, nil)},
		"of a term":   {1, note(1, 2, 7, nil)},
		"for another": {1, note(1, 3, 2, nil)},
		"none":        {1, nil},
		"empty":       {1, &wire.Handover{}},
		"unsigned":    {1, func() *wire.Handover { n := note(1, 2, 2, nil); n.Signature = nil; return n }()},
	} {
		x := victim(t)
		if err := x.group.HandoverNote(x.w.clock(), testDevice(c.from), c.note); !errors.Is(err, ErrRefused) || x.group.Term() != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
	x := victim(t)
	if err := x.group.HandoverNote(x.w.clock(), testDevice(1), note(1, 2, 2, nil)); err != nil || x.group.Term() != 3 {
		t.Errorf("a good note: %v, term %d", err, x.group.Term())
	}
}

// TestNoMessageStopsAGroup mutates every field of every type of message, many
// times over, against a follower, a candidate and a host.
func TestNoMessageStopsAGroup(t *testing.T) {
	rounds := 4000
	if testing.Short() {
		rounds = 400
	}
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 3))
		x := victim(t)
		x.w.check = newChecker()
		x.w.t = ignoreFatal{t} // a hostile leader may well break the order; it must not break the process
		if seed%3 == 1 {
			x.group.Lost(x.w.clock(), testDevice(1))
			x.group.Campaign(x.w.clock())
		}
		if seed%3 == 2 {
			_ = x.group.HandoverNote(x.w.clock(), testDevice(1), note(1, 2, 2, nil))
			x.drain()
			_ = x.attack(3, message(pb.MsgVoteResp, 3, 2, 3), nil)
			if !x.group.IsHost() {
				t.Fatal("the victim should lead here")
			}
		}
		for round := range rounds {
			m, from := mutant(rng, x.group), 1+rng.IntN(3)
			m.From = new(uint64(from))
			_ = x.group.Step(x.w.clock(), testDevice(from), &wire.Raft{Message: encode(m), Note: note(1, 2, x.group.Term(), nil)})
			if rng.IntN(3) > 0 {
				x.drain()
			}
			if rng.IntN(5) == 0 {
				x.w.now += rng.Int64N(400)
				x.group.Tick(x.w.clock())
			}
			if x.group.Frozen() {
				t.Fatalf("seed %d, round %d: stopped by %v", seed, round, m)
			}
		}
	}
}

type ignoreFatal struct{ testing.TB }

func (ignoreFatal) Fatalf(string, ...any) {}

// mutant is a message that is nearly right.
func mutant(rng *rand.Rand, g *Group) *pb.Message {
	near := func(at uint64) *uint64 {
		switch rng.IntN(12) {
		case 0:
			return new(rng.Uint64())
		case 1:
			return nil
		case 2:
			return new(uint64(0))
		}
		return new(at + uint64(rng.IntN(4)) - min(at, 1))
	}
	last := g.LastIndex()
	m := &pb.Message{
		Type: pb.MessageType(rng.IntN(24)).Enum(), To: new(uint64(2)), Term: near(g.Term()),
		LogTerm: near(max(g.Term(), 1) - 1), Index: near(last), Commit: near(g.Commit()), RejectHint: near(last),
	}
	if rng.IntN(2) == 0 {
		m.Type = []pb.MessageType{pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap, pb.MsgAppResp}[rng.IntN(4)].Enum()
	}
	if rng.IntN(4) == 0 {
		m.Reject = new(true)
	}
	if m.GetType() == pb.MsgApp || rng.IntN(20) == 0 {
		for i := range rng.IntN(4) {
			e := entry(m.GetIndex()+uint64(i)+1, m.GetLogTerm(), pb.EntryNormal, fmt.Sprint(rng.IntN(9)))
			if rng.IntN(4) == 0 {
				e.Type, e.Data = pb.EntryConfChangeV2.Enum(), mutantChange(rng)
			}
			if rng.IntN(10) == 0 {
				e.Index, e.Term = near(last), near(g.Term())
			}
			m.Entries = append(m.Entries, e)
		}
	}
	if m.GetType() == pb.MsgSnap || rng.IntN(20) == 0 {
		conf := &pb.ConfState{Voters: []uint64{1, 2, 3}}
		if rng.IntN(2) == 0 {
			pick := func() (out []uint64) {
				for range rng.IntN(4) {
					out = append(out, uint64(rng.IntN(5)))
				}
				return out
			}
			conf = &pb.ConfState{Voters: pick(), Learners: pick(), VotersOutgoing: pick(), LearnersNext: pick(), AutoLeave: new(rng.IntN(2) == 0)}
		}
		m.Snapshot = snapshot(0, 0, conf)
		m.Snapshot.Metadata.Index, m.Snapshot.Metadata.Term = near(last), near(g.Term())
	}
	if rng.IntN(10) == 0 {
		m.Context = campaignTransfer
	}
	return m
}

func mutantChange(rng *rand.Rand) []byte {
	cc := &pb.ConfChangeV2{Transition: pb.ConfChangeTransition(rng.IntN(4)).Enum()}
	if rng.IntN(3) == 0 {
		return nil
	}
	for i := range uint64(3) {
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeType(rng.IntN(4)).Enum(), NodeId: new(i + 1)})
	}
	if rng.IntN(2) == 0 {
		cc.Transition = pb.ConfChangeTransitionJointImplicit.Enum()
		for _, c := range cc.GetChanges() {
			c.Type = []pb.ConfChangeType{pb.ConfChangeAddNode, pb.ConfChangeAddLearnerNode}[rng.IntN(2)].Enum()
		}
	}
	return encode(cc)
}

// FuzzStep: bytes of any kind, as any elector, stop nothing.
func FuzzStep(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add(encode(message(pb.MsgHeartbeat, 1, 2, 2)), uint8(1))
	f.Add(encode(message(pb.MsgVote, 3, 2, 3)), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, from uint8) {
		x := victim(t)
		x.w.t = ignoreFatal{t}
		_ = x.group.Step(x.w.clock(), testDevice(int(from)), &wire.Raft{Message: data})
		x.drain()
		if m := new(pb.Message); x.group.Frozen() {
			_ = proto.Unmarshal(data, m)
			t.Fatalf("stopped by %v", m)
		}
		_, _ = SnapshotData(&wire.Raft{Message: data})
	})
}

func TestABeatMeetsALogThatWasJustCut(t *testing.T) {
	x := victim(t)
	last := x.group.LastIndex()
	tail := message(pb.MsgApp, 1, 2, 2)
	tail.Index, tail.LogTerm = &last, new(uint64(2))
	for i := uint64(1); i <= 3; i++ {
		tail.Entries = append(tail.Entries, entry(last+i, 2, pb.EntryNormal, "lost"))
	}
	if err := x.attack(1, tail, nil); err != nil || x.group.LastIndex() != last+3 {
		t.Fatalf("append: %v, last %d", err, x.group.LastIndex())
	}
	cut := message(pb.MsgApp, 3, 2, 3)
	cut.Index, cut.LogTerm, cut.Entries = &last, new(uint64(2)), []*pb.Entry{entry(last+1, 3, pb.EntryNormal, "kept")}
	beat := message(pb.MsgHeartbeat, 3, 2, 3)
	beat.Commit = new(last + 3)
	for _, m := range []*pb.Message{cut, beat} { // in one turn: RawNode's log is shorter than the stored one
		if err := x.group.Step(x.w.clock(), testDevice(3), &wire.Raft{Message: encode(m)}); err != nil {
			t.Fatal(err)
		}
	}
	x.drain()
	if x.group.Frozen() || x.group.LastIndex() != last+1 {
		t.Errorf("stopped %v, log ends at %d, want %d", x.group.Frozen(), x.group.LastIndex(), last+1)
	}
}
