package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// pagePolicy lets the page run what the node serves, talk to the node, and
// nothing else. Message content is never markup, so trusted types need none.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' blob: data:; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// secure sets what every answer says about how it may be used.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// NewToken makes the secret of one start: 32 random bytes, base64url.
func NewToken() string { return randomText(32) }

func randomText(size int) string {
	raw := make([]byte, size)
	_, _ = rand.Read(raw) // crypto/rand.Read never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

// guard decides which requests reach a handler.
type guard struct {
	hosts map[string]bool
	token [sha256.Size]byte // only its hash is compared, in constant time
	cross *http.CrossOriginProtection
}

func newGuard(port int, token string) guard {
	g := guard{hosts: map[string]bool{}, token: sha256.Sum256([]byte(token)), cross: http.NewCrossOriginProtection()}
	for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
		g.hosts[net.JoinHostPort(host, strconv.Itoa(port))] = true
	}
	if port == 80 {
		g.hosts["127.0.0.1"], g.hosts["[::1]"], g.hosts["localhost"] = true, true, true
	}
	return g
}

// place checks that the request is meant for this node and comes from no other
// site: a rebound name fails by its Host, a foreign page by its Origin.
func (g *guard) place(r *http.Request) *Problem {
	if !g.hosts[strings.ToLower(r.Host)] {
		return newProblem(http.StatusMisdirectedRequest, codeHost, "This node is not reached by that name",
			"Use http://127.0.0.1, http://localhost or http://[::1] with the port that demes printed at its start.")
	}
	if !sameOrigin(r) || g.cross.Check(r) != nil {
		return foreign()
	}
	return nil
}

// sameOrigin reports whether no other site says that it sent the request.
func sameOrigin(r *http.Request) bool {
	origins, named := r.Header["Origin"]
	if named && (len(origins) != 1 || !strings.EqualFold(origins[0], "http://"+r.Host)) {
		return false
	}
	if !isCall(r.URL.Path) {
		return true // a link from elsewhere to the page itself is harmless
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return false
		}
	}
	return true
}

func foreign() *Problem {
	return newProblem(http.StatusForbidden, codeOrigin, "Another web page may not use this node",
		"Open the address that demes printed at its start.")
}

// tokenless are the calls that work without a token: they tell nothing, or
// check for themselves.
var tokenless = map[string]bool{
	"/healthz":                 true,
	BasePath + "/session":      true,
	BasePath + "/contact":      true,
	BasePath + "/openapi.json": true,
}

// caller checks the token. A browser's WebSocket cannot set headers and passes
// it as a subprotocol.
func (g *guard) caller(r *http.Request) *Problem {
	if tokenless[r.URL.Path] {
		return nil
	}
	if header := r.Header["Authorization"]; len(header) > 0 {
		scheme, token, _ := strings.Cut(header[0], " ")
		if len(header) == 1 && strings.EqualFold(scheme, "Bearer") && g.matches(strings.TrimSpace(token)) {
			return nil
		}
		return unauthorized()
	}
	if r.URL.Path == BasePath+"/live" && g.inSubprotocol(r) {
		return nil
	}
	return unauthorized()
}

func unauthorized() *Problem {
	return newProblem(http.StatusUnauthorized, codeToken, "The token is missing or wrong",
		"It is fresh at each start of the node: take it from the first line that demes prints, or from the file api-token in its data folder.")
}

func (g *guard) matches(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// inSubprotocol looks for token.<base64url of the token>, and takes the token
// itself in that place too: it is base64url already.
func (g *guard) inSubprotocol(r *http.Request) bool {
	for _, protocol := range subprotocols(r) {
		text, ok := strings.CutPrefix(protocol, "token.")
		if !ok {
			continue
		}
		if g.matches(text) {
			return true
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err == nil && g.matches(string(raw)) {
			return true
		}
	}
	return false
}

func subprotocols(r *http.Request) (names []string) {
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(header, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// fromBrowser reports whether a web page sent the request, of whatever site.
func fromBrowser(r *http.Request) bool {
	for name := range r.Header {
		if name == "Origin" || strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}
