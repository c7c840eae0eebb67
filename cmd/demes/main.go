// Command demes runs a node of DeMes, private group chat that its own members
// host, and talks to a node that runs.
//
// Its one idea: `demes run` wires the layers together and everything else is a
// client of the local API, found through two small files in the data folder.
// Whatever the page can do, a command can do too; --json prints what the API
// answered. Nothing here decides anything about chats.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/demes-chat/demes/internal/store"
)

func main() {
	// The first signal asks to leave; the second one, no longer caught, ends the
	// process at once. A terminal window that closes is a signal too, unless
	// nohup said otherwise.
	leave := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		leave = append(leave, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), leave...)
	context.AfterFunc(ctx, stop)
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Getenv, open: openNode, browse: openBrowser, ring: store.SystemRing()}
	os.Exit(p.execute(ctx, os.Args[1:]))
}
