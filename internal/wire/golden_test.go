package wire

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
)

var update = flag.Bool("update", false, "write the golden bytes anew: only when the format changes on purpose")

// golden are all signed objects and what hashes depend on, made from fixed keys.
// Ed25519 signatures are deterministic, so that the bytes are too.
func golden() map[string][]byte {
	device, account, invite := testKey(1), testKey(2), testKey(3)
	id := deviceOf(device)
	chat := demes.ChatID(demes.Sum([]byte("chat")))
	head := demes.Head{Generation: 2, Index: 300, Hash: demes.Sum([]byte("head"))}
	found := Seal(device, Draft{
		ID: demes.EventID{Device: id, Seq: 1}, Kind: demes.KindFound, Lamport: 1, SentAt: 1_700_000_000_000,
		Payload: Marshal(&Found{Format: 1, Title: "Kitchen", Suite: 0xf04f, Cert: SealCert(account, id, 1), Name: "Ada", Nonce: []byte{7}, Mls: []byte{8}, Addresses: []string{"/ip4/10.0.0.1"}}),
	})
	target := demes.EventID{Device: id, Seq: 4}
	plain, commit := PutContent([16]byte{1, 2, 3}, &MessageContent{Text: "hello, Grüße 👋", ReplyTo: PutRef(target)})
	amend, _ := PutContent([16]byte{1, 2, 3}, &MessageContent{Amend: &Amend{Target: PutRef(target), Kind: &Amend_React{React: "👋"}}})
	message := Seal(device, Draft{
		Chat: chat, ID: demes.EventID{Device: id, Seq: 1 << 33}, Kind: demes.KindMessage, Prev: demes.Sum([]byte("prev")),
		After: []demes.Mark{{Device: deviceOf(account), Seq: 9, Hash: demes.Sum([]byte("after"))}}, Seen: head, Lamport: 1 << 40,
		SentAt: -5, Content: commit, Payload: []byte("sealed"),
	})
	context, err := Context(message)
	if err != nil {
		panic(err)
	}
	handover := Marshal(&HandoverBody{Chat: chat[:], Generation: 2, Term: 7, To: id[:]})
	value := Marshal(&Value{Chat: chat[:], Parent: 2, Base: PutHead(head), Council: [][]byte{id[:]}, Electors: [][]byte{id[:]}})
	valueHash := demes.Sum(value)
	vote := Marshal(&VoteBody{Ballot: &Ballot{Round: 3, Device: id[:]}, ValueHash: valueHash[:]})
	pack := func(m proto.Message) []byte { return Marshal(m) }
	return map[string][]byte{
		"event-found":       pack(PutEvent(found)),
		"event-message":     pack(PutEvent(message)),
		"event-context":     context[:],
		"content-message":   plain,
		"content-amend":     amend,
		"credential":        SealCredential(device, SealCert(account, id, 3), chat[:], []byte("leaf key")),
		"voucher":           SealVoucher(device, chat, 7, []byte("leaf key")),
		"record-host":       pack(SealRecord(device, &RecordBody{Chat: chat[:], Generation: 2, Term: 7, Kind: &RecordBody_Host{Host: &HostRecord{}}})),
		"record-plan":       pack(SealRecord(device, &RecordBody{Chat: chat[:], Generation: 2, Term: 7, Kind: &RecordBody_Plan{Plan: &PlanRecord{Ranks: []*Rank{{Device: id[:], ScoreUs: -1}}}}})),
		"device-cert":       pack(SealCert(account, id, 3)),
		"join-by-invite":    pack(SealJoin(device, invite, joinBody())),
		"join-knock":        pack(SealJoin(device, nil, joinBody())),
		"receipt":           pack(SealReceipt(device, chat, head, demes.Sum([]byte("state")))),
		"handover":          pack(&Handover{Body: handover, Device: id[:], Signature: Sign(device, LabelHandover, handover)}),
		"vote":              pack(&Vote{Body: vote, Device: id[:], Signature: Sign(device, LabelVote, vote)}),
		"invite-key-secret": mustInviteKey(chat),
		"link": []byte(PutLink(&Link{
			Chat: chat[:], Account: id[:], Secret: make([]byte, 16), NotAfterMs: 1_700_000_000_000, Suite: 0xf04f,
			Contacts: []*Contact{{Device: id[:], Addresses: []string{"/ip4/10.0.0.1/tcp/4001"}}},
		})),
	}
}

