package mls

import (
	"bytes"
	"fmt"
)

// Join enters a group by a Welcome (RFC 9420 §12.4.3.1). tree is needed only if
// the Welcome comes without one. The caller checks that it is in no other group of
// the same ID, and deletes secrets once the new group is stored.
//
// A Welcome that injects a PSK of usage reinit or branch is refused: opening the
// successor of a group is not supported.
func Join(message, tree []byte, secrets *KeyPackageSecrets, policy Policy) (*Group, error) {
	j := &joining{secrets: secrets, policy: &policy}
	w, err := decodeMessage(message, WireWelcome, decodeWelcome)
	if err == nil {
		err = j.open(w)
	}
	if err == nil {
		err = j.enter(tree)
	}
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return newGroup(j.epoch, j.encryption, policy), nil
}

// WelcomeRefs lists the key packages (KeyPackage.Ref) for which a Welcome is meant,
// so that a client finds the secrets to join with.
func WelcomeRefs(message []byte) ([][]byte, error) {
	w, err := decodeMessage(message, WireWelcome, decodeWelcome)
	if err != nil {
		return nil, fmt.Errorf("welcome: %w", err)
	}
	refs := make([][]byte, len(w.secrets))
	for i, s := range w.secrets {
		refs[i] = s.newMember
	}
	return refs, nil
}

// joining is the way of a new member into a group.
type joining struct {
	suite      *suite
	secrets    *KeyPackageSecrets
	policy     *Policy
	group      groupSecrets
	member     []byte
	info       *GroupInfo
	epoch      *epoch
	encryption []byte
}

// open decrypts what the Welcome holds for this key package.
func (j *joining) open(w *welcome) (err error) {
	if j.suite, err = w.suite.lookup(); err != nil {
		return err
	}
	if j.secrets.KeyPackage.Suite != w.suite {
		return fmt.Errorf("welcome of another suite: %w", ErrNotForUs)
	}
	box, err := j.find(w)
	if err != nil {
		return err
	}
	initKey, err := j.suite.privateKey(j.secrets.init)
	if err != nil {
		return fmt.Errorf("init key: %w", ErrKey)
	}
	plain, err := j.suite.decryptWithLabel(initKey, "Welcome", w.groupInfo, box)
	if err != nil {
		return err
	}
	if j.group, err = decodeAll(plain, decodeGroupSecrets); err != nil {
		return fmt.Errorf("group secrets: %w", err)
	}
	for i, id := range j.group.psks {
		if id.Type == PSKResumption && id.Usage != UsageApplication {
			return fmt.Errorf("psk of usage %d: %w", id.Usage, ErrUnsupported)
		}
		for _, other := range j.group.psks[:i] {
			if id.equal(other) {
				return fmt.Errorf("psk twice: %w", ErrMalformed)
			}
		}
	}
	psk, err := foldResolved(j.suite, j.group.psks, j.policy.psk)
	if err != nil {
		return err
	}
	if j.member, err = j.suite.memberSecret(j.group.joiner, psk); err != nil {
		return fmt.Errorf("member secret: %w", err)
	}
	return j.openInfo(w)
}

// find returns the entry of a Welcome for this key package.
func (j *joining) find(w *welcome) (sealed, error) {
	ref := j.secrets.KeyPackage.Ref()
	for _, s := range w.secrets {
		if bytes.Equal(s.newMember, ref) {
			return s.secrets, nil
		}
	}
	return sealed{}, ErrNotForUs
}

func (j *joining) openInfo(w *welcome) error {
	key, nonce, err := j.suite.welcomeKey(j.member)
	if err != nil {
		return err
	}
	plain, err := j.suite.open(key, nonce, w.groupInfo, nil)
	if err != nil {
		return fmt.Errorf("group info: %w", err)
	}
	if j.info, err = decodeAll(plain, decodeGroupInfo); err != nil {
		return fmt.Errorf("group info: %w", err)
	}
	return nil
}

// enter verifies the group and makes this member's first epoch.
func (j *joining) enter(apart []byte) error {
	public, err := j.info.open(j.suite, apart, j.policy)
	if err != nil {
		return err
	}
	t := public.tree
	self, err := j.place(t)
	if err != nil {
		return err
	}
	keys, err := j.keys(t, self)
	if err != nil {
		return err
	}
	e := &epoch{publicEpoch: public, self: self, signer: j.secrets.key, keys: keys}
	if e.secrets, j.encryption, err = j.suite.epoch(j.member, e.encoded); err != nil {
		return err
	}
	if !macEqual(j.suite.mac(e.secrets.confirmation, e.context.ConfirmedTranscriptHash), e.confirmationTag) {
		return fmt.Errorf("group info: %w", ErrConfirmation)
	}
	j.epoch = e
	return nil
}

// place finds the leaf that is identical to that of the key package.
func (j *joining) place(t *tree) (self LeafIndex, err error) {
	err = ErrNotForUs
	t.members(func(i LeafIndex, l *LeafNode) bool {
		if bytes.Equal(l.encoded, j.secrets.KeyPackage.Leaf.encoded) {
			self, err = i, nil
		}
		return err != nil
	})
	if err != nil {
		return 0, fmt.Errorf("own leaf is not in the tree: %w", err)
	}
	return self, nil
}

// keys returns the private keys of the own leaf and, if the commit had a path, of
// the nodes shared with its sender.
func (j *joining) keys(t *tree, self LeafIndex) (keyRing, error) {
	key, err := j.suite.privateKey(j.secrets.encryption)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", ErrKey)
	}
	keys := keyRing{self.node(): key}
	if j.group.pathSecret == nil {
		return keys, nil
	}
	if self == j.info.Signer {
		return nil, fmt.Errorf("welcome signed by its reader: %w", ErrMalformed)
	}
	ancestor := commonAncestor(self, j.info.Signer)
	nodes := []nodeIndex{ancestor}
	for _, x := range directPath(ancestor, t.root()) {
		if !t.nodes[x].blank() {
			nodes = append(nodes, x)
		}
	}
	_, err = t.deriveUp(nodes, j.group.pathSecret, keys)
	return keys, err
}
