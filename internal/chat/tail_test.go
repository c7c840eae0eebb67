package chat

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// bare is an event without bytes: what the tail looks at, made by hand.
func bare(by *author, seq, lamport uint64, size int, after ...demes.Mark) *demes.Event {
	e := &demes.Event{ID: demes.EventID{Device: by.id, Seq: seq}, Kind: demes.KindMessage, Lamport: lamport, After: after, Body: make([]byte, size)}
	e.Hash = hashOf(by, seq)
	if seq > 1 {
		e.Prev = hashOf(by, seq-1)
	}
	return e
}

func hashOf(by *author, seq uint64) demes.Hash {
	if seq == 0 {
		return demes.Hash{}
	}
	return demes.Sum(by.id[:], number(seq))
}

// crowd is a fold of n members who have written nothing.
func crowd(n uint64) (*Fold, []*author) {
	f := newFold(demes.ChatID{})
	var all []*author
	for i := range n {
		a := newAuthor(i)
		all = append(all, a)
		f.Members[a.id] = &Member{Device: a.id}
	}
	return f, all
}

func TestHoldSaysWhatBecameOfAnEvent(t *testing.T) {
	f, a := crowd(3)
	tail := newTail()
	nobody := newAuthor(9)
	f.Members[a[2].id].Leaving = true
	other := bare(a[0], 1, 1, 10)
	other.Hash[0] ^= 1
	wrongPrev := bare(a[0], 3, 3, 10)
	wrongPrev.Prev[0] ^= 1
	elsewhere := bare(a[0], 3, 3, 10)
	elsewhere.Chat = demes.ChatID{1}
	for _, c := range []struct {
		name string
		e    *demes.Event
		want holding
	}{
		{"of a stranger", bare(nobody, 1, 1, 10), stranger},
		{"of one who left", bare(a[2], 1, 1, 10), stranger},
		{"in a gap", bare(a[0], 2, 2, 10), lacking},
		{"the first", bare(a[0], 1, 1, 10), held},
		{"the same again", bare(a[0], 1, 1, 10), known},
		{"another of the same seq", other, forked},
		{"the second", bare(a[0], 2, 2, 10), held},
		{"of another predecessor", wrongPrev, forked},
		{"of another chat", elsewhere, stranger},
		{"behind what is not here", bare(a[0], 3, 3, 10, demes.Mark{Device: a[1].id, Seq: 1}), lacking},
		{"the other's first", bare(a[1], 1, 3, 10), held},
		{"behind what is here now", bare(a[0], 3, 4, 10, demes.Mark{Device: a[1].id, Seq: 1}), held},
		{"behind what a stranger wrote", bare(a[0], 4, 5, 10, demes.Mark{Device: nobody.id, Seq: 9}), held},
		{"with a lamport at the edge", bare(a[0], 5, MaxHeldLead, 10), held},
		{"with a lamport beyond it", bare(a[0], 6, MaxHeldLead+1, 10), full},
		{"with a lamport at the end of numbers", bare(a[0], 6, 1<<64-1, 10), full},
	} {
		if got := tail.hold(f, c.e); got != c.want {
			t.Fatalf("an event %s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestTailKeepsItsLimits(t *testing.T) {
	f, a := crowd(6)
	tail := newTail()
	fill := func(by *author, size, most int) (n int) {
		for n < most && tail.hold(f, bare(by, uint64(n)+1, 1, size)) == held {
			n++
		}
		return n
	}
	if got := fill(a[0], 1<<20, 1000); got != MaxTailShare>>20 {
		t.Errorf("one device has %d MiB in the tail, want %d", got, MaxTailShare>>20)
	}
	if got := fill(a[1], 10, MaxTailLog+5); got != MaxTailLog {
		t.Errorf("one device has %d events in the tail, want %d", got, MaxTailLog)
	}
	for _, by := range a[2:] {
		fill(by, 1<<19, 1000)
	}
	if tail.size > MaxTailBytes || tail.size < MaxTailBytes-2<<20 {
		t.Errorf("the tail holds %d bytes, want a little under %d", tail.size, MaxTailBytes)
	}
	for _, by := range a {
		tail.drop(by.id)
	}
	if tail.size != 0 || len(tail.share) != 0 || tail.len() != 0 {
		t.Errorf("an empty tail counts %d bytes of %d devices, %d events", tail.size, len(tail.share), tail.len())
	}
}

func TestParkingKeepsItsLimits(t *testing.T) {
	f, a := crowd(4)
	tail := newTail()
	for i := range uint64(MaxParked) {
		tail.park(bare(a[0], 2+i, 1, 10))
	}
	if got := len(tail.parked); got != MaxParkedShare {
		t.Errorf("%d events of one device are parked, want %d", got, MaxParkedShare)
	}
	for _, by := range a[1:3] {
		for i := range uint64(MaxParked) {
			tail.park(bare(by, 2+i, 1, 10))
		}
	}
	if got := len(tail.parked); got != MaxParked {
		t.Errorf("%d events are parked, want %d", got, MaxParked)
	}
	delete(f.Members, a[0].id) // what strangers wrote makes room
	tail.unpark(f)
	if got := len(tail.parked); got != MaxParkedShare {
		t.Errorf("%d events are parked once their author is none, want %d", got, MaxParkedShare)
	}
	for i := range uint64(100) {
		tail.park(bare(a[3], 2+i, 1, 1<<20))
	}
	if tail.waiting > MaxParkedBytes {
		t.Errorf("%d bytes are parked, want at most %d", tail.waiting, MaxParkedBytes)
	}
	tail.park(bare(a[1], 2, 1, 500)) // parked already: counted once
	sum := 0
	for _, e := range tail.parked {
		sum += e.Size()
	}
	if sum != tail.waiting {
		t.Errorf("%d bytes are counted as parked, they are %d", tail.waiting, sum)
	}
}

func TestWhatWasParkedIsHeldInOneGo(t *testing.T) {
	f, a := crowd(2)
	tail := newTail()
	for seq := uint64(9); seq > 1; seq-- {
		e := bare(a[0], seq, seq, 10)
		if got := tail.hold(f, e); got != lacking {
			t.Fatalf("event %d: %d, want lacking", seq, got)
		}
		tail.park(e)
	}
	tail.hold(f, bare(a[0], 1, 1, 10))
	if got := len(tail.unpark(f)); got != 8 || len(tail.parked) != 0 || tail.waiting != 0 {
		t.Fatalf("%d of 8 were unparked, %d are left with %d bytes", got, len(tail.parked), tail.waiting)
	}
}

func TestAnotherBranchThatIsSettledDropsTheOneHeld(t *testing.T) {
	f, a := crowd(1)
	tail := newTail()
	for seq := range uint64(3) {
		tail.hold(f, bare(a[0], seq+1, seq+1, 10))
	}
	if dropped := tail.settled(bare(a[0], 1, 1, 10)); dropped != nil || tail.len() != 2 {
		t.Fatalf("the event itself was settled: %v dropped, %d left", dropped, tail.len())
	}
	other := bare(a[0], 2, 2, 10)
	other.Hash[0] ^= 1
	if dropped := tail.settled(other); len(dropped) != 2 || tail.size != 0 {
		t.Fatalf("another branch was settled: %v dropped, %d bytes left", dropped, tail.size)
	}
}

// TestProvisionalOrderIsAFunctionOfTheSet holds one set of events in two drawn
// orders of arrival: the provisional order is the same, and respects what
// authors had been shown.
func TestProvisionalOrderIsAFunctionOfTheSet(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f, a := crowd(4)
		set := drawnSet(r, a)
		var orders [2][]demes.EventID
		for i := range orders {
			arrival := slices.Clone(set)
			for n := range arrival {
				k := rapid.IntRange(n, len(arrival)-1).Draw(r, "swap")
				arrival[n], arrival[k] = arrival[k], arrival[n]
			}
			tail := newTail()
			for _, e := range arrival {
				if tail.hold(f, e) == lacking {
					tail.park(e)
				}
				tail.unpark(f)
			}
			if tail.len() != len(set) {
				r.Fatalf("%d of %d events are held, whatever the order", tail.len(), len(set))
			}
			for _, e := range tail.ordered() {
				orders[i] = append(orders[i], e.ID)
			}
		}
		if !slices.Equal(orders[0], orders[1]) {
			r.Fatalf("two arrivals give two orders:\n%v\n%v", orders[0], orders[1])
		}
		shown := map[demes.DeviceID]uint64{}
		for _, e := range inSet(set, orders[0]) {
			for _, m := range e.After {
				if shown[m.Device] < m.Seq {
					r.Fatalf("%s stands before what its author had been shown", e.ID)
				}
			}
			shown[e.ID.Device] = e.ID.Seq
		}
	})
}

// drawnSet is a causal history: each event names all that its author had seen.
func drawnSet(r *rapid.T, a []*author) (set []*demes.Event) {
	type view struct {
		marks   map[demes.DeviceID]uint64
		lamport uint64
	}
	views := map[*author]*view{}
	for _, by := range a {
		views[by] = &view{marks: map[demes.DeviceID]uint64{}}
	}
	for range rapid.IntRange(1, 30).Draw(r, "events") {
		by := a[rapid.IntRange(0, len(a)-1).Draw(r, "by")]
		from := a[rapid.IntRange(0, len(a)-1).Draw(r, "hears")]
		mine, theirs := views[by], views[from]
		for d, seq := range theirs.marks {
			mine.marks[d] = max(mine.marks[d], seq)
		}
		mine.lamport = max(mine.lamport, theirs.lamport) + 1
		var after []demes.Mark
		for _, d := range sortedDevices(mine.marks) {
			if d != by.id {
				after = append(after, demes.Mark{Device: d, Seq: mine.marks[d]})
			}
		}
		mine.marks[by.id]++
		set = append(set, bare(by, mine.marks[by.id], mine.lamport, 10, after...))
	}
	return set
}

func inSet(set []*demes.Event, ids []demes.EventID) (out []*demes.Event) {
	for _, id := range ids {
		out = append(out, set[slices.IndexFunc(set, func(e *demes.Event) bool { return e.ID == id })])
	}
	return out
}

func TestEventFramesAreCut(t *testing.T) {
	c := &Chat{peers: map[demes.DeviceID]*peer{}, fold: newFold(demes.ChatID{})}
	a := newAuthor(0)
	var events []*demes.Event
	for seq := range uint64(40) {
		events = append(events, bare(a, seq+1, 1, 20_000))
	}
	events = append(events, bare(a, 41, 1, 1<<20)) // one that is larger than a part
	c.sendEvents(demes.DeviceID{}, events)
	n := 0
	for _, out := range c.out.Frames {
		part, size := out.Frame.GetEvents().GetEvents(), 0
		for _, e := range part {
			size += len(e.GetBody())
		}
		if size > wire.MaxBatch && len(part) > 1 {
			t.Errorf("a frame of %d events has %d bytes", len(part), size)
		}
		n += len(part)
	}
	if n != 41 {
		t.Errorf("%d events were sent, want 41", n)
	}
}

// TestNobodyNamesACommitThatMayBeRefused pins what stands in the After of others:
// each log up to its first commit that is not settled.
func TestNobodyNamesACommitThatMayBeRefused(t *testing.T) {
	f, a := crowd(3)
	tail := newTail()
	kinds := map[*author][]demes.Kind{
		a[0]: {demes.KindMessage, demes.KindMessage, demes.KindCommit, demes.KindMessage, demes.KindCommit, demes.KindMessage},
		a[1]: {demes.KindCommit, demes.KindMessage},
		a[2]: {demes.KindMessage},
	}
	for by, all := range kinds {
		for i, kind := range all {
			e := bare(by, uint64(i)+1, 1, 10)
			e.Kind = kind
			if got := tail.hold(f, e); got != held {
				t.Fatalf("event %s: %d", e.ID, got)
			}
		}
	}
	check := func(when string, want ...uint64) {
		t.Helper()
		got := map[demes.DeviceID]demes.Mark{}
		for _, m := range tail.namable() {
			got[m.Device] = m
		}
		for i, by := range a {
			if m := got[by.id]; m.Seq != want[i] || m.Hash != hashOf(by, want[i]) {
				t.Errorf("%s: author %d is named up to %d, want %d", when, i, m.Seq, want[i])
			}
		}
	}
	settle := func(by *author, seq uint64) {
		e := *tail.get(demes.EventID{Device: by.id, Seq: seq})
		tail.settled(&e)
		f.Members[by.id].LastSeq = seq
	}
	check("at first", 2, 0, 1)
	settle(a[0], 1)
	check("before the commit", 2, 0, 1)
	settle(a[0], 2)
	check("at the commit", 0, 0, 1)
	settle(a[0], 3)
	check("behind the commit", 4, 0, 1)
	settle(a[1], 1)
	check("behind the other's", 4, 2, 1)
	settle(a[0], 4)
	settle(a[0], 5)
	check("behind the last", 6, 2, 1)
	tail.drop(a[1].id)
	if len(tail.commits) != 0 {
		t.Errorf("%d commits are remembered of none", len(tail.commits))
	}
}
