package mls

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"
)

// The insider of these tests is a member with all its keys who runs other code:
// it skips what the package would check and signs what it likes.

// anything is the policy of an insider.
var anything = Policy{Credential: func(Admission) error { return nil }, MaxLifetime: -1}

// forge signs a commit of these proposals without any validation. Its tag is
// wrong, but everything that is looked at before it is real.
func (m *member) forge(path *updatePath, list ...Proposal) []byte {
	c := &commit{path: path}
	for i := range list {
		c.proposals = append(c.proposals, proposalOrRef{proposal: &list[i]})
	}
	a := m.group.compose(ContentCommit, Envelope{})
	a.content.commit = c
	check(m.w.t, a.sign(m.group.epoch.signer, m.group.epoch.encoded))
	a.confirmationTag = m.group.epoch.suite.zero()
	return a.protectPublic(m.group.epoch.suite, m.group.epoch.secrets.membership, m.group.epoch.encoded)
}

// insider stages a commit whose parts are changed after one of the steps of the
// builder: 0 proposals, 1 path, 2 signature.
func (m *member) insider(o Commit, step int, change func(*commitBuilder)) (*Staged, error) {
	g := *m.group
	g.policy = anything
	b := &commitBuilder{group: &g, options: &o, epoch: g.epoch, from: memberSender(g.epoch.self), place: g.epoch.self,
		signer: g.epoch.signer, staged: &Staged{base: g.epoch, Committer: g.epoch.self}}
	for i, build := range []func(time.Time) error{b.propose, b.makePath, b.sign, b.conclude} {
		if err := build(m.w.now); err != nil {
			return nil, err
		}
		if i == step {
			change(b)
		}
	}
	return b.staged, nil
}

// refuses fails unless the member refuses a message for the reason given and
// keeps its state.
func (m *member) refuses(message []byte, want error) {
	m.w.t.Helper()
	before := m.state()
	_, err := m.group.Receive(message, m.w.now)
	refused(m.w.t, err, want)
	if m.state() != before {
		m.w.t.Fatalf("%s: a refused message changed the state", m.name)
	}
}

func TestInvalidProposalListsAreRefused(t *testing.T) {
	w := crowd(t, X25519, 4)
	mallory, bob := w.members[0], w.members[1]
	k := w.newMember("new").keyPackage().KeyPackage
	other := w.newMember("new too")
	other.key = must[*SigningKey](t)(X25519.ParseSigningKey(bob.key.Bytes()))
	update := must[*Proposal](t)(proposalIn(mallory.group.ProposeUpdate(Envelope{})))
	clear(mallory.group.proposals)
	psk := func(id PSKID) Proposal { return Proposal{Type: ProposalPSK, PSK: id} }
	nonce := bytes.Repeat([]byte{7}, 32)
	external := PSKID{Type: PSKExternal, ID: []byte("id"), Nonce: nonce}
	add := func(k *KeyPackage) Proposal { return Proposal{Type: ProposalAdd, KeyPackage: k} }
	remove := func(i LeafIndex) Proposal { return Proposal{Type: ProposalRemove, Removed: i} }
	extensions := func(list ...Extension) Proposal { return Proposal{Type: ProposalExtensions, Extensions: list} }
	reinit := Proposal{Type: ProposalReInit, ReInit: &ReInit{GroupID: []byte("x"), Version: MLS10, Suite: X25519}}
	for _, c := range []struct {
		name string
		list []Proposal
		want error
	}{
		{"update by the committer", []Proposal{*update}, ErrProposal},
		{"remove of the committer", []Proposal{remove(0)}, ErrProposal},
		{"remove of nobody", []Proposal{remove(77)}, ErrProposal},
		{"remove beyond any tree", []Proposal{remove(1<<32 - 1)}, ErrProposal},
		{"one member removed twice", []Proposal{remove(2), remove(2)}, ErrProposal},
		{"external init by a member", []Proposal{{Type: ProposalExternalInit, KEMOutput: nonce}}, ErrProposal},
		{"extensions twice", []Proposal{extensions(), extensions()}, ErrProposal},
		{"one extension twice", []Proposal{extensions(Extension{Type: 0xF00D}, Extension{Type: 0xF00D})}, ErrProposal},
		{"broken required capabilities", []Proposal{extensions(Extension{Type: ExtensionRequiredCapabilities, Data: []byte{9}})}, ErrProposal},
		{"extension that nobody supports", []Proposal{extensions(Extension{Type: 0xF00D})}, ErrCapability},
		{"reinit beside another", []Proposal{reinit, remove(2)}, ErrProposal},
		{"reinit to version 0", []Proposal{{Type: ProposalReInit, ReInit: &ReInit{}}}, ErrProposal},
		{"one key package twice", []Proposal{add(k), add(k)}, ErrDuplicateKey},
		{"signature key of a member", []Proposal{add(other.keyPackage().KeyPackage)}, ErrDuplicateKey},
		{"psk twice", []Proposal{psk(external), psk(external)}, ErrProposal},
		{"psk with a short nonce", []Proposal{psk(PSKID{Type: PSKExternal, Nonce: nonce[:31]})}, ErrProposal},
		{"psk of a branch", []Proposal{psk(PSKID{Type: PSKResumption, Usage: UsageBranch, Nonce: nonce})}, ErrProposal},
		{"unknown psk", []Proposal{psk(external)}, ErrPSK},
		{"no path though empty", nil, ErrPath},
		{"no path with a remove", []Proposal{remove(2)}, ErrPath},
	} {
		t.Run(c.name, func(t *testing.T) { bob.refuses(mallory.forge(nil, c.list...), c.want) })
	}
}

