package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/identity"
)

// valueVerified is where the profile keeps whose safety numbers were compared.
const valueVerified = "verified"

// maxVerified bounds the accounts that are kept as verified, and maxDevices the
// devices of one; nobody compares more in person.
const (
	maxVerified = 10_000
	maxDevices  = 8_000 // eight in each of a thousand chats
)

// mark is what is kept of an account whose safety number was compared.
type mark struct {
	Devices []string  `json:"devices"` // those that the account had in chats then, by their bearing
	At      time.Time `json:"at"`
}

// safety knows whose safety numbers the user has compared. An account counts as
// verified while each of its devices that is a member in any chat was known then:
// a device that came later may be somebody else's who has stolen the account.
type safety struct {
	store Store

	mu    sync.Mutex // guards what follows
	marks map[string]mark
	// seen are the devices that marked accounts have now, by account and chat.
	seen map[string]map[string][]string
}

func openSafety(store Store) (*safety, error) {
	s := &safety{store: store, marks: map[string]mark{}, seen: map[string]map[string][]string{}}
	raw, err := store.Value(valueVerified)
	if err != nil || len(raw) == 0 {
		return s, err
	}
	s.marks, err = readMarks(raw)
	if err != nil {
		return nil, &demes.Error{Code: demes.CodeProfileDamaged, Title: "The list of verified people is damaged", Cause: err,
			Detail: "Keep the data folder, and make a new profile from your 24 words with demes recover."}
	}
	return s, nil
}

// readMarks reads what the profile or an export holds.
func readMarks(raw []byte) (map[string]mark, error) {
	marks := map[string]mark{}
	if err := json.Unmarshal(raw, &marks); err != nil {
		return nil, err
	}
	if len(marks) > maxVerified {
		return nil, errors.New("too many accounts")
	}
	for _, m := range marks {
		if len(m.Devices) > maxDevices {
			return nil, errors.New("too many devices")
		}
	}
	return marks, nil
}

// bearing names a member's device as it was compared: one that has come back with
// new keys by itself is another from then on. Its device key vouches for the new
// keys, and who has stolen that could be the one who came back.
func bearing(chat string, m *demes.MemberView) string {
	if m.RejoinedAt == nil {
		return m.Device
	}
	return fmt.Sprintf("%s in %s since %d", m.Device, chat, m.RejoinedAt.UnixMilli())
}

// look takes note of a chat's members and says who of them is verified.
func (s *safety) look(v *demes.ChatView) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.marks) == 0 {
		return
	}
	present := map[string][]string{}
	for _, m := range v.Members {
		if _, marked := s.marks[m.Account]; marked {
			present[m.Account] = append(present[m.Account], bearing(v.ID, &m))
		}
	}
	for account := range s.marks {
		if s.seen[account] == nil {
			s.seen[account] = map[string][]string{}
		}
		s.seen[account][v.ID] = present[account]
	}
	for i := range v.Members {
		v.Members[i].Verified = s.holds(v.Members[i].Account)
	}
}

// holds reports whether an account is verified, and nothing has changed since.
func (s *safety) holds(account string) bool {
	m, marked := s.marks[account]
	if !marked {
		return false
	}
	for _, devices := range s.seen[account] {
		for _, d := range devices {
			if !slices.Contains(m.Devices, d) {
				return false
			}
		}
	}
	return true
}

// state says how an account stands.
func (s *safety) state(account string) (verified, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, marked := s.marks[account]
	verified = s.holds(account)
	return verified, marked && !verified
}

// set keeps that an account is verified with these devices, or with none of them
// that it is not.
func (s *safety) set(account string, m *mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	marks := map[string]mark{}
	for a, old := range s.marks {
		marks[a] = old
	}
	delete(marks, account)
	if m != nil {
		if len(marks) >= maxVerified {
			return demes.Problem(demes.CodeTooMany, "Too many people are verified", "Take the mark from somebody whom you have no chat with any more.")
		}
		marks[account] = *m
	}
	raw := []byte(nil) // deletes the value
	if len(marks) > 0 {
		var err error
		if raw, err = json.Marshal(marks); err != nil {
			return err
		}
	}
	if err := s.store.SetValue(valueVerified, raw); err != nil {
		return err
	}
	s.marks = marks
	delete(s.seen, account)
	return nil
}

// Safety shows the safety number of this account and a member's, and whether the
// user has compared it. The QR code is for who draws it.
func (n *Node) Safety(ctx context.Context, id demes.ChatID, account demes.AccountID) (demes.SafetyView, error) {
	if account == n.id.account {
		return demes.SafetyView{}, ownAccount()
	}
	v, err := n.Chat(ctx, id)
	if err != nil {
		return demes.SafetyView{}, err
	}
	name := account.String()
	at := slices.IndexFunc(v.Members, func(m demes.MemberView) bool { return m.Account == name })
	if at < 0 {
		return demes.SafetyView{}, noSuchMember()
	}
	if _, err := n.Chats(ctx); err != nil { // each chat is looked at for devices of the account
		return demes.SafetyView{}, err
	}
	verified, changed := n.safety.state(name)
	return demes.SafetyView{
		Account: name, Name: v.Members[at].Name, Digits: identity.SafetyOf(n.id.account, account).String(),
		Verified: verified, Changed: changed,
	}, nil
}

// SetVerified keeps that the user has compared the safety number of an account, or
// that the mark is withdrawn. What is verified is the account with the devices
// that it has in all chats now.
func (n *Node) SetVerified(ctx context.Context, account demes.AccountID, verified bool) error {
	if account == n.id.account {
		return ownAccount()
	}
	views, err := n.Chats(ctx)
	if err != nil {
		return err
	}
	name := account.String()
	var devices []string
	var shared []string // chats where the account is
	for _, v := range views {
		for _, m := range v.Members {
			if m.Account == name {
				devices, shared = append(devices, bearing(v.ID, &m)), append(shared, v.ID)
			}
		}
	}
	if verified && len(devices) == 0 {
		return noSuchMember()
	}
	slices.Sort(devices)
	m := &mark{Devices: slices.Compact(devices), At: time.UnixMilli(n.now().Wall).UTC()}
	if !verified {
		m = nil
	}
	if err := n.safety.set(name, m); err != nil {
		return err
	}
	return n.showAgain(ctx, slices.Compact(shared))
}

// showAgain tells pages of chats in which somebody's mark has changed.
func (n *Node) showAgain(ctx context.Context, chats []string) error {
	for _, r := range n.runners() {
		if !slices.Contains(chats, r.id.String()) {
			continue
		}
		_, err := ask(ctx, r, nil, func(*chat.Chat) (bool, error) {
			r.show(chat.NoticeMembers, "")
			return true, nil
		})
		if ctx.Err() != nil {
			return err
		}
	}
	return nil
}

func ownAccount() error {
	return demes.Problem(demes.CodeBadInput, "This is your own account", "A safety number compares your account with somebody else's.")
}

func noSuchMember() error {
	return demes.Problem(demes.CodeUnknownMember, "Nobody of that account is in a chat with you", "The chat lists the accounts of its members.")
}
