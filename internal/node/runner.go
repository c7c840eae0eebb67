package node

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/wire"
)

const (
	// retryStorage is how often a batch is tried again that could not be stored,
	// in milliseconds.
	retryStorage = 1_000
	// maxIdleWait bounds how much a timer that found nothing to do is put off, in
	// milliseconds: a chat whose deadline does not move must not use up a core.
	maxIdleWait = 50
	// activeFor is how long a chat counts as active after something happened in
	// it, in milliseconds: its council's beats are fast for that long.
	activeFor = 60_000
)

// runner is the one goroutine that owns one chat. What other goroutines may
// touch are the inbox, the channels and the fields under mu.
type runner struct {
	node  *Node
	id    demes.ChatID
	inbox *inbox
	quit  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	changed chan struct{}  // closed and replaced when who is a member, or what is final, moved
	shown   demes.ChatView // the last view made: what is shown once the chat is broken

	active atomic.Int64 // Mono ms until which the chat counts as active
	knocks atomic.Bool  // it takes knocks

	// The goroutine's own.
	chat   *chat.Chat // nil when it could not be opened
	broken error      // it cannot go on until a restart; nil otherwise
	unkept unkept
	idle   int     // turns in a row that the timer began and that did nothing
	calls  []*call // of this turn, not answered yet
	keys   *keys
	ties   ties
	news   news
	code   epochCode
}

// unkept is an output that could not be made durable yet. Nothing else happens
// in the chat until it is.
type unkept struct {
	output  *chat.Output // nil: all is durable
	why     *demes.Error
	retryAt int64 // Mono ms
}

// call is one call of a user into a chat.
type call struct {
	do     func(*chat.Chat, demes.Now) error // changes something; nil when it only reads
	answer func(*chat.Chat) error            // reads the answer, once all is durable; may be nil
	err    error
	done   chan struct{}
}

func newRunner(n *Node, id demes.ChatID, c *chat.Chat) *runner {
	return &runner{
		node: n, id: id, inbox: newInbox(), quit: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
		chat: c, keys: newKeys(),
		ties: ties{linked: map[demes.DeviceID]linked{}, roster: true, relink: true},
	}
}

// openRunner goes on with a chat that was kept.
func openRunner(n *Node, saved *chat.Saved) (r *runner, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic while opening: %v\n%s", fault, debug.Stack())
		}
	}()
	c, err := chat.Open(n.chatConfig(), n.now(), saved)
	if err != nil {
		return nil, err
	}
	r = newRunner(n, saved.Chat, c)
	r.keys.restore(saved)
	return r, nil
}

// brokenRunner lists a chat that cannot be opened.
func brokenRunner(n *Node, id demes.ChatID, saved *chat.Saved, why error) *runner {
	r := newRunner(n, id, nil)
	r.broken = why
	state := &wire.State{}
	if saved != nil {
		_ = wire.Unmarshal(saved.Values["fold"], state) // a title to know it by, where there is one
	}
	r.shown = demes.ChatView{
		ID: id.String(), Title: state.GetTitle(), Phase: demes.PhaseLive, Mode: demes.ModeProvisional, Me: n.id.device.String(),
		Head: demes.HeadView{Hash: demes.Hash{}.String()}, Problem: problemView(brokenError(why)),
	}
	if r.shown.Title == "" {
		r.shown.Title = "Chat " + id.Short()
	}
	return r
}

// start begins the goroutine; stop and done end it.
func (r *runner) start() { go r.run() }

func (r *runner) stop() { close(r.quit) }

