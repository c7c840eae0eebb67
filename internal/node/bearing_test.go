package node

import (
	"testing"
	"time"

	"github.com/demes-chat/demes"
)

// values is a store of which the profile's values alone are used.
type values struct {
	Store
	all map[string][]byte
}

func (v values) Value(name string) ([]byte, error) { return v.all[name], nil }

func (v values) SetValue(name string, data []byte) error {
	v.all[name] = data
	return nil
}

// TestWhoComesBackByItselfIsNotVerified has a device whose safety number was
// compared come back with new keys that its device key alone vouches for.
func TestWhoComesBackByItselfIsNotVerified(t *testing.T) {
	s, err := openSafety(values{all: map[string][]byte{}})
	if err != nil {
		t.Fatal(err)
	}
	member := demes.MemberView{Account: "bo", Device: "laptop"}
	view := func() *demes.ChatView { return &demes.ChatView{ID: "chat", Members: []demes.MemberView{member}} }
	if err := s.set("bo", &mark{Devices: []string{bearing("chat", &member)}}); err != nil {
		t.Fatal(err)
	}
	v := view()
	if s.look(v); !v.Members[0].Verified {
		t.Fatal("nothing has changed, and the mark is gone")
	}
	at := time.UnixMilli(1_700_000_000_000)
	member.RejoinedAt = &at
	v = view()
	if s.look(v); v.Members[0].Verified {
		t.Error("it came back with other keys, and the mark stays")
	}
	if verified, changed := s.state("bo"); verified || !changed {
		t.Errorf("verified %v, changed %v; want a change to be told", verified, changed)
	}
}
