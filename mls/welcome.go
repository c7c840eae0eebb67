package mls

import (
	"bytes"
	"fmt"
)

// groupSecrets is GroupSecrets of RFC 9420 §12.4.3.1.
type groupSecrets struct {
	joiner     []byte
	pathSecret []byte // nil when absent
	psks       []PSKID
}

func decodeGroupSecrets(r *reader) groupSecrets {
	g := groupSecrets{joiner: r.vector()}
	if r.present() {
		g.pathSecret = r.vector()
	}
	g.psks = list(r, MaxPSKs, decodePSKID)
	return g
}

func (g groupSecrets) encode(w *writer) {
	w.vector(g.joiner)
	w.present(g.pathSecret != nil)
	if g.pathSecret != nil {
		w.vector(g.pathSecret)
	}
	writeList(w, g.psks, func(w *writer, id PSKID) { id.encode(w) })
}

// welcome is Welcome of RFC 9420 §12.4.3.1.
type welcome struct {
	suite     Suite
	secrets   []encryptedSecrets
	groupInfo []byte // encrypted
}

// encryptedSecrets is EncryptedGroupSecrets.
type encryptedSecrets struct {
	newMember []byte // KeyPackageRef
	secrets   sealed
}

func decodeWelcome(r *reader) *welcome {
	return &welcome{suite: Suite(r.uint16()), secrets: list(r, MaxMembers, func(r *reader) encryptedSecrets {
		return encryptedSecrets{newMember: r.vector(), secrets: decodeSealed(r)}
	}), groupInfo: r.vector()}
}

func (m *welcome) encode(w *writer) {
	w.uint16(uint16(m.suite))
	writeList(w, m.secrets, func(w *writer, s encryptedSecrets) {
		w.vector(s.newMember)
		s.secrets.encode(w)
	})
	w.vector(m.groupInfo)
}

// GroupInfo describes an epoch to those who are to join (RFC 9420 §12.4.3).
type GroupInfo struct {
	Context         GroupContext
	Extensions      []Extension
	ConfirmationTag []byte
	Signer          LeafIndex
	Signature       []byte

	encoded []byte
	signed  int
}

func decodeGroupInfo(r *reader) *GroupInfo {
	start := r.b
	g := &GroupInfo{Context: decodeGroupContext(r), Extensions: decodeExtensions(r), ConfirmationTag: r.vector(),
		Signer: LeafIndex(r.uint32())}
	g.signed = len(start) - len(r.b)
	g.Signature = r.vector()
	if r.err == nil {
		n := len(start) - len(r.b)
		g.encoded = start[:n:n]
	}
	return g
}

func (g *GroupInfo) encode(w *writer) { w.raw(g.encoded) }

// ParseGroupInfo reads an MLSMessage that holds a GroupInfo. Nothing in it is
// verified before JoinExternal, and even then only that a member signed it: that
// it is the latest is for the ordering service to say.
func ParseGroupInfo(message []byte) (*GroupInfo, error) {
	g, err := decodeMessage(message, WireGroupInfo, decodeGroupInfo)
	if err != nil {
		return nil, fmt.Errorf("parse group info: %w", err)
	}
	return g, nil
}

// sign completes a GroupInfo whose fields are set.
func (g *GroupInfo) sign(key *SigningKey) error {
	w := writer{b: make([]byte, 0, 1024)}
	g.Context.encode(&w)
	encodeExtensions(&w, g.Extensions)
	w.vector(g.ConfirmationTag)
	w.uint32(uint32(g.Signer))
	g.signed = len(w.b)
	signature, err := key.signWithLabel("GroupInfoTBS", w.b)
	if err != nil {
		return fmt.Errorf("sign group info: %w", err)
	}
	g.Signature = signature
	w.vector(signature)
	g.encoded = w.b
	return nil
}

// verify checks that the leaf named as signer is a member and signed g.
func (g *GroupInfo) verify(s *suite, t *tree) error {
	l := t.leaf(g.Signer)
	if l == nil {
		return fmt.Errorf("group info signer %d is not a member: %w", g.Signer, ErrLeaf)
	}
	if !s.verifyWithLabel(l.SignatureKey, "GroupInfoTBS", g.encoded[:g.signed], g.Signature) {
		return fmt.Errorf("group info: %w", ErrSignature)
	}
	return nil
}

