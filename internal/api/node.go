package api

import (
	"context"
	"time"

	"github.com/demes-chat/demes"
)

// Node is what the local API shows of the running node. Errors are *demes.Error
// where a user can do something about them.
type Node interface {
	Describe() demes.NodeView
	Rename(ctx context.Context, name string) error

	Chats(ctx context.Context) ([]demes.ChatView, error)
	Chat(ctx context.Context, id demes.ChatID) (demes.ChatView, error)
	FoundChat(ctx context.Context, title string) (demes.ChatView, error)
	StartChat(ctx context.Context, id demes.ChatID) error
	Invite(ctx context.Context, id demes.ChatID, uses int, validFor time.Duration, history bool) (link string, expires time.Time, err error)
	DecideKnock(ctx context.Context, id demes.ChatID, device demes.DeviceID, admit bool) error
	Handover(ctx context.Context, id demes.ChatID, to *demes.DeviceID) error
	RemoveMember(ctx context.Context, id demes.ChatID, device demes.DeviceID) error
	LeaveChat(ctx context.Context, id demes.ChatID) error
	Retitle(ctx context.Context, id demes.ChatID, title string) error
	SetSettings(ctx context.Context, id demes.ChatID, change demes.SettingsChange) error
	SetRole(ctx context.Context, id demes.ChatID, account demes.AccountID, role demes.Role) error
	Typing(ctx context.Context, id demes.ChatID) error
	MarkRead(ctx context.Context, id demes.ChatID, position uint64) error

	SendMessage(ctx context.Context, id demes.ChatID, text string, replyTo *demes.EventID, key string) (demes.MessageView, error)
	EditMessage(ctx context.Context, id demes.ChatID, target demes.EventID, text string) error
	DeleteMessage(ctx context.Context, id demes.ChatID, target demes.EventID) error
	React(ctx context.Context, id demes.ChatID, target demes.EventID, emoji string, on bool) error
	Messages(ctx context.Context, id demes.ChatID, after, before uint64, limit int) ([]demes.MessageView, demes.PageHead, error)

	Join(ctx context.Context, link, address, name string) (join string, err error)
	JoinStatus(ctx context.Context, join string) (demes.JoinView, error)

	// Contact is what a node on this machine may learn of a lobby that takes
	// knocks; ok is false when there is none.
	Contact(ctx context.Context) (contact Contact, ok bool)

	// Live subscribes to live events from seq on. The channel closes when the
	// context ends or the reader is too slow; missed is true when seq is too old.
	Live(ctx context.Context, run string, since uint64) (events <-chan demes.LiveEvent, missed bool)

	Account(ctx context.Context) (demes.AccountView, error)
	// Words are the account's 24 words; the caller has asked for the passphrase.
	Words(ctx context.Context) ([]string, error)
	SetWordsSaved(ctx context.Context, saved bool) error
	ExportAccount(ctx context.Context, passphrase string) ([]byte, error)

	// AddDevice makes a link by which one new device can become the account's.
	AddDevice(ctx context.Context) (link string, expires time.Time, err error)
	Devices(ctx context.Context) (demes.DevicesView, error)
	ConfirmDevice(ctx context.Context) error
	RevokeDevice(ctx context.Context, device demes.DeviceID) error
	// RenewDevice gives the profile a new device key, from the next start on.
	RenewDevice(ctx context.Context) error

	// Safety shows a safety number, without its QR code.
	Safety(ctx context.Context, id demes.ChatID, account demes.AccountID) (demes.SafetyView, error)
	SetVerified(ctx context.Context, account demes.AccountID, verified bool) error

	Faults(ctx context.Context) []demes.LinkFault
	SetFaults(ctx context.Context, faults []demes.LinkFault) error
}

// Contact is the tokenless answer of GET /api/v1/contact.
type Contact = demes.Contact
