package node

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits of one round of questions.
const (
	// maxTargets bounds whom one join asks.
	maxTargets = 24
	// stagger is how long the next one waits for the one before it to answer or
	// fail: whoever holds the question has most likely admitted.
	stagger = 500 * time.Millisecond
	// attemptTime bounds one question: dialling, and the ten seconds of the protocol.
	attemptTime = 15 * time.Second
	// maxWaits bounds the names that a member sends of those it waits for.
	maxWaits = 1024
)

// heard is the best that a round heard.
type heard struct {
	state wire.JoinAnswer_State
	code  demes.Code
	waits string // who has to be online for the admission to be final
}

// rankOf orders answers: a welcome is the best, then waiting, knocking, a
// refusal, and nothing at all.
var rankOf = map[wire.JoinAnswer_State]int{
	wire.JoinAnswer_REFUSED: 1, wire.JoinAnswer_KNOCKING: 2, wire.JoinAnswer_WAITING: 3, wire.JoinAnswer_WELCOME: 4,
}

// linkTargets lists everybody whom a link names, each one's best address first.
func linkTargets(link *wire.Link, self demes.DeviceID) (out []wire.Target) {
	for i, more := 0, true; more && len(out) < maxTargets; i++ {
		more = false
		for _, c := range link.GetContacts() {
			if wire.Device(c.GetDevice()) == self || len(c.GetDevice()) != len(self) {
				continue
			}
			if i < len(c.GetAddresses()) && len(out) < maxTargets {
				out, more = append(out, wire.Target{Address: c.GetAddresses()[i], Device: c.GetDevice()}), true
			}
		}
	}
	return out
}

// round asks everybody, one a little after the other, until one welcomes. All of
// its goroutines have ended when it returns.
func (j *join) round(ctx context.Context) (best heard) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	answers := make(chan heard, len(j.targets))
	var entering sync.Mutex
	next, running := 0, 0
	pause := time.NewTimer(0)
	defer pause.Stop()
	for next < len(j.targets) || running > 0 {
		select {
		case <-pause.C:
			if next < len(j.targets) {
				target := j.targets[next]
				next, running = next+1, running+1
				work.Go(func() { answers <- j.attempt(ctx, target, &entering) })
				pause.Reset(stagger)
			}
		case a := <-answers:
			running--
			if rankOf[a.state] > rankOf[best.state] {
				best = a
			}
			if a.state == wire.JoinAnswer_WELCOME {
				return best
			}
			if a.state == wire.JoinAnswer_WAITING || a.state == wire.JoinAnswer_KNOCKING {
				next = len(j.targets) // somebody does what can be done
			}
			pause.Reset(0)
		case <-ctx.Done():
			return best
		}
	}
	return best
}

// attempt asks one member, and enters when it welcomes.
func (j *join) attempt(ctx context.Context, target wire.Target, entering *sync.Mutex) heard {
	asking, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	raw, _, err := j.joins.node.transport.Join(asking, target, j.request)
	if err != nil {
		if ctx.Err() == nil {
			j.tried(target, plainResult(err))
		}
		return heard{}
	}
	a := &wire.JoinAnswer{}
	if wire.Unmarshal(raw, a) != nil {
		j.tried(target, "answered with something else")
		return heard{}
	}
	said := heard{state: a.GetState(), code: demes.Code(a.GetCode())}
	if said.state == wire.JoinAnswer_WAITING && len(a.GetDetail()) <= maxWaits && utf8.ValidString(a.GetDetail()) {
		said.waits = a.GetDetail()
	}
	if said.state != wire.JoinAnswer_WELCOME {
		j.tried(target, strings.ToLower(said.state.String()))
		return said
	}
	entering.Lock()
	defer entering.Unlock()
	if j.state().State == demes.JoinJoined {
		return said
	}
	// Entering ends even when the others' questions are called off.
	if err := j.enter(context.WithoutCancel(ctx), a.GetBase()); err != nil {
		j.joins.node.log.Warn("a welcome was no good", "err", err)
		var coded *demes.Error
		if errors.As(err, &coded) {
			j.fail(err)
			return said
		}
		j.tried(target, "its welcome does not fit the invite")
		return heard{}
	}
	j.tried(target, "welcomed")
	j.change(func(v *demes.JoinView) { v.State, v.Chat, v.Problem = demes.JoinJoined, j.chat.String(), nil })
	return said
}

// tried notes how an address was tried last.
func (j *join) tried(target wire.Target, result string) {
	address := target.Address
	if address == "" {
		address = wire.Device(target.Device).String()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.view.Tried {
		if j.view.Tried[i].Address == address {
			j.view.Tried[i].Result = result
			return
		}
	}
	if len(j.view.Tried) < maxTargets {
		j.view.Tried = append(j.view.Tried, demes.Attempt{Address: address, Result: result})
	}
}

// plainResult is why an attempt failed, in a few words.
func plainResult(err error) string {
	var coded *demes.Error
	if errors.As(err, &coded) {
		return strings.TrimSuffix(coded.Title, ".")
	}
	return "no answer"
}