// open returns the epoch that g describes, once everything is verified that is
// public (RFC 9420 §12.4.3.1). The tree is given apart if g comes without one.
func (g *GroupInfo) open(s *suite, apart []byte, policy *Policy) (publicEpoch, error) {
	t, err := g.tree(s, apart, policy)
	if err != nil {
		return publicEpoch{}, err
	}
	if err := s.checkTag(g.ConfirmationTag); err != nil {
		return publicEpoch{}, fmt.Errorf("group info: %w", err)
	}
	return newPublicEpoch(g.Context, t, g.ConfirmationTag), nil
}

// tree returns the ratchet tree that belongs to g, from its extension or as given
// apart, once its hash and all its content are verified (RFC 9420 §12.4.3.1).
func (g *GroupInfo) tree(s *suite, apart []byte, policy *Policy) (*tree, error) {
	if g.Context.Version != MLS10 || g.Context.Suite != s.id {
		return nil, fmt.Errorf("group of another version or suite: %w", ErrUnsupported)
	}
	if err := checkUniqueExtensions(g.Extensions); err != nil {
		return nil, err
	}
	encoded, ok := findExtension(g.Extensions, ExtensionRatchetTree)
	if !ok {
		encoded = bytes.Clone(apart)
	}
	t, err := decodeTree(s, encoded)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(t.treeHash(), g.Context.TreeHash) {
		return nil, ErrTreeHash
	}
	if err := g.verify(s, t); err != nil {
		return nil, err
	}
	return t, t.validate(g.Context.GroupID, g.Context.Extensions, policy)
}

// groupInfo signs a GroupInfo of e, with a GREASE extension (RFC 9420 §13.5).
func (e *epoch) groupInfo(withTree, withExternal bool) (*GroupInfo, error) {
	g := &GroupInfo{Context: e.context, ConfirmationTag: e.confirmationTag, Signer: e.self}
	if withTree {
		g.Extensions = append(g.Extensions, Extension{ExtensionRatchetTree, encode(e.tree.encode)})
	}
	if withExternal {
		key, err := e.suite.externalKey(e.secrets)
		if err != nil {
			return nil, fmt.Errorf("external key: %w", err)
		}
		pub := key.PublicKey().Bytes()
		g.Extensions = append(g.Extensions, Extension{ExtensionExternalPub, encode(func(w *writer) { w.vector(pub) })})
	}
	g.Extensions = append(g.Extensions, Extension{Type: ExtensionType(greaseValue())})
	return g, g.sign(e.signer)
}

// GroupInfo describes the current epoch to those who want to join by an external
// commit, with the ratchet tree if asked (RFC 9420 §12.4.3.2). Who has it can try
// to join; what stops strangers is Policy.Credential on every member.
func (g *Group) GroupInfo(withTree bool) ([]byte, error) {
	if err := g.usable(); err != nil {
		return nil, fmt.Errorf("group info: %w", err)
	}
	info, err := g.epoch.groupInfo(withTree, true)
	if err != nil {
		return nil, fmt.Errorf("group info: %w", err)
	}
	return encodeMessage(WireGroupInfo, info.encode), nil
}

// welcome encrypts the next epoch to the members that the commit adds (RFC 9420
// §12.4.1, §12.4.3.1).
func (b *commitBuilder) welcome() ([]byte, error) {
	s, c := b.epoch.suite, b.change
	info, err := b.staged.next.groupInfo(!b.options.OmitTree, false)
	if err != nil {
		return nil, err
	}
	key, nonce, err := s.welcomeKey(b.next.member)
	if err != nil {
		return nil, err
	}
	m := &welcome{suite: s.id, secrets: make([]encryptedSecrets, len(c.added))}
	if m.groupInfo, err = s.seal(key, nonce, info.encoded, nil); err != nil {
		return nil, fmt.Errorf("seal group info: %w", err)
	}
	err = c.policy.forEach(len(c.added), func(k int) error {
		secrets := groupSecrets{joiner: b.next.joiner, pathSecret: b.path.secretFor(b.place, c.added[k]), psks: c.psks}
		box, err := s.encryptWithLabel(c.packages[k].InitKey, "Welcome", m.groupInfo, encode(secrets.encode))
		m.secrets[k] = encryptedSecrets{newMember: c.packages[k].Ref(), secrets: box}
		return err
	})
	if err != nil {
		return nil, err
	}
	return encodeMessage(WireWelcome, m.encode), nil
}
