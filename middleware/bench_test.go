package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/token"
)

// What a guard costs a handler for a token seen before.
func BenchmarkHandler(b *testing.B) {
	issuer := newIssuer(b)
	guard := issuer.Guard(middleware.Options{})
	h := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), middleware.Scopes("orders:read"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Mint(token.Claims{Scope: "orders:read orders:write"}))
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
	if w.Code != http.StatusOK {
		b.Fatal(w.Code)
	}
}
