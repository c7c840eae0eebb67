package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
)

const messageHelp = `MESSAGE is the number that demes tail shows in front of it, or its id as --json
shows it.`

// onMessage makes the body of a command about a message, whose words begin with
// which one.
func (p *program) onMessage(wanted *string, act func(ctx context.Context, c *client, path string, words []string) error) func(*cobra.Command, []string) error {
	return p.onChat(wanted, func(ctx context.Context, c *client, chat demes.ChatView, words []string) error {
		id, err := c.messageID(ctx, chat.ID, words[0])
		if err != nil {
			return err
		}
		return act(ctx, c, chatPath(chat.ID, "/messages/"+id.Device.String()+"/"+strconv.FormatUint(id.Seq, 10)), words[1:])
	})
}

// messageID finds the message that the user means: by position or by id.
func (c *client) messageID(ctx context.Context, chat, wanted string) (demes.EventID, error) {
	if strings.Contains(wanted, "/") {
		id, err := demes.ParseEventID(wanted)
		if err != nil {
			return id, noSuchMessage()
		}
		return id, nil
	}
	position, err := strconv.ParseUint(wanted, 10, 63)
	if err != nil || position == 0 {
		return demes.EventID{}, noSuchMessage()
	}
	found, err := get[page](ctx, c, chatPath(chat, fmt.Sprintf("/messages?after=%d&before=%d&limit=1", position-1, position+1)))
	if err != nil {
		return demes.EventID{}, err
	}
	for _, message := range found.value.Messages {
		if message.Position != nil && *message.Position == position {
			return demes.ParseEventID(message.ID)
		}
	}
	return demes.EventID{}, noSuchMessage()
}

func noSuchMessage() error {
	return demes.Problem(demes.CodeUnknownMessage, "There is no such message", "Name it by the number that demes tail shows in front of it.")
}

func (p *program) editCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "edit MESSAGE TEXT...",
		Short: "Give a message of yours another text",
		Long: `Give a message of yours another text; the others see that it was edited. "-"
reads the text from standard input.

` + messageHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("a message", "and its new text")(cmd, nil)
			}
			return nil
		},
		RunE: p.onMessage(&wanted, func(ctx context.Context, c *client, path string, words []string) error {
			text, err := p.textOf(words)
			if err != nil {
				return err
			}
			return c.call(ctx, http.MethodPatch, path, map[string]string{"text": text}, nil)
		}),
	}
	addChatFlag(command, &wanted)
	return command
}

func (p *program) deleteCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "delete MESSAGE",
		Short: "Delete a message of yours from all devices",
		Long: `Delete a message of yours from all devices of the chat; the founder and admins
may delete anybody's. Who has read it may still have it elsewhere.

` + messageHelp,
		Args: exactly("a message"),
		RunE: p.onMessage(&wanted, func(ctx context.Context, c *client, path string, _ []string) error {
			return c.call(ctx, http.MethodDelete, path, nil, nil)
		}),
	}
	addChatFlag(command, &wanted)
	return command
}

func (p *program) reactCommand() *cobra.Command {
	var wanted string
	var off bool
	command := &cobra.Command{
		Use:   "react MESSAGE EMOJI",
		Short: "Put an emoji to a message, or take it back with --off",
		Long: `Put an emoji to a message, or take it back with --off.

` + messageHelp,
		Args: exactly("a message", "and an emoji"),
		RunE: p.onMessage(&wanted, func(ctx context.Context, c *client, path string, words []string) error {
			method := http.MethodPut
			if off {
				method = http.MethodDelete
			}
			return c.call(ctx, method, path+"/reactions/"+url.PathEscape(words[0]), nil, nil)
		}),
	}
	addChatFlag(command, &wanted)
	command.Flags().BoolVar(&off, "off", false, "take it back")
	return command
}
