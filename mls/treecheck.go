package mls

import (
	"fmt"
	"slices"
)

// demands is what a group's extensions ask of every leaf (RFC 9420 §7.3, §11.1,
// §13.4).
type demands struct {
	required   RequiredCapabilities
	extensions []ExtensionType // beyond the defaults, that stand in the GroupContext
}

func demandsOf(extensions []Extension) (demands, error) {
	if err := checkUniqueExtensions(extensions); err != nil {
		return demands{}, err
	}
	if _, err := externalSenders(extensions); err != nil {
		return demands{}, err
	}
	required, err := requiredCapabilities(extensions)
	d := demands{required: required}
	for _, e := range extensions {
		if !e.Type.isDefault() {
			d.extensions = append(d.extensions, e.Type)
		}
	}
	return d, err
}

// check judges one leaf.
func (d demands) check(c Capabilities) error {
	if err := c.satisfies(d.required); err != nil {
		return err
	}
	for _, t := range d.extensions {
		if !c.supportsExtension(t) {
			return fmt.Errorf("group extension 0x%04X: %w", uint16(t), ErrCapability)
		}
	}
	return nil
}

// checkCredentialTypes verifies that every member supports the credential types
// in use (RFC 9420 §7.3).
func (t *tree) checkCredentialTypes() error {
	var used []CredentialType
	t.members(func(_ LeafIndex, l *LeafNode) bool {
		if !slices.Contains(used, l.Credential.Type) {
			used = append(used, l.Credential.Type)
		}
		return true
	})
	var err error
	t.members(func(i LeafIndex, l *LeafNode) bool {
		for _, c := range used {
			if !slices.Contains(l.Capabilities.Credentials, c) {
				err = fmt.Errorf("leaf %d does not support credential type %d: %w", i, c, ErrCapability)
			}
		}
		return err == nil
	})
	return err
}

// checkUnmerged verifies the lists of unmerged leaves (RFC 9420 §12.4.3.1): each
// entry is a member below the node and stands in every parent between.
func (t *tree) checkUnmerged() error {
	for x := 1; x < len(t.nodes); x += 2 {
		p := t.nodes[x].parent
		if p == nil {
			continue
		}
		for k, i := range p.unmerged {
			if k > 0 && p.unmerged[k-1] >= i {
				return fmt.Errorf("node %d: unmerged leaves are not in order: %w", x, ErrMalformed)
			}
			if t.leaf(i) == nil || !nodeIndex(x).covers(i.node()) {
				return fmt.Errorf("node %d: unmerged leaf %d is not below: %w", x, i, ErrMalformed)
			}
			for y := i.node().parent(); y != nodeIndex(x); y = y.parent() {
				if q := t.nodes[y].parent; q != nil && !contains(q.unmerged, i) {
					return fmt.Errorf("node %d: leaf %d is not unmerged at %d: %w", x, i, y, ErrMalformed)
				}
			}
		}
	}
	return nil
}

func contains(rising []LeafIndex, i LeafIndex) bool {
	_, ok := slices.BinarySearch(rising, i)
	return ok
}

// checkUnique verifies that no two nodes share an encryption key and no two
// leaves a signature key (RFC 9420 §7.3, §12.4.3.1, §16.8).
func (t *tree) checkUnique() error {
	seen := make(map[string]bool, len(t.nodes))
	signing := make(map[string]bool, len(t.nodes)/2)
	for x, n := range t.nodes {
		if n.blank() {
			continue
		}
		if key := string(n.encryptionKey()); seen[key] {
			return fmt.Errorf("encryption key of node %d: %w", x, ErrDuplicateKey)
		} else {
			seen[key] = true
		}
		if n.leaf == nil {
			continue
		}
		if key := string(n.leaf.SignatureKey); signing[key] {
			return fmt.Errorf("signature key of leaf %d: %w", nodeIndex(x).leaf(), ErrDuplicateKey)
		} else {
			signing[key] = true
		}
	}
	return nil
}

// newKeys are the keys that a commit brings in, each with the only node that may
// hold it.
type newKeys struct {
	encryption map[string]nodeIndex
	signature  map[string]nodeIndex
	hint       [256]bool // of the middle bytes of all keys, to pass over the rest quickly
}

