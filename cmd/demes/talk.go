package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
)

const (
	tailLines   = 10 // that tail begins with
	resumeTries = 3  // in a row, without an event between them
	// maxTyped bounds what is read of a message: all that can be sent, and more
	// to tell what cannot.
	maxTyped = 2 * demes.MaxText
)

func (p *program) sendCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "send TEXT...",
		Short: "Send a message",
		Long: `Send a message. It is stored on this device before the command ends, and goes
out when members can be reached. "-" reads the message from standard input.`,
		Args: atLeastOne("a message"),
		RunE: func(cmd *cobra.Command, words []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			text, err := p.textOf(words)
			if err != nil {
				return err
			}
			chat, err := c.chat(cmd.Context(), wanted)
			if err != nil {
				return err
			}
			ctx := withKey(cmd.Context(), rand.Text())
			sent, err := post[demes.MessageView](ctx, c, chatPath(chat.ID, "/messages"), map[string]string{"text": text})
			if err == nil && p.json {
				p.printJSON(sent.raw)
			}
			return err
		},
	}
	addChatFlag(command, &wanted)
	return command
}

func (p *program) textOf(words []string) (string, error) {
	text := strings.Join(words, " ")
	if text == "-" {
		raw, err := io.ReadAll(io.LimitReader(p.stdin, maxTyped))
		if err != nil {
			return "", fmt.Errorf("read the message: %w", err)
		}
		text = strings.TrimRight(string(raw), "\r\n")
		if len(raw) == maxTyped {
			return "", demes.Problem(demes.CodeTextTooLong, "The message is too long", fmt.Sprintf("%d bytes is the most. Send it in parts.", demes.MaxText))
		}
	}
	if !utf8.ValidString(text) { // it would become another text on its way
		return "", demes.Problem(demes.CodeBadInput, "The message is not UTF-8 text", "Send files another way; DeMes takes text only.")
	}
	return text, nil
}

func (p *program) tailCommand() *cobra.Command {
	var wanted string
	var lines int
	var once bool
	command := &cobra.Command{
		Use:   "tail",
		Short: "Print the last messages of a chat, and new ones as they come",
		Long: `Print the last messages of a chat, and new ones as they come, until Ctrl-C.

In front of each stands its position in the chat; a message that is not settled
yet has a dot there. With --json, the first line is the page of messages and
each further line is one live event of any chat, as the API tells it.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			chat, err := c.chat(cmd.Context(), wanted)
			if err != nil {
				return err
			}
			t := tail{program: p, client: c, chat: chat.ID, lines: lines, shown: map[string]string{}}
			if once {
				return t.begin(cmd.Context())
			}
			return t.follow(cmd.Context())
		},
	}
	addChatFlag(command, &wanted)
	command.Flags().IntVarP(&lines, "lines", "n", tailLines, "how many messages to begin with")
	command.Flags().BoolVar(&once, "once", false, "end after those")
	return command
}

// tail prints the messages of a chat as they come, each once, and again when what
// it says has changed.
type tail struct {
	*program
	client *client
	chat   string
	lines  int
	shown  map[string]string // what was printed of a message, by its id; as many as this run saw
	run    string
	seq    uint64
	begun  bool
}

type page struct {
	Messages []demes.MessageView `json:"messages"`
}

// begin prints the last messages.
func (t *tail) begin(ctx context.Context) error {
	if t.lines <= 0 {
		return nil
	}
	last, err := get[page](ctx, t.client, chatPath(t.chat, fmt.Sprintf("/messages?limit=%d", t.lines)))
	if err != nil {
		return err
	}
	if t.json && !t.begun {
		t.printJSON(last.raw)
	}
	for _, message := range last.value.Messages {
		t.print(message)
	}
	t.begun = true
	return nil
}

func (t *tail) print(message demes.MessageView) {
	text := said(message)
	if before, known := t.shown[message.ID]; t.json || known && before == text {
		return
	}
	t.shown[message.ID] = text
	place := "·"
	if message.Position != nil {
		place = fmt.Sprint(*message.Position)
	}
	for _, line := range strings.Split(text, "\n") {
		t.printf("%6s  %s: %s\n", place, plain(message.Author.Name), plain(line))
		place = ""
	}
}

// said is what a message says, with what became of it.
func said(message demes.MessageView) string {
	switch {
	case message.Deleted:
		return "(deleted)"
	case message.Problem != nil && message.Problem.Code == demes.CodeNoKeys:
		return "(waits for its keys)"
	case message.EditedAt != nil:
		return message.Text + " (edited)"
	}
	return message.Text
}

// follow prints until the user stops it or the node is gone. A socket that ends
// is taken up again where it was.
func (t *tail) follow(ctx context.Context) error {
	for tries := 0; ; tries++ {
		at := t.seq
		err := t.listen(ctx)
		if ctx.Err() != nil {
			return nil // the user has seen enough
		}
		if t.seq != at {
			tries = 0
		}
		if tries >= resumeTries || errors.Is(err, t.client.gone) {
			return err
		}
	}
}

func (t *tail) listen(ctx context.Context) error {
	conn, err := t.client.follow(ctx, t.run, t.seq)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		_, frame, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusGoingAway {
			return t.client.gone
		}
		if err != nil {
			return fmt.Errorf("follow the chat: %w", err)
		}
		if err := t.take(ctx, frame); err != nil {
			return err
		}
	}
}

// take prints what one event brings. The stream is open before the last
// messages are fetched, so that none falls between them.
func (t *tail) take(ctx context.Context, frame []byte) error {
	var event demes.LiveEvent
	if err := json.Unmarshal(frame, &event); err != nil {
		return fmt.Errorf("read live event: %w", err)
	}
	t.run, t.seq = event.Run, event.Seq
	if !t.begun || event.Type == "reset" {
		if err := t.begin(ctx); err != nil {
			return err
		}
		t.begun = true
	}
	if t.json {
		t.printJSON(frame)
		return nil
	}
	if event.Chat != t.chat {
		return nil
	}
	if event.Message != nil {
		t.print(*event.Message)
	}
	for _, message := range event.Messages {
		t.print(message)
	}
	if event.Text != "" {
		t.printf("%6s  %s\n", "*", plain(event.Text))
	}
	return nil
}
