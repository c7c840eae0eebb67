package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api"
)

const (
	// knockFor is how long --join waits for the other node: people start their
	// terminals in any order.
	knockFor   = 2 * time.Minute
	knockEvery = 500 * time.Millisecond
	lookEvery  = 50 * time.Millisecond
)

// splitTarget tells links from addresses.
func splitTarget(target string) (link, address string) {
	if strings.HasPrefix(target, "/ip") || strings.HasPrefix(target, "/dns") {
		return "", target
	}
	if _, port, err := net.SplitHostPort(target); err == nil && !strings.Contains(target, "/") {
		if _, err := strconv.ParseUint(port, 10, 16); err == nil {
			return "", target
		}
	}
	return target, ""
}

// knock joins what --join named and logs how it goes. The node goes on either
// way.
func knock(ctx context.Context, node api.Node, target string, log *slog.Logger) {
	link, address := splitTarget(target)
	for end := time.Now().Add(knockFor); ; {
		join, err := untilThere(ctx, log, func() (string, error) { return api.Join(ctx, node, link, address, "") })
		if err != nil {
			if ctx.Err() == nil {
				log.Warn("could not join", "problem", err)
			}
			return
		}
		last := follow(ctx, node, join, log)
		unreachable := last.State == demes.JoinFailed && last.Problem != nil && last.Problem.Code == demes.CodeUnreachable
		if !unreachable || time.Now().After(end) || !pause(ctx, knockEvery) {
			return
		}
	}
}

// follow logs how a join goes until it is over, and returns how it ended.
func follow(ctx context.Context, node api.Node, join string, log *slog.Logger) (last demes.JoinView) {
	for pause(ctx, lookEvery) {
		view, err := node.JoinStatus(ctx, join)
		if err != nil {
			log.Warn("could not join", "problem", err)
			return last
		}
		if view.State != last.State || view.Code != last.Code {
			logJoin(log, view)
		}
		if last = view; isOver(view.State) {
			return last
		}
	}
	return last
}

func isOver(state demes.JoinState) bool {
	return state == demes.JoinJoined || state == demes.JoinRefused || state == demes.JoinFailed
}

func logJoin(log *slog.Logger, view demes.JoinView) {
	attributes := []any{"state", view.State}
	if view.Code != "" {
		attributes = append(attributes, "code", view.Code)
	}
	if view.Chat != "" {
		attributes = append(attributes, "chat", view.Chat)
	}
	if view.Problem != nil {
		attributes = append(attributes, "problem", view.Problem.Title, "help", view.Problem.Detail)
	}
	log.Info("joining", attributes...)
}

// untilThere repeats a join while the other node has not started or founded
// its lobby yet.
func untilThere(ctx context.Context, log *slog.Logger, join func() (string, error)) (id string, err error) {
	end := time.Now().Add(knockFor)
	for first := true; ; first = false {
		id, err = join()
		if !isEarly(err) || time.Now().After(end) {
			return id, err
		}
		if first {
			log.Info("waiting for the other node", "problem", err)
		}
		if !pause(ctx, knockEvery) {
			return "", ctx.Err()
		}
	}
}

func isEarly(err error) bool {
	var coded *demes.Error
	var problem *api.Problem
	return errors.As(err, &coded) && coded.Code == demes.CodeUnreachable ||
		errors.As(err, &problem) && problem.Code == api.CodeNoLobby
}

// pause waits; false when the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
