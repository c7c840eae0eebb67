package wire

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
)

func FuzzOpenEvent(f *testing.F) {
	all := golden()
	f.Add(all["event-found"])
	f.Add(all["event-message"])
	f.Add(all["record-host"])
	f.Fuzz(func(t *testing.T, raw []byte) {
		sent := &Event{}
		if Unmarshal(raw, sent) != nil {
			return
		}
		e, err := ReadEvent(sent)
		if err != nil {
			return
		}
		if e.ID.Seq == 0 || e.ID.Device.IsZero() || e.Chat.IsZero() || e.Size() > demes.MaxEventBody+demes.MaxCommitPayload+len(sent.GetSignature()) {
			t.Fatalf("an event is read that is none: %v", e.ID)
		}
		if string(PutEvent(e).GetBody()) != string(sent.GetBody()) || e.Hash != demes.Sum(sent.GetBody()) {
			t.Fatal("the body is not the one that was received")
		}
		_, _, _ = OpenMessage(e)
		_, _ = OpenEvent(sent)
	})
}

func FuzzOpenJoin(f *testing.F) {
	all := golden()
	f.Add(all["join-by-invite"])
	f.Add(all["join-knock"])
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := &JoinRequest{}
		if Unmarshal(raw, r) != nil {
			return
		}
		body, device, err := OpenJoin(r)
		if err != nil {
			return
		}
		if device.IsZero() || !ValidName(body.GetName()) || len(r.GetBody()) > demes.MaxOtherPayload || len(r.GetInviteSignature()) > 64 {
			t.Fatalf("a request is opened that is none: %v", body)
		}
	})
}

func FuzzGetLink(f *testing.F) {
	f.Add(PutLink(goodLink()))
	f.Add(LinkPrefix)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := GetLink(text)
		if err != nil {
			return
		}
		again, err := GetLink(PutLink(l))
		if err != nil || !proto.Equal(l, again) {
			t.Fatalf("a link that is good is not when it is written again: %v", err)
		}
	})
}
