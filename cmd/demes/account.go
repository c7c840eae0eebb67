package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/identity"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/store"
)

func (p *program) accountCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "account",
		Short: "Show your account, and how it is protected",
		Args:  exactly(),
		RunE: p.onNode(func(ctx context.Context, c *client, _ []string) error {
			account, err := get[demes.AccountView](ctx, c, "/account")
			if err != nil {
				return err
			}
			lock, err := get[demes.LockView](ctx, c, "/lock")
			if err != nil {
				return err
			}
			if p.json {
				p.printJSON(account.raw)
				return nil
			}
			words := "not written down yet: demes words"
			switch {
			case !account.value.HasWords:
				words = "on another device"
			case account.value.WordsSaved:
				words = "written down"
			}
			p.table([][]string{
				{"account", account.value.Account}, {"device", account.value.Device},
				{"24 words", words}, {"protected by", protections[lock.value.Key]},
			})
			return nil
		}),
	}
}

// protections say what guards the key of the chats.
var protections = map[string]string{
	string(store.KeyKeychain):   "the system's keychain",
	string(store.KeyPassphrase): "a passphrase",
	string(store.KeyInFile):     "a key file, which protects nothing from who has the whole folder; better: demes passphrase set",
}

func (p *program) wordsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "words [-]",
		Short: "Show the 24 words of your account",
		Long: `Show the 24 words of your account, to write down on paper. Whoever has them is
you; with them you are again, should this machine be lost: demes recover.` + aboutInput,
		Args: optionalDash,
		RunE: p.onNode(func(ctx context.Context, c *client, args []string) error {
			body, err := p.currentPassphrase(ctx, c, "passphrase", len(args) > 0)
			if err != nil {
				return err
			}
			words, err := post[struct {
				Words []string `json:"words"`
			}](ctx, c, "/account/words", body)
			if err != nil {
				return err
			}
			p.answered(words.raw, "%s", inColumns(words.value.Words))
			return c.call(ctx, http.MethodPatch, "/account", map[string]bool{"words_saved": true}, nil)
		}),
	}
}

// currentPassphrase asks for the profile's passphrase where one is set.
func (p *program) currentPassphrase(ctx context.Context, c *client, field string, input bool) (map[string]string, error) {
	body := map[string]string{}
	lock, err := get[demes.LockView](ctx, c, "/lock")
	if err != nil || !lock.value.HasPassphrase || lock.value.Locked {
		return body, err // a locked node says so at the next call
	}
	body[field], err = p.secret(ctx, "passphrase", input)
	return body, err
}

// inColumns numbers words, four to a line.
func inColumns(words []string) string {
	const columns = 4
	var out strings.Builder
	for i, word := range words {
		end := ""
		if i%columns == columns-1 || i == len(words)-1 {
			end = "\n"
		}
		cell := fmt.Sprintf("%2d. %-9s", i+1, plain(word))
		if end != "" {
			cell = strings.TrimRight(cell, " ")
		}
		out.WriteString(cell + end)
	}
	return out.String()
}

func (p *program) exportCommand() *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "export --account FILE [-]",
		Short: "Write your account to an encrypted file",
		Long: `Write your account to a file that is encrypted under a passphrase of its own:
who you are, whom you have verified and which chats you are in, but no message
and no key of this device. "demes import" makes a new profile of it.

The passphrases are asked for without showing them: that of the profile where it
has one, then that of the file. "-" reads them from standard input instead, one
line each.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usageError{fmt.Errorf("%q needs --account FILE; see: %s --help", cmd.CommandPath(), cmd.CommandPath())}
			}
			return optionalDash(cmd, args)
		},
		RunE: p.onNode(func(ctx context.Context, c *client, args []string) error {
			return p.export(ctx, c, file, len(args) > 0)
		}),
	}
	command.Flags().StringVar(&file, "account", "", "the file to write; it must not be there yet")
	return command
}

func (p *program) export(ctx context.Context, c *client, file string, input bool) error {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return demes.Problem(demes.CodeBadInput, "There is a file "+file+" already", "Name another one.")
	}
	body, err := p.currentPassphrase(ctx, c, "current", input)
	if err != nil {
		return err
	}
	if body["passphrase"], err = p.newSecret(ctx, "passphrase of the file", input); err != nil {
		return err
	}
	made, err := post[struct {
		File string `json:"file"`
	}](ctx, c, "/account/export", body)
	if err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(made.value.File)
	if err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	if err := replaceFile(file, string(raw)); err != nil {
		return demes.Problem(demes.CodeStorage, "The file cannot be written: "+reason(err), "Name another one.")
	}
	p.answered(json.RawMessage("{}"), "%s\n", plain(file))
	return nil
}

func (p *program) recoverCommand() *cobra.Command {
	var name string
	command := &cobra.Command{
		Use:   "recover [-]",
		Short: "Make a new profile of your 24 words",
		Long: `Make a new profile of the 24 words of your account: the same person on a new
