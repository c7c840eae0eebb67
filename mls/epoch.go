package mls

import (
	"bytes"
	"fmt"
)

// epoch is the state of a group between two commits, apart from the ratchets.
//
// Invariant: an epoch is never changed after it was made. A commit makes another
// one, which shares the tree nodes and keys that stay the same; so staging and
// discarding cannot leave traces.
type epoch struct {
	suite           *suite
	context         GroupContext
	encoded         []byte // context as it is signed and hashed
	tree            *tree
	self            LeafIndex
	signer          *SigningKey
	keys            keyRing
	secrets         *epochSecrets
	interim         []byte // interim transcript hash (RFC 9420 §8.2)
	confirmationTag []byte
	reInit          *ReInit // set: the group is closed (RFC 9420 §12.1.5)
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
	context := e.context
	context.Epoch++
	context.Extensions = c.extensions
	return &successor{suite: e.suite, context: context, interim: e.interim, initSecret: e.secrets.init, commitSecret: e.suite.zero()}
}

// provisional is the encoded GroupContext under which path secrets are sealed: of
// the new epoch, with the old transcript (RFC 9420 §12.4.1).
func (n *successor) provisional(t *tree) []byte {
	n.context.TreeHash = t.treeHash()
	return encode(n.context.encode)
}

// derive completes the next epoch once the commit is signed (RFC 9420 §8, §12.4.1).
func (n *successor) derive(a *authenticated, t *tree) (err error) {
	n.context.TreeHash = t.treeHash()
	n.context.ConfirmedTranscriptHash = n.suite.confirmedHash(n.interim, a)
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
	return &epoch{suite: n.suite, context: n.context, encoded: n.encoded, tree: t, self: self, signer: signer, keys: keys,
		secrets: n.secrets, interim: n.suite.interimHash(n.context.ConfirmedTranscriptHash, n.tag),
		confirmationTag: n.tag, reInit: reInit}
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
