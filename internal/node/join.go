package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Limits of joins.
const (
	maxJoins     = 16 // under way at once
	maxJoinsKept = 64 // remembered after their end
	// repeatFirst and repeatMost are the waits between two rounds: they double.
	repeatFirst = 2 * time.Second
	repeatMost  = 60 * time.Second
	// reachPatience is how long a join goes on when nobody at all answers.
	reachPatience = 30 * time.Second
	// refusals is how many rounds must end in a refusal before it is believed: the
	// members asked may not have settled the invite yet.
	refusals = 2
	// firstTries and firstPause are for the question which lobby takes knocks.
	firstTries = 3
	firstPause = time.Second
	// knockFor is how long a knock is good.
	knockFor = 24 * time.Hour
)

// joins are the ways into chats that this node is on.
type joins struct {
	node   *Node
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	entering sync.Mutex // one join at a time goes into its chat
	returns  sync.Mutex // guards the list of chats to come back to

	mu    sync.Mutex
	all   map[string]*join
	order []string // oldest first
	busy  int
	ended bool
}

// join is one way into a chat, with one goroutine.
type join struct {
	joins *joins
	id    string

	mu   sync.Mutex
	view demes.JoinView

	// The goroutine's own.
	link    *wire.Link // nil for a knock
	address string     // of a knock
	name    string
	chat    demes.ChatID
	suite   uint32 // of the chat
	own     bool   // by the rule of one account, without a link or a knock
	// replaces is the device of this account whose place this one takes; zero: none.
	replaces demes.DeviceID
	keys     *mls.KeyPackageSecrets // what the welcome is for
	request  []byte
	until    time.Time
	targets  []wire.Target
}

func newJoins(n *Node) *joins {
	j := &joins{node: n, all: map[string]*join{}}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j
}

// close ends every join and waits for its goroutine.
func (s *joins) close() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
}

// Join begins to join a chat by a link, or to knock at an address. The name is
// what this device is called there; empty: the node's.
func (n *Node) Join(ctx context.Context, link, address, name string) (string, error) {
	if name == "" {
		name = n.id.currentName()
	}
	if !wire.ValidName(name) {
		return "", badName()
	}
	if err := n.room(); err != nil {
		return "", err
	}
	j := &join{joins: n.joins, id: rand.Text(), address: address, name: name}
	j.view = demes.JoinView{Join: j.id, State: demes.JoinConnecting, Tried: []demes.Attempt{}}
	if link != "" {
		if err := j.readLink(link); err != nil {
			return "", err
		}
		if r := n.runner(j.chat); r != nil && r.isMember(ctx) {
			j.view.State, j.view.Chat = demes.JoinJoined, j.chat.String()
			return j.id, n.joins.keep(j)
		}
	} else {
		j.until = time.Now().Add(knockFor)
	}
	return j.id, n.joins.begin(j)
}

// isMember reports whether this device is a member of the chat as it knows it.
func (r *runner) isMember(ctx context.Context) bool {
	phase, err := ask(ctx, r, nil, func(c *chat.Chat) (demes.Phase, error) { return c.Phase(), nil })
	return err == nil && (phase == demes.PhaseLobby || phase == demes.PhaseLive)
}

// readLink takes what an invite link says. An expired one is noticed here.
func (j *join) readLink(text string) error {
	link, err := wire.GetLink(text)
	if err != nil {
		return err
	}
	j.until = time.UnixMilli(link.GetNotAfterMs())
	if j.joins.node.now().Wall > link.GetNotAfterMs() {
		return demes.Problem(demes.CodeInviteExpired, "This invite link has expired",
			"It was good until "+j.until.UTC().Format("2 January 2006 15:04 UTC")+". Ask for a new one, or set this computer's clock if that has not been yet.")
	}
	j.link, j.chat, j.suite = link, demes.ChatID(wire.HashOf(link.GetChat())), link.GetSuite()
	j.view.Chat = j.chat.String()
	return nil
}

// JoinStatus shows how far a join has come.
func (n *Node) JoinStatus(_ context.Context, id string) (demes.JoinView, error) {
	n.joins.mu.Lock()
	j := n.joins.all[id]
	n.joins.mu.Unlock()
	if j == nil {
		return demes.JoinView{}, demes.Problem(demes.CodeUnknownJoin, "There is no such join", "Begin it again.")
	}
	return j.state(), nil
}

func (j *join) state() demes.JoinView {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := j.view
	v.Tried = append([]demes.Attempt{}, v.Tried...)
	return v
}

