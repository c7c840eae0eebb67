package mls

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// eachSuite runs a test under every suite of the package.
func eachSuite(t *testing.T, f func(t *testing.T, s Suite)) {
	for _, s := range Suites() {
		t.Run(s.String(), func(t *testing.T) { f(t, s) })
	}
}

// refused fails unless err is want.
func refused(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func TestMembersAgreeAfterEveryCommit(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		w := newWorld(t, s)
		w.psks["shared"] = []byte("a pre-shared key")
		alice := w.found("alice")
		bob, carol, dave, erin := w.newMember("bob"), w.newMember("carol"), w.newMember("dave"), w.newMember("erin")
		w.commit(alice, Commit{}, bob)
		w.talk()
		w.commit(bob, Commit{OmitTree: true}, carol, dave)
		w.commit(carol, Commit{})
		w.commit(dave, Commit{SkipPath: true}, erin)
		w.commit(erin, Commit{Envelope: Envelope{Private: true, PadTo: 64}})
		w.talk()
		w.commit(carol, Commit{Remove: []LeafIndex{alice.group.Self(), dave.group.Self()}})
		if len(w.members) != 3 || !alice.group.Expelled() {
			t.Fatalf("%d members are left, alice expelled: %v", len(w.members), alice.group.Expelled())
		}
		w.commit(bob, Commit{PSKs: []PSKID{{Type: PSKExternal, ID: []byte("shared")}}})
		w.commit(bob, Commit{PSKs: []PSKID{{Type: PSKResumption, Usage: UsageApplication, GroupID: bob.group.ID(), Epoch: bob.group.Epoch()}}})
		w.commit(erin, Commit{Extensions: []Extension{RequiredCapabilities{Credentials: []CredentialType{CredentialBasic}}.Extension()}})
		w.externalJoin(w.newMember("frank"), ExternalJoin{PSKs: []PSKID{{Type: PSKExternal, ID: []byte("shared")}}})
		lost := bob.group.Self()
		bob.key = must[*SigningKey](t)(s.NewSigningKey())
		again := &member{w: w, name: "bob", key: bob.key}
		w.externalJoin(again, ExternalJoin{Replace: &lost, AuthenticatedData: []byte("voucher")})
		w.talk()
		a := must[[]byte](t)(again.group.Export("label", []byte("context"), 48))
		b := must[[]byte](t)(erin.group.Export("label", []byte("context"), 48))
		equal(t, "exported secret", a, b)
	})
}

func TestCommitterMayChangeItsLeaf(t *testing.T) {
	w := crowd(t, X25519, 4)
	m := w.members[2]
	m.key = must[*SigningKey](t)(w.suite.NewSigningKey())
	p := m.profile()
	p.Extensions = []Extension{{Type: 0xF001, Data: []byte("colour")}}
	w.commit(m, Commit{Profile: &p})
	leaf := w.members[0].group.Leaf(m.group.Self())
	equal(t, "signature key", leaf.SignatureKey, m.key.Public())
	if len(leaf.Extensions) != 1 || !slices.Contains(leaf.Capabilities.Extensions, 0xF001) {
		t.Fatalf("leaf extensions %v, capabilities %v", leaf.Extensions, leaf.Capabilities.Extensions)
	}
	w.commit(m, Commit{})
	w.talk()
}

// Random commits of random members reach trees with blanks, unmerged leaves and
// every width; agree validates each of them as a joiner would.
func TestRandomHistoriesKeepTheTreeValid(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t, X25519)
			w.found("founder")
			for step := range 30 {
				by := w.members[random.IntN(len(w.members))]
				var o Commit
				var joiners []*member
				for range random.IntN(3) {
					joiners = append(joiners, w.newMember(fmt.Sprint("member", step, len(joiners))))
				}
				for range random.IntN(3) {
					i := w.members[random.IntN(len(w.members))].group.Self()
					if i != by.group.Self() && !slices.Contains(o.Remove, i) {
						o.Remove = append(o.Remove, i)
					}
				}
				o.SkipPath = random.IntN(2) == 0
				o.Private = random.IntN(4) == 0
				switch random.IntN(8) {
				case 0:
					w.externalJoin(w.newMember(fmt.Sprint("external", step)), ExternalJoin{})
				case 1:
					w.update(w.members[random.IntN(len(w.members))], by)
				default:
					w.commit(by, o, joiners...)
				}
			}
			w.talk()
		})
	}
}

