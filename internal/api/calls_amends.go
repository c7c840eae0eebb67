package api

import (
	"context"
	"net/http"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// MessagePath names a message in a path: its id is device/seq.
type MessagePath struct {
	Chat   string `path:"chat" maxLength:"256" doc:"The chat's id."`
	Device string `path:"device" maxLength:"256" doc:"The device of the message's author: the first part of its id."`
	Seq    string `path:"seq" maxLength:"32" doc:"The second part of the message's id."`
}

// ReactionPath names an emoji at a message in a path.
type ReactionPath struct {
	MessagePath
	Emoji string `path:"emoji" maxLength:"256" doc:"One emoji, percent-encoded."`
}

func (s *Server) registerAmends() {
	const message = "/chats/{chat}/messages/{device}/{seq}"
	register(s, call("edit-message", http.MethodPatch, message, http.StatusAccepted, "Give a message of yours another text"), s.editMessage)
	register(s, call("delete-message", http.MethodDelete, message, http.StatusAccepted, "Delete a message everywhere: by its author, the founder or an admin"), s.deleteMessage)
	register(s, call("react", http.MethodPut, message+"/reactions/{emoji}", http.StatusAccepted, "Put an emoji to a message"), s.react(true))
	register(s, call("unreact", http.MethodDelete, message+"/reactions/{emoji}", http.StatusAccepted, "Take an emoji back"), s.react(false))
}

// messageOf reads the chat and the message of a path.
func messageOf(in MessagePath) (chat demes.ChatID, message demes.EventID, err error) {
	if chat, err = chatID(in.Chat); err != nil {
		return chat, message, err
	}
	message, err = demes.ParseEventID(in.Device + "/" + in.Seq)
	if err != nil {
		return chat, message, demes.Problem(demes.CodeUnknownMessage, "There is no such message", "GET "+BasePath+"/chats/{chat}/messages lists the chat's.")
	}
	return chat, message, nil
}

type editInput struct {
	MessagePath
	Body struct {
		Text string `json:"text" doc:"The new text. At most 16 KiB of UTF-8."`
	}
}

func (s *Server) editMessage(ctx context.Context, in *editInput) (*empty, error) {
	chat, message, err := messageOf(in.MessagePath)
	if err != nil {
		return nil, err
	}
	if err := messageText(in.Body.Text); err != nil {
		return nil, err
	}
	return done(s.node().EditMessage(ctx, chat, message, in.Body.Text))
}

func (s *Server) deleteMessage(ctx context.Context, in *MessagePath) (*empty, error) {
	chat, message, err := messageOf(*in)
	if err != nil {
		return nil, err
	}
	return done(s.node().DeleteMessage(ctx, chat, message))
}

func (s *Server) react(on bool) func(context.Context, *ReactionPath) (*empty, error) {
	return func(ctx context.Context, in *ReactionPath) (*empty, error) {
		chat, message, err := messageOf(in.MessagePath)
		if err != nil {
			return nil, err
		}
		if !wire.ValidEmoji(in.Emoji) {
			p := newProblem(http.StatusBadRequest, demes.CodeBadInput, "This is no emoji to react with", "Use one emoji.")
			p.Errors = []FieldError{{"path.emoji", "is not one emoji"}}
			return nil, p
		}
		return done(s.node().React(ctx, chat, message, in.Emoji, on))
	}
}
