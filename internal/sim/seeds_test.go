package sim

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// seeds is how many worlds TestSeeds runs; DEMES_SEEDS overrides it, and
// DEMES_SEED runs a single one with its trace.
const seeds = 60

func TestSeeds(t *testing.T) {
	if one := os.Getenv("DEMES_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		w := chaos(t, seed, &strings.Builder{})
		t.Log("\n" + w.Trace.String())
		return
	}
	n := seeds
	if more := os.Getenv("DEMES_SEEDS"); more != "" {
		n, _ = strconv.Atoi(more)
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { chaos(t, seed, nil) })
	}
}

// chaos lets a group chat under faults drawn from the seed, then stops the
// faults and asks for everything to be settled everywhere within 30 s (L2).
func chaos(t *testing.T, seed uint64, trace *strings.Builder) *World {
	t.Helper()
	sizes := []int{2, 3, 3, 4, 5, 5, 6, 7}
	probe := New(seed, 0, Net{})
	r := probe.Rand
	n := sizes[r.IntN(len(sizes))]
	net := Net{DelayMin: 1, DelayMax: 1 + r.Int64N(80), Jitter: 1 + r.Int64N(20), Fsync: 1 + r.Int64N(12), LostWrite: 0.5}
	w := live(t, seed, n, net)
	w.Trace = trace
	secret := []byte("sixteen bytes !!")
	if err := w.Invite(0, secret); err != nil {
		t.Fatal(err)
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
	for step := range 40 + r.IntN(60) {
		w.misfortune(t, r.IntN(22), r.IntN(n))
		if step%15 == 5 && len(late) > 0 {
			w.JoinBy(late[0].index, r.IntN(n), secret)
			late = late[1:]
		}
		for range r.IntN(4) {
			node := w.Nodes[r.IntN(n)]
			if node.up && node.chat != nil {
				_ = node.Say(fmt.Sprint("step ", step))
			}
		}
		w.Run(r.Int64N(2_000))
	}
	w.Net.Loss, w.Net.Duplicate, w.Net.Reorder = 0, 0, 0
	w.Partition()
	for _, node := range w.Nodes {
		node.Resume()
		if err := node.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for range late { // who did not get its turn joins now
		w.JoinBy(late[0].index, 0, secret)
		late = late[1:]
	}
	whole := func() bool { return w.Settled() && w.entered() }
	if !w.Until(30_000, whole) || w.Final() != nil {
		if trace != nil {
			t.Log("\n" + trace.String())
		}
		t.Fatalf("seed %d, %d nodes: %v\n%s", seed, n, w.Err(), w.Describe())
	}
	return w
}

// misfortune is one fault, or its end.
func (w *World) misfortune(t *testing.T, what, who int) {
	n := w.Nodes[who]
	switch what {
	case 0, 1:
		n.Crash()
	case 2, 3, 4, 5:
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
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
		if n.up && who != 0 && w.leavers < len(w.Nodes)/3 {
			w.leavers++
			n.input(func() { _ = n.chat.Leave(n.clock()) })
		}
	}
}
