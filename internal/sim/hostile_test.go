package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// villain is a member whose program was taken out of its device: it stays
// connected, has the device's key, and says whatever a test wants.
type villain struct {
	*Node
	fold *chat.Fold // as it was then
	seq  uint64     // the last of its log
	prev demes.Hash
	keys *mls.Group // the device's own
}

// turnBad takes over a node of a world at rest.
func turnBad(n *Node) *villain {
	v := &villain{Node: n, fold: n.chat.Fold(), keys: n.group()}
	me := v.fold.Members[n.ID]
	v.seq, v.prev = me.LastSeq, me.LastHash
	n.life++
	n.chat, n.busy, n.inbox = nil, false, nil
	return v
}

// group reads the keys that a node's disk holds.
func (n *Node) group() *mls.Group {
	var records []mls.Record
	for _, v := range n.disk.loadSecrets()["now"] {
		records = append(records, mls.Record{Name: v.Name, Value: v.Data})
	}
	group, err := mls.Load(records, mls.Policy{MaxLifetime: -1, Credential: func(mls.Admission) error { return nil }})
	if err != nil {
		panic(err)
	}
	return group
}

// sign seals and signs an event.
func (v *villain) sign(d wire.Draft) *demes.Event {
	e, err := wire.SealWith(v.key, d, func(context demes.Hash) ([]byte, error) {
		if !d.Kind.HasContent() {
			return d.Payload, nil
		}
		return v.keys.Send(d.Payload, mls.Envelope{AuthenticatedData: context[:]})
	})
	if err != nil {
		panic(err)
	}
	return e
}

// draft is the next event of its log, not signed; its payload is not sealed.
func (v *villain) draft(text string) wire.Draft {
	payload, commit := wire.PutContent([16]byte{9}, &wire.MessageContent{Text: text})
	return wire.Draft{
		Chat: v.world.Chat, ID: demes.EventID{Device: v.ID, Seq: v.seq + 1}, Kind: demes.KindMessage, Prev: v.prev,
		Seen: v.fold.Head, Lamport: v.fold.Lamport + 1, SentAt: v.clock().Wall, Payload: payload, Content: commit,
	}
}

// write signs the next event of its log.
func (v *villain) write(d wire.Draft) *demes.Event {
	e := v.sign(d)
	v.seq, v.prev = e.ID.Seq, e.Hash
	return e
}

// say hands a frame to another node as if it had just crossed the link.
func (v *villain) say(to *Node, f *wire.Frame) {
	if f.Chat == nil {
		f.Chat, f.Generation = v.world.Chat[:], v.fold.Head.Generation
	}
	raw := wire.Marshal(f)
	to.input(func() { to.receive(v.Node, raw) })
}

func (v *villain) sayEvents(to *Node, events ...*wire.Event) {
	v.say(to, &wire.Frame{Kind: &wire.Frame_Events{Events: &wire.Events{Events: events}}})
}

func (v *villain) offer(to *Node, e *demes.Event) { v.sayEvents(to, wire.PutEvent(e)) }

// claim says in a beat that it is host.
func (v *villain) claim(to *Node, term uint64) {
	to.input(func() {
		to.chat.Heard(to.clock(), v.ID, wire.FastBeat, &wire.Hosting{Chat: v.world.Chat[:], Generation: v.fold.Head.Generation, Term: term})
	})
}

// made is an order of the villain's own making that goes on from where its log
// ended: correctly signed events that the council never put there.
func (v *villain) made(n int) []*wire.SettledEntry {
	var out []*wire.SettledEntry
	for i := range n {
		e := v.write(v.draft(fmt.Sprint("never settled ", i)))
		out = append(out, &wire.SettledEntry{
			Term: v.fold.Term, LogMs: v.fold.LogMs, Generation: v.fold.Head.Generation, Slot: v.fold.Slot + uint64(i) + 1,
			What: &wire.SettledEntry_Event{Event: wire.PutEvent(e)},
		})
	}
	return out
}

// order is a Settled frame with entries that follow the victim's head.
func (v *villain) order(to *Node, entries []*wire.SettledEntry, proof *wire.FinalProof) *wire.Frame {
	head := to.chat.Fold().Head
	return &wire.Frame{Kind: &wire.Frame_Settled{Settled: &wire.Settled{
		Term: math.MaxUint64, From: head.Index + 1, Entries: entries, Final: proof, Answer: true, Last: true,
		Head: wire.PutHead(demes.Head{Generation: head.Generation, Index: head.Index + uint64(len(entries))}),
	}}}
}

