package mls

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"time"
)

// Profile is what a member says of itself in its leaf.
type Profile struct {
	Suite      Suite
	Credential Credential
	// Key signs for the member. Take one key per group.
	Key *SigningKey
	// Extensions stand in the leaf; their types are added to the capabilities.
	Extensions []Extension
	// ExtensionTypes names the extensions beyond RFC 9420 that the application
	// understands; those in Extensions are added.
	ExtensionTypes []ExtensionType
	// CredentialTypes names the credential types that Policy.Credential judges;
	// the type of Credential is added.
	CredentialTypes []CredentialType
}

// capabilities lists what p supports, with a GREASE value in each list that may
// hold one (RFC 9420 §7.2, §13.5).
func (p Profile) capabilities() Capabilities {
	grease := greaseValue()
	c := Capabilities{
		Versions:    []Version{MLS10},
		Suites:      []Suite{p.Suite, Suite(grease)},
		Extensions:  slices.Clone(p.ExtensionTypes),
		Proposals:   []ProposalType{ProposalType(grease)},
		Credentials: []CredentialType{p.Credential.Type},
	}
	for _, e := range p.Extensions {
		if !c.supportsExtension(e.Type) {
			c.Extensions = append(c.Extensions, e.Type)
		}
	}
	for _, t := range p.CredentialTypes {
		if !slices.Contains(c.Credentials, t) {
			c.Credentials = append(c.Credentials, t)
		}
	}
	c.Extensions = append(c.Extensions, ExtensionType(grease))
	c.Credentials = append(c.Credentials, CredentialType(grease))
	return c
}

// greaseValue picks one of the fifteen values of RFC 9420 §13.5.
func greaseValue() uint16 {
	var b [1]byte
	rand.Read(b[:])
	n := uint16(b[0]) % 15
	return n<<12 | 0x0a00 | n<<4 | 0x0a
}

// leaf makes an unsigned leaf of p around an encryption key.
func (p Profile) leaf(source LeafSource, encryptionKey []byte) *LeafNode {
	return &LeafNode{
		EncryptionKey: encryptionKey,
		SignatureKey:  p.Key.Public(),
		Credential:    p.Credential,
		Capabilities:  p.capabilities(),
		Source:        source,
		Extensions:    p.Extensions,
	}
}

// check refuses a profile that no leaf can be made of.
func (p Profile) check() (*suite, error) {
	s, err := p.Suite.lookup()
	if err != nil {
		return nil, err
	}
	if p.Key == nil || p.Key.suite.id != p.Suite {
		return nil, fmt.Errorf("profile needs a signing key of %v: %w", p.Suite, ErrKey)
	}
	if p.Credential.Type != CredentialBasic && p.Credential.Type != CredentialX509 {
		return nil, fmt.Errorf("credential type %d: %w", p.Credential.Type, ErrUnsupported)
	}
	return s, nil
}

// KeyPackage lets others add its owner to a group (RFC 9420 §10). It is for use
// once: who answers for two additions has no forward secrecy between them.
type KeyPackage struct {
	Version    Version
	Suite      Suite
	InitKey    []byte
	Leaf       *LeafNode
	Extensions []Extension
	Signature  []byte

	encoded []byte
	signed  int
}

func decodeKeyPackage(r *reader) *KeyPackage {
	start := r.b
	k := &KeyPackage{
		Version:    Version(r.uint16()),
		Suite:      Suite(r.uint16()),
		InitKey:    r.vector(),
		Leaf:       decodeLeafNode(r),
		Extensions: decodeExtensions(r),
	}
	k.signed = len(start) - len(r.b)
	k.Signature = r.vector()
	if r.err == nil {
		n := len(start) - len(r.b)
		k.encoded = start[:n:n]
	}
	return k
}

func (k *KeyPackage) encode(w *writer) { w.raw(k.encoded) }

// Bytes returns k as an MLSMessage (RFC 9420 §6).
func (k *KeyPackage) Bytes() []byte { return encodeMessage(WireKeyPackage, k.encode) }

// ParseKeyPackage reads an MLSMessage that holds a key package. It checks the
// form only; Check and every commit that adds it check the rest.
func ParseKeyPackage(message []byte) (*KeyPackage, error) {
	k, err := decodeMessage(message, WireKeyPackage, decodeKeyPackage)
	if err != nil {
		return nil, fmt.Errorf("parse key package: %w", err)
	}
	return k, nil
}

// Ref is KeyPackageRef of RFC 9420 §5.2, by which a Welcome names its reader. It
// is nil for an unsupported suite.
func (k *KeyPackage) Ref() []byte {
	s := k.Suite.algorithms()
	if s == nil {
		return nil
	}
	return s.refHash("MLS 1.0 KeyPackage Reference", k.encoded)
}

// Check validates k at a time (RFC 9420 §10.1, §7.3) under policy, as a commit
// that adds it would.
func (k *KeyPackage) Check(policy Policy, at time.Time) error {
	s, err := k.Suite.lookup()
	if err != nil {
		return fmt.Errorf("check key package: %w", err)
	}
	if err := k.check(s, &policy, at); err != nil {
		return fmt.Errorf("check key package: %w", err)
	}
	return policy.admit(Admission{Leaf: k.Leaf, Reason: ReasonAdd})
}

