package chat

import (
	"crypto/ed25519"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

func TestLogBeginsWithAGoodFoundEvent(t *testing.T) {
	founder := newAuthor(0)
	var none demes.ChatID
	good := func() (wire.Draft, *wire.Found) {
		_, found := founding(t, founder, mls.X25519, leafPolicy(&none))
		return wire.Draft{ID: demes.EventID{Device: founder.id, Seq: 1}, Kind: demes.KindFound, Lamport: 1}, found
	}
	other, stranger := newAuthor(0), newAuthor(1)
	other.account = keyOf(77)
	groupOf := func(by *author, suite mls.Suite, change func(g *mls.Group) []byte) func(*wire.Draft, *wire.Found) {
		return func(_ *wire.Draft, f *wire.Found) {
			group, _ := founding(t, by, suite, leafPolicy(&none))
			f.Mls = change(group)
		}
	}
	info := func(g *mls.Group) []byte { raw, _ := g.GroupInfo(true); return raw }
	for _, c := range []struct {
		name   string
		change func(d *wire.Draft, f *wire.Found)
		want   Outcome
	}{
		{"good", func(*wire.Draft, *wire.Found) {}, Consumed},
		{"of another format", func(_ *wire.Draft, f *wire.Found) { f.Format++ }, Ignored},
		{"of the post-quantum suite", func(_ *wire.Draft, f *wire.Found) {
			_, other := founding(t, founder, mls.XWing, leafPolicy(&none))
			f.Suite, f.Mls = other.Suite, other.Mls
		}, Consumed},
		{"of an unknown suite", func(_ *wire.Draft, f *wire.Found) { f.Suite = 9 }, Ignored},
		{"of suite 0, which encrypts nothing", func(_ *wire.Draft, f *wire.Found) { f.Suite, f.Mls = 0, nil }, Ignored},
		{"of another suite than its group", func(_ *wire.Draft, f *wire.Found) { f.Suite = uint32(mls.XWing) }, Ignored},
		{"of a suite that chats do not use", func(_ *wire.Draft, f *wire.Found) {
			_, other := founding(t, founder, mls.P256, leafPolicy(&none))
			f.Suite, f.Mls = other.Suite, other.Mls
		}, Ignored},
		{"without a group", func(_ *wire.Draft, f *wire.Found) { f.Mls = nil }, Ignored},
		{"with a group of garbage", func(_ *wire.Draft, f *wire.Found) { f.Mls = []byte{1, 2, 3} }, Ignored},
		{"with an altered group", func(_ *wire.Draft, f *wire.Found) { f.Mls[len(f.Mls)-1] ^= 1 }, Ignored},
		{"with a group without its tree", groupOf(founder, mls.X25519, func(g *mls.Group) []byte { raw, _ := g.GroupInfo(false); return raw }), Ignored},
		{"with another device's group", groupOf(stranger, mls.X25519, info), Ignored},
		{"with a group of this device under another account", groupOf(other, mls.X25519, info), Ignored},
		{"with a group in its second epoch", groupOf(founder, mls.X25519, func(g *mls.Group) []byte {
			staged, err := g.Commit(mls.Commit{}, time.UnixMilli(at))
			if err != nil || g.Merge(staged) != nil {
				t.Fatal(err)
			}
			return info(g)
		}), Ignored},
		{"with a group of two", groupOf(founder, mls.X25519, func(g *mls.Group) []byte {
			second := packageOf(t, founder.device(5).profile(t, mls.X25519, g.ID()))
			staged, err := g.Commit(mls.Commit{Add: []*mls.KeyPackage{second.KeyPackage}}, time.UnixMilli(at))
			if err != nil || g.Merge(staged) != nil {
				t.Fatal(err)
			}
			return info(g)
		}), Ignored},
		{"with a group that has extensions", func(_ *wire.Draft, f *wire.Found) {
			nonce := []byte("sixteen bytes...")
			g, err := mls.Create(nonce, packageOf(t, founder.profile(t, mls.X25519, nonce)), leafPolicy(&none), mls.RequiredCapabilities{}.Extension())
			if err != nil {
				t.Fatal(err)
			}
			f.Mls = info(g)
		}, Ignored},
		{"with another nonce than its group's id", func(_ *wire.Draft, f *wire.Found) { f.Nonce = []byte("Sixteen bytes...") }, Ignored},
		{"with a short nonce", func(_ *wire.Draft, f *wire.Found) { f.Nonce = nil }, Ignored},
		{"without a title", func(_ *wire.Draft, f *wire.Found) { f.Title = "" }, Ignored},
		{"without a name", func(_ *wire.Draft, f *wire.Found) { f.Name = " " }, Ignored},
		{"with too many addresses", func(_ *wire.Draft, f *wire.Found) { f.Addresses = make([]string, wire.MaxAddresses+1) }, Ignored},
		{"without a certificate", func(_ *wire.Draft, f *wire.Found) { f.Cert = nil }, Ignored},
		{"with another's certificate", func(_ *wire.Draft, f *wire.Found) { f.Cert = newAuthor(1).cert() }, Ignored},
		{"with seq 2", func(d *wire.Draft, _ *wire.Found) { d.ID.Seq = 2 }, Ignored},
		{"with a lamport at the end of numbers", func(d *wire.Draft, _ *wire.Found) { d.Lamport = math.MaxUint64 }, Ignored},
	} {
		d, found := good()
		c.change(&d, found)
		d.Payload = wire.Marshal(found)
		e := wire.Seal(founder.key, d)
		if got, void := newFold(e.Chat).Apply(Sealed{Event: e}); got != c.want || void != "" {
			t.Errorf("a found event %s: outcome %d, void %q; want %d", c.name, got, void, c.want)
		}
	}
	d, found := good()
	d.Payload = wire.Marshal(found)
	if got, _ := newFold(demes.ChatID{1}).Apply(Sealed{Event: wire.Seal(founder.key, d)}); got != Ignored {
		t.Errorf("the found event of another chat: outcome %d, want ignored", got)
	}
}

// inLobby plays scenes in a lobby of two; one more author is a stranger.
func inLobby(t *testing.T, scenes []scene) {
	for _, c := range scenes {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, 2)
			s.joins(s.a[1])
			c.do(s)
		})
	}
}