// proposalIn reads the proposal of a public message.
func proposalIn(message []byte, err error) (*Proposal, error) {
	if err != nil {
		return nil, err
	}
	m, err := decodeMessage(message, WirePublic, decodePublicMessage)
	if err != nil {
		return nil, err
	}
	return m.content.proposal, nil
}

func TestUpdateAndRemoveOfOneMemberAreRefused(t *testing.T) {
	w := crowd(t, X25519, 3)
	alice, bob, carol := w.members[0], w.members[1], w.members[2]
	update := must[[]byte](t)(carol.group.ProposeUpdate(Envelope{}))
	second := must[[]byte](t)(carol.group.ProposeUpdate(Envelope{}))
	for _, m := range []*member{alice, bob} {
		must[*Received](t)(m.group.Receive(update, w.now))
		must[*Received](t)(m.group.Receive(second, w.now))
	}
	_, err := alice.group.Commit(Commit{References: alice.group.Pending()[:1], Remove: []LeafIndex{2}}, w.now)
	refused(t, err, ErrProposal)
	_, err = alice.group.Commit(Commit{References: alice.group.Pending()}, w.now)
	refused(t, err, ErrProposal)
	must[*Staged](t)(alice.group.Commit(Commit{References: alice.group.Pending()[1:]}, w.now))
}

func TestReusedKeyPackageIsRefused(t *testing.T) {
	w := crowd(t, X25519, 3)
	mallory, bob := w.members[0], w.members[1]
	joiner := w.newMember("joiner")
	k := joiner.keyPackage().KeyPackage
	staged := must[*Staged](t)(mallory.group.Commit(Commit{Add: []*KeyPackage{k}}, w.now))
	for _, m := range w.members[1:] {
		m.follow(staged.Message)
	}
	check(t, mallory.group.Merge(staged))
	_, err := mallory.group.Commit(Commit{Add: []*KeyPackage{k}}, w.now)
	refused(t, err, ErrDuplicateKey)
	bob.refuses(mallory.forge(nil, Proposal{Type: ProposalAdd, KeyPackage: k}), ErrDuplicateKey)
}

