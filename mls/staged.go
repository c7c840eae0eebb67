package mls

import (
	"bytes"
	"fmt"
)

// stagedVersion numbers the stored form of Staged.
const stagedVersion = 1

// MarshalBinary returns a staged commit for storage, so that a commit of this
// member survives a restart between being sent and being accepted. It holds
// secrets of the next epoch.
func (s *Staged) MarshalBinary() ([]byte, error) {
	if s.base == nil {
		return nil, fmt.Errorf("marshal staged commit: %w", ErrStaged)
	}
	return encode(func(w *writer) {
		w.uint8(stagedVersion)
		w.vector(s.base.confirmationTag)
		w.uint32(uint32(s.Committer))
		w.present(s.External)
		s.Leaf.encode(w)
		writeList(w, s.Proposals, func(w *writer, p Committed) {
			p.Proposal.encode(w)
			w.uint32(uint32(p.Proposer))
			w.present(p.ByOutsider)
		})
		writeNumbers32(w, s.Added)
		writeNumbers32(w, s.Removed)
		w.vector(s.AuthenticatedData)
		w.vector(s.Message)
		w.vector(s.Welcome)
		w.present(s.next != nil)
		if s.next != nil {
			w.vector((&Group{epoch: s.next}).epochRecord())
			w.vector(s.encryption)
		}
	}), nil
}

func writeNumbers32(w *writer, list []LeafIndex) {
	writeList(w, list, func(w *writer, i LeafIndex) { w.uint32(uint32(i)) })
}

func readNumbers32(r *reader) []LeafIndex {
	return list(r, MaxMembers, func(r *reader) LeafIndex { return LeafIndex(r.uint32()) })
}

// ParseStaged reads what MarshalBinary gave. The group must be in the epoch on
// which the commit was staged.
func (g *Group) ParseStaged(stored []byte) (*Staged, error) {
	s, err := g.parseStaged(&reader{b: bytes.Clone(stored)})
	if err != nil {
		return nil, fmt.Errorf("parse staged commit: %w", err)
	}
	return s, nil
}

func (g *Group) parseStaged(r *reader) (*Staged, error) {
	if version := r.uint8(); r.err == nil && version != stagedVersion {
		return nil, fmt.Errorf("version %d: %w", version, ErrUnsupported)
	}
	tag := r.vector()
	s := &Staged{base: g.epoch, number: g.epoch.context.Epoch + 1, Committer: LeafIndex(r.uint32()), External: r.present(), Leaf: decodeLeafNode(r)}
	s.Proposals = list(r, maxCommitProposals, func(r *reader) Committed {
		return Committed{Proposal: decodeProposal(r), Proposer: LeafIndex(r.uint32()), ByOutsider: r.present()}
	})
	s.Added, s.Removed = readNumbers32(r), readNumbers32(r)
	s.AuthenticatedData, s.Message, s.Welcome = r.vector(), r.vector(), r.vector()
	var record []byte
	if s.Expelled = !r.present(); !s.Expelled {
		record, s.encryption = r.vector(), r.vector()
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	if !bytes.Equal(tag, g.epoch.confirmationTag) {
		return nil, ErrStaged
	}
	if s.Expelled {
		return s, nil
	}
	next := new(Group)
	if err := next.decodeEpoch(record); err != nil {
		return nil, err
	}
	if s.next = next.epoch; len(s.encryption) != g.epoch.suite.nh {
		return nil, ErrMalformed
	}
	s.ReInit = s.next.reInit
	return s, nil
}
