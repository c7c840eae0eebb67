package mls

import (
	"bytes"
	"crypto/hpke"
	"crypto/rand"
	"fmt"
	"slices"
)

// keyRing holds the private keys a member has: of its leaf and of nodes above it.
type keyRing map[nodeIndex]hpke.PrivateKey

// carry returns the keys of k whose nodes are the same in both trees.
func (k keyRing) carry(before, after *tree) keyRing {
	out := make(keyRing, len(k))
	for x, key := range k {
		if int(x) < len(after.nodes) && bytes.Equal(before.nodes[x].encryptionKey(), after.nodes[x].encryptionKey()) {
			out[x] = key
		}
	}
	return out
}

// climb holds a path secret and derives what RFC 9420 §7.4 derives from it.
type climb struct {
	suite  *suite
	secret []byte
}

// key derives the key pair of the node whose path secret is current.
func (c *climb) key() (hpke.PrivateKey, error) {
	secret, err := c.suite.deriveSecret(c.secret, "node")
	if err != nil {
		return nil, err
	}
	return c.suite.kem.DeriveKeyPair(secret)
}

// next moves to the path secret of the next node. After the last node it is the
// commit secret.
func (c *climb) next() (err error) {
	c.secret, err = c.suite.deriveSecret(c.secret, "path")
	return err
}

// ownPath is an update path that this member makes.
type ownPath struct {
	path         updatePath
	steps        []step
	secrets      [][]byte // path secret of each step
	keys         keyRing
	commitSecret []byte
}

// mergePath blanks a member's direct path, sets the public keys of its filtered
// direct path and their parent hashes, and returns the parent hash that the leaf
// must carry (RFC 9420 §7.5, §7.9).
func (t *tree) mergePath(i LeafIndex, steps []step, keys [][]byte) []byte {
	t.set(i.node(), new(node))
	t.blankPath(i)
	hash := []byte{}
	for k := len(steps) - 1; k >= 0; k-- {
		p := &parentNode{encryptionKey: keys[k], parentHash: hash}
		t.nodes[steps[k].node] = &node{parent: p}
		hash = t.parentHash(p, steps[k].copath)
	}
	return hash
}

// createPath gives the member at i a fresh leaf and a fresh path in t (RFC 9420
// §7.4, §7.5). The ciphertexts are added by encryptPath.
func (t *tree) createPath(i LeafIndex, leaf *LeafNode, signer *SigningKey, groupID []byte) (*ownPath, error) {
	leafKey, err := t.suite.kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("create path: %w", err)
	}
	o := &ownPath{steps: t.filteredPath(i), keys: keyRing{i.node(): leafKey}}
	public, err := o.deriveKeys(t.suite)
	if err != nil {
		return nil, fmt.Errorf("create path: %w", err)
	}
	leaf.EncryptionKey = leafKey.PublicKey().Bytes()
	leaf.Source = SourceCommit
	leaf.ParentHash = t.mergePath(i, o.steps, public)
	if err := leaf.sign(signer, groupID, i); err != nil {
		return nil, fmt.Errorf("create path: %w", err)
	}
	t.nodes[i.node()] = &node{leaf: leaf}
	o.path.leaf = leaf
	return o, nil
}

// deriveKeys draws the first path secret and derives the rest.
func (o *ownPath) deriveKeys(s *suite) (public [][]byte, err error) {
	c := climb{suite: s, secret: make([]byte, s.nh)}
	rand.Read(c.secret)
	for _, st := range o.steps {
		key, err := c.key()
		if err != nil {
			return nil, err
		}
		o.secrets = append(o.secrets, c.secret)
		o.keys[st.node] = key
		public = append(public, key.PublicKey().Bytes())
		o.path.nodes = append(o.path.nodes, pathNode{encryptionKey: public[len(public)-1]})
		if err := c.next(); err != nil {
			return nil, err
		}
	}
	o.commitSecret = c.secret
	return public, nil
}

// secretFor returns the path secret of the lowest node that the committer at i
// shares with a new member, nil if there is none (RFC 9420 §12.4.1).
func (o *ownPath) secretFor(i, member LeafIndex) []byte {
	if o == nil {
		return nil
	}
	ancestor := commonAncestor(i, member)
	for k, st := range o.steps {
		if st.node == ancestor {
			return o.secrets[k]
		}
	}
	return nil
}

// recipients returns the nodes to which a path secret is sealed: the resolution
// of the copath node without the members that the same commit adds, who get
// theirs by Welcome (RFC 9420 §7.5). added is rising, as adds fill the tree from
// the left.
func (t *tree) recipients(copath nodeIndex, added []LeafIndex) []nodeIndex {
	out := t.appendResolution(nil, copath)
	if len(added) == 0 {
		return out
	}
	return slices.DeleteFunc(out, func(x nodeIndex) bool { return x.isLeaf() && contains(added, x.leaf()) })
}

