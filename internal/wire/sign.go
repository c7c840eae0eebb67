package wire

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/demes-chat/demes"
)

// certBody is what an account signs of a device.
func certBody(c *DeviceCert) []byte {
	return Marshal(&DeviceCert{Version: c.GetVersion(), Account: c.GetAccount(), Device: c.GetDevice(), N: c.GetN()})
}

// SealCert certifies a device by its account; n counts the account's devices.
func SealCert(account ed25519.PrivateKey, device demes.DeviceID, n uint64) *DeviceCert {
	c := &DeviceCert{Version: 1, Account: account.Public().(ed25519.PublicKey), Device: device[:], N: n}
	c.Signature = Sign(account, LabelCert, certBody(c))
	return c
}

// OpenCert checks a certificate and returns whom it joins.
func OpenCert(c *DeviceCert) (demes.DeviceID, demes.AccountID, error) {
	device, ok1 := Bytes32(c.GetDevice())
	account, ok2 := Bytes32(c.GetAccount())
	if !ok1 || !ok2 || c.GetVersion() != 1 {
		return demes.DeviceID{}, demes.AccountID{}, fmt.Errorf("device certificate: %w", ErrMalformed)
	}
	if !Verify(c.GetAccount(), LabelCert, certBody(c), c.GetSignature()) {
		return demes.DeviceID{}, demes.AccountID{}, fmt.Errorf("device certificate: %w", ErrSignature)
	}
	return demes.DeviceID(device), demes.AccountID(account), nil
}

// SealRecord signs a record of the host.
func SealRecord(key ed25519.PrivateKey, body *RecordBody) *Record {
	raw := Marshal(body)
	return &Record{Body: raw, Device: key.Public().(ed25519.PublicKey), Signature: Sign(key, LabelRecord, raw)}
}

// OpenRecord checks a record's signature and reads its body.
func OpenRecord(r *Record) (*RecordBody, demes.DeviceID, error) {
	if len(r.GetBody()) > demes.MaxEventBody {
		return nil, demes.DeviceID{}, fmt.Errorf("record: %w", ErrTooLarge)
	}
	body := &RecordBody{}
	if err := Unmarshal(r.GetBody(), body); err != nil {
		return nil, demes.DeviceID{}, err
	}
	if !Verify(r.GetDevice(), LabelRecord, r.GetBody(), r.GetSignature()) {
		return nil, demes.DeviceID{}, fmt.Errorf("record: %w", ErrSignature)
	}
	return body, Device(r.GetDevice()), nil
}

// RecordHash is the entry hash of a record.
func RecordHash(r *Record) demes.Hash { return demes.Sum(r.GetBody()) }

// SealReceipt signs what this device holds durably as settled.
func SealReceipt(key ed25519.PrivateKey, chat demes.ChatID, head demes.Head, state demes.Hash) *Receipt {
	raw := Marshal(&ReceiptBody{Chat: chat[:], Head: PutHead(head), StateHash: state[:]})
	return &Receipt{Body: raw, Device: key.Public().(ed25519.PublicKey), Signature: Sign(key, LabelReceipt, raw)}
}

// OpenReceipt checks a receipt's signature and reads its body.
func OpenReceipt(r *Receipt) (*ReceiptBody, demes.DeviceID, error) {
	if len(r.GetBody()) > MaxReceipt {
		return nil, demes.DeviceID{}, fmt.Errorf("receipt: %w", ErrTooLarge)
	}
	body := &ReceiptBody{}
	if err := Unmarshal(r.GetBody(), body); err != nil {
		return nil, demes.DeviceID{}, err
	}
	if !Verify(r.GetDevice(), LabelReceipt, r.GetBody(), r.GetSignature()) {
		return nil, demes.DeviceID{}, fmt.Errorf("receipt: %w", ErrSignature)
	}
	return body, Device(r.GetDevice()), nil
}

