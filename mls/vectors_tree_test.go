package mls

import (
	"bytes"
	"crypto/hpke"
	"maps"
	"testing"
	"time"
)

// trusting admits every leaf: for vectors, whose credentials are random bytes.
var trusting = Policy{Credential: func(Admission) error { return nil }, MaxLifetime: -1}

type treeValidationCase struct {
	vectorSuite
	Tree        hexBytes   `json:"tree"`
	GroupID     hexBytes   `json:"group_id"`
	TreeHashes  []hexBytes `json:"tree_hashes"`
	Resolutions [][]uint32 `json:"resolutions"`
}

func TestVectorsTreeValidation(t *testing.T) {
	runVectors(t, "tree-validation.json", func(t *testing.T, v treeValidationCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		tree := must[*tree](t)(decodeTree(s, v.Tree))
		equal(t, "tree", encode(tree.encode), v.Tree)
		if len(tree.nodes) != len(v.TreeHashes) {
			t.Fatalf("%d nodes, want %d", len(tree.nodes), len(v.TreeHashes))
		}
		for x := range tree.nodes {
			equal(t, "tree hash", tree.hashOf(nodeIndex(x)), v.TreeHashes[x])
			resolution := tree.appendResolution(nil, nodeIndex(x))
			if len(resolution) != len(v.Resolutions[x]) {
				t.Fatalf("resolution of %d: got %v, want %v", x, resolution, v.Resolutions[x])
			}
			for k, y := range resolution {
				if uint32(y) != v.Resolutions[x][k] {
					t.Fatalf("resolution of %d: got %v, want %v", x, resolution, v.Resolutions[x])
				}
			}
			if tree.empty(nodeIndex(x)) != (len(resolution) == 0) {
				t.Fatalf("node %d: empty %v, resolution %v", x, tree.empty(nodeIndex(x)), resolution)
			}
		}
		check(t, tree.validate(v.GroupID, nil, &trusting))
	})
}

type treeOperationCase struct {
	vectorSuite
	TreeBefore     hexBytes `json:"tree_before"`
	Proposal       hexBytes `json:"proposal"`
	ProposalSender uint32   `json:"proposal_sender"`
	TreeHashBefore hexBytes `json:"tree_hash_before"`
	TreeAfter      hexBytes `json:"tree_after"`
	TreeHashAfter  hexBytes `json:"tree_hash_after"`
}

// The leaf of the Update in case 2 was not signed again and the file has no group
// ID, so no leaf signature is verified here, only what becomes of the tree.
func TestVectorsTreeOperations(t *testing.T) {
	runVectors(t, "tree-operations.json", func(t *testing.T, v treeOperationCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		before := must[*tree](t)(decodeTree(s, v.TreeBefore))
		equal(t, "hash before", before.treeHash(), v.TreeHashBefore)
		after := before.clone()
		p := must[Proposal](t)(decodeAll(v.Proposal, decodeProposal))
		equal(t, "proposal", encode(p.encode), v.Proposal)
		switch p.Type {
		case ProposalAdd:
			must[LeafIndex](t)(after.add(p.KeyPackage.Leaf))
		case ProposalUpdate:
			after.update(LeafIndex(v.ProposalSender), p.Leaf)
		case ProposalRemove:
			after.drop(p.Removed)
			after.shrink()
		default:
			t.Fatalf("proposal type %d", p.Type)
		}
		equal(t, "tree after", encode(after.encode), v.TreeAfter)
		equal(t, "hash after", after.treeHash(), v.TreeHashAfter)
		equal(t, "tree before, after the change", encode(before.encode), v.TreeBefore)
		equal(t, "hash before, after the change", before.treeHash(), v.TreeHashBefore)
	})
}

