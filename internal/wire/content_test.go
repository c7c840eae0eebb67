package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
)

// plainOf wraps content bytes as a sealed payload's plaintext, with an event of
// the kind that commits to it.
func plainOf(kind demes.Kind, salt int, content []byte) (*demes.Event, []byte) {
	m := &Message{Salt: make([]byte, salt), Content: content}
	return &demes.Event{Kind: kind, Content: demes.Sum(m.GetSalt(), m.GetContent())}, Marshal(m)
}

func TestMessagesThatCannotBeRead(t *testing.T) {
	id := demes.EventID{Device: deviceOf(testKey(1)), Seq: 7}
	plain, commit := PutContent([16]byte{1}, &MessageContent{Text: "hello", ReplyTo: PutRef(id)})
	good := &demes.Event{Kind: demes.KindMessage, Content: commit}
	if said, err := OpenContent(good, plain); err != nil || said.GetText() != "hello" || GetRef(said.GetReplyTo()) != id {
		t.Fatalf("a good message: %v, %v", said, err)
	}
	if got, err := Commitment(plain); err != nil || got != commit {
		t.Fatalf("the commitment is %x, %v; want %x", got, err, commit)
	}
	text := func(s string) []byte { return append([]byte{0x0a, byte(len(s))}, s...) }
	raw := func(salt int, content []byte) func() (*demes.Event, []byte) {
		return func() (*demes.Event, []byte) { return plainOf(demes.KindMessage, salt, content) }
	}
	for _, c := range []struct {
		name string
		make func() (*demes.Event, []byte)
	}{
		{"without a plaintext", func() (*demes.Event, []byte) { return good, nil }},
		{"of garbage", func() (*demes.Event, []byte) { return good, []byte{0xff} }},
		{"of one byte, as what was deleted", func() (*demes.Event, []byte) { return good, []byte{1} }},
		{"of another commitment", func() (*demes.Event, []byte) {
			return &demes.Event{Kind: demes.KindMessage, Content: demes.Hash{1}}, plain
		}},
		{"without a commitment", func() (*demes.Event, []byte) { return &demes.Event{Kind: demes.KindMessage}, plain }},
		{"with another salt", func() (*demes.Event, []byte) {
			other, _ := PutContent([16]byte{2}, &MessageContent{Text: "hello", ReplyTo: PutRef(id)})
			return good, other
		}},
		{"with a byte moved from salt to content", func() (*demes.Event, []byte) {
			m := &Message{}
			_ = Unmarshal(plain, m)
			joined := append(bytes.Clone(m.GetSalt()), m.GetContent()...)
			return good, Marshal(&Message{Salt: joined[:15], Content: joined[15:]})
		}},
		{"with a short salt", raw(15, text("x"))},
		{"with a long salt", raw(17, text("x"))},
		{"without a salt", raw(0, text("x"))},
		{"without text", raw(16, nil)},
		{"of text that is no UTF-8", raw(16, text("\xff\xfe"))},
		{"of garbage inside", raw(16, []byte{0xff})},
		{"that is too long", raw(16, Marshal(&MessageContent{Text: strings.Repeat("a", demes.MaxText+1)}))},
		{"that is an amend", raw(16, Marshal(&MessageContent{Amend: &Amend{Target: PutRef(id), Kind: &Amend_Delete{Delete: true}}}))},
	} {
		e, plain := c.make()
		if said, err := OpenContent(e, plain); err == nil {
			t.Errorf("a message %s is read as %v", c.name, said)
		}
	}
	longest, commit := PutContent([16]byte{1}, &MessageContent{Text: strings.Repeat("x", demes.MaxText), ReplyTo: PutRef(id)})
	said, err := OpenContent(&demes.Event{Kind: demes.KindMessage, Content: commit}, longest)
	if err != nil || len(said.GetText()) != demes.MaxText || len(longest) > demes.MaxMessagePayload-(4<<10-512) {
		t.Errorf("the longest text: %v, plaintext of %d bytes, which leaves too little for its sealing", err, len(longest))
	}
}

