package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
)

func (p *program) retitleCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "retitle TITLE",
		Short: "Give a chat another title: by the founder or an admin",
		Args:  exactly("a title"),
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, words []string) error {
			return c.call(ctx, http.MethodPatch, chatPath(chat.ID, ""), map[string]string{"title": words[0]}, nil)
		}),
	}
	addChatFlag(command, &wanted)
	return command
}

// What the API allows for the time after which messages disappear.
const longestTimer = 365 * 24 * time.Hour

func (p *program) settingsCommand() *cobra.Command {
	var wanted string
	var adminsInvite bool
	var disappear time.Duration
	command := &cobra.Command{
		Use:   "settings",
		Short: "Show a chat's rules and its encryption, or change the rules",
		Long: `Show a chat's rules and its encryption. With a flag, change a rule: that is for
the founder and admins. Messages disappear from all devices the given time after
they settled; it counts for those that are sent from then on, and 0 keeps them.

The code is the same on all members' screens, unless somebody sits in between:
compare it when you meet or on the telephone.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("disappear") && (disappear != 0 && disappear < time.Second || disappear < 0 || disappear > longestTimer) {
				return usageError{fmt.Errorf("--disappear is a time from 1s to %.0fh, such as 24h, or 0 to keep messages", longestTimer.Hours())}
			}
			return exactly()(cmd, args)
		},
	}
	command.RunE = p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, _ []string) error {
		change := demes.SettingsChange{}
		seconds := int64(disappear / time.Second)
		if command.Flags().Changed("admins-invite") {
			change.AdminsInvite = &adminsInvite
		}
		if command.Flags().Changed("disappear") {
			change.DisappearAfterS = &seconds
		}
		if change == (demes.SettingsChange{}) {
			return p.showSettings(ctx, c, chat.ID)
		}
		return c.call(ctx, http.MethodPatch, chatPath(chat.ID, ""), map[string]demes.SettingsChange{"settings": change}, nil)
	})
	addChatFlag(command, &wanted)
	command.Flags().BoolVar(&adminsInvite, "admins-invite", false, "only the founder and admins make invites (=false: everybody does)")
	command.Flags().DurationVar(&disappear, "disappear", 0, "messages disappear after this time, such as 24h; 0 keeps them")
	return command
}

func (p *program) showSettings(ctx context.Context, c *client, id string) error {
	chat, err := get[demes.ChatView](ctx, c, chatPath(id, ""))
	if err != nil {
		return err
	}
	if p.json {
		p.printJSON(chat.raw)
		return nil
	}
	view := chat.value
	rows := [][]string{{"title", view.Title}, {"invites", "by everybody"}, {"messages", "stay"}, {"encryption", "end to end, " + view.Suite}}
	if view.Settings.AdminsInvite {
		rows[1][1] = "by the founder and admins"
	}
	if s := view.Settings.DisappearAfterS; s > 0 {
		rows[2][1] = "disappear after " + (time.Duration(s) * time.Second).String()
	}
	if view.PostQuantum {
		rows[3][1] += " (post-quantum hybrid)"
	}
	rows = append(rows, []string{"keys", keysWords(view.Keys)}, []string{"epoch", fmt.Sprint(view.Epoch)})
	if view.EpochCode != "" {
		rows = append(rows, []string{"code", inFives(view.EpochCode)})
	}
	p.table(rows)
	return nil
}

func keysWords(keys demes.KeysView) string {
	switch {
	case keys.State == demes.KeysLost:
		return "coming back with new ones"
	case keys.State == demes.KeysWaiting && keys.Waits != "":
		return "new ones wait for " + keys.Waits
	case keys.State == demes.KeysWaiting:
		return "new ones are on their way"
	}
	return "good"
}

// inFives puts a blank behind each five digits.
func inFives(digits string) (text string) {
	for len(digits) > 5 {
		text, digits = text+digits[:5]+" ", digits[5:]
	}
	return text + digits
}

func (p *program) roleCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "role NAME admin|member",
		Short: "Make somebody an admin, or a member again: by the founder",
		Long: `Make somebody an admin, or a member again; the founder does that. Admins change
the title and the rules, delete anybody's messages and remove members.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && args[1] != string(demes.RoleAdmin) && args[1] != string(demes.RoleMember) {
				return usageError{fmt.Errorf("a role is \"admin\" or \"member\", not %q; see: demes role --help", plain(args[1]))}
			}
			return exactly("a name", "and a role")(cmd, args)
		},
		RunE: p.onChat(&wanted, func(ctx context.Context, c *client, chat demes.ChatView, words []string) error {
			who, err := other(chat, words[0])
			if err != nil {
				return err
			}
			return c.call(ctx, http.MethodPut, memberPath(chat.ID, "members", who.Account)+"/role", map[string]string{"role": words[1]}, nil)
		}),
	}
	addChatFlag(command, &wanted)
	return command
}
