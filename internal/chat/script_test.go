package chat

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// at is the log time at which every test log begins.
const at = 1_700_000_000_000

// author is one device that writes into a test log.
type author struct {
	name    string
	key     ed25519.PrivateKey
	account ed25519.PrivateKey
	id      demes.DeviceID
	seq     uint64
	prev    demes.Hash
}

func keyOf(n uint64) ed25519.PrivateKey {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], n)
	return ed25519.NewKeyFromSeed(seed[:])
}

func newAuthor(n uint64) *author {
	key := keyOf(n)
	return &author{name: fmt.Sprintf("author %d", n), key: key, account: keyOf(1000 + n), id: demes.DeviceID(key.Public().(ed25519.PublicKey))}
}

// device is a further device of an author's person.
func (a *author) device(n uint64) *author {
	d := newAuthor(n)
	d.account = a.account
	return d
}

func (a *author) cert() *wire.DeviceCert { return wire.SealCert(a.account, a.id, 1) }

// profile is a fresh leaf of the author in a scope.
func (a *author) profile(t testing.TB, suite mls.Suite, scope []byte) mls.Profile {
	t.Helper()
	profile, err := newProfile(&Config{Key: a.key, Cert: a.cert()}, suite, scope)
	if err != nil {
		t.Fatal(err)
	}
	return profile
}

func packageOf(t testing.TB, profile mls.Profile) *mls.KeyPackageSecrets {
	t.Helper()
	secrets, err := mls.NewKeyPackage(profile, forEver)
	if err != nil {
		t.Fatal(err)
	}
	return secrets
}

// founding is what an author's found event begins with: the group, and its payload.
func founding(t testing.TB, by *author, suite mls.Suite, policy mls.Policy) (*mls.Group, *wire.Found) {
	t.Helper()
	nonce := []byte("sixteen bytes...")
	group, err := mls.Create(nonce, packageOf(t, by.profile(t, suite, nonce)), policy)
	if err != nil {
		t.Fatal(err)
	}
	info, err := group.GroupInfo(true)
	if err != nil {
		t.Fatal(err)
	}
	return group, &wire.Found{
		Format: Format, Title: "a chat", Suite: uint32(suite), Cert: by.cert(), Name: by.name, Nonce: nonce, Mls: info,
	}
}

// script is a log that is written entry by entry. Each device in it that is a
// member has its own MLS group, which follows the log: commits are real ones.
type script struct {
	t        testing.TB
	suite    mls.Suite
	chat     demes.ChatID
	fold     *Fold
	a        []*author
	now      int64
	slot     uint64
	log      []Sealed // what was consumed
	groups   map[demes.DeviceID]*mls.Group
	packages map[demes.Hash]*mls.KeyPackageSecrets // by the hash that a request names
}

// newScript founds a chat; its founder is author 0. n more authors are at hand
// who are no members yet.
func newScript(t testing.TB, n uint64) *script { return newScriptIn(t, mls.X25519, n) }

func newScriptIn(t testing.TB, suite mls.Suite, n uint64) *script {
	t.Helper()
	s := &script{
		t: t, suite: suite, now: at, groups: map[demes.DeviceID]*mls.Group{}, packages: map[demes.Hash]*mls.KeyPackageSecrets{},
	}
	for i := range n + 1 {
		s.a = append(s.a, newAuthor(i))
	}
	founder := s.a[0]
	group, payload := founding(t, founder, suite, s.policy())
	found := wire.Seal(founder.key, wire.Draft{
		ID: demes.EventID{Device: founder.id, Seq: 1}, Kind: demes.KindFound, Lamport: 1, SentAt: at, Payload: wire.Marshal(payload),
	})
	s.chat, s.fold, s.groups[founder.id] = found.Chat, newFold(found.Chat), group
	s.fold.Electors = []demes.DeviceID{founder.id}
	founder.seq, founder.prev = 1, found.Hash
	entry := s.sealed(found)
	if out, void := s.fold.Apply(entry); out != Consumed || void != "" {
		t.Fatalf("the found event: outcome %d, void %q", out, void)
	}
	s.log = append(s.log, entry)
	return s
}

// policy is that of every member; the chat has no id while it is founded.
func (s *script) policy() mls.Policy { return leafPolicy(&s.chat) }

func (s *script) time() time.Time { return time.UnixMilli(s.now) }

