package chat

import (
	"crypto/ed25519"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

const hour = 3_600_000

// scene is one conversation that a script plays.
type scene struct {
	name string
	do   func(s *script)
}

// inLiveChat plays scenes in a chat of two that has started; three more authors
// wait outside.
func inLiveChat(t *testing.T, scenes []scene) {
	for _, c := range scenes {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, 4)
			s.joins(s.a[1])
			s.starts()
			c.do(s)
		})
	}
}

func TestInviteIsGoodWhileItLasts(t *testing.T) {
	inLiveChat(t, []scene{
		{"while it has uses", func(s *script) {
			key := s.invites(s.a[1], 1, 2, hour)
			s.commits(s.a[0], "", add(s.request(s.a[2], key)))
			s.commits(s.a[1], "", add(s.request(s.a[3], key))) // any member may admit
			s.commits(s.a[0], VoidInvite, add(s.request(s.a[4], key)))
		}},
		{"the last use taken twice in one commit", func(s *script) {
			key := s.invites(s.a[1], 1, 1, hour)
			s.commits(s.a[0], VoidInvite, add(s.request(s.a[2], key)), add(s.request(s.a[3], key)))
			s.commits(s.a[0], "", add(s.request(s.a[2], key)))
		}},
		{"two commits race for the last use", func(s *script) {
			key := s.invites(s.a[1], 1, 1, hour)
			first, second := s.request(s.a[2], key), s.request(s.a[3], key)
			s.commits(s.a[0], "", add(first))
			s.commits(s.a[1], VoidInvite, add(second))
		}},
		{"until it expires by log time", func(s *script) {
			key := s.invites(s.a[1], 1, 9, hour)
			s.now += hour
			s.commits(s.a[0], "", add(s.request(s.a[2], key)))
			s.now++
			s.commits(s.a[0], VoidInvite, add(s.request(s.a[3], key)))
			s.now -= 2 * hour // log time does not go back
			late := s.request(s.a[3], key)
			s.now += 2 * hour
			s.commits(s.a[0], VoidInvite, add(late))
		}},
		{"until it is revoked by its author", func(s *script) {
			key := s.invites(s.a[1], 1, 9, hour)
			s.does(s.a[1], demes.KindRevoke, wire.Marshal(&wire.Revoke{InviteKey: key.Public().(ed25519.PublicKey)}), "")
			s.commits(s.a[0], VoidInvite, add(s.request(s.a[2], key)))
		}},
		{"until it is revoked by the founder", func(s *script) {
			key := s.invites(s.a[1], 1, 9, hour)
			s.does(s.a[0], demes.KindRevoke, wire.Marshal(&wire.Revoke{InviteKey: key.Public().(ed25519.PublicKey)}), "")
			s.commits(s.a[0], VoidInvite, add(s.request(s.a[2], key)))
		}},
		{"while its author is a member", func(s *script) {
			key := s.invites(s.a[1], 1, 9, hour)
			s.does(s.a[1], demes.KindLeave, nil, "")
			s.commits(s.a[0], "", add(s.request(s.a[2], key))) // it has left and is not removed yet
			s.commits(s.a[0], "", remove(s.a[1]))
			s.commits(s.a[0], VoidInvite, add(s.request(s.a[3], key)))
		}},
	})
}

func TestInviteIsGoodForItsRequest(t *testing.T) {
	inLiveChat(t, []scene{
		{"only once", func(s *script) {
			key := s.invites(s.a[1], 1, 9, hour)
			request := s.request(s.a[2], key)
			s.commits(s.a[0], "", add(request))
			s.commits(s.a[0], VoidRight, add(s.request(s.a[2], key)))
			again := s.planned(s.a[0], add(request))
			again.order.Add = nil // MLS lets nobody add a leaf twice
			s.plays(again, VoidRight)
			s.commits(s.a[0], "", remove(s.a[2]))
			s.commits(s.a[0], "", add(request)) // whoever was removed may be let in again
		}},
		{"for a request that has not expired", func(s *script) {
			key := s.invites(s.a[1], 1, 9, 100*hour)
			request := s.request(s.a[2], key)
			s.now += hour + 1
			s.commits(s.a[0], VoidInvite, add(request))
		}},
		{"for this chat", func(s *script) {
			key := s.invites(s.a[1], 1, 9, hour)
			other := wire.SealJoin(s.a[2].key, key, &wire.JoinBody{Chat: make([]byte, 32), Cert: s.a[2].cert(), Name: "x", NotAfterMs: s.now + hour})
			s.commits(s.a[0], VoidMalformed, add(other))
		}},
		{"for a request that its key signed", func(s *script) {
			key := s.invites(s.a[1], 1, 9, hour)
			request := s.request(s.a[2], key)
			request.InviteSignature = s.request(s.a[3], key).GetInviteSignature()
			s.commits(s.a[0], VoidMalformed, add(request))
		}},
		{"never, when nobody made it", func(s *script) { s.commits(s.a[0], VoidInvite, add(s.request(s.a[2], keyOf(77)))) }},
	})
}

