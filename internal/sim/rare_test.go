package sim

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

// sometimes are states that the worlds of TestSeeds together must reach: what is
// never reached is never tested.
var sometimes = []string{
	"a generation with other electors", "a generation with the same electors", "entries unsettled",
	"a certificate learned before its base is here", "a crash between learned and entered",
	"a crash after a promise", "a crash of who offers a value", "a crash after a vote",
	"opened frozen", "opened with a certificate not entered",
	"a member removed", "a member left", "a commit void", "a member renamed", "a late member",
	"a pause across a generation", "a clock that jumped", "provisional", "everybody restarted",
	"a member returned", "come back by an external commit", "a race for an epoch lost", "a commit unsettled",
	"contents revealed by a peer", "keys refreshed",
}

// rare is what a seed's world does beside the common faults, and how often.
type rare struct {
	odds  map[string]float64 // per step
	crash float64            // of a device that has just said something in a convening
	trap  bool               // crash between a certificate learned and entered
	seen  map[string]int
	keys  int
	keyed keyTraces
}

var rarities = []string{"remove", "rename", "invites", "pause", "clock", "reconvene", "minority", "restart"}

// drawRare has about half of the rare faults happen in a world, each at a rate of
// its own.
func (w *World) drawRare(seen map[string]int) *rare {
	r := &rare{odds: map[string]float64{}, seen: seen, keyed: keyTraces{commits: map[*Node][]uint64{}}}
	for _, what := range rarities {
		if w.Rand.IntN(2) == 0 {
			r.odds[what] = 0.06 * w.Rand.Float64()
		}
	}
	for _, what := range keyRarities {
		if w.Rand.IntN(2) == 0 {
			r.odds[what] = 0.1 * w.Rand.Float64()
		}
	}
	if w.Rand.IntN(3) == 0 {
		r.crash = 0.3 * w.Rand.Float64()
	}
	r.trap = w.Rand.IntN(2) == 0
	w.watch = func(n *Node, f chat.Outgoing) { r.sent(w, n, f.Frame) }
	w.opening = r.opened
	w.kept = func(n *Node, b *chat.Batch) { r.kept(w, n, b) }
	return r
}

func (r *rare) mark(what string) {
	if r.seen != nil {
		r.seen[what]++
	}
}

// sent crashes who has just said something in a convening: at once, so that what
// was sent arrives from the dead, or a little later.
func (r *rare) sent(w *World, n *Node, f *wire.Frame) {
	r.keysSent(f)
	c := f.GetConvene()
	if c == nil || r.crash == 0 || w.Rand.Float64() >= r.crash {
		return
	}
	what := ""
	switch kind := c.GetKind().(type) {
	case *wire.Convene_Promise:
		if !kind.Promise.GetAsked() {
			what = "a crash after a promise"
		}
	case *wire.Convene_Accept:
		what = "a crash of who offers a value"
	case *wire.Convene_Accepted:
		what = "a crash after a vote"
	}
	if what == "" {
		return
	}
	life := n.life
	w.At(w.Rand.Int64N(4), func() {
		if n.up && n.life == life {
			r.mark(what)
			n.Crash()
		}
	})
}

// decided reports whether the disk has a certificate that ends its generation.
func (d *disk) decided() bool {
	blob := d.values["elector"]
	size, n := binary.Uvarint(blob)
	return n > 0 && uint64(len(blob)-n) > size
}

// frozen reports whether the disk has a promise.
func (d *disk) frozen() bool {
	blob := d.values["elector"]
	size, n := binary.Uvarint(blob)
	return n > 0 && size > 0
}

// kept looks at what has just become durable.
func (r *rare) kept(w *World, n *Node, b *chat.Batch) {
	r.keysKept(n, b)
	if b.Unsettle != nil {
		r.mark("entries unsettled")
	}
	for _, s := range b.Settled {
		if s.Event == nil {
			continue
		}
		switch s.Event.Kind {
		case demes.KindCommit:
			if s.Void != "" {
				r.mark("a commit void")
			}
		case demes.KindLeave:
			r.mark("a member left")
		case demes.KindProfile:
			r.mark("a member renamed")
		}
	}
	if n.disk.decided() {
		r.mark("a certificate learned before its base is here")
		if r.trap && w.Rand.IntN(3) == 0 {
			life := n.life
			w.At(0, func() {
				if n.up && n.life == life {
					r.mark("a crash between learned and entered")
					n.Crash()
				}
			})
		}
	}
}