device. It never touches a profile that is there. What was on the old device is
not in the words; to come back into a chat, a member of it invites you again.

The words are asked for without showing them. "-" reads all of standard input;
numbers and line ends between the words do not matter.`,
		Args: optionalDash,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := p.askWords(cmd.Context(), len(args) > 0)
			if err != nil {
				return err
			}
			seed, err := identity.ReadPhrase(text)
			if err != nil {
				return err
			}
			return p.make(func(kept *store.Store) error { return node.Recover(kept, seed, name) })
		},
	}
	command.Flags().StringVar(&name, "name", "", "the name that others see")
	return command
}

func (p *program) askWords(ctx context.Context, input bool) (string, error) {
	if !input {
		return p.secret(ctx, "24 words", false)
	}
	text, err := io.ReadAll(io.LimitReader(p.stdin, maxSecret))
	if err != nil {
		return "", fmt.Errorf("read the words: %w", err)
	}
	return string(text), nil
}

func (p *program) importCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE [-]",
		Short: "Make a new profile of an account that was exported",
		Long: `Make a new profile of a file that "demes export --account" wrote: the same person
on a new device, who knows whom was verified and which chats there were. It never
touches a profile that is there.` + aboutInput,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("a file")(cmd, args)
			}
			return optionalDash(cmd, args[1:])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			sealed, err := readSealed(args[0])
			if err != nil {
				return err
			}
			passphrase, err := p.secret(cmd.Context(), "passphrase of the file", len(args) > 1)
			if err != nil {
				return err
			}
			export, err := node.OpenExport(sealed, passphrase)
			if err != nil {
				return err
			}
			return p.make(func(kept *store.Store) error { return export.Import(kept) })
		},
	}
}

// readSealed reads a file that may be anything.
func readSealed(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, demes.Problem(demes.CodeBadInput, name+" cannot be read: "+reason(err), "Name the file that demes export --account wrote.")
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, identity.MaxSealed+1)) // one more: identity says that it is too large
	if err != nil {
		return nil, demes.Problem(demes.CodeBadInput, name+" cannot be read: "+reason(err), "Name the file that demes export --account wrote.")
	}
	return raw, nil
}

// make puts an account into a new profile.
func (p *program) make(put func(*store.Store) error) error {
	dir, err := p.folder()
	if err != nil {
		return err
	}
	log := p.logger()
	key := store.Remembered{Ring: p.keychain(), Fallback: func(reason error) { log.Debug("no keychain works here", "reason", reason) }}
	kept, err := store.Open(dir, store.WithKey(key))
	if errors.Is(err, &demes.Error{Code: demes.CodeLocked}) || errors.Is(err, &demes.Error{Code: demes.CodeProfileInUse}) {
		return demes.Problem(demes.CodeProfileExists, "This profile has an account already", "Name a new profile: --profile NAME")
	}
	if err != nil {
		return err
	}
	err = put(kept)
	if err == nil {
		err = kept.Checkpoint()
	}
	if err = errors.Join(err, kept.Close()); err != nil {
		return err
	}
	start := "demes run"
	if p.data != "" {
		start += " --data " + p.data
	} else if p.profile != defaultProfile {
		start += " --profile " + p.profile
	}
	p.printf("The account is back. Start it: %s\n", start)
	return nil
}
