// Package surfacetest is the conformance suite of the places where a guard can stand: net/http, echo, gRPC and
// Guard.Verify decide alike, route by route and policy by policy. Each runs [Run].
package surfacetest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// Reply is what came back for a request.
type Reply struct {
	Status  int         // of HTTP, or what it would be
	Subject string      // of the claims that the handler found; empty for a refusal
	Header  http.Header // nil where there is none
	Body    string      // of a refusal; empty where there is none
}

// Surface puts a handler behind a guard that requires opts, and returns how to ask it with the values of an Authorization
// header, or with their like.
type Surface func(t *testing.T, guard *middleware.Guard, opts ...middleware.Option) (ask func(authorization ...string) Reply)

// call is one request with its expected answer.
type call struct {
	name          string
	authorization []string
	opts          []middleware.Option
	outage        time.Duration
	want          int
	outcome       middleware.Outcome
	degraded      bool
}

// Run checks that a surface answers as it must, and tells the observer.
func Run(t *testing.T, surface Surface) {
	issuer := middlewaretest.NewOffline("orders")
	var seen last
	guard := issuer.Guard(middleware.Options{Observer: &seen, MaxStaleness: 5 * time.Second})
	for _, c := range calls(issuer) {
		t.Run(c.name, func(t *testing.T) {
			ask := surface(t, guard, c.opts...)
			issuer.Outage(c.outage)
			seen.decision = middleware.Decision{}
			reply := ask(c.authorization...)
			if reply.Status != c.want {
				t.Errorf("answered %d, want %d: %s", reply.Status, c.want, reply.Body)
			}
			if accepted := reply.Subject != ""; accepted != (c.want == http.StatusOK) || accepted && reply.Subject != "alice" {
				t.Errorf("the handler saw %q", reply.Subject)
			}
			if d := seen.decision; d.Outcome != c.outcome || d.Degraded != c.degraded {
				t.Errorf("observed %+v, want %s, degraded %v", d, c.outcome, c.degraded)
			}
			checkHeader(t, reply)
		})
	}
}

// checkHeader checks that HTTP clients are told how to go on.
func checkHeader(t *testing.T, r Reply) {
	t.Helper()
	if r.Header == nil {
		return
	}
	challenge, retry := r.Header.Get("WWW-Authenticate"), r.Header.Get("Retry-After")
	if wanted := r.Status == http.StatusUnauthorized; wanted && !strings.HasPrefix(challenge, `Bearer realm="orders"`) {
		t.Errorf("status %d with the challenge %q", r.Status, challenge)
	}
	if wanted := r.Status == http.StatusServiceUnavailable; wanted != (retry != "") || wanted && challenge != "" {
		t.Errorf("status %d with Retry-After %q and the challenge %q", r.Status, retry, challenge)
	}
	if r.Status >= 400 && (r.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(r.Body, `"detail"`)) {
		t.Errorf("a %s and not a problem: %s", r.Header.Get("Content-Type"), r.Body)
	}
}

// last is an Observer that remembers the last decision. The suite asks one thing at a time.
type last struct{ decision middleware.Decision }

func (l *last) Decided(_ context.Context, d middleware.Decision) { l.decision = d }

func calls(i *middlewaretest.Issuer) []call {
	all := append(credentials(i), requirements(i)...)
	return append(all, policies(i)...)
}

func credentials(i *middlewaretest.Issuer) []call {
	good := "Bearer " + i.Mint(token.Claims{})
	ended := i.Mint(token.Claims{})
	i.Logout(ended)
	other := middlewaretest.NewOffline("orders")
	return []call{
		{"good", []string{good}, nil, 0, 200, middleware.Accepted, false},
		{"no header", nil, nil, 0, 401, middleware.NoCredentials, false},
		{"other scheme", []string{"Basic eDp5"}, nil, 0, 401, middleware.NoCredentials, false},
		{"two headers", []string{good, good}, nil, 0, 400, middleware.BadRequest, false},
		{"garbage", []string{"Bearer garbage"}, nil, 0, 401, middleware.Malformed, false},
		{"forged", []string{"Bearer " + other.Mint(token.Claims{})}, nil, 0, 401, middleware.UnknownKey, false},
		{"expired", []string{"Bearer " + i.MintExpired(token.Claims{})}, nil, 0, 401, middleware.Expired, false},
		{"logged out", []string{"Bearer " + ended}, nil, 0, 401, middleware.Revoked, false},
	}
}