// goesOn has every honest node say something and waits until all of it is
// settled everywhere, with every promise kept and nobody in trouble.
func goesOn(t *testing.T, w *World) {
	t.Helper()
	w.Run(500)
	for _, n := range w.Up() {
		if err := n.Say("and on we go, says " + n.Name); err != nil {
			t.Fatalf("seed %d: %s cannot write: %v", w.Seed, n.Name, err)
		}
	}
	settle(t, w, 15_000)
	for _, n := range w.Up() {
		if p := n.chat.View().Problem; p != nil {
			t.Errorf("seed %d: %s is in trouble: %s: %s", w.Seed, n.Name, p.Title, p.Detail)
		}
		if got, want := n.chat.Fold().Hash(), w.Up()[0].chat.Fold().Hash(); got != want {
			t.Errorf("seed %d: the state of %s is %s, that of %s %s", w.Seed, n.Name, got, w.Up()[0].Name, want)
		}
	}
}

// besieged is a group at rest in which one member that is not the host turned
// bad; the rest are a majority.
func besieged(t *testing.T, seed uint64, n int) (*World, *villain) {
	t.Helper()
	w := live(t, seed, n, lan)
	for i := range 6 {
		_ = w.Nodes[i%n].Say(fmt.Sprint("in peace ", i))
	}
	settleQuiet(t, w)
	rest := others(w, w.Host())
	return w, turnBad(rest[0])
}

// attack is what a villain does to each of the others.
type attack struct {
	name string
	do   func(v *villain, to *Node)
}

func TestNoMemberCanStopOrForkTheOthers(t *testing.T) {
	long(t)
	for i, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			w, v := besieged(t, uint64(i), 4)
			before := settledTexts(w.Up()[0])
			for _, to := range w.Up() {
				a.do(v, to)
			}
			goesOn(t, w)
			for text := range settledTexts(w.Up()[0]) {
				if !before[text] && !strings.HasPrefix(text, "and on we go") && !strings.HasPrefix(text, "rightly ") {
					t.Errorf("seed %d: %q took effect", w.Seed, text)
				}
			}
		})
	}
}

// settledTexts are the messages that a node shows as settled.
func settledTexts(n *Node) map[string]bool {
	out := map[string]bool{}
	for _, s := range n.disk.settled {
		if s.Position != 0 {
			view := n.chat.Message(chat.SettledEntry{Index: s.Index, Position: s.Position, LogMs: s.LogMs, Event: n.disk.read(s.Event)})
			out[view.Text] = true
		}
	}
	return out
}

func attacks() (all []attack) {
	all = append(all, eventAttacks()...)
	all = append(all, orderAttacks()...)
	all = append(all, wordAttacks()...)
	return append(all, floodAttacks()...)
}

