package chat

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// company is a live chat of the founder (0), two admins (1, 2) and two members (3,
// 4); one more author (5) waits outside.
func company(t testing.TB) *script {
	s := newScript(t, 5)
	s.joins(s.a[1:5]...)
	s.gives(s.a[0], s.a[1], demes.RoleAdmin, "")
	s.gives(s.a[0], s.a[2], demes.RoleAdmin, "")
	s.starts()
	return s
}

func settingsPayload(adminsInvite bool, disappearMs int64) []byte {
	return wire.Marshal(&wire.Settings{AdminsInvite: adminsInvite, DisappearAfterMs: disappearMs})
}

func revokePayload(key ed25519.PrivateKey) []byte {
	return wire.Marshal(&wire.Revoke{InviteKey: key.Public().(ed25519.PublicKey)})
}

// TestWhoMayDoWhat is the matrix of rights: by whom, and what becomes of it.
func TestWhoMayDoWhat(t *testing.T) {
	const founder, admin, otherAdmin, member, otherMember = 0, 1, 2, 3, 4
	for _, c := range []struct {
		what string
		do   func(s *script, by *author, void string)
		want [5]string // by the founder, an admin, another admin, a member, another member
	}{
		{"remove the founder", func(s *script, by *author, void string) { s.commits(by, void, remove(s.a[founder])) },
			[5]string{VoidRight, VoidRight, VoidRight, VoidRight, VoidRight}},
		{"remove an admin", func(s *script, by *author, void string) { s.commits(by, void, remove(s.a[admin])) },
			[5]string{"", VoidRight, VoidRight, VoidRight, VoidRight}},
		{"remove a member", func(s *script, by *author, void string) { s.commits(by, void, remove(s.a[member])) },
			[5]string{"", "", "", VoidRight, VoidRight}},
		{"remove an admin that has left", func(s *script, by *author, void string) {
			s.does(s.a[otherAdmin], demes.KindLeave, nil, "")
			s.commits(by, void, remove(s.a[otherAdmin]))
		}, [5]string{"", "", "-", "", ""}},
		{"make a member an admin", func(s *script, by *author, void string) { s.gives(by, s.a[member], demes.RoleAdmin, void) },
			[5]string{"", VoidRight, VoidRight, VoidRight, VoidRight}},
		{"make an admin a member", func(s *script, by *author, void string) { s.gives(by, s.a[admin], demes.RoleMember, void) },
			[5]string{"", VoidRight, VoidRight, VoidRight, VoidRight}},
		{"make the founder a member", func(s *script, by *author, void string) { s.gives(by, s.a[founder], demes.RoleMember, void) },
			[5]string{VoidRight, VoidRight, VoidRight, VoidRight, VoidRight}},
		{"make somebody founder", func(s *script, by *author, void string) { s.gives(by, s.a[member], demes.RoleFounder, void) },
			[5]string{VoidMalformed, VoidMalformed, VoidMalformed, VoidMalformed, VoidMalformed}},
		{"give a stranger a role", func(s *script, by *author, void string) { s.gives(by, s.a[5], demes.RoleAdmin, void) },
			[5]string{VoidMalformed, VoidRight, VoidRight, VoidRight, VoidRight}},
		{"change the settings", func(s *script, by *author, void string) {
			s.does(by, demes.KindSettings, settingsPayload(true, 5), void)
		},
			[5]string{"", "", "", VoidRight, VoidRight}},
		{"have messages disappear after no time that there is", func(s *script, by *author, void string) {
			s.does(by, demes.KindSettings, settingsPayload(false, -1), void)
			s.does(by, demes.KindSettings, settingsPayload(false, MaxDisappear+1), void)
		}, [5]string{VoidMalformed, VoidMalformed, VoidMalformed, VoidMalformed, VoidMalformed}},
		{"invite", func(s *script, by *author, void string) {
			s.does(by, demes.KindInvite, invitePayload(keyOf(1), 1, s.now+1), void)
		}, [5]string{"", "", "", "", ""}},
		{"invite where admins invite", func(s *script, by *author, void string) {
			s.does(s.a[admin], demes.KindSettings, settingsPayload(true, 0), "")
			s.does(by, demes.KindInvite, invitePayload(keyOf(1), 1, s.now+1), void)
		}, [5]string{"", "", "", VoidRight, VoidRight}},
		{"revoke a member's invite", func(s *script, by *author, void string) {
			s.does(by, demes.KindRevoke, revokePayload(s.invites(s.a[member], 1, 1, hour)), void)
		}, [5]string{"", "", "", "", VoidRight}},
		{"revoke an admin's invite", func(s *script, by *author, void string) {
			s.does(by, demes.KindRevoke, revokePayload(s.invites(s.a[admin], 1, 1, hour)), void)
		}, [5]string{"", "", "", VoidRight, VoidRight}},
		{"let somebody in where admins invite, by an admin's invite", func(s *script, by *author, void string) {
			s.does(s.a[founder], demes.KindSettings, settingsPayload(true, 0), "")
			s.commits(by, void, add(s.request(s.a[5], s.invites(s.a[admin], 1, 1, hour))))
		}, [5]string{"", "", "", "", ""}},
		{"renew keys", func(s *script, by *author, void string) { s.commits(by, void) }, [5]string{"", "", "", "", ""}},
	} {
		for by, void := range c.want {
			if void == "-" {
				continue
			}
			t.Run(fmt.Sprintf("%s, by author %d", c.what, by), func(t *testing.T) {
				s := company(t)
				c.do(s, s.a[by], void)
				s.agree()
			})
		}
	}
}

