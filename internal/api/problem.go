package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/demes-chat/demes"
)

// The codes of problems that arise before a call reaches the node; those of the
// node itself stand in package demes.
const (
	codeToken     demes.Code = "unauthorized"
	codeOrigin    demes.Code = "foreign-origin"
	codeHost      demes.Code = "wrong-host"
	codeNotFound  demes.Code = "not-found"
	codeMethod    demes.Code = "method-not-allowed"
	codeTooLarge  demes.Code = "too-large"
	codeMediaType demes.Code = "unsupported-media-type"
	codeSlow      demes.Code = "too-slow"
	codeSession   demes.Code = "code-expired"
	codeUpgrade   demes.Code = "upgrade-required"
	codeFaultsOff demes.Code = "faults-off"
)

// CodeNoLobby says that no lobby of a node takes knocks, or none yet.
const CodeNoLobby demes.Code = "no-lobby"

// statuses gives each code of the node its HTTP status.
var statuses = map[demes.Code]int{
	demes.CodeBadInput:       http.StatusBadRequest,
	demes.CodeTextEmpty:      http.StatusBadRequest,
	demes.CodeTextTooLong:    http.StatusBadRequest,
	demes.CodeLinkMalformed:  http.StatusBadRequest,
	demes.CodeUnknownChat:    http.StatusNotFound,
	demes.CodeUnknownMember:  http.StatusNotFound,
	demes.CodeUnknownJoin:    http.StatusNotFound,
	demes.CodeUnknownMessage: http.StatusNotFound,
	demes.CodeUnknownDevice:  http.StatusNotFound,
	demes.CodeWrongPhase:     http.StatusConflict,
	demes.CodeNotHost:        http.StatusConflict,
	demes.CodeStaleCopy:      http.StatusConflict,
	demes.CodeChatFull:       http.StatusConflict,
	demes.CodeNotAllowed:     http.StatusForbidden,
	demes.CodeRefused:        http.StatusForbidden,
	demes.CodeInviteUsed:     http.StatusGone,
	demes.CodeInviteExpired:  http.StatusGone,
	demes.CodeInviteRevoked:  http.StatusGone,
	demes.CodeTooMany:        http.StatusTooManyRequests,
	demes.CodeUnreachable:    http.StatusServiceUnavailable,
	demes.CodeShuttingDown:   http.StatusServiceUnavailable,
	demes.CodeStorage:        http.StatusInternalServerError,
	demes.CodeStorageFull:    http.StatusInsufficientStorage,
	demes.CodeProfileInUse:   http.StatusInternalServerError,
	demes.CodeProfileNewer:   http.StatusInternalServerError,
	demes.CodeProfileDamaged: http.StatusInternalServerError,
	demes.CodePortTaken:      http.StatusInternalServerError,
	demes.CodeInternal:       http.StatusInternalServerError,

	demes.CodeLocked:          http.StatusLocked,
	demes.CodeWrongPassphrase: http.StatusForbidden,
	demes.CodeNoPassphrase:    http.StatusConflict,
	demes.CodeNoWords:         http.StatusConflict,
	demes.CodeProfileExists:   http.StatusConflict,
	demes.CodeNoKeychain:      http.StatusConflict,
}

// Problem is an answer that is not a success (RFC 9457). Code is its stable
// name; the words beside it may change. Secrets and inputs are never echoed.
type Problem struct {
	Type   string       `json:"type" doc:"Always about:blank: code names the kind of problem."`
	Title  string       `json:"title" doc:"What is wrong, in one short sentence."`
	Status int          `json:"status"`
	Detail string       `json:"detail" doc:"What to do about it."`
	Code   demes.Code   `json:"code" doc:"The stable name of the problem: programs branch on it."`
	Errors []FieldError `json:"errors,omitempty" doc:"The fields that are wrong."`
}

// FieldError is one wrong field of a request.
type FieldError struct {
	Location string `json:"location" doc:"Where it stands, such as body.text or query.limit."`
	Message  string `json:"message"`
}

// maxFieldErrors bounds what a request full of mistakes makes of the answer.
const maxFieldErrors = 20

func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code demes.Code, title, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: title, Status: status, Detail: detail, Code: code}
}

func notFound() *Problem {
	return newProblem(http.StatusNotFound, codeNotFound, "There is nothing at this address",
		"The calls are listed at "+BasePath+"/openapi.json.")
}

func internalProblem() *Problem {
	return newProblem(http.StatusInternalServerError, demes.CodeInternal, "The node made a mistake",
		"It goes on working, and its log says more. Please report it.")
}

func badField(location, message string) *Problem {
	p := newProblem(http.StatusBadRequest, demes.CodeBadInput, "The request is not well formed", location+" "+message+".")
	p.Errors = []FieldError{{location, message}}
	return p
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="demes"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that is gone needs no answer
}

// problemOf turns an error of the node into what its user is shown. What has no
// code is the node's own mistake and goes to the log only.
func (s *Server) problemOf(operation string, err error) *Problem {
	var ready *Problem
	var coded *demes.Error
	switch {
	case errors.As(err, &ready):
		return ready
	case errors.As(err, &coded):
		status, known := statuses[coded.Code]
		if !known {
			status = http.StatusInternalServerError
		}
		if status >= 500 {
			s.cfg.Log.Error("a call did not work", "call", operation, "error", err)
		}
		return newProblem(status, coded.Code, coded.Title, coded.Detail)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return newProblem(http.StatusGatewayTimeout, codeSlow, "The node did not finish in time",
			"It may have happened or not: look before you repeat it. A message sent again with the same Idempotency-Key is stored once.")
	}
	s.cfg.Log.Error("a call did not work", "call", operation, "error", err)
	return internalProblem()
}

// fromHuma makes problems of what huma finds wrong with a request: one status
// for all that is malformed, and no input echoed back.
func fromHuma(status int, message string, errs ...error) huma.StatusError {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return newProblem(status, codeTooLarge, "The request is too large", "Send less at once: "+message+".")
	case status == http.StatusUnsupportedMediaType:
		return newProblem(status, codeMediaType, "The node reads JSON only", "Send Content-Type: application/json.")
	case status == http.StatusRequestTimeout:
		return newProblem(status, codeSlow, "The request did not arrive in time", "Send it again, at once and whole.")
	case status == http.StatusInternalServerError && message != "cannot read request body":
		return internalProblem()
	case status >= 500:
		return newProblem(http.StatusBadRequest, demes.CodeBadInput, "The request could not be read", "Send it again, at once and whole.")
	}
	p := newProblem(http.StatusBadRequest, demes.CodeBadInput, "The request is not well formed", message+".")
	for _, err := range errs[:min(len(errs), maxFieldErrors)] {
		p.Errors = append(p.Errors, fieldError(err))
	}
	if len(p.Errors) > 0 {
		p.Detail = p.Errors[0].Location + " " + p.Errors[0].Message + "."
	}
	return p
}

func fieldError(err error) FieldError {
	var detailed huma.ErrorDetailer
	if errors.As(err, &detailed) {
		d := detailed.ErrorDetail()
		return FieldError{shown(d.Location, 100), shown(d.Message, 200)}
	}
	return FieldError{"body", shown(err.Error(), 200)}
}

// shown cuts a text that came from outside to what an error may repeat of it.
func shown(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