func TestAmendsThatCannotBeRead(t *testing.T) {
	target := PutRef(demes.EventID{Device: deviceOf(testKey(1)), Seq: 7})
	nobody, never := &EventRef{Seq: 7}, &EventRef{Device: target.GetDevice()}
	edit := func(at *EventRef, text string) *Amend { return &Amend{Target: at, Kind: &Amend_Edit{Edit: text}} }
	react := func(emoji string) *Amend { return &Amend{Target: target, Kind: &Amend_React{React: emoji}} }
	title := func(at *EventRef, text string) *Amend { return &Amend{Target: at, Kind: &Amend_Title{Title: text}} }
	for _, c := range []struct {
		name string
		a    *Amend
		good bool
	}{
		{"an edit", edit(target, "better"), true},
		{"an edit of the longest text", edit(target, strings.Repeat("a", demes.MaxText)), true},
		{"a deletion", &Amend{Target: target, Kind: &Amend_Delete{Delete: true}}, true},
		{"a reaction", react("👍"), true},
		{"a reaction taken back", &Amend{Target: target, Kind: &Amend_Unreact{Unreact: "👍"}}, true},
		{"a title", title(nil, "Kitchen"), true},
		{"no amend", nil, false},
		{"an amend of no kind", &Amend{Target: target}, false},
		{"an edit of nothing", edit(nil, "x"), false},
		{"an edit of nobody's", edit(nobody, "x"), false},
		{"an edit of seq 0", edit(never, "x"), false},
		{"an edit of a short device", edit(&EventRef{Device: make([]byte, 31), Seq: 1}, "x"), false},
		{"an edit to nothing", edit(target, ""), false},
		{"an edit that is too long", edit(target, strings.Repeat("a", demes.MaxText+1)), false},
		{"a deletion of nothing", &Amend{Kind: &Amend_Delete{Delete: true}}, false},
		{"a reaction of words", react("lol"), false},
		{"a reaction of nothing", react(""), false},
		{"a reaction to nothing", &Amend{Kind: &Amend_React{React: "👍"}}, false},
		{"words taken back", &Amend{Target: target, Kind: &Amend_Unreact{Unreact: "lol"}}, false},
		{"a title of a message", title(target, "Kitchen"), false},
		{"a title of many lines", title(nil, "a\nb"), false},
		{"an empty title", title(nil, ""), false},
	} {
		plain, commit := PutContent([16]byte{1}, &MessageContent{Amend: c.a})
		said, err := OpenContent(&demes.Event{Kind: demes.KindAmend, Content: commit}, plain)
		if (err == nil) != c.good {
			t.Errorf("%s: %v, want good: %v", c.name, err, c.good)
		}
		if c.good && !proto.Equal(said.GetAmend(), c.a) {
			t.Errorf("%s is read as %v", c.name, said.GetAmend())
		}
	}
}

func TestReactions(t *testing.T) {
	for _, c := range []struct {
		text string
		good bool
	}{
		{"👍", true},
		{"👍🏽", true},
		{"❤️", true},
		{"🏳️‍🌈", true},
		{"👨‍👩‍👧‍👦", true},
		{"🧑🏿‍❤️‍💋‍🧑🏻", true},
		{"🇩🇪", true},
		{"✅", true},
		{"", false},
		{"a", false},
		{"é", false},
		{"你好", false},
		{"5", false},
		{"+1", false},
		{" 👍", false},
		{"\u00a0👍", false},
		{"\u2003", false},
		{"👍\n", false},
		{"👍\x00", false},
		{"\u202e👍", false},
		{"👍\u202e", false},
		{"\u200d👍", false},
		{"\u200b", false},
		{"\u0301", false},
		{"\u20dd\u20dd", false},
		{"٣", false},
		{"\xff", false},
		{strings.Repeat("👍", MaxEmoji/4), true},
		{strings.Repeat("👍", MaxEmoji/4+1), false},
	} {
		if got := ValidEmoji(c.text); got != c.good {
			t.Errorf("ValidEmoji(%q) is %v, want %v", c.text, got, c.good)
		}
	}
}

