package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/authd-project/authd/token"
)

// ErrForbidden refuses a good token because a [Check] did; it is wrapped around the check's own error.
var ErrForbidden = errors.New("forbidden")

// CheckFunc says whether the bearer of these claims may pass. An error refuses: 403, or 503 when it wraps
// [token.ErrUnavailable] or is a timeout or the end of ctx. Its text goes to the [Observer] and not to the client, so it
// must hold no secret. It may be called concurrently, and must not change the claims.
//
// A panic is answered 503, and logged by its type and place.
type CheckFunc func(ctx context.Context, c *token.Claims) error

// Check requires that f returns nil. It is asked about every request, last, when all else has been found good. The same
// check serves every transport: ctx is that of the request, and brings what only one transport has ([RequestFrom]). Of
// several all must agree; they are asked in order.
func Check(f CheckFunc) Option {
	return func(rt *Route) { rt.checks = append(rt.checks, f) }
}

type requestKey struct{}

// RequestFrom returns the HTTP request that a [Check] is asked about; ok is false where the token came in another way.
func RequestFrom(ctx context.Context) (r *http.Request, ok bool) {
	r, ok = ctx.Value(requestKey{}).(*http.Request)
	return r, ok
}

// runChecks asks the route's checks, and puts their answer in terms that have an answer.
func (rt *Route) runChecks(ctx context.Context, c *token.Claims) error {
	for _, f := range rt.checks {
		err := guarded(ctx, rt.guard.opts.Log, f, c)
		switch {
		case err == nil:
		case undecided(err):
			return fmt.Errorf("%w: check: %w", token.ErrUnavailable, err)
		default:
			return fmt.Errorf("%w: %w", ErrForbidden, err)
		}
	}
	return nil
}

// guarded calls f. Where no HTTP server would catch it, a panic would end more than one request.
func guarded(ctx context.Context, log *slog.Logger, f CheckFunc, c *token.Claims) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares the value too
			panic(v)
		}
		what := fmt.Sprintf("%T", v) // the value itself may be anything, a secret too
		if fault, ok := v.(runtime.Error); ok {
			what = fault.Error()
		}
		log.ErrorContext(ctx, "a check panicked", "panic", what, "stack", string(debug.Stack()))
		err = fmt.Errorf("%w: panic: %s", token.ErrUnavailable, what)
	}()
	return f(ctx, c)
}

// undecided tells a check that could not find out from one that refuses.
func undecided(err error) bool {
	if errors.Is(err, token.ErrUnavailable) || errors.Is(err, context.Canceled) {
		return true
	}
	late, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && late.Timeout()
}
