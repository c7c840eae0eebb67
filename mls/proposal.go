package mls

import "fmt"

// ProposalType is a number of RFC 9420 §17.4.
type ProposalType uint16

// The proposal types of RFC 9420 §12.1.
const (
	ProposalAdd          ProposalType = 1
	ProposalUpdate       ProposalType = 2
	ProposalRemove       ProposalType = 3
	ProposalPSK          ProposalType = 4
	ProposalReInit       ProposalType = 5
	ProposalExternalInit ProposalType = 6
	ProposalExtensions   ProposalType = 7
)

func (t ProposalType) isDefault() bool { return t >= ProposalAdd && t <= ProposalExtensions }

// needsPath reports whether a commit with t must carry a path (RFC 9420 §12.4).
func (t ProposalType) needsPath() bool {
	switch t {
	case ProposalAdd, ProposalPSK, ProposalReInit:
		return false
	}
	return true
}

// Proposal is one change to a group (RFC 9420 §12.1). Type says which of the
// other fields is set.
type Proposal struct {
	Type       ProposalType
	KeyPackage *KeyPackage // of ProposalAdd
	Leaf       *LeafNode   // of ProposalUpdate
	Removed    LeafIndex   // of ProposalRemove
	PSK        PSKID       // of ProposalPSK
	ReInit     *ReInit     // of ProposalReInit
	KEMOutput  []byte      // of ProposalExternalInit
	Extensions []Extension // of ProposalExtensions: the whole new list
}

// ReInit closes a group in favour of one with other parameters (RFC 9420
// §12.1.5). Opening that successor is not part of this package.
type ReInit struct {
	GroupID    []byte
	Version    Version
	Suite      Suite
	Extensions []Extension
}

func decodeProposal(r *reader) Proposal {
	p := Proposal{Type: ProposalType(r.uint16())}
	switch p.Type {
	case ProposalAdd:
		p.KeyPackage = decodeKeyPackage(r)
	case ProposalUpdate:
		p.Leaf = decodeLeafNode(r)
	case ProposalRemove:
		p.Removed = LeafIndex(r.uint32())
	case ProposalPSK:
		p.PSK = decodePSKID(r)
	case ProposalReInit:
		p.ReInit = &ReInit{GroupID: r.vector(), Version: Version(r.uint16()), Suite: Suite(r.uint16()),
			Extensions: decodeExtensions(r)}
	case ProposalExternalInit:
		p.KEMOutput = r.vector()
	case ProposalExtensions:
		p.Extensions = decodeExtensions(r)
	default: // The structure of another type is unknown: nothing after it can be read.
		r.fail(fmt.Errorf("proposal type 0x%04X: %w", uint16(p.Type), ErrUnsupported))
	}
	return p
}

func (p Proposal) encode(w *writer) {
	w.uint16(uint16(p.Type))
	switch p.Type {
	case ProposalAdd:
		p.KeyPackage.encode(w)
	case ProposalUpdate:
		p.Leaf.encode(w)
	case ProposalRemove:
		w.uint32(uint32(p.Removed))
	case ProposalPSK:
		p.PSK.encode(w)
	case ProposalReInit:
		w.vector(p.ReInit.GroupID)
		w.uint16(uint16(p.ReInit.Version))
		w.uint16(uint16(p.ReInit.Suite))
		encodeExtensions(w, p.ReInit.Extensions)
	case ProposalExternalInit:
		w.vector(p.KEMOutput)
	case ProposalExtensions:
		encodeExtensions(w, p.Extensions)
	}
}

// proposalOrRef is ProposalOrRef of RFC 9420 §12.4.
type proposalOrRef struct {
	proposal *Proposal // nil for a reference
	ref      []byte
}

func decodeProposalOrRef(r *reader) proposalOrRef {
	switch r.uint8() {
	case 1:
		p := decodeProposal(r)
		return proposalOrRef{proposal: &p}
	case 2:
		return proposalOrRef{ref: r.vector()}
	}
	r.fail(ErrMalformed)
	return proposalOrRef{}
}

func (p proposalOrRef) encode(w *writer) {
	if p.proposal != nil {
		w.uint8(1)
		p.proposal.encode(w)
		return
	}
	w.uint8(2)
	w.vector(p.ref)
}

// maxCommitProposals is how many proposals one commit may hold: enough to found a
// group of 16,000 at once.
const maxCommitProposals = 1 << 14

// maxPathNodes is the longest path in a tree of MaxMembers leaves.
const maxPathNodes = 16

// commit is Commit of RFC 9420 §12.4.
type commit struct {
	proposals []proposalOrRef
	path      *updatePath // nil when absent
}

func decodeCommit(r *reader) *commit {
	c := &commit{proposals: list(r, maxCommitProposals, decodeProposalOrRef)}
	if r.present() {
		c.path = decodeUpdatePath(r)
	}
	return c
}

func (c *commit) encode(w *writer) {
	writeList(w, c.proposals, func(w *writer, p proposalOrRef) { p.encode(w) })
	w.present(c.path != nil)
	if c.path != nil {
		c.path.encode(w)
	}
}

// updatePath is UpdatePath of RFC 9420 §7.6.
type updatePath struct {
	leaf  *LeafNode
	nodes []pathNode
}

// pathNode is UpdatePathNode: the new key of one node of the filtered direct
// path and its path secret, sealed to each node of the copath's resolution.
type pathNode struct {
	encryptionKey []byte
	secrets       []sealed
}

func decodeUpdatePath(r *reader) *updatePath {
	return &updatePath{leaf: decodeLeafNode(r), nodes: list(r, maxPathNodes, func(r *reader) pathNode {
		return pathNode{encryptionKey: r.vector(), secrets: list(r, MaxMembers, decodeSealed)}
	})}
}

func (p *updatePath) encode(w *writer) {
	p.leaf.encode(w)
	writeList(w, p.nodes, func(w *writer, n pathNode) {
		w.vector(n.encryptionKey)
		writeList(w, n.secrets, func(w *writer, c sealed) { c.encode(w) })
	})
}
