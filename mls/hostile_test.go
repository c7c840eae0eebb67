package mls

import (
	"bytes"

	"fmt"
	"runtime"
	"testing"
)

// entrance is a way into the package for bytes that somebody else made.
type entrance struct {
	name    string
	message []byte
	enter   func(message []byte) error
	group   *member // whose state must not change, if any
}

// entrances makes one valid message of each kind with the one who is to read it.
func entrances(t testing.TB) []entrance {
	w := crowd(t, X25519, 5)
	alice, bob := w.members[0], w.members[1]
	joiner := w.newMember("joiner")
	secrets := joiner.keyPackage()
	receive := func(message []byte) error {
		_, err := bob.group.Receive(message, w.now)
		return err
	}
	private := Envelope{Private: true, AuthenticatedData: []byte("aad"), PadTo: 32}
	stranger := w.newMember("stranger")
	info := must[[]byte](t)(alice.group.GroupInfo(true))
	_, external, err := JoinExternal(info, nil, ExternalJoin{Profile: stranger.profile()}, w.policy())
	check(t, err)
	add := must[*Staged](t)(alice.group.Commit(Commit{Add: []*KeyPackage{secrets.KeyPackage}}, w.now))
	return []entrance{
		{"application", must[[]byte](t)(alice.group.Send([]byte("data"), private)), receive, bob},
		{"public commit", must[*Staged](t)(alice.group.Commit(Commit{}, w.now)).Message, receive, bob},
		{"public commit with an add", add.Message, receive, bob},
		{"private commit", must[*Staged](t)(alice.group.Commit(Commit{Envelope: private}, w.now)).Message, receive, bob},
		{"external commit", external, receive, bob},
		{"public proposal", must[[]byte](t)(alice.group.ProposeUpdate(Envelope{})), receive, bob},
		{"private proposal", must[[]byte](t)(alice.group.ProposeUpdate(private)), receive, bob},
		{"welcome", add.Welcome, func(message []byte) error {
			_, err := Join(message, nil, secrets, w.policy())
			return err
		}, nil},
		{"group info", info, func(message []byte) error {
			_, _, err := JoinExternal(message, nil, ExternalJoin{Profile: stranger.profile()}, w.policy())
			return err
		}, nil},
		{"key package", secrets.KeyPackage.Bytes(), func(message []byte) error {
			k, err := ParseKeyPackage(message)
			if err != nil {
				return err
			}
			return k.Check(w.policy(), w.now)
		}, nil},
	}
}

