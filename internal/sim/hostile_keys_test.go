package sim

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// keyVillain is a villain that speaks MLS as well: it has its leaf's keys and the
// secrets of the epoch, and signs whatever it likes with them.
type keyVillain struct {
	*villain
	t       *testing.T
	secrets epochSecrets
	skip    func(job int) bool // path secrets that it does not seal; nil: none
}

// keyBesieged is a group at rest in which an ordinary member that is not the host
// turned bad, with its keys.
func keyBesieged(t *testing.T, seed uint64, planted chat.Planted) (*World, *keyVillain) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	w := live(t, 900+seed, 5, Net{DelayMin: 1, DelayMax: 20, Jitter: 2, Fsync: 4, Planted: planted})
	chatter(t, w, "in peace", 2)
	settleQuiet(t, w)
	for w.Nodes[3] == w.Host() {
		host := w.Host()
		host.input(func() { _ = host.chat.Handover(host.clock(), &w.Nodes[0].ID) })
		w.Run(2_000)
	}
	settleQuiet(t, w)
	v := &keyVillain{t: t}
	for _, value := range w.Nodes[3].disk.loadSecrets()["now"] {
		if value.Name == "epoch" {
			v.secrets = openEpoch(value.Data)
		}
	}
	v.villain = turnBad(w.Nodes[3])
	v.keys = v.copied()
	return w, v
}

// copied is another group with the villain's keys, whose path secrets it may leave
// out.
func (v *keyVillain) copied() *mls.Group {
	var records []mls.Record
	for _, value := range v.disk.loadSecrets()["now"] {
		records = append(records, mls.Record{Name: value.Name, Value: value.Data})
	}
	policy := anyLeaf
	policy.PSK = func(mls.PSKID) ([]byte, error) { return []byte("shared with nobody"), nil }
	policy.Parallel = func(n int, f func(int)) {
		for i := range n {
			if v.skip == nil || !v.skip(i) {
				f(i)
			}
		}
	}
	group, err := mls.Load(records, policy)
	if err != nil {
		v.t.Fatal(err)
	}
	return group
}

// commit writes an event with an MLS commit that do makes of the villain's group.
func (v *keyVillain) commit(say *wire.Commit, order mls.Commit, alter func(message []byte) []byte) *demes.Event {
	d := v.draft("")
	d.Kind, d.Content = demes.KindCommit, demes.Hash{}
	if say.Epoch == 0 {
		say.Epoch = v.fold.Epoch
	}
	e, err := wire.SealWith(v.key, d, func(context demes.Hash) ([]byte, error) {
		if say.Mls == nil {
			order.OmitTree, order.AuthenticatedData = true, context[:]
			staged, err := v.copied().Commit(order, time.UnixMilli(v.fold.LogMs))
			if err != nil {
				return nil, err
			}
			say.Mls, say.Welcome = staged.Message, staged.Welcome
			if alter != nil {
				say.Mls = alter(say.Mls)
			}
		}
		return wire.Marshal(say), nil
	})
	if err != nil {
		v.t.Fatal(err)
	}
	v.seq, v.prev = e.ID.Seq, e.Hash
	return e
}

// toAll offers events to all who run.
func (v *keyVillain) toAll(events ...*demes.Event) {
	for _, n := range v.world.Up() {
		for _, e := range events {
			v.offer(n, e)
		}
	}
}

// Lengths of what ends a public commit of a member: signature, confirmation tag and
// membership tag, each with its length.
const (
	signatureLen = 2 + 64
	tagLen       = 1 + 32
	authLen      = signatureLen + 2*tagLen
)

// signed is SignWithLabel of RFC 9420 §5.1.2 with the villain's leaf key.
func (v *keyVillain) signed(label string, content []byte) []byte {
	full := append(vector([]byte("MLS 1.0 "+label)), vector(content)...)
	return ed25519.Sign(ed25519.NewKeyFromSeed(v.secrets.signer), full)
}

// resign gives an altered content of a commit a right signature and membership tag.
func (v *keyVillain) resign(message, content []byte) []byte {
	tbs := slices.Concat([]byte{0, 1, 0, 1}, content, v.secrets.context)
	confirmation := message[len(message)-2*tagLen : len(message)-tagLen]
	auth := slices.Concat(vector(v.signed("FramedContentTBS", tbs)), confirmation)
	mac := hmac.New(sha256.New, v.secrets.membership)
	mac.Write(append(tbs, auth...))
	return slices.Concat(message[:4], content, auth, vector(mac.Sum(nil)))
}

