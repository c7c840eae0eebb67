package mls

import "errors"

// Errors on which an application may branch. Each function wraps them with what
// it was doing; an operation that returns an error has changed nothing.
var (
	// Malformed input.
	ErrTruncated     = errors.New("input ends early")
	ErrNotCanonical  = errors.New("encoding is not canonical")
	ErrTrailingBytes = errors.New("bytes after the end")
	ErrTooLarge      = errors.New("larger than the limit")
	ErrMalformed     = errors.New("malformed")

	// Not for this group, epoch, member or build.
	ErrUnsupported = errors.New("not supported")
	ErrWrongGroup  = errors.New("message of another group")
	ErrWrongEpoch  = errors.New("message of another epoch")
	ErrOwnMessage  = errors.New("message of this member itself")
	ErrNotForUs    = errors.New("welcome has no entry for this key package")
	ErrRemoved     = errors.New("this member has been removed from the group")
	ErrClosed      = errors.New("group is closed for this operation")
	ErrStaged      = errors.New("commit was staged on another epoch")

	// Cryptographic refusal.
	ErrSignature    = errors.New("signature does not verify")
	ErrMembership   = errors.New("membership tag does not verify")
	ErrConfirmation = errors.New("confirmation tag does not verify")
	ErrDecrypt      = errors.New("cannot decrypt")
	ErrKey          = errors.New("invalid key")

	// Ratchets.
	ErrReplayed = errors.New("generation was used before")
	ErrTooFar   = errors.New("generation is too far ahead")
	ErrSpent    = errors.New("ratchet has no generation left")

	// Validation.
	ErrCredential   = errors.New("credential refused")
	ErrLifetime     = errors.New("outside its lifetime")
	ErrCapability   = errors.New("required capability missing")
	ErrDuplicateKey = errors.New("key is used twice")
	ErrTreeHash     = errors.New("tree hash differs")
	ErrParentHash   = errors.New("parent hash does not verify")
	ErrLeaf         = errors.New("leaf is not valid")
	ErrPath         = errors.New("update path is not valid")
	ErrProposal     = errors.New("proposal list is not valid")
	ErrPending      = errors.New("proposals wait for a commit")
	ErrPSK          = errors.New("pre-shared key not available")

	// ErrPathSecret means that the path of a commit is broken for this member. It
	// may be sound for others (RFC 9420 §16.12), so it says nothing on whether the
	// group accepts the commit: report it, and rejoin if the group moved on.
	ErrPathSecret = errors.New("update path is broken for this member")
)