func requirements(i *middlewaretest.Issuer) []call {
	hour := time.Now().Add(-time.Hour)
	bearer := func(c token.Claims) []string { return []string{"Bearer " + i.Mint(c)} }
	route := func(o ...middleware.Option) []middleware.Option { return o }
	check := func(err error) []middleware.Option {
		return route(middleware.Check(func(_ context.Context, c *token.Claims) error {
			if c.Subject != "alice" {
				return errors.New("asked about somebody else")
			}
			return err
		}))
	}
	plain := bearer(token.Claims{})
	return []call{
		{"has the scope", bearer(token.Claims{Scope: "read write"}), route(middleware.Scopes("write")), 0, 200, middleware.Accepted, false},
		{"lacks the scope", bearer(token.Claims{Scope: "read"}), route(middleware.Scopes("write")), 0, 403, middleware.InsufficientScope, false},
		{"has the role", bearer(token.Claims{Roles: []string{"clerk"}}), route(middleware.Roles("clerk")), 0, 200, middleware.Accepted, false},
		{"lacks the role", plain, route(middleware.Roles("clerk")), 0, 403, middleware.InsufficientScope, false},
		{"has the acr", bearer(token.Claims{ACR: "gold"}), route(middleware.ACR("silver", "gold")), 0, 200, middleware.Accepted, false},
		{"lacks the acr", plain, route(middleware.ACR("gold")), 0, 401, middleware.InsufficientAuthentication, false},
		{"a new login", plain, route(middleware.MaxAge(time.Minute)), 0, 200, middleware.Accepted, false},
		{"an old login", bearer(token.Claims{AuthTime: hour}), route(middleware.MaxAge(time.Minute)), 0, 401, middleware.InsufficientAuthentication, false},
		{"a login at no time", bearer(token.Claims{AuthTime: middlewaretest.NoAuthTime()}), route(middleware.MaxAge(time.Hour)), 0, 401, middleware.InsufficientAuthentication, false},
		{"the check agrees", plain, check(nil), 0, 200, middleware.Accepted, false},
		{"the check refuses", plain, check(errors.New("not hers")), 0, 403, middleware.Forbidden, false},
		{"the check cannot tell", plain, check(token.ErrUnavailable), 0, 503, middleware.Unavailable, false},
		{"the check is late", plain, check(context.DeadlineExceeded), 0, 503, middleware.Unavailable, false},
	}
}

// policies is what routes do when nothing was heard of revocations for a time, the bound being 5 s.
func policies(i *middlewaretest.Issuer) []call {
	good, ended := []string{"Bearer " + i.Mint(token.Claims{})}, []string{"Bearer " + i.Mint(token.Claims{SessionID: "ended"})}
	i.Revoke(revocation.Session, "ended")
	one := func(o middleware.Option) []middleware.Option { return []middleware.Option{o} }
	minute := one(middleware.Stale(time.Minute))
	var all []call
	for _, c := range []call{
		{"closed, no outage", good, nil, 0, 200, middleware.Accepted, false},
		{"closed, within the bound", good, one(middleware.Closed()), 4 * time.Second, 200, middleware.Accepted, false},
		{"closed, beyond the bound", good, one(middleware.Closed()), 6 * time.Second, 503, middleware.Unavailable, false},
		{"default, beyond the bound", good, nil, 6 * time.Second, 503, middleware.Unavailable, false},
		{"stale, no outage", good, minute, 0, 200, middleware.Accepted, false},
		{"stale, within its bound", good, minute, 30 * time.Second, 200, middleware.Accepted, true},
		{"stale, beyond its bound", good, minute, 2 * time.Minute, 503, middleware.Unavailable, false},
		{"stale, stricter than the guard", good, one(middleware.Stale(2 * time.Second)), 4 * time.Second, 503, middleware.Unavailable, false},
		{"online in this process, no outage", good, one(middleware.Online()), 0, 200, middleware.Accepted, false},
		{"online in this process, beyond the bound", good, one(middleware.Online()), 6 * time.Second, 503, middleware.Unavailable, false},
	} {
		all = append(all, c)
		// What is known to be revoked is refused as such, however old the copy.
		all = append(all, call{c.name + ", logged out", ended, c.opts, c.outage, 401, middleware.Revoked, false})
	}
	return all
}