func TestWhatIsIgnored(t *testing.T) {
	inLobby(t, []scene{
		{"another generation is ignored", func(s *script) {
			entry := s.sealed(s.write(s.a[1], s.draft(s.a[1], demes.KindMessage, nil)))
			entry.Generation++
			s.applySealed(entry, Ignored, "")
		}},
		{"a slot that was consumed is ignored", func(s *script) {
			entry := s.sealed(s.write(s.a[1], s.draft(s.a[1], demes.KindMessage, nil)))
			entry.Slot = s.fold.Slot
			s.applySealed(entry, Ignored, "")
		}},
		{"an entry of nothing is ignored", func(s *script) { s.applySealed(s.sealed(nil), Ignored, "") }},
		{"a stranger is ignored", func(s *script) { s.apply(s.write(s.a[2], s.draft(s.a[2], demes.KindMessage, nil)), Ignored, "") }},
		{"another chat is ignored", func(s *script) {
			d := s.draft(s.a[1], demes.KindMessage, nil)
			d.Chat = demes.ChatID{7}
			s.apply(s.write(s.a[1], d), Ignored, "")
		}},
		{"an event that was consumed is ignored", func(s *script) {
			e := s.write(s.a[1], s.draft(s.a[1], demes.KindProfile, wire.Marshal(&wire.Profile{Name: "x"})))
			s.apply(e, Consumed, "")
			s.apply(e, Ignored, "")
		}},
		{"a second found event is void", func(s *script) {
			e := s.write(s.a[0], wire.Draft{Kind: demes.KindFound, ID: demes.EventID{Device: s.a[0].id, Seq: s.a[0].seq + 1}, Prev: s.a[0].prev})
			s.apply(e, Ignored, "") // it is of the chat that it founds
		}},
	})
}

