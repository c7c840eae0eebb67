package mls

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is a group with all its members and an ordering service that gives every
// message to everybody. Every member keeps its records as an application would,
// and the delta that Changes names must lead to the same records as a snapshot.
type world struct {
	t       testing.TB
	suite   Suite
	now     time.Time
	members []*member
	psks    map[string][]byte
	banned  string // identity that every policy refuses
}

type member struct {
	w     *world
	name  string
	key   *SigningKey
	group *Group
	store map[string][]byte
}

var testTime = time.Unix(1_800_000_000, 0)

func newWorld(t testing.TB, suite Suite) *world {
	return &world{t: t, suite: suite, now: testTime, psks: map[string][]byte{}}
}

// policy knows members by their identity: the same that a leaf replaces, never
// the banned one.
func (w *world) policy() Policy {
	return Policy{
		Credential: func(a Admission) error {
			if len(a.Leaf.Credential.Identity) == 0 || string(a.Leaf.Credential.Identity) == w.banned {
				return fmt.Errorf("identity %q", a.Leaf.Credential.Identity)
			}
			if a.Previous != nil && !bytes.Equal(a.Previous.Credential.Identity, a.Leaf.Credential.Identity) {
				return fmt.Errorf("%q replaces %q", a.Leaf.Credential.Identity, a.Previous.Credential.Identity)
			}
			return nil
		},
		PSK: func(id PSKID) ([]byte, error) {
			if psk, ok := w.psks[string(id.ID)]; ok && id.Type == PSKExternal {
				return psk, nil
			}
			return nil, errors.New("no such psk")
		},
	}
}

func (w *world) newMember(name string) *member {
	w.t.Helper()
	return &member{w: w, name: name, key: must[*SigningKey](w.t)(w.suite.NewSigningKey())}
}

func (m *member) profile() Profile {
	return Profile{Suite: m.w.suite, Credential: Basic([]byte(m.name)), Key: m.key}
}

func (m *member) keyPackage() *KeyPackageSecrets {
	m.w.t.Helper()
	return must[*KeyPackageSecrets](m.w.t)(NewKeyPackage(m.profile(), LifetimeOf(m.w.now.Add(-time.Hour), 90*24*time.Hour)))
}

// found makes a group of one.
func (w *world) found(name string, extensions ...Extension) *member {
	w.t.Helper()
	m := w.newMember(name)
	m.group = must[*Group](w.t)(Create([]byte("group of "+name), m.keyPackage(), w.policy(), extensions...))
	w.members = append(w.members, m)
	m.save()
	return m
}

// save stores the changes and compares the store with a snapshot; then the group
// is read back from it.
func (m *member) save() {
	m.w.t.Helper()
	c := m.group.Changes()
	if c.Reset || m.store == nil {
		m.store = map[string][]byte{}
	}
	for _, name := range c.Delete {
		delete(m.store, name)
	}
	for _, r := range c.Put {
		m.store[r.Name] = bytes.Clone(r.Value)
	}
	m.group.Saved()
	snapshot := m.group.Records()
	if len(snapshot) != len(m.store) {
		m.w.t.Fatalf("%s: %d records stored, snapshot has %d", m.name, len(m.store), len(snapshot))
	}
	for _, r := range snapshot {
		if !bytes.Equal(m.store[r.Name], r.Value) {
			m.w.t.Fatalf("%s: record %s differs from the snapshot", m.name, r.Name)
		}
	}
	if !m.group.Expelled() {
		m.reload()
	}
}

// reload replaces the group by what the store holds.
func (m *member) reload() {
	m.w.t.Helper()
	var records []Record
	for _, name := range slices.Sorted(maps.Keys(m.store)) {
		records = append(records, Record{name, m.store[name]})
	}
	m.group = must[*Group](m.w.t)(Load(records, m.w.policy()))
}

// state is everything a group knows, to see whether something changed.
func (m *member) state() string { return stateOf(m.group) }

func stateOf(g *Group) string {
	var b strings.Builder
	for _, r := range g.Records() {
		fmt.Fprintf(&b, "%s=%x\n", r.Name, r.Value)
	}
	return b.String()
}

