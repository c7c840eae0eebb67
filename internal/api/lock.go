package api

import (
	"context"
	"net/http"

	"github.com/demes-chat/demes"
)

// Lock guards the profile of the node. Its methods may take a moment on purpose:
// passphrases are expensive to try. Errors are *demes.Error.
type Lock interface {
	// State says how the profile is protected now.
	State() (demes.LockView, error)
	// Unlock opens the profile and starts its node, which Server.Open then serves.
	Unlock(ctx context.Context, passphrase string) error
	// Lock stops the node, after Server.Shut, and closes the profile.
	Lock(ctx context.Context) error
	// SetPassphrase sets, changes or (new is empty) removes the passphrase. The old
	// one is needed where there is one.
	SetPassphrase(ctx context.Context, old, new string) error
	// Reopen stops the node and starts it again, or leaves it locked where it has a
	// passphrase.
	Reopen(ctx context.Context) error
	// Check asks for the passphrase again; without one every text is right.
	Check(ctx context.Context, passphrase string) error
}

// running is a node that is served.
type running struct {
	node  Node
	stats func() Stats // nil: none
}

// Open serves a node from now on.
func (s *Server) Open(node Node, stats func() Stats) { s.running.Store(&running{node, stats}) }

// Shut serves no node until Open: calls that need one answer "locked".
func (s *Server) Shut() { s.running.Store(nil) }

// node is the node that is served. Of a call that was let in just before Shut the
// panic makes an answer, in recover.
func (s *Server) node() Node {
	if r := s.running.Load(); r != nil {
		return r.node
	}
	panic(lockedProblem())
}

// stats are the numbers of the node; zeros while there is none.
func (s *Server) stats() Stats {
	if r := s.running.Load(); r != nil && r.stats != nil {
		return r.stats()
	}
	return Stats{}
}

func lockedProblem() *Problem {
	return newProblem(http.StatusLocked, demes.CodeLocked, "DeMes is locked", "Unlock it with its passphrase: on its page, or with: demes unlock")
}

// worksLocked are the calls that need no node.
var worksLocked = map[string]bool{
	"/healthz":                 true,
	"/metrics":                 true,
	BasePath + "/session":      true,
	BasePath + "/openapi.json": true,
	BasePath + "/contact":      true,
	BasePath + "/shutdown":     true,
	BasePath + "/lock":         true,
	BasePath + "/unlock":       true,
}

// unserved refuses a call that needs a node while there is none.
func (s *Server) unserved(path string) *Problem {
	if worksLocked[path] || s.running.Load() != nil {
		return nil
	}
	return lockedProblem()
}

func (s *Server) registerLock() {
	register(s, call("get-lock", http.MethodGet, "/lock", http.StatusOK, "How the profile is protected; also while it is locked"),
		func(context.Context, *empty) (*answer[demes.LockView], error) { return answered(s.cfg.Lock.State()) })
	register(s, call("unlock", http.MethodPost, "/unlock", http.StatusOK, "Open a locked profile and start its node"), s.unlock)
	register(s, call("lock", http.MethodPost, "/lock", http.StatusOK, "Stop the node and lock its profile, which needs a passphrase for that"), s.lock)
	register(s, call("set-passphrase", http.MethodPut, "/lock", http.StatusOK, "Set, change or remove the passphrase"), s.setPassphrase)
}

type unlockInput struct {
	Body struct {
		Passphrase string `json:"passphrase"`
	}
}

func (s *Server) unlock(ctx context.Context, in *unlockInput) (*answer[demes.LockView], error) {
	if err := s.cfg.Lock.Unlock(ctx, in.Body.Passphrase); err != nil {
		return nil, err
	}
	return answered(s.cfg.Lock.State())
}

func (s *Server) lock(ctx context.Context, _ *empty) (*answer[demes.LockView], error) {
	if err := s.cfg.Lock.Lock(ctx); err != nil {
		return nil, err
	}
	return answered(s.cfg.Lock.State())
}

type passphraseInput struct {
	Body struct {
		Old string `json:"old,omitempty" doc:"The passphrase that is set now; nothing when there is none."`
		New string `json:"new,omitempty" doc:"The new one, of at least 8 characters; nothing removes it."`
	}
}

func (s *Server) setPassphrase(ctx context.Context, in *passphraseInput) (*answer[demes.LockView], error) {
	s.node() // a locked profile is unlocked first
	if err := s.cfg.Lock.SetPassphrase(ctx, in.Body.Old, in.Body.New); err != nil {
		return nil, err
	}
	return answered(s.cfg.Lock.State())
}

// open is a Lock that is none: of a server whose owner gave it only a node.
type open struct{}

func (open) State() (demes.LockView, error)                      { return demes.LockView{Key: "key-file"}, nil }
func (open) Unlock(context.Context, string) error                { return nil }
func (open) Lock(context.Context) error                          { return noLock() }
func (open) SetPassphrase(context.Context, string, string) error { return noLock() }
func (open) Reopen(context.Context) error                        { return nil }
func (open) Check(context.Context, string) error                 { return nil }

func noLock() error {
	return demes.Problem(demes.CodeNoPassphrase, "This node takes no passphrase", "Start DeMes with demes run.")
}
