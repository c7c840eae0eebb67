package chat

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// says has a guest say something and waits until everybody has settled it.
func (r *room) says(by *guest, text string) demes.EventID {
	r.t.Helper()
	id, err := by.chat.SendText(r.clock(), text, nil, "")
	if err != nil {
		r.t.Fatal(err)
	}
	r.settles(id)
	return id
}

// settles waits until everybody has settled an event.
func (r *room) settles(id demes.EventID) {
	r.t.Helper()
	r.pump()
	if !r.until(10_000, func() bool {
		for _, g := range r.guests {
			if m := g.chat.fold.Members[id.Device]; m == nil || m.LastSeq < id.Seq || g.chat.fold.Head != r.guests[0].chat.fold.Head {
				return false
			}
		}
		return true
	}) {
		r.t.Fatalf("%s is not settled\n%s", id, r)
	}
}

// done waits until everybody has settled what a guest has just done.
func (r *room) done(by *guest, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	r.settles(demes.EventID{Device: by.id, Seq: by.chat.lastOwn()})
}

// entry is an event as a guest's disk has it settled.
func (g *guest) entry(id demes.EventID) SettledEntry {
	for _, s := range g.disk.settled {
		if s.Event != nil && s.Event.ID == id {
			s.Event = g.disk.read(s.Event)
			return s
		}
	}
	g.room.t.Fatalf("%s has not settled %s", g.name, id)
	return SettledEntry{}
}

// shows is what a guest is shown of a message.
func (g *guest) shows(id demes.EventID) demes.MessageView { return g.chat.Message(g.entry(id)) }

// others are all guests but some.
func (r *room) others(but ...*guest) (out []*guest) {
	for _, g := range r.guests {
		if !slices.Contains(but, g) {
			out = append(out, g)
		}
	}
	return out
}

