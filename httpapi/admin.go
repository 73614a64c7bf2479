package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/authd-project/authd/audit"
)

// adminDocument is the OpenAPI document of the admin listener.
//
//go:embed openapi-admin.yaml
var adminDocument []byte

// AdminConfig configures the admin listener.
type AdminConfig struct {
	// TokenSHA256 is the digest of the bearer token that /admin/* wants. The token must be random, of 128 bits or
	// more. Required.
	TokenSHA256 [sha256.Size]byte

	Users       Users         // required
	Sessions    SessionAdmin  // required
	Logins      LoginAdmin    // required
	Ends        AccountEnds   // required
	Revocations RevocationLog // required
	Mirror      AdminMirror   // required
	Ring        AdminKeyRing  // required
	Tokens      Explainer     // required
	Keys        KeyAdmin      // required
	Leadership  Leadership    // required
	Factors     FactorAdmin   // nil where there are no second factors
	Backups     Backups       // nil where none can be taken
	Sealing     Sealing       // nil where nothing is sealed
	// Console serves /console to people with a browser; nil where there is none.
	Console *ConsoleConfig
	// TokenLife is how long an access token may be accepted after it was issued: its longest life and the leeway of
	// verifiers. Revocations by jti are kept that long. Required.
	TokenLife time.Duration

	// Reload reads the settings again and takes over what may be changed under way; nil where that cannot be done.
	Reload Reload

	// Audit records what administrators do; nil records nothing.
	Audit Audit

	// Gatherer is what /metrics shows. Required.
	Gatherer prometheus.Gatherer
	// Checks decide about /readyz; none means ready.
	Checks []Check

	Tracing        Tracing
	TrustedProxies []netip.Prefix // as for the public listener
	Limits         Limits
	Metrics        *Metrics
	Log            *slog.Logger
	Now            func() time.Time
}

// Check is one condition of readiness.
type Check struct {
	Name  string // shown when it fails
	Probe func(context.Context) error
}

// admin is the admin listener's site and what its handlers need.
type admin struct {
	*site
	cfg     AdminConfig
	openapi *document
}

// NewAdmin returns the admin listener. Whoever holds the admin token may do everything; health, metrics and leadership
// are open to whoever can reach the listener.
func NewAdmin(c AdminConfig) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	base, err := newSite(siteConfig{
		name: "admin", log: c.Log, metrics: c.Metrics, now: c.Now, trusted: c.TrustedProxies, audit: newAuditor(c.Audit, false, nil),
		tracing: c.Tracing,
	})
	if err != nil {
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	a := &admin{site: base, cfg: c, openapi: newFixed("application/yaml", adminDocument)}
	for _, r := range a.openRoutes() {
		a.add(r)
	}
	guarded := a.guardedRoutes()
	if c.Factors != nil {
		guarded = append(guarded, a.factorRoutes()...)
	}
	if c.Backups != nil {
		guarded = append(guarded, &route{
			method: http.MethodPost, path: "/admin/backup", handle: a.backup, changes: true, event: audit.BackupMade,
		})
	}
	if c.Reload != nil {
		guarded = append(guarded, &route{
			method: http.MethodPost, path: "/admin/reload", handle: a.reload, changes: true,
		})
	}
	for _, r := range guarded {
		r.handle, r.guarded = a.guarded(r.handle), true
		a.add(r)
	}
	if c.Console != nil {
		console, err := newConsole(a, *c.Console)
		if err != nil {
			return nil, fmt.Errorf("admin listener: console: %w", err)
		}
		for _, r := range console.routes() {
			a.add(r)
		}
	}
	return newServer(a.site, c.Limits), nil
}

func (c AdminConfig) validate() error {
	var problems []error
	need := func(ok bool, text string) {
		if !ok {
			problems = append(problems, errors.New(text))
		}
	}
	need(c.TokenSHA256 != [sha256.Size]byte{}, "token: required")
	need(c.Users != nil, "users: required")
	need(c.Sessions != nil, "sessions: required")
	need(c.Logins != nil, "logins: required")
	need(c.Ends != nil, "ends: required")
	need(c.Revocations != nil, "revocations: required")
	need(c.Mirror != nil, "mirror: required")
	need(c.Ring != nil, "ring: required")
	need(c.Tokens != nil, "tokens: required")
	need(c.Keys != nil, "keys: required")
	need(c.Leadership != nil, "leadership: required")
	need(c.TokenLife > 0, "token life: required")
	need(c.Gatherer != nil, "gatherer: required")
	return errors.Join(append(problems, c.Console.validate())...)
}