func TestKnocksAreForTheLobbyAndItsFounder(t *testing.T) {
	s := newScript(t, 3)
	s.joins(s.a[1])
	s.commits(s.a[1], VoidRight, add(s.request(s.a[2], nil)))
	s.commits(s.a[0], "", add(s.request(s.a[2], nil)))
	padded := s.request(s.a[3], nil)
	padded.InviteSignature = make([]byte, 60_000)
	s.commits(s.a[0], VoidMalformed, add(padded))
	s.starts()
	s.commits(s.a[0], VoidRight, add(s.request(s.a[3], nil)))
}

func TestWhoMayRemoveWhom(t *testing.T) {
	s := newScript(t, 3)
	s.joins(s.a[1], s.a[2], s.a[3])
	founder, one, two := s.a[0], s.a[1], s.a[2]
	s.commits(one, VoidRight, remove(two))
	s.commits(one, VoidRight, remove(one))
	s.commits(one, VoidRight, remove(founder))
	s.commits(founder, VoidRight, remove(founder))
	s.commits(founder, VoidMalformed, remove(newAuthor(9)))
	s.gives(founder, one, demes.RoleAdmin, "")
	s.commits(one, VoidRight, remove(founder))
	s.commits(one, "", remove(two))
	s.commits(founder, "", remove(one))
	s.does(s.a[3], demes.KindLeave, nil, "")
	s.commits(founder, "", remove(s.a[3]))
	if len(s.fold.Members) != 1 || len(s.fold.Gone) != 3 {
		t.Fatalf("%d members and %d gone, want 1 and 3", len(s.fold.Members), len(s.fold.Gone))
	}
}

func TestWhoHasLeftIsRemovedByAnybody(t *testing.T) {
	s := newScript(t, 2)
	s.joins(s.a[1], s.a[2])
	s.does(s.a[0], demes.KindLeave, nil, "") // the founder too
	s.commits(s.a[1], "", remove(s.a[0]))
	s.commits(s.a[1], VoidRight, remove(s.a[2])) // nobody has a founder's rights now
}

func TestWhoReturnsGoesOnWhereItEnded(t *testing.T) {
	s := newScript(t, 1)
	s.joins(s.a[1])
	profile := wire.Marshal(&wire.Profile{Name: "again"})
	old := s.write(s.a[1], s.draft(s.a[1], demes.KindProfile, profile))
	s.apply(old, Consumed, "")
	s.commits(s.a[0], "", remove(s.a[1]))
	s.apply(old, Ignored, "")
	s.joins(s.a[1])
	if m := s.fold.Members[s.a[1].id]; m.LastSeq != s.a[1].seq || m.LastHash != s.a[1].prev {
		t.Fatalf("its log goes on behind %d, want %d", m.LastSeq, s.a[1].seq)
	}
	s.apply(old, Ignored, "")
	s.does(s.a[1], demes.KindProfile, profile, "")
}

// TestTheLongestGoneAreForgotten pins the limit, and what it costs: see
// docs/protocol.md#limits.
func TestTheLongestGoneAreForgotten(t *testing.T) {
	s := newScript(t, 1)
	for i := range MaxGone + 10 {
		d := demes.DeviceID{byte(i), byte(i >> 8), 1}
		s.fold.Gone[d] = Gone{LastSeq: 1, Index: uint64(i)}
	}
	s.joins(s.a[1])
	if n := len(s.fold.Gone); n != MaxGone {
		t.Fatalf("%d are remembered, want %d", n, MaxGone)
	}
	if _, kept := s.fold.Gone[demes.DeviceID{9, 0, 1}]; kept {
		t.Error("one of the longest gone is remembered")
	}
	if _, kept := s.fold.Gone[demes.DeviceID{10, 0, 1}]; !kept {
		t.Error("one too many was forgotten")
	}
}

func TestChatIsFullAtItsLimits(t *testing.T) {
	s := newScript(t, 1)
	for i := len(s.fold.Members); i < MaxMembers; i++ {
		d := demes.DeviceID{byte(i), byte(i >> 8), 2}
		s.fold.Members[d] = &Member{Device: d, Name: "x"}
	}
	s.commits(s.a[0], VoidFull, add(s.request(s.a[1], nil)))
	for i := range uint64(MaxInvites) {
		s.invites(s.a[0], i, 1, 1000)
	}
	s.does(s.a[0], demes.KindInvite, invitePayload(keyOf(1), 1, s.now+1000), VoidFull)
	s.now += 1001 // what has expired makes room
	s.does(s.a[0], demes.KindInvite, invitePayload(keyOf(1), 1, s.now+1000), "")
	if n := len(s.fold.Invites); n != 1 {
		t.Errorf("%d invites, want 1", n)
	}
}