// update lets one member propose an update that another commits.
func (w *world) update(proposer, committer *member) {
	w.t.Helper()
	if proposer == committer {
		return
	}
	message := must[[]byte](w.t)(proposer.group.ProposeUpdate(Envelope{}))
	w.deliver(proposer, message)
	w.commit(committer, Commit{References: committer.group.Pending()})
}

// deliver gives a proposal to everybody else.
func (w *world) deliver(from *member, message []byte) {
	w.t.Helper()
	if from != nil {
		from.save()
	}
	for _, m := range w.members {
		if m != from {
			if r := must[*Received](w.t)(m.group.Receive(message, w.now)); r.Kind != ContentProposal || r.Proposal == nil {
				w.t.Fatalf("kind %d", r.Kind)
			}
			m.save()
		}
	}
}

func TestProposalsByReference(t *testing.T) {
	w := crowd(t, X25519, 5)
	joiner := w.newMember("late")
	secrets := joiner.keyPackage()
	for i, p := range []Proposal{
		{Type: ProposalAdd, KeyPackage: secrets.KeyPackage},
		{Type: ProposalRemove, Removed: w.members[4].group.Self()},
		{Type: ProposalExtensions, Extensions: []Extension{RequiredCapabilities{}.Extension()}},
	} {
		from := w.members[i]
		w.deliver(from, must[[]byte](t)(from.group.Propose(p, Envelope{Private: i == 0, AuthenticatedData: []byte{byte(i)}})))
	}
	w.deliver(w.members[1], must[[]byte](t)(w.members[1].group.ProposeUpdate(Envelope{Private: true})))
	if _, err := w.members[3].group.Send([]byte("too early"), Envelope{}); !errors.Is(err, ErrPending) {
		t.Fatalf("application data was sent past proposals: %v", err)
	}
	before := w.members[3].group.Leaf(w.members[1].group.Self()).EncryptionKey
	staged := w.commit(w.members[3], Commit{References: w.members[3].group.Pending()})
	joiner.group = must[*Group](t)(Join(staged.Welcome, nil, secrets, w.policy()))
	joiner.save()
	w.members = append(w.members, joiner)
	w.agree()
	if bytes.Equal(before, w.members[3].group.Leaf(w.members[1].group.Self()).EncryptionKey) {
		t.Fatal("the update did not change the leaf key")
	}
	w.talk()
	w.commit(w.members[1], Commit{})
}

func TestProposalsFromOutside(t *testing.T) {
	w := newWorld(t, X25519)
	service := must[*SigningKey](t)(w.suite.NewSigningKey())
	alice := w.found("alice", ExternalSendersExtension(ExternalSender{SignatureKey: service.Public(), Credential: Basic([]byte("service"))}))
	w.commit(alice, Commit{}, w.newMember("bob"), w.newMember("carol"))
	frame := func(kind senderType, p Proposal, key *SigningKey) []byte {
		a := &authenticated{wire: WirePublic, content: framedContent{groupID: alice.group.ID(), epoch: alice.group.Epoch(),
			sender: sender{kind: kind}, kind: ContentProposal, proposal: &p}}
		check(t, a.sign(key, alice.group.epoch.encoded))
		return a.protectPublic(alice.group.epoch.suite, nil, nil)
	}
	w.deliver(nil, frame(senderExternal, Proposal{Type: ProposalRemove, Removed: 1}, service))
	w.commit(alice, Commit{References: alice.group.Pending()})
	if len(w.members) != 2 {
		t.Fatalf("%d members are left", len(w.members))
	}
	dave := w.newMember("dave")
	secrets := dave.keyPackage()
	w.deliver(nil, frame(senderNewMemberProposal, Proposal{Type: ProposalAdd, KeyPackage: secrets.KeyPackage}, dave.key))
	staged := w.commit(alice, Commit{References: alice.group.Pending()})
	dave.group = must[*Group](t)(Join(staged.Welcome, nil, secrets, w.policy()))
	equal(t, "authenticator", dave.group.Authenticator(), alice.group.Authenticator())

	before := alice.state()
	_, err := alice.group.Receive(frame(senderExternal, Proposal{Type: ProposalRemove, Removed: 1}, dave.key), w.now)
	refused(t, err, ErrSignature)
	_, err = alice.group.Receive(frame(senderNewMemberProposal, Proposal{Type: ProposalRemove, Removed: 1}, dave.key), w.now)
	refused(t, err, ErrMalformed)
	if alice.state() != before {
		t.Fatal("a refused proposal changed the state")
	}
}

