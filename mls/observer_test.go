package mls

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
)

// observer observes the member's own epoch under its own policy.
func (m *member) observer() *Observer {
	return &Observer{policy: m.group.policy, epoch: m.group.epoch.publicEpoch}
}

// observe starts an observer as one would who has no secret.
func (w *world) observe() *Observer {
	w.t.Helper()
	return must[*Observer](w.t)(Observe(must[[]byte](w.t)(w.members[0].group.GroupInfo(true)), nil, w.policy()))
}

// watch lets an observer follow a commit that all members have followed, by way of
// its stored form.
func (w *world) watch(o *Observer, message []byte) (*Observer, *Observed) {
	w.t.Helper()
	state, tree := o.State(), o.Tree()
	seen := must[*Observed](w.t)(o.Commit(message, w.now))
	equal2(w.t, "state of an observer after it judged", o.State(), state)
	equal2(w.t, "tree of an observer after it judged", o.Tree(), tree)
	next := seen.Next
	for _, m := range w.members {
		equal2(w.t, m.name+": tree", next.Tree(), m.group.Tree())
		if !next.Matches(m.group) || o.Matches(m.group) {
			w.t.Fatalf("%s: epoch %d: matches %v, and the epoch before %v", m.name, m.group.Epoch(), next.Matches(m.group), o.Matches(m.group))
		}
	}
	info := must[[]byte](w.t)(w.members[0].group.GroupInfo(false))
	if !next.MatchesInfo(info) || o.MatchesInfo(info) {
		w.t.Fatal("the group info of an epoch does not match it alone")
	}
	late := must[*Observer](w.t)(Observe(info, next.Tree(), w.policy()))
	equal2(w.t, "state of one who began later", late.State(), next.State())
	for _, trusted := range []bool{true, false} {
		again := must[*Observer](w.t)(ParseObserver(next.State(), next.Tree(), w.policy(), trusted))
		equal2(w.t, "state after parsing", again.State(), next.State())
		equal2(w.t, "tree after parsing", again.Tree(), next.Tree())
		next = again
	}
	return next, seen
}

func TestObserverFollowsRandomHistories(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t, X25519)
			w.found("founder")
			o := w.observe()
			for step := range 30 {
				by := w.members[random.IntN(len(w.members))]
				if random.IntN(6) == 0 {
					o = w.externalStep(o, by, random.IntN(2) == 0, step)
					continue
				}
				var c Commit
				var joiners []*member
				for range random.IntN(3) {
					joiners = append(joiners, w.newMember(fmt.Sprint("member", step, len(joiners))))
				}
				for range random.IntN(3) {
					i := w.members[random.IntN(len(w.members))].group.Self()
					if i != by.group.Self() && !slices.Contains(c.Remove, i) {
						c.Remove = append(c.Remove, i)
					}
				}
				c.SkipPath, c.AuthenticatedData = random.IntN(2) == 0, []byte{byte(step)}
				staged := w.commit(by, c, joiners...)
				next, seen := w.watch(o, staged.Message)
				if !next.MatchesStaged(staged) || o.MatchesStaged(staged) {
					t.Fatalf("step %d: the staged commit does not match its own epoch alone", step)
				}
				got := Staged{Committer: seen.Committer, External: seen.External, Added: seen.Added, Removed: seen.Removed, AuthenticatedData: seen.AuthenticatedData}
				want := Staged{Committer: staged.Committer, Added: staged.Added, Removed: staged.Removed, AuthenticatedData: staged.AuthenticatedData}
				if !reflect.DeepEqual(got, want) || len(seen.Proposals) != len(joiners)+len(c.Remove) {
					t.Fatalf("step %d: observed %+v, staged %+v", step, got, want)
				}
				equal(t, "leaf", seen.Leaf.encoded, staged.Leaf.encoded)
				o = next
			}
		})
	}
}

// externalStep lets a stranger join from outside, or a member come back.
func (w *world) externalStep(o *Observer, who *member, back bool, step int) *Observer {
	w.t.Helper()
	j, join := w.newMember(fmt.Sprint("external", step)), ExternalJoin{}
	if back && len(w.members) > 1 {
		i := who.group.Self()
		j.name, join.Replace = who.name, &i
		w.members = slices.DeleteFunc(w.members, func(m *member) bool { return m == who }) // its state is lost
	}
	next, seen := w.watch(o, w.externalJoin(j, join))
	if !seen.External || !seen.HasPath || seen.Committer != j.group.Self() || (join.Replace != nil) != (len(seen.Removed) == 1) {
		w.t.Fatalf("step %d: external commit observed as %+v", step, seen)
	}
	equal2(w.t, "external leaf", seen.Leaf.encoded, next.Leaf(seen.Committer).encoded)
	return next
}