type treeKEMCase struct {
	vectorSuite
	GroupID                 hexBytes `json:"group_id"`
	Epoch                   uint64   `json:"epoch"`
	ConfirmedTranscriptHash hexBytes `json:"confirmed_transcript_hash"`
	RatchetTree             hexBytes `json:"ratchet_tree"`

	Leaves      []treeKEMLeaf `json:"leaves_private"`
	UpdatePaths []treeKEMPath `json:"update_paths"`
}

type treeKEMLeaf struct {
	Index          uint32              `json:"index"`
	EncryptionPriv hexBytes            `json:"encryption_priv"`
	SignaturePriv  hexBytes            `json:"signature_priv"`
	PathSecrets    []treeKEMPathSecret `json:"path_secrets"`
}

type treeKEMPathSecret struct {
	Node   uint32   `json:"node"`
	Secret hexBytes `json:"path_secret"`
}

type treeKEMPath struct {
	Sender        uint32     `json:"sender"`
	UpdatePath    hexBytes   `json:"update_path"`
	PathSecrets   []hexBytes `json:"path_secrets"`
	CommitSecret  hexBytes   `json:"commit_secret"`
	TreeHashAfter hexBytes   `json:"tree_hash_after"`
}

// provisional is the context under which the path secrets of a case are sealed.
func (v *treeKEMCase) provisional(t *tree) []byte {
	c := GroupContext{Version: MLS10, Suite: v.CipherSuite, GroupID: v.GroupID, Epoch: v.Epoch, TreeHash: t.treeHash(),
		ConfirmedTranscriptHash: v.ConfirmedTranscriptHash}
	return encode(c.encode)
}

// rings builds the private state of each leaf of a case.
func (v *treeKEMCase) rings(t *testing.T, s *suite, tree *tree) map[LeafIndex]keyRing {
	rings := map[LeafIndex]keyRing{}
	for _, l := range v.Leaves {
		ring := keyRing{LeafIndex(l.Index).node(): must[hpke.PrivateKey](t)(s.privateKey(l.EncryptionPriv))}
		for _, p := range l.PathSecrets {
			must[[]byte](t)(tree.deriveUp([]nodeIndex{nodeIndex(p.Node)}, p.Secret, ring))
		}
		rings[LeafIndex(l.Index)] = ring
	}
	return rings
}

func TestVectorsTreeKEM(t *testing.T) {
	runVectors(t, "treekem.json", func(t *testing.T, v treeKEMCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		before := must[*tree](t)(decodeTree(s, v.RatchetTree))
		rings := v.rings(t, s, before)
		for k, u := range v.UpdatePaths {
			path := must[*updatePath](t)(decodeAll(u.UpdatePath, decodeUpdatePath))
			equal(t, "update path", encode(path.encode), u.UpdatePath)
			after := before.clone()
			steps := must[[]step](t)(after.applyPath(LeafIndex(u.Sender), path, nil))
			check(t, path.leaf.verifySignature(s, v.GroupID, LeafIndex(u.Sender)))
			equal(t, "tree hash", after.treeHash(), u.TreeHashAfter)
			for i, ring := range rings {
				if i == LeafIndex(u.Sender) {
					continue
				}
				next := maps.Clone(ring)
				secret, err := after.decryptPath(steps, path, i, next, v.provisional(after), nil)
				check(t, err)
				equal(t, "commit secret", secret, u.CommitSecret)
				v.checkPathSecret(t, after, commonAncestor(i, LeafIndex(u.Sender)), u.PathSecrets[i], next)
			}
			if k == 0 { // one own path for each tree: they cost much under P-521
				v.ownPath(t, before, LeafIndex(u.Sender), rings)
			}
		}
	})
}

// checkPathSecret compares the key that was derived at x with that of the path
// secret which the vector expects there.
func (v *treeKEMCase) checkPathSecret(t *testing.T, tree *tree, x nodeIndex, secret []byte, ring keyRing) {
	c := climb{tree.suite, secret}
	want := must[hpke.PrivateKey](t)(c.key())
	equal(t, "path secret", ring[x].PublicKey().Bytes(), want.PublicKey().Bytes())
}

