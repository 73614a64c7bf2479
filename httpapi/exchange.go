package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"
)

// exchange is one request and its answer, as handlers see them, with what the log will say about it.
type exchange struct {
	echo.Context
	route *route // without a path when none was found

	requestID string
	subject   string // of the token or account the request is about, when known
	session   string // likewise
	err       error  // why the request failed; for the log only

	span trace.Span // nil where requests are not traced

	happening *happening // what the audit log will say; nil for what changes nothing
}

// handler answers a request, or returns an error for [site.fail] to answer.
type handler func(x *exchange) error

// ctx is the request's context.
func (x *exchange) ctx() context.Context { return x.Request().Context() }

// header is the answer's.
func (x *exchange) header() http.Header { return x.Response().Header() }

// done answers 204.
func (x *exchange) done() error { return x.NoContent(http.StatusNoContent) }

// limitTime bounds the rest of the request. A request that changes things goes on when its client has gone: half of
// a logout is worse than one whose answer nobody reads.
func (x *exchange) limitTime(d time.Duration, finish bool) context.CancelFunc {
	ctx := x.ctx()
	if finish {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	x.SetRequest(x.Request().WithContext(ctx))
	return cancel
}
