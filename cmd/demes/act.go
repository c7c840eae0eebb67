package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api"
)

func (p *program) newCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new TITLE",
		Short: "Found a chat: it begins as a lobby, and you are its first host",
		Args:  exactly("a title"),
		RunE: func(cmd *cobra.Command, words []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			chat, err := post[demes.ChatView](cmd.Context(), c, "/chats", map[string]string{"title": words[0]})
			if err != nil {
				return err
			}
			p.answered(chat.raw, "%s\n", chat.value.ID)
			return nil
		},
	}
}

// answered prints the answer as JSON, or else in words.
func (p *program) answered(raw json.RawMessage, format string, args ...any) {
	if !p.json {
		p.printf(format, args...)
	} else if len(raw) > 0 {
		p.printJSON(raw)
	}
}

// onChat makes the body of a command that does something to a chat.
func (p *program) onChat(wanted *string, act func(ctx context.Context, c *client, chat demes.ChatView, words []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, words []string) error {
		c, err := p.client()
		if err != nil {
			return err
		}
		chat, err := c.chat(cmd.Context(), *wanted)
		if err != nil {
			return err
		}
		return act(cmd.Context(), c, chat, words)
	}
}

// What the API allows for an invite.
const (
	mostUses      = 10_000
	longestInvite = 365 * 24 * time.Hour
)

func (p *program) inviteCommand() *cobra.Command {
	var wanted string
	var uses int
	var expires time.Duration
	var history, qr bool
	command := &cobra.Command{
		Use:   "invite",
		Short: "Make an invite link",
		Long: `Make an invite link. Whoever has it can join, also while you are away: send it
to people only. It is good for 10 people and 7 days unless you say otherwise.
They see what is said from then on; with --history also what was said before.`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch flags := cmd.Flags(); {
			case flags.Changed("uses") && (uses < 1 || uses > mostUses):
				return usageError{fmt.Errorf("--uses is a number from 1 to %d, not %d", mostUses, uses)}
			case flags.Changed("expires") && (expires < time.Second || expires > longestInvite):
				return usageError{fmt.Errorf("--expires is a time from 1s to %.0fh, such as 24h", longestInvite.Hours())}
			}
			return exactly()(cmd, args)
		},
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, _ []string) error {
			body := map[string]any{}
			if uses != 0 {
				body["uses"] = uses
			}
			if expires != 0 {
				body["expires_in_s"] = int(expires.Seconds())
			}
			if history {
				body["history"] = true
			}
			invite, err := post[demes.InviteView](ctx, c, chatPath(chat.ID, "/invites"), body)
			if err != nil {
				return err
			}
			p.answered(invite.raw, "%s\n", plain(invite.value.Link))
			if qr && !p.json {
				drawn, err := api.QRText(invite.value.Link)
				if err != nil {
					return err
				}
				p.printf("%s", drawn)
			}
			return nil
		}),
	}
	addChatFlag(command, &wanted)
	command.Flags().IntVar(&uses, "uses", 0, "how many may join by it")
	command.Flags().DurationVar(&expires, "expires", 0, "for how long, such as 24h")
	command.Flags().BoolVar(&history, "history", false, "share what was said before")
	command.Flags().BoolVar(&qr, "qr", false, "draw it as a QR code as well, for a dark terminal")
	return command
}

func (p *program) joinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "join LINK|HOST:PORT|-",
		Short: "Join a chat by an invite link, or knock at a node",
		Long: `Join a chat by an invite link, or knock at the node at HOST:PORT: the port of
its page when it is on this machine (localhost:3000), else its p2p port. The
command ends when you are in, or cannot be. "-" reads the link from standard
input, so that it does not stand in the list of processes.`,
		Args: exactly("a link or an address"),
		RunE: func(cmd *cobra.Command, words []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			target, err := p.joinTarget(words[0])
			if err != nil {
				return err
			}
			body := map[string]string{}
			if link, address := splitTarget(target); link != "" {
				body["link"] = link
			} else {
				body["address"] = address
			}
			begun, err := post[demes.JoinView](cmd.Context(), c, "/joins", body)
			if err != nil {
				return err
			}
			return p.awaitJoin(cmd.Context(), c, begun.value.Join)
		},
	}
}

// joinWords say how a join stands.
var joinWords = map[demes.JoinState]string{
	demes.JoinConnecting: "connecting", demes.JoinKnocking: "knocking: somebody must let you in",
	demes.JoinWaiting: "admitted: waiting until enough members know", demes.JoinJoined: "joined",
}

// awaitJoin follows a join until it ends.
func (p *program) awaitJoin(ctx context.Context, c *client, id string) error {
	var last demes.JoinView
	for {
		join, err := get[demes.JoinView](ctx, c, "/joins/"+url.PathEscape(id))
		if err != nil {
			return err
		}
		view := join.value
		if words := joinWords[view.State]; words != "" && !p.json && (view.State != last.State || view.Code != last.Code) {
			if view.Code != "" {
				words += "; both screens show " + view.Code
			}
			p.printf("%s\n", plain(words))
		}
		last = view
		if isOver(view.State) {
			return p.endJoin(join)
		}
		if !pause(ctx, lookEvery) {
			return ctx.Err()
		}
	}
}