func (r *runner) run() {
	defer close(r.done)
	timer := time.NewTimer(0) // the first turn carries out what opening asked for
	defer timer.Stop()
	for {
		timed := false
		select {
		case <-r.quit:
			r.refuse(r.inbox.close(), shuttingDown())
			return
		case <-r.inbox.news:
		case <-timer.C:
			timed = true
		}
		did := r.guard(r.turn)
		if timed && !did {
			r.idle++
		} else {
			r.idle = 0
		}
		if wait, wanted := r.sleep(); wanted {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

// guard runs one turn. A panic breaks this chat and no other (promise B4).
func (r *runner) guard(turn func() bool) (did bool) {
	defer func() {
		if fault := recover(); fault != nil {
			r.node.log.Error("a chat broke", "chat", r.id.Short(), "fault", fault, "stack", string(debug.Stack()))
			r.breakDown(fmt.Errorf("panic: %v", fault))
			did = true
		}
	}()
	return turn()
}

// breakDown ends the chat's work until a restart, and says so.
func (r *runner) breakDown(why error) {
	r.broken, r.unkept = why, unkept{}
	r.knocks.Store(false)
	r.refuse(r.calls, brokenError(why))
	r.calls = nil
	r.node.links.forget(r)
	r.mu.Lock()
	r.shown.Problem = problemView(brokenError(why))
	view := r.shown
	r.mu.Unlock()
	r.node.hub.Publish(demes.LiveEvent{Type: string(chat.NoticeMembers), Chat: r.id.String(), Detail: view})
}

// turn takes all that waits and works until the chat asks for nothing more. It
// reports whether anything came of it.
func (r *runner) turn() (did bool) {
	for {
		in := r.inbox.take()
		if r.broken != nil {
			r.refuse(in.calls, brokenError(r.broken))
			return did
		}
		r.calls = in.calls
		if r.unkept.output != nil && !r.goOn() {
			r.stall(r.unkept.why)
			return true
		}
		r.apply(r.node.now(), in)
		out, any := r.chat.Output()
		if any && !r.carryOut(&out) {
			r.stall(waits(r.unkept.why))
			return true
		}
		r.finish()
		if any {
			r.chat.Advance()
		}
		r.report()
		did = did || any || len(in.calls) > 0
		if !any {
			r.tell()
			return did
		}
	}
}

// apply hands the inputs to the chat.
func (r *runner) apply(now demes.Now, in taken) {
	for _, b := range in.beats {
		if l, known := r.ties.linked[b.from]; known {
			came := demes.Now{Mono: b.at, Wall: now.Wall - (now.Mono - b.at)}
			r.chat.Heard(came, b.from, b.intervalMs, l.entry(r.id))
		}
	}
	if in.links || r.ties.relink {
		r.lookAtLinks(now)
	}
	for _, f := range in.frames {
		if err := r.chat.Step(now, f.from, f.frame); err != nil {
			r.node.log.Debug("a frame was refused", "chat", r.id.Short(), "from", f.from.Short(), "err", err)
		}
	}
	for _, c := range in.calls {
		if c.do != nil {
			c.err = c.do(r.chat, now)
		}
	}
	if at := r.chat.Deadline(); at != 0 && at <= now.Mono {
		r.chat.Tick(now)
	}
}

// carryOut does what the chat asks for, in the only right order: durable, then
// sent, then shown; the callers are answered and the chat advances after that.
// It reports false when the output could not be made durable: nothing of it has
// happened then, and the same output comes first from now on (promise D1).
func (r *runner) carryOut(out *chat.Output) bool {
	if out.Batch != nil {
		r.keys.keep(out.Batch)
		if err := r.node.writer.commit(out.Batch); err != nil {
			r.storageFailed(out, err)
			return false
		}
		r.note(out.Batch)
	}
	for _, f := range out.Frames {
		if !r.node.transport.Send(f.To, wire.Marshal(f.Frame)) {
			r.chat.Dropped(r.node.now(), f.To)
		}
	}
	r.publish(out)
	return true
}

// storageFailed keeps an output that could not be made durable, to be tried
// again, and says so.
func (r *runner) storageFailed(out *chat.Output, err error) {
	now := r.node.now()
	first := r.unkept.output == nil
	r.unkept = unkept{output: out, why: storageError(err), retryAt: now.Mono + retryStorage}
	if first {
		r.node.log.Error("a chat cannot be stored; it waits", "chat", r.id.Short(), "err", err)
		r.show(chat.NoticeMembers, "")
	}
}

// goOn tries the output again that could not be made durable.
func (r *runner) goOn() bool {
	if r.node.now().Mono < r.unkept.retryAt || !r.carryOut(r.unkept.output) {
		return false
	}
	r.unkept = unkept{}
	r.ties.relink = true
	r.chat.Advance()
	r.node.log.Info("a chat can be stored again", "chat", r.id.Short())
	r.show(chat.NoticeMembers, "")
	return true
}

// stall is what a turn does while the store fails: reads are answered, changes
// get the error why, and peers' frames are dropped. They come again.
func (r *runner) stall(why *demes.Error) {
	r.ties.relink = true
	for _, c := range r.calls {
		if c.do != nil && c.err == nil {
			c.err = why
		}
	}
	r.finish()
	r.tell()
}

// finish answers callers: what they did is durable now.
func (r *runner) finish() {
	for len(r.calls) > 0 {
		c := r.calls[0]
		if c.err == nil && c.answer != nil {
			c.err = c.answer(r.chat)
		}
		r.calls = r.calls[1:]
		close(c.done)
	}
}

func (r *runner) refuse(calls []*call, err error) {
	for _, c := range calls {
		c.err = err
		close(c.done)
	}
}

// sleep is how long nothing has to be done; wanted is false when that is until
// the next input.
func (r *runner) sleep() (wait time.Duration, wanted bool) {
	if r.broken != nil {
		return 0, false
	}
	next := r.news.due
	if r.unkept.output != nil {
		next = earlier(next, r.unkept.retryAt)
	} else {
		next = earlier(next, r.chat.Deadline())
	}
	if next == 0 {
		return 0, false
	}
	left := max(next-r.node.now().Mono, int64(min(r.idle, maxIdleWait)))
	return time.Duration(left) * time.Millisecond, true
}

// earlier is the earlier of two times of which 0 means never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// enqueue hands a call over and waits for its end.
func (r *runner) enqueue(ctx context.Context, c *call) error {
	c.done = make(chan struct{})
	select {
	case r.inbox.places <- struct{}{}:
		defer func() { <-r.inbox.places }()
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
		return shuttingDown()
	}
	if !r.inbox.putCall(c) {
		return shuttingDown()
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err() // it may have happened
	}
}

// act changes something in the chat and returns when that is durable.
func (r *runner) act(ctx context.Context, do func(*chat.Chat, demes.Now) error) error {
	return r.enqueue(ctx, &call{do: do})
}

// ask returns what answer reads once all that the chat asked for is durable; do
// comes first, where it is not nil.
func ask[T any](ctx context.Context, r *runner, do func(*chat.Chat, demes.Now) error, answer func(*chat.Chat) (T, error)) (T, error) {
	var none T
	got := new(T) // the chat's goroutine may still write it when the context has ended
	err := r.enqueue(ctx, &call{do: do, answer: func(c *chat.Chat) (err error) {
		*got, err = answer(c)
		return err
	}})
	if err != nil {
		return none, err
	}
	return *got, nil
}

// watch returns a channel that closes when the chat's membership, or what is
// final, has moved.
func (r *runner) watch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *runner) moved() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
}

// storageError is what callers learn when nothing could be stored.
func storageError(err error) *demes.Error {
	var coded *demes.Error
	if errors.As(err, &coded) {
		return coded
	}
	return &demes.Error{
		Code: demes.CodeStorage, Title: "The chat cannot be stored",
		Detail: "Look whether the disk works and has room; DeMes goes on by itself.",
		Cause:  err,
	}
}

// waits is what those callers learn whose change is in the output that could not
// be stored: it is done later, not refused.
func waits(why *demes.Error) *demes.Error {
	return &demes.Error{
		Code: why.Code, Title: why.Title, Cause: why,
		Detail: why.Detail + " What you just did is done then too, unless DeMes ends before: look before you repeat it.",
	}
}

// brokenError is what callers learn of a chat that cannot go on.
func brokenError(why error) *demes.Error {
	var coded *demes.Error
	if errors.As(why, &coded) {
		return coded
	}
	return &demes.Error{
		Code: demes.CodeInternal, Title: "This chat has stopped on this device",
		Detail: "Start DeMes again; nothing stored is lost. If it happens again, report it with the log.", Cause: why,
	}
}

func problemView(e *demes.Error) *demes.ProblemView {
	return &demes.ProblemView{Code: e.Code, Title: e.Title, Detail: e.Detail}
}