// eventAttacks are events that must not take effect.
func eventAttacks() []attack {
	event := func(change func(v *villain, d *wire.Draft)) func(*villain, *Node) {
		return func(v *villain, to *Node) {
			d := v.draft("evil")
			change(v, &d)
			v.offer(to, v.sign(d))
		}
	}
	raw := func(change func(v *villain, e *wire.Event)) func(*villain, *Node) {
		return func(v *villain, to *Node) {
			e := wire.PutEvent(v.sign(v.draft("evil")))
			change(v, e)
			v.sayEvents(to, e)
		}
	}
	return []attack{
		{"an event in another's name", event(func(v *villain, d *wire.Draft) {
			host := v.world.Host()
			d.ID = demes.EventID{Device: host.ID, Seq: host.chat.Fold().Members[host.ID].LastSeq + 1}
			d.Prev = host.chat.Fold().Members[host.ID].LastHash
		})},
		{"an altered body", raw(func(_ *villain, e *wire.Event) { e.Body[len(e.Body)-1] ^= 1 })},
		{"another payload", raw(func(_ *villain, e *wire.Event) { e.Payload = append([]byte{}, "other"...) })},
		{"an altered signature", raw(func(_ *villain, e *wire.Event) { e.Signature[3] ^= 1 })},
		{"a cut signature", raw(func(_ *villain, e *wire.Event) { e.Signature = e.Signature[:63] })},
		{"a record as event", raw(func(v *villain, e *wire.Event) { e.Signature = wire.Sign(v.key, wire.LabelRecord, e.Body) })},
		{"a receipt as event", raw(func(v *villain, e *wire.Event) { e.Signature = wire.Sign(v.key, wire.LabelReceipt, e.Body) })},
		{"an event of another chat", event(func(_ *villain, d *wire.Draft) { d.Chat[0] ^= 1 })},
		{"another found event", event(func(v *villain, d *wire.Draft) { d.Kind, d.Chat = demes.KindFound, demes.ChatID{} })},
		{"a second start", event(func(_ *villain, d *wire.Draft) { d.Kind, d.Payload = demes.KindStart, nil })},
		{"a seq near the end of numbers", event(func(_ *villain, d *wire.Draft) { d.ID.Seq = math.MaxUint64 })},
		{"a seq in a gap", event(func(_ *villain, d *wire.Draft) { d.ID.Seq += 2 })},
		{"another predecessor", event(func(_ *villain, d *wire.Draft) { d.Prev[0] ^= 1 })},
		{"a lamport at the end of numbers", event(func(_ *villain, d *wire.Draft) { d.Lamport = math.MaxUint64 })},
		{"a lamport a little too high", event(func(_ *villain, d *wire.Draft) { d.Lamport += chat.MaxLamportLead + 100 })},
		{"shown what nobody wrote", event(func(v *villain, d *wire.Draft) {
			d.After = []demes.Mark{{Device: v.world.Host().ID, Seq: math.MaxUint64}}
		})},
		{"an unknown kind, and then a message", func(v *villain, to *Node) {
			if v.seq == v.fold.Members[v.ID].LastSeq {
				d := v.draft("evil")
				d.Kind = 99
				v.write(d)
			}
			v.offer(to, v.sign(v.draft("rightly behind what is void")))
		}},
		{"a commit that removes the founder", event(func(v *villain, d *wire.Draft) {
			d.Kind, d.Content = demes.KindCommit, demes.Hash{}
			founder := v.fold.Founder
			d.Payload = wire.Marshal(&wire.Commit{Epoch: v.fold.Epoch, Changes: []*wire.Change{{Kind: &wire.Change_Remove{Remove: founder[:]}}}})
		})},
		{"sent at the ends of time", func(v *villain, to *Node) {
			if v.seq > v.fold.Members[v.ID].LastSeq {
				return
			}
			for _, at := range []int64{math.MinInt64, math.MaxInt64} {
				d := v.draft("rightly so, whenever it was")
				d.SentAt = at
				v.offer(to, v.write(d))
			}
		}},
		{"all the others' events once more", func(v *villain, to *Node) {
			for _, s := range to.disk.settled {
				if s.Event != nil {
					v.offer(to, s.Event)
				}
			}
		}},
	}
}

