package api

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/demes-chat/demes"
)

// The types of events that the live stream itself adds.
const (
	EventHello = "hello" // the first one: where the stream stands
	EventReset = "reset" // instead of hello: something was missed, fetch anew
)

// The shapes of live events, for the description of the API: what is sent is
// demes.LiveEvent, and a test holds both against each other.

// EventPlace says where in the stream an event stands.
type EventPlace struct {
	Seq uint64 `json:"seq" doc:"Counts the events of one run; pass the last one as since to resume."`
	Run string `json:"run" doc:"Names one start of the node; sequence numbers mean nothing in another."`
}

// MessageEvent tells of messages that appeared or changed their state.
type MessageEvent struct {
	EventPlace
	Type     string              `json:"type" enum:"message,settled"`
	Chat     string              `json:"chat"`
	Message  *demes.MessageView  `json:"message,omitempty"`
	Messages []demes.MessageView `json:"messages,omitempty"`
	Text     string              `json:"text,omitempty"`
}

// ChatEvent tells that something of a chat changed. Detail may be missing in
// events that are resumed: fetch the chat then.
type ChatEvent struct {
	EventPlace
	Type   string          `json:"type" enum:"host,members,latency,mode,election"`
	Chat   string          `json:"chat"`
	Detail *demes.ChatView `json:"detail,omitempty"`
	Text   string          `json:"text,omitempty" doc:"A line to show in the chat."`
}

// KnockEvent tells that somebody knocks at a lobby.
type KnockEvent struct {
	EventPlace
	Type   string           `json:"type" enum:"knock"`
	Chat   string           `json:"chat"`
	Detail *demes.KnockView `json:"detail,omitempty"`
}

// JoinEvent tells how far a join has come.
type JoinEvent struct {
	EventPlace
	Type   string          `json:"type" enum:"join"`
	Chat   string          `json:"chat,omitempty"`
	Detail *demes.JoinView `json:"detail,omitempty"`
}

// DeviceEvent tells that a device wants to be one of this account's.
type DeviceEvent struct {
	EventPlace
	Type   string               `json:"type" enum:"device"`
	Detail *demes.PendingDevice `json:"detail,omitempty"`
}

// TypingEvent tells that a member is typing now.
type TypingEvent struct {
	EventPlace
	Type   string      `json:"type" enum:"typing"`
	Chat   string      `json:"chat"`
	Detail *demes.Peer `json:"detail,omitempty"`
}

// StreamEvent opens a stream. After reset, fetch anew what is shown.
type StreamEvent struct {
	EventPlace
	Type string `json:"type" enum:"hello,reset"`
}

var eventTypes = []reflect.Type{
	reflect.TypeFor[MessageEvent](), reflect.TypeFor[ChatEvent](), reflect.TypeFor[KnockEvent](),
	reflect.TypeFor[JoinEvent](), reflect.TypeFor[DeviceEvent](), reflect.TypeFor[TypingEvent](), reflect.TypeFor[StreamEvent](),
}

// describeLive adds the live stream and the shapes of its events.
func describeLive(spec *huma.OpenAPI) {
	schemas := spec.Components.Schemas
	union := &huma.Schema{Description: "One event of the live stream; type tells which."}
	for _, t := range eventTypes {
		union.OneOf = append(union.OneOf, schemas.Schema(t, true, ""))
	}
	schemas.Map()["LiveEvent"] = union
	refine(schemas.Map())
	op := call("follow", http.MethodGet, "/live", http.StatusSwitchingProtocols, "Live events over a WebSocket")
	op.Description = "Subprotocols: demes.v1, and from a browser token.<base64url of the token> beside it. Each text frame is one " +
		"LiveEvent. The first is hello or reset and says where the stream stands. Clients send nothing."
	op.Parameters = []*huma.Param{
		{Name: "since", In: "query", Description: "The last event that the client has; without it the stream begins now.", Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int64"}},
		{Name: "run", In: "query", Description: "The run that since belongs to.", Schema: &huma.Schema{Type: huma.TypeString}},
	}
	op.Responses = map[string]*huma.Response{
		"101":     {Description: "The stream begins", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/LiveEvent"}}}},
		"default": problemResponse(spec),
	}
	spec.AddOperation(&op)
}

func jsonResponse(spec *huma.OpenAPI, description string, t reflect.Type) *huma.Response {
	schema := spec.Components.Schemas.Schema(t, true, "")
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

func problemResponse(spec *huma.OpenAPI) *huma.Response {
	schema := spec.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	return &huma.Response{Description: "Error", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}}
}

// refine says what Go's types cannot: which words a field may hold, which
// objects may be missing, and that answers may grow.
func refine(schemas map[string]*huma.Schema) {
	for _, field := range []struct {
		schema, name string
		words        []any
	}{
		{"Chat", "phase", words(demes.PhaseLobby, demes.PhaseLive, demes.PhaseLeft, demes.PhaseRemoved)},
		{"Chat", "mode", words(demes.ModeSettled, demes.ModeProvisional)},
		{"Member", "role", words(demes.RoleFounder, demes.RoleAdmin, demes.RoleMember)},
		{"Keys", "state", words(demes.KeysGood, demes.KeysWaiting, demes.KeysLost)},
		{"Message", "state", words(demes.StatePending, demes.StateSent, demes.StateSettled, demes.StateFailed)},
		{"Join", "state", words(demes.JoinConnecting, demes.JoinKnocking, demes.JoinWaiting, demes.JoinJoined, demes.JoinRefused, demes.JoinFailed)},
	} {
		schemas[field.schema].Properties[field.name].Enum = field.words
	}
	for name, schema := range schemas {
		if !strings.Contains(name, "Input") {
			schema.AdditionalProperties = nil // answers may grow
		}
	}
	for _, name := range []string{"host", "next"} {
		there := schemas["Chat"].Properties[name]
		schemas["Chat"].Properties[name] = &huma.Schema{AnyOf: []*huma.Schema{there, {Type: "null"}}}
	}
}

func words[T ~string](values ...T) []any {
	texts := make([]any, len(values))
	for i, value := range values {
		texts[i] = string(value)
	}
	return texts
}
