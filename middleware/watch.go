package middleware

import (
	"context"
	"errors"
	"fmt"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// WhileValid ends the request's context when its token is revoked or expires while the handler runs: for server-sent
// events, websockets and whatever else goes on for longer than a moment. [Guard.Watch] says when and how. The handler
// must return when its context ends; a hijacked connection is served before it returns.
func WhileValid() Option { return func(rt *Route) { rt.whileValid = true } }

// Admit returns the context for what follows upon a good token: [ClaimsFrom] finds the claims in it, and with [WhileValid]
// it ends when the token would be refused. The caller calls done when that is over.
func (rt *Route) Admit(ctx context.Context, c *token.Claims) (admitted context.Context, done context.CancelFunc) {
	ctx = WithClaims(ctx, c)
	if !rt.whileValid {
		return ctx, func() {}
	}
	return rt.Watch(ctx, c)
}

// Watch returns a context that ends with ctx, or else as soon as the token with these claims would be refused:
//
//   - It is revoked, on whatever axis: within milliseconds of the moment when the guard would refuse it.
//   - It expires, leeway included. Whoever is to go on comes back with a new token.
//   - The guard cannot tell any more, as its copy of the revocations has become older than the route bears: MaxStaleness, or
//     what [Stale] allows. With [Online] it is MaxStaleness too: nobody is asked while a stream goes on. Nor can it tell
//     once it has been closed.
//
// [context.Cause] then wraps [token.ErrRevoked], [token.ErrExpired] or [token.ErrUnavailable]. The context has ended when
// Watch returns, if that is so already.
//
// The caller calls cancel when it is done. No goroutine is started, and 100,000 contexts cost what one does when somebody
// else is revoked. Options other than the policy for outages do not count.
//
// A guard with Options.Revocations needs such as can be watched, like [revocation.Mirror]; otherwise the context ends at
// once, as unavailable.
func (g *Guard) Watch(ctx context.Context, c *token.Claims, opts ...Option) (watched context.Context, cancel context.CancelFunc) {
	return g.Route(opts...).Watch(ctx, c)
}

// watchable are Revocations that tell when a token is revoked that is in use.
type watchable interface {
	Watch(w revocation.Watch) (stop func() bool)
}

var errUnwatchable = fmt.Errorf("%w: Options.Revocations cannot be watched", token.ErrUnavailable)

// Watch is [Guard.Watch] with the route's policy for outages.
func (rt *Route) Watch(ctx context.Context, c *token.Claims) (watched context.Context, cancel context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	s := rt.guard.sources.Load()
	if s == nil {
		end(errNotFoundYet)
		return ctx, func() {}
	}
	revocations, ok := s.revocations.(watchable)
	if !ok {
		end(errUnwatchable)
		return ctx, func() {}
	}
	w := revocation.Watch{
		Claims:  c.RevocationClaims(),
		Expires: c.ExpiresAt.Add(rt.guard.opts.Leeway).Unix(),
		Ended:   func(err error) { end(refusal(err)) },
	}
	if rt.policy == stale {
		w.MaxAge = max(rt.staleness, 1) // zero would mean another bound
	}
	stop := revocations.Watch(w)
	return ctx, func() {
		stop()
		end(nil)
	}
}

// refusal puts the end of a watch in the terms of package token.
func refusal(err error) error {
	switch {
	case errors.Is(err, revocation.ErrRevoked):
		return fmt.Errorf("%w: %w", token.ErrRevoked, err)
	case errors.Is(err, revocation.ErrExpired):
		return token.ErrExpired
	}
	return fmt.Errorf("%w: %w", token.ErrUnavailable, err)
}