// proposing puts a proposal more, or a reference, into a commit.
func (v *keyVillain) proposing(more ...byte) func([]byte) []byte {
	return func(message []byte) []byte {
		content, at := v.opened(message)
		r := tls(content[at:])
		list := r.vector()
		return v.resign(message, slices.Concat(content[:at], vector(slices.Concat(list, more)), r))
	}
}

// opened is the FramedContent of a commit, and where its proposals begin.
func (v *keyVillain) opened(message []byte) (content []byte, at int) {
	content = slices.Clone(message[4 : len(message)-authLen])
	r := tls(content)
	r.vector()
	r.take(8 + 5)
	r.vector()
	r.take(1)
	return content, len(content) - len(r)
}

// leaf alters the leaf in a commit's path: its encryption key or its parent hash.
func (v *keyVillain) leaf(alter func(key, parent []byte)) func([]byte) []byte {
	return func(message []byte) []byte {
		content, at := v.opened(message)
		r := tls(content[at:])
		r.vector()
		r.take(1)
		start := r
		key := r.vector()
		r.vector()
		r.take(2)
		r.vector()
		for range 5 {
			r.vector()
		}
		r.take(1)
		parent := r.vector()
		r.vector()
		alter(key, parent)
		unsigned := slices.Clone(start[:len(start)-len(r)])
		place := binary.BigEndian.AppendUint32(vector(v.keys.ID()), uint32(v.keys.Self()))
		copy(r.vector(), v.signed("LeafNodeTBS", append(unsigned, place...)))
		return v.resign(message, content)
	}
}

// leafOf is where a device stands in the tree.
func (v *keyVillain) leafOf(d demes.DeviceID) (at mls.LeafIndex) {
	v.keys.Members(func(i mls.LeafIndex, leaf *mls.LeafNode) bool {
		at = i
		return wire.CredentialDevice(leaf.Credential.Identity) != d
	})
	return at
}

// stranger makes a request of a device that nobody knows, and its key package.
func (v *keyVillain) stranger(i int) (*wire.JoinRequest, *mls.KeyPackage) {
	n := newNode(v.world, 700+i)
	ask := n.request(nil)
	return ask.GetRequest(), n.keys.KeyPackage
}

// keyAttack is what a villain with keys does to all others; void is what becomes of
// its commit, "" where there is none or it never gets into the log.
type keyAttack struct {
	name string
	do   func(v *keyVillain)
	void string
}

// TestNoMemberCanTurnTheKeys has a member do every evil thing that its keys are good
// for: the others go on under the same keys, and nothing of it takes effect.
func TestNoMemberCanTurnTheKeys(t *testing.T) {
	long(t)
	for i, a := range slices.Concat(sealedAttacks(), commitAttacks(), wayBackAttacks()) {
		t.Run(a.name, func(t *testing.T) {
			_, v := keyBesieged(t, uint64(i), chat.Planted{})
			if got := v.plays(a); got != "" {
				t.Error(got)
			}
		})
	}
}

// plays does an attack and says what of it had an effect.
func (v *keyVillain) plays(a keyAttack) (problem string) {
	w, t := v.world, v.t
	before, members, epoch := settledTexts(w.Up()[0]), len(v.fold.Members), v.fold.Epoch
	first := v.fold.Head.Index
	a.do(v)
	w.Run(3_000)
	if now := w.Up()[0].chat.Fold(); len(now.Members) != members || now.Epoch != epoch {
		return fmt.Sprintf("seed %d: %d members in epoch %d, want %d in %d", w.Seed, len(now.Members), now.Epoch, members, epoch)
	}
	w.Nodes[4].loseKeys(t) // and an honest commit still wins its epoch
	if !w.Until(30_000, func() bool { return w.Nodes[4].hasKeys() }) {
		return fmt.Sprintf("seed %d: no honest commit wins any more\n%s", w.Seed, w.Describe())
	}
	goesOn(t, w)
	found := false
	for _, s := range w.Up()[0].disk.settled {
		if s.Index <= first || s.Event == nil || s.Event.ID.Device != v.ID || s.Event.Kind != demes.KindCommit {
			continue
		}
		if found = true; s.Void != a.void && s.Void != chat.VoidEpoch {
			problem += fmt.Sprintf("seed %d: its commit is void for %q, want %q\n", w.Seed, s.Void, a.void)
		}
		if s.Void == a.void {
			a.void = ""
		}
	}
	if a.void != "" {
		problem += fmt.Sprintf("seed %d: no commit of it (%v) is void for %q", w.Seed, found, a.void)
	}
	for text := range settledTexts(w.Up()[0]) {
		if !before[text] && text != "" && !strings.HasPrefix(text, "and on we go") && !strings.HasPrefix(text, "rightly ") {
			problem += fmt.Sprintf("seed %d: %q took effect", w.Seed, text)
		}
	}
	return problem
}