// commit lets one member commit and all others follow; joiners enter by Welcome.
func (w *world) commit(by *member, o Commit, joiners ...*member) *Staged {
	w.t.Helper()
	secrets := make([]*KeyPackageSecrets, len(joiners))
	for i, j := range joiners {
		secrets[i] = j.keyPackage()
		o.Add = append(o.Add, secrets[i].KeyPackage)
	}
	before := by.state()
	staged := must[*Staged](w.t)(by.group.Commit(o, w.now))
	if by.state() != before && !o.Private {
		w.t.Fatalf("%s: staging an own commit changed the state", by.name)
	}
	tree := by.group
	message, welcome := staged.Message, staged.Welcome
	for _, m := range slices.Clone(w.members) {
		if m != by {
			m.follow(message)
		}
	}
	check(w.t, by.group.Merge(must[*Staged](w.t)(by.group.ParseStaged(must[[]byte](w.t)(staged.MarshalBinary())))))
	by.save()
	var apart []byte
	if o.OmitTree {
		apart = tree.Tree()
	}
	for i, j := range joiners {
		j.group = must[*Group](w.t)(Join(welcome, apart, secrets[i], w.policy()))
		j.save()
		w.members = append(w.members, j)
	}
	w.members = slices.DeleteFunc(w.members, func(m *member) bool { return m.group.Expelled() })
	w.agree()
	return staged
}

// follow receives and merges a commit.
func (m *member) follow(message []byte) {
	m.w.t.Helper()
	before := m.state()
	r := must[*Received](m.w.t)(m.group.Receive(message, m.w.now))
	if m.state() != before {
		m.w.t.Fatalf("%s: staging changed the state", m.name)
	}
	if r.Kind != ContentCommit {
		m.w.t.Fatalf("%s: received kind %d", m.name, r.Kind)
	}
	check(m.w.t, m.group.Merge(r.Commit))
	m.save()
	if m.group.Expelled() && len(m.store) > 0 {
		m.w.t.Fatalf("%s: removed, and %d records are left", m.name, len(m.store))
	}
}

// agree checks that all members are in one epoch and hold each key they should.
func (w *world) agree() {
	w.t.Helper()
	first := w.members[0].group
	for _, m := range w.members {
		equal2(w.t, m.name+": authenticator", m.group.Authenticator(), first.Authenticator())
		equal2(w.t, m.name+": tree", m.group.Tree(), first.Tree())
		check(w.t, m.group.epoch.tree.validate(m.group.ID(), m.group.Context().Extensions, &m.group.policy))
		for x, key := range m.group.epoch.keys {
			equal2(w.t, fmt.Sprintf("%s: key of node %d", m.name, x), key.PublicKey().Bytes(), m.group.epoch.tree.nodes[x].encryptionKey())
		}
	}
}

func equal2(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: got %x, want %x", what, got, want)
	}
}

// talk lets each member send one message that all others read.
func (w *world) talk() {
	w.t.Helper()
	for _, from := range w.members {
		data := []byte("hello from " + from.name)
		message := must[[]byte](w.t)(from.group.Send(data, Envelope{AuthenticatedData: []byte("aad"), PadTo: 128}))
		from.save()
		for _, to := range w.members {
			if to == from {
				continue
			}
			r := must[*Received](w.t)(to.group.Receive(message, w.now))
			equal2(w.t, "data", r.Data, data)
			equal2(w.t, "authenticated data", r.AuthenticatedData, []byte("aad"))
			if r.Kind != ContentApplication || r.Sender != from.group.Self() || string(r.Leaf.Credential.Identity) != from.name {
				w.t.Fatalf("%s: message of %s is said to be of leaf %d", to.name, from.name, r.Sender)
			}
			to.save()
		}
	}
}

// externalJoin lets a member commit itself in, by way of its stored form: the
// group has to outlast the wait for its commit to win. It returns the commit.
func (w *world) externalJoin(m *member, o ExternalJoin) []byte {
	w.t.Helper()
	info := must[[]byte](w.t)(w.members[0].group.GroupInfo(true))
	o.Profile = m.profile()
	g, message, err := JoinExternal(info, nil, o, w.policy())
	check(w.t, err)
	m.group, m.store = g, nil
	m.save()
	for _, other := range slices.Clone(w.members) {
		other.follow(message)
	}
	w.members = slices.DeleteFunc(w.members, func(m *member) bool { return m.group.Expelled() })
	w.members = append(w.members, m)
	w.agree()
	return message
}

// crowd makes a group of n in which everybody has committed once, so that all
// nodes of the tree are populated.
func crowd(t testing.TB, suite Suite, n int) *world {
	t.Helper()
	w := newWorld(t, suite)
	first := w.found("m0")
	var joiners []*member
	for i := 1; i < n; i++ {
		joiners = append(joiners, w.newMember(fmt.Sprint("m", i)))
	}
	if n > 1 {
		w.commit(first, Commit{}, joiners...)
	}
	for _, m := range w.members[1:] {
		w.commit(m, Commit{})
	}
	return w
}
