package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/demes-chat/demes"
)

const (
	// DefaultPort is the first that is tried when none is named, and portsTried
	// how many are.
	DefaultPort = 3000
	portsTried  = 100

	headerWithin = 5 * time.Second
	idleWithin   = 2 * time.Minute
	maxHeader    = 32 << 10
)

// AnyPort as a port means: the default one, or else the next that is free.
const AnyPort = -1

// Listen opens a port on both loopbacks. A machine without IPv6 is fine; a
// port that someone else holds on either of them is taken, since "localhost"
// may lead to both.
func Listen(port int) (listeners []net.Listener, bound int, err error) {
	if port != AnyPort {
		listeners, err = listenBoth(port)
		switch {
		case isTaken(err):
			return nil, 0, portTaken(fmt.Sprintf("Port %d is taken", port), err)
		case errors.Is(err, fs.ErrPermission):
			problem := demes.Problem(demes.CodeBadInput, fmt.Sprintf("Port %d may not be used by this user", port),
				"Name one above 1023 with --port, or leave --port out to get the next free one.")
			problem.Cause = err
			return nil, 0, problem
		}
		return listeners, portOf(listeners), err
	}
	for port := DefaultPort; port < DefaultPort+portsTried; port++ {
		listeners, err = listenBoth(port)
		if err == nil {
			return listeners, port, nil
		}
	}
	return nil, 0, portTaken(fmt.Sprintf("The ports %d to %d are all taken", DefaultPort, DefaultPort+portsTried-1), err)
}

func portTaken(title string, cause error) error {
	problem := demes.Problem(demes.CodePortTaken, title, "Name a free one with --port, or leave --port out to get the next free one.")
	problem.Cause = cause
	return problem
}

// isTaken reports whether an error says that somebody else listens there.
func isTaken(err error) bool {
	const windowsAddrInUse = syscall.Errno(10048) // WSAEADDRINUSE
	return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, windowsAddrInUse)
}

func portOf(listeners []net.Listener) int {
	if len(listeners) == 0 {
		return 0
	}
	return listeners[0].Addr().(*net.TCPAddr).Port
}

func listenBoth(port int) ([]net.Listener, error) {
	four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("open the local port: %w", err)
	}
	port = four.Addr().(*net.TCPAddr).Port
	six, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	if isTaken(err) {
		_ = four.Close()
		return nil, fmt.Errorf("open the local port: %w", err)
	}
	if err != nil {
		return []net.Listener{four}, nil // no IPv6 here
	}
	return []net.Listener{four, six}, nil
}

// Serve answers on the listeners until the context ends, and returns when
// every call is done or grace is over.
func (s *Server) Serve(ctx context.Context, listeners []net.Listener, grace time.Duration) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: headerWithin, IdleTimeout: idleWithin, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() { failed <- server.Serve(listener) }()
	}
	var err error
	running := len(listeners)
	select {
	case <-ctx.Done():
	case err = <-failed:
		running--
	}
	s.live.stop()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close()
	}
	for range running {
		<-failed // each Serve ends with the server
	}
	s.Close()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}
