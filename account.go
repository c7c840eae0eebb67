package demes

import "time"

// AccountView is a person's account as this device sees it.
type AccountView struct {
	Account      string `json:"account"`
	Device       string `json:"device"`
	DeviceNumber uint64 `json:"device_number"` // of two devices of an account, the newer one has the higher number
	HasWords     bool   `json:"has_words"`     // the account's 24 words can be shown on this device
	WordsSaved   bool   `json:"words_saved"`   // the user has said that they are written down
}

// DeviceView is one device of the account that this node is of.
type DeviceView struct {
	Device   string     `json:"device"`
	This     bool       `json:"this,omitempty"`
	Online   bool       `json:"online"`
	AddedAt  time.Time  `json:"added_at"`            // when the account took it in
	LastSeen *time.Time `json:"last_seen,omitempty"` // when its connection ended, if that was since this node's start
	Chats    int        `json:"chats"`               // of this node's chats, those in which it is
}

// PendingDevice wants to be a device of the account: both screens show the code.
type PendingDevice struct {
	Device  string `json:"device"`
	Label   string `json:"label"` // what it calls itself
	Address string `json:"address"`
	Code    string `json:"code"`
}

// DevicesView lists the devices of the account.
type DevicesView struct {
	Devices []DeviceView   `json:"devices"`           // oldest first
	Pending *PendingDevice `json:"pending,omitempty"` // waits for the user's word
	CanAdd  bool           `json:"can_add"`           // this device can add and renew devices: it has the account's words
}

// LockView says how a profile is protected.
type LockView struct {
	Locked        bool   `json:"locked"`
	HasPassphrase bool   `json:"has_passphrase"`
	Key           string `json:"key"` // where the database key is: "keychain", "passphrase" or "key-file"
}
