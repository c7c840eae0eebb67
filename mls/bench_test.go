package mls

import (
	"fmt"
	"sync"
	"testing"
)

// The groups of the benchmarks are made once for each size. Their trees are fully
// populated: each member is taken to have committed since it joined.
var benchGroups = map[string]*benchGroup{}

type benchGroup struct {
	world   *world
	left    *Group // member 0
	right   *Group // the last member
	welcome []byte
	joiner  *KeyPackageSecrets
	message []byte // commit of right
}

// sequential policy, and one that uses all cores.
func parallel(n int, f func(int)) {
	var wg sync.WaitGroup
	const workers = 2
	for k := range workers {
		wg.Go(func() {
			for i := k; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}

// populated makes a group of n whose tree has a key in every node, and two of its
// members. The others' commits are made by hand on one tree, because n members
// that follow n commits would take minutes.
func populated(b *testing.B, suite Suite, n int) *benchGroup {
	name := fmt.Sprint(suite, n)
	if g := benchGroups[name]; g != nil {
		return g
	}
	w := newWorld(b, suite)
	w.found("m0")
	first := w.members[0]
	secrets := make([]*KeyPackageSecrets, n)
	signers := make([]*member, n)
	var o Commit
	for i := 1; i < n-1; i++ {
		signers[i] = w.newMember(fmt.Sprint("m", i))
		secrets[i] = signers[i].keyPackage()
		o.Add = append(o.Add, secrets[i].KeyPackage)
	}
	g := first.group
	if n > 2 {
		staged := must[*Staged](b)(g.Commit(o, w.now))
		check(b, g.Merge(staged))
	}
	t := g.epoch.tree.clone()
	for i := n - 2; i > 0; i-- {
		must[*ownPath](b)(t.createPath(LeafIndex(i), t.leaf(LeafIndex(i)).renewed(), secrets[i].key, g.ID()))
	}
	t.treeHash()
	g.epoch.tree = t
	check(b, t.checkParentHashes())

	last := w.newMember("last")
	secrets[n-1] = last.keyPackage()
	staged := must[*Staged](b)(g.Commit(Commit{Add: []*KeyPackage{secrets[n-1].KeyPackage}}, w.now))
	check(b, g.Merge(staged))
	right := must[*Group](b)(Join(staged.Welcome, nil, secrets[n-1], w.policy()))
	staged = must[*Staged](b)(right.Commit(Commit{}, w.now))
	check(b, g.Merge(must[*Received](b)(g.Receive(staged.Message, w.now)).Commit))
	check(b, right.Merge(staged))

	joiner := w.newMember("joiner").keyPackage()
	add := must[*Staged](b)(g.Commit(Commit{Add: []*KeyPackage{joiner.KeyPackage}}, w.now))
	out := &benchGroup{world: w, left: g, right: right, welcome: add.Welcome, joiner: joiner,
		message: must[*Staged](b)(right.Commit(Commit{}, w.now)).Message}
	benchGroups[name] = out
	return out
}

func eachSize(b *testing.B, f func(b *testing.B, g *benchGroup)) {
	for _, suite := range []Suite{X25519, XWing} {
		for _, n := range []int{2, 10, 100, 500, 1000} {
			b.Run(fmt.Sprintf("%v/%d", suite, n), func(b *testing.B) {
				g := populated(b, suite, n)
				b.ReportAllocs()
				b.ResetTimer()
				f(b, g)
			})
		}
	}
}

// BenchmarkFloor times the primitives, without which nothing here can do.
func BenchmarkFloor(b *testing.B) {
	key := must[*SigningKey](b)(X25519.NewSigningKey())
	content := make([]byte, 300)
	signature := must[[]byte](b)(key.sign(content))
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			_, _ = key.sign(content)
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			key.suite.verify(key.public, content, signature)
		}
	})
	for _, suite := range []Suite{X25519, XWing} {
		s := suite.algorithms()
		private, err := s.kem.GenerateKey()
		check(b, err)
		b.Run("seal/"+suite.String(), func(b *testing.B) {
			for b.Loop() {
				must[sealed](b)(s.encryptWithLabel(private.PublicKey().Bytes(), "x", nil, content[:32]))
			}
		})
		b.Run("derive/"+suite.String(), func(b *testing.B) {
			for b.Loop() {
				_, _ = s.kem.DeriveKeyPair(content[:32])
			}
		})
	}
}

func BenchmarkJoin(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		policy := g.world.policy()
		for b.Loop() {
			must[*Group](b)(Join(g.welcome, nil, g.joiner, policy))
		}
		b.ReportMetric(float64(len(g.welcome)), "welcome-bytes")
	})
}

// BenchmarkJoinTwoCores lets Policy.Parallel check signatures on two cores.
func BenchmarkJoinTwoCores(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		policy := g.world.policy()
		policy.Parallel = parallel
		for b.Loop() {
			must[*Group](b)(Join(g.welcome, nil, g.joiner, policy))
		}
	})
}

func BenchmarkReceiveCommit(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		for b.Loop() {
			must[*Received](b)(g.left.Receive(g.message, g.world.now))
		}
		b.ReportMetric(float64(len(g.message)), "commit-bytes")
	})
}

func BenchmarkObserveCommit(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		o := must[*Observer](b)(Observe(must[[]byte](b)(g.left.GroupInfo(true)), nil, g.world.policy()))
		b.ResetTimer()
		for b.Loop() {
			must[*Observed](b)(o.Commit(g.message, g.world.now))
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		for b.Loop() {
			must[*Staged](b)(g.left.Commit(Commit{}, g.world.now))
		}
	})
}

// BenchmarkCommitAdd adds one member and makes its Welcome with the tree.
func BenchmarkCommitAdd(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		o := Commit{Add: []*KeyPackage{g.joiner.KeyPackage}}
		for b.Loop() {
			must[*Staged](b)(g.left.Commit(o, g.world.now))
		}
	})
}

// BenchmarkSend includes the records that have to be stored.
func BenchmarkSend(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		data := make([]byte, 1024)
		for b.Loop() {
			must[[]byte](b)(g.left.Send(data, Envelope{}))
			g.left.Changes()
			g.left.Saved()
		}
	})
}

// skipTo brings the reader's ratchet to where the writer's stands.
func skipTo(b *testing.B, g *benchGroup) {
	if at := g.left.ratchets.clone().ratchets[g.left.Self()]; at != nil {
		g.right.ratchets.ratchets[g.left.Self()] = at
	}
}

// BenchmarkReceive includes the records that have to be stored.
func BenchmarkReceive(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		data := make([]byte, 1024)
		skipTo(b, g)
		var messages [][]byte
		for b.Loop() {
			if len(messages) == 0 {
				b.StopTimer()
				for range 200 {
					messages = append(messages, must[[]byte](b)(g.left.Send(data, Envelope{})))
				}
				b.StartTimer()
			}
			must[*Received](b)(g.right.Receive(messages[0], g.world.now))
			messages = messages[1:]
			g.right.Changes()
			g.right.Saved()
		}
	})
}

// BenchmarkStore is what an epoch costs to store and to read back.
func BenchmarkStore(b *testing.B) {
	eachSize(b, func(b *testing.B, g *benchGroup) {
		for b.Loop() {
			must[*Group](b)(Load(g.left.Records(), g.left.policy))
		}
	})
}