// keep remembers a join; the oldest that have ended are forgotten.
func (s *joins) keep(j *join) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return shuttingDown()
	}
	s.all[j.id] = j
	s.order = append(s.order, j.id)
	for i := 0; i < len(s.order) && len(s.order) > maxJoinsKept; {
		if old := s.all[s.order[i]]; over(old.state()) {
			delete(s.all, old.id)
			s.order = append(s.order[:i], s.order[i+1:]...)
			continue
		}
		i++
	}
	return nil
}

// begin starts a join's goroutine.
func (s *joins) begin(j *join) error {
	if err := s.keep(j); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.busy >= maxJoins {
		delete(s.all, j.id)
		return demes.Problem(demes.CodeTooMany, "Too many joins are under way", "Wait until one of them has ended.")
	}
	s.busy++
	s.work.Go(func() {
		j.run(s.ctx)
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
	})
	return nil
}

// run goes on until the chat is entered, the request is refused or too old, or
// nobody can be reached.
func (j *join) run(ctx context.Context) {
	ctx, cancel := context.WithDeadline(ctx, j.until)
	defer cancel()
	err := j.prepare(ctx)
	if err == nil {
		err = j.repeat(ctx)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
		err = demes.Problem(demes.CodeInviteExpired, "The invite expired before the members could admit you", "Ask for a new one.")
	}
	j.fail(err)
}

// fail ends the join with an error; nil is none.
func (j *join) fail(err error) {
	if err == nil {
		return
	}
	var coded *demes.Error
	if !errors.As(err, &coded) {
		coded = &demes.Error{Code: demes.CodeInternal, Title: "Joining did not work", Detail: "Try again; the log says more.", Cause: err}
		j.joins.node.log.Error("a join ended", "err", err)
	}
	state := demes.JoinFailed
	if coded.Code == demes.CodeRefused || coded.Code == demes.CodeChatFull {
		state = demes.JoinRefused
	}
	j.change(func(v *demes.JoinView) { v.State, v.Problem = state, problemView(coded) })
}

// change changes the view and tells listeners.
func (j *join) change(do func(*demes.JoinView)) {
	j.mu.Lock()
	before, waited := j.view.State, j.view.Waits
	do(&j.view)
	changed := before != j.view.State || waited != j.view.Waits
	j.mu.Unlock()
	if v := j.state(); changed {
		j.joins.node.hub.Publish(demes.LiveEvent{Type: "join", Chat: v.Chat, Detail: v})
	}
}

// prepare finds out whom to ask and signs the request, once.
func (j *join) prepare(ctx context.Context) error {
	n := j.joins.node
	var invite ed25519.PrivateKey
	if j.own {
		return j.sign(nil)
	}
	if j.link == nil {
		if err := j.findLobby(ctx); err != nil {
			return err
		}
	} else {
		key, err := wire.InviteKey(j.chat, j.link.GetSecret())
		if err != nil {
			return err
		}
		invite = key
		j.targets = linkTargets(j.link, n.id.device)
	}
	return j.sign(invite)
}