func TestBrokenKeyPackagesAreRefused(t *testing.T) {
	w := newWorld(t, X25519)
	m := w.newMember("m")
	for name, c := range map[string]struct {
		change func(k *KeyPackageSecrets)
		want   error
	}{
		"init key is the encryption key": {func(k *KeyPackageSecrets) { k.KeyPackage.InitKey = k.KeyPackage.Leaf.EncryptionKey }, ErrDuplicateKey},
		"short init key":                 {func(k *KeyPackageSecrets) { k.KeyPackage.InitKey = []byte{1} }, ErrKey},
		"other suite":                    {func(k *KeyPackageSecrets) { k.KeyPackage.Suite = P256 }, ErrKey},
		"other version":                  {func(k *KeyPackageSecrets) { k.KeyPackage.Version = 2 }, ErrUnsupported},
		"leaf of a commit":               {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.Source = SourceCommit }, ErrLeaf},
		"extension twice": {func(k *KeyPackageSecrets) {
			k.KeyPackage.Extensions = []Extension{{Type: 7}, {Type: 7}}
		}, ErrMalformed},
		"leaf without the version":    {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.Capabilities.Versions = nil }, ErrCapability},
		"leaf without the suite":      {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.Capabilities.Suites = nil }, ErrCapability},
		"leaf without its credential": {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.Capabilities.Credentials = nil }, ErrCapability},
		"leaf with an unlisted extension": {func(k *KeyPackageSecrets) {
			k.KeyPackage.Leaf.Extensions = []Extension{{Type: 0xF00D}}
		}, ErrCapability},
		"short encryption key": {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.EncryptionKey = []byte{1} }, ErrKey},
		"short signature key":  {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.SignatureKey = []byte{1} }, ErrKey},
		"leaf signed by another": {func(k *KeyPackageSecrets) {
			k.KeyPackage.Leaf.SignatureKey = w.newMember("n").key.Public()
		}, ErrSignature},
		"refused identity": {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.Credential.Identity = nil }, ErrCredential},
	} {
		k := m.keyPackage()
		c.change(k)
		check(t, k.KeyPackage.Leaf.sign(m.key, nil, 0))
		check(t, k.KeyPackage.sign(m.key))
		err := must[*KeyPackage](t)(ParseKeyPackage(k.KeyPackage.Bytes())).Check(w.policy(), w.now)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestLeafWithoutTheRightCredentialIsRefused(t *testing.T) {
	w := crowd(t, X25519, 4)
	mallory, bob := w.members[0], w.members[1]
	eve := w.newMember("eve")

	posing := mallory.profile()
	posing.Credential = Basic([]byte("m1"))
	staged := must[*Staged](t)(mallory.insider(Commit{Profile: &posing}, 3, func(*commitBuilder) {}))
	bob.refuses(staged.Message, ErrCredential)

	leaf := mallory.group.Leaf(0).renewed()
	leaf.Credential = Basic([]byte("m1"))
	private, err := X25519.algorithms().kem.GenerateKey()
	check(t, err)
	leaf.EncryptionKey, leaf.Source = private.PublicKey().Bytes(), SourceUpdate
	check(t, leaf.sign(mallory.key, mallory.group.ID(), 0))
	proposal := must[[]byte](t)(mallory.group.propose(proposed{Proposal: Proposal{Type: ProposalUpdate, Leaf: leaf}}, Envelope{}))
	clear(mallory.group.proposals)
	must[*Received](t)(bob.group.Receive(proposal, w.now))
	_, err = bob.group.Commit(Commit{References: bob.group.Pending()}, w.now)
	refused(t, err, ErrCredential)
	clear(bob.group.proposals)

	w.banned = "eve"
	bob.reload()
	added := must[*Staged](t)(mallory.insider(Commit{Add: []*KeyPackage{eve.keyPackage().KeyPackage}}, 3, func(*commitBuilder) {}))
	bob.refuses(added.Message, ErrCredential)

	info := must[[]byte](t)(bob.group.GroupInfo(true))
	_, external, err := JoinExternal(info, nil, ExternalJoin{Profile: eve.profile()}, anything)
	check(t, err)
	bob.refuses(external, ErrCredential)

	resync := w.newMember("frank")
	victim := LeafIndex(2)
	_, external, err = JoinExternal(info, nil, ExternalJoin{Profile: resync.profile(), Replace: &victim}, anything)
	check(t, err)
	bob.refuses(external, ErrCredential)

	w.banned = "m3"
	joiner := w.newMember("joiner")
	secrets := joiner.keyPackage()
	welcome := must[*Staged](t)(mallory.group.Commit(Commit{Add: []*KeyPackage{secrets.KeyPackage}}, w.now)).Welcome
	_, err = Join(welcome, nil, secrets, w.policy())
	refused(t, err, ErrCredential)
	_, err = Join(welcome, nil, secrets, Policy{})
	refused(t, err, ErrCredential)
}

func TestDuplicateKeysAreRefused(t *testing.T) {
	w := crowd(t, X25519, 4)
	mallory, bob := w.members[0], w.members[1]

	t.Run("path takes a key of the tree", func(t *testing.T) {
		key := bob.group.epoch.tree.nodes[5].encryptionKey()
		if key == nil {
			t.Fatal("node 5 is blank")
		}
		staged := must[*Staged](t)(mallory.insider(Commit{}, 1, func(b *commitBuilder) { b.path.path.nodes[0].encryptionKey = key }))
		bob.refuses(staged.Message, ErrDuplicateKey)
	})
	t.Run("path keeps an old key of its own node", func(t *testing.T) {
		key := bob.group.epoch.tree.nodes[3].encryptionKey()
		staged := must[*Staged](t)(mallory.insider(Commit{}, 1, func(b *commitBuilder) { b.path.path.nodes[1].encryptionKey = key }))
		bob.refuses(staged.Message, ErrDuplicateKey)
	})
	t.Run("path has one key twice", func(t *testing.T) {
		staged := must[*Staged](t)(mallory.insider(Commit{}, 1, func(b *commitBuilder) {
			b.path.path.nodes[0].encryptionKey = b.path.path.nodes[1].encryptionKey
		}))
		bob.refuses(staged.Message, ErrDuplicateKey)
	})
	resign := func(b *commitBuilder, key []byte) {
		leaf := b.path.path.leaf.renewed()
		leaf.EncryptionKey, leaf.Source, leaf.ParentHash = key, SourceCommit, b.path.path.leaf.ParentHash
		check(t, leaf.sign(b.signer, b.change.groupID, b.place))
		b.path.path.leaf = leaf
	}
	t.Run("leaf keeps its key", func(t *testing.T) {
		staged := must[*Staged](t)(mallory.insider(Commit{}, 1, func(b *commitBuilder) { resign(b, mallory.group.Leaf(0).EncryptionKey) }))
		bob.refuses(staged.Message, ErrDuplicateKey)
	})
	t.Run("leaf takes another's key", func(t *testing.T) {
		staged := must[*Staged](t)(mallory.insider(Commit{}, 1, func(b *commitBuilder) { resign(b, bob.group.Leaf(2).EncryptionKey) }))
		bob.refuses(staged.Message, ErrDuplicateKey)
	})
	t.Run("two leaves share a signature key", func(t *testing.T) {
		p := mallory.profile()
		p.Key = w.members[2].key
		_, err := mallory.insider(Commit{Profile: &p}, 3, func(*commitBuilder) {})
		refused(t, err, ErrDuplicateKey)
	})
}

// externalInsider makes an external commit whose leaf and path are changed before
// it is signed.
func externalInsider(t *testing.T, info []byte, o ExternalJoin, change func(*commitBuilder)) []byte {
	b := must[*commitBuilder](t)(newExternal(info, nil, &o, anything))
	check(t, b.enterFromOutside(&o))
	change(b)
	check(t, b.sign(time.Time{}))
	return b.content.protectPublic(b.epoch.suite, nil, nil)
}

func TestDuplicateKeysThroughExternalCommitsAreRefused(t *testing.T) {
	w := crowd(t, X25519, 4)
	bob := w.members[1]
	info := must[[]byte](t)(bob.group.GroupInfo(true))
	mallory := w.newMember("mallory")
	thief := mallory.profile()
	thief.Key = w.members[2].key
	_, _, err := JoinExternal(info, nil, ExternalJoin{Profile: thief}, anything)
	refused(t, err, ErrDuplicateKey)

	resign := func(b *commitBuilder, key []byte, signer *SigningKey) {
		leaf := b.path.path.leaf.renewed()
		leaf.EncryptionKey, leaf.Source, leaf.ParentHash = key, SourceCommit, b.path.path.leaf.ParentHash
		leaf.SignatureKey, b.signer = signer.Public(), signer
		check(t, leaf.sign(signer, b.change.groupID, b.place))
		b.path.path.leaf = leaf
	}
	o := ExternalJoin{Profile: mallory.profile()}
	bob.refuses(externalInsider(t, info, o, func(b *commitBuilder) {
		resign(b, b.path.path.leaf.EncryptionKey, w.members[2].key)
	}), ErrDuplicateKey)
	bob.refuses(externalInsider(t, info, o, func(b *commitBuilder) {
		resign(b, bob.group.Leaf(0).EncryptionKey, mallory.key)
	}), ErrDuplicateKey)
	bob.refuses(externalInsider(t, info, o, func(b *commitBuilder) {
		b.path.path.nodes[0].encryptionKey = bob.group.epoch.tree.nodes[1].encryptionKey()
	}), ErrDuplicateKey)
	back := LeafIndex(3)
	same := ExternalJoin{Profile: w.members[3].profile(), Replace: &back}
	bob.refuses(externalInsider(t, info, same, func(b *commitBuilder) {
		resign(b, bob.group.Leaf(3).EncryptionKey, w.members[3].key)
	}), ErrDuplicateKey)
}

func TestExternalCommitsHoldOnlyWhatTheyMay(t *testing.T) {
	w := crowd(t, X25519, 4)
	bob := w.members[1]
	info := must[[]byte](t)(bob.group.GroupInfo(true))
	o := ExternalJoin{Profile: w.newMember("mallory").profile()}
	k := w.newMember("k").keyPackage().KeyPackage
	with := func(list ...proposalOrRef) func(*commitBuilder) {
		return func(b *commitBuilder) {
			b.content.content.commit.proposals = append(slices.Clone(b.content.content.commit.proposals), list...)
		}
	}
	value := func(p Proposal) proposalOrRef { return proposalOrRef{proposal: &p} }
	proposal := must[[]byte](t)(w.members[0].group.Propose(Proposal{Type: ProposalRemove, Removed: 2}, Envelope{}))
	ref := must[*Received](t)(bob.group.Receive(proposal, w.now)).Ref
	for name, c := range map[string]struct {
		change func(*commitBuilder)
		want   error
	}{
		"an add":             {with(value(Proposal{Type: ProposalAdd, KeyPackage: k})), ErrProposal},
		"extensions":         {with(value(Proposal{Type: ProposalExtensions})), ErrProposal},
		"two external inits": {with(value(Proposal{Type: ProposalExternalInit})), ErrProposal},
		"two removes":        {with(value(Proposal{Type: ProposalRemove, Removed: 0}), value(Proposal{Type: ProposalRemove, Removed: 2})), ErrProposal},
		"a reference":        {with(proposalOrRef{ref: ref}), ErrProposal},
		"no external init":   {func(b *commitBuilder) { b.content.content.commit.proposals = nil }, ErrProposal},
		"no path":            {func(b *commitBuilder) { b.content.content.commit.path = nil }, ErrPath},
	} {
		t.Run(name, func(t *testing.T) { bob.refuses(externalInsider(t, info, o, c.change), c.want) })
	}
}

func TestBrokenPathForOneMember(t *testing.T) {
	w := crowd(t, X25519, 4)
	mallory := w.members[0]
	staged := must[*Staged](t)(mallory.insider(Commit{}, 1, func(b *commitBuilder) {
		box := &b.path.path.nodes[0].secrets[0].ciphertext // sealed to leaf 1 alone
		*box = append(slices.Clone((*box)[:len(*box)-1]), (*box)[len(*box)-1]^1)
	}))
	w.members[1].refuses(staged.Message, ErrPathSecret)
	for _, m := range w.members[2:] {
		must[*Received](t)(m.group.Receive(staged.Message, w.now))
	}

	other := must[*Staged](t)(mallory.insider(Commit{}, 1, func(b *commitBuilder) {
		s := b.epoch.suite
		key := b.change.tree.nodes[2].encryptionKey()
		b.path.path.nodes[0].secrets[0], _ = s.encryptWithLabel(key, "UpdatePathNode", b.next.provisional(b.change.tree), s.zero())
	}))
	w.members[1].refuses(other.Message, ErrPathSecret) // it opens, but gives another key
}

func TestMalformedPathsAreRefusedByAll(t *testing.T) {
	w := crowd(t, X25519, 4)
	mallory := w.members[0]
	for name, c := range map[string]struct {
		change func(*commitBuilder)
		want   error
	}{
		"a node too few": {func(b *commitBuilder) { b.path.path.nodes = b.path.path.nodes[:1] }, ErrPath},
		"a node too many": {func(b *commitBuilder) {
			b.path.path.nodes = append(b.path.path.nodes, pathNode{encryptionKey: make([]byte, 32)})
		}, ErrPath},
		"a secret too few":  {func(b *commitBuilder) { b.path.path.nodes[1].secrets = nil }, ErrPath},
		"a secret too many": {func(b *commitBuilder) { b.path.path.nodes[0].secrets = append(b.path.path.nodes[0].secrets, sealed{}) }, ErrPath},
		"a short key":       {func(b *commitBuilder) { b.path.path.nodes[0].encryptionKey = []byte{1} }, ErrKey},
		"a wrong parent hash": {func(b *commitBuilder) {
			leaf := b.path.path.leaf.renewed()
			leaf.EncryptionKey, leaf.Source, leaf.ParentHash = b.path.path.leaf.EncryptionKey, SourceCommit, make([]byte, 32)
			check(t, leaf.sign(b.signer, b.change.groupID, b.place))
			b.path.path.leaf = leaf
		}, ErrParentHash},
		"a leaf for another place": {func(b *commitBuilder) { check(t, b.path.path.leaf.sign(b.signer, b.change.groupID, 3)) }, ErrSignature},
		"a leaf for another group": {func(b *commitBuilder) { check(t, b.path.path.leaf.sign(b.signer, []byte("other"), 0)) }, ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			staged := must[*Staged](t)(mallory.insider(Commit{}, 1, c.change))
			for _, m := range w.members[1:] {
				m.refuses(staged.Message, c.want)
			}
		})
	}
}