// opened notes what a node that starts finds on its disk.
func (r *rare) opened(n *Node) {
	if n.up || n.disk.id.IsZero() {
		return
	}
	if n.disk.decided() {
		r.mark("opened with a certificate not entered")
	} else if n.disk.frozen() {
		r.mark("opened frozen")
	}
}

// look notes what the world has come to.
func (r *rare) look(w *World, before map[*Node]*chat.Fold) {
	for _, n := range w.Up() {
		if n.chat.Mode() == demes.ModeProvisional {
			r.mark("provisional")
		}
		f, old := n.chat.Fold(), before[n]
		if old != nil && old.Head.Generation > 0 && f.Head.Generation > old.Head.Generation {
			if slices.Equal(f.Electors, old.Electors) {
				r.mark("a generation with the same electors")
			} else {
				r.mark("a generation with other electors")
			}
		}
		before[n] = &chat.Fold{Head: f.Head, Electors: slices.Clone(f.Electors)}
	}
}

// happen lets the rare faults of this world happen.
func (r *rare) happen(w *World, step int) error {
	for _, what := range slices.Concat(rarities, keyRarities) {
		if w.Rand.Float64() >= r.odds[what] {
			continue
		}
		if err := r.one(w, what, step); err != nil {
			return err
		}
	}
	return nil
}

func (r *rare) one(w *World, what string, step int) error {
	n, founder := w.Nodes[w.Rand.IntN(len(w.Nodes))], w.Nodes[0]
	switch what {
	case "remove":
		if n != founder && founder.up && founder.chat != nil && w.leavers < len(w.Nodes)/3 && w.keysWithout(n) {
			founder.input(func() {
				if founder.chat.Fold().Members[n.ID] != nil && founder.chat.Remove(founder.clock(), n.ID) == nil {
					w.leavers++
					w.removed[n.ID] = true
					r.mark("a member removed")
				}
			})
		}
	case "rename":
		if n.up && n.chat != nil {
			n.input(func() { _ = n.chat.Rename(n.clock(), fmt.Sprint(n.Name, " ", step), nil) })
		}
	case "invites":
		if n.up && n.chat != nil {
			n.input(func() {
				for range 1 + w.Rand.IntN(8) {
					r.keys++
					public := key(w.Seed, 5000+r.keys).Public().(ed25519.PublicKey)
					_, _ = n.chat.Invite(n.clock(), public, 1+uint32(w.Rand.IntN(3)), 1+w.Rand.Int64N(100_000), w.Rand.IntN(2) == 0)
				}
			})
		}
	case "pause":
		if n.up && n.chat != nil {
			generation := n.chat.Fold().Head.Generation
			n.Pause()
			w.Run(15_000 + w.Rand.Int64N(40_000))
			for _, other := range w.Up() {
				if other.chat.Fold().Head.Generation > generation && n.chat != nil && n.chat.Fold().Head.Generation == generation {
					r.mark("a pause across a generation")
					break
				}
			}
			n.Resume()
		}
	case "clock":
		r.mark("a clock that jumped")
		for _, other := range w.Nodes { // one clock is wrong at a time: most are right
			other.skew = 0
		}
		n.skew = []int64{-300 * day, -3_600_000, 3_600_000, 300 * day}[w.Rand.IntN(4)]
	case "reconvene": // who orders the chat is away for longer than the others wait
		if host := w.Host(); host != nil {
			host.Crash()
			w.Run(66_000 + w.Rand.Int64N(20_000))
			return host.Start()
		}
	case "minority": // a council of one goes on alone, while the others convene another
		host := w.Host()
		if host == nil {
			return nil
		}
		for _, other := range w.Nodes {
			if other != host {
				other.Crash()
				w.Run(21_000) // the council shrinks
			}
		}
		w.Partition(host.index)
		for _, other := range w.Nodes {
			if err := other.Start(); err != nil {
				return err
			}
		}
		if w.Rand.IntN(2) == 0 {
			w.skip(chat.RefreshGap + 1) // so that both sides mean to renew keys
		}
		for range 8 {
			_ = host.Say("on the wrong side")
			w.Run(w.Rand.Int64N(20_000))
		}
		w.Partition()
	case "restart": // everybody at once, in the middle of what is under way
		r.mark("everybody restarted")
		for _, other := range w.Nodes {
			other.Crash()
		}
		for _, other := range w.Nodes {
			if err := other.Start(); err != nil {
				return err
			}
		}
	default:
		return r.keyFault(w, what, n)
	}
	return nil
}
