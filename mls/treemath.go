package mls

import "math/bits"

// The ratchet tree is an array (RFC 9420 §4.1, Appendix C): leaf i is node 2i,
// parents have odd indices, and the number of leaves is a power of two.

// LeafIndex names a member by its place in the tree. An index is reused after
// its member was removed.
type LeafIndex uint32

// nodeIndex names a node of the array.
type nodeIndex uint32

func (i LeafIndex) node() nodeIndex { return nodeIndex(i) << 1 }

func (x nodeIndex) isLeaf() bool { return x&1 == 0 }

func (x nodeIndex) leaf() LeafIndex { return LeafIndex(x >> 1) }

// level is the height of x above the leaves.
func (x nodeIndex) level() int { return bits.TrailingZeros32(^uint32(x)) }

// left returns the left child of a parent node.
func (x nodeIndex) left() nodeIndex { return x ^ 1<<(x.level()-1) }

// right returns the right child of a parent node.
func (x nodeIndex) right() nodeIndex { return x ^ 3<<(x.level()-1) }

// parent returns the node above x. It is meaningful below the root only.
func (x nodeIndex) parent() nodeIndex {
	k := x.level()
	return (x | 1<<k) &^ (1 << (k + 1))
}

// sibling returns the other child of x's parent.
func (x nodeIndex) sibling() nodeIndex {
	p := x.parent()
	if x < p {
		return p.right()
	}
	return p.left()
}

// covers reports whether y lies in the subtree under x.
func (x nodeIndex) covers(y nodeIndex) bool {
	half := nodeIndex(1)<<x.level() - 1
	return x-half <= y && y <= x+half
}

// rootOf returns the root of a tree with a power of two of leaves.
func rootOf(leaves uint32) nodeIndex { return nodeIndex(leaves - 1) }

// commonAncestor returns the lowest node above both leaves.
func commonAncestor(a, b LeafIndex) nodeIndex {
	x, y := a.node(), b.node()
	for !x.covers(y) {
		x = x.parent()
	}
	return x
}

// directPath returns the nodes above x up to and including root, from below.
func directPath(x, root nodeIndex) []nodeIndex {
	path := make([]nodeIndex, 0, root.level()-x.level())
	for x != root {
		x = x.parent()
		path = append(path, x)
	}
	return path
}