// draft is the author's next event.
func (s *script) draft(by *author, kind demes.Kind, payload []byte) wire.Draft {
	return wire.Draft{
		Chat: s.fold.Chat, ID: demes.EventID{Device: by.id, Seq: by.seq + 1}, Kind: kind, Prev: by.prev, Seen: s.fold.Head,
		Lamport: s.fold.Lamport + 1, SentAt: s.now, Payload: payload,
	}
}

// write signs a draft as its author's next event.
func (s *script) write(by *author, d wire.Draft) *demes.Event {
	e := wire.Seal(by.key, d)
	by.seq, by.prev = e.ID.Seq, e.Hash
	return e
}

// sealed is an event as the council commits it now.
func (s *script) sealed(e *demes.Event) Sealed {
	s.slot++
	return Sealed{Generation: s.fold.Head.Generation, Term: s.fold.Term, Slot: s.slot, LogMs: s.now, Event: e}
}

func (s *script) apply(e *demes.Event, want Outcome, void string) {
	s.t.Helper()
	s.applySealed(s.sealed(e), want, void)
}

func (s *script) applySealed(entry Sealed, want Outcome, void string) {
	s.t.Helper()
	before := s.fold.Encode()
	got, reason := s.fold.Apply(entry)
	if got != want || reason != void {
		s.t.Fatalf("outcome %d, void %q; want %d, %q", got, reason, want, void)
	}
	if got == Consumed {
		s.log = append(s.log, entry)
	} else if !bytes.Equal(s.fold.Encode(), before) {
		s.t.Fatal("an entry that was not consumed changed the state")
	}
}

// does has an author write an event that is consumed, void for the reason given.
func (s *script) does(by *author, kind demes.Kind, payload []byte, void string) {
	s.t.Helper()
	s.apply(s.write(by, s.draft(by, kind, payload)), Consumed, void)
}

