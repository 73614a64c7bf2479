// Package echomw guards the routes of an echo server, as package middleware does those of net/http:
//
//	e.GET("/orders", listOrders, echomw.Require(guard, middleware.Scopes("orders:read")))
//	claims, _ := echomw.Claims(c) // in listOrders
//
// Decisions, options and answers are those of [middleware.Guard.Require], to the byte. Refusals are written here and do
// not pass echo's HTTPErrorHandler.
//
// There is no skipper: whether a route is guarded should be seen where the route is declared, and not depend on how a
// pattern over paths reads a path. Leave the middleware off public routes, or put the guarded ones into a group.
package echomw

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/token"
)

// Require lets only requests with a good access token through, which the options of a route describe.
func Require(guard *middleware.Guard, opts ...middleware.Option) echo.MiddlewareFunc {
	route := guard.Route(opts...)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			ctx := context.WithValue(r.Context(), contextKey{}, c)
			var err error
			route.Serve(ctx, c.Response(), r, func(r *http.Request) {
				c.SetRequest(r)
				err = next(c)
			})
			return err
		}
	}
}

// Claims returns the claims of the token that Require let through; ok is false where there was no guard. They must not be
// changed. [middleware.ClaimsFrom] finds them too, in the context of the request.
func Claims(c echo.Context) (claims *token.Claims, ok bool) {
	return middleware.ClaimsFrom(c.Request().Context())
}

type contextKey struct{}

// ContextFrom returns the echo.Context of the request that a [middleware.Check] is asked about, for the parameters of its
// path for instance. It is good until the check returns; ok is false where it is not echo that asks.
func ContextFrom(ctx context.Context) (c echo.Context, ok bool) {
	c, ok = ctx.Value(contextKey{}).(echo.Context)
	return c, ok
}