func TestObserverFollowsEverySuite(t *testing.T) {
	eachSuite(t, func(t *testing.T, s Suite) {
		w := crowd(t, s, 3)
		o := w.observe()
		if o.Suite() != s || o.Epoch() != w.members[0].group.Epoch() || !bytes.Equal(o.ID(), w.members[0].group.ID()) {
			t.Fatalf("observer is of suite %v, epoch %d, group %q", o.Suite(), o.Epoch(), o.ID())
		}
		o, _ = w.watch(o, w.commit(w.members[2], Commit{}, w.newMember("new")).Message)
		o = w.externalStep(o, w.members[1], true, 0)
		o, _ = w.watch(o, w.commit(w.members[0], Commit{Extensions: []Extension{RequiredCapabilities{}.Extension()}}).Message)
		n := 0
		o.Members(func(i LeafIndex, l *LeafNode) bool {
			n++
			return l == o.Leaf(i)
		})
		if n != 4 || len(o.Context().Extensions) != 1 {
			t.Fatalf("%d members, extensions %v", n, o.Context().Extensions)
		}
	})
}

// One who is handed a State can be lied to, but only with a tree that its members
// could have made.
func TestObserverVerifiesWhatItIsToldFromOutside(t *testing.T) {
	w := crowd(t, X25519, 4)
	o := w.observe()
	state := func(e publicEpoch) []byte { return (&Observer{epoch: e}).State() }
	changed := func(change func(t *tree)) publicEpoch {
		e := o.epoch
		e.tree = e.tree.clone()
		change(e.tree)
		e.context.TreeHash = e.tree.treeHash()
		return newPublicEpoch(e.context, e.tree, e.confirmationTag)
	}
	for name, c := range map[string]struct {
		epoch publicEpoch
		want  error
	}{
		"nothing changed": {changed(func(*tree) {}), nil},
		"leaf exchanged":  {changed(func(t *tree) { t.set(2, &node{leaf: t.leaf(3)}) }), ErrParentHash},
		"leaf signature": {changed(func(tree *tree) {
			b := bytes.Clone(tree.leaf(3).encoded)
			b[len(b)-1] ^= 1
			tree.update(3, must[*LeafNode](t)(decodeAll(b, decodeLeafNode)))
		}), ErrSignature},
		"parent hash": {changed(func(t *tree) {
			t.set(1, &node{parent: &parentNode{encryptionKey: t.nodes[1].encryptionKey(), parentHash: make([]byte, 32)}})
		}), ErrParentHash},
	} {
		t.Run(name, func(t *testing.T) {
			s, tree := state(c.epoch), (&Observer{epoch: c.epoch}).Tree()
			must[*Observer](t)(ParseObserver(s, tree, w.policy(), true))
			_, err := ParseObserver(s, tree, w.policy(), false)
			refused(t, err, c.want)
		})
	}
	w.banned = "m3"
	_, err := ParseObserver(o.State(), o.Tree(), w.policy(), false)
	refused(t, err, ErrCredential)
	_, err = Observe(must[[]byte](t)(w.members[0].group.GroupInfo(true)), nil, w.policy())
	refused(t, err, ErrCredential)
	w.banned = ""
	for _, trusted := range []bool{true, false} {
		s, tree := o.State(), o.Tree()
		for i := range s {
			if _, err := ParseObserver(s[:i], tree, w.policy(), trusted); err == nil {
				t.Fatalf("the first %d of %d bytes of a state are read", i, len(s))
			}
		}
		for i := range tree {
			if _, err := ParseObserver(s, slices.Concat(tree[:i], []byte{tree[i] ^ 1}, tree[i+1:]), w.policy(), trusted); err == nil {
				t.Fatalf("a changed byte at %d of the tree goes unnoticed", i)
			}
		}
		for want, bad := range map[error][]byte{
			ErrUnsupported:   slices.Concat([]byte{observerVersion + 1}, s[1:]),
			ErrConfirmation:  state(newPublicEpoch(o.epoch.context, o.epoch.tree, make([]byte, 31))),
			ErrTrailingBytes: slices.Concat(s, []byte{0}),
		} {
			_, err := ParseObserver(bad, tree, w.policy(), trusted)
			refused(t, err, want)
		}
	}
}