// ownPath makes a new path for sender and lets every other leaf process it.
func (v *treeKEMCase) ownPath(t *testing.T, before *tree, sender LeafIndex, rings map[LeafIndex]keyRing) {
	made := before.clone()
	var signer *SigningKey
	for _, l := range v.Leaves {
		if LeafIndex(l.Index) == sender {
			signer = must[*SigningKey](t)(v.CipherSuite.ParseSigningKey(l.SignaturePriv))
		}
	}
	own := must[*ownPath](t)(made.createPath(sender, before.leaf(sender).renewed(), signer, v.GroupID))
	check(t, made.encryptPath(own, v.provisional(made), nil, &trusting))
	path := must[*updatePath](t)(decodeAll(encode(own.path.encode), decodeUpdatePath))
	seen := before.clone()
	steps := must[[]step](t)(seen.applyPath(sender, path, nil))
	equal(t, "tree hash of own path", seen.treeHash(), made.treeHash())
	for i, ring := range rings {
		if i == sender {
			continue
		}
		secret, err := seen.decryptPath(steps, path, i, maps.Clone(ring), v.provisional(seen), nil)
		check(t, err)
		equal(t, "commit secret of own path", secret, own.commitSecret)
	}
}

type messagesCase struct {
	Welcome                  hexBytes `json:"mls_welcome"`
	GroupInfo                hexBytes `json:"mls_group_info"`
	KeyPackage               hexBytes `json:"mls_key_package"`
	RatchetTree              hexBytes `json:"ratchet_tree"`
	GroupSecrets             hexBytes `json:"group_secrets"`
	AddProposal              hexBytes `json:"add_proposal"`
	UpdateProposal           hexBytes `json:"update_proposal"`
	RemoveProposal           hexBytes `json:"remove_proposal"`
	PSKProposal              hexBytes `json:"pre_shared_key_proposal"`
	ReInitProposal           hexBytes `json:"re_init_proposal"`
	ExternalInitProposal     hexBytes `json:"external_init_proposal"`
	ExtensionsProposal       hexBytes `json:"group_context_extensions_proposal"`
	Commit                   hexBytes `json:"commit"`
	PublicMessageApplication hexBytes `json:"public_message_application"`
	PublicMessageProposal    hexBytes `json:"public_message_proposal"`
	PublicMessageCommit      hexBytes `json:"public_message_commit"`
	PrivateMessage           hexBytes `json:"private_message"`
}

// proposalBody decodes what the file holds for a proposal: the structure without
// its type.
func proposalBody(t ProposalType) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		p, err := decodeAll(append([]byte{0, byte(t)}, b...), decodeProposal)
		if err != nil {
			return nil, err
		}
		return encode(p.encode)[2:], nil
	}
}

// message decodes an MLSMessage and encodes it from its parts.
func message[T interface{ encode(*writer) }](wire WireFormat, decode func(*reader) T) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		m, err := decodeMessage(b, wire, decode)
		if err != nil {
			return nil, err
		}
		return encodeMessage(wire, m.encode), nil
	}
}

// body decodes a structure and encodes it from its parts.
func body[T interface{ encode(*writer) }](decode func(*reader) T) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		v, err := decodeAll(b, decode)
		if err != nil {
			return nil, err
		}
		return encode(v.encode), nil
	}
}