// check is RFC 9420 §10.1 and what §7.3 asks of the leaf alone.
func (k *KeyPackage) check(s *suite, policy *Policy, at time.Time) error {
	if k.Version != MLS10 || k.Suite != s.id {
		return fmt.Errorf("key package of another version or suite: %w", ErrUnsupported)
	}
	if k.Leaf.Source != SourceKeyPackage {
		return fmt.Errorf("leaf source %d in a key package: %w", k.Leaf.Source, ErrLeaf)
	}
	if bytes.Equal(k.InitKey, k.Leaf.EncryptionKey) {
		return fmt.Errorf("init key equals encryption key: %w", ErrDuplicateKey)
	}
	if _, err := s.kem.NewPublicKey(k.InitKey); err != nil {
		return fmt.Errorf("init key: %w", ErrKey)
	}
	if err := checkUniqueExtensions(k.Extensions); err != nil {
		return err
	}
	if err := k.Leaf.checkNew(s); err != nil {
		return err
	}
	if err := k.Leaf.Lifetime.check(at, policy.MaxLifetime); err != nil {
		return err
	}
	if err := k.Leaf.verifySignature(s, nil, 0); err != nil {
		return err
	}
	if !s.verifyWithLabel(k.Leaf.SignatureKey, "KeyPackageTBS", k.encoded[:k.signed], k.Signature) {
		return fmt.Errorf("key package: %w", ErrSignature)
	}
	return nil
}

// KeyPackageSecrets is the private side of a key package: what Join needs. It is
// to be deleted once the Welcome was joined.
type KeyPackageSecrets struct {
	KeyPackage *KeyPackage
	init       []byte
	encryption []byte
	key        *SigningKey
}

// NewKeyPackage makes a key package of p.
func NewKeyPackage(p Profile, lifetime Lifetime, extensions ...Extension) (*KeyPackageSecrets, error) {
	s, err := p.check()
	if err != nil {
		return nil, fmt.Errorf("new key package: %w", err)
	}
	initKey, err := s.kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("new key package: %w", err)
	}
	encryptionKey, err := s.kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("new key package: %w", err)
	}
	leaf := p.leaf(SourceKeyPackage, encryptionKey.PublicKey().Bytes())
	leaf.Lifetime = lifetime
	if err := leaf.sign(p.Key, nil, 0); err != nil {
		return nil, fmt.Errorf("new key package: %w", err)
	}
	grease := Extension{Type: ExtensionType(greaseValue())}
	k := &KeyPackage{Version: MLS10, Suite: p.Suite, InitKey: initKey.PublicKey().Bytes(), Leaf: leaf,
		Extensions: append(append([]Extension(nil), extensions...), grease)}
	if err := k.sign(p.Key); err != nil {
		return nil, fmt.Errorf("new key package: %w", err)
	}
	secrets := &KeyPackageSecrets{KeyPackage: k, key: p.Key}
	if secrets.init, err = initKey.Bytes(); err != nil {
		return nil, fmt.Errorf("new key package: %w", err)
	}
	if secrets.encryption, err = encryptionKey.Bytes(); err != nil {
		return nil, fmt.Errorf("new key package: %w", err)
	}
	return secrets, nil
}

// sign completes a key package whose fields are set.
func (k *KeyPackage) sign(key *SigningKey) error {
	w := writer{b: make([]byte, 0, 1024)}
	w.uint16(uint16(k.Version))
	w.uint16(uint16(k.Suite))
	w.vector(k.InitKey)
	k.Leaf.encode(&w)
	encodeExtensions(&w, k.Extensions)
	k.signed = len(w.b)
	signature, err := key.signWithLabel("KeyPackageTBS", w.b)
	if err != nil {
		return fmt.Errorf("sign key package: %w", err)
	}
	k.Signature = signature
	w.vector(signature)
	k.encoded = w.b
	return nil
}

// secretsVersion numbers the stored form of KeyPackageSecrets.
const secretsVersion = 1

// MarshalBinary returns the secrets for storage.
func (k *KeyPackageSecrets) MarshalBinary() ([]byte, error) {
	return encode(func(w *writer) {
		w.uint8(secretsVersion)
		k.KeyPackage.encode(w)
		w.vector(k.init)
		w.vector(k.encryption)
		w.vector(k.key.private)
	}), nil
}

// ParseKeyPackageSecrets reads what MarshalBinary gave.
func ParseKeyPackageSecrets(stored []byte) (*KeyPackageSecrets, error) {
	r := reader{b: bytes.Clone(stored)}
	if version := r.uint8(); r.err == nil && version != secretsVersion {
		return nil, fmt.Errorf("parse key package secrets: version %d: %w", version, ErrUnsupported)
	}
	k := &KeyPackageSecrets{KeyPackage: decodeKeyPackage(&r), init: r.vector(), encryption: r.vector()}
	private := r.vector()
	err := r.finish()
	if err == nil {
		k.key, err = k.KeyPackage.Suite.ParseSigningKey(private)
	}
	if err != nil {
		return nil, fmt.Errorf("parse key package secrets: %w", err)
	}
	return k, nil
}
