package mls

import (
	"fmt"
	"slices"
)

// ExtensionType is a number of RFC 9420 §17.3.
type ExtensionType uint16

// The extensions of RFC 9420. All of them are "default": no leaf lists them.
const (
	ExtensionApplicationID        ExtensionType = 1
	ExtensionRatchetTree          ExtensionType = 2
	ExtensionRequiredCapabilities ExtensionType = 3
	ExtensionExternalPub          ExtensionType = 4
	ExtensionExternalSenders      ExtensionType = 5
)

func (t ExtensionType) isDefault() bool {
	return t >= ExtensionApplicationID && t <= ExtensionExternalSenders
}

// Extension is one entry of an extensions list (RFC 9420 §13.4).
type Extension struct {
	Type ExtensionType
	Data []byte
}

func decodeExtension(r *reader) Extension {
	return Extension{Type: ExtensionType(r.uint16()), Data: r.vector()}
}

func (e Extension) encode(w *writer) {
	w.uint16(uint16(e.Type))
	w.vector(e.Data)
}

// MaxExtensions is how many extensions a list may hold; it has each type once, and
// RFC 9420 defines five.
const MaxExtensions = 64

func decodeExtensions(r *reader) []Extension { return list(r, MaxExtensions, decodeExtension) }

func encodeExtensions(w *writer, list []Extension) {
	writeList(w, list, func(w *writer, e Extension) { e.encode(w) })
}

// findExtension returns the data of the extension of type t.
func findExtension(list []Extension, t ExtensionType) ([]byte, bool) {
	for _, e := range list {
		if e.Type == t {
			return e.Data, true
		}
	}
	return nil, false
}

// checkUniqueExtensions refuses two entries of one type (RFC 9420 §13.4).
func checkUniqueExtensions(list []Extension) error {
	for i, e := range list {
		if slices.ContainsFunc(list[:i], func(other Extension) bool { return other.Type == e.Type }) {
			return fmt.Errorf("extension 0x%04X twice: %w", uint16(e.Type), ErrMalformed)
		}
	}
	return nil
}

// RequiredCapabilities is the GroupContext extension of RFC 9420 §11.1: what
// each leaf must list in its Capabilities.
type RequiredCapabilities struct {
	Extensions  []ExtensionType
	Proposals   []ProposalType
	Credentials []CredentialType
}

// Extension encodes c for a group's extension list.
func (c RequiredCapabilities) Extension() Extension {
	return Extension{ExtensionRequiredCapabilities, encode(func(w *writer) {
		writeNumbers(w, c.Extensions)
		writeNumbers(w, c.Proposals)
		writeNumbers(w, c.Credentials)
	})}
}

func decodeRequiredCapabilities(r *reader) RequiredCapabilities {
	return RequiredCapabilities{
		Extensions:  readNumbers[ExtensionType](r),
		Proposals:   readNumbers[ProposalType](r),
		Credentials: readNumbers[CredentialType](r),
	}
}

// requiredCapabilities reads the extension of a GroupContext, if it has one.
func requiredCapabilities(list []Extension) (RequiredCapabilities, error) {
	data, ok := findExtension(list, ExtensionRequiredCapabilities)
	if !ok {
		return RequiredCapabilities{}, nil
	}
	c, err := decodeAll(data, decodeRequiredCapabilities)
	if err != nil {
		return c, fmt.Errorf("required capabilities: %w", err)
	}
	return c, nil
}

// ExternalSender may propose without being a member (RFC 9420 §12.1.8.1).
type ExternalSender struct {
	SignatureKey []byte
	Credential   Credential
}

// ExternalSendersExtension encodes the senders for a group's extension list.
func ExternalSendersExtension(senders ...ExternalSender) Extension {
	return Extension{ExtensionExternalSenders, encode(func(w *writer) {
		writeList(w, senders, func(w *writer, s ExternalSender) {
			w.vector(s.SignatureKey)
			s.Credential.encode(w)
		})
	})}
}

// maxExternalSenders is how many may stand in the extension.
const maxExternalSenders = 256

func decodeExternalSender(r *reader) ExternalSender {
	return ExternalSender{SignatureKey: r.vector(), Credential: decodeCredential(r)}
}

// externalSenders reads the extension of a GroupContext, if it has one.
func externalSenders(extensions []Extension) ([]ExternalSender, error) {
	data, ok := findExtension(extensions, ExtensionExternalSenders)
	if !ok {
		return nil, nil
	}
	senders, err := decodeAll(data, func(r *reader) []ExternalSender {
		return list(r, maxExternalSenders, decodeExternalSender)
	})
	if err != nil {
		return nil, fmt.Errorf("external senders: %w", err)
	}
	return senders, nil
}