func TestDiscardedCommitLeavesNothing(t *testing.T) {
	w := crowd(t, X25519, 3)
	m := w.members[0]
	before := m.state()
	lost := must[*Staged](t)(m.group.Commit(Commit{}, w.now))
	won := must[*Staged](t)(w.members[1].group.Commit(Commit{}, w.now))
	lost.Discard()
	if m.state() != before {
		t.Fatal("a discarded commit changed the state")
	}
	refused(t, m.group.Merge(lost), ErrStaged)
	m.follow(won.Message)
	w.members[2].follow(won.Message)
	check(t, w.members[1].group.Merge(won))
	w.members[1].save()
	w.agree()
	w.talk()
}

func TestStagedCommitOfAnotherEpochIsNotMerged(t *testing.T) {
	w := crowd(t, X25519, 3)
	stale := must[*Staged](t)(w.members[0].group.Commit(Commit{}, w.now))
	stored := must[[]byte](t)(stale.MarshalBinary())
	w.commit(w.members[1], Commit{})
	refused(t, w.members[0].group.Merge(stale), ErrStaged)
	_, err := w.members[0].group.ParseStaged(stored)
	refused(t, err, ErrStaged)
	w.agree()
}

func TestEncryptedCommitSpendsItsKeyEvenIfDiscarded(t *testing.T) {
	w := crowd(t, X25519, 2)
	seen := map[string]bool{}
	for range 3 {
		staged := must[*Staged](t)(w.members[0].group.Commit(Commit{Envelope: Envelope{Private: true}}, w.now))
		m := must[*privateMessage](t)(decodeMessage(staged.Message, WirePrivate, decodePrivateMessage))
		from, err := m.openSender(w.members[1].group.epoch.suite, w.members[1].group.epoch.secrets.senderData)
		check(t, err)
		if seen[fmt.Sprint(from.generation)] {
			t.Fatalf("generation %d encrypts two commits", from.generation)
		}
		seen[fmt.Sprint(from.generation)] = true
		staged.Discard()
	}
}

func TestLateMessagesOpenInAFrozenEpoch(t *testing.T) {
	w := crowd(t, X25519, 3)
	reader, writer := w.members[0], w.members[1]
	late := must[[]byte](t)(writer.group.Send([]byte("late"), Envelope{}))
	second := must[[]byte](t)(writer.group.Send([]byte("later"), Envelope{}))
	past := reader.group.Freeze()
	w.commit(w.members[2], Commit{})
	_, err := reader.group.Receive(late, w.now)
	refused(t, err, ErrWrongEpoch)
	past = must[*Group](t)(Load(past.Records(), w.policy()))
	r := must[*Received](t)(past.Receive(late, w.now))
	equal(t, "data", r.Data, []byte("late"))
	_, err = past.Receive(late, w.now)
	refused(t, err, ErrReplayed)
	equal(t, "data", must[*Received](t)(past.Receive(second, w.now)).Data, []byte("later"))
	_, err = past.Send([]byte("x"), Envelope{})
	refused(t, err, ErrClosed)
	_, err = past.Commit(Commit{}, w.now)
	refused(t, err, ErrClosed)
}

