package mls

import "fmt"

// senderType tells who sent a message (RFC 9420 §6).
type senderType uint8

const (
	senderMember            senderType = 1
	senderExternal          senderType = 2
	senderNewMemberProposal senderType = 3
	senderNewMemberCommit   senderType = 4
)

// sender is Sender of RFC 9420 §6: index is the leaf of a member or the place in
// the external_senders extension.
type sender struct {
	kind  senderType
	index uint32
}

func memberSender(i LeafIndex) sender { return sender{senderMember, uint32(i)} }

func decodeSender(r *reader) sender {
	s := sender{kind: senderType(r.uint8())}
	switch s.kind {
	case senderMember, senderExternal:
		s.index = r.uint32()
	case senderNewMemberProposal, senderNewMemberCommit:
	default:
		r.fail(ErrMalformed)
	}
	return s
}

func (s sender) encode(w *writer) {
	w.uint8(uint8(s.kind))
	if s.kind == senderMember || s.kind == senderExternal {
		w.uint32(s.index)
	}
}

// framedContent is FramedContent of RFC 9420 §6. Type says which of data,
// proposal and commit is set.
type framedContent struct {
	groupID           []byte
	epoch             uint64
	sender            sender
	authenticatedData []byte
	kind              ContentType
	data              []byte
	proposal          *Proposal
	commit            *commit
}

func decodeFramedContent(r *reader) framedContent {
	c := framedContent{groupID: r.vector(), epoch: r.uint64(), sender: decodeSender(r), authenticatedData: r.vector(),
		kind: ContentType(r.uint8())}
	c.decodeBody(r)
	return c
}

// decodeBody reads the part that a PrivateMessage encrypts.
func (c *framedContent) decodeBody(r *reader) {
	switch c.kind {
	case ContentApplication:
		c.data = r.vector()
	case ContentProposal:
		p := decodeProposal(r)
		c.proposal = &p
	case ContentCommit:
		c.commit = decodeCommit(r)
	default:
		r.fail(ErrMalformed)
	}
}

func (c *framedContent) encode(w *writer) {
	w.vector(c.groupID)
	w.uint64(c.epoch)
	c.sender.encode(w)
	w.vector(c.authenticatedData)
	w.uint8(uint8(c.kind))
	c.encodeBody(w)
}

func (c *framedContent) encodeBody(w *writer) {
	switch c.kind {
	case ContentApplication:
		w.vector(c.data)
	case ContentProposal:
		c.proposal.encode(w)
	case ContentCommit:
		c.commit.encode(w)
	}
}

// authenticated is AuthenticatedContent of RFC 9420 §6.
type authenticated struct {
	wire            WireFormat
	content         framedContent
	signature       []byte
	confirmationTag []byte // of commits
}

// decodeAuth reads FramedContentAuthData.
func (a *authenticated) decodeAuth(r *reader) {
	a.signature = r.vector()
	if a.content.kind == ContentCommit {
		a.confirmationTag = r.vector()
	}
}

func (a *authenticated) encodeAuth(w *writer) {
	w.vector(a.signature)
	if a.content.kind == ContentCommit {
		w.vector(a.confirmationTag)
	}
}

func (a *authenticated) encode(w *writer) {
	w.uint16(uint16(a.wire))
	a.content.encode(w)
	a.encodeAuth(w)
}

func decodeAuthenticated(r *reader) *authenticated {
	a := &authenticated{wire: WireFormat(r.uint16()), content: decodeFramedContent(r)}
	a.decodeAuth(r)
	return a
}

// toBeSigned is FramedContentTBS of RFC 9420 §6.1. context is the encoded
// GroupContext; senders outside the group do not sign it.
func (a *authenticated) toBeSigned(context []byte) []byte {
	w := writer{b: make([]byte, 0, 256+len(context)+len(a.content.data))}
	w.uint16(uint16(MLS10))
	w.uint16(uint16(a.wire))
	a.content.encode(&w)
	if a.content.sender.kind == senderMember || a.content.sender.kind == senderNewMemberCommit {
		w.raw(context)
	}
	return w.b
}

// sign sets the signature (RFC 9420 §6.1).
func (a *authenticated) sign(key *SigningKey, context []byte) error {
	signature, err := key.signWithLabel("FramedContentTBS", a.toBeSigned(context))
	if err != nil {
		return fmt.Errorf("sign message: %w", err)
	}
	a.signature = signature
	return nil
}

// verify checks the signature (RFC 9420 §6.1).
func (a *authenticated) verify(s *suite, public, context []byte) error {
	if !s.verifyWithLabel(public, "FramedContentTBS", a.toBeSigned(context), a.signature) {
		return fmt.Errorf("message: %w", ErrSignature)
	}
	return nil
}

// ref is ProposalRef of RFC 9420 §5.2.
func (a *authenticated) ref(s *suite) []byte {
	return s.refHash("MLS 1.0 Proposal Reference", encode(a.encode))
}

// publicMessage is PublicMessage of RFC 9420 §6.2.
type publicMessage struct {
	authenticated
	membershipTag []byte // of members
}

func decodePublicMessage(r *reader) *publicMessage {
	m := &publicMessage{authenticated: authenticated{wire: WirePublic, content: decodeFramedContent(r)}}
	m.decodeAuth(r)
	if m.content.sender.kind == senderMember {
		m.membershipTag = r.vector()
	}
	return m
}

func (m *publicMessage) encode(w *writer) {
	m.content.encode(w)
	m.encodeAuth(w)
	if m.content.sender.kind == senderMember {
		w.vector(m.membershipTag)
	}
}

// membershipMAC is the tag of RFC 9420 §6.2 over AuthenticatedContentTBM.
func (m *publicMessage) membershipMAC(s *suite, key, context []byte) []byte {
	w := writer{b: m.toBeSigned(context)}
	m.encodeAuth(&w)
	return s.mac(key, w.b)
}

// protectPublic frames signed content as a PublicMessage in an MLSMessage.
func (a *authenticated) protectPublic(s *suite, membershipKey, context []byte) []byte {
	m := publicMessage{authenticated: *a}
	if a.content.sender.kind == senderMember {
		m.membershipTag = m.membershipMAC(s, membershipKey, context)
	}
	return encodeMessage(WirePublic, m.encode)
}

// checkTagLengths refuses a commit with a tag that no key can have made: all that
// can be said of tags without their keys.
func (m *publicMessage) checkTagLengths(s *suite) error {
	if m.content.sender.kind == senderMember && len(m.membershipTag) != s.nh {
		return fmt.Errorf("tag of %d bytes: %w", len(m.membershipTag), ErrMembership)
	}
	return s.checkTag(m.confirmationTag)
}

// checkMembership verifies the tag of a member's message (RFC 9420 §6.2).
// Application data in the clear is refused.
func (m *publicMessage) checkMembership(s *suite, membershipKey, context []byte) error {
	if m.content.kind == ContentApplication {
		return fmt.Errorf("application data in a public message: %w", ErrMalformed)
	}
	if m.content.sender.kind != senderMember {
		return nil
	}
	if !macEqual(m.membershipTag, m.membershipMAC(s, membershipKey, context)) {
		return ErrMembership
	}
	return nil
}