// sealedAttacks are contents that are not what they seem.
func sealedAttacks() []keyAttack {
	payload := func(of func(v *keyVillain, context demes.Hash, plain []byte) []byte) func(*keyVillain) {
		return func(v *keyVillain) {
			d := v.draft("evil")
			e, err := wire.SealWith(v.key, d, func(context demes.Hash) ([]byte, error) { return of(v, context, d.Payload), nil })
			if err != nil {
				v.t.Fatal(err)
			}
			v.seq, v.prev = e.ID.Seq, e.Hash
			v.toAll(e)
		}
	}
	send := func(v *keyVillain, g *mls.Group, context, plain []byte) []byte {
		out, err := g.Send(plain, mls.Envelope{AuthenticatedData: context, PadTo: chat.PadTo})
		if err != nil {
			v.t.Fatal(err)
		}
		return out
	}
	header := func(change func(id, epoch []byte)) func(*keyVillain) {
		return payload(func(v *keyVillain, context demes.Hash, plain []byte) []byte {
			out := send(v, v.keys, context[:], plain)
			r := tls(out[4:])
			id := r.vector()
			change(id, r.take(8))
			return out
		})
	}
	return []keyAttack{
		{name: "another's payload", do: payload(func(v *keyVillain, _ demes.Hash, _ []byte) []byte {
			theirs := messages(v.disk, 1, endOfLog)
			at := slices.IndexFunc(theirs, func(s chat.SettledEntry) bool { return s.Event.ID.Device != v.ID })
			return theirs[at].Event.Payload
		})},
		{name: "its own payload again", do: payload(func(v *keyVillain, _ demes.Hash, _ []byte) []byte {
			mine := messages(v.disk, 1, endOfLog)
			at := slices.IndexFunc(mine, func(s chat.SettledEntry) bool { return s.Event.ID.Device == v.ID })
			return mine[at].Event.Payload
		})},
		{name: "sealed for another event", do: payload(func(v *keyVillain, context demes.Hash, plain []byte) []byte {
			context[0] ^= 1
			return send(v, v.keys, context[:], plain)
		})},
		{name: "sealed for nothing", do: payload(func(v *keyVillain, _ demes.Hash, plain []byte) []byte {
			return send(v, v.keys, nil, plain)
		})},
		{name: "sealed by an accomplice", do: accomplice},
		{name: "another content than it commits to", do: payload(func(v *keyVillain, context demes.Hash, _ []byte) []byte {
			other, _ := wire.PutContent([16]byte{1}, &wire.MessageContent{Text: "evil, but otherwise"})
			return send(v, v.keys, context[:], other)
		})},
		{name: "an altered ciphertext", do: payload(func(v *keyVillain, context demes.Hash, plain []byte) []byte {
			out := send(v, v.keys, context[:], plain)
			out[len(out)-20] ^= 1
			return out
		})},
		{name: "an altered epoch", do: header(func(_, epoch []byte) { epoch[7]-- })},
		{name: "an epoch to come", do: header(func(_, epoch []byte) { epoch[7] += 3 })},
		{name: "an epoch at the end of numbers", do: header(func(_, epoch []byte) { copy(epoch, "\xff\xff\xff\xff\xff\xff\xff\xff") })},
		{name: "another group", do: header(func(id, _ []byte) { id[0] ^= 1 })},
		{name: "garbage", do: payload(func(*keyVillain, demes.Hash, []byte) []byte { return []byte("no message at all") })},
		{name: "garbage behind a good header", do: payload(func(v *keyVillain, context demes.Hash, plain []byte) []byte {
			return send(v, v.keys, context[:], plain)[:60]
		})},
		{name: "a proposal as message", do: payload(func(v *keyVillain, context demes.Hash, _ []byte) []byte {
			out, err := v.copied().Propose(mls.Proposal{Type: mls.ProposalRemove, Removed: 0}, mls.Envelope{AuthenticatedData: context[:], Private: true})
			if err != nil {
				v.t.Fatal(err)
			}
			return out
		})},
		{name: "a generation far ahead", do: payload(func(v *keyVillain, context demes.Hash, plain []byte) []byte {
			for range 5_000 {
				send(v, v.keys, nil, nil)
			}
			return send(v, v.keys, context[:], plain)
		})},
	}
}