func TestWhatIsEarlyOrForked(t *testing.T) {
	inLobby(t, []scene{
		{"a gap is early", func(s *script) {
			first := s.write(s.a[1], s.draft(s.a[1], demes.KindLeave, nil))
			s.apply(s.write(s.a[1], s.draft(s.a[1], demes.KindLeave, nil)), Early, "")
			s.apply(first, Consumed, "")
		}},
		{"a seq at the end of numbers is early", func(s *script) {
			d := s.draft(s.a[1], demes.KindLeave, nil)
			d.ID.Seq = math.MaxUint64
			s.apply(wire.Seal(s.a[1].key, d), Early, "")
		}},
		{"shown and not consumed is early", func(s *script) {
			d := s.draft(s.a[1], demes.KindLeave, nil)
			d.After = []demes.Mark{{Device: s.a[0].id, Seq: s.a[0].seq + 1}}
			e := s.write(s.a[1], d)
			s.apply(e, Early, "")
			s.does(s.a[0], demes.KindProfile, wire.Marshal(&wire.Profile{Name: "x"}), "")
			s.apply(e, Consumed, "")
		}},
		{"shown of a stranger does not count", func(s *script) {
			d := s.draft(s.a[1], demes.KindLeave, nil)
			d.After = []demes.Mark{{Device: s.a[2].id, Seq: 99}}
			s.apply(s.write(s.a[1], d), Consumed, "")
		}},
		{"another predecessor is a fork", func(s *script) {
			d := s.draft(s.a[1], demes.KindLeave, nil)
			d.Prev[0] ^= 1
			s.apply(wire.Seal(s.a[1].key, d), Consumed, VoidFork)
			s.apply(s.write(s.a[1], s.draft(s.a[1], demes.KindProfile, wire.Marshal(&wire.Profile{Name: "x"}))), Ignored, "")
			if !s.fold.Members[s.a[1].id].Leaving {
				s.t.Error("who wrote two histories is not silenced")
			}
		}},
		{"a fork silences its author whatever it says it was shown", func(s *script) {
			d := s.draft(s.a[1], demes.KindLeave, nil)
			d.Prev[0] ^= 1
			d.After = []demes.Mark{{Device: s.a[0].id, Seq: 99}}
			s.apply(wire.Seal(s.a[1].key, d), Consumed, VoidFork)
		}},
		{"who left is ignored", func(s *script) {
			s.does(s.a[1], demes.KindLeave, nil, "")
			s.apply(s.write(s.a[1], s.draft(s.a[1], demes.KindMessage, nil)), Ignored, "")
		}},
		{"shown of who left does not count", func(s *script) {
			s.does(s.a[1], demes.KindLeave, nil, "")
			d := s.draft(s.a[0], demes.KindProfile, wire.Marshal(&wire.Profile{Name: "x"}))
			d.After = []demes.Mark{{Device: s.a[1].id, Seq: s.a[1].seq + 5}}
			s.apply(s.write(s.a[0], d), Consumed, "")
		}},
	})
}