func TestLogTimeNeverGoesBack(t *testing.T) {
	s := newScript(t, 1)
	s.joins(s.a[1])
	s.starts()
	const year = 365 * 24 * 3_600_000
	for _, c := range []struct{ jump, want int64 }{{5, 5}, {-10 * year, 5}, {20 * year, 20 * year}, {-30 * year, 20 * year}} {
		s.now = at + c.jump
		s.says(s.a[1], "what time is it?", "")
		if got := s.fold.LogMs - at; got != c.want {
			t.Fatalf("after a stamp of %+d ms: log time %+d, want %+d", c.jump, got, c.want)
		}
	}
}

func TestRecordsAreTheHostsOfTheirTerm(t *testing.T) {
	plan := func() *wire.RecordBody { return planRecord(Rank{Device: newAuthor(1).id, ScoreUs: 5}) }
	for _, c := range []struct {
		name string
		do   func(s *script)
	}{
		{"a host record by an elector, in a higher term", func(s *script) {
			s.record(s.a[1], 7, hostRecord(), Consumed)
			if s.fold.Term != 7 || s.fold.Host != s.a[1].id {
				s.t.Errorf("host %s of term %d", s.fold.Host.Short(), s.fold.Term)
			}
		}},
		{"no host record in the same term", func(s *script) { s.record(s.a[1], 3, hostRecord(), Ignored) }},
		{"no host record in a lower term", func(s *script) { s.record(s.a[1], 2, hostRecord(), Ignored) }},
		{"no host record by one who is no elector", func(s *script) { s.record(s.a[2], 4, hostRecord(), Ignored) }},
		{"a plan by the host", func(s *script) { s.record(s.a[0], 3, plan(), Consumed) }},
		{"no plan by another elector", func(s *script) { s.record(s.a[1], 3, plan(), Ignored) }},
		{"no plan in another term", func(s *script) { s.record(s.a[0], 4, plan(), Ignored) }},
		{"no plan of more than all members", func(s *script) {
			s.record(s.a[0], 3, planRecord(make([]Rank, MaxMembers+1)...), Ignored)
		}},
		{"no record of another term than its entry's", func(s *script) {
			body := hostRecord()
			body.Chat, body.Generation, body.Term = s.fold.Chat[:], 1, 9
			s.record(s.a[1], 8, body, Ignored)
		}},
		{"no record of another generation", func(s *script) {
			body := hostRecord()
			body.Chat, body.Generation, body.Term = s.fold.Chat[:], 2, 9
			s.record(s.a[1], 9, body, Ignored)
		}},
		{"no record of another chat", func(s *script) {
			body := hostRecord()
			body.Chat, body.Generation, body.Term = make([]byte, 32), 1, 9
			s.record(s.a[1], 9, body, Ignored)
		}},
		{"no record of nothing", func(s *script) { s.record(s.a[1], 9, &wire.RecordBody{}, Ignored) }},
		{"no empty record", func(s *script) {
			s.applySealed(Sealed{Generation: 1, Term: 9, Record: &wire.Record{}}, Ignored, "")
		}},
		{"no event signed as record", func(s *script) {
			body := hostRecord()
			body.Chat, body.Generation, body.Term = s.fold.Chat[:], 1, 9
			raw := wire.Marshal(body)
			s.applySealed(Sealed{Generation: 1, Term: 9, Record: &wire.Record{
				Body: raw, Device: s.a[1].id[:], Signature: wire.Sign(s.a[1].key, wire.LabelEvent, raw),
			}}, Ignored, "")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, 2)
			s.joins(s.a[1], s.a[2])
			s.starts()
			s.fold.Enter(1, []demes.DeviceID{s.a[0].id, s.a[1].id})
			s.slot = 0
			s.record(s.a[0], 3, hostRecord(), Consumed)
			s.t = t
			c.do(s)
		})
	}
}

func TestAGenerationBeginsItsSlotsAndTermsAnew(t *testing.T) {
	s := newScript(t, 1)
	s.record(s.a[0], 5, hostRecord(), Consumed)
	s.fold.Enter(1, []demes.DeviceID{s.a[0].id})
	s.slot = 0
	s.record(s.a[0], 2, hostRecord(), Consumed)
	if s.fold.Term != 2 || s.fold.Slot != 1 {
		t.Errorf("term %d, slot %d; want 2, 1", s.fold.Term, s.fold.Slot)
	}
}
