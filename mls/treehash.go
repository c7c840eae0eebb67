package mls

import (
	"bytes"
	"fmt"
	"slices"
)

// treeHash is the tree hash of the root (RFC 9420 §7.8).
func (t *tree) treeHash() []byte { return t.hashOf(t.root()) }

// hashOf is the tree hash of the subtree under x. It computes what is stale: after
// a change, the nodes on one path.
func (t *tree) hashOf(x nodeIndex) []byte {
	n := t.nodes[x]
	if n.hash == nil {
		n.hash = t.hashNode(x, n.leaf, n.parent, t.hashOf)
	}
	return n.hash
}

// hashNode is TreeHashInput of RFC 9420 §7.8 for a node with this content;
// below gives the hashes of the children.
func (t *tree) hashNode(x nodeIndex, leaf *LeafNode, parent *parentNode, below func(nodeIndex) []byte) []byte {
	w := writer{b: make([]byte, 0, 512)}
	if x.isLeaf() {
		w.uint8(1)
		w.uint32(uint32(x.leaf()))
		w.present(leaf != nil)
		if leaf != nil {
			leaf.encode(&w)
		}
		return t.suite.digest(w.b)
	}
	w.uint8(2)
	w.present(parent != nil)
	if parent != nil {
		parent.encode(&w)
	}
	w.vector(below(x.left()))
	w.vector(below(x.right()))
	return t.suite.digest(w.b)
}

// hashWithout is the tree hash of the subtree under x with some leaves taken out:
// the "original" hash of RFC 9420 §7.9. without is rising.
func (t *tree) hashWithout(x nodeIndex, without []LeafIndex) []byte {
	without = below(x, without)
	if len(without) == 0 {
		return t.hashOf(x)
	}
	if x.isLeaf() {
		return t.hashNode(x, nil, nil, nil)
	}
	parent := t.nodes[x].parent
	if parent != nil {
		kept := slices.DeleteFunc(slices.Clone(parent.unmerged), func(i LeafIndex) bool {
			_, gone := slices.BinarySearch(without, i)
			return gone
		})
		parent = &parentNode{parent.encryptionKey, parent.parentHash, kept}
	}
	return t.hashNode(x, nil, parent, func(y nodeIndex) []byte { return t.hashWithout(y, without) })
}

// below returns the part of a rising list of leaves that lies under x.
func below(x nodeIndex, leaves []LeafIndex) []LeafIndex {
	half := nodeIndex(1)<<x.level() - 1
	from, _ := slices.BinarySearch(leaves, (x - half).leaf())
	to, _ := slices.BinarySearch(leaves, (x+half).leaf()+1)
	return leaves[from:to]
}

// parentHash is the parent hash that a node under parent p at x carries, where
// copath is the other child of x (RFC 9420 §7.9).
func (t *tree) parentHash(p *parentNode, copath nodeIndex) []byte {
	w := writer{b: make([]byte, 0, 128)}
	w.vector(p.encryptionKey)
	w.vector(p.parentHash)
	w.vector(t.hashWithout(copath, p.unmerged))
	return t.suite.digest(w.b)
}

// checkParentHashes verifies that every parent is parent-hash valid (RFC 9420
// §7.9.2): exactly below one of its children stands a node that carries its hash
// and that the child's resolution otherwise consists of leaves unmerged at the
// parent.
func (t *tree) checkParentHashes() error {
	var scratch []nodeIndex
	for x := 1; x < len(t.nodes); x += 2 {
		p := t.nodes[x].parent
		if p == nil {
			continue
		}
		left, right := nodeIndex(x).left(), nodeIndex(x).right()
		if !t.carriesHash(p, left, right, &scratch) && !t.carriesHash(p, right, left, &scratch) {
			return fmt.Errorf("node %d: %w", x, ErrParentHash)
		}
	}
	return nil
}

// carriesHash looks for the node under child that carries the parent hash of p
// with copath as the sibling.
func (t *tree) carriesHash(p *parentNode, child, copath nodeIndex, scratch *[]nodeIndex) bool {
	resolution := t.appendResolution((*scratch)[:0], child)
	*scratch = resolution
	unmerged := below(child, p.unmerged)
	if len(resolution) != len(unmerged)+1 {
		return false
	}
	var carrier *node
	for _, x := range resolution {
		_, isUnmerged := slices.BinarySearch(unmerged, x.leaf())
		if x.isLeaf() && isUnmerged {
			continue
		}
		if carrier != nil {
			return false
		}
		carrier = t.nodes[x]
	}
	if carrier == nil {
		return false
	}
	return bytes.Equal(carrier.carriedHash(), t.parentHash(p, copath))
}

// carriedHash returns the parent hash that stands in a node, nil if it has none.
func (n *node) carriedHash() []byte {
	switch {
	case n.parent != nil:
		return n.parent.parentHash
	case n.leaf != nil && n.leaf.Source == SourceCommit:
		return n.leaf.ParentHash
	}
	return nil
}
