package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api"
	"github.com/demes-chat/demes/internal/identity"
)

func (p *program) safetyCommand() *cobra.Command {
	var wanted string
	var qr bool
	command := &cobra.Command{
		Use:   "safety [NAME]",
		Short: "Show whom you have verified, or the safety number with somebody",
		Long: `Show who of a chat is verified; with a name, the safety number of the two of you.
Both see the same 60 digits, unless somebody sits in between: compare them when
you meet or on the telephone, then say so with demes verify.`,
		Args: cobra.MaximumNArgs(1),
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, words []string) error {
			if len(words) == 0 {
				return p.showVerified(ctx, c, chat)
			}
			who, err := other(chat, words[0])
			if err != nil {
				return err
			}
			safety, err := get[demes.SafetyView](ctx, c, safetyPath(chat.ID, who.Account))
			if err != nil {
				return err
			}
			p.answered(safety.raw, "%s: %s\n%s", plain(safety.value.Name), standing(safety.value), inLines(safety.value.Digits))
			if qr && !p.json {
				return p.drawSafety(safety.value.Digits)
			}
			return nil
		}),
	}
	addChatFlag(command, &wanted)
	command.Flags().BoolVar(&qr, "qr", false, "draw it as a QR code as well, for a dark terminal")
	return command
}

func (p *program) drawSafety(digits string) error {
	number, err := identity.ReadSafety(digits)
	if err != nil {
		return err
	}
	drawn, err := api.QRText(number.QR())
	if err != nil {
		return err
	}
	p.printf("%s", drawn)
	return nil
}

// showVerified lists each other person of a chat once.
func (p *program) showVerified(ctx context.Context, c *client, chat demes.ChatView) error {
	rows := [][]string{{"name", "verified"}}
	all := []json.RawMessage{}
	for _, m := range others(chat) {
		safety, err := get[demes.SafetyView](ctx, c, safetyPath(chat.ID, m.Account))
		if err != nil {
			return err
		}
		rows = append(rows, []string{m.Name, standing(safety.value)})
		all = append(all, safety.raw)
	}
	if p.json {
		raw, err := json.Marshal(map[string][]json.RawMessage{"safety": all})
		if err != nil {
			return err
		}
		p.printJSON(raw)
		return nil
	}
	p.table(rows)
	return nil
}

func standing(v demes.SafetyView) string {
	switch {
	case v.Verified:
		return "verified"
	case v.Changed:
		return "has a new device since you compared: compare again"
	}
	return "not verified"
}

// inLines writes the twelve groups of a safety number four to a line.
func inLines(digits string) string {
	const line = 4 * len("12345 ")
	out := ""
	for len(digits) > line {
		out += "  " + digits[:line-1] + "\n"
		digits = digits[line:]
	}
	return out + "  " + digits + "\n"
}

func (p *program) verifyCommand() *cobra.Command {
	var wanted string
	var undo bool
	command := &cobra.Command{
		Use:   "verify NAME",
		Short: "Say that you have compared the safety number with somebody",
		Args:  exactly("a name"),
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, words []string) error {
			who, err := other(chat, words[0])
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := c.call(ctx, http.MethodPut, safetyPath(chat.ID, who.Account), map[string]bool{"verified": !undo}, &raw); err != nil {
				return err
			}
			var view demes.SafetyView
			if err := json.Unmarshal(raw, &view); err != nil {
				return err
			}
			p.answered(raw, "%s: %s\n", plain(view.Name), standing(view))
			return nil
		}),
	}
	addChatFlag(command, &wanted)
	command.Flags().BoolVar(&undo, "undo", false, "take the mark away again")
	return command
}

// others are the people of a chat but the user, each once.
func others(chat demes.ChatView) (out []demes.MemberView) {
	var mine string
	for _, m := range chat.Members {
		if m.Device == chat.Me {
			mine = m.Account
		}
	}
	for _, m := range chat.Members {
		if m.Account != mine && !slices.ContainsFunc(out, func(o demes.MemberView) bool { return o.Account == m.Account }) {
			out = append(out, m)
		}
	}
	return out
}

// other finds the person whom the user means.
func other(chat demes.ChatView, wanted string) (demes.MemberView, error) {
	people := others(chat)
	var peers []demes.Peer
	for _, m := range people {
		peers = append(peers, demes.Peer{Device: m.Account, Name: m.Name})
	}
	peer, err := choosePeer(peers, wanted, "other member")
	if err != nil {
		return demes.MemberView{}, err
	}
	return people[slices.IndexFunc(people, func(m demes.MemberView) bool { return m.Account == peer.Device })], nil
}

func safetyPath(chat, account string) string {
	return chatPath(chat, "/safety/"+url.PathEscape(account))
}
