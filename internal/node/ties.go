package node

import (
	"maps"
	"math"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

// ties are a chat's side of the links: what it wants of them, and what it was
// told.
type ties struct {
	wants      wants
	roster     bool // contacts are to be asked for again
	linked     map[demes.DeviceID]linked
	relink     bool // the links are to be looked at again
	generation uint64
}

// linked is what a chat was told of a link.
type linked struct {
	serial   uint64
	interval uint32
	hosts    bool
	host     hostEntry
	report   uint64
}

// entry is what the device's beats say of a chat, as the chat takes it.
func (l linked) entry(id demes.ChatID) *wire.Hosting {
	if !l.hosts {
		return nil
	}
	return &wire.Hosting{Chat: id[:], Generation: l.host.generation, Term: l.host.term}
}

// lookAtLinks tells the chat what has changed about the links to its members
// since it was told last.
func (r *runner) lookAtLinks(now demes.Now) {
	r.ties.relink = false
	state := r.node.links.state(r.id, r.ties.wants.contacts)
	for d, before := range maps.Clone(r.ties.linked) {
		if state[d].serial != before.serial {
			r.chat.Disconnected(now, d)
			delete(r.ties.linked, d)
		}
	}
	for d, is := range state {
		was, told := r.ties.linked[d]
		if !told {
			r.chat.Connected(now, d)
		}
		if is.interval != 0 && (was.interval == 0 || is.hosts != was.hosts || is.host != was.host) {
			r.chat.Heard(now, d, is.interval, is.entry(r.id))
		}
		if is.report != was.report {
			r.reportLatency(now, d)
		}
		r.ties.linked[d] = is
	}
}

func (r *runner) reportLatency(now demes.Now, d demes.DeviceID) {
	s, known := r.node.links.sample(d)
	if !known {
		return
	}
	micro := func(ms float64) int64 { return int64(math.Round(ms * 1000)) }
	r.chat.Latency(now, d, micro(s.P50), micro(s.P95), uint32(s.Loss*1e6), s.Relayed)
}

// report tells the links and the steward what the chat wants now.
func (r *runner) report() {
	c := r.chat
	if g := c.Fold().Head.Generation; g != r.ties.generation {
		r.ties.generation, r.ties.roster = g, true
		for d, l := range r.ties.linked {
			l.interval = 0 // who hosts the new generation is heard of anew
			r.ties.linked[d] = l
		}
	}
	changed := r.ties.roster
	if r.ties.roster {
		r.ties.roster, r.ties.wants.contacts = false, c.Contacts()
		r.ties.relink = true
		r.inbox.wake()
	}
	hosting, mates := c.Hosting(), c.Mates()
	if hosting.GetGeneration() != r.ties.wants.hosting.GetGeneration() || hosting.GetTerm() != r.ties.wants.hosting.GetTerm() || !slices.Equal(mates, r.ties.wants.mates) {
		changed = true
	}
	r.knocks.Store(c.TakesKnocks())
	if changed {
		r.ties.wants.hosting, r.ties.wants.mates = hosting, mates
		r.node.links.want(r, r.ties.wants)
		r.node.steward.wake()
	}
}

// note looks at what was just made durable for what the node has to know.
func (r *runner) note(b *chat.Batch) {
	for i := range b.Settled {
		if e := b.Settled[i].Event; e != nil && e.Kind != demes.KindMessage {
			r.ties.roster = true
		}
	}
	if len(b.Settled)+len(b.Events)+len(b.Outbox) > 0 {
		r.stir()
	}
}

// stir makes the chat count as active from now on.
func (r *runner) stir() {
	now := r.node.now().Mono
	if was := r.active.Swap(now + activeFor); was <= now {
		r.node.steward.wake()
	}
}
