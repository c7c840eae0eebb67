package mls

import (
	"fmt"
	"slices"
)

// MaxForward is how far ahead of the last key used a message's generation may
// be. Only members can name a generation at all, and 2,000 steps take 2 ms.
const MaxForward = 2000

// MaxSkipped is how many keys of messages that did not arrive are kept for each
// ratchet. The oldest go first.
const MaxSkipped = 256

// ratchetKind selects one of the two ratchets of a leaf (RFC 9420 §9.1).
type ratchetKind uint8

const (
	handshakeRatchet ratchetKind = iota
	applicationRatchet
)

// ratchetOf returns the ratchet that encrypts content of type t.
func ratchetOf(t ContentType) ratchetKind {
	if t == ContentApplication {
		return applicationRatchet
	}
	return handshakeRatchet
}

// messageKey encrypts one message.
type messageKey struct {
	generation uint32
	key        []byte
	nonce      []byte
}

// ratchet is a symmetric ratchet of RFC 9420 §9.1. Ratchets are values: stepping
// one gives another and leaves the old one as it was.
type ratchet struct {
	secret  []byte // of generation next
	next    uint32
	skipped []messageKey // Invariant: rising generations, all below next, at most MaxSkipped.
}

// leafRatchets are the ratchets of one sender.
type leafRatchets [2]ratchet

// secretTree is the secret tree of RFC 9420 §9. It holds only what is not yet
// consumed: the secret of a node until one of its children is needed, then the
// ratchets of the leaf and the secret of each sibling on the way.
//
// It changes by apply only, so that a message that turns out forged leaves no
// trace.
type secretTree struct {
	suite    *suite
	root     nodeIndex
	nodes    map[nodeIndex][]byte
	ratchets map[LeafIndex]*leafRatchets
	dirty    map[string]bool // keys of the records to write, see Changes
}

// newSecretTree starts the tree of an epoch.
func newSecretTree(s *suite, leaves uint32, encryptionSecret []byte) *secretTree {
	root := rootOf(leaves)
	return &secretTree{suite: s, root: root, nodes: map[nodeIndex][]byte{root: encryptionSecret},
		ratchets: map[LeafIndex]*leafRatchets{}, dirty: map[string]bool{}}
}

// clone returns a tree with its own copy of all secrets, because apply erases
// those that it spends.
func (t *secretTree) clone() *secretTree {
	out := newSecretTree(t.suite, 1, nil)
	out.root = t.root
	clear(out.nodes)
	for x, secret := range t.nodes {
		out.nodes[x] = slices.Clone(secret)
	}
	for i, pair := range t.ratchets {
		copied := *pair
		for kind := range copied {
			copied[kind].secret = slices.Clone(copied[kind].secret)
			copied[kind].skipped = slices.Clone(copied[kind].skipped)
			for n, k := range copied[kind].skipped {
				copied[kind].skipped[n] = messageKey{k.generation, slices.Clone(k.key), slices.Clone(k.nonce)}
			}
		}
		out.ratchets[i] = &copied
	}
	return out
}

// advance is a step of the tree that has been computed and not yet applied.
type advance struct {
	leaf     LeafIndex
	ratchets leafRatchets
	consumed []nodeIndex          // nodes whose secret has been spent
	created  map[nodeIndex][]byte // secrets of siblings on the way
}

// apply makes an advance last: from here on the keys it used are gone.
func (t *secretTree) apply(a *advance) {
	for _, x := range a.consumed {
		clear(t.nodes[x])
		delete(t.nodes, x)
		t.dirty[nodeRecord(x)] = true
	}
	for x, secret := range a.created {
		t.nodes[x] = secret
		t.dirty[nodeRecord(x)] = true
	}
	if old := t.ratchets[a.leaf]; old != nil {
		for kind := range old {
			if &old[kind].secret[0] != &a.ratchets[kind].secret[0] {
				clear(old[kind].secret)
			}
		}
	}
	t.ratchets[a.leaf] = &a.ratchets
	t.dirty[ratchetRecord(a.leaf)] = true
}

// open starts an advance: the ratchets of leaf, derived if it is their first use.
func (t *secretTree) open(leaf LeafIndex) (*advance, error) {
	if r, ok := t.ratchets[leaf]; ok {
		return &advance{leaf: leaf, ratchets: *r}, nil
	}
	return t.descend(leaf)
}