// encryptPath seals each path secret to the subtree that needs it. context is the
// provisional GroupContext (RFC 9420 §7.6, §12.4.1).
func (t *tree) encryptPath(o *ownPath, context []byte, added []LeafIndex, policy *Policy) error {
	type job struct {
		public, secret []byte
		to             *sealed
	}
	var jobs []job
	for k, st := range o.steps {
		to := t.recipients(st.copath, added)
		o.path.nodes[k].secrets = make([]sealed, len(to))
		for j, x := range to {
			jobs = append(jobs, job{t.nodes[x].encryptionKey(), o.secrets[k], &o.path.nodes[k].secrets[j]})
		}
	}
	return policy.forEach(len(jobs), func(i int) (err error) {
		*jobs[i].to, err = t.suite.encryptWithLabel(jobs[i].public, "UpdatePathNode", context, jobs[i].secret)
		return err
	})
}

// applyPath checks the public part of another member's path and merges it into t
// (RFC 9420 §7.5, §12.4.2). Whatever it checks, every member finds alike.
func (t *tree) applyPath(i LeafIndex, path *updatePath, added []LeafIndex) ([]step, error) {
	steps := t.filteredPath(i)
	if len(steps) != len(path.nodes) {
		return nil, fmt.Errorf("path of %d nodes, not %d: %w", len(path.nodes), len(steps), ErrPath)
	}
	keys := make([][]byte, len(steps))
	for k, n := range path.nodes {
		if len(n.secrets) != len(t.recipients(steps[k].copath, added)) {
			return nil, fmt.Errorf("path node %d has %d secrets: %w", k, len(n.secrets), ErrPath)
		}
		if _, err := t.suite.kem.NewPublicKey(n.encryptionKey); err != nil {
			return nil, fmt.Errorf("path node %d: %w", k, ErrKey)
		}
		keys[k] = bytes.Clone(n.encryptionKey)
	}
	if !bytes.Equal(t.mergePath(i, steps, keys), path.leaf.ParentHash) {
		return nil, fmt.Errorf("path leaf: %w", ErrParentHash)
	}
	t.nodes[i.node()] = &node{leaf: path.leaf.apart()}
	return steps, nil
}

// decryptPath finds the path secret that is sealed to the member at self and
// derives the keys from there up (RFC 9420 §7.5, §7.6). It adds them to ring and
// returns the commit secret.
func (t *tree) decryptPath(steps []step, path *updatePath, self LeafIndex, ring keyRing, context []byte,
	added []LeafIndex) ([]byte, error) {
	k := slices.IndexFunc(steps, func(st step) bool { return st.copath.covers(self.node()) })
	if k < 0 {
		return nil, fmt.Errorf("path passes by leaf %d: %w", self, ErrPath)
	}
	to := t.recipients(steps[k].copath, added)
	j := slices.IndexFunc(to, func(x nodeIndex) bool { return ring[x] != nil })
	if j < 0 {
		return nil, fmt.Errorf("path has no secret for leaf %d: %w", self, ErrPath)
	}
	secret, err := t.suite.decryptWithLabel(ring[to[j]], "UpdatePathNode", context, path.nodes[k].secrets[j])
	if err != nil {
		return nil, fmt.Errorf("path secret: %w", err)
	}
	nodes := make([]nodeIndex, 0, len(steps)-k)
	for _, st := range steps[k:] {
		nodes = append(nodes, st.node)
	}
	return t.deriveUp(nodes, secret, ring)
}

// deriveUp derives the private keys of nodes from the path secret of the first,
// compares them with the public keys in t, adds them to ring and returns what
// follows the last: the commit secret.
func (t *tree) deriveUp(nodes []nodeIndex, secret []byte, ring keyRing) ([]byte, error) {
	if len(secret) != t.suite.nh {
		return nil, fmt.Errorf("path secret of %d bytes: %w", len(secret), ErrPath)
	}
	c := climb{suite: t.suite, secret: secret}
	for _, x := range nodes {
		key, err := c.key()
		if err != nil {
			return nil, fmt.Errorf("derive node key: %w", err)
		}
		if !bytes.Equal(key.PublicKey().Bytes(), t.nodes[x].encryptionKey()) {
			return nil, fmt.Errorf("path secret does not give the key of node %d: %w", x, ErrPath)
		}
		ring[x] = key
		if err := c.next(); err != nil {
			return nil, fmt.Errorf("derive path secret: %w", err)
		}
	}
	return c.secret, nil
}