// Each byte of each message is changed in two ways, each message is cut at each
// place, and each is doubled, in part or whole. Nothing of that may be accepted or
// leave a trace; the message itself is accepted in the end.
func TestEveryByteOfEveryMessageCounts(t *testing.T) {
	for _, e := range entrances(t) {
		t.Run(e.name, func(t *testing.T) {
			before := ""
			if e.group != nil {
				before = e.group.state()
			}
			refuse := func(what string, at int, message []byte) {
				if err := e.enter(message); err == nil {
					t.Fatalf("accepted with %s at %d of %d", what, at, len(e.message))
				}
			}
			for i := range e.message {
				for _, bit := range []byte{0x01, 0x80} {
					changed := bytes.Clone(e.message)
					changed[i] ^= bit
					refuse("a changed bit", i, changed)
				}
				refuse("its end cut", i, e.message[:i])
				refuse("its start cut", i+1, e.message[i+1:])
				if i%7 == 0 {
					refuse("its start doubled", i, append(bytes.Clone(e.message[:i]), e.message...)[:len(e.message)+i-1])
					refuse("a byte doubled", i, append(append(bytes.Clone(e.message[:i+1]), e.message[i]), e.message[i+1:]...))
				}
			}
			refuse("itself behind", 0, append(bytes.Clone(e.message), e.message...))
			if e.group != nil && e.group.state() != before {
				t.Fatal("refused messages changed the state")
			}
			check(t, e.enter(e.message))
		})
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestForgedLengthsDoNotAllocate(t *testing.T) {
	for name, b := range map[string][]byte{
		"vector of 2^30-1 bytes":   {0xbf, 0xff, 0xff, 0xff, 0x00},
		"nested vectors of 2^30-1": bytes.Repeat([]byte{0xbf, 0xff, 0xff, 0xff}, 1000),
		"vectors in vectors":       bytes.Repeat([]byte{0x3f}, 64),
		"list of empty elements":   append(appendLength(nil, 1<<16), make([]byte, 1<<16)...),
		"vector with prefix 3":     {0xc0, 0, 0, 0, 0, 0, 0, 1},
	} {
		for kind, decode := range decoders() {
			used := allocated(func() { _, _ = decode(b) })
			if limit := uint64(128*len(b) + 16384); used > limit {
				t.Errorf("%s as %s: %d bytes allocated for %d", name, kind, used, len(b))
			}
		}
	}
}

func TestForgedTreeSizeIsRefused(t *testing.T) {
	s := X25519.algorithms()
	leaf := crowd(t, X25519, 1).members[0].group.Leaf(0)
	node := encode(func(w *writer) {
		w.uint8(1)
		w.uint8(1)
		leaf.encode(w)
	})
	for name, c := range map[string]struct {
		blanks int
		want   error
	}{
		"too many nodes":  {4 << 20, ErrTooLarge},
		"one leaf behind": {2*MaxMembers - 1, ErrTooLarge},
		"a lonely leaf":   {1 << 16, nil},
	} {
		body := append(make([]byte, c.blanks), node...)
		forged := encode(func(w *writer) { w.vector(body) })
		used := allocated(func() {
			_, err := decodeTree(s, forged)
			refused(t, err, c.want)
		})
		if used > 64<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
	blankHalf := encode(func(w *writer) {
		w.nested(func() {
			w.raw(node)
			w.raw([]byte{1, 2, 0, 0, 0})
		})
	})
	for _, b := range [][]byte{nil, {0}, {1, 0}, {2, 0, 0}, {1, 2}, blankHalf} {
		if _, err := decodeTree(s, b); err == nil {
			t.Errorf("tree %x is accepted", b)
		}
	}
}

func TestLengthsHaveOneForm(t *testing.T) {
	for _, b := range [][]byte{{0x40, 0x3f}, {0x40, 0}, {0x80, 0, 0x3f, 0xff}, {0x80, 0, 0, 0}, {0xc0, 0, 0, 0, 0, 0, 0, 0}, {0x40}, {0x80, 0}, {}} {
		r := reader{b: b}
		if n := r.length(); r.err == nil {
			t.Errorf("%x is read as %d", b, n)
		}
	}
	r := reader{b: []byte{2}}
	if r.present(); r.err == nil {
		t.Error("an optional with presence 2 is read")
	}
}

func TestLongMessagesAreRefusedUnread(t *testing.T) {
	w := crowd(t, X25519, 2)
	long := append(encodeMessage(WirePrivate, func(*writer) {}), make([]byte, MaxMessage)...)
	_, err := w.members[0].group.Receive(long, w.now)
	refused(t, err, ErrTooLarge)
	_, err = Inspect(long)
	refused(t, err, ErrTooLarge)
	before := w.members[0].state()
	_, err = w.members[0].group.Send(make([]byte, MaxMessage), Envelope{})
	refused(t, err, ErrTooLarge)
	if w.members[0].state() != before {
		t.Fatal("a message that was not sent changed the state")
	}
}

func TestProposalsAreLimited(t *testing.T) {
	w := crowd(t, X25519, 2)
	for i := range MaxProposals {
		_, err := w.members[0].group.Propose(Proposal{Type: ProposalRemove, Removed: 1}, Envelope{AuthenticatedData: fmt.Append(nil, i)})
		check(t, err)
	}
	_, err := w.members[0].group.Propose(Proposal{Type: ProposalRemove, Removed: 1}, Envelope{})
	refused(t, err, ErrTooLarge)
}

// Storage that was damaged is refused or reads as a group that works; it never
// brings the reader down.
func TestDamagedRecords(t *testing.T) {
	w := crowd(t, X25519, 3)
	w.talk()
	m := w.members[0]
	w.deliver(w.members[1], must[[]byte](t)(w.members[1].group.ProposeUpdate(Envelope{})))
	records := m.group.Records()
	for k, r := range records {
		for i := range r.Value {
			for _, value := range [][]byte{r.Value[:i], append(append(bytes.Clone(r.Value[:i]), r.Value[i]^0x41), r.Value[i+1:]...)} {
				damaged := append([]Record(nil), records...)
				damaged[k] = Record{r.Name, value}
				g, err := Load(damaged, w.policy())
				if err != nil {
					continue
				}
				if len(value) < len(r.Value) {
					t.Fatalf("record %s is read although %d bytes are missing", r.Name, len(r.Value)-i)
				}
				g.Records()
			}
		}
		damaged := append([]Record(nil), records...)
		damaged[k].Name = "other/1"
		if _, err := Load(damaged, w.policy()); err == nil {
			t.Fatalf("record %s is read by another name", r.Name)
		}
	}
	tree := len(m.group.Tree())
	for i := len(records[0].Value) - tree; i < len(records[0].Value); i++ {
		changed := bytes.Clone(records[0].Value)
		changed[i] ^= 0x10
		if _, err := Load(append([]Record{{epochName, changed}}, records[1:]...), w.policy()); err == nil {
			t.Fatalf("a changed byte at %d of the tree goes unnoticed", i)
		}
	}
	newer := append([]Record(nil), records...)
	newer[0].Value = append([]byte{stateVersion + 1}, newer[0].Value[1:]...)
	_, err := Load(newer, w.policy())
	refused(t, err, ErrUnsupported)
	staged := must[[]byte](t)(must[*Staged](t)(m.group.Commit(Commit{}, w.now)).MarshalBinary())
	for i := range staged {
		if _, err := m.group.ParseStaged(staged[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes of a staged commit are read", i, len(staged))
		}
	}
}