// nowhere owns the keys of an update path: no node may hold one before it is
// merged (RFC 9420 §12.4.2).
const nowhere = ^nodeIndex(0)

func newKeySet() *newKeys {
	return &newKeys{encryption: map[string]nodeIndex{}, signature: map[string]nodeIndex{}}
}

func middle(key []byte) byte {
	if len(key) == 0 {
		return 0
	}
	return key[len(key)/2]
}

func (k *newKeys) add(keys map[string]nodeIndex, key []byte, owner nodeIndex) error {
	if _, ok := keys[string(key)]; ok {
		return fmt.Errorf("two new nodes: %w", ErrDuplicateKey)
	}
	keys[string(key)] = owner
	k.hint[middle(key)] = true
	return nil
}

// addLeaf adds the keys of a leaf whose encryption key may stand at owner and
// whose signature key may stand at i.
func (k *newKeys) addLeaf(i LeafIndex, l *LeafNode, owner nodeIndex) error {
	if err := k.add(k.encryption, l.EncryptionKey, owner); err != nil {
		return fmt.Errorf("leaf %d: %w", i, err)
	}
	if err := k.add(k.signature, l.SignatureKey, i.node()); err != nil {
		return fmt.Errorf("leaf %d: %w", i, err)
	}
	return nil
}

// checkNew verifies that no node of t holds a new key that belongs to another.
func (t *tree) checkNew(k *newKeys) error {
	for x, n := range t.nodes {
		if key := n.encryptionKey(); k.hint[middle(key)] {
			if owner, ok := k.encryption[string(key)]; ok && owner != nodeIndex(x) {
				return fmt.Errorf("encryption key of node %d: %w", x, ErrDuplicateKey)
			}
		}
		if n.leaf == nil || !k.hint[middle(n.leaf.SignatureKey)] {
			continue
		}
		if owner, ok := k.signature[string(n.leaf.SignatureKey)]; ok && owner != nodeIndex(x) {
			return fmt.Errorf("signature key of leaf %d: %w", nodeIndex(x).leaf(), ErrDuplicateKey)
		}
	}
	return nil
}

// validate checks a whole tree that came from outside, as a joiner must (RFC 9420
// §12.4.3.1): structure, parent hashes, keys, and each leaf with its signature and
// credential. Lifetimes are not judged: leaves may have expired since they were
// added, and all members must agree.
func (t *tree) validate(groupID []byte, extensions []Extension, policy *Policy) error {
	need, err := demandsOf(extensions)
	if err != nil {
		return err
	}
	for _, check := range []func() error{t.checkUnmerged, t.checkParentHashes, t.checkUnique, t.checkCredentialTypes} {
		if err := check(); err != nil {
			return err
		}
	}
	type member struct {
		index LeafIndex
		leaf  *LeafNode
	}
	var all []member
	t.members(func(i LeafIndex, l *LeafNode) bool {
		all = append(all, member{i, l})
		return true
	})
	err = policy.forEach(len(all), func(k int) error {
		m := all[k]
		if err := m.leaf.checkContent(t.suite); err != nil {
			return fmt.Errorf("leaf %d: %w", m.index, err)
		}
		if err := need.check(m.leaf.Capabilities); err != nil {
			return fmt.Errorf("leaf %d: %w", m.index, err)
		}
		return m.leaf.verifySignature(t.suite, groupID, m.index)
	})
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := policy.admit(Admission{Leaf: m.leaf, Reason: ReasonTree, Index: m.index, GroupID: groupID}); err != nil {
			return err
		}
	}
	return t.checkParentKeys()
}

// checkParentKeys verifies that the key of each parent has the length of one. That
// it can be encrypted to, all members checked when it came in; to expand two
// thousand ML-KEM keys again would take longer than all the rest.
func (t *tree) checkParentKeys() error {
	for x := 1; x < len(t.nodes); x += 2 {
		if p := t.nodes[x].parent; p != nil && len(p.encryptionKey) != t.suite.npk {
			return fmt.Errorf("node %d has a key of %d bytes: %w", x, len(p.encryptionKey), ErrKey)
		}
	}
	return nil
}
