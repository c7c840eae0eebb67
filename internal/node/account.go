package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/identity"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	valueWordsSaved = "words-saved" // the user has written the words down
	valueFormer     = "former"      // the chats of an account that was imported, as JSON
)

// Account shows the account of this device.
func (n *Node) Account(context.Context) (demes.AccountView, error) {
	saved, err := n.store.Value(valueWordsSaved)
	return demes.AccountView{
		Account: n.id.account.String(), Device: n.id.device.String(), DeviceNumber: n.id.cert.GetN(),
		HasWords: n.id.seed != nil, WordsSaved: len(saved) > 0,
	}, err
}

// Words writes the account down. Who may see them is the caller's to check.
func (n *Node) Words(context.Context) ([]string, error) {
	if n.id.seed == nil {
		return nil, noWords()
	}
	return identity.Phrase(n.id.seed)
}

// SetWordsSaved keeps whether the user has written the words down.
func (n *Node) SetWordsSaved(_ context.Context, saved bool) error {
	if !saved {
		return n.store.SetValue(valueWordsSaved, nil)
	}
	if n.id.seed == nil {
		return noWords()
	}
	return n.store.SetValue(valueWordsSaved, []byte{1})
}

func noWords() error {
	return demes.Problem(demes.CodeNoWords, "The account's words are not on this device", "This device was added to the account by another one: look there, or on paper.")
}

// backup is an account to take elsewhere. It has what makes the person, and where
// to find the chats again; no key of a device and no state of a chat, because two
// devices that use the same keys undo each other's encryption.
type backup struct {
	Version  int             `json:"version"`
	Seed     string          `json:"seed"` // base64
	Name     string          `json:"name"`
	Verified json.RawMessage `json:"verified,omitempty"` // the profile's own value
	Chats    []formerChat    `json:"chats,omitempty"`
}

// formerChat is a chat to come back to.
type formerChat struct {
	ID      string         `json:"id"`
	Title   string         `json:"title"`
	Members []formerMember `json:"members,omitempty"`
}

// formerMember is where a member was.
type formerMember struct {
	Device    string   `json:"device"`
	Account   string   `json:"account"`
	Name      string   `json:"name"`
	Addresses []string `json:"addresses,omitempty"`
}

const backupVersion = 1

// ExportAccount makes a file of the account, sealed under a passphrase of its own.
func (n *Node) ExportAccount(ctx context.Context, passphrase string) ([]byte, error) {
	if n.id.seed == nil {
		return nil, noWords()
	}
	if err := identity.CheckPassphrase(passphrase); err != nil {
		return nil, err
	}
	verified, err := n.store.Value(valueVerified)
	if err != nil {
		return nil, err
	}
	b := backup{Version: backupVersion, Seed: base64.StdEncoding.EncodeToString(n.id.seed), Name: n.id.currentName(), Verified: verified}
	for _, r := range n.runners() {
		former, err := ask(ctx, r, nil, func(c *chat.Chat) (formerChat, error) { return former(r.view(c), c), nil })
		if ctx.Err() != nil {
			return nil, err
		}
		if last := r.lastView(); err != nil { // a chat that broke is one to come back to, too
			former = formerChat{ID: last.ID, Title: last.Title}
		}
		b.Chats = append(b.Chats, former)
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	return identity.Seal(identity.PurposeAccount, passphrase, raw, rand.Reader)
}

func former(v demes.ChatView, c *chat.Chat) formerChat {
	out := formerChat{ID: v.ID, Title: v.Title}
	for _, m := range v.Members {
		member := formerMember{Device: m.Device, Account: m.Account, Name: m.Name}
		if device, err := demes.ParseDeviceID(m.Device); err == nil && c.Fold().Members[device] != nil {
			member.Addresses = c.Fold().Members[device].Addresses
		}
		out.Members = append(out.Members, member)
	}
	return out
}

// Recover puts an account into a profile in which nobody has been. The device is
// a new one: it gets its key and its certificate at the first start.
func Recover(store Store, seed []byte, name string) error {
	if name != "" && !wire.ValidName(name) {
		return badName()
	}
	if err := vacant(store); err != nil {
		return err
	}
	if name != "" {
		if err := store.SetValue(valueName, []byte(name)); err != nil {
			return err
		}
	}
	if err := store.SetValue(valueWordsSaved, []byte{1}); err != nil {
		return err
	}
	return putAccount(store, seed)
}

// putAccount comes last: with it the profile is somebody's.
func putAccount(store Store, seed []byte) error {
	if len(seed) != ed25519.SeedSize {
		return fmt.Errorf("an account of %d bytes", len(seed))
	}
	return store.SetValue(valueAccount, seed)
}

// vacant makes sure that a profile is nobody's: an account never replaces another.
func vacant(store Store) error {
	for _, value := range []string{valueAccount, valueDevice, valueCert} {
		held, err := store.Value(value)
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return demes.Problem(demes.CodeProfileExists, "This profile has an account already", "Name a new profile: --profile NAME")
		}
	}
	return nil
}

// Export is an exported account that was opened.
type Export struct {
	content backup
	seed    []byte
}

// OpenExport opens what ExportAccount made.
func OpenExport(sealed []byte, passphrase string) (*Export, error) {
	raw, err := identity.Open(identity.PurposeAccount, passphrase, sealed)
	if err != nil {
		return nil, err
	}
	b, seed, err := readBackup(raw)
	if err != nil {
		return nil, err
	}
	return &Export{b, seed}, nil
}

// Import puts the account into a profile in which nobody has been, with a new
// device.
func (e *Export) Import(store Store) error {
	if err := vacant(store); err != nil {
		return err
	}
	former, err := json.Marshal(e.content.Chats)
	if err != nil {
		return err
	}
	values := []struct {
		name string
		data []byte
	}{{valueName, []byte(e.content.Name)}, {valueVerified, e.content.Verified}, {valueFormer, former}}
	for _, v := range values {
		if err := store.SetValue(v.name, v.data); err != nil {
			return err
		}
	}
	return putAccount(store, e.seed)
}

// readBackup checks what a file holds. Its maker knew the passphrase, and may have
// been another version or another program all the same.
func readBackup(raw []byte) (b backup, seed []byte, err error) {
	if err := json.Unmarshal(raw, &b); err != nil {
		return b, nil, badBackup(err)
	}
	if b.Version != backupVersion {
		return b, nil, demes.Problem(demes.CodeBadInput, "The file was made by another version of DeMes", "Update DeMes, then import it again.")
	}
	seed, err = base64.StdEncoding.DecodeString(b.Seed)
	switch {
	case err != nil:
		return b, nil, badBackup(err)
	case len(seed) != ed25519.SeedSize:
		return b, nil, badBackup(fmt.Errorf("a seed of %d bytes", len(seed)))
	case !wire.ValidName(b.Name):
		return b, nil, badBackup(fmt.Errorf("no name"))
	case len(b.Chats) > MaxChats:
		return b, nil, badBackup(fmt.Errorf("%d chats", len(b.Chats)))
	}
	if len(b.Verified) > 0 {
		if _, err := readMarks(b.Verified); err != nil {
			return b, nil, badBackup(err)
		}
	}
	for _, c := range b.Chats {
		if _, err := demes.ParseChatID(c.ID); err != nil {
			return b, nil, badBackup(err)
		}
	}
	return b, seed, nil
}

func badBackup(cause error) error {
	return &demes.Error{Code: demes.CodeBadInput, Title: "The file holds no account", Detail: "Choose the file that demes export --account made.", Cause: cause}
}