func TestTagsAndSignaturesAreCompared(t *testing.T) {
	w := crowd(t, X25519, 3)
	mallory, bob := w.members[0], w.members[1]
	for _, n := range []int{0, 1, 16, 31} {
		staged := must[*Staged](t)(mallory.insider(Commit{}, 2, func(b *commitBuilder) { b.content.confirmationTag = b.next.tag[:n] }))
		bob.refuses(staged.Message, ErrConfirmation)
	}
	m := must[*publicMessage](t)(decodeMessage(must[*Staged](t)(mallory.group.Commit(Commit{}, w.now)).Message, WirePublic, decodePublicMessage))
	for _, n := range []int{0, 1, 31} {
		cut := *m
		cut.membershipTag = m.membershipTag[:n]
		bob.refuses(encodeMessage(WirePublic, cut.encode), ErrMembership)
	}
	outsider := *m
	outsider.signature = make([]byte, 64)
	outsider.membershipTag = outsider.membershipMAC(bob.group.epoch.suite, bob.group.epoch.secrets.membership, bob.group.epoch.encoded)
	bob.refuses(encodeMessage(WirePublic, outsider.encode), ErrSignature)
}

func TestReplaysAreRefused(t *testing.T) {
	w := crowd(t, X25519, 3)
	alice, bob := w.members[0], w.members[1]
	message := must[[]byte](t)(alice.group.Send([]byte("once"), Envelope{}))
	must[*Received](t)(bob.group.Receive(message, w.now))
	bob.save()
	bob.refuses(message, ErrReplayed)
	alice.refuses(message, ErrOwnMessage)
	staged := must[*Staged](t)(alice.group.Commit(Commit{}, w.now))
	bob.follow(staged.Message)
	bob.refuses(staged.Message, ErrWrongEpoch)
	alice.refuses(staged.Message, ErrOwnMessage)
}

