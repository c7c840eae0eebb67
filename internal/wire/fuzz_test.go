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
		if _, err := Context(e); err != nil {
			t.Fatalf("an event that was read has no context: %v", err)
		}
		_, _ = OpenContent(e, e.Payload)
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

func FuzzOpenContent(f *testing.F) {
	all := golden()
	f.Add(false, all["content-message"])
	f.Add(true, all["content-amend"])
	f.Fuzz(func(t *testing.T, amends bool, plain []byte) {
		commit, err := Commitment(plain)
		if err != nil {
			return
		}
		e := &demes.Event{Kind: demes.KindMessage, Content: commit}
		if amends {
			e.Kind = demes.KindAmend
		}
		content, err := OpenContent(e, plain)
		if err != nil {
			return
		}
		if amends && content.GetAmend() == nil || !amends && (content.GetText() == "" || len(content.GetText()) > demes.MaxText) {
			t.Fatalf("a content is read that is none: %v", content)
		}
	})
}

func FuzzOpenCredential(f *testing.F) {
	all, scope := golden(), demes.Sum([]byte("chat"))
	f.Add(all["credential"])
	f.Add(all["voucher"])
	f.Fuzz(func(t *testing.T, raw []byte) {
		if bearer, err := OpenCredential(raw, []byte("leaf key"), scope[:]); err == nil {
			if account, device := CredentialBearer(raw); bearer.Device.IsZero() || account != bearer.Account || device != bearer.Device {
				t.Fatalf("a credential names two: %v and %v", bearer, device)
			}
		}
		if device, err := OpenVoucher(raw, demes.ChatID(scope), 7, []byte("leaf key")); err == nil && device.IsZero() {
			t.Fatal("a voucher of nobody is good")
		}
	})
}
