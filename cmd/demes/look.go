package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
)

// clientCommands are all commands that talk to a running node.
func (p *program) clientCommands() []*cobra.Command {
	return []*cobra.Command{
		p.statusCommand(), p.chatsCommand(), p.membersCommand(), p.pingCommand(),
		p.sendCommand(), p.tailCommand(), p.editCommand(), p.deleteCommand(), p.reactCommand(),
		p.newCommand(), p.inviteCommand(), p.joinCommand(), p.knocksCommand(), p.startCommand(),
		p.handoverCommand(), p.renameCommand(), p.leaveCommand(), p.stopCommand(),
		p.retitleCommand(), p.settingsCommand(), p.roleCommand(),
		p.unlockCommand(), p.lockCommand(), p.passphraseCommand(), p.accountCommand(), p.wordsCommand(), p.exportCommand(),
		p.safetyCommand(), p.verifyCommand(), p.devicesCommand(), p.deviceCommand(),
	}
}

// table prints rows of cells in columns.
func (p *program) table(rows [][]string) {
	out := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = plain(cell)
		}
		_, _ = fmt.Fprintln(out, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	_ = out.Flush() // nobody is left to tell
}

func (p *program) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the node and how its chats are",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			node, err := get[demes.NodeView](cmd.Context(), c, "/node")
			if err != nil {
				return err
			}
			chats, err := get[chatList](cmd.Context(), c, "/chats")
			if err != nil {
				return err
			}
			if p.json {
				raw, err := json.Marshal(struct {
					Node  json.RawMessage  `json:"node"`
					Chats []demes.ChatView `json:"chats"`
				}{node.raw, chats.value.Chats})
				if err != nil {
					return err
				}
				p.printJSON(raw)
				return nil
			}
			p.showStatus(node.value, chats.value.Chats, c.port)
			return nil
		},
	}
}

func (p *program) showStatus(node demes.NodeView, chats []demes.ChatView, port int) {
	p.table([][]string{
		{"name", node.Name},
		{"device", node.Device},
		{"version", node.Version},
		{"page", fmt.Sprintf("http://127.0.0.1:%d/", port)},
		{"data", node.DataDir},
		{"reached at", strings.Join(node.Addresses, " ")},
	})
	if node.Restored {
		p.printf("\n! This profile was put back to an earlier state, or copied.\n  Each chat asks its members what they remember before it writes. Stop the other copy, if one runs.\n")
	}
	for _, chat := range chats {
		p.printf("\n%s\n", plain(chat.Title))
		p.table([][]string{
			{"  id", chat.ID},
			{"  state", stateOf(chat)},
			{"  host", nameOf(chat.Host)},
			{"  next", nameOf(chat.Next)},
			{"  members", fmt.Sprintf("%d, %d online", len(chat.Members), online(chat))},
			{"  messages", fmt.Sprint(chat.Position)},
		})
		if chat.Problem != nil {
			p.printf("  ! %s\n    %s\n", plain(chat.Problem.Title), plain(chat.Problem.Detail))
		}
	}
}

// stateOf says in words how a chat is.
func stateOf(chat demes.ChatView) string {
	state := string(chat.Phase)
	if chat.Phase == demes.PhaseLive && chat.Mode == demes.ModeProvisional {
		state += ", provisional"
		if chat.WaitingText != "" {
			state += ": waits for " + chat.WaitingText
		}
	}
	if chat.CatchingUp != nil {
		state += fmt.Sprintf(", catching up %d of %d", chat.CatchingUp.Done, chat.CatchingUp.Total)
	}
	if len(chat.Knocks) > 0 {
		state += fmt.Sprintf(", %d at the door (demes knocks)", len(chat.Knocks))
	}
	return state
}

// inShort is a chat's state for a table: what is wrong with it, without what to
// do about that, which demes status tells.
func inShort(chat demes.ChatView) string {
	if chat.Problem != nil {
		return "! " + chat.Problem.Title
	}
	return stateOf(chat)
}

func nameOf(peer *demes.Peer) string {
	if peer == nil {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", peer.Name, short(peer.Device))
}

func online(chat demes.ChatView) (count int) {
	for _, member := range chat.Members {
		if member.Online {
			count++
		}
	}
	return count
}

func (p *program) chatsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "chats",
		Short: "List the chats of the node",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			chats, err := get[chatList](cmd.Context(), c, "/chats")
			if err != nil {
				return err
			}
			if p.json {
				p.printJSON(chats.raw)
				return nil
			}
			rows := [][]string{{"ID", "TITLE", "STATE", "HOST", "MEMBERS", "MESSAGES"}}
			for _, chat := range chats.value.Chats {
				rows = append(rows, []string{short(chat.ID), chat.Title, inShort(chat), nameOf(chat.Host), fmt.Sprint(len(chat.Members)), fmt.Sprint(chat.Position)})
			}
			p.table(rows)
			return nil
		},
	}
}

// aboutChat makes the command that shows something of one chat.
func (p *program) aboutChat(use, summary string, show func(demes.ChatView)) *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   use,
		Short: summary,
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			chosen, err := c.chat(cmd.Context(), wanted)
			if err != nil {
				return err
			}
			chat, err := get[demes.ChatView](cmd.Context(), c, chatPath(chosen.ID, ""))
			if err != nil {
				return err
			}
			if p.json {
				p.printJSON(chat.raw)
				return nil
			}
			show(chat.value)
			return nil
		},
	}
	addChatFlag(command, &wanted)
	return command
}

func (p *program) membersCommand() *cobra.Command {
	return p.aboutChat("members", "List the members of a chat, and who hosts after whom", func(chat demes.ChatView) {
		rows := [][]string{{"DEVICE", "NAME", "ROLE", "ONLINE", "RTT", "HOLDS", "READ", "HOSTS"}}
		for _, member := range chat.Members {
			rows = append(rows, []string{short(member.Device), member.Name + mine(chat, member.Device), string(member.Role), yes(member.Online),
				milliseconds(member.RTTms), fmt.Sprint(member.Held), fmt.Sprint(member.Read), placeOf(chat, member.Device)})
		}
		p.table(rows)
	})
}

func mine(chat demes.ChatView, device string) string {
	if device == chat.Me {
		return " (you)"
	}
	return ""
}

// placeOf says where in the line of hosts a member stands.
func placeOf(chat demes.ChatView, device string) string {
	if chat.Host != nil && chat.Host.Device == device {
		return "now"
	}
	place := 0
	for _, rank := range chat.Succession {
		if chat.Host == nil || rank.Device != chat.Host.Device {
			place++
		}
		if rank.Device == device {
			return fmt.Sprintf("%d.", place)
		}
	}
	return "-"
}

func (p *program) pingCommand() *cobra.Command {
	return p.aboutChat("ping", "Show the measured round-trip times to the members of a chat", func(chat demes.ChatView) {
		rows := [][]string{{"NAME", "RTT"}}
		for _, member := range chat.Members {
			if member.Device == chat.Me {
				continue
			}
			rtt := milliseconds(member.RTTms)
			if !member.Online {
				rtt = "offline"
			}
			rows = append(rows, []string{member.Name, rtt})
		}
		p.table(rows)
	})
}

func milliseconds(rtt *float64) string {
	if rtt == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", *rtt)
}

func yes(fact bool) string {
	if fact {
		return "yes"
	}
	return "no"
}
