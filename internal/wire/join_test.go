package wire

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/demes-chat/demes"
)

// testKey is a key that is the same in every run.
func testKey(n uint64) ed25519.PrivateKey {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], n)
	return ed25519.NewKeyFromSeed(seed[:])
}

func deviceOf(key ed25519.PrivateKey) demes.DeviceID {
	return demes.DeviceID(key.Public().(ed25519.PublicKey))
}

func joinBody() *JoinBody {
	return &JoinBody{
		Chat: make([]byte, 32), Cert: SealCert(testKey(2), deviceOf(testKey(1)), 1), Name: "Ada", Nonce: []byte{1},
		NotAfterMs: 1_700_000_000_000, Addresses: []string{"/ip4/127.0.0.1/tcp/1"},
	}
}

func TestJoinRequestsThatAreRefused(t *testing.T) {
	device, invite := testKey(1), testKey(3)
	if _, got, err := OpenJoin(SealJoin(device, invite, joinBody())); err != nil || got != deviceOf(device) {
		t.Fatalf("a good request: %v", err)
	}
	if _, _, err := OpenJoin(SealJoin(device, nil, joinBody())); err != nil {
		t.Fatalf("a good knock: %v", err)
	}
	body := func(change func(b *JoinBody)) *JoinRequest {
		b := joinBody()
		change(b)
		return SealJoin(device, invite, b)
	}
	request := func(invite ed25519.PrivateKey, change func(r *JoinRequest)) *JoinRequest {
		r := SealJoin(device, invite, joinBody())
		change(r)
		return r
	}
	for _, c := range []struct {
		name string
		r    *JoinRequest
		want error
	}{
		{"nothing", nil, ErrMalformed},
		{"no certificate", body(func(b *JoinBody) { b.Cert = nil }), ErrMalformed},
		{"a certificate of another version", body(func(b *JoinBody) { b.Cert.Version = 2 }), ErrMalformed},
		{"an altered certificate", body(func(b *JoinBody) { b.Cert.N++ }), ErrSignature},
		{"another's certificate", body(func(b *JoinBody) { b.Cert = SealCert(testKey(2), deviceOf(testKey(9)), 1) }), ErrSignature},
		{"no name", body(func(b *JoinBody) { b.Name = "" }), ErrMalformed},
		{"too many addresses", body(func(b *JoinBody) { b.Addresses = make([]string, MaxAddresses+1) }), ErrMalformed},
		{"a body over the limit", body(func(b *JoinBody) { b.Nonce = make([]byte, demes.MaxOtherPayload) }), ErrTooLarge},
		{"a device signature as the invite's", request(invite, func(r *JoinRequest) { r.InviteSignature = r.GetDeviceSignature() }), ErrSignature},
		{"no invite signature", request(invite, func(r *JoinRequest) { r.InviteSignature = nil }), ErrSignature},
		{"an altered body", request(invite, func(r *JoinRequest) { r.Body[len(r.GetBody())-1] ^= 1 }), ErrSignature},
		{"a knock padded with a signature", request(nil, func(r *JoinRequest) { r.InviteSignature = make([]byte, 60_000) }), ErrMalformed},
	} {
		if _, _, err := OpenJoin(c.r); !errors.Is(err, c.want) {
			t.Errorf("a request with %s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestReceiptsAndRecordsAreBounded(t *testing.T) {
	key := testKey(1)
	sign := func(label Label, size int) ([]byte, []byte, []byte) {
		body := Marshal(&ReceiptBody{Chat: make([]byte, size)})
		return body, key.Public().(ed25519.PublicKey), Sign(key, label, body)
	}
	body, device, signature := sign(LabelReceipt, MaxReceipt)
	if _, _, err := OpenReceipt(&Receipt{Body: body, Device: device, Signature: signature}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a receipt of %d bytes: %v, want too large", len(body), err)
	}
	body, device, signature = sign(LabelRecord, demes.MaxEventBody)
	if _, _, err := OpenRecord(&Record{Body: body, Device: device, Signature: signature}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record of %d bytes: %v, want too large", len(body), err)
	}
	real := SealReceipt(key, demes.ChatID{1}, demes.Head{Generation: 1<<64 - 1, Index: 1<<64 - 1}, demes.Hash{1})
	if len(real.GetBody()) > MaxReceipt {
		t.Errorf("a receipt takes up to %d bytes, more than MaxReceipt", len(real.GetBody()))
	}
}
