package echomw_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/echomw"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/token"
)

func Example() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{}) // a service calls middleware.New

	e := echo.New()
	orders := e.Group("/orders", echomw.Require(guard, middleware.Scopes("orders:read")))
	orders.GET("", func(c echo.Context) error {
		claims, _ := echomw.Claims(c)
		return c.String(http.StatusOK, "orders of "+claims.Subject)
	})

	fmt.Println(ask(e, "/orders", issuer.Mint(token.Claims{Subject: "alice", Scope: "orders:read"})))
	fmt.Println(ask(e, "/orders", issuer.Mint(token.Claims{Subject: "alice"})))
	// Output:
	// 200 orders of alice
	// 403 {"type":"about:blank","title":"Forbidden","status":403,"code":"insufficient_scope","detail":"The access token does not allow this."}
}

// A check by a parameter of the path.
func ExampleContextFrom() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})

	own := middleware.Check(func(ctx context.Context, claims *token.Claims) error {
		if c, ok := echomw.ContextFrom(ctx); !ok || c.Param("name") != claims.Subject {
			return errors.New("another user's")
		}
		return nil
	})
	e := echo.New()
	e.GET("/users/:name", func(c echo.Context) error { return c.String(http.StatusOK, "hello") }, echomw.Require(guard, own))

	alice := issuer.Mint(token.Claims{Subject: "alice"})
	fmt.Println(ask(e, "/users/alice", alice)[:3], ask(e, "/users/bob", alice)[:3])
	// Output: 200 403
}

func ask(h http.Handler, path, raw string) string {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprint(w.Code, " ", w.Body)
}
