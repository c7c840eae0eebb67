package chat

import (
	"fmt"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/council"
	"github.com/demes-chat/demes/internal/wire"
)

// CheckBase reports whether a base is what a joiner asked for: of this chat,
// final, with the joiner and the inviter in it (docs/protocol.md#joining).
func CheckBase(base *wire.Base, id demes.ChatID, self demes.DeviceID, inviter *demes.AccountID) error {
	found, err := wire.OpenEvent(base.GetFound())
	if err != nil || found.Chat != id || found.Kind != demes.KindFound {
		return fmt.Errorf("the base does not begin with this chat's found event: %w", ErrInvalid)
	}
	electors, generation := []demes.DeviceID{found.ID.Device}, uint64(0)
	for _, cert := range base.GetCertificates() {
		value, err := council.VerifyCertificate(cert, id, electors, verifyVote)
		if err != nil {
			return fmt.Errorf("the base's certificates: %w", err)
		}
		if value.GetParent() != generation {
			return fmt.Errorf("the base's certificates leave a generation out: %w", ErrInvalid)
		}
		electors, generation = devices(value.GetElectors()), generation+1
	}
	if err := verifyProof(base.GetProof(), id, electors); err != nil {
		return err
	}
	fold, err := decodeFold(base.GetState(), base.GetTree(), false)
	if err != nil {
		return fmt.Errorf("the base's state: %w", err)
	}
	head := proofHead(base.GetProof())
	if fold.Head != head || head.Generation != generation || fold.Hash() != proofState(base.GetProof()) || fold.Chat != id {
		return fmt.Errorf("the base's state is not the proven one: %w", ErrInvalid)
	}
	if fold.Members[self] == nil {
		return fmt.Errorf("the base does not have this device as a member: %w", ErrInvalid)
	}
	if inviter == nil {
		return nil
	}
	for _, m := range fold.Members {
		if m.Account == *inviter {
			return nil
		}
	}
	return fmt.Errorf("the inviter is no member: %w", ErrInvalid)
}
