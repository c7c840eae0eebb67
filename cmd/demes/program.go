package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/store"
)

// The exit codes. A signal that is obeyed is no failure.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// program is one run of the command, with the world that it sees.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string
	open           opener
	browse         func(url string) error
	ring           store.Ring // the system's keychain; nil: none

	lines *bufio.Reader // of stdin, once somebody reads lines

	profile string
	data    string
	json    bool
	verbose bool
}

// usageError is a mistake in the command line.
type usageError struct{ error }

const about = `DeMes is private group chat that its own members host: no server, no account.

Without a command, demes starts a node and opens its page in the browser. The
other commands talk to the node that runs: "demes send hello" says hello.

Three people in three terminals of one machine:

  demes run --profile alice --port 3000 --open-lobby
  demes run --profile bob   --port 3001 --join localhost:3000
  demes run --profile carol --port 3002 --join localhost:3000

Then press "Start chat" at localhost:3000. People elsewhere join by a link:
"demes invite" makes one.`

// execute runs one command line and returns the exit code.
func (p *program) execute(ctx context.Context, args []string) int {
	root := p.command()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	return p.explain(err)
}

// parseDetail and timeDetail are what Go says of texts that are no number and no
// time.
var (
	parseDetail = regexp.MustCompile(`: strconv\.\w+: parsing .*`)
	timeDetail  = regexp.MustCompile(`: time: (invalid|missing|unknown) .*`)
)

func (p *program) command() *cobra.Command {
	var flags runFlags
	root := &cobra.Command{
		Use:   "demes",
		Short: "Private group chat that its own members host",
		Long:  about,
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context(), flags) },

		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&p.profile, "profile", defaultProfile, "which of your nodes: each has its own name, chats and keys")
	root.PersistentFlags().StringVar(&p.data, "data", "", "the folder of the node's data, instead of the profile's own")
	root.PersistentFlags().BoolVar(&p.verbose, "verbose", false, "log what developers want to know")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		words := parseDetail.ReplaceAllString(err.Error(), ": it takes a number")
		words = timeDetail.ReplaceAllString(words, ": it takes a time such as 90m or 24h")
		return usageError{fmt.Errorf("%s; see: %s --help", words, cmd.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	addRunFlags(root, &flags)
	root.AddCommand(p.runCommand(), p.versionCommand(), p.recoverCommand(), p.importCommand())
	for _, command := range p.clientCommands() {
		p.addClientFlags(command)
		root.AddCommand(command)
	}
	return root
}

// noCommand refuses words that are no command.
func noCommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("there is no command %q; see: demes --help", plain(args[0]))}
	}
	return nil
}

// exactly makes a check for a number of arguments, named in the error.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			wanted := "no words"
			if len(names) > 0 {
				wanted = strings.Join(names, " ")
			}
			return usageError{fmt.Errorf("%q takes %s; see: %s --help", cmd.CommandPath(), wanted, cmd.CommandPath())}
		}
		return nil
	}
}

// atLeastOne is the check of commands that take words.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError{fmt.Errorf("%q needs %s; see: %s --help", cmd.CommandPath(), name, cmd.CommandPath())}
		}
		return nil
	}
}

// explain tells the user what went wrong in one or two lines and picks the exit
// code.
func (p *program) explain(err error) int {
	var usage usageError
	var coded *demes.Error
	switch {
	case errors.As(err, &usage):
		p.complain(err.Error(), "")
		return exitUsage
	case errors.As(err, &coded):
		title := coded.Title
		if coded.Cause != nil && p.verbose {
			title += fmt.Sprintf(" (%v)", coded.Cause)
		}
		p.complain(title, coded.Detail)
	case errors.Is(err, context.Canceled):
		p.complain("stopped", "")
	default:
		p.complain(err.Error(), "")
	}
	return exitError
}

func (p *program) complain(title, detail string) {
	_, _ = fmt.Fprintf(p.stderr, "demes: %s\n", plain(title))
	if detail != "" {
		_, _ = fmt.Fprintf(p.stderr, "  %s\n", plain(detail))
	}
}

func (p *program) logger() *slog.Logger {
	level := slog.LevelInfo
	if p.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}

func (p *program) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stdout, format, args...) // nobody is left to tell
}

// printJSON prints an answer of the API on one line.
func (p *program) printJSON(raw json.RawMessage) {
	p.printf("%s\n", strings.TrimSpace(string(raw)))
}

// plain makes a text from elsewhere harmless to a terminal: one line, no
// escapes, no change of direction.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u2028', r == '\u2029':
			return '\ufffd'
		}
		return r
	}, text)
}
