package chat

import (
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits of what one chat holds unsettled. An event beyond them is not
// acknowledged and stays with who offered it.
const (
	MaxTailBytes   = 64 << 20           // of one chat
	MaxTailShare   = 16 << 20           // of one device: nobody uses up what all write into
	MaxTailLog     = 20_000             // events of one device
	MaxHeldLead    = MaxLamportLead / 2 // of a lamport above the log's: what is written on top of it is never void
	MaxParked      = 512                // events that came before what they need
	MaxParkedBytes = 8 << 20            // of them
	MaxParkedShare = MaxParked / 2      // of one device
)

// tail is what this device holds and has not seen settled: per device a log
// without gaps that goes on where the settled one ends
// (docs/protocol.md#holding).
type tail struct {
	logs    map[demes.DeviceID][]*demes.Event // Invariant: seqs rise by one, prevs match
	parked  map[demes.EventID]*demes.Event
	size    int                       // bytes of logs
	share   map[demes.DeviceID]int    // bytes of each log
	waiting int                       // bytes of parked
	lamport uint64                    // the highest ever held
	commits map[demes.DeviceID]uint64 // seq of the first commit in each log that has one
	planted Planted
}

func newTail() *tail {
	return &tail{
		logs: map[demes.DeviceID][]*demes.Event{}, parked: map[demes.EventID]*demes.Event{}, share: map[demes.DeviceID]int{},
		commits: map[demes.DeviceID]uint64{},
	}
}

// holding is what became of an event that was offered.
type holding int

const (
	held     holding = iota // new, and held from now on
	known                   // held or settled before
	lacking                 // its predecessor or something in its After is not here
	stranger                // its author is no member here, or has left
	forked                  // another event has its seq
	full                    // a limit is reached
)

// hold takes an event whose signature is good.
func (t *tail) hold(f *Fold, e *demes.Event) holding {
	author := f.Members[e.ID.Device]
	if author == nil || author.Leaving || e.Chat != f.Chat {
		return stranger
	}
	seq, hash := t.end(f, e.ID.Device)
	if e.ID.Seq <= seq {
		mine := t.get(e.ID)
		if mine != nil && mine.Hash != e.Hash || e.ID.Seq == author.LastSeq && e.Hash != author.LastHash {
			return forked
		}
		return known
	}
	if e.ID.Seq == seq+1 && e.Prev != hash {
		return forked
	}
	if e.ID.Seq != seq+1 || !t.shown(f, e.After) && !t.planted.Unshown {
		return lacking
	}
	if !t.room(e) || above(e.Lamport, f.Lamport, MaxHeldLead) {
		return full
	}
	t.logs[e.ID.Device] = append(t.logs[e.ID.Device], e)
	if e.Kind == demes.KindCommit && t.commits[e.ID.Device] == 0 {
		t.commits[e.ID.Device] = e.ID.Seq
	}
	t.grow(e.ID.Device, e.Size())
	t.lamport = max(t.lamport, e.Lamport)
	t.release(e.ID)
	return held
}

// refill holds again what was held before. Lamports do not tell in which order
// that can be done: an author may have counted wrongly.
func (t *tail) refill(f *Fold, events []*demes.Event) {
	logs := map[demes.DeviceID][]*demes.Event{}
	for _, e := range events {
		logs[e.ID.Device] = append(logs[e.ID.Device], e)
	}
	authors := sortedDevices(logs)
	for _, d := range authors {
		slices.SortFunc(logs[d], func(a, b *demes.Event) int { return a.ID.Compare(b.ID) })
	}
	for progress := true; progress; {
		progress = false
		for _, d := range authors {
			for len(logs[d]) > 0 && t.hold(f, logs[d][0]) != lacking {
				logs[d], progress = logs[d][1:], true
			}
		}
	}
}

// takes reports whether an event of a device, of about a size, would be held.
func (t *tail) takes(f *Fold, d demes.DeviceID, lamport uint64, size int) bool {
	return t.size+size <= MaxTailBytes && t.share[d]+size <= MaxTailShare && len(t.logs[d]) < MaxTailLog && !above(lamport, f.Lamport, MaxHeldLead)
}

// room reports whether the limits leave room for one more event.
func (t *tail) room(e *demes.Event) bool {
	d, size := e.ID.Device, e.Size()
	return t.size+size <= MaxTailBytes && t.share[d]+size <= MaxTailShare && len(t.logs[d]) < MaxTailLog
}

// grow counts bytes that are held, or no longer.
func (t *tail) grow(d demes.DeviceID, size int) {
	t.size += size
	if t.share[d] += size; t.share[d] == 0 {
		delete(t.share, d)
	}
}

// end is up to where the log of a device is held here, settled or not.
func (t *tail) end(f *Fold, d demes.DeviceID) (seq uint64, hash demes.Hash) {
	if log := t.logs[d]; len(log) > 0 {
		last := log[len(log)-1]
		return last.ID.Seq, last.Hash
	}
	if m := f.Members[d]; m != nil {
		return m.LastSeq, m.LastHash
	}
	gone := f.Gone[d]
	return gone.LastSeq, gone.LastHash
}

// shown reports whether everything in after is held here.
func (t *tail) shown(f *Fold, after []demes.Mark) bool {
	for _, m := range after {
		member := f.Members[m.Device]
		if member == nil || member.Leaving {
			continue
		}
		if seq, _ := t.end(f, m.Device); seq < m.Seq {
			return false
		}
	}
	return true
}

// park keeps an event that came too early, if there is room.
func (t *tail) park(e *demes.Event) {
	of := 0
	for id := range t.parked {
		if id.Device == e.ID.Device {
			of++
		}
	}
	t.release(e.ID)
	if len(t.parked) < MaxParked && of < MaxParkedShare && t.waiting+e.Size() <= MaxParkedBytes {
		t.parked[e.ID] = e
		t.waiting += e.Size()
	}
}

// release forgets a parked event.
func (t *tail) release(id demes.EventID) {
	if e := t.parked[id]; e != nil {
		t.waiting -= e.Size()
		delete(t.parked, id)
	}
}

// unpark holds every parked event that now can be, and returns them.
func (t *tail) unpark(f *Fold) (out []*demes.Event) {
	for progress := true; progress && len(t.parked) > 0; {
		progress = false
		for _, id := range sortedEvents(t.parked) {
			e := t.parked[id]
			switch t.hold(f, e) {
			case held:
				out, progress = append(out, e), true
			case lacking:
			default:
				t.release(id)
			}
		}
	}
	return out
}

func sortedEvents(m map[demes.EventID]*demes.Event) []demes.EventID {
	out := make([]demes.EventID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	slices.SortFunc(out, demes.EventID.Compare)
	return out
}

// get returns a held event, or nil.
func (t *tail) get(id demes.EventID) *demes.Event {
	log := t.logs[id.Device]
	if len(log) == 0 || id.Seq < log[0].ID.Seq || id.Seq > log[len(log)-1].ID.Seq {
		return nil
	}
	return log[id.Seq-log[0].ID.Seq]
}

// settled takes out an event that was consumed. When another branch of the
// author's log was settled, the branch held here is dropped and returned.
func (t *tail) settled(e *demes.Event) (dropped []demes.EventID) {
	log := t.logs[e.ID.Device]
	t.release(e.ID)
	if len(log) == 0 || log[0].ID.Seq > e.ID.Seq {
		return nil
	}
	if log[0].ID == e.ID && log[0].Hash == e.Hash {
		t.grow(e.ID.Device, -log[0].Size())
		t.set(e.ID.Device, log[1:])
		if t.commits[e.ID.Device] == e.ID.Seq {
			t.nextCommit(e.ID.Device)
		}
		return nil
	}
	return t.drop(e.ID.Device)
}

// drop forgets everything held of a device.
func (t *tail) drop(d demes.DeviceID) (dropped []demes.EventID) {
	for _, e := range t.logs[d] {
		dropped = append(dropped, e.ID)
		t.grow(d, -e.Size())
	}
	t.set(d, nil)
	delete(t.commits, d)
	return dropped
}

// nextCommit finds the first commit in a log when the one before it settled.
func (t *tail) nextCommit(d demes.DeviceID) {
	delete(t.commits, d)
	for _, e := range t.logs[d] {
		if e.Kind == demes.KindCommit {
			t.commits[d] = e.ID.Seq
			return
		}
	}
}

func (t *tail) set(d demes.DeviceID, log []*demes.Event) {
	if len(log) == 0 {
		delete(t.logs, d)
		return
	}
	t.logs[d] = log
}

// ordered lists everything held in provisional order.
func (t *tail) ordered() []*demes.Event {
	var out []*demes.Event
	for _, log := range t.logs {
		out = append(out, log...)
	}
	inOrder(out)
	return out
}

// inOrder sorts events into the provisional order.
func inOrder(events []*demes.Event) {
	slices.SortFunc(events, func(a, b *demes.Event) int {
		switch {
		case a == b:
			return 0
		case a.Before(b):
			return -1
		}
		return 1
	})
}

// len counts the events held.
func (t *tail) len() (n int) {
	for _, log := range t.logs {
		n += len(log)
	}
	return n
}

// marks is the version vector of the tail: per device with something unsettled,
// up to where its log is held.
func (t *tail) marks() []demes.Mark {
	out := make([]demes.Mark, 0, len(t.logs))
	for _, d := range sortedDevices(t.logs) {
		last := t.logs[d][len(t.logs[d])-1]
		out = append(out, demes.Mark{Device: d, Seq: last.ID.Seq, Hash: last.Hash})
	}
	return out
}

// namable is up to where the logs of others may stand in the After of an event:
// before the first commit in each. The council may refuse a commit, and then what
// names it would wait with it (docs/protocol.md#judging).
func (t *tail) namable() []demes.Mark {
	var out []demes.Mark
	for _, m := range t.marks() {
		if first := t.commits[m.Device]; first != 0 {
			before := t.get(demes.EventID{Device: m.Device, Seq: first - 1})
			if before == nil {
				continue
			}
			m.Seq, m.Hash = before.ID.Seq, before.Hash
		}
		out = append(out, m)
	}
	return out
}

func putMarks(marks []demes.Mark) []*wire.Mark {
	out := make([]*wire.Mark, 0, len(marks))
	for _, m := range marks {
		out = append(out, wire.PutMark(m))
	}
	return out
}