// utterance is an author's next event of a kind with content, sealed by its group.
func (s *script) utterance(by *author, kind demes.Kind, content *wire.MessageContent) *demes.Event {
	s.t.Helper()
	plain, commit := wire.PutContent([16]byte{1}, content)
	d := s.draft(by, kind, nil)
	d.Content = commit
	e, err := wire.SealWith(by.key, d, func(context demes.Hash) ([]byte, error) {
		return s.groups[by.id].Send(plain, mls.Envelope{AuthenticatedData: context[:], PadTo: PadTo})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	by.seq, by.prev = e.ID.Seq, e.Hash
	return e
}

func (s *script) says(by *author, text, void string) {
	s.t.Helper()
	s.apply(s.utterance(by, demes.KindMessage, &wire.MessageContent{Text: text}), Consumed, void)
}

// request is a join request of an author; invite nil is a knock.
func (s *script) request(of *author, invite ed25519.PrivateKey) *wire.JoinRequest {
	s.t.Helper()
	return s.requestWith(of, invite, func(*wire.JoinBody) {})
}

// requestWith is a request in which something is otherwise.
func (s *script) requestWith(of *author, invite ed25519.PrivateKey, change func(b *wire.JoinBody)) *wire.JoinRequest {
	s.t.Helper()
	body := &wire.JoinBody{
		Chat: s.fold.Chat[:], Cert: of.cert(), Name: of.name, Nonce: []byte{1}, NotAfterMs: s.now + 3_600_000,
		KeyPackageHash: s.pack(of.profile(s.t, s.suite, s.fold.Chat[:])),
	}
	change(body)
	return wire.SealJoin(of.key, invite, body)
}

// pack makes a key package and remembers its secrets; its hash is returned.
func (s *script) pack(profile mls.Profile) []byte {
	s.t.Helper()
	secrets := packageOf(s.t, profile)
	sum := demes.Sum(secrets.KeyPackage.Bytes())
	s.packages[sum] = secrets
	return sum[:]
}

// named is the key package that a request names; nil when nobody made one.
func (s *script) named(r *wire.JoinRequest) *mls.KeyPackageSecrets {
	body := &wire.JoinBody{}
	if wire.Unmarshal(r.GetBody(), body) != nil {
		return nil
	}
	return s.packages[wire.HashOf(body.GetKeyPackageHash())]
}

func add(r *wire.JoinRequest) *wire.Change {
	return &wire.Change{Kind: &wire.Change_Add{Add: r}}
}

func remove(a *author) *wire.Change {
	return &wire.Change{Kind: &wire.Change_Remove{Remove: a.id[:]}}
}

// plan is a commit before it stands in an event: what it says, and what its MLS
// commit does. The two agree until a test has them differ.
type plan struct {
	by     *author // whose event it is
	group  *mls.Group
	order  mls.Commit
	commit *wire.Commit
	data   []byte // the MLS commit's authenticated data; nil: the event's context
	alter  func(message []byte) []byte
}

// planned is a commit of an author that does what its changes say, as far as MLS
// lets it.
func (s *script) planned(by *author, changes ...*wire.Change) *plan {
	s.t.Helper()
	p := &plan{by: by, group: s.groups[by.id], commit: &wire.Commit{Epoch: s.fold.Epoch, Changes: changes}}
	profile := by.profile(s.t, s.suite, s.fold.Chat[:])
	p.order = mls.Commit{OmitTree: true, Profile: &profile}
	for _, change := range changes {
		switch kind := change.GetKind().(type) {
		case *wire.Change_Add:
			if secrets := s.named(kind.Add); secrets != nil {
				p.order.Add = append(p.order.Add, secrets.KeyPackage)
			}
			body := &wire.JoinBody{}
			_ = wire.Unmarshal(kind.Add.GetBody(), body)
			s.removes(p, wire.Device(body.GetReplaces()))
		case *wire.Change_Remove:
			s.removes(p, wire.Device(kind.Remove))
		}
	}
	return p
}

// removes has the MLS commit of a plan remove a device; nobody can remove itself.
func (s *script) removes(p *plan, device demes.DeviceID) {
	if at, is := s.leaf(device); is && p.by.id != device {
		p.order.Remove = append(p.order.Remove, at)
	}
}

// leaf is a device's place in the tree.
func (s *script) leaf(device demes.DeviceID) (at mls.LeafIndex, is bool) {
	s.fold.group.Members(func(i mls.LeafIndex, leaf *mls.LeafNode) bool {
		if leafDevice(leaf) == device {
			at, is = i, true
		}
		return !is
	})
	return at, is
}

// seals puts a plan into its author's next event.
func (s *script) seals(p *plan) (*demes.Event, *mls.Staged, error) {
	var staged *mls.Staged
	e, err := wire.SealWith(p.by.key, s.draft(p.by, demes.KindCommit, nil), func(context demes.Hash) ([]byte, error) {
		if p.group == nil {
			return wire.Marshal(p.commit), nil
		}
		p.order.AuthenticatedData = context[:]
		if p.data != nil {
			p.order.AuthenticatedData = p.data
		}
		var err error
		if staged, err = p.group.Commit(p.order, s.time()); err != nil {
			return nil, err
		}
		p.commit.Mls, p.commit.Welcome = staged.Message, staged.Welcome
		if p.alter != nil {
			p.commit.Mls = p.alter(bytes.Clone(p.commit.Mls))
		}
		return wire.Marshal(p.commit), nil
	})
	return e, staged, err
}

// plays has a plan's author write it; it is consumed, void for the reason given.
// What is void changes nothing but the place of its author's log.
func (s *script) plays(p *plan, void string) {
	s.t.Helper()
	e, staged, err := s.seals(p)
	if err != nil {
		s.t.Fatalf("the MLS commit: %v", err)
	}
	p.by.seq, p.by.prev = e.ID.Seq, e.Hash
	before := s.standing()
	s.apply(e, Consumed, void)
	if void == "" {
		s.follow(p.commit, p.group, staged)
		return
	}
	if staged != nil {
		staged.Discard()
	}
	if after := s.standing(); before != after {
		s.t.Fatalf("a commit that is void for %q changed the state:\n got %s\nwant %s", void, after, before)
	}
}

// standing is the state without what every consumed event moves.
func (s *script) standing() string {
	state := s.fold.state()
	state.Index, state.Hash, state.LogMs, state.Lamport, state.Slot = 0, nil, 0, 0, 0
	for _, m := range state.Members {
		m.LastSeq, m.LastHash = 0, nil
	}
	return state.String()
}

func (s *script) commits(by *author, void string, changes ...*wire.Change) {
	s.t.Helper()
	s.plays(s.planned(by, changes...), void)
}

// follow takes every member's group into the epoch that a commit led to, and those
// that it added into the group. All of them stand where the fold says.
func (s *script) follow(commit *wire.Commit, own *mls.Group, staged *mls.Staged) {
	s.t.Helper()
	s.takes(commit, own, staged)
	for _, change := range commit.GetChanges() {
		if secrets := s.named(change.GetAdd()); change.GetAdd() != nil && secrets != nil {
			group, err := mls.Join(commit.GetWelcome(), s.fold.group.Tree(), secrets, s.policy())
			if err != nil {
				s.t.Fatalf("who was added cannot join: %v", err)
			}
			s.groups[leafDevice(secrets.KeyPackage.Leaf)] = group
		}
	}
	s.agree()
}

// takes has every member's group take a commit that holds; its author has it staged.
func (s *script) takes(commit *wire.Commit, own *mls.Group, staged *mls.Staged) {
	s.t.Helper()
	for device, group := range s.groups {
		next := staged
		if group != own {
			r, err := group.Receive(commit.GetMls(), time.UnixMilli(s.fold.LogMs))
			if err != nil {
				s.t.Fatalf("%s cannot follow a commit that holds: %v", device.Short(), err)
			}
			next = r.Commit
		}
		if err := group.Merge(next); err != nil {
			s.t.Fatal(err)
		}
		if group.Expelled() {
			delete(s.groups, device)
		}
	}
}

// agree checks that the tree is the roster, and that every member stands in the
// epoch of the fold (B5).
func (s *script) agree() {
	s.t.Helper()
	if !s.fold.treeIsRoster(s.fold.group) || s.fold.group.Epoch() != s.fold.Epoch {
		s.t.Fatalf("the tree is not the roster of %d members, or its epoch %d is not %d", len(s.fold.Members), s.fold.group.Epoch(), s.fold.Epoch)
	}
	for device, group := range s.groups {
		if s.fold.Members[device] == nil || !s.fold.group.Matches(group) {
			s.t.Fatalf("%s is in epoch %d of its group, the chat in %d; a member: %v", device.Short(), group.Epoch(), s.fold.Epoch, s.fold.Members[device] != nil)
		}
	}
	if len(s.groups) != len(s.fold.Members) {
		s.t.Fatalf("%d devices have keys, and %d are members", len(s.groups), len(s.fold.Members))
	}
}

// joins has the founder let authors in from the lobby.
func (s *script) joins(who ...*author) {
	s.t.Helper()
	for _, a := range who {
		s.commits(s.a[0], "", add(s.request(a, nil)))
	}
}

func (s *script) starts() {
	s.t.Helper()
	s.does(s.a[0], demes.KindStart, nil, "")
}

// invites has an author make an invite; its key is returned.
func (s *script) invites(by *author, n uint64, uses uint32, goodFor int64) ed25519.PrivateKey {
	s.t.Helper()
	key := keyOf(5000 + n)
	s.does(by, demes.KindInvite, invitePayload(key, uses, s.now+goodFor), "")
	return key
}

func invitePayload(key ed25519.PrivateKey, uses uint32, notAfter int64) []byte {
	return wire.Marshal(&wire.Invite{InviteKey: key.Public().(ed25519.PublicKey), Uses: uses, NotAfterMs: notAfter})
}

// record applies a record of the host.
func (s *script) record(by *author, term uint64, body *wire.RecordBody, want Outcome) {
	s.t.Helper()
	if body.Chat == nil {
		body.Chat, body.Generation, body.Term = s.fold.Chat[:], s.fold.Head.Generation, term
	}
	s.slot++
	s.applySealed(Sealed{Generation: s.fold.Head.Generation, Term: term, Slot: s.slot, LogMs: s.now, Record: wire.SealRecord(by.key, body)}, want, "")
}

func hostRecord() *wire.RecordBody {
	return &wire.RecordBody{Kind: &wire.RecordBody_Host{Host: &wire.HostRecord{}}}
}

func planRecord(ranks ...Rank) *wire.RecordBody {
	return &wire.RecordBody{Kind: &wire.RecordBody_Plan{Plan: &wire.PlanRecord{Ranks: PutRanks(ranks)}}}
}

// gives has an author give the person of another a role.
func (s *script) gives(by, to *author, role demes.Role, void string) {
	s.t.Helper()
	account := to.account.Public().(ed25519.PublicKey)
	s.does(by, demes.KindRole, wire.Marshal(&wire.Role{Account: account, Role: roleNumbers[role]}), void)
}
