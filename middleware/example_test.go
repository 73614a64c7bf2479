package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

func Example() {
	issuer := middlewaretest.NewIssuer("orders") // stands in for an authd
	defer issuer.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	guard, err := middleware.New(ctx, issuer.URL, middleware.Options{Audience: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := middleware.ClaimsFrom(r.Context())
		fmt.Fprintf(w, "orders of %s", claims.Subject)
	})))

	raw := issuer.Mint(token.Claims{Subject: "alice", SessionID: "a-session"})
	fmt.Println(get(mux, "/orders", raw))

	issuer.Revoke(revocation.Session, "a-session") // alice logs out
	for get(mux, "/orders", raw) == "200 orders of alice" {
		time.Sleep(time.Millisecond) // the revocation is on its way to this service
	}
	fmt.Println(get(mux, "/orders", raw))
	// Output:
	// 200 orders of alice
	// 401 {"type":"about:blank","title":"Unauthorized","status":401,"code":"invalid_token","detail":"The access token was revoked."}
}

// get returns status and body of an answer.
func get(h http.Handler, path, raw string) string {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if raw != "" {
		r.Header.Set("Authorization", "Bearer "+raw)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprintf("%d %s", w.Code, strings.TrimSpace(w.Body.String()))
}

// Each route chooses what a token must allow, and what happens while the issuer cannot be reached.
func ExampleGuard_Require() {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	guard := issuer.Guard(middleware.Options{})

	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })
	write := guard.Require(middleware.Scopes("orders:write")) // Closed, the default
	read := guard.Require(middleware.Stale(time.Hour))
	mux := http.NewServeMux()
	mux.Handle("/write", write(ok))
	mux.Handle("/read", read(ok))

	reader := issuer.Mint(token.Claims{Scope: "orders:read"})
	writer := issuer.Mint(token.Claims{Scope: "orders:read orders:write"})
	fmt.Println(get(mux, "/write", reader)[:3], get(mux, "/write", writer)[:3])

	issuer.Outage(time.Minute) // nothing was heard of revocations for a minute
	fmt.Println(get(mux, "/read", reader)[:3], get(mux, "/write", writer)[:3])
	// Output:
	// 403 200
	// 200 503
}
