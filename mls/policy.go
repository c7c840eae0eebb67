package mls

import (
	"fmt"
	"time"
)

// Policy holds the decisions that RFC 9420 leaves to the application. It must
// judge alike on every member, from what it is given and nothing else, or members
// will disagree on which commits are valid.
type Policy struct {
	// Credential is asked about every leaf before it can count: in key packages,
	// updates, commit paths, external commits and each leaf of a tree that one
	// joins or observes (RFC 9420 §5.3.1). It has to verify that the leaf's signature key
	// belongs to whom the credential names. There is no default.
	Credential func(Admission) error
	// PSK returns the secret of a pre-shared key, or an error. Nil means that
	// there are none. The resumption secret of the current epoch is found
	// without it.
	PSK func(PSKID) ([]byte, error)
	// MaxLifetime bounds the total lifetime of key packages that are added (RFC
	// 9420 §7.2). Zero means DefaultMaxLifetime, a negative value any.
	MaxLifetime time.Duration
	// Parallel, if set, runs f(0) … f(n-1) in any order, possibly at once, and
	// returns when all are done. Joining a large group then checks signatures on
	// several cores. Credential is always called from one place at a time.
	Parallel func(n int, f func(int))
}

// Reason says how a leaf comes into the group.
type Reason uint8

const (
	ReasonTree     Reason = iota + 1 // it is in the tree of a group that this client joins
	ReasonAdd                        // a member adds it by its key package
	ReasonUpdate                     // it replaces Previous by an Update proposal
	ReasonCommit                     // it replaces Previous by the path of its owner's commit
	ReasonExternal                   // it joins by an external commit, replacing Previous if set
)

// Admission is a leaf to be judged.
type Admission struct {
	Leaf   *LeafNode
	Reason Reason
	// Index is the leaf's place; it is 0 when a key package is checked outside any
	// group.
	Index LeafIndex
	// Previous is the leaf that this one replaces: the application decides
	// whether the one may succeed the other (RFC 9420 §5.3.1).
	Previous *LeafNode
	// GroupID is empty when a key package is checked outside any group.
	GroupID []byte
}

// admit asks the application about one leaf.
func (p *Policy) admit(a Admission) error {
	if p.Credential == nil {
		return fmt.Errorf("policy without a credential check: %w", ErrCredential)
	}
	if err := p.Credential(a); err != nil {
		return fmt.Errorf("leaf %d: %w: %w", a.Index, ErrCredential, err)
	}
	return nil
}

// forEach runs f(0) … f(n-1) and returns the first error by index.
func (p *Policy) forEach(n int, f func(int) error) error {
	errs := make([]error, n)
	run := func(i int) { errs[i] = f(i) }
	if p.Parallel != nil && n > 1 {
		p.Parallel(n, run)
	} else {
		for i := range n {
			run(i)
		}
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