// orderAttacks are lies about the order.
func orderAttacks() []attack {
	return []attack{
		{"an order of its own making", func(v *villain, to *Node) { v.say(to, v.order(to, v.made(3), nil)) }},
		{"an order of its own making, as host", func(v *villain, to *Node) {
			v.claim(to, v.fold.Term)
			v.say(to, v.order(to, v.made(3), nil))
		}},
		{"an order without entries in it", func(v *villain, to *Node) {
			v.say(to, v.order(to, []*wire.SettledEntry{{}, nil, {Slot: math.MaxUint64}}, nil))
		}},
		{"an order from index 0", func(v *villain, to *Node) {
			f := v.order(to, v.made(3), nil)
			f.GetSettled().From = 0
			v.say(to, f)
		}},
		{"an order from the end of numbers", func(v *villain, to *Node) {
			f := v.order(to, v.made(1), nil)
			f.GetSettled().From = math.MaxUint64
			v.say(to, f)
		}},
		{"a snapshot that nobody asked for, then an order", func(v *villain, to *Node) {
			v.say(to, v.snapshot(to))
			v.say(to, v.order(to, v.made(3), nil))
		}},
		{"a proof by itself alone", func(v *villain, to *Node) {
			head := v.fold.Head
			head.Index += 3
			receipt := wire.SealReceipt(v.key, v.world.Chat, head, demes.Hash{1})
			proof := &wire.FinalProof{Receipts: []*wire.Receipt{receipt, receipt, receipt, receipt}}
			v.say(to, v.order(to, v.made(3), proof))
			v.say(to, &wire.Frame{Kind: &wire.Frame_Final{Final: proof}})
		}},
		{"a proof of ten thousand", func(v *villain, to *Node) {
			receipt := wire.SealReceipt(v.key, v.world.Chat, demes.Head{Generation: v.fold.Head.Generation, Index: math.MaxUint64}, demes.Hash{1})
			proof := &wire.FinalProof{}
			for range 10_000 {
				proof.Receipts = append(proof.Receipts, receipt)
			}
			v.say(to, &wire.Frame{Kind: &wire.Frame_Final{Final: proof}})
		}},
		{"a receipt for another order", func(v *villain, to *Node) {
			head := v.fold.Head
			head.Hash[0] ^= 1
			v.say(to, &wire.Frame{Kind: &wire.Frame_Receipt{Receipt: wire.SealReceipt(v.key, v.world.Chat, head, demes.Hash{})}})
		}},
		{"a receipt in another's name", func(v *villain, to *Node) {
			receipt := wire.SealReceipt(v.key, v.world.Chat, v.fold.Head, demes.Hash{})
			receipt.Device = to.ID[:]
			v.say(to, &wire.Frame{Kind: &wire.Frame_Receipt{Receipt: receipt}})
		}},
		{"a receipt signed as hand-over", func(v *villain, to *Node) {
			receipt := wire.SealReceipt(v.key, v.world.Chat, v.fold.Head, demes.Hash{})
			receipt.Signature = wire.Sign(v.key, wire.LabelHandover, receipt.GetBody())
			v.say(to, &wire.Frame{Kind: &wire.Frame_Receipt{Receipt: receipt}})
		}},
	}
}

// snapshot is a Raft snapshot far ahead of the victim, well formed.
func (v *villain) snapshot(to *Node) *wire.Frame {
	id := func(d demes.DeviceID) *uint64 {
		return new(uint64(slices.Index(v.fold.Electors, d) + 1))
	}
	term := new(to.chat.Fold().Term)
	data := wire.Marshal(wire.PutHead(demes.Head{Generation: v.fold.Head.Generation, Index: to.chat.Fold().Head.Index + 3}))
	message, err := proto.Marshal(&pb.Message{
		Type: pb.MsgSnap.Enum(), From: id(v.ID), To: id(to.ID), Term: term,
		Snapshot: &pb.Snapshot{Data: data, Metadata: &pb.SnapshotMetadata{
			Index: new(uint64(1 << 40)), Term: term, ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}},
		}},
	})
	if err != nil {
		panic(err)
	}
	return &wire.Frame{Kind: &wire.Frame_Raft{Raft: &wire.Raft{Message: message}}}
}

// wordAttacks are lies in what members say to each other.
func wordAttacks() []attack {
	frame := func(f func(v *villain, to *Node) *wire.Frame) func(*villain, *Node) {
		return func(v *villain, to *Node) { v.say(to, f(v, to)) }
	}
	lies := []attack{
		{"remembers what was never written", frame(func(*villain, *Node) *wire.Frame {
			return &wire.Frame{Kind: &wire.Frame_Have{Have: &wire.Have{Remembered: 1 << 63, RememberedHash: make([]byte, 32), Final: math.MaxUint64}}}
		})},
		{"absurd marks", frame(func(v *villain, to *Node) *wire.Frame {
			have := &wire.Have{Head: wire.PutHead(demes.Head{Generation: v.fold.Head.Generation, Index: math.MaxUint64})}
			for _, d := range [][]byte{to.ID[:], nil, {1}, to.ID[:], make([]byte, 32), v.ID[:]} {
				have.Marks = append(have.Marks, &wire.Mark{Device: d, Seq: math.MaxUint64, Hash: []byte{1}}, nil)
			}
			return &wire.Frame{Kind: &wire.Frame_Have{Have: have}}
		})},
		{"ten thousand marks", frame(func(v *villain, _ *Node) *wire.Frame {
			return &wire.Frame{Kind: &wire.Frame_Have{Have: &wire.Have{Marks: strangersMarks(10_000)}}}
		})},
		{"holds everything", frame(func(v *villain, to *Node) *wire.Frame {
			var marks []*wire.Mark
			for d := range v.fold.Members {
				marks = append(marks, &wire.Mark{Device: d[:], Seq: math.MaxUint64})
			}
			return &wire.Frame{Kind: &wire.Frame_Appended{Appended: &wire.Appended{Marks: marks}}}
		})},
		{"a clock at the end of time", frame(func(*villain, *Node) *wire.Frame {
			return &wire.Frame{Kind: &wire.Frame_Marks{Marks: &wire.Marks{WallMs: math.MaxInt64, Held: math.MaxUint64, Read: math.MaxUint64}}}
		})},
		{"a clock before all time", frame(func(*villain, *Node) *wire.Frame {
			return &wire.Frame{Kind: &wire.Frame_Marks{Marks: &wire.Marks{WallMs: math.MinInt64, Head: &wire.Head{Index: math.MaxUint64}}}}
		})},
		{"a status, without being host", frame(func(v *villain, to *Node) *wire.Frame {
			return &wire.Frame{Kind: &wire.Frame_Status{Status: &wire.Status{Term: math.MaxUint64, Council: [][]byte{v.ID[:]}}}}
		})},
		{"a status of a million, as host", func(v *villain, to *Node) {
			v.claim(to, v.fold.Term+1)
			status := &wire.Status{Online: make([][]byte, 400_000), Council: make([][]byte, 400_000), Held: []*wire.Held{nil, {}}}
			v.say(to, &wire.Frame{Kind: &wire.Frame_Status{Status: status}})
		}},
	}
	return append(append(lies, roundTripsAndHosts()...), convening()...)
}

