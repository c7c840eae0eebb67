package mls

import (
	"crypto/rand"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

// TestWriteVectors makes the committed set. They are regression vectors: what
// this package computes today, in the formats of the working group, for two
// official suites and the post-quantum one. That it computes the right thing is
// what the official vectors show.
func TestWriteVectors(t *testing.T) {
	if !*update {
		t.Skip("vectors are written with -update only")
	}
	cryptotest.SetGlobalRandom(t, 9420)
	suites := []Suite{X25519, P256, XWing}
	writeVectors(t, "deserialization.json", deserializationVectors())
	writeVectors(t, "tree-math.json", treeMathVectors())
	writeVectors(t, "crypto-basics.json", forSuites(t, suites, cryptoBasicsVector))
	writeVectors(t, "secret-tree.json", forSuites(t, suites, secretTreeVector))
	writeVectors(t, "message-protection.json", forSuites(t, suites, messageProtectionVector))
	writeVectors(t, "key-schedule.json", forSuites(t, suites, keyScheduleVector))
	writeVectors(t, "psk_secret.json", forSuites(t, suites, pskVector))
	writeVectors(t, "transcript-hashes.json", forSuites(t, suites, transcriptVector))
	writeVectors(t, "tree-validation.json", forSuites(t, suites, treeValidationVector))
	writeVectors(t, "tree-operations.json", treeOperationVectors(t))
	writeVectors(t, "treekem.json", forSuites(t, suites, treeKEMVector))
	writeVectors(t, "messages.json", []messagesCase{messagesVector(t)})
	writeVectors(t, "welcome.json", forSuites(t, suites, welcomeVector))
	writeVectors(t, "passive-client-welcome.json", forSuites(t, suites, passiveWelcomeVector))
	writeVectors(t, "passive-client-handling-commit.json", forSuites(t, suites, passiveCommitVector))
	writeVectors(t, "passive-client-random.json", forSuites(t, suites, passiveRandomVector))
}

func writeVectors[T any](t *testing.T, file string, cases []T) {
	raw := must[[]byte](t)(json.MarshalIndent(cases, "", " "))
	check(t, os.WriteFile(filepath.Join("testdata/vectors", file), append(raw, '\n'), 0o644))
}

func forSuites[T any](t *testing.T, suites []Suite, f func(*testing.T, *suite) T) (out []T) {
	for _, s := range suites {
		out = append(out, f(t, s.algorithms()))
	}
	return out
}

func randomBytes(n int) hexBytes {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func deserializationVectors() (out []deserializationCase) {
	for _, n := range []int{0, 1, 63, 64, 16383, 16384, maxVector} {
		out = append(out, deserializationCase{appendLength(nil, n), n})
	}
	return out
}

func treeMathVectors() (out []treeMathCase) {
	for leaves := uint32(1); leaves <= 16; leaves *= 2 {
		v := treeMathCase{Leaves: leaves, Nodes: int(2*leaves - 1), Root: uint32(rootOf(leaves))}
		for x := range nodeIndex(v.Nodes) {
			entry := func(defined bool, f func() nodeIndex) *uint32 {
				if !defined {
					return nil
				}
				y := uint32(f())
				return &y
			}
			v.Left = append(v.Left, entry(!x.isLeaf(), x.left))
			v.Right = append(v.Right, entry(!x.isLeaf(), x.right))
			v.Parent = append(v.Parent, entry(x != rootOf(leaves), x.parent))
			v.Sibling = append(v.Sibling, entry(x != rootOf(leaves), x.sibling))
		}
		out = append(out, v)
	}
	return out
}

func cryptoBasicsVector(t *testing.T, s *suite) (v cryptoBasicsCase) {
	get := must[[]byte](t)
	v.CipherSuite = s.id
	v.RefHash.Label, v.RefHash.Value = "RefHash", randomBytes(40)
	v.RefHash.Out = s.refHash(v.RefHash.Label, v.RefHash.Value)
	v.Expand.Secret, v.Expand.Label, v.Expand.Context, v.Expand.Length = randomBytes(s.nh), "Expand", randomBytes(20), 16
	v.Expand.Out = get(s.expandWithLabel(v.Expand.Secret, v.Expand.Label, v.Expand.Context, v.Expand.Length))
	v.Derive.Secret, v.Derive.Label = randomBytes(s.nh), "Derive"
	v.Derive.Out = get(s.deriveSecret(v.Derive.Secret, v.Derive.Label))
	v.DeriveTree.Secret, v.DeriveTree.Label, v.DeriveTree.Generation, v.DeriveTree.Length = randomBytes(s.nh), "Tree", 1<<31+5, 32
	v.DeriveTree.Out = get(s.deriveTreeSecret(v.DeriveTree.Secret, "Tree", v.DeriveTree.Generation, 32))
	key := must[*SigningKey](t)(s.id.NewSigningKey())
	v.Sign.Private, v.Sign.Public, v.Sign.Label, v.Sign.Content = key.private, key.public, "Sign", randomBytes(50)
	v.Sign.Signature = get(key.signWithLabel("Sign", v.Sign.Content))
	private, err := s.kem.GenerateKey()
	check(t, err)
	v.Encrypt.Private, v.Encrypt.Public = get(private.Bytes()), private.PublicKey().Bytes()
	v.Encrypt.Label, v.Encrypt.Context, v.Encrypt.Plaintext = "Encrypt", randomBytes(30), randomBytes(32)
	box := must[sealed](t)(s.encryptWithLabel(v.Encrypt.Public, "Encrypt", v.Encrypt.Context, v.Encrypt.Plaintext))
	v.Encrypt.KEMOutput, v.Encrypt.Ciphertext = box.kemOutput, box.ciphertext
	return v
}

func secretTreeVector(t *testing.T, s *suite) (v secretTreeCase) {
	v.CipherSuite, v.EncryptionSecret = s.id, randomBytes(s.nh)
	v.SenderData.Secret, v.SenderData.Ciphertext = randomBytes(s.nh), randomBytes(77)
	key, nonce, err := s.senderKey(v.SenderData.Secret, v.SenderData.Ciphertext)
	check(t, err)
	v.SenderData.Key, v.SenderData.Nonce = key, nonce
	for leaf := range LeafIndex(8) {
		tree := newSecretTree(s, 8, append([]byte{}, v.EncryptionSecret...))
		var generations []secretTreeRatchet
		for _, generation := range []uint32{0, 15} {
			r := secretTreeRatchet{Generation: generation}
			k, a, err := tree.receive(leaf, applicationRatchet, generation)
			check(t, err)
			tree.apply(a)
			r.ApplicationKey, r.ApplicationNonce = k.key, k.nonce
			k, a, err = tree.receive(leaf, handshakeRatchet, generation)
			check(t, err)
			tree.apply(a)
			r.HandshakeKey, r.HandshakeNonce = k.key, k.nonce
			generations = append(generations, r)
		}
		v.Leaves = append(v.Leaves, generations)
	}
	return v
}

func messageProtectionVector(t *testing.T, s *suite) (v messageProtectionCase) {
	key := must[*SigningKey](t)(s.id.NewSigningKey())
	v = messageProtectionCase{vectorSuite: vectorSuite{s.id}, GroupID: randomBytes(16), Epoch: 77, TreeHash: randomBytes(s.nh),
		ConfirmedTranscriptHash: randomBytes(s.nh), SignaturePriv: key.private, SignaturePub: key.public,
		EncryptionSecret: randomBytes(s.nh), SenderDataSecret: randomBytes(s.nh), MembershipKey: randomBytes(s.nh),
		Application: randomBytes(30)}
	proposal := Proposal{Type: ProposalRemove, Removed: 1}
	change := &commit{proposals: []proposalOrRef{{proposal: &proposal}}}
	v.Proposal, v.Commit = encode(proposal.encode), encode(change.encode)
	frame := func(wire WireFormat, c framedContent) hexBytes {
		c.groupID, c.epoch, c.sender = v.GroupID, v.Epoch, memberSender(1)
		a := &authenticated{wire: wire, content: c, confirmationTag: s.zero()}
		check(t, a.sign(key, v.context()))
		if wire == WirePublic {
			return a.protectPublic(s, v.MembershipKey, v.context())
		}
		k, _, err := newSecretTree(s, 2, v.EncryptionSecret).send(1, ratchetOf(c.kind))
		check(t, err)
		return must[[]byte](t)(a.protectPrivate(s, v.SenderDataSecret, k, 32))
	}
	v.ProposalPub = frame(WirePublic, framedContent{kind: ContentProposal, proposal: &proposal})
	v.ProposalPriv = frame(WirePrivate, framedContent{kind: ContentProposal, proposal: &proposal})
	v.CommitPub = frame(WirePublic, framedContent{kind: ContentCommit, commit: change})
	v.CommitPriv = frame(WirePrivate, framedContent{kind: ContentCommit, commit: change})
	v.ApplicationPriv = frame(WirePrivate, framedContent{kind: ContentApplication, data: v.Application})
	return v
}

func keyScheduleVector(t *testing.T, s *suite) keyScheduleCase {
	get := must[[]byte](t)
	v := keyScheduleCase{vectorSuite: vectorSuite{s.id}, GroupID: randomBytes(16), InitialInitSecret: randomBytes(s.nh)}
	initSecret := []byte(v.InitialInitSecret)
	for i := range uint64(3) {
		e := keyScheduleEpoch{CommitSecret: randomBytes(s.nh), PSKSecret: randomBytes(s.nh), TreeHash: randomBytes(s.nh),
			ConfirmedTranscriptHash: randomBytes(s.nh)}
		c := GroupContext{Version: MLS10, Suite: s.id, GroupID: v.GroupID, Epoch: i, TreeHash: e.TreeHash,
			ConfirmedTranscriptHash: e.ConfirmedTranscriptHash}
		e.GroupContext = encode(c.encode)
		e.JoinerSecret = get(s.joinerSecret(initSecret, e.CommitSecret, e.GroupContext))
		member := get(s.memberSecret(e.JoinerSecret, e.PSKSecret))
		e.WelcomeSecret = get(s.deriveSecret(member, "welcome"))
		secrets, encryption, err := s.epoch(member, e.GroupContext)
		check(t, err)
		e.EncryptionSecret, e.InitSecret, e.SenderDataSecret, e.ExporterSecret = encryption, secrets.init, secrets.senderData, secrets.exporter
		e.ExternalSecret, e.ConfirmationKey, e.MembershipKey = secrets.external, secrets.confirmation, secrets.membership
		e.ResumptionPSK, e.EpochAuthenticator = secrets.resumption, secrets.authenticator
		external, err := s.externalKey(secrets)
		check(t, err)
		e.ExternalPub = external.PublicKey().Bytes()
		e.Exporter.Label, e.Exporter.Context, e.Exporter.Length = "label", randomBytes(10), 32
		e.Exporter.Secret = get(s.export(secrets, e.Exporter.Label, e.Exporter.Context, 32))
		v.Epochs = append(v.Epochs, e)
		initSecret = secrets.init
	}
	return v
}

func pskVector(t *testing.T, s *suite) pskSecretCase {
	v := pskSecretCase{vectorSuite: vectorSuite{s.id}}
	var psks []preSharedKey
	for range 3 {
		p := pskSecretInput{ID: randomBytes(8), PSK: randomBytes(20), Nonce: randomBytes(s.nh)}
		v.PSKs = append(v.PSKs, p)
		psks = append(psks, preSharedKey{PSKID{Type: PSKExternal, ID: p.ID, Nonce: p.Nonce}, p.PSK})
	}
	v.Secret = must[[]byte](t)(s.foldPSKs(psks))
	return v
}

func transcriptVector(t *testing.T, s *suite) transcriptCase {
	v := transcriptCase{vectorSuite: vectorSuite{s.id}, ConfirmationKey: randomBytes(s.nh), InterimBefore: randomBytes(s.nh)}
	a := &authenticated{wire: WirePublic, signature: randomBytes(64), content: framedContent{groupID: randomBytes(16), epoch: 3,
		sender: memberSender(0), kind: ContentCommit, commit: &commit{}}}
	v.ConfirmedAfter = s.confirmedHash(v.InterimBefore, a)
	a.confirmationTag = s.mac(v.ConfirmationKey, v.ConfirmedAfter)
	v.InterimAfter = s.interimHash(v.ConfirmedAfter, a.confirmationTag)
	v.Content = encode(a.encode)
	return v
}

// shaped makes a group whose tree has blanks, unmerged leaves and an odd width.
func shaped(t *testing.T, s Suite) *world {
	w := crowd(t, s, 5)
	w.commit(w.members[0], Commit{Remove: []LeafIndex{1}})
	w.commit(w.members[2], Commit{SkipPath: true}, w.newMember("unmerged"))
	return w
}

func treeValidationVector(t *testing.T, s *suite) treeValidationCase {
	g := shaped(t, s.id).members[0].group
	tree := g.epoch.tree
	v := treeValidationCase{vectorSuite: vectorSuite{s.id}, Tree: g.Tree(), GroupID: g.ID()}
	for x := range tree.nodes {
		v.TreeHashes = append(v.TreeHashes, tree.hashOf(nodeIndex(x)))
		resolution := []uint32{}
		for _, y := range tree.appendResolution(nil, nodeIndex(x)) {
			resolution = append(resolution, uint32(y))
		}
		v.Resolutions = append(v.Resolutions, resolution)
	}
	return v
}

func treeOperationVectors(t *testing.T) (out []treeOperationCase) {
	w := shaped(t, X25519)
	g := w.members[0].group
	update := must[*Proposal](t)(proposalIn(w.members[1].group.ProposeUpdate(Envelope{})))
	for _, p := range []Proposal{
		{Type: ProposalAdd, KeyPackage: w.newMember("k").keyPackage().KeyPackage}, *update,
		{Type: ProposalRemove, Removed: 1}, {Type: ProposalRemove, Removed: 4},
	} {
		tree := g.epoch.tree.clone()
		v := treeOperationCase{vectorSuite: vectorSuite{X25519}, TreeBefore: g.Tree(), TreeHashBefore: tree.treeHash(),
			Proposal: encode(p.encode), ProposalSender: uint32(w.members[1].group.Self())}
		switch p.Type {
		case ProposalAdd:
			must[LeafIndex](t)(tree.add(p.KeyPackage.Leaf))
		case ProposalUpdate:
			tree.update(LeafIndex(v.ProposalSender), p.Leaf)
		case ProposalRemove:
			tree.drop(p.Removed)
			tree.shrink()
		}
		v.TreeAfter, v.TreeHashAfter = encode(tree.encode), tree.treeHash()
		out = append(out, v)
	}
	return out
}

func treeKEMVector(t *testing.T, s *suite) treeKEMCase {
	get := must[[]byte](t)
	v := treeKEMCase{vectorSuite: vectorSuite{s.id}, GroupID: []byte("treekem"), Epoch: 9, ConfirmedTranscriptHash: randomBytes(s.nh)}
	w := newWorld(t, s.id)
	base := &tree{suite: s, nodes: []*node{new(node)}}
	signers := make([]*SigningKey, 4)
	for i := range signers {
		m := w.newMember("m")
		secrets := m.keyPackage()
		signers[i] = m.key
		must[LeafIndex](t)(base.add(secrets.KeyPackage.Leaf))
		v.Leaves = append(v.Leaves, treeKEMLeaf{Index: uint32(i), EncryptionPriv: secrets.encryption, SignaturePriv: m.key.private})
	}
	first := must[*ownPath](t)(base.createPath(2, base.leaf(2).renewed(), signers[2], v.GroupID))
	for i := range v.Leaves {
		if i == 2 {
			v.Leaves[i].EncryptionPriv = get(first.keys[4].Bytes())
		}
		for k, st := range first.steps {
			if st.node.covers(LeafIndex(i).node()) {
				v.Leaves[i].PathSecrets = append(v.Leaves[i].PathSecrets, treeKEMPathSecret{uint32(st.node), first.secrets[k]})
			}
		}
		if v.Leaves[i].PathSecrets == nil {
			v.Leaves[i].PathSecrets = []treeKEMPathSecret{}
		}
	}
	v.RatchetTree = encode(base.encode)
	for i := range LeafIndex(4) {
		after := base.clone()
		own := must[*ownPath](t)(after.createPath(i, base.leaf(i).renewed(), signers[i], v.GroupID))
		check(t, after.encryptPath(own, v.provisional(after), nil, &trusting))
		u := treeKEMPath{Sender: uint32(i), UpdatePath: encode(own.path.encode), CommitSecret: own.commitSecret, TreeHashAfter: after.treeHash()}
		for j := range LeafIndex(4) {
			u.PathSecrets = append(u.PathSecrets, nil)
			if j != i {
				u.PathSecrets[j] = own.secretFor(i, j)
			}
		}
		v.UpdatePaths = append(v.UpdatePaths, u)
	}
	return v
}

func messagesVector(t *testing.T) messagesCase {
	w := shaped(t, X25519)
	g, other := w.members[0].group, w.members[1].group
	k := w.newMember("joiner").keyPackage().KeyPackage
	add := must[*Staged](t)(g.Commit(Commit{Add: []*KeyPackage{k}}, w.now))
	public := must[*publicMessage](t)(decodeMessage(add.Message, WirePublic, decodePublicMessage))
	update := must[[]byte](t)(other.ProposeUpdate(Envelope{}))
	bare := func(p Proposal) hexBytes { return encode(p.encode)[2:] }
	inClear := *public
	inClear.content.kind, inClear.content.data = ContentApplication, []byte("decoded though never accepted")
	secrets := groupSecrets{joiner: randomBytes(32), pathSecret: randomBytes(32), psks: []PSKID{
		{Type: PSKResumption, Usage: UsageBranch, GroupID: []byte("g"), Epoch: 1, Nonce: randomBytes(32)}}}
	info := must[[]byte](t)(g.GroupInfo(true))
	return messagesCase{
		Welcome: add.Welcome, GroupInfo: info, KeyPackage: k.Bytes(), RatchetTree: g.Tree(), GroupSecrets: encode(secrets.encode),
		AddProposal: bare(Proposal{Type: ProposalAdd, KeyPackage: k}), UpdateProposal: bare(*must[*Proposal](t)(proposalIn(update, nil))),
		RemoveProposal: bare(Proposal{Type: ProposalRemove, Removed: 3}), PSKProposal: bare(Proposal{Type: ProposalPSK,
			PSK: PSKID{Type: PSKExternal, ID: []byte("id"), Nonce: randomBytes(32)}}),
		ReInitProposal: bare(Proposal{Type: ProposalReInit, ReInit: &ReInit{GroupID: []byte("g"), Version: MLS10, Suite: XWing,
			Extensions: []Extension{{Type: 0x0A0A}}}}),
		ExternalInitProposal: bare(Proposal{Type: ProposalExternalInit, KEMOutput: randomBytes(32)}),
		ExtensionsProposal:   bare(Proposal{Type: ProposalExtensions, Extensions: []Extension{RequiredCapabilities{}.Extension()}}),
		Commit:               encode(public.content.commit.encode), PublicMessageApplication: encodeMessage(WirePublic, inClear.encode),
		PublicMessageProposal: update, PublicMessageCommit: add.Message,
		PrivateMessage: must[[]byte](t)(g.Send([]byte("data"), Envelope{PadTo: 32})),
	}
}

func welcomeVector(t *testing.T, s *suite) welcomeCase {
	w := shaped(t, s.id)
	g := w.members[0].group
	secrets := w.newMember("joiner").keyPackage()
	staged := must[*Staged](t)(g.Commit(Commit{Add: []*KeyPackage{secrets.KeyPackage}}, w.now))
	return welcomeCase{vectorSuite: vectorSuite{s.id}, InitPriv: secrets.init, SignerPub: w.members[0].key.public,
		KeyPackage: secrets.KeyPackage.Bytes(), Welcome: staged.Welcome}
}

// passive lets a member join and records what it saw.
func passive(t *testing.T, w *world, o Commit) (passiveCase, *member) {
	joiner := w.newMember("passive")
	secrets := joiner.keyPackage()
	o.Add = []*KeyPackage{secrets.KeyPackage}
	v := passiveCase{vectorSuite: vectorSuite{w.suite}, KeyPackage: secrets.KeyPackage.Bytes(), SignaturePriv: joiner.key.private,
		EncryptionPriv: secrets.encryption, InitPriv: secrets.init, ExternalPSKs: []passivePSK{}, Epochs: []passiveEpoch{}}
	for id, psk := range w.psks {
		v.ExternalPSKs = append(v.ExternalPSKs, passivePSK{hexBytes(id), psk})
	}
	staged := w.commit(w.members[0], o)
	if o.OmitTree {
		v.RatchetTree = w.members[0].group.Tree()
	}
	joiner.group = must[*Group](t)(Join(staged.Welcome, v.RatchetTree, secrets, w.policy()))
	joiner.save()
	w.members = append(w.members, joiner)
	v.Welcome, v.InitialAuthenticator = staged.Welcome, joiner.group.Authenticator()
	return v, joiner
}

func passiveWelcomeVector(t *testing.T, s *suite) passiveCase {
	w := shaped(t, s.id)
	w.psks["shared"] = []byte("a pre-shared key")
	v, _ := passive(t, w, Commit{OmitTree: true, PSKs: []PSKID{{Type: PSKExternal, ID: []byte("shared")}}})
	return v
}

// follow records one commit.
func (v *passiveCase) follow(staged *Staged, joiner *member, proposals ...hexBytes) {
	v.Epochs = append(v.Epochs, passiveEpoch{Proposals: append([]hexBytes{}, proposals...), Commit: staged.Message,
		Authenticator: joiner.group.Authenticator()})
}

func passiveCommitVector(t *testing.T, s *suite) passiveCase {
	w := shaped(t, s.id)
	w.psks["shared"] = []byte("a pre-shared key")
	v, joiner := passive(t, w, Commit{})
	update := must[[]byte](t)(w.members[1].group.ProposeUpdate(Envelope{Private: true}))
	w.deliver(w.members[1], update)
	v.follow(w.commit(w.members[0], Commit{References: w.members[0].group.Pending()}), joiner, update)
	v.follow(w.commit(w.members[2], Commit{PSKs: []PSKID{{Type: PSKExternal, ID: []byte("shared")}}, Envelope: Envelope{Private: true}}), joiner)
	return v
}

func passiveRandomVector(t *testing.T, s *suite) passiveCase {
	w := shaped(t, s.id)
	v, joiner := passive(t, w, Commit{})
	v.follow(w.commit(w.members[1], Commit{SkipPath: true}, w.newMember("next")), joiner)
	v.follow(w.commit(w.members[2], Commit{Remove: []LeafIndex{w.members[1].group.Self()}}), joiner)
	v.follow(w.commit(w.members[0], Commit{Extensions: []Extension{RequiredCapabilities{}.Extension()}}), joiner)
	id := PSKID{Type: PSKResumption, Usage: UsageApplication, GroupID: joiner.group.ID(), Epoch: joiner.group.Epoch()}
	v.follow(w.commit(w.members[0], Commit{PSKs: []PSKID{id}}), joiner)
	return v
}