func (a *admin) openRoutes() []*route {
	metrics := promhttp.HandlerFor(a.cfg.Gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelError),
	})
	return []*route{
		{method: http.MethodGet, path: "/livez", handle: a.live, quiet: true, probe: true},
		{method: http.MethodGet, path: "/readyz", handle: a.ready, quiet: true, probe: true},
		{method: http.MethodGet, path: "/leader", handle: a.leader, quiet: true},
		{method: http.MethodGet, path: "/metrics", quiet: true, probe: true, handle: func(x *exchange) error {
			metrics.ServeHTTP(x.Response(), x.Request())
			return nil
		}},
		{method: http.MethodGet, path: pathOpenAPI, handle: a.openapi.send, quiet: true},
	}
}

func (a *admin) guardedRoutes() []*route {
	return []*route{
		{method: http.MethodGet, path: "/admin/users", handle: a.listUsers},
		{method: http.MethodPost, path: "/admin/users", handle: a.addUser, changes: true, event: audit.UserAdded},
		{method: http.MethodGet, path: "/admin/users/:username", handle: a.getUser},
		{method: http.MethodDelete, path: "/admin/users/:username", handle: a.removeUser, changes: true, event: audit.UserRemoved},
		{method: http.MethodPut, path: "/admin/users/:username/password", handle: a.setPassword, changes: true, event: audit.PasswordChanged},
		{method: http.MethodPut, path: "/admin/users/:username/roles", handle: a.setRoles, changes: true, event: audit.RolesChanged},
		{method: http.MethodPost, path: "/admin/users/:username/disable", handle: a.disableUser, changes: true, event: audit.UserDisabled},
		{method: http.MethodPost, path: "/admin/users/:username/enable", handle: a.enableUser, changes: true, event: audit.UserEnabled},
		{method: http.MethodPost, path: "/admin/users/:username/forgive", handle: a.forgiveUser, changes: true, event: audit.UserForgiven},
		{method: http.MethodDelete, path: "/admin/users/:username/sessions", handle: a.endUserSessions, changes: true, event: audit.SubjectRevoked},

		{method: http.MethodGet, path: "/admin/sessions", handle: a.listSessions},
		{method: http.MethodDelete, path: "/admin/sessions/:id", handle: a.endSession, changes: true},

		{method: http.MethodGet, path: "/admin/revocations", handle: a.revocationStatus},
		{method: http.MethodPost, path: "/admin/revocations", handle: a.revoke, changes: true},

		{method: http.MethodPost, path: "/admin/explain", handle: a.explain},

		{method: http.MethodGet, path: "/admin/keys", handle: a.listKeys},
		{method: http.MethodPost, path: "/admin/keys/rotate", handle: a.rotateKeys, changes: true, event: audit.KeyRotated},
		{method: http.MethodPost, path: "/admin/keys/:kid/revoke", handle: a.revokeKey, changes: true, event: audit.KeyRevoked},
	}
}

// guarded lets the holder of the admin token through.
func (a *admin) guarded(next handler) handler {
	return func(x *exchange) error {
		raw, err := bearer(x.Request())
		switch {
		case errors.Is(err, errNotBearer) || err == nil && raw == "":
			return &refusal{
				status: http.StatusUnauthorized, code: codeInvalidToken, challenge: challenge("", ""),
				detail: "The admin token is required.",
			}
		case err != nil:
			return err
		}
		got := sha256.Sum256([]byte(raw))
		if subtle.ConstantTimeCompare(got[:], a.cfg.TokenSHA256[:]) != 1 {
			return &refusal{status: http.StatusForbidden, code: codeForbidden, detail: "This is not the admin token."}
		}
		x.actsAs(audit.Admin, "")
		return next(x)
	}
}

// pathParam returns a decoded part of the path; echo leaves it encoded where the client encoded more than it had to.
func (x *exchange) pathParam(name string) (string, error) {
	value := x.Param(name)
	if x.Request().URL.RawPath == "" {
		return value, nil
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return "", badFields(fieldError{Field: name, Detail: "is not properly encoded"})
	}
	return decoded, nil
}