func TestVoidReasons(t *testing.T) {
	message := func(s *script) { s.says(s.a[1], "too early", VoidLobby) }
	raw := func(kind demes.Kind, by int, payload []byte, void string) func(*script) {
		return func(s *script) { s.does(s.a[by], kind, payload, void) }
	}
	for _, c := range []struct {
		name string
		do   func(s *script)
	}{
		{"a message in the lobby", message},
		{"a start by another", raw(demes.KindStart, 1, nil, VoidRight)},
		{"a second start", func(s *script) {
			s.starts()
			s.does(s.a[0], demes.KindStart, nil, VoidRight)
		}},
		{"an amend in the lobby", raw(demes.KindAmend, 0, nil, VoidLobby)},
		{"a role that does not decode", raw(demes.KindRole, 0, []byte{0xff}, VoidMalformed)},
		{"a role of nobody", raw(demes.KindRole, 0, nil, VoidMalformed)},
		{"settings that do not decode", raw(demes.KindSettings, 0, []byte{0xff}, VoidMalformed)},
		{"an unknown kind", raw(4_000_000_000, 0, nil, VoidKind)},
		{"kind 0", raw(0, 0, nil, VoidKind)},
		{"a profile that does not decode", raw(demes.KindProfile, 1, []byte{0xff}, VoidMalformed)},
		{"a profile without a name", raw(demes.KindProfile, 1, nil, VoidMalformed)},
		{"a name of many lines", raw(demes.KindProfile, 1, wire.Marshal(&wire.Profile{Name: "a\nb"}), VoidMalformed)},
		{"an invite that does not decode", raw(demes.KindInvite, 1, []byte{0xff}, VoidMalformed)},
		{"an invite without uses", raw(demes.KindInvite, 1, invitePayload(keyOf(1), 0, at), VoidMalformed)},
		{"an invite with too many uses", raw(demes.KindInvite, 1, invitePayload(keyOf(1), MaxInviteUses+1, at), VoidMalformed)},
		{"an invite with a short key", raw(demes.KindInvite, 1, wire.Marshal(&wire.Invite{InviteKey: []byte{1}, Uses: 1}), VoidMalformed)},
		{"an invite key that is in use", func(s *script) {
			key := s.invites(s.a[0], 1, 1, 1000)
			s.does(s.a[1], demes.KindInvite, invitePayload(key, 9, s.now+9999), VoidMalformed)
		}},
		{"a revoke that does not decode", raw(demes.KindRevoke, 1, []byte{0xff}, VoidMalformed)},
		{"a revoke of nothing", raw(demes.KindRevoke, 1, wire.Marshal(&wire.Revoke{InviteKey: make([]byte, 32)}), VoidInvite)},
		{"a revoke of another's invite", func(s *script) {
			key := s.invites(s.a[0], 1, 1, 1000)
			s.does(s.a[1], demes.KindRevoke, wire.Marshal(&wire.Revoke{InviteKey: key.Public().(ed25519.PublicKey)}), VoidRight)
		}},
		{"a commit that does not decode", raw(demes.KindCommit, 0, []byte{0xff}, VoidMalformed)},
		{"a commit without MLS bytes", func(s *script) {
			s.does(s.a[0], demes.KindCommit, wire.Marshal(&wire.Commit{Epoch: s.fold.Epoch, Changes: []*wire.Change{remove(s.a[1])}}), VoidKeys)
		}},
		{"a commit of garbage as MLS bytes", func(s *script) {
			s.does(s.a[0], demes.KindCommit, wire.Marshal(&wire.Commit{Epoch: s.fold.Epoch, Mls: []byte{1}, Changes: []*wire.Change{remove(s.a[1])}}), VoidKeys)
		}},
		{"a commit of another epoch", func(s *script) {
			for _, epoch := range []uint64{s.fold.Epoch - 1, s.fold.Epoch + 1, math.MaxUint64} {
				s.does(s.a[0], demes.KindCommit, wire.Marshal(&wire.Commit{Epoch: epoch, Changes: []*wire.Change{remove(s.a[1])}}), VoidEpoch)
			}
		}},
		{"a change of no kind", func(s *script) { s.commits(s.a[0], VoidKind, &wire.Change{}) }},
		{"a lamport beyond the lead", func(s *script) {
			d := s.draft(s.a[1], demes.KindProfile, wire.Marshal(&wire.Profile{Name: "far"}))
			d.Lamport = s.fold.Lamport + MaxLamportLead + 1
			s.apply(s.write(s.a[1], d), Consumed, VoidLamport)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, 2)
			s.joins(s.a[1])
			s.t = t
			members, position := len(s.fold.Members), s.fold.Position
			c.do(s)
			if len(s.fold.Members) != members || s.fold.Position != position || s.fold.Members[s.a[1].id].Name != s.a[1].name {
				t.Errorf("what was void had an effect: %d members, position %d", len(s.fold.Members), s.fold.Position)
			}
			s.does(s.a[1], demes.KindLeave, nil, "") // the author goes on behind what was void
		})
	}
}

func TestLamportLeadAtItsEdge(t *testing.T) {
	s := newScript(t, 1)
	s.joins(s.a[1])
	d := s.draft(s.a[1], demes.KindLeave, nil)
	d.Lamport = s.fold.Lamport + MaxLamportLead
	s.apply(s.write(s.a[1], d), Consumed, "")
	if s.fold.Lamport != d.Lamport {
		t.Errorf("lamport %d, want %d", s.fold.Lamport, d.Lamport)
	}
	s.fold.Lamport = math.MaxUint64 - 10 // no sum of it may wrap
	d = s.draft(s.a[0], demes.KindLeave, nil)
	d.Lamport = 3
	s.apply(s.write(s.a[0], d), Consumed, "")
	if s.fold.Lamport != math.MaxUint64-10 {
		t.Errorf("lamport went back to %d", s.fold.Lamport)
	}
}

func TestAllChangesOfACommitHoldOrNone(t *testing.T) {
	s := newScript(t, 3)
	s.joins(s.a[1])
	bad := s.request(s.a[3], nil)
	bad.DeviceSignature = slices.Clone(bad.DeviceSignature)
	bad.DeviceSignature[0] ^= 1
	before := s.fold.Epoch
	s.commits(s.a[0], VoidMalformed, add(s.request(s.a[2], nil)), remove(s.a[1]), add(bad))
	if s.fold.Members[s.a[2].id] != nil || s.fold.Members[s.a[1].id] == nil || s.fold.Epoch != before {
		t.Fatalf("half of a void commit holds: %d members, epoch %d", len(s.fold.Members), s.fold.Epoch)
	}
	s.commits(s.a[0], "", add(s.request(s.a[2], nil)), remove(s.a[1]), add(s.request(s.a[3], nil)))
	if len(s.fold.Members) != 3 || s.fold.Epoch != before+1 {
		t.Fatalf("%d members, epoch %d; want 3, %d", len(s.fold.Members), s.fold.Epoch, before+1)
	}
}