// roundTripsAndHosts are lies about who stands where, and who should host.
func roundTripsAndHosts() []attack {
	frame := func(f func(v *villain, to *Node) *wire.Frame) func(*villain, *Node) {
		return func(v *villain, to *Node) { v.say(to, f(v, to)) }
	}
	return []attack{
		{"round trips that are no numbers", frame(func(v *villain, to *Node) *wire.Frame {
			m := &wire.Latency{Reports: []*wire.Report{nil, {}}}
			for _, us := range []int64{math.MinInt64, math.MaxInt64, -1} {
				m.Reports = append(m.Reports, &wire.Report{From: v.ID[:], To: to.ID[:], P50Us: us, P95Us: -us, LossPpm: math.MaxUint32})
			}
			return &wire.Frame{Kind: &wire.Frame_Latency{Latency: m}}
		})},
		{"round trips of others", frame(func(v *villain, to *Node) *wire.Frame {
			m := &wire.Latency{}
			for a := range v.fold.Members {
				for b := range v.fold.Members {
					m.Reports = append(m.Reports, &wire.Report{From: a[:], To: b[:], Unreachable: a != v.ID})
				}
			}
			return &wire.Frame{Kind: &wire.Frame_Latency{Latency: m}}
		})},
		{"a suspicion of everybody", frame(func(v *villain, to *Node) *wire.Frame {
			return &wire.Frame{Kind: &wire.Frame_Suspicion{Suspicion: &wire.Suspicion{Term: math.MaxUint64, Suspect: to.ID[:]}}}
		})},
		{"a hand-over to itself", frame(func(v *villain, _ *Node) *wire.Frame {
			body := wire.Marshal(&wire.HandoverBody{Chat: v.world.Chat[:], Generation: v.fold.Head.Generation, Term: v.fold.Term, To: v.ID[:]})
			return &wire.Frame{Kind: &wire.Frame_Handover{Handover: &wire.Handover{Body: body, Device: v.ID[:], Signature: wire.Sign(v.key, wire.LabelHandover, body)}}}
		})},
		{"a generation to come", func(v *villain, to *Node) {
			v.say(to, &wire.Frame{Chat: v.world.Chat[:], Generation: math.MaxUint64, Kind: &wire.Frame_Have{Have: &wire.Have{Head: &wire.Head{Generation: math.MaxUint64}}}})
			v.say(to, &wire.Frame{Chat: v.world.Chat[:], Generation: math.MaxUint64, Kind: &wire.Frame_Marks{}})
		}},
		{"a fetch from everywhere", func(v *villain, to *Node) {
			for _, from := range []uint64{0, 1, 5, 1 << 40, 1<<63 - 1, 1 << 63, math.MaxUint64} {
				v.say(to, &wire.Frame{Kind: &wire.Frame_Fetch{Fetch: &wire.Fetch{From: from}}})
			}
		}},
	}
}