func TestGenerationTooFarAhead(t *testing.T) {
	w := crowd(t, X25519, 2)
	alice, bob := w.members[0], w.members[1]
	leap := func(to uint32) []byte {
		r, ok := alice.group.ratchets.ratchets[alice.group.Self()]
		if !ok {
			must[[]byte](t)(alice.group.Send(nil, Envelope{}))
			r = alice.group.ratchets.ratchets[alice.group.Self()]
		}
		r[applicationRatchet].next = to
		return must[[]byte](t)(alice.group.Send([]byte("far"), Envelope{}))
	}
	bob.refuses(leap(MaxForward+1), ErrTooFar)
	bob.refuses(leap(1<<31), ErrTooFar)
	alice.group.ratchets.ratchets[alice.group.Self()][applicationRatchet].next = 1<<32 - 1
	_, err := alice.group.Send([]byte("no more"), Envelope{})
	refused(t, err, ErrSpent)
}

func TestWelcomeForAnother(t *testing.T) {
	w := crowd(t, X25519, 2)
	right, wrong := w.newMember("right").keyPackage(), w.newMember("wrong").keyPackage()
	welcome := must[*Staged](t)(w.members[0].group.Commit(Commit{Add: []*KeyPackage{right.KeyPackage}}, w.now)).Welcome
	_, err := Join(welcome, nil, wrong, w.policy())
	refused(t, err, ErrNotForUs)
	posing := *wrong
	posing.KeyPackage = right.KeyPackage
	_, err = Join(welcome, nil, &posing, w.policy())
	refused(t, err, ErrDecrypt)
	must[*Group](t)(Join(welcome, nil, right, w.policy()))
}

