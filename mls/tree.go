package mls

import (
	"fmt"
	"slices"
)

// node is one slot of the ratchet tree: a leaf, a parent or blank.
//
// Invariant: a node is never changed once it stands in a tree, except that hash
// goes from nil to its value. A change puts a new node into the slot, and new
// nodes into all slots above, whose hashes it makes stale. Trees of successive
// epochs therefore share their nodes and each hash is computed once.
type node struct {
	leaf   *LeafNode
	parent *parentNode
	hash   []byte // tree hash of the subtree (RFC 9420 §7.8), nil until asked for
}

func (n *node) blank() bool { return n.leaf == nil && n.parent == nil }

// encryptionKey returns the node's key, nil if it is blank.
func (n *node) encryptionKey() []byte {
	switch {
	case n.leaf != nil:
		return n.leaf.EncryptionKey
	case n.parent != nil:
		return n.parent.encryptionKey
	}
	return nil
}

// parentNode is ParentNode of RFC 9420 §7.1.
type parentNode struct {
	encryptionKey []byte
	parentHash    []byte
	unmerged      []LeafIndex // Invariant: rising.
}

func decodeParentNode(r *reader) *parentNode {
	p := &parentNode{encryptionKey: r.vector(), parentHash: r.vector()}
	b := r.vector()
	if len(b)%4 != 0 {
		r.fail(ErrMalformed)
		return p
	}
	in := reader{b: b}
	for len(in.b) > 0 {
		p.unmerged = append(p.unmerged, LeafIndex(in.uint32()))
	}
	return p
}

func (p *parentNode) encode(w *writer) {
	w.vector(p.encryptionKey)
	w.vector(p.parentHash)
	w.b = appendLength(w.b, 4*len(p.unmerged))
	for _, i := range p.unmerged {
		w.uint32(uint32(i))
	}
}

// tree is the ratchet tree of a group (RFC 9420 §4, §7).
//
// Invariant: nodes has 2·2^d-1 entries, none nil. Unless the tree has one leaf,
// its right half holds a member.
type tree struct {
	suite *suite
	nodes []*node
	free  LeafIndex // no leaf below free is blank
}

// clone returns a tree that shares the nodes and may be changed on its own. It
// copies one slice of pointers. All hashes of t are computed first, so that a
// node without one belongs to one tree only.
func (t *tree) clone() *tree {
	t.treeHash()
	return &tree{suite: t.suite, nodes: slices.Clone(t.nodes), free: t.free}
}

// leaves is the number of leaf slots, a power of two.
func (t *tree) leaves() uint32 { return uint32(len(t.nodes)+1) / 2 }

func (t *tree) root() nodeIndex { return rootOf(t.leaves()) }

// leaf returns the leaf at i, nil if blank or outside the tree.
func (t *tree) leaf(i LeafIndex) *LeafNode {
	if uint32(i) >= t.leaves() {
		return nil
	}
	return t.nodes[i.node()].leaf
}

// members calls f for each leaf that is not blank, until f returns false.
func (t *tree) members(f func(LeafIndex, *LeafNode) bool) {
	for x := 0; x < len(t.nodes); x += 2 {
		if l := t.nodes[x].leaf; l != nil && !f(nodeIndex(x).leaf(), l) {
			return
		}
	}
}

// set replaces the node at x and makes the hashes above stale.
func (t *tree) set(x nodeIndex, n *node) {
	t.nodes[x] = n
	for root := t.root(); x != root; {
		x = x.parent()
		if above := t.nodes[x]; above.hash != nil {
			t.nodes[x] = &node{parent: above.parent}
		}
	}
}

// appendResolution appends the resolution of x (RFC 9420 §4.1.1) to out.
func (t *tree) appendResolution(out []nodeIndex, x nodeIndex) []nodeIndex {
	n := t.nodes[x]
	if n.blank() {
		if x.isLeaf() {
			return out
		}
		return t.appendResolution(t.appendResolution(out, x.left()), x.right())
	}
	out = append(out, x)
	if n.parent != nil {
		for _, i := range n.parent.unmerged {
			out = append(out, i.node())
		}
	}
	return out
}

// empty reports whether the resolution of x is empty.
func (t *tree) empty(x nodeIndex) bool {
	if !t.nodes[x].blank() {
		return false
	}
	return x.isLeaf() || t.empty(x.left()) && t.empty(x.right())
}

// step is one node of a filtered direct path with the child off the path.
type step struct{ node, copath nodeIndex }

// filteredPath returns the filtered direct path of a leaf (RFC 9420 §4.1.2).
func (t *tree) filteredPath(i LeafIndex) []step {
	var path []step
	x := i.node()
	for root := t.root(); x != root; {
		below := x
		x = x.parent()
		if copath := below.sibling(); !t.empty(copath) {
			path = append(path, step{x, copath})
		}
	}
	return path
}