func strangersMarks(n int) []*wire.Mark {
	var out []*wire.Mark
	for i := range n {
		d := demes.Sum([]byte(fmt.Sprint(i)))
		out = append(out, &wire.Mark{Device: d[:], Seq: 1})
	}
	return out
}

// convening are lies about the generation to come.
func convening() []attack {
	certificate := func(v *villain, parent uint64, sign ...*Node) *wire.Certificate {
		head := v.fold.Head
		value := wire.Marshal(&wire.Value{
			Chat: v.world.Chat[:], Parent: parent, Council: [][]byte{v.ID[:]}, Electors: [][]byte{v.ID[:]},
			Base: wire.PutHead(demes.Head{Generation: parent, Index: head.Index, Hash: head.Hash}),
		})
		cert := &wire.Certificate{Value: value}
		for _, n := range sign {
			hash := demes.Sum(value)
			body := wire.Marshal(&wire.VoteBody{Ballot: &wire.Ballot{Round: 1, Device: v.ID[:]}, ValueHash: hash[:]})
			cert.Votes = append(cert.Votes, &wire.Vote{Body: body, Device: n.ID[:], Signature: wire.Sign(v.key, wire.LabelVote, body)})
		}
		return cert
	}
	chain := func(certs ...*wire.Certificate) *wire.Frame {
		return &wire.Frame{Kind: &wire.Frame_Chain{Chain: &wire.Chain{Certificates: certs}}}
	}
	return []attack{
		{"a certificate of its own", func(v *villain, to *Node) { v.say(to, chain(certificate(v, v.fold.Head.Generation, v.Node))) }},
		{"a certificate with its own vote for all", func(v *villain, to *Node) {
			v.say(to, chain(certificate(v, v.fold.Head.Generation, v.Node, v.Node, v.Node, v.Node)))
		}},
		{"a certificate with forged votes", func(v *villain, to *Node) { v.say(to, chain(certificate(v, v.fold.Head.Generation, v.world.Nodes...))) }},
		{"a certificate that leaves a generation out", func(v *villain, to *Node) { v.say(to, chain(certificate(v, v.fold.Head.Generation+1, v.Node))) }},
		{"ten thousand certificates", func(v *villain, to *Node) {
			cert := certificate(v, math.MaxUint64, v.Node)
			all := make([]*wire.Certificate, 10_000)
			for i := range all {
				all[i] = &wire.Certificate{Value: cert.GetValue()[:40]}
			}
			all[0], all[1] = nil, cert
			v.say(to, chain(all...))
		}},
		{"prepares without end", func(v *villain, to *Node) {
			for round := range uint64(200) {
				v.say(to, &wire.Frame{Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Prepare{
					Prepare: &wire.Prepare{Ballot: &wire.Ballot{Round: 1<<63 + round, Device: v.ID[:]}}}}}})
			}
		}},
		{"a base that nobody has", func(v *villain, to *Node) {
			value := wire.Marshal(&wire.Value{
				Chat: v.world.Chat[:], Parent: v.fold.Head.Generation, Council: [][]byte{v.ID[:]}, Electors: [][]byte{v.ID[:], to.ID[:]},
				Base: wire.PutHead(demes.Head{Generation: v.fold.Head.Generation, Index: math.MaxUint64}),
			})
			v.say(to, &wire.Frame{Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Accept{
				Accept: &wire.Accept{Ballot: &wire.Ballot{Round: 1, Device: v.ID[:]}, Value: value}}}}})
			v.say(to, v.order(to, v.made(3), nil))
		}},
	}
}

