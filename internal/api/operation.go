package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Version is that of the API's contract. It grows when something is added.
const Version = "1.0.0"

const about = `The local API of a DeMes node.

Every call but /session, /contact and /openapi.json wants "Authorization: Bearer TOKEN"; the token is fresh at each
start and stands in the file api-token of the data folder. Times are RFC 3339 in UTC, latencies milliseconds, ids opaque
strings. Errors are RFC 9457 problems: branch on "code".`

// huma takes its error type from package variables: there is no other place to
// say what a problem looks like.
func init() {
	huma.NewError = fromHuma
	huma.DefaultArrayNullable = false // answers never hold null for a list
}

// newOperations makes the registry of calls: JSON only, described as OpenAPI
// 3.1, without links to schemas in the answers.
func newOperations(mux *http.ServeMux) huma.API {
	config := huma.DefaultConfig("DeMes local API", Version)
	config.Info.Description = about
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "The token of this start of the node."},
	}
	config.Security = []map[string][]string{{"token": {}}}
	config.CreateHooks = nil
	config.Formats = map[string]huma.Format{"application/json": wellEncoded(huma.DefaultJSONFormat), "json": wellEncoded(huma.DefaultJSONFormat)}
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	return humago.NewWithPrefix(mux, BasePath, config)
}

// wellEncoded refuses bodies that are not UTF-8: read as JSON, they would become
// another text in silence.
func wellEncoded(format huma.Format) huma.Format {
	read := format.Unmarshal
	format.Unmarshal = func(raw []byte, out any) error {
		if !utf8.Valid(raw) {
			return errors.New("is not UTF-8 text")
		}
		return read(raw, out)
	}
	return format
}

// schemaName drops the word View, which only tells the package demes' nouns
// from what is shown of them.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if name == "ProblemView" {
		return "ProblemNote" // Problem is an HTTP answer
	}
	return strings.TrimSuffix(name, "View")
}

// call describes one operation.
func call(id, method, path string, status int, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, DefaultStatus: status, Summary: summary,
		Tags: []string{strings.Trim(strings.SplitN(path, "/", 3)[1], "{}")},
	}
}

// empty is an answer that says all with its status.
type empty struct{}

// answer is one JSON object.
type answer[T any] struct{ Body T }

func answered[T any](body T, err error) (*answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &answer[T]{Body: body}, nil
}

// register adds an operation whose errors become problems and which ends in
// bounded time.
func register[I, O any](s *Server, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		out, err := handle(ctx, in)
		if err != nil {
			return nil, s.problemOf(op.OperationID, err)
		}
		return out, nil
	})
}

// done answers 202 with nothing.
func done(err error) (*empty, error) {
	if err != nil {
		return nil, err
	}
	return &empty{}, nil
}

// describe adds what huma cannot see and renders the document.
func describe(api huma.API) []byte {
	spec := api.OpenAPI()
	describeLive(spec)
	describeContact(spec)
	raw, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		panic("api: the description of the calls is no JSON: " + err.Error())
	}
	return append(raw, '\n')
}
