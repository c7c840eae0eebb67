package chat

import (
	"fmt"
	"math"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// tells steps a frame of one guest at another.
func (g *guest) tells(to *guest, f *wire.Frame) error {
	f.Chat, f.Generation = g.chat.id[:], g.chat.fold.Head.Generation
	return to.chat.Step(g.room.clock(), g.id, f)
}

func TestAStatusCannotFillTheCouncil(t *testing.T) {
	r := newRoom(t, 3)
	host, to := r.host(), r.backup()
	status := &wire.Status{Council: make([][]byte, 100_000)}
	for i := range status.Council {
		status.Council[i] = host.id[:]
	}
	if err := host.tells(to, &wire.Frame{Kind: &wire.Frame_Status{Status: status}}); err != nil {
		t.Fatal(err)
	}
	if got := len(to.chat.door.council); got != 1 {
		t.Errorf("the council has %d places, want 1", got)
	}
	r.goesOn()
}

func TestAClockOutOfTimeStopsNoClock(t *testing.T) {
	for _, wall := range []int64{math.MinInt64, -1, 1 << 60, math.MaxInt64} {
		r := newRoom(t, 2) // of two, the other's clock is half of all
		if err := r.backup().tells(r.host(), &wire.Frame{Kind: &wire.Frame_Marks{Marks: &wire.Marks{WallMs: wall}}}); err != nil {
			t.Fatal(err)
		}
		r.now += 5_000
		c := r.host().chat
		c.now = r.clock()
		if got, want := c.stamp(), r.clock().Wall; got != want {
			t.Errorf("with a clock at %d: log time %d, want %d", wall, got, want)
		}
	}
}

func TestAForgedProofDoesNotDisplaceAGoodOne(t *testing.T) {
	r := newRoom(t, 3)
	host, to := r.host(), r.backup()
	proof := func(index uint64, by ...*guest) *wire.FinalProof {
		head := demes.Head{Generation: 1, Index: index, Hash: demes.Hash{1}}
		p := &wire.FinalProof{}
		for _, g := range by {
			p.Receipts = append(p.Receipts, wire.SealReceipt(g.key, g.chat.id, head, demes.Hash{2}))
		}
		return p
	}
	final := func(p *wire.FinalProof) error {
		return host.tells(to, &wire.Frame{Kind: &wire.Frame_Final{Final: p}})
	}
	good := proof(1_000, r.guests[0], r.guests[1])
	if err := final(good); err != nil {
		t.Fatalf("a proof of what is to come: %v", err)
	}
	for _, c := range []struct {
		name string
		p    *wire.FinalProof
	}{
		{"by one elector", proof(2_000, r.guests[0])},
		{"by one elector twice", proof(2_000, r.guests[0], r.guests[0])},
		{"of two heads", &wire.FinalProof{Receipts: append(proof(2_000, r.guests[0]).Receipts, proof(2_001, r.guests[1]).Receipts...)}},
		{"by too many", proof(2_000, r.guests[0], r.guests[1], r.guests[2], r.guests[0], r.guests[0], r.guests[0], r.guests[0], r.guests[0], r.guests[0], r.guests[0])},
	} {
		if err := final(c.p); err == nil {
			t.Errorf("a proof %s is accepted", c.name)
		}
	}
	if got := proofHead(to.chat.final.early).Index; got != 1_000 {
		t.Errorf("the proof that is kept is of %d, want 1000", got)
	}
	to.chat.final.early = nil
	r.goesOn()
}

func TestTwoWhoTypeAreBothSeen(t *testing.T) {
	r := newRoom(t, 3)
	to := r.guests[0]
	for range 3 {
		for _, g := range r.guests[1:] {
			_ = g.tells(to, &wire.Frame{Kind: &wire.Frame_Typing{Typing: &wire.Typing{}}})
		}
	}
	out, _ := to.chat.Output()
	n := 0
	for _, notice := range out.Notices {
		if notice.Kind == NoticeTyping {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d notices of typing, want one for each of the 2", n)
	}
}

func TestAPlanNamesEverybodyOnce(t *testing.T) {
	r := newRoom(t, 3)
	c := r.guests[0].chat
	for range 100 {
		c.fold.Plan = append(c.fold.Plan, Rank{Device: r.guests[1].id}, Rank{Device: demes.DeviceID{1}})
	}
	if got := c.succession(); len(got) != 3 {
		t.Errorf("the succession has %d places, want 3", len(got))
	}
}

func TestReportsAreBoundedAndGoWithTheirMembers(t *testing.T) {
	r := newRoom(t, 3)
	c, g := r.guests[0].chat, r.guests[1]
	for i := range MaxReports {
		c.host.reports[[2]demes.DeviceID{{1}, {byte(i), byte(i >> 8), 1}}] = &wire.Report{}
	}
	before := len(c.host.reports)
	report := &wire.Latency{Reports: []*wire.Report{{From: g.id[:], To: r.guests[0].id[:], P50Us: 77}}}
	c.stepLatency(g.id, report)
	if got := c.host.reports[[2]demes.DeviceID{g.id, r.guests[0].id}].GetP50Us(); got != 77 || len(c.host.reports) != before {
		t.Errorf("a pair that is known was not measured anew in a full matrix: %d, %d pairs, were %d", got, len(c.host.reports), before)
	}
	c.peer(demes.DeviceID{9})
	c.forgetGone()
	if len(c.host.reports) != 6 || c.peers[demes.DeviceID{9}] != nil {
		t.Errorf("%d pairs are kept of 3 members, want 6; a stranger is kept: %v", len(c.host.reports), c.peers[demes.DeviceID{9}] != nil)
	}
}

// TestAnEvilMembersMemoryIsBounded throws at one chat what may be kept: nothing
// grows above its limit.
func TestAnEvilMembersMemoryIsBounded(t *testing.T) {
	r := newRoom(t, 3)
	evil, to := r.backup(), r.host()
	me := to.chat.fold.Members[evil.id]
	for i := range 600 {
		payload := make([]byte, 200_000)
		d := wire.Draft{
			Chat: to.chat.id, ID: demes.EventID{Device: evil.id, Seq: me.LastSeq + 2 + uint64(i)}, Kind: demes.KindCommit,
			Prev: demes.Hash{byte(i)}, Lamport: 1, Payload: payload,
		}
		raw := wire.PutEvent(wire.Seal(evil.key, d))
		_ = evil.tells(to, &wire.Frame{Kind: &wire.Frame_Events{Events: &wire.Events{Events: []*wire.Event{raw}}}})
		_ = evil.tells(to, &wire.Frame{Kind: &wire.Frame_Receipt{Receipt: wire.SealReceipt(evil.key, to.chat.id,
			demes.Head{Generation: 1, Index: 1 << 40, Hash: demes.Hash{byte(i)}}, demes.Hash{})}})
		stranger := demes.Sum([]byte(fmt.Sprint(i)))
		_ = evil.tells(to, &wire.Frame{Kind: &wire.Frame_Appended{Appended: &wire.Appended{Marks: []*wire.Mark{{Device: stranger[:], Seq: 1}}}}})
	}
	c := to.chat
	if got := c.tail.waiting; got > MaxParkedBytes {
		t.Errorf("%d bytes are parked, want at most %d", got, MaxParkedBytes)
	}
	if got := len(c.final.receipts[evil.id]); got > MaxReceipts {
		t.Errorf("%d receipts of one are kept, want at most %d", got, MaxReceipts)
	}
	if got := len(c.peers[evil.id].holds); got > MaxMarks {
		t.Errorf("%d marks of one are kept, want at most %d", got, MaxMarks)
	}
	r.goesOn()
}