// accomplice writes an event that another member's keys sealed for it: whose word
// it is would depend on where one looks.
func accomplice(v *keyVillain) {
	friend := v.world.Nodes[2].group()
	d := v.draft("evil")
	e, err := wire.SealWith(v.key, d, func(context demes.Hash) ([]byte, error) {
		for range 50 { // generations that the friend has not used
			if _, err := friend.Send(nil, mls.Envelope{}); err != nil {
				return nil, err
			}
		}
		return friend.Send(d.Payload, mls.Envelope{AuthenticatedData: context[:]})
	})
	if err != nil {
		v.t.Fatal(err)
	}
	v.seq, v.prev = e.ID.Seq, e.Hash
	v.toAll(e)
}

// commitAttacks are commits that must not take effect.
func commitAttacks() []keyAttack {
	one := func(say func(v *keyVillain) *wire.Commit, order func(v *keyVillain) mls.Commit, alter func(v *keyVillain) func([]byte) []byte) func(*keyVillain) {
		return func(v *keyVillain) {
			said, o, a := &wire.Commit{}, mls.Commit{}, (func([]byte) []byte)(nil)
			if say != nil {
				said = say(v)
			}
			if order != nil {
				o = order(v)
			}
			if alter != nil {
				a = alter(v)
			}
			v.toAll(v.commit(said, o, a))
		}
	}
	altered := func(alter func(v *keyVillain) func([]byte) []byte) func(*keyVillain) { return one(nil, nil, alter) }
	proposing := func(more func(v *keyVillain) []byte) func(*keyVillain) {
		return altered(func(v *keyVillain) func([]byte) []byte { return v.proposing(more(v)...) })
	}
	flip := func(fromEnd int) func(*keyVillain) {
		return altered(func(*keyVillain) func([]byte) []byte {
			return func(m []byte) []byte {
				m[len(m)-fromEnd] ^= 1
				return m
			}
		})
	}
	leaf := func(alter func(v *keyVillain, key, parent []byte)) func(*keyVillain) {
		return altered(func(v *keyVillain) func([]byte) []byte {
			return v.leaf(func(key, parent []byte) { alter(v, key, parent) })
		})
	}
	removal := func(v *keyVillain, n *Node) mls.Commit { return mls.Commit{Remove: []mls.LeafIndex{v.leafOf(n.ID)}} }
	remove := func(n *Node) *wire.Commit {
		return &wire.Commit{Changes: []*wire.Change{{Kind: &wire.Change_Remove{Remove: n.ID[:]}}}}
	}
	return []keyAttack{
		{name: "a wrong membership tag", do: flip(1)},
		{name: "a wrong confirmation tag", do: altered(func(v *keyVillain) func([]byte) []byte {
			return func(m []byte) []byte {
				m[len(m)-tagLen-1] ^= 1
				content, _ := v.opened(m)
				return v.resign(m, content)
			}
		})},
		{name: "a wrong signature", do: flip(authLen - 3), void: chat.VoidKeys},
		{name: "a path that nobody can open", do: func(v *keyVillain) {
			v.skip = func(int) bool { return true }
			v.toAll(v.commit(&wire.Commit{}, mls.Commit{}, nil))
		}},
		{name: "a wrong parent hash", do: leaf(func(_ *keyVillain, _, parent []byte) { parent[3] ^= 1 }), void: chat.VoidKeys},
		{name: "its old leaf key", do: leaf(func(v *keyVillain, key, _ []byte) { copy(key, v.keys.Leaf(v.keys.Self()).EncryptionKey) }), void: chat.VoidKeys},
		{name: "another's leaf key", do: leaf(func(v *keyVillain, key, _ []byte) {
			copy(key, v.keys.Leaf(v.leafOf(v.world.Nodes[0].ID)).EncryptionKey)
		}), void: chat.VoidKeys},
		{name: "an unknown proposal", do: proposing(func(*keyVillain) []byte { return []byte{1, 0xf0, 0x0d, 1, 2, 3} }), void: chat.VoidKeys},
		{name: "a proposal by reference", do: proposing(func(*keyVillain) []byte { return append([]byte{2}, vector(make([]byte, 32))...) }), void: chat.VoidKeys},
		{name: "other group extensions", do: one(nil, func(*keyVillain) mls.Commit { return mls.Commit{Extensions: []mls.Extension{}} }, nil), void: chat.VoidKeys},
		{name: "a pre-shared key", do: one(nil, func(*keyVillain) mls.Commit {
			return mls.Commit{PSKs: []mls.PSKID{{Type: mls.PSKExternal, ID: []byte("ours")}}}
		}, nil)}, // the council cannot process it, and so nobody is asked to
		{name: "a new beginning", do: one(nil, func(v *keyVillain) mls.Commit {
			return mls.Commit{ReInit: &mls.ReInit{GroupID: []byte("another"), Version: mls.MLS10, Suite: v.keys.Suite()}}
		}, nil), void: chat.VoidKeys},
		{name: "adds whom nobody asked for", do: one(nil, func(v *keyVillain) mls.Commit {
			_, keys := v.stranger(1)
			return mls.Commit{Add: []*mls.KeyPackage{keys}}
		}, nil), void: chat.VoidKeys},
		{name: "adds who has no invite", do: func(v *keyVillain) {
			request, keys := v.stranger(1)
			say := &wire.Commit{Changes: []*wire.Change{{Kind: &wire.Change_Add{Add: request}}}}
			v.toAll(v.commit(say, mls.Commit{Add: []*mls.KeyPackage{keys}}, nil))
		}, void: chat.VoidRight},
		{name: "removes the founder", do: one(func(v *keyVillain) *wire.Commit { return remove(v.world.Nodes[0]) },
			func(v *keyVillain) mls.Commit { return removal(v, v.world.Nodes[0]) }, nil), void: chat.VoidRight},
		{name: "removes another member", do: one(func(v *keyVillain) *wire.Commit { return remove(v.world.Nodes[2]) },
			func(v *keyVillain) mls.Commit { return removal(v, v.world.Nodes[2]) }, nil), void: chat.VoidRight},
		{name: "removes and does not say so", do: one(nil, func(v *keyVillain) mls.Commit { return removal(v, v.world.Nodes[2]) }, nil), void: chat.VoidKeys},
		{name: "a commit for another event", do: func(v *keyVillain) {
			said := &wire.Commit{}
			_ = wire.Unmarshal(v.commit(&wire.Commit{}, mls.Commit{}, nil).Payload, said)
			v.seq, v.prev = v.seq-1, v.fold.Members[v.ID].LastHash // that one is never shown
			v.toAll(v.commit(&wire.Commit{Epoch: v.fold.Epoch - 1, Mls: []byte("old")}, mls.Commit{}, nil))
			v.toAll(v.commit(said, mls.Commit{}, nil))
		}, void: chat.VoidKeys},
		{name: "two hundred commits of an epoch that is over", do: func(v *keyVillain) {
			for range 200 {
				v.toAll(v.commit(&wire.Commit{Epoch: v.fold.Epoch - 1, Mls: []byte("old")}, mls.Commit{}, nil))
				v.world.Run(10)
			}
		}},
		{name: "commits of epochs to come", do: func(v *keyVillain) {
			for i := range uint64(20) {
				v.toAll(v.commit(&wire.Commit{Epoch: v.fold.Epoch + 1 + i<<i, Mls: []byte("soon")}, mls.Commit{}, nil))
			}
		}},
	}
}

