package wire

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
)

func goodLink() *Link {
	device := deviceOf(testKey(1))
	return &Link{
		Chat: make([]byte, 32), Account: make([]byte, 32), Secret: make([]byte, 16), NotAfterMs: 5,
		Contacts: []*Contact{{Device: device[:], Addresses: []string{"/ip4/10.0.0.1/tcp/4001"}}},
	}
}

func TestALinkSurvivesItsWay(t *testing.T) {
	text := PutLink(goodLink())
	half := len(text) / 2
	for name, sent := range map[string]string{
		"as it is": text, "with spaces around": "  \t" + text + " \r\n", "broken by a mail program": text[:half] + "\r\n " + text[half:],
		"with spaces that do not break": text[:half] + "\u00a0" + text[half:], "broken everywhere": strings.Join(strings.Split(text, ""), "\n"),
	} {
		got, err := GetLink(sent)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !proto.Equal(got, goodLink()) {
			t.Errorf("%s: it says something else", name)
		}
	}
}

// TestALinkThatIsCutIsRefused cuts a link at every byte. Only what ends with a
// whole field behind the contacts is a link still: it lacks its expiry, which the
// log knows.
func TestALinkThatIsCutIsRefused(t *testing.T) {
	text := PutLink(goodLink())
	for i := range len(text) {
		got, err := GetLink(text[:i])
		if err == nil {
			want := goodLink()
			want.NotAfterMs = 0
			if !proto.Equal(got, want) {
				t.Errorf("cut at %d of %d it is read as %v", i, len(text), got)
			}
			continue
		}
		var problem *demes.Error
		if !errors.As(err, &problem) || problem.Code != demes.CodeLinkMalformed || problem.Detail == "" {
			t.Errorf("cut at %d: %v, want a problem that says what to do", i, err)
		}
	}
}

func TestLinksThatAreNone(t *testing.T) {
	link := func(change func(l *Link)) string {
		l := goodLink()
		change(l)
		return PutLink(l)
	}
	for name, text := range map[string]string{
		"nothing": "", "a web page": "https://example.org", "the prefix alone": LinkPrefix, "of another case": "DEMES" + PutLink(goodLink())[5:],
		"with a short chat": link(func(l *Link) { l.Chat = l.Chat[1:] }), "with a short account": link(func(l *Link) { l.Account = nil }),
		"with a long secret": link(func(l *Link) { l.Secret = make([]byte, 17) }), "with nobody in it": link(func(l *Link) { l.Contacts = nil }),
		"that is far too long": LinkPrefix + strings.Repeat("A", MaxJoinAsk+1), "with padding": PutLink(goodLink()) + "====",
		"with a script": LinkPrefix + "<script>",
	} {
		if _, err := GetLink(text); err == nil {
			t.Errorf("a link %s is accepted", name)
		}
	}
}

func TestLocalAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "127.0.0.1": true, "[::1]:80": true, "10.1.2.3:4": true, "192.168.0.1:1": true, "[fe80::1]:1": true,
		"8.8.8.8:53": false, "0.0.0.0:1": false, "example.org:1": false, "": false, "localhost:1": false, "[2001:db8::1]:1": false,
	} {
		if got := IsLocal(address); got != want {
			t.Errorf("IsLocal(%q) is %v, want %v", address, got, want)
		}
	}
}