// Each view of an epoch has its own keys and its own changes to store.
func TestFrozenEpochStandsAlone(t *testing.T) {
	w := crowd(t, X25519, 3)
	reader, writer := w.members[0], w.members[1]
	first := must[[]byte](t)(writer.group.Send([]byte("first"), Envelope{}))
	second := must[[]byte](t)(writer.group.Send([]byte("second"), Envelope{}))
	must[*Received](t)(reader.group.Receive(first, w.now))
	past := reader.group.Freeze()
	past.Saved()
	reader.save() // compares what Changes names with a snapshot
	for _, g := range []*Group{past, reader.group} {
		equal(t, "data", must[*Received](t)(g.Receive(second, w.now)).Data, []byte("second"))
	}
}

func TestSpentSecretsAreGone(t *testing.T) {
	w := crowd(t, X25519, 4)
	w.talk()
	for _, m := range w.members {
		if n := len(m.group.ratchets.nodes); n != 0 {
			t.Errorf("%s keeps %d secrets from which spent keys follow", m.name, n)
		}
	}
	r := w.members[0].group.ratchets.ratchets[1]
	old := r[applicationRatchet].secret
	must[*Received](t)(w.members[0].group.Receive(must[[]byte](t)(w.members[1].group.Send(nil, Envelope{})), w.now))
	if !bytes.Equal(old, make([]byte, len(old))) {
		t.Error("the secret of a spent key is still in memory")
	}
}

// A tree that was never hashed shares no stale node with its copy.
func TestCloneDoesNotChangeTheOriginal(t *testing.T) {
	w := newWorld(t, X25519)
	w.commit(w.found("founder"), Commit{SkipPath: true}, w.newMember("a"), w.newMember("b"), w.newMember("c"))
	g := w.members[0].group
	fresh := must[*tree](t)(decodeTree(g.epoch.suite, g.Tree()))
	copied := fresh.clone()
	copied.drop(0)
	copied.treeHash()
	equal(t, "tree hash", fresh.treeHash(), g.Context().TreeHash)
}

func TestReInitClosesTheGroup(t *testing.T) {
	w := crowd(t, X25519, 2)
	w.commit(w.members[0], Commit{ReInit: &ReInit{GroupID: []byte("next"), Version: MLS10, Suite: XWing}})
	for _, m := range w.members {
		if r := m.group.ReInit(); r == nil || r.Suite != XWing {
			t.Fatalf("reinit is %v", r)
		}
		_, err := m.group.Send([]byte("x"), Envelope{})
		refused(t, err, ErrClosed)
		_, err = m.group.Commit(Commit{}, w.now)
		refused(t, err, ErrClosed)
	}
}

func TestExpelledMemberCanDoNothing(t *testing.T) {
	w := crowd(t, X25519, 3)
	out := w.members[2]
	w.commit(w.members[0], Commit{Remove: []LeafIndex{out.group.Self()}})
	_, err := out.group.Send([]byte("x"), Envelope{})
	refused(t, err, ErrRemoved)
	message := must[[]byte](t)(w.members[0].group.Send([]byte("secret"), Envelope{}))
	_, err = out.group.Receive(message, w.now)
	refused(t, err, ErrRemoved)
}

func TestLifetimeIsJudgedByTheTimeGiven(t *testing.T) {
	w := crowd(t, X25519, 2)
	joiner := w.newMember("joiner").keyPackage().KeyPackage
	end := time.Unix(int64(joiner.Leaf.Lifetime.NotAfter), 0)
	for _, c := range []struct {
		at   time.Time
		want error
	}{{w.now, nil}, {end, nil}, {end.Add(time.Second), ErrLifetime}, {w.now.Add(-2 * time.Hour), ErrLifetime}} {
		refused(t, joiner.Check(w.policy(), c.at), c.want)
		_, err := w.members[0].group.Commit(Commit{Add: []*KeyPackage{joiner}}, c.at)
		refused(t, err, c.want)
	}
	staged := must[*Staged](t)(w.members[0].group.Commit(Commit{Add: []*KeyPackage{joiner}}, w.now))
	_, err := w.members[1].group.Receive(staged.Message, end.Add(time.Second))
	refused(t, err, ErrLifetime)
	must[*Received](t)(w.members[1].group.Receive(staged.Message, end))

	long := must[*KeyPackageSecrets](t)(NewKeyPackage(w.newMember("long").profile(), LifetimeOf(w.now, 92*24*time.Hour)))
	refused(t, long.KeyPackage.Check(w.policy(), w.now), ErrLifetime)
}

