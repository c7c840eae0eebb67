package mls

import "bytes"

// CredentialType is a number of RFC 9420 §17.5.
type CredentialType uint16

// The credential types of RFC 9420 §5.3. X.509 is decoded; whether it is any
// good is for the application's Policy.Credential to say, as with every other.
const (
	CredentialBasic CredentialType = 1
	CredentialX509  CredentialType = 2
)

// maxCertificates is the longest chain that is decoded.
const maxCertificates = 16

// Credential says who holds a leaf (RFC 9420 §5.3).
type Credential struct {
	Type CredentialType
	// Identity is the identity of a basic credential.
	Identity []byte
	// Certificates is the chain of an X.509 credential, leaf first, in DER.
	Certificates [][]byte
}

// Basic returns the basic credential for identity.
func Basic(identity []byte) Credential {
	return Credential{Type: CredentialBasic, Identity: bytes.Clone(identity)}
}

func decodeCredential(r *reader) Credential {
	c := Credential{Type: CredentialType(r.uint16())}
	switch c.Type {
	case CredentialBasic:
		c.Identity = r.vector()
	case CredentialX509:
		c.Certificates = list(r, maxCertificates, (*reader).vector)
	default: // The structure of another type is unknown: nothing after it can be read.
		r.fail(ErrUnsupported)
	}
	return c
}

func (c Credential) encode(w *writer) {
	w.uint16(uint16(c.Type))
	if c.Type == CredentialX509 {
		writeList(w, c.Certificates, (*writer).vector)
		return
	}
	w.vector(c.Identity)
}