// TestContextIsTheBodyWithoutItsPayloadHash pins what encrypted payloads name:
// all of the signed body but the payload's own hash, from the bytes as they are.
func TestContextIsTheBodyWithoutItsPayloadHash(t *testing.T) {
	for _, kind := range []demes.Kind{demes.KindMessage, demes.KindCommit, demes.KindAmend} {
		d := draftOf(kind)
		d.After = []demes.Mark{{Device: demes.DeviceID{9}, Seq: 3}}
		if kind.HasContent() {
			d.Content = demes.Hash{5}
		}
		var named demes.Hash
		e, err := SealWith(testKey(1), d, func(context demes.Hash) ([]byte, error) {
			named = context
			return []byte("sealed for " + fmt.Sprint(context)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Context(e)
		if err != nil || got != named {
			t.Errorf("%s: the context is %x, %v; its payload was made for %x", kind, got, err, named)
		}
		body := &EventBody{}
		if err := Unmarshal(e.Body, body); err != nil {
			t.Fatal(err)
		}
		body.PayloadHash = nil
		if want := demes.Sum(Marshal(body)); got != want {
			t.Errorf("%s: the context is %x, want the hash %x of the body without its payload hash", kind, got, want)
		}
		opened, err := OpenEvent(PutEvent(e))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Context(opened); err != nil || again != got {
			t.Errorf("%s: the context of what was received is %x, %v; want %x", kind, again, err, got)
		}
	}
}

func TestContextDependsOnAllThatIsSigned(t *testing.T) {
	contextOf := func(change func(d *Draft)) demes.Hash {
		d := draftOf(demes.KindMessage)
		d.Content = demes.Hash{5}
		change(&d)
		context, err := Context(Seal(testKey(1), d))
		if err != nil {
			t.Fatal(err)
		}
		return context
	}
	seen := map[demes.Hash]string{contextOf(func(*Draft) {}): "nothing"}
	for name, change := range map[string]func(d *Draft){
		"chat":    func(d *Draft) { d.Chat[0]++ },
		"device":  func(d *Draft) { d.ID.Device[0]++ },
		"seq":     func(d *Draft) { d.ID.Seq++ },
		"prev":    func(d *Draft) { d.Prev[0]++ },
		"after":   func(d *Draft) { d.After = []demes.Mark{{Device: demes.DeviceID{1}, Seq: 1}} },
		"seen":    func(d *Draft) { d.Seen.Index++ },
		"lamport": func(d *Draft) { d.Lamport++ },
		"sent at": func(d *Draft) { d.SentAt++ },
		"kind":    func(d *Draft) { d.Kind = demes.KindAmend },
		"content": func(d *Draft) { d.Content[0]++ },
	} {
		context := contextOf(change)
		if other, is := seen[context]; is {
			t.Errorf("a change of %s gives the context of a change of %s", name, other)
		}
		seen[context] = name
	}
	plain := contextOf(func(*Draft) {})
	if other := contextOf(func(d *Draft) { d.Payload = []byte("another") }); other != plain {
		t.Error("the context depends on the payload, which is made from it")
	}
}

func TestABodyThatCannotBeReadHasNoContext(t *testing.T) {
	for _, body := range [][]byte{{0xff}, {0x0a, 0x05, 1}, {0x52}, {0x00}} {
		if got, err := Context(&demes.Event{Body: body}); !errors.Is(err, ErrMalformed) {
			t.Errorf("the body %x has the context %x, %v", body, got, err)
		}
	}
}

func TestAPayloadThatCannotBeMadeSealsNoEvent(t *testing.T) {
	broken := errors.New("no keys")
	if e, err := SealWith(testKey(1), draftOf(demes.KindMessage), func(demes.Hash) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) || e != nil {
		t.Errorf("sealed is %v, %v; want the payload's error", e, err)
	}
}