func TestRequiredCapabilitiesBindEveryLeaf(t *testing.T) {
	w := newWorld(t, X25519)
	need := RequiredCapabilities{Extensions: []ExtensionType{0xF00D}}.Extension()
	plain := w.newMember("plain")
	_, err := Create([]byte("g"), plain.keyPackage(), w.policy(), need)
	refused(t, err, ErrCapability)

	able := w.newMember("able")
	p := able.profile()
	p.ExtensionTypes = []ExtensionType{0xF00D}
	secrets := must[*KeyPackageSecrets](t)(NewKeyPackage(p, LifetimeOf(w.now, time.Hour)))
	able.group = must[*Group](t)(Create([]byte("g"), secrets, w.policy(), need, Extension{Type: 0xF00D}))
	_, err = able.group.Commit(Commit{Add: []*KeyPackage{plain.keyPackage().KeyPackage}}, w.now)
	refused(t, err, ErrCapability)
	_, err = able.group.Commit(Commit{Extensions: []Extension{RequiredCapabilities{Extensions: []ExtensionType{0xF00E}}.Extension()}}, w.now)
	refused(t, err, ErrCapability)
	_, err = able.group.Commit(Commit{Extensions: []Extension{{Type: 0xF00E}}}, w.now)
	refused(t, err, ErrCapability)
	info := must[[]byte](t)(able.group.GroupInfo(true))
	_, _, err = JoinExternal(info, nil, ExternalJoin{Profile: plain.profile()}, w.policy())
	refused(t, err, ErrCapability)
}

func TestGREASEIsSentAndIgnored(t *testing.T) {
	w := crowd(t, X25519, 2)
	isGrease := func(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff && v != 0xfafa }
	k := w.newMember("x").keyPackage().KeyPackage
	c := k.Leaf.Capabilities
	for name, last := range map[string]uint16{
		"suites":      uint16(c.Suites[len(c.Suites)-1]),
		"extensions":  uint16(c.Extensions[len(c.Extensions)-1]),
		"proposals":   uint16(c.Proposals[len(c.Proposals)-1]),
		"credentials": uint16(c.Credentials[len(c.Credentials)-1]),
		"key package": uint16(k.Extensions[len(k.Extensions)-1].Type),
	} {
		if !isGrease(last) {
			t.Errorf("%s: 0x%04X is no GREASE value", name, last)
		}
	}
	info := must[*GroupInfo](t)(ParseGroupInfo(must[[]byte](t)(w.members[0].group.GroupInfo(false))))
	if last := info.Extensions[len(info.Extensions)-1].Type; !isGrease(uint16(last)) {
		t.Errorf("group info: 0x%04X is no GREASE value", last)
	}
}

func TestStagedShowsTheGroupToCome(t *testing.T) {
	w := crowd(t, X25519, 3)
	list := []Extension{RequiredCapabilities{}.Extension()}
	staged := must[*Staged](t)(w.members[0].group.Commit(Commit{Extensions: list, Remove: []LeafIndex{2}}, w.now))
	r := must[*Received](t)(w.members[1].group.Receive(staged.Message, w.now)).Commit
	for _, s := range []*Staged{staged, r} {
		if s.Epoch() != w.members[0].group.Epoch()+1 || s.Context().Epoch != s.Epoch() || len(s.Context().Extensions) != 1 ||
			s.Committer != 0 || !slices.Equal(s.Removed, []LeafIndex{2}) || s.Expelled || len(s.Proposals) != 2 {
			t.Fatalf("staged: %+v", s)
		}
	}
	out := must[*Received](t)(w.members[2].group.Receive(staged.Message, w.now)).Commit
	if !out.Expelled || out.Context().GroupID != nil || out.Authenticator() != nil {
		t.Fatalf("staged by the removed member: %+v", out)
	}
}