// sign makes the request and the key package that it names.
func (j *join) sign(invite ed25519.PrivateKey) (err error) {
	n := j.joins.node
	if j.keys, err = chat.NewKeyPackage(n.chatConfig(), j.chat, j.suite); err != nil {
		return demes.Problem(demes.CodeLinkMalformed, "This chat is encrypted in a way that this program does not know",
			"Update DeMes, and ask for the link again.")
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	keys := j.keys.KeyPackage.Bytes()
	sum := demes.Sum(keys)
	body := &wire.JoinBody{
		Chat: j.chat[:], Cert: n.id.cert, Name: j.name, Nonce: nonce, NotAfterMs: j.until.UnixMilli(), Addresses: n.addresses(),
		KeyPackageHash: sum[:],
	}
	if !j.replaces.IsZero() {
		body.Replaces = j.replaces[:]
	}
	j.request = wire.Marshal(&wire.JoinAsk{KeyPackage: keys, Request: wire.SealJoin(n.id.key, invite, body)})
	return nil
}

// askWhich puts the first question, a few times: a node that is busy, or whose door
// is crowded, sends away whom it takes in a moment later.
func (j *join) askWhich(ctx context.Context, target wire.Target) (raw []byte, from demes.DeviceID, err error) {
	for range firstTries {
		if raw, from, err = j.joins.node.transport.Join(ctx, target, wire.Marshal(&wire.JoinAsk{})); err == nil {
			return raw, from, nil
		}
		j.tried(target, plainResult(err))
		select {
		case <-time.After(firstPause):
		case <-ctx.Done():
			return nil, from, ctx.Err()
		}
	}
	return nil, from, err
}

// findLobby asks the node at the address which lobby takes knocks.
func (j *join) findLobby(ctx context.Context) error {
	n := j.joins.node
	target := wire.Target{Address: j.address}
	raw, from, err := j.askWhich(ctx, target)
	if err != nil {
		return err
	}
	a := &wire.JoinAnswer{}
	if wire.Unmarshal(raw, a) != nil {
		a.Reset()
	}
	id, named := wire.Bytes32(a.GetChat())
	if a.GetState() != wire.JoinAnswer_KNOCKING || !named {
		j.tried(target, "takes no knocks")
		return demes.Problem(demes.CodeRefused, "No lobby at this address takes knocks",
			"Ask its owner to found a chat first, or for an invite link when the chat has started.")
	}
	j.suite = a.GetSuite()
	j.chat, j.targets = demes.ChatID(id), []wire.Target{{Address: j.address, Device: from[:]}}
	if r := n.runner(j.chat); r != nil && r.isMember(ctx) {
		j.change(func(v *demes.JoinView) { v.State, v.Chat = demes.JoinJoined, j.chat.String() })
		return nil
	}
	j.change(func(v *demes.JoinView) {
		v.State, v.Chat, v.Code = demes.JoinKnocking, j.chat.String(), chat.KnockCode(n.id.device, from)
	})
	return nil
}

// repeat asks in rounds, with the identical request, until something final is
// said.
func (j *join) repeat(ctx context.Context) error {
	begun, wait, refusedFor := time.Now(), repeatFirst, 0
	for !over(j.state()) {
		best := j.round(ctx)
		switch {
		case best.state == wire.JoinAnswer_WELCOME:
			return nil
		case best.state == wire.JoinAnswer_REFUSED && best.code != demes.CodeTooMany:
			if refusedFor++; refusedFor >= refusals {
				return refusal(best.code, j.link != nil)
			}
		case best.state == wire.JoinAnswer_UNSPECIFIED:
			if time.Since(begun) > reachPatience {
				return demes.Problem(demes.CodeUnreachable, "Nobody of this chat can be reached",
					fmt.Sprintf("%d addresses were tried. Ask whether somebody is online, and try again.", len(j.state().Tried)))
			}
		default:
			begun, refusedFor = time.Now(), 0
			state := demes.JoinWaiting
			if best.state == wire.JoinAnswer_KNOCKING {
				state, wait = demes.JoinKnocking, repeatFirst
			}
			j.change(func(v *demes.JoinView) { v.State, v.Waits = state, best.waits })
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		if best.state == wire.JoinAnswer_WAITING {
			wait = min(2*wait, repeatMost)
		}
	}
	return nil
}

// refusal is a refusal in words.
func refusal(code demes.Code, invited bool) error {
	switch {
	case code == demes.CodeChatFull:
		return demes.Problem(demes.CodeChatFull, "The chat is full", fmt.Sprintf("A chat has at most %d devices.", chat.MaxMembers))
	case invited:
		return demes.Problem(demes.CodeRefused, "The invite was refused",
			"It was used up or revoked, it has expired, or who made it is no member any more. Ask for a new link.")
	}
	return demes.Problem(demes.CodeRefused, "The knock was refused",
		"The founder said no, or the chat has started. Ask for an invite link.")
}

// enter goes into the chat with the base that a member gave, once it is
// checked. It is durable when this returns.
func (j *join) enter(ctx context.Context, base *wire.Base) error {
	n := j.joins.node
	j.joins.entering.Lock()
	defer j.joins.entering.Unlock()
	if r := n.runner(j.chat); r != nil && r.isMember(ctx) {
		return nil // another join of this chat was faster: what was said since must stay
	}
	var inviter *demes.AccountID
	if j.link != nil {
		account := demes.AccountID(wire.HashOf(j.link.GetAccount()))
		inviter = &account
	}
	if err := chat.CheckBase(base, j.chat, n.id.device, inviter); err != nil {
		return err
	}
	c, err := chat.Enter(n.chatConfig(), n.now(), base, j.keys)
	if err != nil {
		return err
	}
	if c.Phase() == demes.PhaseLeft || c.Phase() == demes.PhaseRemoved {
		return demes.Problem(demes.CodeWrongPhase, "You have just left this chat", "The members are still taking you out, which needs most of them online. Use the link again in a few minutes.")
	}
	if old := n.runner(j.chat); old != nil {
		n.end(old) // it was a member before, and comes back
		saved, err := n.store.Load(j.chat)
		if err != nil {
			return err
		}
		c.Succeed(saved)
	}
	_, err = n.begin(ctx, c)
	return err
}

// over reports whether a join has come to its end.
func over(v demes.JoinView) bool {
	return v.State == demes.JoinJoined || v.State == demes.JoinRefused || v.State == demes.JoinFailed
}
