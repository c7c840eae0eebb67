package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/p2p"
	"github.com/demes-chat/demes/internal/store"
)

// valuePort is where the profile keeps its p2p port: others know it.
const valuePort = "p2p-port"

var _ api.Node = (*node.Node)(nil)

// openNode puts the layers together: store, network, node.
func openNode(cfg nodeConfig) (*opened, error) {
	kept, err := store.Open(cfg.dir, store.WithKey(cfg.key))
	if err != nil {
		return nil, err
	}
	if err := cfg.enrolFirst(kept); err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	if kept.Restored() {
		cfg.log.Warn("this profile was put back to an earlier state, or copied: each chat asks its members what they remember before it writes. Stop the other copy, if one runs")
	}
	first := keptPort(kept) == 0
	n, err := node.New(node.Config{
		Store: kept,
		OpenTransport: func(key ed25519.PrivateKey, handler node.Handler) (node.Transport, error) {
			return openTransport(kept, p2p.Config{Key: key, Port: cfg.p2pPort, Handler: handler, Log: cfg.log})
		},
		Name: cfg.name, Version: currentVersion(), DataDir: cfg.dir, OpenLobby: cfg.openLobby, Faults: cfg.faults, Log: cfg.log,
		Restored: kept.Restored(),
	})
	if err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	if first {
		// Who this device is must not stand in the write-ahead log alone: whoever
		// tidies up after a crash may take that for rubbish.
		if err := kept.Checkpoint(); err != nil {
			cfg.log.Warn("the keys stand in the write-ahead log only", "problem", err)
		}
	}
	return &opened{
		node:  n,
		keys:  kept,
		stats: func() api.Stats { return api.Stats(n.Stats()) },
		close: func(ctx context.Context) error {
			if kept.Restored() {
				_ = kept.SetValue("restored", nil) // it was told; else it is told again
			}
			return n.Close(ctx)
		},
	}, nil
}

// openTransport listens on the port that the user named, or on the one that the
// profile had before. When somebody else has that one now, any will do: members
// pass on where a device is.
func openTransport(kept *store.Store, cfg p2p.Config) (*p2p.Transport, error) {
	if cfg.Port != 0 {
		transport, err := p2p.Open(cfg)
		return transport, namePort(err, cfg.Port)
	}
	before := keptPort(kept)
	cfg.Port = before
	transport, err := p2p.Open(cfg)
	var problem *demes.Error
	if before != 0 && errors.As(err, &problem) && problem.Code == demes.CodePortTaken {
		cfg.Log.Warn("the port where others reach this node is taken; another is used", slog.Int("port", before))
		cfg.Port = 0
		transport, err = p2p.Open(cfg)
	}
	if err != nil {
		return nil, err
	}
	if port := transport.Port(); port != before {
		if err := kept.SetValue(valuePort, []byte(strconv.Itoa(port))); err != nil {
			return nil, errors.Join(err, transport.Close())
		}
	}
	return transport, nil
}

// namePort says which of the node's two ports is taken.
func namePort(err error, port int) error {
	var problem *demes.Error
	if !errors.As(err, &problem) || problem.Code != demes.CodePortTaken {
		return err
	}
	return &demes.Error{Code: problem.Code, Cause: err,
		Title:  fmt.Sprintf("The port %d, where others would reach this node, is taken", port),
		Detail: "Name another one with --p2p-port, or leave --p2p-port out to get one that is free."}
}

// keptPort is the port of the last time, or 0.
func keptPort(kept *store.Store) int {
	raw, err := kept.Value(valuePort)
	if err != nil {
		return 0 // whatever is wrong with the store, its next write says it
	}
	port, err := strconv.Atoi(string(raw))
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}
