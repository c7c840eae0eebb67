package api

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/demes-chat/demes"
)

const (
	pageDefault = 100
	// pageMost bounds what one answer holds: 16 MiB of the longest messages.
	pageMost = 1000
)

func (s *Server) registerMessages() {
	register(s, call("send-message", http.MethodPost, "/chats/{chat}/messages", http.StatusAccepted, "Send a message: accepted means stored on this device"), s.sendMessage)
	register(s, call("list-messages", http.MethodGet, "/chats/{chat}/messages", http.StatusOK,
		"Settled messages in position order, then unsettled ones in their provisional order"), s.listMessages)
}

type sendInput struct {
	ChatPath
	Key  string `header:"Idempotency-Key" minLength:"16" maxLength:"128" pattern:"^[!-~]+$" doc:"The same key again answers with the message that was stored for it. Without a key each call sends anew."`
	Body struct {
		Text    string `json:"text" doc:"At most 16 KiB of UTF-8."`
		ReplyTo string `json:"reply_to,omitempty" maxLength:"256" doc:"The id of the message that this one answers."`
	}
}

func (s *Server) sendMessage(ctx context.Context, in *sendInput) (*answer[demes.MessageView], error) {
	id, err := chatID(in.Chat)
	if err != nil {
		return nil, err
	}
	if err := messageText(in.Body.Text); err != nil {
		return nil, err
	}
	var replyTo *demes.EventID
	if in.Body.ReplyTo != "" {
		event, err := demes.ParseEventID(in.Body.ReplyTo)
		if err != nil {
			return nil, badField("body.reply_to", "is not the id of a message")
		}
		replyTo = &event
	}
	message, err := s.node().SendMessage(ctx, id, in.Body.Text, replyTo, in.Key)
	return answered(message, err)
}

type pageInput struct {
	ChatPath
	After  optional[uint64] `query:"after" doc:"Only messages above this position; 0 begins with the first."`
	Before optional[uint64] `query:"before" minimum:"1" doc:"Only messages below this position."`
	Limit  int              `query:"limit" minimum:"1" default:"100" doc:"How many at most. An answer never has more than 1000."`
}

// PageView is a page of messages.
type PageView struct {
	Messages []demes.MessageView `json:"messages"`
	Head     demes.PageHead      `json:"head"`
}

func (s *Server) listMessages(ctx context.Context, in *pageInput) (*answer[PageView], error) {
	id, err := chatID(in.Chat)
	if err != nil {
		return nil, err
	}
	limit := min(in.Limit, pageMost)
	if limit == 0 {
		limit = pageDefault
	}
	if in.After.Given && in.After.Value == 0 && !in.Before.Given {
		return answered(s.firstPage(ctx, id, limit))
	}
	messages, head, err := s.node().Messages(ctx, id, in.After.Value, in.Before.Value, limit)
	return answered(PageView{list(messages), head}, err)
}

// firstPage begins with the first message that this device holds. To the node
// "after 0" means no bound, so the first position is asked for by itself.
func (s *Server) firstPage(ctx context.Context, id demes.ChatID, limit int) (PageView, error) {
	first, head, err := s.node().Messages(ctx, id, 0, 2, 1)
	if err != nil {
		return PageView{}, err
	}
	if len(first) > 0 && first[0].Position == nil {
		first = nil // unsettled ones come last
	}
	if len(first) < limit {
		var more []demes.MessageView
		more, head, err = s.node().Messages(ctx, id, 1, 0, limit-len(first))
		first = append(first, more...)
	}
	return PageView{list(first), head}, err
}

// optional is a query parameter that knows whether it was given.
type optional[T any] struct {
	Value T
	Given bool
}

// Schema implements huma.SchemaProvider.
func (o optional[T]) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeFor[T]())
}

// Receiver implements huma.ParamWrapper.
func (o *optional[T]) Receiver() reflect.Value { return reflect.ValueOf(&o.Value).Elem() }

// OnParamSet implements huma.ParamReactor.
func (o *optional[T]) OnParamSet(given bool, _ any) { o.Given = given }