// descend derives the ratchets of leaf from the lowest secret above it (RFC 9420
// §9), and the secrets of the siblings left behind.
func (t *secretTree) descend(leaf LeafIndex) (*advance, error) {
	a := &advance{leaf: leaf, created: map[nodeIndex][]byte{}}
	x := leaf.node()
	for t.nodes[x] == nil {
		if x == t.root {
			return nil, fmt.Errorf("leaf %d: %w", leaf, ErrSpent)
		}
		x = x.parent()
	}
	secret := t.nodes[x]
	a.consumed = []nodeIndex{x}
	for x != leaf.node() {
		left, err := t.suite.expandWithLabel(secret, "tree", []byte("left"), t.suite.nh)
		if err != nil {
			return nil, err
		}
		right, err := t.suite.expandWithLabel(secret, "tree", []byte("right"), t.suite.nh)
		if err != nil {
			return nil, err
		}
		if leaf.node() < x {
			secret, a.created[x.right()] = left, right
			x = x.left()
		} else {
			secret, a.created[x.left()] = right, left
			x = x.right()
		}
	}
	for kind, name := range []string{handshakeRatchet: "handshake", applicationRatchet: "application"} {
		first, err := t.suite.expandWithLabel(secret, name, nil, t.suite.nh)
		if err != nil {
			return nil, err
		}
		a.ratchets[kind] = ratchet{secret: first}
	}
	return a, nil
}

// step derives the key of generation next and the ratchet after it.
func (r ratchet) step(s *suite) (messageKey, ratchet, error) {
	k := messageKey{generation: r.next}
	var err error
	if k.key, err = s.deriveTreeSecret(r.secret, "key", r.next, s.nk); err != nil {
		return k, r, err
	}
	if k.nonce, err = s.deriveTreeSecret(r.secret, "nonce", r.next, nonceSize); err != nil {
		return k, r, err
	}
	r, err = r.skip(s)
	return k, r, err
}

// skip returns the ratchet after generation next without that generation's key.
func (r ratchet) skip(s *suite) (ratchet, error) {
	if r.next == 1<<32-1 {
		return r, ErrSpent
	}
	secret, err := s.deriveTreeSecret(r.secret, "secret", r.next, s.nh)
	r.secret, r.next = secret, r.next+1
	return r, err
}

// take returns the key of one generation and the ratchet without it. Each key is
// given once.
func (r ratchet) take(s *suite, generation uint32) (messageKey, ratchet, error) {
	if generation < r.next {
		for i, k := range r.skipped {
			if k.generation == generation {
				r.skipped = slices.Concat(r.skipped[:i], r.skipped[i+1:])
				return k, r, nil
			}
		}
		return messageKey{}, r, fmt.Errorf("generation %d, next is %d: %w", generation, r.next, ErrReplayed)
	}
	if generation-r.next > MaxForward {
		return messageKey{}, r, fmt.Errorf("generation %d, next is %d: %w", generation, r.next, ErrTooFar)
	}
	var err error
	for generation-r.next > MaxSkipped {
		if r, err = r.skip(s); err != nil {
			return messageKey{}, r, err
		}
	}
	var passed []messageKey
	for {
		k, after, err := r.step(s)
		if err != nil {
			return messageKey{}, r, err
		}
		r = after
		if k.generation == generation {
			if len(passed) > 0 {
				r.skipped = slices.Concat(r.skipped, passed)
				r.skipped = r.skipped[max(0, len(r.skipped)-MaxSkipped):]
			}
			return k, r, nil
		}
		passed = append(passed, k)
	}
}

// send advances a ratchet of this member by one.
func (t *secretTree) send(leaf LeafIndex, kind ratchetKind) (messageKey, *advance, error) {
	a, err := t.open(leaf)
	if err != nil {
		return messageKey{}, nil, err
	}
	k, after, err := a.ratchets[kind].step(t.suite)
	if err != nil {
		return messageKey{}, nil, err
	}
	a.ratchets[kind] = after
	return k, a, nil
}

// receive finds the key of a message of another member.
func (t *secretTree) receive(leaf LeafIndex, kind ratchetKind, generation uint32) (messageKey, *advance, error) {
	a, err := t.open(leaf)
	if err != nil {
		return messageKey{}, nil, err
	}
	k, after, err := a.ratchets[kind].take(t.suite, generation)
	if err != nil {
		return messageKey{}, nil, err
	}
	a.ratchets[kind] = after
	return k, a, nil
}
