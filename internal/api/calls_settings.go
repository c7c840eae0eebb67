package api

import (
	"context"
	"net/http"

	"github.com/demes-chat/demes"
)

func (s *Server) registerSettings() {
	register(s, call("change-chat", http.MethodPatch, "/chats/{chat}", http.StatusAccepted, "Change a chat's title and rules: by the founder or an admin"), s.changeChat)
	register(s, call("set-role", http.MethodPut, "/chats/{chat}/members/{account}/role", http.StatusAccepted, "Say what an account may do: by the founder"), s.setRole)
}

type changeInput struct {
	ChatPath
	Body struct {
		Title    *string     `json:"title,omitempty" doc:"One line, at most 100 characters."`
		Settings *RulesInput `json:"settings,omitempty" doc:"What is left out stays as it is."`
	}
}

// RulesInput is demes.SettingsChange with its limits.
type RulesInput struct {
	AdminsInvite    *bool  `json:"admins_invite,omitempty" doc:"Only the founder and admins make invites."`
	DisappearAfterS *int64 `json:"disappear_after_s,omitempty" minimum:"0" maximum:"31536000" doc:"Seconds after which messages are deleted that are sent from now on; 0 keeps them."`
}

func (s *Server) changeChat(ctx context.Context, in *changeInput) (*empty, error) {
	id, err := chatID(in.Chat)
	if err != nil {
		return nil, err
	}
	if in.Body.Title == nil && in.Body.Settings == nil {
		return nil, badField("body", "names nothing to change: give a title or settings")
	}
	if in.Body.Title != nil {
		title, err := line("title", *in.Body.Title, demes.MaxTitle)
		if err != nil {
			return nil, err
		}
		if err := s.node().Retitle(ctx, id, title); err != nil {
			return nil, err
		}
	}
	if in.Body.Settings == nil {
		return done(nil)
	}
	return done(s.node().SetSettings(ctx, id, demes.SettingsChange(*in.Body.Settings)))
}

type roleInput struct {
	SafetyPath
	Body struct {
		Role string `json:"role" enum:"admin,member"`
	}
}

func (s *Server) setRole(ctx context.Context, in *roleInput) (*empty, error) {
	id, account, err := in.read()
	if err != nil {
		return nil, err
	}
	return done(s.node().SetRole(ctx, id, account, demes.Role(in.Body.Role)))
}
