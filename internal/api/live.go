package api

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/demes-chat/demes"
)

const (
	liveProtocol = "demes.v1"

	pingEvery    = 15 * time.Second
	pongWithin   = 10 * time.Second
	writeWithin  = 10 * time.Second
	closeWithin  = time.Second
	maxLiveInput = 4 << 10 // clients say nothing on this socket

	// FromNow as the since of Node.Live asks for what happens from now on.
	FromNow = uint64(math.MaxUint64)
)

// serveLive sends live events over a WebSocket until the client goes, reads too
// slowly, or the server closes.
func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	since, problem := liveRequest(r)
	if problem != nil {
		if problem.Status == http.StatusUpgradeRequired {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
		}
		writeProblem(w, problem)
		return
	}
	if !s.live.enter() {
		writeProblem(w, newProblem(http.StatusTooManyRequests, demes.CodeTooMany, "Too many live sockets are open", "Close a tab or a tool that follows this node."))
		return
	}
	defer s.live.leave()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{liveProtocol}})
	if err != nil {
		s.cfg.Log.Debug("a live socket was not accepted", "error", err)
		return
	}
	// The request's context means nothing once the connection is taken over.
	gone, leave := context.WithCancel(context.Background())
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		defer leave()
		hear(conn)
	}()
	s.feed(gone, conn, r.URL.Query().Get("run"), since)
	_ = conn.CloseNow()
	<-heard
}

// hear waits for the client to go, which also answers its pings. It has nothing
// to say, so that whatever it says ends the socket. (Conn.CloseRead does the
// same and then waits 15 seconds for itself.)
func hear(conn *websocket.Conn) {
	conn.SetReadLimit(maxLiveInput)
	if _, _, err := conn.Reader(context.Background()); err == nil {
		farewell(conn, websocket.StatusPolicyViolation, "clients say nothing here")
	}
}

// liveRequest reads a request for live events, and says what is wrong before
// anything is upgraded.
func liveRequest(r *http.Request) (since uint64, problem *Problem) {
	query := r.URL.Query()
	since = FromNow
	if text := query.Get("since"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, badField("query.since", "is not a sequence number")
		}
		since = n
	}
	if len(query.Get("run")) > 128 {
		return 0, badField("query.run", "is longer than 128 characters")
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Sec-WebSocket-Key") == "" {
		return 0, newProblem(http.StatusUpgradeRequired, codeUpgrade, "Live events come over a WebSocket", "Connect with a WebSocket client.")
	}
	if offered := subprotocols(r); len(offered) > 0 && !slices.Contains(offered, liveProtocol) {
		return 0, badField("header.Sec-WebSocket-Protocol", "does not offer "+liveProtocol)
	}
	return since, nil
}

// feed writes events until there are no more. Pings find a client that is gone.
func (s *Server) feed(gone context.Context, conn *websocket.Conn, run string, since uint64) {
	ctx, cancel := context.WithCancel(gone)
	defer cancel()
	events, missed := s.node().Live(ctx, run, since)
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case event, open := <-events:
			if !open {
				farewell(conn, websocket.StatusTryAgainLater, "too slow: resume with since")
				return
			}
			if missed {
				event, missed = asReset(event), false
			}
			if writeEvent(ctx, conn, event) != nil {
				return
			}
		case <-ping.C:
			pinged, stop := context.WithTimeout(ctx, pongWithin)
			err := conn.Ping(pinged)
			stop()
			if err != nil {
				return
			}
		case <-gone.Done():
			return
		case <-s.live.end.Done():
			farewell(conn, websocket.StatusGoingAway, "the node leaves")
			return
		}
	}
}

// farewell says why there is nothing more, and does not wait long for an answer.
func farewell(conn *websocket.Conn, status websocket.StatusCode, reason string) {
	limit := time.AfterFunc(closeWithin, func() { _ = conn.CloseNow() })
	defer limit.Stop()
	_ = conn.Close(status, reason)
}

// asReset makes the greeting tell the client that it missed something and must
// fetch anew what it shows.
func asReset(event demes.LiveEvent) demes.LiveEvent {
	return demes.LiveEvent{Seq: event.Seq, Run: event.Run, Type: EventReset}
}

func writeEvent(ctx context.Context, conn *websocket.Conn, event demes.LiveEvent) error {
	var frame bytes.Buffer
	encoder := json.NewEncoder(&frame)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(shownEvent(event)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, bytes.TrimSuffix(frame.Bytes(), []byte("\n")))
}

// shownEvent fills the lists of what an event carries.
func shownEvent(event demes.LiveEvent) demes.LiveEvent {
	switch detail := event.Detail.(type) {
	case demes.ChatView:
		event.Detail = whole(detail)
	case *demes.ChatView:
		if detail != nil {
			event.Detail = whole(*detail)
		}
	case demes.JoinView:
		detail.Tried = list(detail.Tried)
		event.Detail = detail
	}
	return event
}