// recoders names each message of a messages.json case with what reads and writes it.
func (v *messagesCase) recoders() []struct {
	name   string
	bytes  []byte
	recode func([]byte) ([]byte, error)
} {
	anySuite := X25519.algorithms()
	ratchetTree := func(b []byte) ([]byte, error) {
		tree, err := decodeTree(anySuite, b)
		if err != nil {
			return nil, err
		}
		return encode(tree.encode), nil
	}
	return []struct {
		name   string
		bytes  []byte
		recode func([]byte) ([]byte, error)
	}{
		{"welcome", v.Welcome, message(WireWelcome, decodeWelcome)},
		{"group info", v.GroupInfo, message(WireGroupInfo, decodeGroupInfo)},
		{"key package", v.KeyPackage, message(WireKeyPackage, decodeKeyPackage)},
		{"ratchet tree", v.RatchetTree, ratchetTree},
		{"group secrets", v.GroupSecrets, body(decodeGroupSecrets)},
		{"add", v.AddProposal, proposalBody(ProposalAdd)},
		{"update", v.UpdateProposal, proposalBody(ProposalUpdate)},
		{"remove", v.RemoveProposal, proposalBody(ProposalRemove)},
		{"psk", v.PSKProposal, proposalBody(ProposalPSK)},
		{"reinit", v.ReInitProposal, proposalBody(ProposalReInit)},
		{"external init", v.ExternalInitProposal, proposalBody(ProposalExternalInit)},
		{"extensions", v.ExtensionsProposal, proposalBody(ProposalExtensions)},
		{"commit", v.Commit, body(decodeCommit)},
		{"public application", v.PublicMessageApplication, message(WirePublic, decodePublicMessage)},
		{"public proposal", v.PublicMessageProposal, message(WirePublic, decodePublicMessage)},
		{"public commit", v.PublicMessageCommit, message(WirePublic, decodePublicMessage)},
		{"private", v.PrivateMessage, message(WirePrivate, decodePrivateMessage)},
	}
}

func TestVectorsMessages(t *testing.T) {
	runVectors(t, "messages.json", func(t *testing.T, v messagesCase) {
		for _, c := range v.recoders() {
			got, err := c.recode(c.bytes)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			equal(t, c.name, got, c.bytes)
			for n := range len(c.bytes) {
				if _, err := c.recode(c.bytes[:n]); err == nil {
					t.Fatalf("%s: the first %d of %d bytes are accepted", c.name, n, len(c.bytes))
				}
			}
			if _, err := c.recode(append(bytes.Clone(c.bytes), 0)); err == nil {
				t.Fatalf("%s: a byte after the end is accepted", c.name)
			}
		}
		leaf := must[*KeyPackage](t)(ParseKeyPackage(v.KeyPackage)).Leaf
		w := writer{}
		leaf.encodeUnsigned(&w)
		equal(t, "leaf from its fields", w.b, leaf.encoded[:leaf.signed])
	})
}

type welcomeCase struct {
	vectorSuite
	InitPriv   hexBytes `json:"init_priv"`
	SignerPub  hexBytes `json:"signer_pub"`
	KeyPackage hexBytes `json:"key_package"`
	Welcome    hexBytes `json:"welcome"`
}

func TestVectorsWelcome(t *testing.T) {
	runVectors(t, "welcome.json", func(t *testing.T, v welcomeCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		w := must[*welcome](t)(decodeMessage(v.Welcome, WireWelcome, decodeWelcome))
		k := must[*KeyPackage](t)(ParseKeyPackage(v.KeyPackage))
		j := &joining{secrets: &KeyPackageSecrets{KeyPackage: k, init: v.InitPriv}, policy: &trusting}
		check(t, j.open(w))
		if !s.verifyWithLabel(v.SignerPub, "GroupInfoTBS", j.info.encoded[:j.info.signed], j.info.Signature) {
			t.Fatal("group info signature does not verify")
		}
		context := encode(j.info.Context.encode)
		secrets, _, err := s.epoch(j.member, context)
		check(t, err)
		equal(t, "confirmation tag", s.mac(secrets.confirmation, j.info.Context.ConfirmedTranscriptHash), j.info.ConfirmationTag)
	})
}

