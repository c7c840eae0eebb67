package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
)

const (
	shortID = 8 // characters of an id that are shown
	leastID = 4 // and that are enough to name one
)

func (p *program) addClientFlags(command *cobra.Command) {
	command.PersistentFlags().BoolVar(&p.json, "json", false, "print what the node's API answered")
}

// addChatFlag is for the commands that are about one chat.
func addChatFlag(command *cobra.Command, chat *string) {
	command.Flags().StringVarP(chat, "chat", "c", "", "which chat: its title or the beginning of its id (not needed when there is one)")
}

type chatList struct {
	Chats []demes.ChatView `json:"chats"`
}

// chat finds the chat that the user means.
func (c *client) chat(ctx context.Context, wanted string) (demes.ChatView, error) {
	all, err := get[chatList](ctx, c, "/chats")
	if err != nil {
		return demes.ChatView{}, err
	}
	return chooseChat(all.value.Chats, wanted)
}

func chooseChat(all []demes.ChatView, wanted string) (demes.ChatView, error) {
	var found []demes.ChatView
	for _, chat := range all {
		present := chat.Phase == demes.PhaseLobby || chat.Phase == demes.PhaseLive
		if wanted == "" && present || wanted != "" && isMeant(wanted, chat.ID, chat.Title) {
			found = append(found, chat)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return demes.ChatView{}, demes.Problem(demes.CodeBadInput, "There is more than one chat that this could be", "Name one with --chat: "+titles(found))
	case len(all) == 0:
		return demes.ChatView{}, demes.Problem(demes.CodeUnknownChat, "This node has no chat", `Found one with: demes new "TITLE", or join one with: demes join LINK`)
	}
	return demes.ChatView{}, demes.Problem(demes.CodeUnknownChat, "There is no such chat", "Name one with --chat: "+titles(all))
}

// isMeant reports whether a word names something: by its name, or by enough of
// its id.
func isMeant(word, id, name string) bool {
	return strings.EqualFold(word, name) || len(word) >= leastID && strings.HasPrefix(id, strings.ToLower(word))
}

func titles(chats []demes.ChatView) string {
	names := make([]string, len(chats))
	for i, chat := range chats {
		names[i] = fmt.Sprintf("%q (%s)", chat.Title, short(chat.ID))
	}
	return strings.Join(names, ", ")
}

// choosePeer finds the member or knocker that the user means.
func choosePeer(peers []demes.Peer, wanted, what string) (demes.Peer, error) {
	var found []demes.Peer
	var names []string
	for _, peer := range peers {
		if isMeant(wanted, peer.Device, peer.Name) {
			found = append(found, peer)
		}
		names = append(names, fmt.Sprintf("%s (%s)", peer.Name, short(peer.Device)))
	}
	if len(found) == 1 {
		return found[0], nil
	}
	title := "There is no " + what + " of that name"
	if len(found) > 1 {
		title = "More than one " + what + " is meant by that"
	}
	detail := "There is none at all now."
	if len(names) > 0 {
		detail = "Use a name or the beginning of an id: " + strings.Join(names, ", ")
	}
	return demes.Peer{}, demes.Problem(demes.CodeUnknownMember, title, detail)
}

func short(id string) string {
	if len(id) <= shortID {
		return id
	}
	return id[:shortID]
}

// memberPath is a path below a chat about a device.
func memberPath(chat, kind, device string) string {
	return chatPath(chat, "/"+kind+"/"+url.PathEscape(device))
}
