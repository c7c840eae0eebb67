// Package api serves the local HTTP API, the live events and the user
// interface of one node to its own user's machine.
//
// Its one idea: whoever holds the token of this start may do everything, and
// nobody else learns anything. The token never travels in a cookie, so no web
// page has it by accident; Host and Origin are checked on every request all the
// same, so that neither another site nor a rebound name reaches a handler.
// Every answer that is not a success is an RFC 9457 problem with a stable code.
//
// The package knows the node only as the interface Node, opens no store and no
// connection to other members, and decides nothing about chats.
// openapi.json in this folder is generated from the code here.
package api

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	// BasePath is where the API begins.
	BasePath = "/api/v1"

	// maxLive bounds the open live sockets: a browser with many tabs, a few
	// tools, and an end to a loop that forgets to close.
	maxLive = 64

	// callTimeout bounds one call. A call that needs longer than this waits for
	// something that will not come.
	callTimeout = 30 * time.Second
)

// Config is what a Server needs to know.
type Config struct {
	Node     Node  // nil: none until Open, because the profile is locked
	Lock     Lock  // nil: the profile cannot be locked
	UI       fs.FS // the built user interface; nil: none
	Port     int   // the port that Host headers must name
	Token    string
	Faults   bool         // serve the fault API
	Stats    func() Stats // numbers for /metrics; nil: none
	Shutdown func()       // asked to leave; must return at once
	Now      func() time.Time
	Log      *slog.Logger
}

// Server answers the requests of this machine's user. It is an http.Handler.
type Server struct {
	cfg   Config
	guard guard
	codes codes
	calls *http.ServeMux // everything but the user interface
	ui    *ui
	api   huma.API
	spec  []byte // openapi.json

	running atomic.Pointer[running] // nil while the profile is locked

	live live
}

// New makes a server. Close ends its live sockets.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg:   cfg,
		guard: newGuard(cfg.Port, cfg.Token),
		calls: http.NewServeMux(),
		ui:    newUI(cfg.UI),
	}
	s.codes.now = cfg.Now
	if cfg.Node != nil {
		s.Open(cfg.Node, cfg.Stats)
	}
	if cfg.Lock == nil {
		s.cfg.Lock = open{}
	}
	s.live.end, s.live.stop = context.WithCancel(context.Background())
	s.api = newOperations(s.calls)
	s.registerNode()
	s.registerChats()
	s.registerMessages()
	s.registerAmends()
	s.registerSettings()
	s.registerJoins()
	s.registerFaults()
	s.registerLock()
	s.registerAccount()
	s.registerDevices()
	s.spec = describe(s.api)
	s.handlePlain()
	return s
}

// NewCode makes a single-use code that a browser exchanges for the token
// within 60 seconds.
func (s *Server) NewCode() string { return s.codes.add() }

// Close ends the live sockets and waits until their goroutines are gone.
func (s *Server) Close() {
	s.live.stop()
	s.live.open.Wait()
}

// handlePlain registers what is no JSON call and so not in huma's hands.
func (s *Server) handlePlain() {
	s.calls.HandleFunc("GET "+BasePath+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(s.spec)
	})
	s.calls.HandleFunc("GET "+BasePath+"/contact", s.contact)
	s.calls.HandleFunc("GET "+BasePath+"/live", s.serveLive)
	s.calls.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	s.handleDiagnostics()
}

// ServeHTTP passes a request through the checks and to its handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.recover(w, r)
	secure(w.Header())
	if problem := s.guard.place(r); problem != nil {
		writeProblem(w, problem)
		return
	}
	if !isCall(r.URL.Path) {
		s.ui.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if problem := s.guard.caller(r); problem != nil {
		writeProblem(w, problem)
		return
	}
	if problem := s.unroutable(w, r); problem != nil {
		writeProblem(w, problem)
		return
	}
	if problem := s.unserved(r.URL.Path); problem != nil {
		writeProblem(w, problem)
		return
	}
	s.calls.ServeHTTP(w, r)
}

// isCall tells calls from files of the user interface.
func isCall(path string) bool {
	return path == "/healthz" || path == "/metrics" || path == "/api" || path == "/debug" ||
		strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/debug/")
}

// unroutable finds out what is wrong with a request that no handler takes.
func (s *Server) unroutable(w http.ResponseWriter, r *http.Request) *Problem {
	if !isClean(r.URL.Path) {
		return notFound()
	}
	handler, pattern := s.calls.Handler(r)
	if pattern != "" {
		return nil
	}
	probe := &statusProbe{header: http.Header{}}
	handler.ServeHTTP(probe, r)
	if probe.status != http.StatusMethodNotAllowed {
		return notFound()
	}
	allowed := probe.header.Get("Allow")
	w.Header().Set("Allow", allowed)
	return newProblem(http.StatusMethodNotAllowed, codeMethod, "This address does not take "+shown(r.Method, 16),
		"It takes "+allowed+".")
}

// isClean reports whether a path has no empty, "." or ".." segment, so that it
// needs no redirect.
func isClean(path string) bool {
	for _, segment := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "//")
}

// statusProbe hears what the mux would have said.
type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }

// recover answers for a handler that broke an invariant. The node goes on.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	if problem, is := cause.(*Problem); is {
		writeProblem(w, problem)
		return
	}
	s.cfg.Log.Error("a call broke", "method", r.Method, "path", r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
	writeProblem(w, internalProblem())
}

// live is the set of open live sockets.
type live struct {
	end  context.Context
	stop context.CancelFunc
	open sync.WaitGroup

	mu    sync.Mutex
	count int
}

// enter counts a socket in; false when there are too many or the end has come.
func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end.Err() != nil || l.count >= maxLive {
		return false
	}
	l.count++
	l.open.Add(1)
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count--
	l.open.Done()
}
