package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api"
)

const (
	callWithin = 35 * time.Second // the node gives itself 30
	upWithin   = time.Second
	maxAnswer  = 64 << 20
	maxEvent   = 32 << 20 // a settled event may hold many messages
)

// client calls the node that runs.
type client struct {
	port  int
	token string
	http  http.Client
	gone  error // what to say when nobody answers
}

// client finds the running node of the profile.
func (p *program) client() (*client, error) {
	dir, err := p.folder()
	if err != nil {
		return nil, err
	}
	token, port, err := announced(dir)
	if err != nil {
		return nil, p.notRunning()
	}
	return &client{port: port, token: token, gone: p.notRunning(), http: http.Client{Transport: &http.Transport{Proxy: nil}}}, nil
}

func (c *client) url(path string) string {
	return "http://127.0.0.1:" + strconv.Itoa(c.port) + api.BasePath + path
}

// isUp reports whether the node really runs: the files of one that was killed
// stay behind.
func (c *client) isUp(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	return c.call(ctx, http.MethodGet, "/lock", nil, nil) == nil // which a locked node answers, too
}

// answer is what a call was answered: as it came, and read.
type answer[T any] struct {
	raw   json.RawMessage
	value T
}

// get reads something from the node.
func get[T any](ctx context.Context, c *client, path string) (a answer[T], err error) {
	err = c.call(ctx, http.MethodGet, path, nil, &a.raw)
	if err == nil {
		err = json.Unmarshal(a.raw, &a.value)
	}
	return a, err
}

// post asks the node for something that answers with a T.
func post[T any](ctx context.Context, c *client, path string, body any) (a answer[T], err error) {
	err = c.call(ctx, http.MethodPost, path, body, &a.raw)
	if err == nil && len(a.raw) > 0 {
		err = json.Unmarshal(a.raw, &a.value)
	}
	return a, err
}

// call makes one call. Problems come back as *demes.Error.
func (c *client) call(ctx context.Context, method, path string, body any, out *json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return demes.Problem(demes.CodeUnreachable, "The node does not answer", "It may have done what was asked: look before you repeat it.")
	case err != nil:
		return c.gone
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return c.problem(res.StatusCode, raw)
	}
	if out != nil {
		*out = bytes.TrimSpace(raw)
	}
	return nil
}

func (c *client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url(path), &content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key := keyOf(ctx); key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	return req, nil
}

// problem reads what the node refused with. Something else may listen where the
// node was.
func (c *client) problem(status int, raw []byte) error {
	var problem struct {
		Title, Detail string
		Code          demes.Code
	}
	if json.Unmarshal(raw, &problem) != nil || problem.Code == "" || status == http.StatusUnauthorized {
		return c.gone
	}
	return demes.Problem(problem.Code, problem.Title, problem.Detail)
}

// idempotency is where a context holds the key of the message that is sent.
type idempotency struct{}

func withKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotency{}, key)
}

func keyOf(ctx context.Context) string {
	key, _ := ctx.Value(idempotency{}).(string)
	return key
}

// chatPath is a path below a chat.
func chatPath(chat, rest string) string { return "/chats/" + url.PathEscape(chat) + rest }

// follow opens the live stream: after the event since of a run, or from now on
// when run is empty.
func (c *client) follow(ctx context.Context, run string, since uint64) (*websocket.Conn, error) {
	query := ""
	if run != "" {
		query = "?" + url.Values{"run": {run}, "since": {strconv.FormatUint(since, 10)}}.Encode()
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	token := base64.RawURLEncoding.EncodeToString([]byte(c.token))
	conn, _, err := websocket.Dial(ctx, c.url("/live")+query, &websocket.DialOptions{Subprotocols: []string{"demes.v1", "token." + token}})
	if err != nil {
		return nil, c.gone
	}
	conn.SetReadLimit(maxEvent)
	return conn, nil
}
