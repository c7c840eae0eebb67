package sim

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/mls"
)

// seeds is how many worlds TestSeeds runs; DEMES_SEEDS overrides it, and
// DEMES_SEED runs a single one with its trace.
const seeds = 100

func TestSeeds(t *testing.T) {
	if one := os.Getenv("DEMES_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		trace := &strings.Builder{}
		cryptotest.SetGlobalRandom(t, seed)
		err = chaos(seed, Net{}, trace, nil)
		t.Log("\n" + trace.String())
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	n := seeds
	if testing.Short() {
		n = seeds / 6
	}
	if more := os.Getenv("DEMES_SEEDS"); more != "" {
		n, _ = strconv.Atoi(more)
	}
	seen := map[string]int{}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			if err := chaos(seed, Net{}, nil, seen); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, what := range sometimes {
		t.Logf("%6d  %s", seen[what], what)
		if seen[what] == 0 && n >= seeds {
			t.Errorf("never reached: %s", what)
		}
	}
}

func TestOneSeedReproducesEverything(t *testing.T) {
	long(t)
	var traces [2]strings.Builder
	for i := range traces {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 5)
			if err := chaos(5, Net{}, &traces[i], nil); err != nil {
				t.Fatal(err)
			}
		})
	}
	if traces[0].String() != traces[1].String() {
		t.Fatal("the same seed gave two different traces")
	}
}

// TestPlantedBugsAreCaught proves that the checks can fail: each bug breaks the
// promise that it is named for within a few seeds.
func TestPlantedBugsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("many worlds with bugs take a while: run without -short")
	}
	for _, bug := range []struct {
		name   string
		net    Net
		breaks string // what the failure must speak of
	}{
		{"another order on some devices", Net{Planted: chat.Planted{Swap: true}}, "S1|S4|not settled"},
		{"a disk that syncs later", Net{Lazy: true}, "S1|S2|S6|S8|S9|S10|old|not settled"},
		{"frames leave before the commit is durable", Net{Hasty: true}, "S1|S2|S6|S8|S9|S10|old|does not open"},
		{"no look at what is consumed already", Net{Planted: chat.Planted{Twice: true}}, "S3"},
		{"the tail dropped at a restart", Net{Planted: chat.Planted{Forget: true}}, "not settled|old"},
		{"a restart at an old state", Net{Planted: chat.Planted{Rewind: true}}, "S8"},
		{"a state that depends on who folds it", Net{Planted: chat.Planted{Diverge: true}}, "S9"},
		{"keys of messages that stay", Net{Planted: chat.Planted{Keep: true}}, "C2"},
	} {
		t.Run(bug.name, func(t *testing.T) {
			for seed := range uint64(60) {
				cryptotest.SetGlobalRandom(t, seed)
				err := chaos(seed, bug.net, nil, nil)
				if err == nil {
					continue
				}
				if !regexp.MustCompile(bug.breaks).MatchString(err.Error()) {
					t.Fatalf("seed %d broke something else than %s: %v", seed, bug.breaks, err)
				}
				t.Logf("seed %d: %s", seed, strings.SplitN(err.Error(), "\n", 2)[0])
				return
			}
			t.Fatal("60 seeds did not catch it")
		})
	}
	// What takes a rare row of events, or a villain, a script plays.
	for _, bug := range []struct {
		name, breaks string
		play         func(t *testing.T) string
	}{
		{"keys that change before it is final", "B5", func(t *testing.T) string {
			return fmt.Sprint(twoCommits(t, 300, chat.Planted{Hasty: true}))
		}},
		{"an author who did not seal it", `"evil" took effect`, func(t *testing.T) string {
			_, v := keyBesieged(t, 0, chat.Planted{Credulous: true})
			return v.plays(keyAttack{do: accomplice})
		}},
	} {
		t.Run(bug.name, func(t *testing.T) {
			if got := bug.play(t); !strings.Contains(got, bug.breaks) {
				t.Errorf("not caught: %q", got)
			}
		})
	}
}

