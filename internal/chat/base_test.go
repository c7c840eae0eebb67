package chat

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// TestAJoinerChecksItsBase alters a good base in every part: whoever hands it
// out, a joiner takes only what a majority of the electors signed.
func TestAJoinerChecksItsBase(t *testing.T) {
	r := newRoom(t, 3)
	r.goesOn()
	c, self, evil := r.host().chat, r.guests[1].id, newAuthor(66)
	if got := proofHead(c.final.base.GetProof()).Generation; got != 1 {
		t.Fatalf("the base is of generation %d, want 1", got)
	}
	inviter := r.guests[2].chat.fold.Members[r.guests[2].id].Account
	stranger := demes.AccountID{1}
	for _, k := range []struct {
		name    string
		change  func(b *wire.Base)
		inviter *demes.AccountID
		good    bool
	}{
		{"as it is", func(*wire.Base) {}, &inviter, true},
		{"without an inviter to look for", func(*wire.Base) {}, nil, true},
		{"without the inviter in it", func(*wire.Base) {}, &stranger, false},
		{"empty", func(b *wire.Base) { proto.Reset(b) }, nil, false},
		{"with another's found event", func(b *wire.Base) { b.Found.Signature[0] ^= 1 }, nil, false},
		{"without its proof", func(b *wire.Base) { b.Proof = nil }, nil, false},
		{"with a proof by one", func(b *wire.Base) { b.Proof.Receipts = b.Proof.Receipts[:1] }, nil, false},
		{"with a proof by one, twice", func(b *wire.Base) { b.Proof.Receipts[1] = b.Proof.Receipts[0] }, nil, false},
		{"with a proof by a stranger", func(b *wire.Base) {
			raw := b.Proof.Receipts[0].Body
			b.Proof.Receipts = []*wire.Receipt{b.Proof.Receipts[0], {Body: raw, Device: evil.id[:], Signature: wire.Sign(evil.key, wire.LabelReceipt, raw)}}
		}, nil, false},
		{"without its certificates", func(b *wire.Base) { b.Certificates = nil }, nil, false},
		{"with a certificate twice", func(b *wire.Base) { b.Certificates = append(b.Certificates, b.Certificates[0]) }, nil, false},
		{"with a certificate cut", func(b *wire.Base) { b.Certificates[0].Votes = b.Certificates[0].Votes[:1] }, nil, false},
		{"with another member", func(b *wire.Base) {
			b.State.Members = append(b.State.Members, &wire.MemberState{Device: evil.id[:], Cert: evil.cert(), Name: "Mallory"})
		}, nil, false},
		{"with another name", func(b *wire.Base) { b.State.Members[0].Name = "Mallory" }, nil, false},
		{"without the tree", func(b *wire.Base) { b.Tree = nil }, nil, false},
		{"with an altered tree", func(b *wire.Base) { b.Tree[len(b.Tree)/2] ^= 1 }, nil, false},
		{"with the tree of another group", func(b *wire.Base) { b.Tree = newScript(t, 0).fold.group.Tree() }, nil, false},
		{"with another group", func(b *wire.Base) { b.State.Group = newScript(t, 0).fold.group.State() }, nil, false},
		{"with other settings", func(b *wire.Base) { b.State.Settings.AdminsInvite = true }, nil, false},
		{"with another epoch", func(b *wire.Base) { b.State.Epoch++ }, nil, false},
		{"with another electorate", func(b *wire.Base) { b.State.Electors = b.State.Electors[:1] }, nil, false},
		{"of another chat", func(b *wire.Base) { b.State.Chat = make([]byte, 32) }, nil, false},
		{"without members", func(b *wire.Base) { b.State.Members = nil }, nil, false},
	} {
		base := r.base(r.host())
		k.change(base)
		if err := CheckBase(base, c.id, self, k.inviter); (err == nil) != k.good {
			t.Errorf("a base %s: %v", k.name, err)
		}
	}
	if err := CheckBase(r.base(r.host()), c.id, evil.id, nil); err == nil {
		t.Error("a base in which the joiner is no member is accepted")
	}
	if err := CheckBase(r.base(r.host()), demes.ChatID{1}, self, nil); err == nil {
		t.Error("a base of another chat is accepted")
	}
}
