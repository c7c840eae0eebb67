package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
)

// fromInput is the word that makes a command read secrets from standard input.
const fromInput = "-"

// optionalDash takes "-" or nothing.
func optionalDash(cmd *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 1 && args[0] != fromInput {
		return usageError{fmt.Errorf("%q takes - or no words: a secret in a command line is seen by everybody on the machine; see: %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}

const aboutInput = `

The passphrase is asked for without showing it. "-" reads it from standard input
instead, one line for each that is asked for.`

func (p *program) unlockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unlock [-]",
		Short: "Unlock a node that has a passphrase",
		Long:  "Unlock a node that was started with a profile that has a passphrase." + aboutInput,
		Args:  optionalDash,
		RunE: p.onNode(func(ctx context.Context, c *client, words []string) error {
			lock, err := get[demes.LockView](ctx, c, "/lock")
			if err != nil || !lock.value.Locked {
				return err
			}
			passphrase, err := p.secret(ctx, "passphrase", len(words) > 0)
			if err != nil {
				return err
			}
			done, err := post[demes.LockView](ctx, c, "/unlock", map[string]string{"passphrase": passphrase})
			if err == nil {
				p.answered(done.raw, "unlocked\n")
			}
			return err
		}),
	}
}

func (p *program) lockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lock",
		Short: "Lock the node until its passphrase is given",
		Long: `Lock the node: it leaves its chats, which others go on with, and closes them
until the passphrase is given on its page or with demes unlock.`,
		Args: exactly(),
		RunE: p.onNode(func(ctx context.Context, c *client, _ []string) error {
			done, err := post[demes.LockView](ctx, c, "/lock", nil)
			if err == nil {
				p.answered(done.raw, "locked\n")
			}
			return err
		}),
	}
}

// onNode makes the body of a command that talks to the node that runs.
func (p *program) onNode(act func(ctx context.Context, c *client, words []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, words []string) error {
		c, err := p.client()
		if err != nil {
			return err
		}
		return act(cmd.Context(), c, words)
	}
}

func (p *program) passphraseCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "passphrase",
		Short: "Set, change or remove the passphrase of the profile",
		Long: `Set, change or remove the passphrase of the profile. With a passphrase the node
starts locked, and nobody who has the files reads the chats without it. There is
no way around a forgotten one: your 24 words (demes words) bring back who you
are, not what is on this device.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, c := range []struct {
		use, short string
		old, new   bool
		done       string
	}{
		{"set [-]", "Set a passphrase", false, true, "The passphrase is set."},
		{"change [-]", "Change the passphrase", true, true, "The passphrase is changed."},
		{"remove [-]", "Remove the passphrase", true, false, "The passphrase is removed."},
	} {
		root.AddCommand(&cobra.Command{
			Use: c.use, Short: c.short, Long: c.short + "." + aboutInput, Args: optionalDash,
			RunE: p.onNode(func(ctx context.Context, client *client, words []string) error {
				return p.putPassphrase(ctx, client, c.old, c.new, c.done, len(words) > 0)
			}),
		})
	}
	return root
}

// putPassphrase asks for what is needed and tells the node.
func (p *program) putPassphrase(ctx context.Context, c *client, old, fresh bool, done string, input bool) error {
	lock, err := get[demes.LockView](ctx, c, "/lock")
	if err != nil {
		return err
	}
	switch {
	case lock.value.Locked:
		return demes.Problem(demes.CodeLocked, "DeMes is locked", "Unlock it first: demes unlock")
	case old && !lock.value.HasPassphrase:
		return demes.Problem(demes.CodeNoPassphrase, "The profile has no passphrase", "Set one: demes passphrase set")
	case !old && lock.value.HasPassphrase:
		return demes.Problem(demes.CodeNotAllowed, "The profile has a passphrase already", "Change it: demes passphrase change")
	}
	body := map[string]string{}
	if old {
		if body["old"], err = p.secret(ctx, "passphrase", input); err != nil {
			return err
		}
	}
	if fresh {
		if body["new"], err = p.newSecret(ctx, "new passphrase", input); err != nil {
			return err
		}
		if body["new"] == "" { // which would remove it
			return demes.Problem(demes.CodeBadInput, "The passphrase is empty", "Nothing was changed.")
		}
	}
	var raw json.RawMessage
	err = c.call(ctx, http.MethodPut, "/lock", body, &raw)
	if err == nil {
		p.answered(raw, "%s\n", done)
	}
	return err
}
