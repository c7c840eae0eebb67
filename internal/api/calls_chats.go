package api

import (
	"context"
	"net/http"
	"time"

	"github.com/demes-chat/demes"
)

// ChatPath names a chat in a path. Embedded types are exported for huma, which
// looks at no others.
type ChatPath struct {
	Chat string `path:"chat" maxLength:"256" doc:"The chat's id."`
}

// MemberPath names a device in a chat in a path.
type MemberPath struct {
	Chat   string `path:"chat" maxLength:"256" doc:"The chat's id."`
	Device string `path:"device" maxLength:"256" doc:"The device's id."`
}

func (s *Server) registerChats() {
	register(s, call("list-chats", http.MethodGet, "/chats", http.StatusOK, "All chats of this node"), s.listChats)
	register(s, call("found-chat", http.MethodPost, "/chats", http.StatusCreated, "Found a chat: the caller is its founder and first host"), s.foundChat)
	register(s, call("get-chat", http.MethodGet, "/chats/{chat}", http.StatusOK, "One chat"), s.getChat)
	register(s, call("start-chat", http.MethodPost, "/chats/{chat}/start", http.StatusAccepted, "Leave the lobby: only by the founder"),
		s.onChat(func(ctx context.Context, id demes.ChatID) error { return s.node().StartChat(ctx, id) }))
	register(s, call("leave-chat", http.MethodPost, "/chats/{chat}/leave", http.StatusAccepted, "Leave the chat for good"),
		s.onChat(func(ctx context.Context, id demes.ChatID) error { return s.node().LeaveChat(ctx, id) }))
	register(s, call("say-typing", http.MethodPost, "/chats/{chat}/typing", http.StatusAccepted, "Tell the others that the user is typing"),
		s.onChat(func(ctx context.Context, id demes.ChatID) error { return s.node().Typing(ctx, id) }))
	register(s, call("mark-read", http.MethodPost, "/chats/{chat}/read", http.StatusAccepted, "Tell the others up to where the user has read"), s.markRead)
	register(s, call("make-invite", http.MethodPost, "/chats/{chat}/invites", http.StatusCreated, "Make an invite link"), s.makeInvite)
	register(s, call("decide-knock", http.MethodPost, "/chats/{chat}/knocks/{device}", http.StatusAccepted, "Admit or refuse who knocks at the lobby"), s.decideKnock)
	register(s, call("hand-over", http.MethodPost, "/chats/{chat}/handover", http.StatusAccepted, "Move the host to a member, or to the next in line"), s.handOver)
	register(s, call("remove-member", http.MethodDelete, "/chats/{chat}/members/{device}", http.StatusAccepted, "Remove the account of a device"), s.removeMember)
}

// onChat makes a handler of what is done to a chat and needs no other input.
func (s *Server) onChat(act func(context.Context, demes.ChatID) error) func(context.Context, *ChatPath) (*empty, error) {
	return func(ctx context.Context, in *ChatPath) (*empty, error) {
		id, err := chatID(in.Chat)
		if err != nil {
			return nil, err
		}
		return done(act(ctx, id))
	}
}

// whole fills a chat's lists, so that no answer says null for a list.
func whole(chat demes.ChatView) demes.ChatView {
	chat.Members = list(chat.Members)
	chat.Succession = list(chat.Succession)
	chat.Latency.Devices = list(chat.Latency.Devices)
	chat.Latency.RTTms = list(chat.Latency.RTTms)
	return chat
}

type chatsOutput struct {
	Chats []demes.ChatView `json:"chats"`
}

func (s *Server) listChats(ctx context.Context, _ *empty) (*answer[chatsOutput], error) {
	chats, err := s.node().Chats(ctx)
	out := chatsOutput{Chats: make([]demes.ChatView, 0, len(chats))}
	for _, chat := range chats {
		out.Chats = append(out.Chats, whole(chat))
	}
	return answered(out, err)
}

type foundInput struct {
	Body struct {
		Title string `json:"title" doc:"One line, at most 100 characters."`
	}
}

func (s *Server) foundChat(ctx context.Context, in *foundInput) (*answer[demes.ChatView], error) {
	title, err := line("title", in.Body.Title, demes.MaxTitle)
	if err != nil {
		return nil, err
	}
	chat, err := s.node().FoundChat(ctx, title)
	return answered(whole(chat), err)
}

func (s *Server) getChat(ctx context.Context, in *ChatPath) (*answer[demes.ChatView], error) {
	id, err := chatID(in.Chat)
	if err != nil {
		return nil, err
	}
	chat, err := s.node().Chat(ctx, id)
	return answered(whole(chat), err)
}

type readInput struct {
	ChatPath
	Body struct {
		Position uint64 `json:"position" doc:"The last position that was shown."`
	}
}

func (s *Server) markRead(ctx context.Context, in *readInput) (*empty, error) {
	id, err := chatID(in.Chat)
	if err != nil {
		return nil, err
	}
	return done(s.node().MarkRead(ctx, id, in.Body.Position))
}

type inviteInput struct {
	ChatPath
	Body *struct {
		Uses      int  `json:"uses,omitempty" minimum:"1" maximum:"10000" doc:"How many may join by it. 10 when left out."`
		ExpiresIn int  `json:"expires_in_s,omitempty" minimum:"1" maximum:"31536000" doc:"Seconds. 7 days when left out."`
		History   bool `json:"history,omitempty" doc:"Who joins by it may see the messages from before."`
	}
}

func (s *Server) makeInvite(ctx context.Context, in *inviteInput) (*answer[demes.InviteView], error) {
	id, err := chatID(in.Chat)
	if err != nil {
		return nil, err
	}
	var uses, seconds int
	history := false
	if in.Body != nil {
		uses, seconds, history = in.Body.Uses, in.Body.ExpiresIn, in.Body.History
	}
	link, expires, err := s.node().Invite(ctx, id, uses, time.Duration(seconds)*time.Second, history)
	if err != nil {
		return nil, err
	}
	// A link that no QR code can hold is still a link.
	svg, _ := QRSVG(link)
	return answered(demes.InviteView{Link: link, QRSVG: svg, ExpiresAt: expires.UTC()}, nil)
}

type knockInput struct {
	MemberPath
	Body struct {
		Admit bool `json:"admit"`
	}
}

func (s *Server) decideKnock(ctx context.Context, in *knockInput) (*empty, error) {
	chat, device, err := memberOf(in.MemberPath)
	if err != nil {
		return nil, err
	}
	return done(s.node().DecideKnock(ctx, chat, device, in.Body.Admit))
}

type handoverInput struct {
	ChatPath
	Body *struct {
		Device string `json:"device,omitempty" maxLength:"256" doc:"The next in line when left out."`
	}
}

func (s *Server) handOver(ctx context.Context, in *handoverInput) (*empty, error) {
	id, err := chatID(in.Chat)
	if err != nil {
		return nil, err
	}
	if in.Body == nil || in.Body.Device == "" {
		return done(s.node().Handover(ctx, id, nil))
	}
	device, err := deviceID(in.Body.Device)
	if err != nil {
		return nil, err
	}
	return done(s.node().Handover(ctx, id, &device))
}

func (s *Server) removeMember(ctx context.Context, in *MemberPath) (*empty, error) {
	chat, device, err := memberOf(*in)
	if err != nil {
		return nil, err
	}
	return done(s.node().RemoveMember(ctx, chat, device))
}
