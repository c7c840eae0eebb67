package demes

import "fmt"

// Code is the stable name of an error that a user can meet. Outside tools
// branch on it; the words beside it may change.
type Code string

// The codes of the local API's problems.
const (
	CodeBadInput       Code = "bad-input"
	CodeTextEmpty      Code = "text-empty"
	CodeTextTooLong    Code = "text-too-long"
	CodeUnknownChat    Code = "unknown-chat"
	CodeUnknownMember  Code = "unknown-member"
	CodeUnknownJoin    Code = "unknown-join"
	CodeWrongPhase     Code = "wrong-phase"
	CodeNotAllowed     Code = "not-allowed"
	CodeInviteUsed     Code = "invite-used"
	CodeInviteExpired  Code = "invite-expired"
	CodeInviteRevoked  Code = "invite-revoked"
	CodeLinkMalformed  Code = "link-malformed"
	CodeUnreachable    Code = "unreachable"
	CodeRefused        Code = "refused"
	CodeChatFull       Code = "chat-full"
	CodeTooMany        Code = "too-many"
	CodeStorage        Code = "storage"
	CodeStorageFull    Code = "storage-full"
	CodeProfileInUse   Code = "profile-in-use"
	CodeProfileNewer   Code = "profile-newer"
	CodeProfileDamaged Code = "profile-damaged"
	CodePortTaken      Code = "port-taken"
	CodeStaleCopy      Code = "stale-copy"
	CodeNotHost        Code = "not-host"
	CodeShuttingDown   Code = "shutting-down"
	CodeInternal       Code = "internal"
	CodeNoKeys         Code = "no-keys"
	CodeUnknownMessage Code = "unknown-message"
	CodeUnknownDevice  Code = "unknown-device"

	CodeLocked          Code = "locked"
	CodeWrongPassphrase Code = "wrong-passphrase"
	CodeNoPassphrase    Code = "no-passphrase"
	CodeNoWords         Code = "no-words"
	CodeProfileExists   Code = "profile-exists"
	CodeNoKeychain      Code = "no-keychain"
)

// Error is an error for a user: what happened, and what to do next.
type Error struct {
	Code   Code
	Title  string // one short sentence: what is wrong
	Detail string // what to do about it
	Cause  error  // for the log; never shown to a user
}

func (e *Error) Error() string {
	text := e.Title
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Cause != nil {
		text += fmt.Sprintf(" (%v)", e.Cause)
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an Error of the same code.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// Problem makes an Error.
func Problem(code Code, title, detail string) *Error {
	return &Error{Code: code, Title: title, Detail: detail}
}
