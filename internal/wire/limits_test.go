package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
)

func draftOf(kind demes.Kind) Draft {
	return Draft{Chat: demes.ChatID{1}, ID: demes.EventID{Device: deviceOf(testKey(1)), Seq: 2}, Kind: kind, Prev: demes.Hash{1}, Lamport: 2}
}

func TestPayloadsAtTheEdgeOfTheirLimits(t *testing.T) {
	for kind, most := range map[demes.Kind]int{
		demes.KindMessage: demes.MaxMessagePayload, demes.KindAmend: demes.MaxMessagePayload, demes.KindCommit: demes.MaxCommitPayload,
		demes.KindFound: demes.MaxCommitPayload, demes.KindRole: demes.MaxOtherPayload, demes.KindSettings: demes.MaxOtherPayload,
		demes.KindStart: demes.MaxOtherPayload, demes.KindInvite: demes.MaxOtherPayload, demes.KindProfile: demes.MaxOtherPayload, 99: demes.MaxOtherPayload,
	} {
		for _, over := range []int{0, 1} {
			d := draftOf(kind)
			d.Payload = make([]byte, most+over)
			if kind == demes.KindFound {
				d.Chat, d.ID.Seq, d.Prev = demes.ChatID{}, 1, demes.Hash{}
			}
			_, err := OpenEvent(PutEvent(Seal(testKey(1), d)))
			if (err == nil) != (over == 0) || over == 1 && !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s with a payload of %d bytes more than %d: %v", kind, over, most, err)
			}
		}
	}
}

func TestEventsThatAreRefused(t *testing.T) {
	key := testKey(1)
	mark := func(b byte) demes.Mark { return demes.Mark{Device: demes.DeviceID{b}, Seq: 1} }
	many := make([]demes.Mark, MaxAfter+1)
	for i := range many {
		many[i] = demes.Mark{Device: demes.DeviceID{byte(i >> 8), byte(i), 1}, Seq: 1}
	}
	for _, c := range []struct {
		name   string
		change func(d *Draft)
	}{
		{"without seq", func(d *Draft) { d.ID.Seq = 0 }},
		{"without author", func(d *Draft) { d.ID.Device = demes.DeviceID{} }},
		{"without chat", func(d *Draft) { d.Chat = demes.ChatID{} }},
		{"found, with a chat", func(d *Draft) { d.Kind = demes.KindFound }},
		{"the first, with a predecessor", func(d *Draft) { d.ID.Seq = 1 }},
		{"after its own", func(d *Draft) { d.After = []demes.Mark{{Device: d.ID.Device, Seq: 1}} }},
		{"after nobody's", func(d *Draft) { d.After = []demes.Mark{{Seq: 1}} }},
		{"after seq 0", func(d *Draft) { d.After = []demes.Mark{{Device: demes.DeviceID{1}}} }},
		{"after unsorted", func(d *Draft) { d.After = []demes.Mark{mark(2), mark(1)} }},
		{"after one twice", func(d *Draft) { d.After = []demes.Mark{mark(1), mark(1)} }},
		{"after too many", func(d *Draft) { d.After = many }},
	} {
		d := draftOf(demes.KindMessage)
		c.change(&d)
		if _, err := OpenEvent(PutEvent(Seal(key, d))); err == nil {
			t.Errorf("an event %s is accepted", c.name)
		}
	}
	if _, err := OpenEvent(nil); err == nil {
		t.Error("no event is accepted as one")
	}
	d := draftOf(demes.KindMessage)
	d.After = many[:MaxAfter]
	for i := range d.After {
		d.After[i].Seq = 1<<64 - 1
	}
	d.ID.Seq, d.Lamport, d.SentAt, d.Content = 1<<64-1, 1<<64-1, -1, demes.Hash{1}
	d.Seen = demes.Head{Generation: 1<<64 - 1, Index: 1<<64 - 1, Hash: demes.Hash{1}}
	e := Seal(key, d)
	if _, err := OpenEvent(PutEvent(e)); err != nil {
		t.Errorf("the largest event there can be, with a body of %d bytes: %v", len(e.Body), err)
	}
	if _, err := OpenEvent(&Event{Body: make([]byte, demes.MaxEventBody+1)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a body over the limit: %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name string
		good bool
	}{
		{"Ada", true},
		{"Ada Lovelace", true},
		{"Ἀριστοτέλης", true},
		{"👩\u200d👩\u200d👧", true},   // joined by U+200D
		{"می\u200cخواهم", true},     // with U+200C
		{"Αdа", true},               // letters that look like others are letters
		{"  Ada  ", true},           // shown as it is
		{"", false},                 //
		{"   ", false},              // nothing to be seen
		{"\u00a0\u2003", false},     // other spaces
		{"Ada\nis here", false},     // two lines
		{"Ada\rB", false},           //
		{"Ada\u2028B", false},       // a line separator
		{"Ada\x00", false},          //
		{"Ada\x7f", false},          //
		{"Ada\u0085", false},        // C1 control
		{"\u202eadA", false},        // right to left override
		{"Ada\u2066x\u2069", false}, // isolates
		{"Ada\u200f", false},        // right to left mark
		{"Ada\u200b", false},        // nothing to be seen
		{"\ufeffAda", false},        //
		{"Ada\U000e0041", false},    // tags
		{"\xff\xfe", false},         // no UTF-8
		{strings.Repeat("é", 64), true},
		{strings.Repeat("é", 65), false},
		{strings.Repeat("👋", 64), true}, // 64 characters, 256 bytes
		{strings.Repeat("a", 4<<10), false},
	} {
		if got := ValidName(c.name); got != c.good {
			t.Errorf("ValidName(%q) is %v, want %v", c.name, got, c.good)
		}
	}
	if !ValidTitle(strings.Repeat("é", 100)) || ValidTitle(strings.Repeat("é", 101)) {
		t.Error("a title has 1 to 100 characters")
	}
}

func TestAddresses(t *testing.T) {
	long := strings.Repeat("a", 256)
	for _, c := range []struct {
		name string
		list []string
		good bool
	}{
		{"none", nil, true}, {"as many as fit", make([]string, MaxAddresses), true}, {"too many", make([]string, MaxAddresses+1), false},
		{"a long one", []string{long}, true}, {"too long", []string{long + "a"}, false}, {"no UTF-8", []string{"\xff"}, false},
	} {
		if got := ValidAddresses(c.list); got != c.good {
			t.Errorf("%s: %v, want %v", c.name, got, c.good)
		}
	}
}

// TestDeepNestingIsRefused opens groups in groups, of a field that no message has.
func TestDeepNestingIsRefused(t *testing.T) {
	const depth = 100_000
	raw := append(bytes.Repeat([]byte{0xfb, 0x3f}, depth), bytes.Repeat([]byte{0xfc, 0x3f}, depth)...)
	for _, m := range []proto.Message{&Frame{}, &Event{}, &EventBody{}, &State{}, &JoinRequest{}} {
		if err := Unmarshal(raw, m); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d groups in each other as %T: %v, want malformed", depth, m, err)
		}
	}
}