func TestObserverMatchesItsEpochAlone(t *testing.T) {
	w := crowd(t, X25519, 4)
	alice, bob, dave := w.members[0], w.members[1], w.members[3]
	o := w.observe()
	ours := must[*Staged](t)(alice.group.Commit(Commit{}, w.now))
	theirs := must[*Staged](t)(bob.group.Commit(Commit{Remove: []LeafIndex{dave.group.Self()}}, w.now))
	next := must[*Observed](t)(o.Commit(ours.Message, w.now)).Next
	other := must[*Observed](t)(o.Commit(theirs.Message, w.now)).Next
	if !next.MatchesStaged(ours) || next.MatchesStaged(theirs) || other.MatchesStaged(ours) || !other.MatchesStaged(theirs) {
		t.Fatal("of two commits of one epoch each matches its own successor alone")
	}
	stored := must[*Staged](t)(alice.group.ParseStaged(must[[]byte](t)(ours.MarshalBinary())))
	if !next.MatchesStaged(stored) {
		t.Fatal("a staged commit read from storage matches no more")
	}
	out := must[*Received](t)(dave.group.Receive(theirs.Message, w.now)).Commit
	if other.MatchesStaged(out) || !o.Matches(dave.group) {
		t.Fatal("a removed member has a next epoch")
	}
	check(t, dave.group.Merge(out))
	check(t, bob.group.Merge(theirs))
	ours.Discard()
	if o.Matches(dave.group) || other.Matches(dave.group) || !other.Matches(bob.group) || other.Matches(alice.group) ||
		other.MatchesStaged(theirs) || next.MatchesStaged(ours) {
		t.Fatal("matches what was removed, merged or discarded")
	}

	info := must[[]byte](t)(bob.group.GroupInfo(true))
	if !other.MatchesInfo(info) || o.MatchesInfo(info) || next.MatchesInfo(info) || other.MatchesInfo(nil) {
		t.Fatal("a group info matches another epoch than its own")
	}
	for name, lie := range map[string]func(*GroupInfo){
		"epoch":            func(g *GroupInfo) { g.Context.Epoch++ },
		"transcript":       func(g *GroupInfo) { g.Context.ConfirmedTranscriptHash = make([]byte, 32) },
		"tree":             func(g *GroupInfo) { g.Context.TreeHash = make([]byte, 32) },
		"extensions":       func(g *GroupInfo) { g.Context.Extensions = []Extension{{Type: 7}} },
		"confirmation tag": func(g *GroupInfo) { g.ConfirmationTag = make([]byte, 32) },
		"signer":           func(g *GroupInfo) { g.Signer = alice.group.Self() },
		"no signer":        func(g *GroupInfo) { g.Signer = 99 },
	} {
		g := must[*GroupInfo](t)(bob.group.epoch.groupInfo(false, true))
		lie(g)
		check(t, g.sign(bob.group.epoch.signer))
		if other.MatchesInfo(encodeMessage(WireGroupInfo, g.encode)) {
			t.Errorf("a group info that lies about its %s matches", name)
		}
	}
	lie := must[*GroupInfo](t)(bob.group.epoch.groupInfo(true, true))
	lie.ConfirmationTag = lie.ConfirmationTag[:8]
	check(t, lie.sign(bob.group.epoch.signer))
	_, err := Observe(encodeMessage(WireGroupInfo, lie.encode), nil, w.policy())
	refused(t, err, ErrConfirmation)
}

func TestGoroutinesMayShareAnObserver(t *testing.T) {
	w := crowd(t, X25519, 5)
	o := must[*Observer](t)(ParseObserver(w.observe().State(), w.observe().Tree(), w.policy(), true))
	message := must[*Staged](t)(w.members[0].group.Commit(Commit{Remove: []LeafIndex{2}}, w.now)).Message
	states := make([][]byte, 4)
	var wg sync.WaitGroup
	for i := range states {
		wg.Go(func() {
			if seen, err := o.Commit(message, w.now); err == nil {
				states[i] = append(seen.Next.State(), seen.Next.Tree()...)
			}
		})
	}
	wg.Wait()
	for _, s := range states {
		if s == nil || !bytes.Equal(s, states[0]) {
			t.Fatal("one observer judged differently at the same time")
		}
	}
}

// A joiner from outside stores its group before it sends the commit, and may be
// restarted until it learns whether it won.
func TestExternalJoinIsStoredBeforeItIsAccepted(t *testing.T) {
	w := crowd(t, X25519, 3)
	o, info := w.observe(), must[[]byte](t)(w.members[0].group.GroupInfo(true))
	winner, loser := w.newMember("winner"), w.newMember("loser")
	var commits [][]byte
	for _, m := range []*member{winner, loser} {
		g, commit, err := JoinExternal(info, nil, ExternalJoin{Profile: m.profile()}, w.policy())
		check(t, err)
		m.group = g
		m.save() // reads the group back from what Changes named
		must[[]byte](t)(m.group.Send([]byte("written while waiting"), Envelope{}))
		commits = append(commits, commit)
	}
	for _, m := range w.members {
		m.follow(commits[0])
		m.refuses(commits[1], ErrWrongEpoch)
	}
	next := must[*Observed](t)(o.Commit(commits[0], w.now)).Next
	if !next.Matches(winner.group) || next.Matches(loser.group) || !next.Matches(w.members[0].group) {
		t.Fatal("the winner alone is in the epoch that won")
	}
	_, err := winner.group.Receive(commits[0], w.now)
	refused(t, err, ErrWrongEpoch) // it is past its own commit since it made it
	w.members = append(w.members, winner)
	w.agree()
	w.talk()
	w.commit(winner, Commit{})
}