// freeLeaf returns the leftmost blank leaf, growing the tree if there is none
// (RFC 9420 §7.7).
func (t *tree) freeLeaf() (LeafIndex, error) {
	n := t.leaves()
	for uint32(t.free) < n && t.leaf(t.free) != nil {
		t.free++
	}
	if uint32(t.free) == n {
		if n >= MaxMembers {
			return 0, fmt.Errorf("group of %d members: %w", n, ErrTooLarge)
		}
		t.grow()
	}
	return t.free, nil
}

// grow doubles the tree: a blank root over the old tree and a blank half.
func (t *tree) grow() {
	size := 2*len(t.nodes) + 1
	t.nodes = slices.Grow(t.nodes, size-len(t.nodes))
	for len(t.nodes) < size {
		t.nodes = append(t.nodes, new(node))
	}
}

// add puts a leaf into the leftmost blank slot and marks it unmerged in every
// parent above (RFC 9420 §7.7, §12.1.1).
func (t *tree) add(l *LeafNode) (LeafIndex, error) {
	i, err := t.freeLeaf()
	if err != nil {
		return 0, err
	}
	t.set(i.node(), &node{leaf: l})
	for _, x := range directPath(i.node(), t.root()) {
		if p := t.nodes[x].parent; p != nil {
			at, _ := slices.BinarySearch(p.unmerged, i)
			unmerged := slices.Concat(p.unmerged[:at], []LeafIndex{i}, p.unmerged[at:])
			t.nodes[x] = &node{parent: &parentNode{p.encryptionKey, p.parentHash, unmerged}}
		}
	}
	return i, nil
}

// update replaces a member's leaf and blanks its direct path (RFC 9420 §12.1.2).
func (t *tree) update(i LeafIndex, l *LeafNode) {
	t.set(i.node(), &node{leaf: l})
	t.blankPath(i)
}

// drop blanks a leaf and its direct path (RFC 9420 §12.1.3). The tree is to be
// shrunk after the last drop.
func (t *tree) drop(i LeafIndex) {
	t.set(i.node(), new(node))
	t.blankPath(i)
	t.free = min(t.free, i)
}

// shrink cuts the right half off while it holds no member (RFC 9420 §7.7).
func (t *tree) shrink() {
	for t.leaves() > 1 && t.noMember(t.leaves()/2) {
		t.nodes = t.nodes[: t.leaves()-1 : t.leaves()-1]
	}
	t.free = min(t.free, LeafIndex(t.leaves()))
}

// noMember reports whether all leaves from first on are blank.
func (t *tree) noMember(first uint32) bool {
	for i := t.leaves(); i > first; i-- {
		if t.nodes[LeafIndex(i-1).node()].leaf != nil {
			return false
		}
	}
	return true
}

func (t *tree) blankPath(i LeafIndex) {
	for _, x := range directPath(i.node(), t.root()) {
		if t.nodes[x].parent != nil {
			t.nodes[x] = new(node)
		}
	}
}

// decodeTree reads a ratchet_tree (RFC 9420 §12.4.3.3): optional nodes, leaves
// and parents alternating, the last one not blank.
func decodeTree(s *suite, b []byte) (*tree, error) {
	r := reader{b: b}
	in := r.nested()
	if err := r.finish(); err != nil {
		return nil, fmt.Errorf("ratchet tree: %w", err)
	}
	t := &tree{suite: s}
	for len(in.b) > 0 {
		if len(t.nodes) >= 2*MaxMembers-1 {
			return nil, fmt.Errorf("ratchet tree: %w", ErrTooLarge)
		}
		t.nodes = append(t.nodes, decodeNode(&in, nodeIndex(len(t.nodes))))
	}
	if in.err != nil {
		return nil, fmt.Errorf("ratchet tree: %w", in.err)
	}
	if len(t.nodes) == 0 || t.nodes[len(t.nodes)-1].blank() {
		return nil, fmt.Errorf("ratchet tree ends with a blank node: %w", ErrMalformed)
	}
	width := uint32(1)
	for int(2*width-1) < len(t.nodes) {
		width *= 2
	}
	for len(t.nodes) < int(2*width-1) {
		t.nodes = append(t.nodes, new(node))
	}
	if width > 1 && t.noMember(width/2) {
		return nil, fmt.Errorf("ratchet tree has an empty right half: %w", ErrMalformed)
	}
	return t, nil
}

// decodeNode reads the optional<Node> at x.
func decodeNode(r *reader, x nodeIndex) *node {
	if !r.present() {
		return new(node)
	}
	kind := r.uint8()
	switch {
	case kind == 1 && x.isLeaf():
		return &node{leaf: decodeLeafNode(r)}
	case kind == 2 && !x.isLeaf():
		return &node{parent: decodeParentNode(r)}
	}
	r.fail(ErrMalformed)
	return new(node)
}

// encode writes the ratchet_tree without the blank nodes at its end.
func (t *tree) encode(w *writer) {
	last := len(t.nodes)
	for last > 0 && t.nodes[last-1].blank() {
		last--
	}
	w.nested(func() {
		for _, n := range t.nodes[:last] {
			w.present(!n.blank())
			switch {
			case n.leaf != nil:
				w.uint8(1)
				n.leaf.encode(w)
			case n.parent != nil:
				w.uint8(2)
				n.parent.encode(w)
			}
		}
	})
}
