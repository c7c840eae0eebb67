package mls

import (
	"bytes"
	"fmt"
)

// publicEpoch is what needs no secret to be known of a group between two commits,
// and all that a commit is judged by before anything is decrypted.
//
// Invariant: it is never changed after it was made, and all tree hashes are
// computed, so that readers of the tree only read. A commit makes another one,
// which shares the tree nodes that stay the same.
type publicEpoch struct {
	suite           *suite
	context         GroupContext
	encoded         []byte // context as it is signed and hashed
	tree            *tree
	interim         []byte // interim transcript hash (RFC 9420 §8.2)
	confirmationTag []byte
}

// newPublicEpoch derives the rest from a context, its tree and its confirmation tag.
func newPublicEpoch(context GroupContext, t *tree, tag []byte) publicEpoch {
	return publicEpoch{suite: t.suite, context: context, encoded: encode(context.encode), tree: t, confirmationTag: tag,
		interim: t.suite.interimHash(context.ConfirmedTranscriptHash, tag)}
}

// same reports whether both are one epoch of one group with one history.
func (e *publicEpoch) same(other *publicEpoch) bool {
	return bytes.Equal(e.encoded, other.encoded) && bytes.Equal(e.confirmationTag, other.confirmationTag)
}

// epoch is a member's state of a group between two commits, apart from the
// ratchets.
//
// Invariant: an epoch is never changed after it was made. A commit makes another
// one, which shares the tree nodes and keys that stay the same; so staging and
// discarding cannot leave traces.
type epoch struct {
	publicEpoch
	self    LeafIndex
	signer  *SigningKey
	keys    keyRing
	secrets *epochSecrets
	reInit  *ReInit // set: the group is closed (RFC 9420 §12.1.5)
}

// successor collects what a commit needs to make the next epoch.
type successor struct {
	suite        *suite
	context      GroupContext // of the next epoch; tree hash and transcript are set on the way
	interim      []byte       // of the current epoch
	initSecret   []byte
	commitSecret []byte
	pskSecret    []byte

	joiner     []byte
	member     []byte
	encoded    []byte
	secrets    *epochSecrets
	encryption []byte
	tag        []byte
}

// newSuccessor starts the epoch after e with the outcome of its proposals.
func (e *epoch) newSuccessor(c *change) *successor {
	n := e.after(c)
	n.initSecret, n.commitSecret = e.secrets.init, e.suite.zero()
	return n
}

// after starts the public side of a successor.
func (e *publicEpoch) after(c *change) *successor {
	context := e.context
	context.Epoch++
	context.Extensions = c.extensions
	return &successor{suite: e.suite, context: context, interim: e.interim}
}

// provisional is the encoded GroupContext under which path secrets are sealed: of
// the new epoch, with the old transcript (RFC 9420 §12.4.1).
func (n *successor) provisional(t *tree) []byte {
	n.context.TreeHash = t.treeHash()
	return encode(n.context.encode)
}

// transcribe completes the next GroupContext once the commit is signed (RFC 9420
// §8.2, §12.4.1).
func (n *successor) transcribe(a *authenticated, t *tree) {
	n.context.TreeHash = t.treeHash()
	n.context.ConfirmedTranscriptHash = n.suite.confirmedHash(n.interim, a)
}

// derive completes the next epoch once the commit is signed (RFC 9420 §8, §12.4.1).
func (n *successor) derive(a *authenticated, t *tree) (err error) {
	n.transcribe(a, t)
	n.encoded = encode(n.context.encode)
	if n.joiner, err = n.suite.joinerSecret(n.initSecret, n.commitSecret, n.encoded); err != nil {
		return err
	}
	if n.member, err = n.suite.memberSecret(n.joiner, n.pskSecret); err != nil {
		return fmt.Errorf("member secret: %w", err)
	}
	if n.secrets, n.encryption, err = n.suite.epoch(n.member, n.encoded); err != nil {
		return err
	}
	n.tag = n.suite.mac(n.secrets.confirmation, n.context.ConfirmedTranscriptHash)
	return nil
}

// epoch returns the finished epoch of the member at self.
func (n *successor) epoch(t *tree, self LeafIndex, signer *SigningKey, keys keyRing, reInit *ReInit) *epoch {
	return &epoch{publicEpoch: newPublicEpoch(n.context, t, n.tag), self: self, signer: signer, keys: keys,
		secrets: n.secrets, reInit: reInit}
}

// resolvePSKs finds the secrets of a commit's PSKs, in their order (RFC 9420
// §8.4), and folds them.
func (e *epoch) resolvePSKs(ids []PSKID, policy *Policy) ([]byte, error) {
	return foldResolved(e.suite, ids, func(id PSKID) ([]byte, error) {
		if id.Type == PSKResumption && e.secrets.resumption != nil && id.Epoch == e.context.Epoch &&
			bytes.Equal(id.GroupID, e.context.GroupID) {
			return e.secrets.resumption, nil
		}
		return policy.psk(id)
	})
}

func foldResolved(s *suite, ids []PSKID, find func(PSKID) ([]byte, error)) ([]byte, error) {
	psks := make([]preSharedKey, len(ids))
	for i, id := range ids {
		secret, err := find(id)
		if err != nil {
			return nil, err
		}
		psks[i] = preSharedKey{id, secret}
	}
	return s.foldPSKs(psks)
}

// psk asks the application.
func (p *Policy) psk(id PSKID) ([]byte, error) {
	if p.PSK == nil {
		return nil, ErrPSK
	}
	secret, err := p.PSK(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPSK, err)
	}
	return secret, nil
}