func mustInviteKey(chat demes.ChatID) []byte {
	key, err := InviteKey(chat, []byte("sixteen bytes !!"))
	if err != nil {
		panic(err)
	}
	return key.Seed()
}

// TestSignedBytesAreWhatTheyWere notices any change of an encoding: what was
// signed by an older program would be refused by a newer one.
func TestSignedBytesAreWhatTheyWere(t *testing.T) {
	for name, got := range golden() {
		path := filepath.Join("testdata", "golden", name+".hex")
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(wrap(hex.EncodeToString(got))), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(strings.Fields(string(raw)), ""); hex.EncodeToString(got) != want {
			t.Errorf("%s has other bytes than before:\n got %x\nwant %s", name, got, want)
		}
	}
}

func wrap(s string) (out string) {
	for len(s) > 96 {
		out, s = out+s[:96]+"\n", s[96:]
	}
	return out + s + "\n"
}

func TestEverySignedObjectHasALabelOfItsOwn(t *testing.T) {
	labels := []Label{LabelEvent, LabelRecord, LabelCert, LabelJoinDevice, LabelJoinInvite, LabelReceipt, LabelHandover, LabelVote, LabelLeaf, LabelRejoin}
	key := testKey(1)
	device := deviceOf(key)
	for i, a := range labels {
		if !strings.HasPrefix(string(a), "DeMes 1 ") || !strings.HasSuffix(string(a), "\x00") || strings.Count(string(a), "\x00") != 1 {
			t.Errorf("label %q has not the form of one", a)
		}
		for j, b := range labels {
			if i != j && strings.HasPrefix(string(b), string(a)) {
				t.Errorf("label %q begins label %q", a, b)
			}
			if ok := Verify(device[:], b, []byte("body"), Sign(key, a, []byte("body"))); ok != (i == j) {
				t.Errorf("a signature under %q verifies under %q: %v", a, b, ok)
			}
		}
	}
}

func TestWhatWasSignedOpens(t *testing.T) {
	all, chat := golden(), demes.ChatID(demes.Sum([]byte("chat")))
	for name, open := range map[string]func(raw []byte) error{
		"event-found":   func(raw []byte) error { e := &Event{}; _ = Unmarshal(raw, e); _, err := OpenEvent(e); return err },
		"event-message": func(raw []byte) error { e := &Event{}; _ = Unmarshal(raw, e); _, err := OpenEvent(e); return err },
		"record-host":   func(raw []byte) error { r := &Record{}; _ = Unmarshal(raw, r); _, _, err := OpenRecord(r); return err },
		"record-plan":   func(raw []byte) error { r := &Record{}; _ = Unmarshal(raw, r); _, _, err := OpenRecord(r); return err },
		"device-cert": func(raw []byte) error {
			c := &DeviceCert{}
			_ = Unmarshal(raw, c)
			_, _, err := OpenCert(c)
			return err
		},
		"join-by-invite": func(raw []byte) error {
			r := &JoinRequest{}
			_ = Unmarshal(raw, r)
			_, _, err := OpenJoin(r)
			return err
		},
		"join-knock": func(raw []byte) error {
			r := &JoinRequest{}
			_ = Unmarshal(raw, r)
			_, _, err := OpenJoin(r)
			return err
		},
		"receipt": func(raw []byte) error {
			r := &Receipt{}
			_ = Unmarshal(raw, r)
			_, _, err := OpenReceipt(r)
			return err
		},
		"credential": func(raw []byte) error {
			_, err := OpenCredential(raw, []byte("leaf key"), chat[:])
			return err
		},
		"voucher": func(raw []byte) error { _, err := OpenVoucher(raw, chat, 7, []byte("leaf key")); return err },
		"link":    func(raw []byte) error { _, err := GetLink(string(raw)); return err },
	} {
		if err := open(all[name]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// Wherever it is cut or altered, it is refused, never worse.
		accepted := 0
		for i := range all[name] {
			_ = open(all[name][:i])
			altered := append([]byte{}, all[name]...)
			altered[i] ^= 0x10
			if open(altered) == nil {
				accepted++
			}
		}
		if name != "link" && accepted > 0 {
			t.Errorf("%s is accepted with %d of its %d bytes altered", name, accepted, len(all[name]))
		}
	}
}
