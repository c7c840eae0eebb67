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
// keeps its state, and an observer of its epoch, who sees commits alone, refuses it
// for the same reason if that is public.
func (m *member) refuses(message []byte, want error) {
	m.w.t.Helper()
	before := m.state()
	_, err := m.group.Receive(message, m.w.now)
	refused(m.w.t, err, want)
	if h, err := Inspect(message); err == nil && h.WireFormat == WirePublic && h.ContentType == ContentCommit && !hidden(want) {
		_, err = m.observer().Commit(message, m.w.now)
		refused(m.w.t, err, want)
	}
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
		"leaf with a broken signature": {func(k *KeyPackageSecrets) {
			k.KeyPackage.Leaf.encoded[len(k.KeyPackage.Leaf.encoded)-1] ^= 1
		}, ErrSignature},
		"short encryption key": {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.EncryptionKey = []byte{1} }, ErrKey},
		"short signature key":  {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.SignatureKey = []byte{1} }, ErrKey},
		"package signed by another": {func(k *KeyPackageSecrets) {
			n := w.newMember("n")
			k.KeyPackage.Leaf.SignatureKey = n.key.Public()
			check(t, k.KeyPackage.Leaf.sign(n.key, nil, 0))
		}, ErrSignature},
		"refused identity": {func(k *KeyPackageSecrets) { k.KeyPackage.Leaf.Credential.Identity = nil }, ErrCredential},
	} {
		k := m.keyPackage()
		if c.change(k); c.want != ErrSignature {
			check(t, k.KeyPackage.Leaf.sign(m.key, nil, 0))
		}
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

func TestCredentialTypeThatOthersLackIsRefused(t *testing.T) {
	w := crowd(t, X25519, 3)
	p := w.members[0].profile()
	p.Credential = Credential{Type: CredentialX509, Certificates: [][]byte{{1}}}
	_, err := w.members[0].insider(Commit{Profile: &p}, 3, func(*commitBuilder) {})
	refused(t, err, ErrCapability)
	for _, m := range w.members[1:] {
		m.group.policy = anything
	}
	staged := must[*Staged](t)(w.members[0].insider(Commit{}, 1, func(b *commitBuilder) {
		leaf := p.leaf(SourceCommit, b.path.path.leaf.EncryptionKey)
		leaf.ParentHash = b.path.path.leaf.ParentHash
		check(t, leaf.sign(b.signer, b.change.groupID, b.place))
		b.path.path.leaf = leaf
	}))
	w.members[1].refuses(staged.Message, ErrCapability)
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