// InviteKey derives the invite key from the secret of a link; its public half
// alone stands in the log (docs/protocol.md#invites).
func InviteKey(chat demes.ChatID, secret []byte) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, secret, chat[:], "DeMes 1 invite key", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive invite key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// SealJoin signs a join request by the device and, when it is no knock, by the
// invite key.
func SealJoin(device, invite ed25519.PrivateKey, body *JoinBody) *JoinRequest {
	if invite != nil {
		body.InviteKey = invite.Public().(ed25519.PublicKey)
	}
	raw := Marshal(body)
	req := &JoinRequest{Body: raw, DeviceSignature: Sign(device, LabelJoinDevice, raw)}
	if invite != nil {
		req.InviteSignature = Sign(invite, LabelJoinInvite, raw)
	}
	return req
}

// OpenJoin checks a join request's shape and signatures. Whether the invite is
// good is for the log to say.
func OpenJoin(r *JoinRequest) (*JoinBody, demes.DeviceID, error) {
	if len(r.GetBody()) > demes.MaxOtherPayload {
		return nil, demes.DeviceID{}, fmt.Errorf("join request: %w", ErrTooLarge)
	}
	body := &JoinBody{}
	if err := Unmarshal(r.GetBody(), body); err != nil {
		return nil, demes.DeviceID{}, err
	}
	device, _, err := OpenCert(body.GetCert())
	if err != nil {
		return nil, demes.DeviceID{}, err
	}
	if !Verify(device[:], LabelJoinDevice, r.GetBody(), r.GetDeviceSignature()) {
		return nil, device, fmt.Errorf("join request: %w", ErrSignature)
	}
	knock := len(body.GetInviteKey()) == 0
	if knock && len(r.GetInviteSignature()) != 0 {
		return nil, device, fmt.Errorf("a knock with the signature of an invite: %w", ErrMalformed)
	}
	if !knock && !Verify(body.GetInviteKey(), LabelJoinInvite, r.GetBody(), r.GetInviteSignature()) {
		return nil, device, fmt.Errorf("join request is not signed by its invite: %w", ErrSignature)
	}
	if !ValidName(body.GetName()) || !ValidAddresses(body.GetAddresses()) {
		return nil, device, fmt.Errorf("join request's name or addresses: %w", ErrMalformed)
	}
	return body, device, nil
}

// ValidName reports whether a display name may be shown: not empty, of at most
// demes.MaxName characters, on one line, with no control characters.
func ValidName(name string) bool { return validLine(name, demes.MaxName) }

// ValidTitle reports the same for a chat's title.
func ValidTitle(title string) bool { return validLine(title, demes.MaxTitle) }

func validLine(text string, most int) bool {
	if !utf8.ValidString(text) || strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > most {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		// Format characters turn text around or make it invisible; joiners are
		// needed by emoji and by some scripts.
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
			(unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u200c')
	})
}

// ValidAddresses bounds a list of addresses.
func ValidAddresses(addresses []string) bool {
	if len(addresses) > MaxAddresses {
		return false
	}
	for _, a := range addresses {
		if len(a) > 256 || !utf8.ValidString(a) {
			return false
		}
	}
	return true
}

// LinkPrefix begins every invite link. The secret stands behind the '#', which
// browsers never send.
const LinkPrefix = "demes://join#"

// PutLink writes an invite link.
func PutLink(l *Link) string {
	return LinkPrefix + base64.RawURLEncoding.EncodeToString(Marshal(l))
}

// GetLink reads an invite link; spaces and line breaks that a mail program put
// in are forgiven.
func GetLink(text string) (*Link, error) {
	text = strings.Join(strings.Fields(text), "")
	rest, ok := strings.CutPrefix(text, LinkPrefix)
	if !ok || len(rest) > MaxJoinAsk {
		return nil, demes.Problem(demes.CodeLinkMalformed, "This is not an invite link",
			"An invite link begins with "+LinkPrefix+". Ask for the link again and paste it whole.")
	}
	raw, err := base64.RawURLEncoding.DecodeString(rest)
	l := &Link{}
	if err == nil {
		err = Unmarshal(raw, l)
	}
	if err != nil || len(l.GetChat()) != 32 || len(l.GetAccount()) != 32 || len(l.GetSecret()) != 16 || len(l.GetContacts()) == 0 {
		return nil, demes.Problem(demes.CodeLinkMalformed, "This invite link is damaged",
			"Part of it is missing. Ask for the link again and paste it whole.")
	}
	return l, nil
}

// IsLocal reports whether an IP address is of this machine or a private network.
func IsLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast())
}