type passiveCase struct {
	vectorSuite
	ExternalPSKs         []passivePSK `json:"external_psks"`
	KeyPackage           hexBytes     `json:"key_package"`
	SignaturePriv        hexBytes     `json:"signature_priv"`
	EncryptionPriv       hexBytes     `json:"encryption_priv"`
	InitPriv             hexBytes     `json:"init_priv"`
	Welcome              hexBytes     `json:"welcome"`
	RatchetTree          hexBytes     `json:"ratchet_tree"`
	InitialAuthenticator hexBytes     `json:"initial_epoch_authenticator"`

	Epochs []passiveEpoch `json:"epochs"`
}

type passivePSK struct {
	ID  hexBytes `json:"psk_id"`
	PSK hexBytes `json:"psk"`
}

type passiveEpoch struct {
	Proposals     []hexBytes `json:"proposals"`
	Commit        hexBytes   `json:"commit"`
	Authenticator hexBytes   `json:"epoch_authenticator"`
}

// policy resolves the PSKs of the case: external ones from its list, resumption
// ones from the epochs passed.
func (v *passiveCase) policy(resumption map[uint64][]byte) Policy {
	return Policy{
		MaxLifetime: -1, // the vectors' key packages last for ever
		Credential:  func(Admission) error { return nil },
		PSK: func(id PSKID) ([]byte, error) {
			if id.Type == PSKResumption {
				if psk, ok := resumption[id.Epoch]; ok {
					return psk, nil
				}
				return nil, ErrPSK
			}
			for _, p := range v.ExternalPSKs {
				if bytes.Equal(p.ID, id.ID) {
					return p.PSK, nil
				}
			}
			return nil, ErrPSK
		},
	}
}

// runPassive follows a group as a member that never sends. Between all steps the
// group goes through its stored form.
func runPassive(t *testing.T, v passiveCase) {
	resumption := map[uint64][]byte{}
	policy := v.policy(resumption)
	k := must[*KeyPackage](t)(ParseKeyPackage(v.KeyPackage))
	secrets := &KeyPackageSecrets{KeyPackage: k, init: v.InitPriv, encryption: v.EncryptionPriv,
		key: must[*SigningKey](t)(v.CipherSuite.ParseSigningKey(v.SignaturePriv))}
	secrets = must[*KeyPackageSecrets](t)(ParseKeyPackageSecrets(must[[]byte](t)(secrets.MarshalBinary())))
	g := must[*Group](t)(Join(v.Welcome, v.RatchetTree, secrets, policy))
	equal(t, "initial authenticator", g.Authenticator(), v.InitialAuthenticator)
	at := time.Unix(int64(min(k.Leaf.Lifetime.NotAfter, 1<<62)), 0)
	for i, e := range v.Epochs {
		resumption[g.Epoch()] = g.ResumptionPSK()
		for _, p := range e.Proposals {
			must[*Received](t)(g.Receive(p, at))
		}
		g = must[*Group](t)(Load(g.Records(), policy))
		received := must[*Received](t)(g.Receive(e.Commit, at))
		equal(t, "staged authenticator", received.Commit.Authenticator(), e.Authenticator)
		staged := must[*Staged](t)(g.ParseStaged(must[[]byte](t)(received.Commit.MarshalBinary())))
		check(t, g.Merge(staged))
		equal(t, "authenticator", g.Authenticator(), e.Authenticator)
		if g.Epoch() == 0 || i > 1000 {
			t.Fatalf("epoch %d after commit %d", g.Epoch(), i)
		}
	}
}

func TestVectorsPassiveClientWelcome(t *testing.T) {
	runVectors(t, "passive-client-welcome.json", runPassive)
}

func TestVectorsPassiveClientHandlingCommit(t *testing.T) {
	runVectors(t, "passive-client-handling-commit.json", runPassive)
}

// This file exists upstream and is larger than the others together; where it is
// present it is run.
func TestVectorsPassiveClientRandom(t *testing.T) {
	runVectors(t, "passive-client-random.json", runPassive)
}