func (p *program) endJoin(join answer[demes.JoinView]) error {
	if p.json {
		p.printJSON(join.raw)
	}
	if join.value.State == demes.JoinJoined {
		return nil
	}
	for _, attempt := range join.value.Tried {
		if !p.json && attempt.Result != "" {
			_, _ = fmt.Fprintf(p.stderr, "  %s: %s\n", plain(attempt.Address), plain(attempt.Result))
		}
	}
	if problem := join.value.Problem; problem != nil {
		return demes.Problem(problem.Code, problem.Title, problem.Detail)
	}
	return demes.Problem(demes.CodeRefused, "You were not let in", "Ask a member for an invite link.")
}

func (p *program) knocksCommand() *cobra.Command {
	list := p.aboutChat("knocks", "List who knocks at a lobby; admit or refuse them", func(chat demes.ChatView) {
		rows := [][]string{{"DEVICE", "NAME", "CODE", "FROM"}}
		for _, knock := range chat.Knocks {
			rows = append(rows, []string{short(knock.Device), knock.Name, knock.Code, knock.Address})
		}
		p.table(rows)
	})
	list.Args = noKnockCommand
	list.AddCommand(p.decideCommand("admit", "Let somebody in; compare the code on both screens first", true), p.decideCommand("refuse", "Send somebody away", false))
	return list
}

func noKnockCommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("knocks can be admitted or refused, not %q; see: demes knocks --help", plain(args[0]))}
	}
	return nil
}

func (p *program) decideCommand(use, summary string, admit bool) *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   use + " NAME|DEVICE",
		Short: summary,
		Args:  exactly("a name or a device"),
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, words []string) error {
			var waiting []demes.Peer
			for _, knock := range chat.Knocks {
				waiting = append(waiting, demes.Peer{Device: knock.Device, Name: knock.Name})
			}
			who, err := choosePeer(waiting, words[0], "knock")
			if err != nil {
				return err
			}
			return c.call(ctx, http.MethodPost, memberPath(chat.ID, "knocks", who.Device), map[string]bool{"admit": admit}, nil)
		}),
	}
	addChatFlag(command, &wanted)
	return command
}

// startWithin is how long measuring and the first election may take.
const startWithin = 30 * time.Second

func (p *program) startCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "start",
		Short: "Start the chat of a lobby that you founded",
		Long: `Start the chat of a lobby that you founded: all pairs are measured, the member
who stands best becomes host, and messages flow. The command ends when they do.
Who comes later needs an invite.`,
		Args: exactly(),
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, _ []string) error {
			if err := c.call(ctx, http.MethodPost, chatPath(chat.ID, "/start"), nil, nil); err != nil {
				return err
			}
			return p.awaitStart(ctx, c, chat.ID)
		}),
	}
	addChatFlag(command, &wanted)
	return command
}

// awaitStart waits until a chat has left its lobby.
func (p *program) awaitStart(ctx context.Context, c *client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		chat, err := get[demes.ChatView](ctx, c, chatPath(id, ""))
		if err != nil {
			return err
		}
		if chat.value.Phase != demes.PhaseLobby {
			p.answered(chat.raw, "")
			return nil
		}
		if !pause(ctx, lookEvery) {
			return demes.Problem(demes.CodeUnreachable, "The chat has not started yet", "It will: see how it stands with demes status.")
		}
	}
}

func (p *program) leaveCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "leave",
		Short: "Leave a chat for good",
		Args:  exactly(),
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, _ []string) error {
			return c.call(ctx, http.MethodPost, chatPath(chat.ID, "/leave"), nil, nil)
		}),
	}
	addChatFlag(command, &wanted)
	return command
}

func (p *program) handoverCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "handover [NAME|DEVICE]",
		Short: "Move the host to a member, or to the next in line",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return exactly("one member, or none for the next in line")(cmd, args)
		},
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, words []string) error {
			body := map[string]string{}
			if len(words) == 1 {
				var members []demes.Peer
				for _, member := range chat.Members {
					members = append(members, demes.Peer{Device: member.Device, Name: member.Name})
				}
				to, err := choosePeer(members, words[0], "member")
				if err != nil {
					return err
				}
				body["device"] = to.Device
			}
			return c.call(ctx, http.MethodPost, chatPath(chat.ID, "/handover"), body, nil)
		}),
	}
	addChatFlag(command, &wanted)
	return command
}

func (p *program) renameCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rename NAME",
		Short: "Change the name that others see",
		Args:  exactly("a name"),
		RunE: func(cmd *cobra.Command, words []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := c.call(cmd.Context(), http.MethodPatch, "/node", map[string]string{"name": words[0]}, &raw); err != nil {
				return err
			}
			p.answered(raw, "")
			return nil
		},
	}
}

func (p *program) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stop",
		Short: "Let the node leave cleanly, and wait until it has: a host hands over first",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			if err := c.call(cmd.Context(), http.MethodPost, "/shutdown", nil, nil); err != nil {
				return err
			}
			return p.awaitEnd(cmd.Context(), c)
		},
	}
}

// awaitEnd waits until the node has left: it takes its token away last.
func (p *program) awaitEnd(ctx context.Context, c *client) error {
	ctx, cancel := context.WithTimeout(ctx, leaveWithin+callsWithin)
	defer cancel()
	for {
		if now, err := p.client(); err != nil || now.token != c.token {
			return nil
		}
		if !pause(ctx, lookEvery) {
			return demes.Problem(demes.CodeUnreachable, "The node is still leaving", "Give it a moment, or end its process.")
		}
	}
}
