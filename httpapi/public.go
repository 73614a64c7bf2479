package httpapi

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/httpapi/web"
)

// Paths that other documents name.
const (
	pathJWKS        = "/.well-known/jwks.json"
	pathIntrospect  = "/oauth2/introspect"
	pathRevoke      = "/oauth2/revoke"
	pathRevocations = "/v1/revocations"
	pathOpenAPI     = "/openapi.yaml"
	pathStatusLists = "/v1/statuslists"
)

// PublicConfig configures the public listener.
type PublicConfig struct {
	// Issuer is the "iss" of the tokens: the URL under which clients reach this listener. Required.
	Issuer string
	// Algorithms are those that tokens may be signed with, as discovery states them. Required.
	Algorithms []string
	// Scopes are those that a login may ask for; none by default. A scope narrows what a client may do on behalf of
	// a user. It is granted to whoever asks: what a user may do is a matter of roles.
	Scopes []string
	// Clients may introspect and revoke tokens; none by default.
	Clients []Client
	// RefreshLife is how long browsers keep the refresh cookie: the idle limit of sessions. Default 7 days.
	RefreshLife time.Duration

	// RateLimits bound how often one client may use a route, by the names that [RateLimitNames] lists: an address, and of
	// the routes under /oauth2 a client with its credentials. None by default.
	RateLimits map[string]RateLimiter

	Sessions    Sessions         // required
	Logins      Logins           // required: without limits, passwords can be guessed
	Verifier    Verifier         // required
	Keys        KeySet           // required
	Revocations RevocationLog    // required
	Mirror      RevocationMirror // required
	// Feed serves GET /v1/revocations; see the package revocation/httpfeed. Required. It lifts the server's time limits
	// from its streams itself; the context of its requests ends when the server drains.
	Feed http.Handler
	// DPoP checks the proofs of clients that bind their tokens to a key. By default used proofs are remembered in memory and
	// no nonces are asked for.
	DPoP *dpop.Verifier
	// StatusLists publishes the status of tokens under /v1/statuslists; nil where tokens have none.
	StatusLists StatusLists
	// Accounts lets /v1/me tell the user's present name; nil leaves the name out.
	Accounts Accounts
	// Pages are what people see in a browser: /login, /account and /logout. Without them there are none.
	Pages *web.Pages
	// Passwords lets people change their passwords on a page; nil if they cannot.
	Passwords *PasswordConfig
	// OAuth makes the listener an authorization server for clients; nil if it is none. It needs Pages.
	OAuth *OAuth
	// ReturnTo are paths of other services behind the same origin, "/shop/" say, below which the login page may lead back.
	// None by default: it leads to this server's own pages.
	ReturnTo []string
	// Factors are second factors of logins; nil for none.
	Factors *FactorConfig
	// Audit records security events; nil records none. With AuditStrict a login or logout that it does not confirm is
	// answered 503. Names tells it whose account a failed login was for; nil leaves the name out.
	Audit       Audit
	AuditStrict bool
	Names       UserNames
	// SSF tells clients of what is recorded; nil tells nobody.
	SSF SharedSignals
	// Tracing makes spans; by default none.
	Tracing Tracing

	// TrustedProxies may name the client's address in X-Forwarded-For, and the request in X-Request-Id. By default the
	// address is the connection's and the identifier is made here.
	TrustedProxies []netip.Prefix
	Limits         Limits
	Metrics        *Metrics // nil measures nothing that can be seen
	Log            *slog.Logger
	Now            func() time.Time // default time.Now
}

// public is the public listener's site and what its handlers need.
type public struct {
	*site
	cfg      PublicConfig
	clients  map[string][sha256.Size]byte
	provider *provider // nil where there are no clients
	factors  *factors  // nil where there are none
	metadata *document
	openapi  *document
	keySet   atomic.Pointer[document] // as last served

	proxyNoted sync.Once
}

