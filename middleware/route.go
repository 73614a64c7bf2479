package middleware

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// Option says what a route requires of a request beside a good token, or what it does in an outage.
type Option func(*Route)

// Scopes requires all of these in the token's scope. Lacking ones are answered 403 with an insufficient_scope challenge.
func Scopes(names ...string) Option {
	return func(rt *Route) { rt.scopes = append(rt.scopes, names...) }
}

// Roles requires all of these in the token's roles, and is answered like Scopes.
func Roles(names ...string) Option {
	return func(rt *Route) { rt.roles = append(rt.roles, names...) }
}

// Closed answers 503 whenever the copy of the revocations is older than MaxStaleness. It is the default.
func Closed() Option { return func(rt *Route) { rt.policy = closed } }

// Stale goes on with a copy of the revocations that is up to maxAge old while no fresher one is to be had: it would
// rather accept a token that was revoked so recently than refuse everybody. A maxAge below MaxStaleness makes the route
// stricter than the others.
func Stale(maxAge time.Duration) Option {
	return func(rt *Route) { rt.policy, rt.staleness = stale, maxAge }
}

// Online asks about every request, the issuer (GET /v1/verify) or Options.Redis, and answers 503 when there is no answer in
// time: a revocation holds from the moment it is acknowledged, at the price of a round trip. The issuer must accept the
// token's audience too. A guard with Options.Revocations asks those.
func Online() Option { return func(rt *Route) { rt.policy = inquire } }

// Route is a guard together with what one place requires: what [Guard.Require] is made of, for other frameworks and
// transports than net/http. Its methods may be called concurrently.
type Route struct {
	guard         *Guard
	scopes, roles []string
	stepUp        stepUp
	bound         bool
	checks        []CheckFunc
	policy        policy
	staleness     time.Duration // for stale
	whileValid    bool          // the context of requests ends with their token
}

// Route makes a route, once for all the requests that it will decide about.
func (g *Guard) Route(opts ...Option) *Route {
	rt := &Route{guard: g, policy: closed}
	for _, o := range opts {
		o(rt)
	}
	return rt
}

// policy is how revocation is decided. The names are labels of metrics.
type policy string

const (
	closed  policy = "closed"
	stale   policy = "stale"
	inquire policy = "online"
)

// ErrInsufficientScope refuses a good token that lacks a scope or a role.
var ErrInsufficientScope = errors.New("insufficient scope")

// examine returns the claims of a token that may pass, unless err says why there is none. degraded tells that it passes
// by a copy of the revocations that is older than the guard's MaxStaleness.
func (rt *Route) examine(ctx context.Context, cred credential, err error) (c *token.Claims, degraded bool, _ error) {
	if err != nil {
		return nil, false, err
	}
	s := rt.guard.sources.Load()
	if s == nil {
		return nil, false, errNotFoundYet
	}
	c, degraded, err = rt.verify(ctx, s, cred)
	if err == nil {
		err = rt.settle(ctx, cred)
	}
	if err == nil {
		err = rt.allow(ctx, c)
	}
	if err != nil {
		return nil, false, err
	}
	return c, degraded, nil
}

// allow compares good claims with what the route requires. What no further login could give comes first.
func (rt *Route) allow(ctx context.Context, c *token.Claims) error {
	for _, want := range rt.scopes {
		if !hasScope(c.Scope, want) {
			return fmt.Errorf("%w: scope %q is missing", ErrInsufficientScope, want)
		}
	}
	for _, want := range rt.roles {
		if !slices.Contains(c.Roles, want) {
			return fmt.Errorf("%w: role %q is missing", ErrInsufficientScope, want)
		}
	}
	if err := rt.stepUp.check(c, rt.guard.opts.Now, rt.guard.opts.Leeway); err != nil {
		return err
	}
	return rt.runChecks(ctx, c)
}

func (rt *Route) verify(ctx context.Context, s *sources, cred credential) (c *token.Claims, degraded bool, err error) {
	switch {
	case rt.policy == stale && rt.staleness < rt.guard.opts.MaxStaleness:
		c, err = cred.verify(ctx, s.verifier, s.revocations.Within(rt.staleness))
	case rt.policy == stale:
		// The fresh copy first, so that degraded tells the truth.
		if c, err = cred.verify(ctx, s.verifier, s.revocations); errors.Is(err, revocation.ErrUnavailable) {
			c, err = cred.verify(ctx, s.verifier, s.revocations.Within(rt.staleness))
			degraded = err == nil
		}
	case rt.policy == inquire && s.online != nil:
		c, err = s.online.verify(ctx, cred)
	default:
		c, err = cred.verify(ctx, s.verifier, s.revocations)
	}
	return c, degraded, err
}

func isRevoked(err error) bool { return errors.Is(err, revocation.ErrRevoked) }

// hasScope looks for one name in a space-separated list.
func hasScope(list, want string) bool {
	for name := range strings.SplitSeq(list, " ") {
		if name == want {
			return true
		}
	}
	return false
}
