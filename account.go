package demes

// AccountView is a person's account as this device sees it.
type AccountView struct {
	Account      string `json:"account"`
	Device       string `json:"device"`
	DeviceNumber uint64 `json:"device_number"` // of two devices of an account, the newer one has the higher number
	HasWords     bool   `json:"has_words"`     // the account's 24 words can be shown on this device
	WordsSaved   bool   `json:"words_saved"`   // the user has said that they are written down
}

// LockView says how a profile is protected.
type LockView struct {
	Locked        bool   `json:"locked"`
	HasPassphrase bool   `json:"has_passphrase"`
	Key           string `json:"key"` // where the database key is: "keychain", "passphrase" or "key-file"
}
