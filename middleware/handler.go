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
	rt := g.Route(opts...)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rt.Serve(r.Context(), w, r, func(r *http.Request) { next.ServeHTTP(w, r) })
		})
	}
}

// Serve answers a request that is refused, and hands others on to next, with a context in which [ClaimsFrom] finds the
// claims: for routers with handlers of their own kind. Checks and the [Observer] are given ctx, which is the request's or
// one made from it.
func (rt *Route) Serve(ctx context.Context, w http.ResponseWriter, r *http.Request, next func(*http.Request)) {
	claims, err := rt.Authorize(ctx, r)
	if rt.guard.opts.DPoP.Nonces != nil {
		rt.guard.addNonce(ctx, w.Header())
	}
	if err != nil {
		rt.Refuse(w, err)
		return
	}
	admitted, done := rt.Admit(r.Context(), claims)
	defer done()
	next(r.WithContext(admitted))
}

// Verify decides about a token that came otherwise than in a request's header: with a message, or from standard input.
// The options are those of a route; for many tokens make the [Route] once. The errors are those of package token, or
// [ErrInsufficientScope], [ErrInsufficientAuthentication] or [ErrForbidden].
func (g *Guard) Verify(ctx context.Context, raw string, opts ...Option) (*token.Claims, error) {
	return g.Route(opts...).Verify(ctx, raw)
}

// Authorize decides about an HTTP request by its Authorization header, and its DPoP header where the token is bound; what
// follows is for the caller to do ([Route.Refuse], [Route.Admit]). ctx is that of [Route.Serve].
func (rt *Route) Authorize(ctx context.Context, r *http.Request) (*token.Claims, error) {
	if len(rt.checks) > 0 {
		ctx = context.WithValue(ctx, requestKey{}, r)
	}
	values := r.Header["Authorization"]
	if raw, ok := dpopToken(values); ok {
		return rt.authorizeProved(ctx, r, raw)
	}
	return rt.AuthorizeHeader(ctx, values)
}

// AuthorizeHeader decides by the values of an Authorization header that came otherwise than with an HTTP request, as gRPC
// metadata for instance. It takes bearer tokens only, since a proof of DPoP is about an HTTP request.
func (rt *Route) AuthorizeHeader(ctx context.Context, values []string) (*token.Claims, error) {
	raw, err := bearer(values)
	return rt.decide(ctx, credential{raw: raw}, err)
}

// Verify decides about a token, as [Guard.Verify] does.
func (rt *Route) Verify(ctx context.Context, raw string) (*token.Claims, error) {
	return rt.decide(ctx, credential{raw: raw}, nil)
}

// decide decides about a credential, or refuses for err, and tells the observer.
func (rt *Route) decide(ctx context.Context, cred credential, err error) (*token.Claims, error) {
	o, now := rt.guard.opts.Observer, rt.guard.opts.Now
	if o == nil {
		c, _, err := rt.examine(ctx, cred, err)
		return c, err
	}
	began := now()
	c, degraded, err := rt.examine(ctx, cred, err)
	o.Decided(ctx, Decision{
		Outcome: OutcomeOf(err), Policy: string(rt.policy), Degraded: degraded, Duration: now().Sub(began), Err: err,
	})
	return c, err
}

type claimsKey struct{}

// ClaimsFrom returns the claims of the token that a [Guard] let through; ok is false where there was no guard. They are
// shared with other requests that carry the same token and must not be changed.
func ClaimsFrom(ctx context.Context) (claims *token.Claims, ok bool) {
	claims, ok = ctx.Value(claimsKey{}).(*token.Claims)
	return claims, ok
}

// WithClaims returns a context in which [ClaimsFrom] finds the claims: for what takes the place of Handler, and for tests
// of what lies behind it.
func WithClaims(ctx context.Context, claims *token.Claims) context.Context {
	return context.WithValue(ctx, claimsKey{}, claims)
}

// bearer returns the token of the one Authorization header (RFC 6750 section 2.1). Of several headers none is believed,
// since a proxy and we might choose differently. Tokens in forms and queries are not looked for: URLs are logged.
func bearer(values []string) (string, error) {
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
