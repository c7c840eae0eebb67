package wire

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/demes-chat/demes"
)

// DeviceLinkPrefix begins every device link: who has one may become a further
// device of its account, once the account's user confirms it.
const DeviceLinkPrefix = "demes://device#"

// PutDeviceLink writes a device link.
func PutDeviceLink(l *DeviceLink) string {
	return DeviceLinkPrefix + base64.RawURLEncoding.EncodeToString(Marshal(l))
}

// GetDeviceLink reads a device link; spaces and line breaks are forgiven.
func GetDeviceLink(text string) (*DeviceLink, error) {
	text = strings.Join(strings.Fields(text), "")
	rest, ok := strings.CutPrefix(text, DeviceLinkPrefix)
	if !ok || len(rest) > MaxJoinAsk {
		return nil, demes.Problem(demes.CodeLinkMalformed, "This is not a device link",
			"A device link begins with "+DeviceLinkPrefix+". Make one on your other device: demes device add")
	}
	raw, err := base64.RawURLEncoding.DecodeString(rest)
	l := &DeviceLink{}
	if err == nil {
		err = Unmarshal(raw, l)
	}
	if err != nil || len(l.GetAccount()) != 32 || len(l.GetSecret()) != 16 || len(l.GetContacts()) == 0 || len(l.GetContacts()[0].GetDevice()) != 32 {
		return nil, demes.Problem(demes.CodeLinkMalformed, "This device link is damaged", "Part of it is missing. Copy it again, whole.")
	}
	return l, nil
}

// deviceMac authenticates the pair of the device that made a link and the one that
// uses it, by the link's secret, for one purpose.
func deviceMac(l *DeviceLink, purpose string, device demes.DeviceID) []byte {
	key, err := hkdf.Key(sha256.New, l.GetSecret(), l.GetAccount(), "DeMes 1 device "+purpose, sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("wire: derive a key of 32 bytes: %v", err)) // the length is a constant
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(l.GetContacts()[0].GetDevice())
	mac.Write(device[:])
	return mac.Sum(nil)
}

// ProveDevice shows that a device has the link.
func ProveDevice(l *DeviceLink, device demes.DeviceID) []byte { return deviceMac(l, "proof", device) }

// IsProof checks what ProveDevice made.
func IsProof(l *DeviceLink, device demes.DeviceID, proof []byte) bool {
	return hmac.Equal(ProveDevice(l, device), proof)
}

// DeviceCode is what both devices show before the user confirms: six digits.
func DeviceCode(l *DeviceLink, device demes.DeviceID) string {
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(deviceMac(l, "code", device))%1_000_000)
}
