package sim

import (
	"container/heap"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// keyRarities are faults of the keys and of who has them.
var keyRarities = []string{"lose keys", "damage", "blind", "return", "sleep"}

// keyTraces is what the worlds remember of keys, to tell what was reached.
type keyTraces struct {
	commits map[*Node][]uint64 // indices of settled commits that took effect
	blind   *Node              // the only device of this world whose keys are wrong
}

// skip lets so many milliseconds pass in which no device of the world ran: all
// lids were closed. What would have happened in them happens at their end.
func (w *World) skip(ms int64) {
	w.now += ms
	for i := range w.queue {
		w.queue[i].at = max(w.queue[i].at, w.now)
	}
	heap.Init(&w.queue)
}

// keyFault lets one of the keys' faults happen.
func (r *rare) keyFault(w *World, what string, n *Node) error {
	switch what {
	case "lose keys": // as a store says it that cannot open what it keeps
		if !w.keysWithout(n) {
			return nil
		}
		n.Crash()
		n.disk.loseSecrets("now")
		return n.Start()
	case "damage": // of any space, more than one at times
		if !w.keysWithout(n) {
			return nil
		}
		n.Crash()
		for _, space := range slices.Sorted(maps.Keys(n.disk.loadSecrets())) {
			if w.Rand.IntN(3) == 0 {
				n.disk.loseSecrets(space)
			}
		}
		return n.Start()
	case "blind": // it is noticed when they are read: else it could process no commit of another
		if r.keyed.blind == nil {
			r.keyed.blind = n
		}
		n = r.keyed.blind
		if !w.keysWithout(n) {
			return nil
		}
		n.Crash()
		n.disk.blind()
		w.blind = n
		return n.Start()
	case "return": // whoever is out
		for _, n := range w.Nodes[1:] {
			if n.chat != nil && n.up && !n.busy && n.isOut() && w.Nodes[0].chat != nil && w.Nodes[0].isOutOf(n) {
				n.forget()
				w.leavers--
				r.mark("a member returned")
				w.JoinBy(n.index, 0, []byte("sixteen bytes !!"))
				return n.Start()
			}
		}
	case "sleep":
		w.skip(60_000 + w.Rand.Int64N(1_200_000))
	}
	return nil
}

// keysWithout reports whether the chat's keys outlive those of a node: when nobody
// has them any more, nobody ever will, and the chat is founded anew.
func (w *World) keysWithout(n *Node) bool {
	for _, m := range w.members() {
		if m != n && m != w.blind && !m.isOut() && m.chat.View().Keys.State == demes.KeysGood {
			return true
		}
	}
	return false
}

// isOut reports whether the node knows that it is no member any more.
func (n *Node) isOut() bool {
	phase := n.chat.Phase()
	return phase == demes.PhaseLeft || phase == demes.PhaseRemoved
}

// isOutOf reports whether another node is no member by this one's final log.
func (n *Node) isOutOf(other *Node) bool {
	f := n.chat.Fold()
	_, was := f.Gone[other.ID]
	return was && f.Members[other.ID] == nil && n.chat.Final() == f.Head.Index
}

// forget stops a node and empties its disk: its user goes away for good.
func (n *Node) forget() {
	n.Crash()
	n.disk = newDisk()
	delete(n.world.check.heads, n)
	delete(n.world.check.own, n)
	delete(n.world.check.checked, n)
}

func (d *disk) loseSecrets(space string) {
	maps.DeleteFunc(d.secrets, func(key secretName, _ []byte) bool { return key.space == space })
}

// blind makes the private keys of the tree wrong that the disk holds.
func (d *disk) blind() {
	at := secretName{"now", "epoch"}
	if record := d.secrets[at]; record != nil {
		s := openEpoch(record)
		for i := range s.keys {
			s.keys[i][9] ^= 1
		}
		d.secrets[at] = s.record
	}
}

// epochSecrets are a stored epoch's secrets (mls/record.go), as slices of its
// record.
type epochSecrets struct {
	record     []byte
	context    []byte // GroupContext
	self       uint32
	signer     []byte
	membership []byte
	keys       [][]byte // private keys of nodes of the tree
}

// openEpoch reads a copy of a group's epoch record, for those who alter or use
// what the package keeps to itself.
func openEpoch(record []byte) epochSecrets {
	s := epochSecrets{record: slices.Clone(record)}
	r := tls(s.record)
	r.take(2) // version, frozen
	start := r
	r.take(4)
	r.vector() // group id
	r.take(8)
	for range 3 {
		r.vector()
	}
	s.context = start[:len(start)-len(r)]
	r.vector() // confirmation tag
	s.self = binary.BigEndian.Uint32(r.take(4))
	s.signer = r.vector()
	for i := range 8 {
		secret := r.vector()
		if i == 4 {
			s.membership = secret
		}
	}
	for keys := tls(r.vector()); len(keys) > 0; {
		keys.take(4)
		s.keys = append(s.keys, keys.vector())
	}
	return s
}

// tls reads the presentation language of RFC 9420 §2.1 as far as attacks need it.
// It panics on what it cannot read: its inputs are made by the package mls.
type tls []byte

func (r *tls) take(n int) []byte {
	out := (*r)[:n:n]
	*r = (*r)[n:]
	return out
}

func (r *tls) vector() []byte {
	size := 1 << ((*r)[0] >> 6)
	head := slices.Clone(r.take(size))
	head[0] &= 0x3f
	n := 0
	for _, b := range head {
		n = n<<8 | int(b)
	}
	return r.take(n)
}

// vector writes an opaque<V>.
func vector(b []byte) []byte {
	switch n := len(b); {
	case n < 1<<6:
		return append([]byte{byte(n)}, b...)
	case n < 1<<14:
		return append([]byte{0x40 | byte(n>>8), byte(n)}, b...)
	default:
		return append([]byte{0x80 | byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)}, b...)
	}
}

