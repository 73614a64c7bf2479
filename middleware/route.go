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
type Option func(*route)

// Scopes requires all of these in the token's scope. Lacking ones are answered 403 with an insufficient_scope challenge.
func Scopes(names ...string) Option {
	return func(r *route) { r.scopes = append(r.scopes, names...) }
}

// Roles requires all of these in the token's roles, and is answered like Scopes.
func Roles(names ...string) Option {
	return func(r *route) { r.roles = append(r.roles, names...) }
}

// Closed answers 503 whenever the copy of the revocations is older than MaxStaleness. It is the default.
func Closed() Option { return func(r *route) { r.policy = closed } }

// Stale goes on with a copy of the revocations that is up to maxAge old while no fresher one is to be had: it would
// rather accept a token that was revoked so recently than refuse everybody. A maxAge below MaxStaleness makes the route
// stricter than the others.
func Stale(maxAge time.Duration) Option {
	return func(r *route) { r.policy, r.maxAge = stale, maxAge }
}

// Online asks about every request, the issuer (GET /v1/verify) or Options.Redis, and answers 503 when there is no answer in
// time: a revocation holds from the moment it is acknowledged, at the price of a round trip. The issuer must accept the
// token's audience too. A guard with Options.Revocations asks those.
func Online() Option { return func(r *route) { r.policy = inquire } }

// route is what a guarded handler asks of its requests.
type route struct {
	scopes, roles []string
	policy        policy
	maxAge        time.Duration // for stale
	maxStaleness  time.Duration // the guard's own
}

// policy is how revocation is decided. The names are labels of metrics.
type policy string

const (
	closed  policy = "closed"
	stale   policy = "stale"
	inquire policy = "online"
)

// errInsufficient refuses a good token that does not go far enough here.
var errInsufficient = errors.New("insufficient scope")

// decide returns the claims of a token that may pass. degraded tells that it passes by a copy of the revocations that is
// older than the guard's MaxStaleness.
func (r *route) decide(ctx context.Context, s *sources, raw string) (c *token.Claims, degraded bool, err error) {
	c, degraded, err = r.verify(ctx, s, raw)
	if err != nil {
		return nil, false, err
	}
	for _, want := range r.scopes {
		if !hasScope(c.Scope, want) {
			return nil, false, fmt.Errorf("%w: scope %q is missing", errInsufficient, want)
		}
	}
	for _, want := range r.roles {
		if !slices.Contains(c.Roles, want) {
			return nil, false, fmt.Errorf("%w: role %q is missing", errInsufficient, want)
		}
	}
	return c, degraded, nil
}

func (r *route) verify(ctx context.Context, s *sources, raw string) (c *token.Claims, degraded bool, err error) {
	switch {
	case r.policy == stale && r.maxAge < r.maxStaleness:
		c, err = s.verifier.VerifyWith(ctx, raw, s.revocations.Within(r.maxAge))
	case r.policy == stale:
		// The fresh copy first, so that degraded tells the truth.
		if c, err = s.verifier.Verify(ctx, raw); errors.Is(err, revocation.ErrUnavailable) {
			c, err = s.verifier.VerifyWith(ctx, raw, s.revocations.Within(r.maxAge))
			degraded = err == nil
		}
	case r.policy == inquire && s.online != nil:
		c, err = s.online.verify(ctx, raw)
	default:
		c, err = s.verifier.Verify(ctx, raw)
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
