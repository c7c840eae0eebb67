package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api"
	"github.com/demes-chat/demes/internal/p2p"
	"github.com/demes-chat/demes/internal/store"
	"github.com/demes-chat/demes/web"
)

const (
	// leaveWithin bounds a clean leave: the hand-over of every chat, and the
	// goodbyes.
	leaveWithin = 10 * time.Second
	// callsWithin is what calls that are under way get to end.
	callsWithin = 2 * time.Second
)

// runFlags are what a node can be told at its start.
type runFlags struct {
	port      int
	p2pPort   int
	name      string
	join      string
	link      string
	openLobby bool
	noBrowser bool
	faults    bool

	passphrase string
}

// nodeConfig is what opens a node.
type nodeConfig struct {
	dir       string
	key       store.KeySource
	name      string
	p2pPort   int
	openLobby bool
	faults    bool
	log       *slog.Logger
	enrol     func(*store.Store, p2p.Config) error // makes a fresh profile a further device; nil: it is its own
}

// opened is a running node.
type opened struct {
	node  api.Node
	stats func() api.Stats // nil: none
	keys  profileKeys      // nil: its profile takes no passphrase
	close func(context.Context) error
}

// opener opens the node of a data folder: openNode, or a fake one in tests.
type opener func(nodeConfig) (*opened, error)

const aboutRun = `Start a node and open its page in the browser.

The first line on standard output is the page's address with the token of this
start, once the node is ready. Logs go to standard error. Ctrl-C leaves cleanly:
a node that hosts a chat hands it over first; a second Ctrl-C ends at once.

Joining from the start (--join):

  an invite link        joins from anywhere
  localhost:3000        knocks at the node with that page on this machine
  192.168.1.20:4001     knocks at a node on the local network, by its p2p port;
                        both screens show a code to compare
  -                     reads one of these from standard input, so that a link
                        does not stand in the list of processes

A profile with a passphrase (demes passphrase set) starts locked: its page asks
for the passphrase, and "demes unlock" does. "--passphrase -" reads it from the
first line of standard input; a new profile gets that passphrase.

Without a passphrase the key of the chats is in the system's keychain, or, where
there is none or DEMES_KEYCHAIN=off is set, in a file that only its owner can
read. That file protects nothing from who has the whole folder.`

func (p *program) runCommand() *cobra.Command {
	var flags runFlags
	command := &cobra.Command{
		Use:   "run",
		Short: "Start the node and open its page",
		Long:  aboutRun,
		Args:  exactly(),
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context(), flags) },
	}
	addRunFlags(command, &flags)
	return command
}

func addRunFlags(command *cobra.Command, flags *runFlags) {
	f := command.Flags()
	f.IntVar(&flags.port, "port", api.AnyPort, "the port of the page, on this machine only (default 3000, or the next that is free)")
	f.IntVar(&flags.p2pPort, "p2p-port", 0, "the port where other members reach this node (default: a free one, kept from then on)")
	f.StringVar(&flags.name, "name", "", "the name that others see (default: your system's name for you)")
	f.StringVar(&flags.join, "join", "", "join a chat: an invite link, HOST:PORT, or - to read it from standard input")
	f.StringVar(&flags.link, "link", "", "be a further device of yours: a link of demes device add, or - to read it from standard input; needs a new profile")
	f.BoolVar(&flags.openLobby, "open-lobby", false, "found a lobby if there is none, and admit everybody from this machine and network until the start")
	f.BoolVar(&flags.noBrowser, "no-browser", false, "do not open the page in the browser")
	f.StringVar(&flags.passphrase, "passphrase", "", "- reads the profile's passphrase from the first line of standard input, instead of starting locked")
	f.BoolVar(&flags.faults, "faults", false, "let tests and demonstrations cut, delay and drop links")
	f.Lookup("port").DefValue = "0" // what the text says instead of -1
}

// check finds mistakes before anything is opened.
func (f *runFlags) check() error {
	switch {
	case f.port != api.AnyPort && (f.port < 0 || f.port > 65535):
		return usageError{fmt.Errorf("--port is a number from 1 to 65535, not %d", f.port)}
	case f.p2pPort < 0 || f.p2pPort > 65535:
		return usageError{fmt.Errorf("--p2p-port is a number from 1 to 65535, not %d", f.p2pPort)}
	case f.passphrase != "" && f.passphrase != fromInput:
		return usageError{errors.New("--passphrase takes - only: a passphrase in a command line is seen by everybody on the machine")}
	case f.name != "" && (strings.TrimSpace(f.name) == "" || plain(f.name) != f.name || utf8.RuneCountInString(f.name) > demes.MaxName):
		return usageError{fmt.Errorf("--name is one line of at most %d characters", demes.MaxName)}
	}
	return nil
}

