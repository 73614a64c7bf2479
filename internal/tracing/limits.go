package tracing

import (
	"context"
	"net/netip"

	"go.opentelemetry.io/otel/attribute"

	"github.com/authd-project/authd/ratelimit"
)

// limiter is the part of a rate limit that routes use.
type limiter interface {
	Allow(ctx context.Context, key string, n int) (ratelimit.Decision, error)
	Policy() ratelimit.Policy
}

// Limit returns the rate limit with a span for each decision.
func (t *Tracer) Limit(name string, l limiter) *Limit { return &Limit{l, t, name} }

// Limit is a rate limit whose decisions can be seen in traces.
type Limit struct {
	limiter
	t    *Tracer
	name string
}

// Allow asks the limit; see [ratelimit.Limiter].
func (l *Limit) Allow(ctx context.Context, key string, n int) (ratelimit.Decision, error) {
	ctx, span := l.t.child(ctx, spanLimit, attr(LimitName, l.name))
	d, err := l.limiter.Allow(ctx, key, n)
	if err == nil {
		span.SetAttributes(attribute.Bool(Allowed, d.Allowed))
	}
	end(span, err)
	return d, err
}

// Logins returns the guard of logins with a span for what it is asked and told.
func (t *Tracer) Logins(g *ratelimit.LoginGuard) *Logins { return &Logins{g, t} }

// Logins is a guard of logins that can be seen in traces.
type Logins struct {
	*ratelimit.LoginGuard
	t *Tracer
}

// Before asks the guard; see [ratelimit.LoginGuard].
func (l *Logins) Before(ctx context.Context, account string, address netip.Addr) (*ratelimit.Attempt, error) {
	ctx, span := l.t.child(ctx, spanLoginsBefore)
	a, err := l.LoginGuard.Before(ctx, account, address)
	if err == nil {
		span.SetAttributes(attribute.Bool(Allowed, a.Allowed))
	}
	end(span, err)
	return a, err
}

// Succeeded tells the guard; see [ratelimit.LoginGuard].
func (l *Logins) Succeeded(ctx context.Context, a *ratelimit.Attempt) error {
	ctx, span := l.t.child(ctx, spanLoginsSucceeded)
	err := l.LoginGuard.Succeeded(ctx, a)
	end(span, err)
	return err
}

// Cancelled tells the guard; see [ratelimit.LoginGuard].
func (l *Logins) Cancelled(ctx context.Context, a *ratelimit.Attempt) error {
	ctx, span := l.t.child(ctx, spanLoginsCancelled)
	err := l.LoginGuard.Cancelled(ctx, a)
	end(span, err)
	return err
}