func TestRolesAreThoseOfAPerson(t *testing.T) {
	s := company(t)
	admin, second := s.a[1], s.a[1].device(51)
	s.commits(s.a[3], "", add(s.request(second, nil)))
	if got := s.fold.Members[second.id].Role; got != demes.RoleAdmin {
		t.Fatalf("an admin's second device is %s, want admin", got)
	}
	s.commits(second, "", remove(s.a[3]))
	s.gives(s.a[0], admin, demes.RoleMember, "")
	if got := s.fold.Members[second.id].Role; got != demes.RoleMember {
		t.Errorf("the second device of who is no admin any more is %s", got)
	}
	s.commits(second, VoidRight, remove(s.a[4]))
	phone := s.a[0].device(52)
	s.commits(s.a[0], "", add(s.request(phone, nil)))
	s.gives(phone, s.a[4], demes.RoleAdmin, "")
	s.commits(s.a[2], VoidRight, remove(phone))
}

func TestSettingsStand(t *testing.T) {
	s := company(t)
	s.does(s.a[1], demes.KindSettings, settingsPayload(true, MaxDisappear), "")
	if want := (Settings{AdminsInvite: true, DisappearAfter: MaxDisappear}); s.fold.Settings != want || s.trial().Settings != want {
		t.Errorf("settings are %+v, and %+v read back; want %+v", s.fold.Settings, s.trial().Settings, want)
	}
	s.does(s.a[0], demes.KindSettings, nil, "")
	if s.fold.Settings != (Settings{}) {
		t.Errorf("settings are %+v, want none", s.fold.Settings)
	}
}