// NewPublic returns the public listener.
func NewPublic(c PublicConfig) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("public listener: %w", err)
	}
	if c.RefreshLife == 0 {
		c.RefreshLife = 7 * 24 * time.Hour
	}
	if c.DPoP == nil {
		var err error
		c.DPoP, err = dpop.NewVerifier(dpop.VerifierConfig{Replays: dpop.NewMemory(0, c.Now), Now: c.Now})
		if err != nil {
			return nil, fmt.Errorf("public listener: %w", err)
		}
	}
	meta, err := newMetadata(c)
	if err != nil {
		return nil, fmt.Errorf("public listener: %w", err)
	}
	base, err := newSite(siteConfig{
		name: "public", log: c.Log, metrics: c.Metrics, now: c.Now, trusted: c.TrustedProxies,
		audit: newAuditor(c.Audit, c.AuditStrict, c.Names), tracing: c.Tracing,
	})
	if err != nil {
		return nil, fmt.Errorf("public listener: %w", err)
	}
	p := &public{
		site:     base,
		cfg:      c,
		clients:  make(map[string][sha256.Size]byte, len(c.Clients)),
		provider: newProvider(c),
		metadata: meta,
		openapi:  newFixed("application/yaml", publicDocument),
	}
	if p.factors, err = newFactors(c.Factors, p.now); err != nil {
		return nil, fmt.Errorf("public listener: %w", err)
	}
	for _, client := range c.Clients {
		p.clients[client.ID] = client.SecretSHA256
	}
	limits := make(map[string]*limit, len(c.RateLimits))
	for name, limiter := range c.RateLimits {
		limits[name] = p.newLimit(name, limiter)
	}
	routes := append(p.routes(), p.ssfRoutes()...)
	if c.Pages != nil {
		routes = append(routes, p.pageRoutes()...)
	}
	if p.provider != nil {
		p.shared = sharedPaths()
		routes = append(routes, p.oauthRoutes()...)
	}
	if p.factors != nil {
		routes = append(routes, p.factorRoutes()...)
		if c.Pages != nil {
			routes = append(routes, p.factorPageRoutes()...)
		}
	}
	for _, r := range routes {
		r.limited = limits[r.limit]
		p.add(r)
	}
	return newServer(p.site, c.Limits), nil
}

func (c PublicConfig) validate() error {
	var problems []error
	need := func(ok bool, text string) {
		if !ok {
			problems = append(problems, errors.New(text))
		}
	}
	u, err := url.Parse(c.Issuer)
	need(err == nil && u.IsAbs() && u.Host != "" && u.RawQuery == "" && u.Fragment == "", "issuer: must be an absolute URL")
	need(len(c.Algorithms) > 0, "algorithms: required")
	need(c.Sessions != nil, "sessions: required")
	need(c.Logins != nil, "logins: required")
	need(c.Verifier != nil, "verifier: required")
	need(c.Keys != nil, "keys: required")
	need(c.Revocations != nil, "revocations: required")
	need(c.Mirror != nil, "mirror: required")
	need(c.Feed != nil, "feed: required")
	need(c.RefreshLife >= 0, "refresh life: must not be negative")
	for _, client := range c.Clients {
		need(client.ID != "", "clients: a client has no id")
	}
	return errors.Join(append(problems, c.validateRateLimits(), c.validateReturnTo(), c.OAuth.validate(c.Pages != nil))...)
}

func (p *public) routes() []*route {
	return []*route{
		{method: http.MethodPost, path: "/v1/login", limit: "login", handle: p.login, changes: true, event: audit.Login},
		{method: http.MethodPost, path: "/v1/refresh", limit: "refresh", handle: p.refresh, changes: true},
		{method: http.MethodPost, path: "/v1/logout", limit: "logout", handle: p.logout, changes: true, event: audit.Logout},
		{method: http.MethodGet, path: "/v1/me", limit: "me", handle: p.me, quiet: true},
		{method: http.MethodGet, path: "/v1/sessions", limit: "sessions", handle: p.listSessions, quiet: true},
		{method: http.MethodDelete, path: "/v1/sessions/:id", limit: "sessions", handle: p.endSession, changes: true},

		{method: http.MethodGet, path: "/v1/verify", limit: "verify", handle: p.forwardAuth, quiet: true, proxy: true},
		{method: http.MethodGet, path: pathRevocations, limit: "revocations", handle: p.feed, noHead: true},
		{method: http.MethodGet, path: pathStatusLists, limit: "statuslists", handle: p.statusLists, quiet: true},
		{method: http.MethodGet, path: pathStatusLists + "/:id", limit: "statuslists", handle: p.statusList, quiet: true},
		{method: http.MethodPost, path: pathIntrospect, limit: "introspect", client: p.clientID, handle: p.introspect, quiet: true, oauth: true},
		{method: http.MethodPost, path: pathRevoke, limit: "revoke", client: p.limitedClient, handle: p.revoke, changes: true, oauth: true, anyOrigin: true},

		{method: http.MethodGet, path: pathJWKS, limit: "jwks", handle: p.jwks, quiet: true},
		{method: http.MethodGet, path: "/.well-known/oauth-authorization-server", limit: "discovery", handle: p.metadata.send, quiet: true},
		{method: http.MethodGet, path: "/.well-known/openid-configuration", limit: "discovery", handle: p.metadata.send, quiet: true},
		{method: http.MethodGet, path: pathOpenAPI, limit: "openapi", handle: p.openapi.send, quiet: true},
	}
}
