package mls

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// Attacks that need no crafted commit; insider_test.go has those that do.

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
	refs := must[[][]byte](t)(WelcomeRefs(welcome))
	if len(refs) != 1 || !bytes.Equal(refs[0], right.KeyPackage.Ref()) {
		t.Fatalf("welcome is for %x", refs)
	}
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

// Between the leaf and the node that names it, nothing but blanks: only the place
// itself is wrong.
func TestUnmergedLeafOfAnotherSubtreeIsRefused(t *testing.T) {
	g := crowd(t, X25519, 4).members[0].group
	tree := g.epoch.tree.clone()
	for _, x := range []nodeIndex{3, 5} {
		tree.nodes[x] = new(node)
	}
	tree.nodes[1] = &node{parent: &parentNode{encryptionKey: []byte{1}, unmerged: []LeafIndex{3}}}
	refused(t, tree.checkUnmerged(), ErrMalformed)
}

func TestUnmergedLeavesStandInOrder(t *testing.T) {
	tree := crowd(t, X25519, 4).members[0].group.epoch.tree.clone()
	tree.nodes[1], tree.nodes[5] = new(node), new(node)
	for _, c := range []struct {
		unmerged []LeafIndex
		want     error
	}{{[]LeafIndex{1, 2}, nil}, {[]LeafIndex{2, 1}, ErrMalformed}, {[]LeafIndex{1, 1}, ErrMalformed}} {
		tree.nodes[3] = &node{parent: &parentNode{encryptionKey: []byte{1}, unmerged: c.unmerged}}
		refused(t, tree.checkUnmerged(), c.want)
	}
}

// A parent that calls a leaf unmerged which the node below has merged is not
// parent-hash valid, although the hash itself does not cover its list.
func TestParentHashNeedsTheUnmergedLeavesInTheResolution(t *testing.T) {
	w := crowd(t, X25519, 4)
	w.commit(w.members[0], Commit{})
	tree := w.members[0].group.epoch.tree.clone()
	check(t, tree.checkParentHashes())
	p := *tree.nodes[3].parent
	p.unmerged = []LeafIndex{1}
	tree.set(3, &node{parent: &p})
	refused(t, tree.checkParentHashes(), ErrParentHash)
}

func TestKeysOfAnotherLengthAreRefusedAtJoin(t *testing.T) {
	m := newWorld(t, X25519).newMember("m")
	l := m.keyPackage().KeyPackage.Leaf
	l.EncryptionKey = []byte{1}
	check(t, l.sign(m.key, nil, 0))
	tree := &tree{suite: X25519.algorithms(), nodes: []*node{{leaf: l}}}
	refused(t, tree.validate(nil, nil, &anything), ErrKey)

	tree = crowd(t, X25519, 2).members[0].group.epoch.tree.clone()
	check(t, tree.checkParentKeys())
	tree.nodes[1] = &node{parent: &parentNode{encryptionKey: []byte{1}}}
	refused(t, tree.checkParentKeys(), ErrKey)
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
