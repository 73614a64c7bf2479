package middleware

import (
	"context"
	"net/http"
	"strings"

	"github.com/authd-project/authd/token"
)

// Handler lets only requests with a good access token through to next, which finds the claims with [ClaimsFrom].
func (g *Guard) Handler(next http.Handler, opts ...Option) http.Handler {
	return g.Require(opts...)(next)
}

// Require is Handler in the form that routers chain.
func (g *Guard) Require(opts ...Option) func(next http.Handler) http.Handler {
	rt := g.route(opts)
	insufficient := g.insufficientScope(rt)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, degraded, err := g.decide(r, rt)
			if o := g.opts.Observer; o != nil {
				o.Decided(r.Context(), Decision{Outcome: outcomeOf(err), Policy: string(rt.policy), Degraded: degraded, Err: err})
			}
			if err != nil {
				g.refuse(w, err, insufficient)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
		})
	}
}

// Verify decides about a token that came otherwise than in a request's header: with a message, or from standard input.
// The options are those of a route. The errors are those of package token, or say that a scope or role is missing.
func (g *Guard) Verify(ctx context.Context, raw string, opts ...Option) (*token.Claims, error) {
	claims, _, err := g.verify(ctx, raw, g.route(opts))
	return claims, err
}

func (g *Guard) route(opts []Option) *route {
	rt := &route{policy: closed, maxStaleness: g.opts.MaxStaleness}
	for _, o := range opts {
		o(rt)
	}
	return rt
}

func (g *Guard) decide(r *http.Request, rt *route) (*token.Claims, bool, error) {
	raw, err := bearer(r.Header)
	if err != nil {
		return nil, false, err
	}
	return g.verify(r.Context(), raw, rt)
}

func (g *Guard) verify(ctx context.Context, raw string, rt *route) (*token.Claims, bool, error) {
	s := g.sources.Load()
	if s == nil {
		return nil, false, errNotFoundYet
	}
	return rt.decide(ctx, s, raw)
}

type claimsKey struct{}

// ClaimsFrom returns the claims of the token that a [Guard] let through; ok is false where there was no guard. They are
// shared with other requests that carry the same token and must not be changed.
func ClaimsFrom(ctx context.Context) (claims *token.Claims, ok bool) {
	claims, ok = ctx.Value(claimsKey{}).(*token.Claims)
	return claims, ok
}

// bearer returns the token of the one Authorization header (RFC 6750 section 2.1). Of several headers none is believed,
// since a proxy and we might choose differently. Tokens in forms and queries are not looked for: URLs are logged.
func bearer(h http.Header) (string, error) {
	values := h["Authorization"]
	switch {
	case len(values) == 0:
		return "", errNoCredentials
	case len(values) > 1:
		return "", errManyCredentials
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	raw = strings.TrimLeft(raw, " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return "", errNoCredentials // none that concern us
	}
	return raw, nil
}