// lyingWelcome makes a Welcome in which an insider describes another group than
// the one its commit made, and signs it.
func lyingWelcome(t *testing.T, lie func(e *epoch)) (welcome []byte, secrets *KeyPackageSecrets, w *world) {
	w = crowd(t, X25519, 4)
	secrets = w.newMember("joiner").keyPackage()
	staged := must[*Staged](t)(w.members[0].insider(Commit{Add: []*KeyPackage{secrets.KeyPackage}}, 2, func(b *commitBuilder) {
		e := b.next.epoch(b.change.tree.clone(), b.place, b.signer, b.keys, nil)
		lie(e)
		b.change.tree, b.next.context, b.next.tag = e.tree, e.context, e.confirmationTag
	}))
	return staged.Welcome, secrets, w
}

func TestLyingWelcomesAreRefused(t *testing.T) {
	rehash := func(e *epoch) { e.context.TreeHash = e.tree.treeHash() }
	parent := func(e *epoch, x nodeIndex, change func(*parentNode)) {
		p := *e.tree.nodes[x].parent
		p.unmerged = slices.Clone(p.unmerged)
		change(&p)
		e.tree.set(x, &node{parent: &p})
		rehash(e)
	}
	for name, c := range map[string]struct {
		lie  func(e *epoch)
		want error
	}{
		"wrong parent hash": {func(e *epoch) { parent(e, 1, func(p *parentNode) { p.parentHash = make([]byte, 32) }) }, ErrParentHash},
		"exchanged parent key": {func(e *epoch) {
			parent(e, 5, func(p *parentNode) { p.encryptionKey = e.tree.nodes[1].encryptionKey() })
		}, ErrParentHash},
		"unmerged leaf added":          {func(e *epoch) { parent(e, 3, func(p *parentNode) { p.unmerged = append(p.unmerged, 2) }) }, ErrMalformed},
		"unmerged leaf of elsewhere":   {func(e *epoch) { parent(e, 1, func(p *parentNode) { p.unmerged = []LeafIndex{3} }) }, ErrMalformed},
		"unmerged leaf beyond":         {func(e *epoch) { parent(e, 1, func(p *parentNode) { p.unmerged = []LeafIndex{1 << 31} }) }, ErrMalformed},
		"unmerged leaves out of order": {func(e *epoch) { parent(e, 3, func(p *parentNode) { p.unmerged = []LeafIndex{2, 1} }) }, ErrMalformed},
		"a leaf exchanged":             {func(e *epoch) { e.tree.set(2, &node{leaf: e.tree.leaf(3)}); rehash(e) }, ErrParentHash},
		"another tree hash":            {func(e *epoch) { e.context.TreeHash = make([]byte, 32) }, ErrTreeHash},
		"another epoch":                {func(e *epoch) { e.context.Epoch++ }, ErrConfirmation},
		"another transcript":           {func(e *epoch) { e.context.ConfirmedTranscriptHash = make([]byte, 32) }, ErrConfirmation},
		"short confirmation tag":       {func(e *epoch) { e.confirmationTag = e.confirmationTag[:8] }, ErrConfirmation},
		"extension not supported":      {func(e *epoch) { e.context.Extensions = []Extension{{Type: 0xF00D}} }, ErrCapability},
		"another suite":                {func(e *epoch) { e.context.Suite = P256 }, ErrUnsupported},
		"joiner left out":              {func(e *epoch) { e.tree.drop(4); e.tree.shrink(); rehash(e) }, ErrNotForUs},
	} {
		t.Run(name, func(t *testing.T) {
			welcome, secrets, w := lyingWelcome(t, c.lie)
			_, err := Join(welcome, nil, secrets, w.policy())
			refused(t, err, c.want)
		})
	}
	welcome, secrets, w := lyingWelcome(t, func(*epoch) {})
	must[*Group](t)(Join(welcome, nil, secrets, w.policy()))
}

