package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

func (s *Server) registerJoins() {
	register(s, call("join", http.MethodPost, "/joins", http.StatusAccepted, "Join by an invite link, or knock at an address"), s.join)
	register(s, call("get-join", http.MethodGet, "/joins/{join}", http.StatusOK, "How far a join has come"), s.joinStatus)
}

type joinInput struct {
	Body struct {
		Link    string `json:"link,omitempty" doc:"An invite link."`
		Address string `json:"address,omitempty" doc:"localhost:PORT of a node on this machine, or HOST:PORT with a node's p2p port."`
		Name    string `json:"name,omitempty" doc:"The name to be known by; that of this node when left out."`
	}
}

type joinOutput struct {
	Join string `json:"join"`
}

func (s *Server) join(ctx context.Context, in *joinInput) (*answer[joinOutput], error) {
	body := in.Body
	if (body.Link == "") == (body.Address == "") {
		return nil, badField("body", "needs a link or an address, and not both")
	}
	if body.Name != "" {
		name, err := line("name", body.Name, demes.MaxName)
		if err != nil {
			return nil, err
		}
		body.Name = name
	}
	join, err := Join(ctx, s.node(), body.Link, body.Address, body.Name)
	return answered(joinOutput{join}, err)
}

// Join begins a join at a node. It differs from Node.Join in one thing: the
// local HTTP port of another node on this machine is an address too.
func Join(ctx context.Context, node Node, link, address, name string) (string, error) {
	if len(address) > maxAddress {
		return "", badField("body.address", "is not HOST:PORT")
	}
	if address != "" {
		found, err := lookUp(ctx, node.Describe().Device, address)
		if err != nil {
			return "", err
		}
		address = found
	}
	join, err := node.Join(ctx, link, address, name)
	if errors.Is(err, &demes.Error{Code: demes.CodeLinkMalformed}) && !looksLikeLink(link) {
		err = demes.Problem(demes.CodeLinkMalformed, "This is neither an invite link nor an address",
			"A link begins with "+wire.LinkPrefix+"; paste it whole. An address looks like localhost:3000 or 192.168.1.20:4001.")
	}
	return join, err
}

// maxAddress bounds an address: the longest name of a host, and its port.
const maxAddress = 512

func looksLikeLink(text string) bool {
	scheme, _, _ := strings.Cut(wire.LinkPrefix, ":")
	return strings.HasPrefix(strings.TrimSpace(text), scheme+":")
}

type joinPath struct {
	Join string `path:"join" maxLength:"256"`
}

func (s *Server) joinStatus(ctx context.Context, in *joinPath) (*answer[demes.JoinView], error) {
	join, err := s.node().JoinStatus(ctx, in.Join)
	join.Tried = list(join.Tried)
	return answered(join, err)
}

// contact tells another node on this machine how to knock. It works without a
// token, so it is for programs only, and says nothing unless a lobby is open.
func (s *Server) contact(w http.ResponseWriter, r *http.Request) {
	if fromBrowser(r) {
		writeProblem(w, foreign())
		return
	}
	var contact Contact
	ok := false
	if node := s.running.Load(); node != nil { // while it is locked it takes no knocks either
		contact, ok = node.node.Contact(r.Context())
	}
	if !ok {
		writeProblem(w, newProblem(http.StatusNotFound, CodeNoLobby, "No lobby here takes knocks",
			"Found a chat on that node first; it takes knocks until it is started."))
		return
	}
	contact.Addresses = list(contact.Addresses)
	writeJSON(w, contact)
}

func describeContact(spec *huma.OpenAPI) {
	op := call("get-contact", http.MethodGet, "/contact", http.StatusOK, "How to knock at this node's lobby; for programs on this machine, not for pages")
	op.Security = []map[string][]string{}
	op.Responses = map[string]*huma.Response{
		"200":     jsonResponse(spec, "A lobby takes knocks", reflect.TypeFor[Contact]()),
		"default": problemResponse(spec),
	}
	spec.AddOperation(&op)
}
