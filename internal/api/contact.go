package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/demes-chat/demes"
)

const (
	contactTimeout = 2 * time.Second // a node on this machine answers in milliseconds
	maxContact     = 64 << 10
)

// errNotHTTP says that what listens at a port does not speak HTTP: it may be a
// p2p port, which takes knocks itself.
var errNotHTTP = errors.New("no HTTP there")

// lookUp turns the local HTTP port of a node on this machine into the address
// where it takes knocks. Every other address stays as it is. Self is the device
// that asks.
func lookUp(ctx context.Context, self, address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !isLoopback(host) {
		return address, nil
	}
	contact, err := askContact(ctx, address)
	if errors.Is(err, errNotHTTP) {
		return address, nil
	}
	if err != nil {
		return "", err
	}
	if contact.Device == self {
		return "", demes.Problem(demes.CodeBadInput, "This is the address of this very node", "Use the address of the node that you want to join.")
	}
	return nearest(contact), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// nearest is where the node is reached best from this machine: over the loopback,
// where it listens there.
func nearest(c Contact) string {
	best := ""
	for _, address := range c.Addresses {
		if best == "" || strings.Contains(address, "127.0.0.1") && !strings.Contains(best, "127.0.0.1") {
			best = address
		}
	}
	if !strings.HasPrefix(best, "/") || strings.Contains(best, "/p2p/") {
		return best
	}
	return best + "/p2p/" + c.PeerID
}

func askContact(ctx context.Context, address string) (contact Contact, err error) {
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+BasePath+"/contact", nil)
	if err != nil {
		return contact, badField("body.address", "is not HOST:PORT")
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	var refused *net.OpError
	switch {
	case errors.As(err, &refused) && refused.Op == "dial", errors.Is(err, context.DeadlineExceeded): // a busy machine answers late
		return contact, demes.Problem(demes.CodeUnreachable, "Nobody answers at "+shown(address, 60),
			"Start the other node first, and use the port of its page: http://localhost:PORT.")
	case err != nil:
		return contact, errNotHTTP
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxContact))
	var problem Problem
	if err == nil && res.StatusCode != http.StatusOK && json.Unmarshal(raw, &problem) == nil && problem.Code == CodeNoLobby {
		return contact, newProblem(http.StatusConflict, CodeNoLobby, "No lobby at "+shown(address, 60)+" takes knocks",
			"Found a chat on that node first, or ask for an invite link when the chat has started.")
	}
	if err != nil || json.Unmarshal(raw, &contact) != nil || len(contact.Addresses) == 0 {
		return contact, demes.Problem(demes.CodeBadInput, "What answers at "+shown(address, 60)+" is no DeMes node",
			"Use the port of the other node's page: http://localhost:PORT.")
	}
	return contact, nil
}
