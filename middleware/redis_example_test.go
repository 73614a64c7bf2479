package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/revocation/redisstore"
	"github.com/authd-project/authd/token"
)

// A service that may read authd's Redis needs the issuer for its keys only.
func ExampleRedisSource() {
	var demo demo
	defer demo.end()
	issuer := newRedisIssuer(&demo) // stands in for an authd and its Redis

	ctx, issuerURL, redisURL := demo.Context(), issuer.URL, issuer.redisURL()

	source, err := redisstore.OpenSource(redisURL, redisstore.SourceConfig{}) // redis://verifier:PASSWORD@redis:6379
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	guard, err := middleware.New(ctx, issuerURL, middleware.Options{Audience: "orders", Redis: source})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close()

	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "for your eyes only") })
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Handler(answer))                      // decided from memory
	mux.Handle("GET /salary", guard.Handler(answer, middleware.Online())) // asks Redis

	raw := issuer.Mint(token.Claims{Subject: "alice", SessionID: "a-session"})
	fmt.Println(get(mux, "/orders", raw))
	fmt.Println(get(mux, "/salary", raw))
	issuer.revoke("a-session") // alice logs out, and that is acknowledged
	fmt.Println(get(mux, "/salary", raw))
	// Output:
	// 200 for your eyes only
	// 200 for your eyes only
	// 401 {"type":"about:blank","title":"Unauthorized","status":401,"code":"invalid_token","detail":"The access token was revoked."}
}

// demo lets an example start what tests start.
type demo struct {
	testing.TB
	cleanups []func()
}

func (*demo) Helper()                  {}
func (*demo) Context() context.Context { return context.Background() }
func (d *demo) Cleanup(f func())       { d.cleanups = append(d.cleanups, f) }
func (*demo) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }

func (*demo) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (d *demo) TempDir() string {
	dir, err := os.MkdirTemp("", "authd-example-")
	if err != nil {
		panic(err)
	}
	d.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (d *demo) end() {
	for _, f := range slices.Backward(d.cleanups) {
		f()
	}
}