func TestDuplicateKeysInATreeAreRefused(t *testing.T) {
	w := crowd(t, X25519, 4)
	g := w.members[0].group
	for name, change := range map[string]func(t *tree){
		"encryption key": func(t *tree) {
			l := *t.leaf(2)
			l.EncryptionKey = t.leaf(1).EncryptionKey
			t.nodes[4] = &node{leaf: &l}
		},
		"signature key": func(t *tree) {
			l := *t.leaf(2)
			l.SignatureKey = t.leaf(1).SignatureKey
			t.nodes[4] = &node{leaf: &l}
		},
		"parent key": func(t *tree) {
			t.nodes[1] = &node{parent: &parentNode{encryptionKey: t.leaf(3).EncryptionKey}}
		},
	} {
		tree := g.epoch.tree.clone()
		change(tree)
		if err := tree.checkUnique(); !errors.Is(err, ErrDuplicateKey) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	check(t, g.epoch.tree.checkUnique())
}

func TestStaleGroupInfo(t *testing.T) {
	w := crowd(t, X25519, 3)
	stale := must[[]byte](t)(w.members[0].group.GroupInfo(true))
	w.commit(w.members[1], Commit{})
	_, external, err := JoinExternal(stale, nil, ExternalJoin{Profile: w.newMember("late").profile()}, w.policy())
	check(t, err)
	for _, m := range w.members {
		m.refuses(external, ErrWrongEpoch)
	}
}

func TestMessageOfAnotherGroup(t *testing.T) {
	w, v := crowd(t, X25519, 2), newWorld(t, X25519)
	v.found("other")
	message := must[[]byte](t)(w.members[0].group.Send([]byte("x"), Envelope{}))
	v.members[0].refuses(message, ErrWrongGroup)
	v.members[0].refuses(must[*Staged](t)(w.members[0].group.Commit(Commit{}, w.now)).Message, ErrWrongGroup)
	v.members[0].refuses(w.newMember("k").keyPackage().KeyPackage.Bytes(), ErrMalformed)
}

// Every member knows the keys of all ratchets, so an insider can encrypt as if it
// sat on another leaf. The signature of that leaf it cannot make.
func TestAuthorIsTheLeafThatSigned(t *testing.T) {
	w := crowd(t, X25519, 3)
	mallory, bob, victim := w.members[0], w.members[1], w.members[2]
	e := mallory.group.epoch
	a := mallory.group.compose(ContentApplication, Envelope{})
	a.wire, a.content.data = WirePrivate, []byte("I am the victim")
	a.content.sender = memberSender(victim.group.Self())
	check(t, a.sign(e.signer, e.encoded))
	key, _, err := mallory.group.ratchets.receive(victim.group.Self(), applicationRatchet, 0)
	check(t, err)
	bob.refuses(must[[]byte](t)(a.protectPrivate(e.suite, e.secrets.senderData, key, 0)), ErrSignature)

	own := mallory.group.compose(ContentApplication, Envelope{})
	own.wire, own.content.data = WirePrivate, []byte("signed by me, sent as another")
	check(t, own.sign(e.signer, e.encoded))
	own.content.sender = memberSender(victim.group.Self())
	bob.refuses(must[[]byte](t)(own.protectPrivate(e.suite, e.secrets.senderData, key, 0)), ErrSignature)

	outside := *own
	outside.content.sender = memberSender(99)
	bob.refuses(must[[]byte](t)(outside.protectPrivate(e.suite, e.secrets.senderData, key, 0)), ErrLeaf)

	public := mallory.group.compose(ContentCommit, Envelope{})
	public.content.commit = &commit{}
	public.content.sender = memberSender(victim.group.Self())
	check(t, public.sign(e.signer, e.encoded))
	bob.refuses(public.protectPublic(e.suite, e.secrets.membership, e.encoded), ErrSignature)

	clearText := mallory.group.compose(ContentApplication, Envelope{})
	clearText.content.data = []byte("in the clear")
	check(t, clearText.sign(e.signer, e.encoded))
	bob.refuses(clearText.protectPublic(e.suite, e.secrets.membership, e.encoded), ErrMalformed)
}

func TestPaddingMustBeZero(t *testing.T) {
	w := crowd(t, X25519, 2)
	mallory, bob := w.members[0], w.members[1]
	e := mallory.group.epoch
	a := mallory.group.compose(ContentApplication, Envelope{})
	a.wire, a.content.data = WirePrivate, []byte("x")
	check(t, a.sign(e.signer, e.encoded))
	key, _, err := mallory.group.ratchets.send(e.self, applicationRatchet)
	check(t, err)
	m := privateMessage{groupID: a.content.groupID, epoch: a.content.epoch, kind: ContentApplication}
	plain := encode(func(w *writer) {
		a.content.encodeBody(w)
		a.encodeAuth(w)
		w.raw([]byte{0, 0, 1, 0})
	})
	data := senderData{leaf: e.self, generation: key.generation}
	m.ciphertext = must[[]byte](t)(e.suite.seal(key.key, guarded(key.nonce, data.guard), plain, encode(m.encodeContentAAD)))
	k, n, err := e.suite.senderKey(e.secrets.senderData, m.ciphertext)
	check(t, err)
	m.encryptedSenderData = must[[]byte](t)(e.suite.seal(k, n, data.bytes(), encode(m.encodeSenderAAD)))
	bob.refuses(encodeMessage(WirePrivate, m.encode), ErrMalformed)
}

// What a removed member still has does not open what comes after, and what it
// sends is for an epoch that is over.
func TestRemovedMemberIsOut(t *testing.T) {
	w := crowd(t, X25519, 4)
	mallory, alice := w.members[3], w.members[0]
	before := *mallory.group
	w.commit(alice, Commit{Remove: []LeafIndex{mallory.group.Self()}})
	message := must[[]byte](t)(alice.group.Send([]byte("secret"), Envelope{}))
	_, err := before.Receive(message, w.now)
	refused(t, err, ErrWrongEpoch)
	forged := *before.epoch
	forged.context.Epoch = alice.group.Epoch()
	before.epoch = &forged
	_, err = before.Receive(message, w.now)
	refused(t, err, ErrDecrypt)
	late := must[*Staged](t)(before.Commit(Commit{}, w.now))
	alice.refuses(late.Message, ErrMembership)
}

func TestCommitOfAnUnknownReference(t *testing.T) {
	w := crowd(t, X25519, 3)
	a := w.members[0].group.compose(ContentCommit, Envelope{})
	a.content.commit = &commit{proposals: []proposalOrRef{{ref: make([]byte, 32)}}}
	check(t, a.sign(w.members[0].key, w.members[0].group.epoch.encoded))
	e := w.members[0].group.epoch
	w.members[1].refuses(a.protectPublic(e.suite, e.secrets.membership, e.encoded), ErrProposal)
}

// Small-order X25519 keys make a shared secret that everybody knows; they must
// not be encrypted to.
func TestKeysOfSmallOrderAreNotUsed(t *testing.T) {
	s := X25519.algorithms()
	if _, err := s.encryptWithLabel(make([]byte, 32), "x", nil, []byte("secret")); err == nil {
		t.Fatal("encrypted to the zero key")
	}
}
