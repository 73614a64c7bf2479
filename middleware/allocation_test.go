package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/token"
)

type deaf struct{}

func (deaf) Decided(context.Context, middleware.Decision) {}

// For a token seen before, deciding allocates nothing, whatever the route requires, and neither do the hooks for metrics.
// A handler takes what net/http needs to hand on the claims: a context and a request with it.
func TestAllocations(t *testing.T) {
	issuer := newIssuer(t)
	raw := issuer.Mint(token.Claims{Scope: "orders:read", Roles: []string{"clerk"}, ACR: "gold"})
	for name, opts := range map[string]middleware.Options{"unobserved": {}, "observed": {Observer: deaf{}}} {
		guard := newGuard(t, issuer.URL, opts) // with a mirror, as services have it
		for kind, required := range map[string][]middleware.Option{
			"plain": nil,
			"all": {
				middleware.Scopes("orders:read"), middleware.Roles("clerk"), middleware.ACR("gold"), middleware.MaxAge(time.Hour),
				middleware.Check(func(context.Context, *token.Claims) error { return nil }),
			},
		} {
			route := guard.Route(required...)
			if n := testing.AllocsPerRun(100, func() {
				if _, err := route.Verify(t.Context(), raw); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s, %s: deciding allocates %v times", name, kind, n)
			}
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		h := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), middleware.Scopes("orders:read"))
		w := httptest.NewRecorder()
		if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 2 || w.Code != http.StatusOK {
			t.Errorf("%s: a handler allocates %v times, answering %d", name, n, w.Code)
		}
	}
}