// wayBackAttacks are external commits that are not the device's own way back.
func wayBackAttacks() []keyAttack {
	// external makes one as the device of a node, with what change makes of it.
	external := func(as int, change func(v *keyVillain, join *mls.ExternalJoin)) func(*keyVillain) {
		return func(v *keyVillain) {
			n := v.world.Nodes[as]
			info, err := v.keys.GroupInfo(true)
			if err != nil {
				v.t.Fatal(err)
			}
			key, err := v.keys.Suite().NewSigningKey()
			if err != nil {
				v.t.Fatal(err)
			}
			credential := wire.SealCredential(v.key, v.cert, v.world.Chat[:], key.Public()) // it has no other device's key
			if as != v.index {
				credential = wire.SealCredential(v.key, n.cert, v.world.Chat[:], key.Public())
			}
			at := v.leafOf(n.ID)
			join := mls.ExternalJoin{
				Profile: mls.Profile{Suite: v.keys.Suite(), Credential: mls.Basic(credential), Key: key}, Replace: &at,
				AuthenticatedData: wire.SealVoucher(v.key, v.world.Chat, v.fold.Epoch, key.Public()),
			}
			change(v, &join)
			_, commit, err := mls.JoinExternal(info, nil, join, anyLeaf)
			if err != nil {
				v.t.Fatal(err)
			}
			for _, to := range v.world.Up() {
				v.say(to, &wire.Frame{Kind: &wire.Frame_Rejoin{Rejoin: &wire.Rejoin{Epoch: v.fold.Epoch, Mls: commit}}})
			}
			v.toAll(v.commit(&wire.Commit{Mls: commit}, mls.Commit{}, nil))
		}
	}
	nothing := func(*keyVillain, *mls.ExternalJoin) {}
	return []keyAttack{
		{name: "comes back by a way that nobody can follow, through another's log", do: func(v *keyVillain) {
			info, err := v.keys.GroupInfo(true)
			if err != nil {
				v.t.Fatal(err)
			}
			key, err := v.keys.Suite().NewSigningKey()
			if err != nil {
				v.t.Fatal(err)
			}
			at := v.keys.Self()
			credential := wire.SealCredential(v.key, v.cert, v.world.Chat[:], key.Public())
			_, commit, err := mls.JoinExternal(info, nil, mls.ExternalJoin{
				Profile: mls.Profile{Suite: v.keys.Suite(), Credential: mls.Basic(credential), Key: key}, Replace: &at,
				AuthenticatedData: wire.SealVoucher(v.key, v.world.Chat, v.fold.Epoch, key.Public()),
			}, anyLeaf)
			if err != nil {
				v.t.Fatal(err)
			}
			commit[len(commit)-1] ^= 1 // the confirmation tag, which only who has keys can check
			for _, to := range v.world.Up() {
				v.say(to, &wire.Frame{Kind: &wire.Frame_Rejoin{Rejoin: &wire.Rejoin{Epoch: v.fold.Epoch, Mls: commit}}})
			}
			v.world.Run(3_000)
			for _, n := range v.world.Up() {
				_ = n.Say("rightly said, and nothing holds it up")
			}
			if !v.world.Until(5_000, v.world.Settled) {
				v.t.Errorf("what was said is held up\n%s", v.world.Describe())
			}
		}},
		{name: "comes back in the place of the host", do: external(0, nothing), void: chat.VoidKeys},
		{name: "comes back in the place of another", do: external(3, func(v *keyVillain, join *mls.ExternalJoin) {
			at := v.leafOf(v.world.Nodes[2].ID)
			join.Replace = &at
		}), void: chat.VoidKeys},
		{name: "comes back a second time", do: external(3, func(_ *keyVillain, join *mls.ExternalJoin) { join.Replace = nil }), void: chat.VoidKeys},
		{name: "comes back without a voucher", do: external(3, func(_ *keyVillain, join *mls.ExternalJoin) { join.AuthenticatedData = nil }), void: chat.VoidKeys},
		{name: "comes back with a voucher of another epoch", do: external(3, func(v *keyVillain, join *mls.ExternalJoin) {
			join.AuthenticatedData = wire.SealVoucher(v.key, v.world.Chat, v.fold.Epoch+1, join.Profile.Key.Public())
		}), void: chat.VoidKeys},
		{name: "comes back with another's voucher", do: external(3, func(v *keyVillain, join *mls.ExternalJoin) {
			join.AuthenticatedData = wire.SealVoucher(v.world.Nodes[2].key, v.world.Chat, v.fold.Epoch, join.Profile.Key.Public())
		}), void: chat.VoidKeys},
	}
}