// forges has a guest's device sign an event that its program never would.
func (r *room) forges(by *guest, kind demes.Kind, content demes.Hash, payload func(context demes.Hash) []byte) *demes.Event {
	r.t.Helper()
	c := by.chat
	seq, prev := c.tail.end(c.fold, by.id)
	e, err := wire.SealWith(by.key, wire.Draft{
		Chat: c.id, ID: demes.EventID{Device: by.id, Seq: seq + 1}, Kind: kind, Prev: prev, Seen: c.fold.Head,
		Lamport: c.fold.Lamport + 1, SentAt: r.clock().Wall, Content: content,
	}, func(context demes.Hash) ([]byte, error) { return payload(context), nil })
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// gives hands an event to guests, as its author would.
func (by *guest) gives(e *demes.Event, to ...*guest) {
	by.room.t.Helper()
	for _, g := range to {
		f := &wire.Frame{Kind: &wire.Frame_Events{Events: &wire.Events{Events: []*wire.Event{wire.PutEvent(e)}}}}
		if err := by.tells(g, f); err != nil {
			by.room.t.Fatal(err)
		}
	}
}

// seal encrypts as a guest's program does.
func (by *guest) seal(plain, data []byte) []byte {
	by.room.t.Helper()
	by.chat.keys.used = true
	sealed, err := by.chat.keys.group.Send(plain, mls.Envelope{AuthenticatedData: data, PadTo: PadTo})
	if err != nil {
		by.room.t.Fatal(err)
	}
	return sealed
}

// TestTheAuthorIsWhoSealedIt has a member put into its own event what it did not
// seal for it. Everybody counts the message, nobody reads it (B2).
func TestTheAuthorIsWhoSealedIt(t *testing.T) {
	plain, commit := wire.PutContent([16]byte{9}, &wire.MessageContent{Text: "forged"})
	other, _ := wire.PutContent([16]byte{9}, &wire.MessageContent{Text: "another"})
	amend, amends := wire.PutContent([16]byte{9}, &wire.MessageContent{Amend: &wire.Amend{Kind: &wire.Amend_Title{Title: "x"}}})
	for _, c := range []struct {
		name    string
		content demes.Hash
		payload func(r *room, evil *guest, context demes.Hash) []byte
	}{
		{"sealed for another event", commit, func(_ *room, evil *guest, context demes.Hash) []byte {
			context[0] ^= 1
			return evil.seal(plain, context[:])
		}},
		{"sealed for no event", commit, func(_ *room, evil *guest, _ demes.Hash) []byte { return evil.seal(plain, nil) }},
		{"sealed by another member for this very event", commit, func(r *room, evil *guest, context demes.Hash) []byte {
			return r.others(evil)[0].seal(plain, context[:])
		}},
		{"another content than was committed to", commit, func(_ *room, evil *guest, context demes.Hash) []byte { return evil.seal(other, context[:]) }},
		{"without a commitment", demes.Hash{}, func(_ *room, evil *guest, context demes.Hash) []byte { return evil.seal(plain, context[:]) }},
		{"what is no content", demes.Sum([]byte{0xff}), func(_ *room, evil *guest, context demes.Hash) []byte { return evil.seal([]byte{0xff}, context[:]) }},
		{"what stands for a deleted one", demes.Sum(gone), func(_ *room, evil *guest, context demes.Hash) []byte { return evil.seal(gone, context[:]) }},
		{"an amend as a message", amends, func(_ *room, evil *guest, context demes.Hash) []byte { return evil.seal(amend, context[:]) }},
		{"in the clear", commit, func(*room, *guest, demes.Hash) []byte { return plain }},
		{"nothing", commit, func(*room, *guest, demes.Hash) []byte { return nil }},
		{"garbage", commit, func(*room, *guest, demes.Hash) []byte { return []byte("garbage") }},
		{"altered on its way", commit, func(_ *room, evil *guest, context demes.Hash) []byte {
			sealed := evil.seal(plain, context[:])
			sealed[len(sealed)-1] ^= 1
			return sealed
		}},
		{"cut", commit, func(_ *room, evil *guest, context demes.Hash) []byte {
			sealed := evil.seal(plain, context[:])
			return sealed[:len(sealed)-1]
		}},
		{"an MLS commit", commit, func(r *room, evil *guest, context demes.Hash) []byte {
			staged, err := evil.chat.keys.group.Commit(mls.Commit{Envelope: mls.Envelope{AuthenticatedData: context[:]}}, time.UnixMilli(r.clock().Wall))
			if err != nil {
				t.Fatal(err)
			}
			defer staged.Discard()
			return staged.Message
		}},
		{"an encrypted MLS commit", commit, func(r *room, evil *guest, context demes.Hash) []byte {
			staged, err := evil.chat.keys.group.Commit(mls.Commit{Envelope: mls.Envelope{AuthenticatedData: context[:], Private: true}}, time.UnixMilli(r.clock().Wall))
			if err != nil {
				t.Fatal(err)
			}
			defer staged.Discard()
			return staged.Message
		}},
		{"an MLS proposal", commit, func(_ *room, evil *guest, context demes.Hash) []byte {
			message, err := evil.chat.keys.group.ProposeUpdate(mls.Envelope{AuthenticatedData: context[:], Private: true})
			if err != nil {
				t.Fatal(err)
			}
			return message
		}},
		{"under keys that never come", commit, func(_ *room, evil *guest, context demes.Hash) []byte {
			return withEpoch(evil, evil.seal(plain, context[:]), 1<<60)
		}},
		{"under keys of the next epoch", commit, func(_ *room, evil *guest, context demes.Hash) []byte {
			return withEpoch(evil, evil.seal(plain, context[:]), evil.chat.fold.Epoch+1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t, 3)
			evil := r.backup()
			before := evil.chat.fold.Position
			e := r.forges(evil, demes.KindMessage, c.content, func(context demes.Hash) []byte { return c.payload(r, evil, context) })
			evil.gives(e, r.others(evil)...)
			r.settles(e.ID)
			for _, g := range r.others(evil) {
				entry, v := g.entry(e.ID), g.shows(e.ID)
				if entry.Void != "" || entry.Position != before+1 || g.chat.fold.Position != before+1 {
					t.Errorf("%s does not count it: void %q, position %d", g.name, entry.Void, entry.Position)
				}
				if !bytes.Equal(entry.Event.Plain, unreadable) || v.Text != "" || v.Problem == nil || v.Problem.Code != demes.CodeBadInput {
					t.Errorf("%s reads %x, shown as %q with problem %v", g.name, entry.Event.Plain, v.Text, v.Problem)
				}
				if g.chat.reading.from != 0 || !g.chat.reading.lacks.empty() {
					t.Errorf("%s waits for keys or contents: from %d, lacks %v", g.name, g.chat.reading.from, g.chat.reading.lacks)
				}
			}
			for _, g := range r.others(evil) {
				id := r.says(g, "we go on")
				for _, reader := range r.others(evil) {
					if v := reader.shows(id); v.Text != "we go on" {
						t.Errorf("%s does not read %s afterwards: %+v", reader.name, g.name, v.Problem)
					}
				}
			}
		})
	}
}

// withEpoch writes another epoch into the header of a sealed message, which stands
// behind version, format and the group's id.
func withEpoch(of *guest, sealed []byte, epoch uint64) []byte {
	at := 2 + 2 + 1 + len(of.chat.keys.group.ID())
	binary.BigEndian.PutUint64(sealed[at:], epoch)
	return sealed
}

// TestWhoCopiesAPayloadFirstTakesNothingAway has a member hand out another's sealed
// payload in an event of its own before the real one is there: the key is used up
// for nothing, and who lost it that way is shown the message by others.
func TestWhoCopiesAPayloadFirstTakesNothingAway(t *testing.T) {
	r := newRoom(t, 3)
	evil, author := r.backup(), r.host()
	reader := r.others(evil, author)[0]
	author.chat.Disconnected(r.clock(), reader.id) // the reader hears of it later
	reader.chat.Disconnected(r.clock(), author.id)
	id, err := author.chat.SendText(r.clock(), "the original", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	out, _ := author.chat.Output()
	author.disk.commit(out.Batch)
	author.chat.Advance()
	original := author.chat.tail.get(id)
	if original == nil {
		t.Fatal("the message is not sealed")
	}
	copied := r.forges(evil, demes.KindMessage, original.Content, func(demes.Hash) []byte { return original.Payload })
	evil.gives(copied, reader, author)
	r.pump()
	author.chat.Connected(r.clock(), reader.id)
	reader.chat.Connected(r.clock(), author.id)
	r.settles(id)
	r.settles(copied.ID)
	r.until(10_000, func() bool { return reader.shows(id).Text != "" })
	if got := reader.shows(id); got.Text != "the original" || got.Author.Device != author.id.String() {
		t.Errorf("the reader is shown %q by %s, problem %v", got.Text, got.Author.Device, got.Problem)
	}
	if got := reader.shows(copied.ID); got.Text != "" {
		t.Errorf("the copy is read as %q", got.Text)
	}
	r.says(author, "we go on")
}

// TestAMessageUnderKeysThatNeverComeKeepsNothingBack has a member name an epoch
// that there will never be, and then others' keys change: what waits for those keys
// behind it is opened.
func TestAMessageUnderKeysThatNeverComeKeepsNothingBack(t *testing.T) {
	r := newRoom(t, 4)
	evil := r.backup()
	behind := r.others(evil, r.host())[0]
	r.loses(behind)
	plain, commit := wire.PutContent([16]byte{9}, &wire.MessageContent{Text: "never"})
	e := r.forges(evil, demes.KindMessage, commit, func(context demes.Hash) []byte { return withEpoch(evil, evil.seal(plain, context[:]), 1<<60) })
	evil.gives(e, r.others(evil, behind)...)
	r.run(500)
	by := r.others(evil, behind)[0]
	by.chat.door.refresh = true
	by.chat.stage()
	r.run(2_000)
	id, err := by.chat.SendText(r.clock(), "with new keys", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	r.run(1_000)
	if by.chat.keys.group.Epoch() == behind.chat.keys.group.Epoch() {
		t.Fatal("the keys did not change")
	}
	r.finds(behind)
	r.settles(id)
	r.run(2_000)
	if v := behind.shows(id); v.Text != "with new keys" {
		t.Errorf("it is shown %q, problem %v", v.Text, v.Problem)
	}
}

// loses cuts a guest off, and finds brings it back.
func (r *room) loses(g *guest) {
	for _, other := range r.guests {
		if other != g {
			g.chat.Disconnected(r.clock(), other.id)
			other.chat.Disconnected(r.clock(), g.id)
		}
	}
}

func (r *room) finds(g *guest) { r.connect(g) }

// TestWhoMayAmendWhat tries every amend by everybody, once through the program and
// once by a program that asks nobody.
func TestWhoMayAmendWhat(t *testing.T) {
	r := newRoom(t, 4)
	founder, admin, author := r.guests[0], r.guests[1], r.guests[2] // and one more member
	r.done(founder, founder.chat.SetRole(r.clock(), account(admin), demes.RoleAdmin))
	edit := func(id demes.EventID) *wire.Amend {
		return &wire.Amend{Target: wire.PutRef(id), Kind: &wire.Amend_Edit{Edit: "edited"}}
	}
	del := func(id demes.EventID) *wire.Amend {
		return &wire.Amend{Target: wire.PutRef(id), Kind: &wire.Amend_Delete{Delete: true}}
	}
	react := func(id demes.EventID) *wire.Amend {
		return &wire.Amend{Target: wire.PutRef(id), Kind: &wire.Amend_React{React: "👍"}}
	}
	title := func(demes.EventID) *wire.Amend { return &wire.Amend{Kind: &wire.Amend_Title{Title: "another title"}} }
	changed := func(g *guest, id demes.EventID) bool {
		v := g.shows(id)
		return v.Text != "as it was" || v.Deleted || v.EditedAt != nil || len(v.Reactions) > 0 || g.chat.title == "another title"
	}
	for _, c := range []struct {
		name  string
		amend func(id demes.EventID) *wire.Amend
		do    func(g *guest, id demes.EventID) error
		may   []*guest
	}{
		{"edit", edit, func(g *guest, id demes.EventID) error { return g.chat.Edit(r.clock(), id, "edited") }, []*guest{author}},
		{"delete", del, func(g *guest, id demes.EventID) error { return g.chat.Delete(r.clock(), id) }, []*guest{author, admin, founder}},
		{"react to", react, func(g *guest, id demes.EventID) error { return g.chat.React(r.clock(), id, "👍", true) }, r.guests},
		{"retitle beside", title, func(g *guest, _ demes.EventID) error { return g.chat.Retitle(r.clock(), "another title") }, []*guest{founder, admin}},
	} {
		for _, by := range r.guests {
			may := slices.Contains(c.may, by)
			for _, forged := range []bool{false, true} {
				id := r.says(author, "as it was")
				if forged {
					plain, _ := wire.PutContent([16]byte{3}, &wire.MessageContent{Amend: c.amend(id)})
					if _, err := by.chat.submit(demes.KindAmend, plain, ""); err != nil {
						t.Fatal(err)
					}
					r.settles(demes.EventID{Device: by.id, Seq: by.chat.lastOwn()})
				} else if err := c.do(by, id); (err == nil) != may {
					t.Errorf("%s may %s what %s said: %v, want %v", by.name, c.name, author.name, err, may)
				} else if err == nil {
					r.done(by, nil)
				}
				for _, g := range r.guests {
					if changed(g, id) != may {
						t.Errorf("%s shows %+v after %s tried to %s it (forged: %v), want changed: %v", g.name, g.shows(id), by.name, c.name, forged, may)
					}
				}
				if c.name == "retitle beside" && may {
					r.done(founder, founder.chat.Retitle(r.clock(), "a chat"))
				}
			}
		}
	}
}

func account(of *guest) demes.AccountID {
	return of.chat.fold.Members[of.id].Account
}

func TestEditsAndReactionsAreShown(t *testing.T) {
	r := newRoom(t, 3)
	a, b, c := r.guests[0], r.guests[1], r.guests[2]
	id := r.says(a, "frist")
	r.done(a, a.chat.Edit(r.clock(), id, "first"))
	r.done(a, a.chat.Edit(r.clock(), id, "First"))
	for _, g := range []*guest{a, b, b, c} { // one of them twice
		r.done(g, g.chat.React(r.clock(), id, "👍", true))
	}
	r.done(c, c.chat.React(r.clock(), id, "🎉", true))
	r.done(a, a.chat.React(r.clock(), id, "👍", false))
	check := func(when string) {
		t.Helper()
		for _, g := range r.guests {
			v := g.shows(id)
			if v.Text != "First" || v.EditedAt == nil || len(v.Reactions) != 2 {
				t.Fatalf("%s: %s shows %+v", when, g.name, v)
			}
			thumbs := v.Reactions[0]
			if thumbs.Emoji != "👍" || len(thumbs.By) != 2 || thumbs.Mine != (g.id == b.id || g.id == c.id) || v.Reactions[1].Emoji != "🎉" {
				t.Errorf("%s: %s shows the reactions %+v", when, g.name, v.Reactions)
			}
		}
	}
	check("at once")
	again := r.reopened(t)
	*r = *again
	r.guests = again.guests
	check("after a restart")
	for i := range MaxReactions + 5 {
		r.done(r.guests[1], r.guests[1].chat.React(r.clock(), id, string(rune('😀'+i)), true))
	}
	if got := len(r.guests[0].shows(id).Reactions); got != MaxReactions {
		t.Errorf("%d emoji are shown, want %d", got, MaxReactions)
	}
	for _, emoji := range []string{"", "lol", "1", "a👍", strings.Repeat("👍", 40)} {
		if err := r.guests[1].chat.React(r.clock(), id, emoji, true); err == nil {
			t.Errorf("%q can be reacted with", emoji)
		}
	}
	if err := r.guests[0].chat.Edit(r.clock(), id, ""); err == nil {
		t.Error("a message can be edited to nothing")
	}
}

// TestWhatIsDeletedIsGoneFromTheDisk looks for the plaintext of a message, and of
// all that was said about it, on every disk.
func TestWhatIsDeletedIsGoneFromTheDisk(t *testing.T) {
	r := newRoom(t, 3)
	a, b := r.guests[1], r.guests[2]
	id := r.says(a, "a secret word")
	keeps := r.says(a, "that stays")
	r.done(a, a.chat.Edit(r.clock(), id, "another secret word"))
	r.done(b, b.chat.React(r.clock(), id, "🤫", true))
	r.done(r.guests[0], r.guests[0].chat.Delete(r.clock(), id))
	r.done(a, a.chat.Edit(r.clock(), id, "a late secret word")) // its author has not heard of it
	for _, g := range r.guests {
		if v := g.shows(id); !v.Deleted || v.Text != "" || v.EditedAt != nil || len(v.Reactions) != 0 {
			t.Errorf("%s shows %+v", g.name, v)
		}
		if v := g.shows(keeps); v.Text != "that stays" || v.Deleted {
			t.Errorf("%s lost another message: %+v", g.name, v)
		}
		for of, c := range g.disk.contents {
			if bytes.Contains(c.Plain, []byte("secret word")) || bytes.Contains(c.Plain, []byte("🤫")) {
				t.Errorf("%s keeps %q of %s", g.name, c.Plain, of)
			}
		}
	}
	again := r.reopened(t)
	for _, g := range again.guests {
		if v := g.shows(id); !v.Deleted || v.Text != "" {
			t.Errorf("after a restart %s shows %+v", g.name, v)
		}
	}
}

// TestMessagesDisappearWhenTheirTimeIsOver counts from the time by which a message
// settled.
func TestMessagesDisappearWhenTheirTimeIsOver(t *testing.T) {
	r := newRoom(t, 3)
	founder, away := r.guests[0], r.guests[2]
	stays := r.says(founder, "from before")
	r.done(founder, founder.chat.SetSettings(r.clock(), demes.SettingsView{DisappearAfterS: 60}))
	id := r.says(founder, "for a minute")
	for _, g := range r.guests {
		entry := g.entry(id)
		if got := g.disk.contents[id].ExpiresMs; got != entry.LogMs+60_000 {
			t.Errorf("on the disk of %s it expires at %+d, want a minute after it settled", g.name, got-entry.LogMs)
		}
		if v := g.shows(id); v.Text != "for a minute" || v.ExpiresAt == nil || v.ExpiresAt.UnixMilli() != entry.LogMs+60_000 {
			t.Errorf("%s shows %+v", g.name, v)
		}
		if got := g.disk.contents[stays].ExpiresMs; got != 0 {
			t.Errorf("what settled before the rule expires at %d", got)
		}
	}
	r.loses(away)
	missed, err := founder.chat.SendText(r.clock(), "missed for ever", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	r.run(58_000)
	if v := founder.shows(id); v.Deleted {
		t.Error("it is gone too early")
	}
	r.run(5_000)
	for _, g := range r.guests {
		if v := g.shows(id); !v.Deleted || v.Text != "" || !isGone(g.disk.contents[id].Plain) {
			t.Errorf("%s still shows %+v, and has %q", g.name, v, g.disk.contents[id].Plain)
		}
		if v := g.shows(stays); v.Text != "from before" {
			t.Errorf("%s lost what was said before the rule: %+v", g.name, v)
		}
	}
	r.finds(away)
	r.settles(missed)
	r.run(1_000)
	if v := away.shows(missed); !v.Deleted || v.Text != "" {
		t.Errorf("who was away shows %+v", v)
	}
	if away.disk.durably[missed] {
		t.Error("what had expired was written to the disk of who was away")
	}
	if !founder.disk.durably[missed] {
		t.Error("the test does not notice what is written")
	}
	again := r.reopened(t)
	for _, g := range again.guests {
		if v := g.shows(id); !v.Deleted || v.Text != "" {
			t.Errorf("after a restart %s shows %+v", g.name, v)
		}
	}
}
