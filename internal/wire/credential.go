package wire

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"github.com/demes-chat/demes"
)

// Bearer is whom a credential names: the person, the device and the number of
// its certificate.
type Bearer struct {
	Account demes.AccountID
	Device  demes.DeviceID
	N       uint64
}

// SealCredential chains a leaf key to its device and account
// (docs/protocol.md#identity). scope is the chat, or the MLS group where the chat
// has no id yet: in its found event.
func SealCredential(device ed25519.PrivateKey, cert *DeviceCert, scope, leafKey []byte) []byte {
	return Marshal(&Credential{Cert: cert, Signature: Sign(device, LabelLeaf, leafBody(scope, leafKey))})
}

func leafBody(scope, leafKey []byte) []byte {
	body := binary.BigEndian.AppendUint32(nil, uint32(len(scope)))
	return append(append(body, scope...), leafKey...)
}

// OpenCredential checks the chain from account to leaf key in one of the scopes.
func OpenCredential(identity, leafKey []byte, scopes ...[]byte) (Bearer, error) {
	c := &Credential{}
	if len(identity) > demes.MaxOtherPayload {
		return Bearer{}, fmt.Errorf("credential: %w", ErrTooLarge)
	}
	if err := Unmarshal(identity, c); err != nil {
		return Bearer{}, fmt.Errorf("credential: %w", err)
	}
	device, account, err := OpenCert(c.GetCert())
	if err != nil {
		return Bearer{}, fmt.Errorf("credential: %w", err)
	}
	for _, scope := range scopes {
		if len(scope) != 0 && Verify(device[:], LabelLeaf, leafBody(scope, leafKey), c.GetSignature()) {
			return Bearer{Account: account, Device: device, N: c.GetCert().GetN()}, nil
		}
	}
	return Bearer{}, fmt.Errorf("credential: %w", ErrSignature)
}

// SealVoucher is a device's word that it comes back with a leaf key.
func SealVoucher(device ed25519.PrivateKey, chat demes.ChatID, epoch uint64, leafKey []byte) []byte {
	return Marshal(&Voucher{
		Device: device.Public().(ed25519.PublicKey), Signature: Sign(device, LabelRejoin, voucherBody(chat, epoch, leafKey)),
	})
}

func voucherBody(chat demes.ChatID, epoch uint64, leafKey []byte) []byte {
	return append(binary.BigEndian.AppendUint64(chat[:], epoch), leafKey...)
}

// OpenVoucher checks a voucher and says whose it is.
func OpenVoucher(raw []byte, chat demes.ChatID, epoch uint64, leafKey []byte) (demes.DeviceID, error) {
	v := &Voucher{}
	if err := Unmarshal(raw, v); err != nil {
		return demes.DeviceID{}, fmt.Errorf("voucher: %w", err)
	}
	if !Verify(v.GetDevice(), LabelRejoin, voucherBody(chat, epoch, leafKey), v.GetSignature()) {
		return demes.DeviceID{}, fmt.Errorf("voucher: %w", ErrSignature)
	}
	return Device(v.GetDevice()), nil
}

// CredentialBearer reads whom a credential names without checking it: for one that
// was checked before. A malformed one names nobody.
func CredentialBearer(identity []byte) (demes.AccountID, demes.DeviceID) {
	c := &Credential{}
	if Unmarshal(identity, c) != nil {
		return demes.AccountID{}, demes.DeviceID{}
	}
	account, _ := Bytes32(c.GetCert().GetAccount())
	return demes.AccountID(account), Device(c.GetCert().GetDevice())
}

// CredentialDevice is the device that CredentialBearer names.
func CredentialDevice(identity []byte) demes.DeviceID {
	_, device := CredentialBearer(identity)
	return device
}