// TestDevicesOfOnePerson has people add, replace and take out devices of their own.
func TestDevicesOfOnePerson(t *testing.T) {
	replaces := func(s *script, d, old *author, invite ed25519.PrivateKey) *wire.JoinRequest {
		return s.requestWith(d, invite, func(b *wire.JoinBody) { b.Replaces = old.id[:] })
	}
	inLiveScript(t, mls.X25519, []scene{
		{"a second device needs no invite, and anybody may add it", func(s *script) {
			s.commits(s.a[2], "", add(s.request(s.a[1].device(50), nil)))
		}},
		{"two at once", func(s *script) {
			s.commits(s.a[2], "", add(s.request(s.a[1].device(50), nil)), add(s.request(s.a[1].device(51), nil)))
		}},
		{"a stranger's device needs one", func(s *script) { s.commits(s.a[0], VoidRight, add(s.request(s.a[3].device(50), nil))) }},
		{"the second device of who comes in the same commit needs none", func(s *script) {
			s.commits(s.a[0], "", add(s.joiner(3)), add(s.request(s.a[3].device(50), nil)))
		}},
		{"the request is not the person's word for ever", func(s *script) {
			request := s.request(s.a[1].device(50), nil)
			s.now += hour + 1
			s.commits(s.a[0], VoidInvite, add(request))
		}},
		{"a ninth device is one too many", func(s *script) {
			var devices []*author
			for i := range uint64(MaxDevices - 1) {
				devices = append(devices, s.a[1].device(50+i))
				s.commits(s.a[1], "", add(s.request(devices[i], nil)))
			}
			ninth := s.a[1].device(70)
			s.commits(s.a[1], VoidFull, add(s.request(ninth, nil)))
			s.commits(s.a[0], VoidFull, add(s.request(ninth, s.open())))
			s.commits(s.a[1], "", add(replaces(s, ninth, devices[0], nil))) // in another's place there is room
			s.commits(s.a[1], VoidFull, add(s.request(s.a[1].device(71), nil)))
			s.commits(s.a[1], "", remove(devices[1]))
			s.commits(s.a[1], "", add(s.request(s.a[1].device(71), nil)))
		}},
		{"a second device goes by its person's word, and never comes back", func(s *script) {
			second := s.a[1].device(50)
			s.commits(s.a[1], "", add(s.request(second, nil)))
			s.commits(second, "", remove(s.a[1])) // the second may take out the first
			if !s.fold.Gone[s.a[1].id].Revoked {
				s.t.Error("the device is not revoked")
			}
			s.commits(second, VoidRight, add(s.request(s.a[1], nil)))
			s.commits(s.a[0], VoidRight, add(s.request(s.a[1], s.open())))
			s.commits(s.a[0], VoidRight, add(replaces(s, s.a[1], second, s.open())))
		}},
		{"a device that others removed needs an invite", func(s *script) {
			second := s.a[1].device(50)
			s.commits(s.a[1], "", add(s.request(second, nil)))
			s.commits(s.a[0], "", remove(second))
			s.commits(s.a[1], VoidRight, add(s.request(second, nil)))
			s.commits(s.a[1], "", add(s.request(second, s.open())))
		}},
		{"a device that left needs an invite", func(s *script) {
			second := s.a[1].device(50)
			s.commits(s.a[1], "", add(s.request(second, nil)))
			s.does(second, demes.KindLeave, nil, "")
			s.commits(s.a[0], "", remove(second))
			s.commits(s.a[1], VoidRight, add(s.request(second, nil)))
			s.commits(s.a[0], "", add(s.request(second, s.open())))
		}},
		{"one takes the place of another", func(s *script) {
			key := s.invites(s.a[1], 1, 5, hour)
			second := s.a[1].device(50)
			s.commits(s.a[2], "", add(replaces(s, second, s.a[1], nil)))
			if s.fold.Members[s.a[1].id] != nil || !s.fold.Gone[s.a[1].id].Revoked || s.fold.Members[second.id] == nil {
				s.t.Error("the one is not in the place of the other")
			}
			s.commits(s.a[0], VoidInvite, add(s.request(s.a[3], key))) // its invites went with it
			s.commits(s.a[0], VoidRight, add(s.request(s.a[1], s.open())))
		}},
		{"one takes the founder's place", func(s *script) {
			second := s.a[0].device(50)
			s.commits(s.a[1], "", add(replaces(s, second, s.a[0], nil)))
			if s.fold.Founder != second.id || s.fold.Members[second.id].Role != demes.RoleFounder {
				s.t.Errorf("the founder is %s, a %s; want the new device", s.fold.Founder.Short(), s.fold.Members[second.id].Role)
			}
			s.a[0] = second // who goes on
		}},
		{"a second device takes the founder out", func(s *script) {
			second := s.a[0].device(50)
			s.commits(s.a[0], "", add(s.request(second, nil)))
			s.commits(second, "", remove(s.a[0]))
			if s.fold.Founder != second.id {
				s.t.Errorf("the founder is %s, want the second device", s.fold.Founder.Short())
			}
			s.a[0] = second
		}},
		{"nobody takes another person's place", func(s *script) {
			s.commits(s.a[0], VoidRight, add(replaces(s, s.a[3], s.a[1], s.open())))
			s.commits(s.a[0], VoidRight, add(replaces(s, s.a[1].device(50), s.a[2], nil)))
			s.commits(s.a[0], VoidRight, add(replaces(s, s.a[1].device(50), s.a[3], nil)))
		}},
		{"nobody takes a place twice", func(s *script) {
			p := s.planned(s.a[0], add(replaces(s, s.a[1].device(50), s.a[1], nil)), add(replaces(s, s.a[1].device(51), s.a[1], nil)))
			p.order.Remove = p.order.Remove[:1]
			s.plays(p, VoidRight)
		}},
		{"a place that is taken is left", func(s *script) {
			p := s.planned(s.a[0], add(replaces(s, s.a[1].device(50), s.a[1], nil)))
			p.order.Remove = nil
			s.plays(p, VoidKeys)
		}},
		{"another place than the one that is taken is left", func(s *script) {
			p := s.planned(s.a[0], add(replaces(s, s.a[1].device(50), s.a[1], nil)))
			p.order.Remove = nil
			s.removes(p, s.a[2].id)
			s.plays(p, VoidKeys)
		}},
		{"nobody is two", func(s *script) { s.commits(s.a[0], VoidRight, add(s.request(s.a[1], s.open())), remove(s.a[2])) }},
	})
}