// floodAttacks are too much of what is allowed.
func floodAttacks() []attack {
	many := func(n int, f func(v *villain, to *Node, i int) *wire.Frame) func(*villain, *Node) {
		return func(v *villain, to *Node) {
			for i := range n {
				v.say(to, f(v, to, i))
			}
		}
	}
	empty := func(v *villain, to *Node) {
		for _, f := range emptyFrames() {
			v.say(to, f)
		}
	}
	return []attack{
		{"frames without anything in them", empty},
		{"asks for a hand-over all the time", many(300, func(v *villain, to *Node, i int) *wire.Frame {
			ask := &wire.HandoverAsk{}
			if i%2 == 1 {
				ask.To = v.ID[:]
			}
			return &wire.Frame{Kind: &wire.Frame_HandoverAsk{HandoverAsk: ask}}
		})},
		{"typing and goodbyes", many(300, func(_ *villain, _ *Node, i int) *wire.Frame {
			if i%2 == 0 {
				return &wire.Frame{Kind: &wire.Frame_Typing{Typing: &wire.Typing{}}}
			}
			return &wire.Frame{Kind: &wire.Frame_Goodbye{Goodbye: &wire.Goodbye{}}}
		})},
		{"vectors that ask for all, again and again", many(100, func(*villain, *Node, int) *wire.Frame {
			return &wire.Frame{Kind: &wire.Frame_Have{Have: &wire.Have{}}}
		})},
		{"Raft messages of garbage", many(100, func(v *villain, _ *Node, i int) *wire.Frame {
			return &wire.Frame{Kind: &wire.Frame_Raft{Raft: &wire.Raft{Message: []byte(strings.Repeat(string(rune(i)), i))}}}
		})},
		{"a thousand events in a gap", func(v *villain, to *Node) {
			for i := range uint64(1_000) {
				d := v.draft("evil")
				d.ID.Seq, d.Prev = v.seq+2+i, demes.Hash{byte(i), byte(i >> 8)}
				v.offer(to, v.sign(d))
			}
		}},
	}
}

// emptyFrames are one frame of each kind, all fields absent.
func emptyFrames() []*wire.Frame {
	return []*wire.Frame{
		{}, {Kind: &wire.Frame_Raft{}}, {Kind: &wire.Frame_Events{}}, {Kind: &wire.Frame_Settled{}}, {Kind: &wire.Frame_Have{}},
		{Kind: &wire.Frame_Fetch{}}, {Kind: &wire.Frame_Suspicion{}}, {Kind: &wire.Frame_Receipt{}}, {Kind: &wire.Frame_Final{}},
		{Kind: &wire.Frame_Convene{}}, {Kind: &wire.Frame_Chain{}}, {Kind: &wire.Frame_Latency{}}, {Kind: &wire.Frame_Status{}},
		{Kind: &wire.Frame_Goodbye{}}, {Kind: &wire.Frame_Handover{}}, {Kind: &wire.Frame_Typing{}}, {Kind: &wire.Frame_Marks{}},
		{Kind: &wire.Frame_Appended{}}, {Kind: &wire.Frame_HandoverAsk{}},
		{Kind: &wire.Frame_Events{Events: &wire.Events{Events: []*wire.Event{{}}}}},
		{Kind: &wire.Frame_Final{Final: &wire.FinalProof{Receipts: []*wire.Receipt{{}}}}},
		{Kind: &wire.Frame_Chain{Chain: &wire.Chain{Certificates: []*wire.Certificate{{}, {Votes: []*wire.Vote{{}}}}}}},
		{Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Ask{}}}},
		{Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Prepare{}}}},
		{Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Promise{}}}},
		{Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Accept{}}}},
		{Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Accepted{}}}},
		{Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Refused{}}}},
	}
}

// TestAVillainAmongFaults lets a villain do a drawn row of attacks while the
// others chat over links that lose, double and reorder.
func TestAVillainAmongFaults(t *testing.T) {
	long(t)
	all := attacks()
	for seed := range uint64(15) {
		w, v := besieged(t, 200+seed, 5)
		w.Net.Loss, w.Net.Duplicate, w.Net.Reorder = 0.1*w.Rand.Float64(), 0.3*w.Rand.Float64(), 0.2*w.Rand.Float64()
		var done []string
		for step := range 25 {
			a := all[w.Rand.IntN(len(all))]
			up := w.Up()
			to := up[w.Rand.IntN(len(up))]
			if w.Host() != nil && v.world.Host() != nil { // some attacks name the host
				a.do(v, to)
				done = append(done, a.name)
			}
			_ = up[w.Rand.IntN(len(up))].Say(fmt.Sprint("and on we go, step ", step))
			w.Run(w.Rand.Int64N(400))
			if w.Err() != nil {
				t.Fatalf("%v after %q", w.Err(), done)
			}
		}
		w.Net.Loss, w.Net.Duplicate, w.Net.Reorder = 0, 0, 0
		if !w.Until(30_000, w.Settled) {
			t.Fatalf("seed %d: not settled after %q\n%s%v", w.Seed, done, w.Describe(), w.Err())
		}
		goesOn(t, w)
	}
}