// chaos lets a group chat under faults drawn from the seed, then stops the
// faults and asks for everything to be settled everywhere within 30 s (L2). What
// it reaches is counted in seen.
func chaos(seed uint64, bugs Net, trace *strings.Builder, seen map[string]int) error {
	sizes := []int{2, 3, 3, 4, 5, 5, 6, 7}
	r := New(seed, 0, Net{}).Rand
	n := sizes[r.IntN(len(sizes))]
	net := bugs
	net.DelayMin, net.DelayMax, net.Jitter, net.Fsync, net.LostWrite = 1, 1+r.Int64N(80), 1+r.Int64N(20), 1+r.Int64N(12), 0.5
	if seed%10 == 9 {
		net.Suite = mls.XWing
	}
	w := New(seed, n, net)
	w.Trace = trace
	if err := w.GoLive(); err != nil {
		return err
	}
	secret := []byte("sixteen bytes !!")
	if err := w.Invite(0, secret); err != nil {
		return err
	}
	w.Run(r.Int64N(10_000))
	late := w.addLate(r.IntN(3))
	if r.IntN(2) == 0 {
		w.Net.Loss = 0.3 * r.Float64()
	}
	if r.IntN(3) == 0 {
		w.Net.Duplicate = 0.5 * r.Float64()
	}
	if r.IntN(3) == 0 {
		w.Net.Reorder = 0.3 * r.Float64()
	}
	rare, folds := w.drawRare(seen), map[*Node]*chat.Fold{}
	for step := range 40 + r.IntN(60) {
		if err := w.misfortune(r.IntN(22), r.IntN(n)); err != nil {
			return err
		}
		if err := rare.happen(w, step); err != nil {
			return err
		}
		rare.look(w, folds)
		if step%15 == 5 && len(late) > 0 {
			w.JoinBy(late[0].index, r.IntN(n), secret)
			late = late[1:]
			rare.mark("a late member")
		}
		for range r.IntN(4) {
			node := w.Nodes[r.IntN(n)]
			if node.up && node.chat != nil {
				_ = node.Say(fmt.Sprint("step ", step))
			}
		}
		w.Run(r.Int64N(2_000))
	}
	for range late { // who did not get its turn joins now
		w.JoinBy(late[0].index, 0, secret)
		late = late[1:]
	}
	w.watch, w.kept = nil, nil // no more crashes
	return w.recover()
}

// lost reports whether a member has not the keys of its log.
func (w *World) lost() bool {
	return slices.ContainsFunc(w.members(), func(n *Node) bool { return n.chat.View().Keys.State != demes.KeysGood })
}

// recover ends all faults and waits for the group to be whole again.
func (w *World) recover() error {
	w.Net.Loss, w.Net.Duplicate, w.Net.Reorder = 0, 0, 0
	w.Partition()
	for _, node := range w.Nodes {
		node.Resume()
		if err := node.Start(); err != nil {
			return err
		}
	}
	whole := func() bool { return w.Settled() && w.entered() }
	if !w.Until(30_000, whole) && w.Err() == nil && w.lost() {
		// Who lost its keys twice waits before it comes back again, by a log time that
		// may be of a clock that ran ahead.
		for _, node := range w.Nodes {
			node.skew = 0
		}
		w.skip(max(w.members()[0].chat.Fold().LogMs-w.now-epoch, 0))
		w.Until(chat.RejoinGap+2*chat.BackMost, whole)
	}
	if !whole() {
		if w.Err() != nil {
			return w.Err()
		}
		return fmt.Errorf("seed %d, %d nodes: not settled 30 s after the last fault\n%s", w.Seed, len(w.Nodes), w.Describe())
	}
	for _, n := range w.members() {
		for _, twice := range w.check.spent(n) {
			w.check.fail("%s", twice)
		}
	}
	return w.Final()
}

// misfortune is one fault, or its end.
func (w *World) misfortune(what, who int) error {
	n := w.Nodes[who]
	switch what {
	case 0, 1:
		n.Crash()
	case 2, 3, 4, 5:
		return n.Start()
	case 6:
		n.Pause()
	case 7, 8:
		n.Resume()
	case 9:
		w.Partition(who)
	case 10:
		w.Partition(who, (who+1)%len(w.Nodes))
	case 11, 12:
		w.Partition()
	case 13:
		if host := w.Host(); host != nil {
			host.Crash()
		}
	case 14:
		other := w.Nodes[(who+1)%len(w.Nodes)]
		if other != n {
			w.cut(n, other, true)
		}
	case 15:
		for _, node := range w.Nodes {
			node.Crash()
		}
	case 16, 17:
		if host := w.Host(); host != nil && n.up {

			host.input(func() { _ = host.chat.Handover(host.clock(), &n.ID) })
		}
	case 18:
		if n.up && n.chat != nil && who != 0 && w.leavers < len(w.Nodes)/3 && w.keysWithout(n) {
			w.leavers++
			n.input(func() { _ = n.chat.Leave(n.clock()) })
		}
	}
	return nil
}
