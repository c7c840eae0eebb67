package wire

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
)

func TestCredentialsThatAreRefused(t *testing.T) {
	device, account, leaf := testKey(1), testKey(2), []byte("a leaf's signature key of 32 byte")
	chat, group := make([]byte, 32), []byte("the group's id..")
	chat[0] = 1
	cert := func() *DeviceCert { return SealCert(account, deviceOf(device), 3) }
	raw := SealCredential(device, cert(), chat, leaf)
	want := Bearer{Account: demes.AccountID(deviceOf(account)), Device: deviceOf(device), N: 3}
	if got, err := OpenCredential(raw, leaf, chat, group); err != nil || got != want {
		t.Fatalf("a good credential is of %v, %v", got, err)
	}
	if got, err := OpenCredential(SealCredential(device, cert(), group, leaf), leaf, chat, group); err != nil || got != want {
		t.Fatalf("a good credential in the other scope is of %v, %v", got, err)
	}
	if a, d := CredentialBearer(raw); a != want.Account || d != want.Device || CredentialDevice(raw) != want.Device {
		t.Fatalf("the credential names %s and %s", a, d)
	}
	altered := func(change func(c *Credential)) []byte {
		c := &Credential{}
		_ = Unmarshal(raw, c)
		c = proto.CloneOf(c)
		change(c)
		return Marshal(c)
	}
	for _, c := range []struct {
		name   string
		raw    []byte
		leaf   []byte
		scopes [][]byte
		want   error
	}{
		{"of nothing", nil, leaf, [][]byte{chat}, ErrMalformed},
		{"of garbage", []byte{0xff}, leaf, [][]byte{chat}, ErrMalformed},
		{"without a certificate", altered(func(c *Credential) { c.Cert = nil }), leaf, [][]byte{chat}, ErrMalformed},
		{"without a signature", altered(func(c *Credential) { c.Signature = nil }), leaf, [][]byte{chat}, ErrSignature},
		{"with an altered signature", altered(func(c *Credential) { c.Signature[5] ^= 1 }), leaf, [][]byte{chat}, ErrSignature},
		{"with an altered certificate", altered(func(c *Credential) { c.Cert.N++ }), leaf, [][]byte{chat}, ErrSignature},
		{"with another device's certificate", altered(func(c *Credential) { c.Cert = SealCert(account, deviceOf(testKey(9)), 1) }), leaf, [][]byte{chat}, ErrSignature},
		{"with a certificate by another account for the device", altered(func(c *Credential) {
			c.Cert = SealCert(account, deviceOf(device), 3)
			stranger := deviceOf(testKey(8))
			c.Cert.Account = stranger[:]
		}), leaf, [][]byte{chat}, ErrSignature},
		{"that another device signed", SealCredential(testKey(9), cert(), chat, leaf), leaf, [][]byte{chat}, ErrSignature},
		{"that the account signed", SealCredential(account, cert(), chat, leaf), leaf, [][]byte{chat}, ErrSignature},
		{"of another leaf key", raw, []byte("another key"), [][]byte{chat, group}, ErrSignature},
		{"of another chat", raw, leaf, [][]byte{make([]byte, 32), group}, ErrSignature},
		{"in no scope", raw, leaf, nil, ErrSignature},
		{"in an empty scope", SealCredential(device, cert(), nil, leaf), leaf, [][]byte{nil, {}}, ErrSignature},
		{"with a byte moved from scope to key", SealCredential(device, cert(), chat[:31], append([]byte{chat[31]}, leaf...)), leaf, [][]byte{chat}, ErrSignature},
		{"that is too large", append(raw, make([]byte, demes.MaxOtherPayload)...), leaf, [][]byte{chat}, ErrTooLarge},
	} {
		if got, err := OpenCredential(c.raw, c.leaf, c.scopes...); !errors.Is(err, c.want) || got != (Bearer{}) {
			t.Errorf("a credential %s is of %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	for _, garbage := range [][]byte{nil, {0xff}} {
		if a, d := CredentialBearer(garbage); !d.IsZero() || a != (demes.AccountID{}) {
			t.Errorf("the credential %x names %s", garbage, d)
		}
	}
}

func TestVouchersThatAreRefused(t *testing.T) {
	device, chat, leaf := testKey(1), demes.ChatID{1}, []byte("leaf key")
	raw := SealVoucher(device, chat, 7, leaf)
	if got, err := OpenVoucher(raw, chat, 7, leaf); err != nil || got != deviceOf(device) {
		t.Fatalf("a good voucher is of %s, %v", got, err)
	}
	altered := func(change func(v *Voucher)) []byte {
		v := &Voucher{}
		_ = Unmarshal(raw, v)
		change(v)
		return Marshal(v)
	}
	other := deviceOf(testKey(9))
	for _, c := range []struct {
		name  string
		raw   []byte
		chat  demes.ChatID
		epoch uint64
		leaf  []byte
		want  error
	}{
		{"of nothing", nil, chat, 7, leaf, ErrSignature},
		{"of garbage", []byte{0xff}, chat, 7, leaf, ErrMalformed},
		{"in another chat", raw, demes.ChatID{2}, 7, leaf, ErrSignature},
		{"in the next epoch", raw, chat, 8, leaf, ErrSignature},
		{"in the epoch before", raw, chat, 6, leaf, ErrSignature},
		{"of another key", raw, chat, 7, []byte("leaf kex"), ErrSignature},
		{"of another device", altered(func(v *Voucher) { v.Device = other[:] }), chat, 7, leaf, ErrSignature},
		{"of no device", altered(func(v *Voucher) { v.Device = nil }), chat, 7, leaf, ErrSignature},
		{"of a short device", altered(func(v *Voucher) { v.Device = v.Device[1:] }), chat, 7, leaf, ErrSignature},
		{"with an altered signature", altered(func(v *Voucher) { v.Signature[9] ^= 1 }), chat, 7, leaf, ErrSignature},
		{"without a signature", altered(func(v *Voucher) { v.Signature = nil }), chat, 7, leaf, ErrSignature},
		{"signed as a credential", altered(func(v *Voucher) { v.Signature = Sign(device, LabelLeaf, voucherBody(chat, 7, leaf)) }), chat, 7, leaf, ErrSignature},
	} {
		if got, err := OpenVoucher(c.raw, c.chat, c.epoch, c.leaf); !errors.Is(err, c.want) || !got.IsZero() {
			t.Errorf("a voucher %s is of %s, %v; want %v", c.name, got, err, c.want)
		}
	}
}