// TestWhoWasRemovedNeedsAnInvite covers people without another device in the chat.
func TestWhoWasRemovedNeedsAnInvite(t *testing.T) {
	inLiveScript(t, mls.X25519, []scene{
		{"who was removed", func(s *script) {
			s.commits(s.a[0], "", remove(s.a[1]))
			s.commits(s.a[0], VoidRight, add(s.request(s.a[1], nil)))
			s.commits(s.a[2], VoidRight, add(s.request(s.a[1].device(50), nil)))
			s.commits(s.a[0], "", add(s.request(s.a[1], s.open())))
		}},
		{"an admin who was removed comes back as a member", func(s *script) {
			s.gives(s.a[0], s.a[1], demes.RoleAdmin, "")
			s.commits(s.a[0], "", remove(s.a[1]))
			s.commits(s.a[2], "", add(s.request(s.a[1], s.open())))
			if got := s.fold.Members[s.a[1].id].Role; got != demes.RoleMember {
				s.t.Errorf("came back as %s", got)
			}
		}},
	})
}

// TestHistoryIsSharedByTheInvite pins who may be shown what was said before.
func TestHistoryIsSharedByTheInvite(t *testing.T) {
	s := company(t)
	shares, hides := keyOf(1), keyOf(2)
	for key, history := range map[*ed25519.PrivateKey]bool{&shares: true, &hides: false} {
		s.does(s.a[0], demes.KindInvite, wire.Marshal(&wire.Invite{
			InviteKey: key.Public().(ed25519.PublicKey), Uses: 1, NotAfterMs: s.now + hour, History: history,
		}), "")
	}
	s.commits(s.a[0], "", add(s.request(s.a[5], shares)))
	other := newAuthor(60)
	s.commits(s.a[0], "", add(s.request(other, hides)))
	read := s.trial()
	if !s.fold.Members[s.a[5].id].History || s.fold.Members[other.id].History || !read.Members[s.a[5].id].History || read.Members[other.id].History {
		t.Error("history is shared with whom the invite did not say, or the other way round")
	}
}
