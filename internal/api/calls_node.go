package api

import (
	"context"
	"net/http"

	"github.com/demes-chat/demes"
)

func (s *Server) registerNode() {
	register(s, call("describe-node", http.MethodGet, "/node", http.StatusOK, "This node"),
		func(context.Context, *empty) (*answer[demes.NodeView], error) { return answered(s.describeNode(), nil) })
	register(s, call("rename-node", http.MethodPatch, "/node", http.StatusOK, "Change the name that others see"), s.renameNode)
	register(s, call("shut-down", http.MethodPost, "/shutdown", http.StatusAccepted, "Leave cleanly: a host hands over first"),
		func(context.Context, *empty) (*empty, error) {
			if s.cfg.Shutdown != nil {
				s.cfg.Shutdown()
			}
			return &empty{}, nil
		})
	open := call("open-session", http.MethodPost, "/session", http.StatusOK, "Exchange a single-use code for the token")
	open.Security = []map[string][]string{}
	register(s, open, s.openSession)
}

func (s *Server) describeNode() demes.NodeView {
	node := s.node().Describe()
	node.Addresses = list(node.Addresses)
	return node
}

type renameInput struct {
	Body struct {
		Name string `json:"name" doc:"One line, at most 64 characters."`
	}
}

func (s *Server) renameNode(ctx context.Context, in *renameInput) (*answer[demes.NodeView], error) {
	name, err := line("name", in.Body.Name, demes.MaxName)
	if err != nil {
		return nil, err
	}
	if err := s.node().Rename(ctx, name); err != nil {
		return nil, err
	}
	return answered(s.describeNode(), nil)
}

type sessionInput struct {
	Body struct {
		Code string `json:"code" maxLength:"128" doc:"What stands behind #code= in the address that the node opened. Good once, for 60 seconds."`
	}
}

type sessionOutput struct {
	Token string `json:"token"`
}

func (s *Server) openSession(_ context.Context, in *sessionInput) (*answer[sessionOutput], error) {
	if !s.codes.take(in.Body.Code) {
		return nil, newProblem(http.StatusUnauthorized, codeSession, "This link was used before or is too old",
			"Open the address that demes printed at its start, or start demes again.")
	}
	return answered(sessionOutput{s.cfg.Token}, nil)
}

// list makes an empty list of none, so that no answer says null for a list.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