func TestPaddingHidesTheLength(t *testing.T) {
	w := crowd(t, X25519, 2)
	sizes := map[int]bool{}
	for n := range 60 {
		message := must[[]byte](t)(w.members[0].group.Send(make([]byte, n), Envelope{PadTo: 256}))
		sizes[len(message)] = true
	}
	if len(sizes) != 1 {
		t.Fatalf("60 lengths give %d sizes", len(sizes))
	}
}

func TestMessagesOutOfOrder(t *testing.T) {
	w := crowd(t, X25519, 2)
	from, to := w.members[0], w.members[1]
	var messages [][]byte
	for i := range MaxSkipped + 2 {
		messages = append(messages, must[[]byte](t)(from.group.Send([]byte{byte(i), byte(i >> 8)}, Envelope{})))
	}
	slices.Reverse(messages)
	for i, message := range messages[:MaxSkipped+1] {
		r := must[*Received](t)(to.group.Receive(message, w.now))
		n := len(messages) - 1 - i
		equal(t, "data", r.Data, []byte{byte(n), byte(n >> 8)})
		if i%50 == 0 {
			to.save()
		}
	}
	_, err := to.group.Receive(messages[MaxSkipped+1], w.now)
	refused(t, err, ErrReplayed) // its key was the oldest of one too many
}

func TestRecordsOfAMessageStaySmall(t *testing.T) {
	w := newWorld(t, X25519)
	alice := w.found("alice")
	var joiners []*member
	for i := range 63 {
		joiners = append(joiners, w.newMember(fmt.Sprint("m", i)))
	}
	w.commit(alice, Commit{}, joiners...)
	from, to := w.members[5], w.members[40]
	for i, limit := range []int{1024, 256} { // the first message walks down the secret tree
		message := must[[]byte](t)(from.group.Send([]byte("x"), Envelope{}))
		must[*Received](t)(to.group.Receive(message, w.now))
		for _, m := range []*member{from, to} {
			c := m.group.Changes()
			size := 0
			for _, r := range c.Put {
				size += len(r.Name) + len(r.Value)
			}
			if c.Reset || size > limit {
				t.Fatalf("message %d: reset %v, %d bytes to store", i, c.Reset, size)
			}
			m.save()
		}
	}
}

// Signature checks and seals may run side by side; the race detector watches.
func TestParallelHookGivesTheSameResult(t *testing.T) {
	w := crowd(t, X25519, 9)
	policy := w.policy()
	policy.Parallel = parallel
	g := must[*Group](t)(Load(w.members[0].group.Records(), policy))
	secrets := w.newMember("joiner").keyPackage()
	staged := must[*Staged](t)(g.Commit(Commit{Add: []*KeyPackage{secrets.KeyPackage}}, w.now))
	for _, m := range w.members[1:] {
		m.follow(staged.Message)
	}
	check(t, g.Merge(staged))
	joined := must[*Group](t)(Join(staged.Welcome, nil, secrets, policy))
	equal(t, "authenticator", joined.Authenticator(), w.members[1].group.Authenticator())

	broken, brokenSecrets, v := lyingWelcome(t, func(e *epoch) {
		l := *e.tree.leaf(1)
		l.encoded = bytes.Clone(l.encoded)
		l.encoded[len(l.encoded)-1] ^= 1
		e.tree.nodes[2] = &node{leaf: must[*LeafNode](t)(decodeAll(l.encoded, decodeLeafNode))}
		e.tree.nodes[1], e.tree.nodes[3], e.tree.nodes[7] = new(node), new(node), new(node)
		e.context.TreeHash = e.tree.treeHash()
	})
	policy = v.policy()
	policy.Parallel = parallel
	_, err := Join(broken, nil, brokenSecrets, policy)
	refused(t, err, ErrSignature)
}