// keysKept looks at the keys in what has just become durable.
func (r *rare) keysKept(n *Node, b *chat.Batch) {
	if b.Unsettle != nil {
		kept := r.keyed.commits[n]
		for len(kept) > 0 && kept[len(kept)-1] > *b.Unsettle {
			r.mark("a commit unsettled")
			kept = kept[:len(kept)-1]
		}
		r.keyed.commits[n] = kept
	}
	for _, s := range b.Settled {
		if s.Event == nil || s.Event.Kind != demes.KindCommit {
			continue
		}
		switch commit := (&wire.Commit{}); {
		case s.Void == chat.VoidEpoch:
			r.mark("a race for an epoch lost")
		case s.Void == "" && wire.Unmarshal(s.Event.Payload, commit) == nil:
			r.keyed.commits[n] = append(r.keyed.commits[n], s.Index)
			if len(commit.GetChanges()) == 0 && !isExternal(commit.GetMls()) {
				r.mark("keys refreshed")
			}
		}
	}
	for _, change := range b.Secrets {
		back := func(s chat.SecretChange) bool { return s.Space == "back" && s.Reset && len(s.Put) == 0 }
		if change.Space == "now" && change.Reset && len(change.Put) > 0 && slices.ContainsFunc(b.Secrets, back) {
			r.mark("come back by an external commit")
		}
	}
}

// isExternal reports whether an MLS message is an external commit.
func isExternal(message []byte) bool {
	if header, err := mls.Inspect(message); err != nil || header.WireFormat != mls.WirePublic {
		return false
	}
	r := tls(message[4:])
	r.vector()
	r.take(8)
	return r[0] == 4 // new_member_commit
}

// keysSent looks at a frame that is sent.
func (r *rare) keysSent(f *wire.Frame) {
	switch kind := f.GetKind().(type) {
	case *wire.Frame_Judge:
		if !kind.Judge.GetGood() {
			r.mark("a commit judged bad")
		}
	case *wire.Frame_Revealed:
		if len(kind.Revealed.GetContents()) > 0 {
			r.mark("contents revealed by a peer")
		}
	}
}
