package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
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

// Step-up: a route that wants a login that is recent and strong, and tells clients so (RFC 9470).
func ExampleMaxAge() {
	issuer := middlewaretest.NewOffline("bank")
	guard := issuer.Guard(middleware.Options{})
	pay := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "paid") }

	strong := guard.Require(middleware.MaxAge(10*time.Minute), middleware.ACR("mfa"))
	mux := http.NewServeMux()
	mux.Handle("POST /payments", strong(http.HandlerFunc(pay)))

	for _, login := range []token.Claims{
		{ACR: "mfa", AuthTime: time.Now().Add(-time.Minute)},
		{ACR: "mfa", AuthTime: time.Now().Add(-time.Hour)},
	} {
		r := httptest.NewRequest(http.MethodPost, "/payments", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Mint(login))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
		for part := range strings.SplitSeq(w.Header().Get("WWW-Authenticate"), ", ") {
			fmt.Println(part)
		}
	}
	// Output:
	// 200 paid
	//
	// 401 {"type":"about:blank","title":"Unauthorized","status":401,"code":"insufficient_user_authentication","detail":"This needs a login that is more recent or of another kind."}
	//
	// Bearer realm="bank"
	// error="insufficient_user_authentication"
	// error_description="This needs a login that is more recent or of another kind."
	// acr_values="mfa"
	// max_age="600"
}

// A rule of the service's own. The same function works for gRPC and messages too, where there is no request.
func ExampleCheck() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })

	sameTenant := middleware.Check(func(ctx context.Context, claims *token.Claims) error {
		r, ok := middleware.RequestFrom(ctx)
		if !ok || string(claims.Custom["tenant"]) != strconv.Quote(r.PathValue("tenant")) {
			return errors.New("another tenant's")
		}
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("GET /{tenant}/orders", guard.Handler(ok, sameTenant))

	raw := issuer.Mint(token.Claims{Custom: map[string]json.RawMessage{"tenant": json.RawMessage(`"acme"`)}})
	fmt.Println(get(mux, "/acme/orders", raw))
	fmt.Println(get(mux, "/globex/orders", raw))
	// Output:
	// 200 ok
	// 403 {"type":"about:blank","title":"Forbidden","status":403,"code":"access_denied","detail":"This request is not allowed."}
}

// A message that carries the token of who sent it.
func ExampleGuard_Verify() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	ctx := context.Background()
	messages := []string{issuer.Mint(token.Claims{Subject: "alice", Scope: "orders:write"}), issuer.Mint(token.Claims{})}

	route := guard.Route(middleware.Scopes("orders:write")) // once
	for _, raw := range messages {
		claims, err := route.Verify(ctx, raw)
		if errors.Is(err, token.ErrUnavailable) {
			continue // it cannot be told: keep the message and ask again later
		}
		fmt.Println(claims != nil, err)
	}
	// Output:
	// true <nil>
	// false insufficient scope: scope "orders:write" is missing
}