// run starts a node and serves until it is told to leave.
func (p *program) run(ctx context.Context, flags runFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	dir, err := p.folder()
	if err != nil {
		return err
	}
	passphrase, err := p.startPassphrase(flags.passphrase)
	if err != nil {
		return err
	}
	target, err := p.joinTarget(flags.join)
	if err != nil {
		return err
	}
	enrol, err := p.enrol(ctx, flags.link)
	if err != nil {
		return err
	}
	listeners, port, err := api.Listen(flags.port)
	if err != nil {
		return p.insteadInUse(ctx, err)
	}
	name := flags.name
	if name == "" && p.data == "" && p.profile != defaultProfile && isFresh(dir) {
		name = p.profile
	}
	log := p.logger()
	keeper := newKeeper(nodeConfig{dir: dir, name: name, p2pPort: flags.p2pPort, openLobby: flags.openLobby, faults: flags.faults, log: log, enrol: enrol},
		p.open, p.keychain(), p.leave)
	if err := keeper.begin(passphrase); err != nil {
		closeAll(listeners)
		return p.insteadInUse(ctx, notByItself(err))
	}
	token := api.NewToken()
	withdraw, err := announce(dir, token, port)
	defer withdraw() // last: who waits for the end looks for the token
	if err != nil {
		closeAll(listeners)
		return errors.Join(err, keeper.end())
	}
	err = p.serve(ctx, serving{keeper: keeper, token: token, port: port, listeners: listeners, flags: flags, target: target, log: log})
	return errors.Join(err, notByItself(keeper.end()))
}

// notByItself corrects what a full disk promises: a node that has ended does
// not go on.
func notByItself(err error) error {
	var coded *demes.Error
	if !errors.As(err, &coded) || coded.Code != demes.CodeStorageFull {
		return err
	}
	return &demes.Error{Code: coded.Code, Title: coded.Title, Cause: err,
		Detail: "Nothing that was stored is lost. Free some space, then start DeMes again."}
}

func closeAll(listeners []net.Listener) {
	for _, listener := range listeners {
		_ = listener.Close()
	}
}

// leave closes the node in bounded time.
func (p *program) leave(running *opened) error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	if err := running.close(ctx); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// keychain is the system's, unless the user has switched it off.
func (p *program) keychain() store.Ring {
	if p.env("DEMES_KEYCHAIN") == "off" {
		return nil
	}
	return p.ring
}

// startPassphrase reads what --passphrase names.
func (p *program) startPassphrase(flag string) (string, error) {
	if flag == "" {
		return "", nil
	}
	passphrase, err := p.readLine("passphrase")
	if err == nil && passphrase == "" {
		err = usageError{errors.New("the passphrase on standard input is empty")}
	}
	return passphrase, err
}

// serving is a keeper with all that the server of its node needs.
type serving struct {
	keeper    *keeper
	token     string
	port      int
	listeners []net.Listener
	flags     runFlags
	target    string
	log       *slog.Logger
}

// serve answers the local API until the context ends or a call asks to leave.
func (p *program) serve(ctx context.Context, s serving) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	server := api.New(api.Config{
		Lock: s.keeper, UI: web.Dist(), Port: s.port, Token: s.token, Faults: s.flags.faults, Shutdown: leave, Log: s.log,
	})
	knocks := s.target
	s.keeper.onShut = server.Shut
	s.keeper.onOpen = func(running *opened) {
		server.Open(running.node, running.stats)
		if knocks != "" {
			go knock(ctx, running.node, knocks, s.log) // ends with the context
			knocks = ""                                // once: not after each unlocking
		}
	}
	if running := s.keeper.now(); running != nil {
		s.keeper.onOpen(running)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, s.listeners, callsWithin) }()
	page := fmt.Sprintf("http://127.0.0.1:%d/", s.port)
	p.printf("demes: %s#token=%s\n", page, s.token)
	p.show(s, page, server)
	return <-ended
}

// show opens the page in the browser, or says why it does not.
func (p *program) show(s serving, page string, server *api.Server) {
	if s.flags.noBrowser {
		return
	}
	if ok, why := canBrowse(p.env); !ok {
		s.log.Info("no browser opened: "+why, "page", page, "from elsewhere", fmt.Sprintf("ssh -L %d:127.0.0.1:%d THIS-MACHINE", s.port, s.port))
		return
	}
	if err := p.browse(page + "#code=" + server.NewCode()); err != nil {
		s.log.Info("no browser could be opened: use the address above", "error", err)
	}
}

// joinTarget reads what --join names.
func (p *program) joinTarget(target string) (string, error) {
	if target != "-" {
		return strings.TrimSpace(target), nil
	}
	text, err := p.readLine("link")
	if text = strings.TrimSpace(text); err == nil && text == "" {
		err = usageError{errors.New("there is no link on standard input")}
	}
	return text, err
}

// insteadInUse makes the error better where the reason for it is that this very
// profile runs already.
func (p *program) insteadInUse(ctx context.Context, err error) error {
	var coded *demes.Error
	if !errors.As(err, &coded) || coded.Code != demes.CodePortTaken && coded.Code != demes.CodeProfileInUse {
		return err
	}
	where := ""
	if client, err := p.client(); err == nil && client.isUp(ctx) {
		where = fmt.Sprintf(" at http://localhost:%d", client.port)
	} else if coded.Code == demes.CodePortTaken {
		return coded
	}
	title := "The profile " + p.profile + " is in use by a node that runs" + where
	if p.data != "" {
		title = "The data folder is in use by a node that runs" + where
	}
	return &demes.Error{Code: demes.CodeProfileInUse, Title: title, Cause: err,
		Detail: "Use that one, or start a second node under a name of its own: demes run --profile NAME"}
}
