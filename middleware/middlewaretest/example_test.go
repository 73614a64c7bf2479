package middlewaretest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// A test of a service: it is given the issuer's guard, and requests with the issuer's tokens.
func ExampleIssuer() {
	issuer := middlewaretest.NewOffline("orders")
	service := newService(issuer.Guard(middleware.Options{}))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Mint(token.Claims{Subject: "alice"}))
	w := httptest.NewRecorder()
	service.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello, alice
}

// newService is what is tested: a handler that is given its guard.
func newService(guard *middleware.Guard) http.Handler {
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := middleware.ClaimsFrom(r.Context())
		fmt.Fprintf(w, "hello, %s", claims.Subject)
	}))
}

// Tokens carry whatever a service asks for.
func ExampleIssuer_Mint() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})

	raw := issuer.Mint(token.Claims{
		Subject: "alice", Scope: "orders:read", Roles: []string{"clerk"},
		ACR: "gold", AuthTime: time.Now().Add(-time.Hour), // she logged in an hour ago
		Custom: map[string]json.RawMessage{"tenant": json.RawMessage(`"acme"`)},
	})
	claims, err := guard.Verify(ctx, raw, middleware.Roles("clerk"), middleware.ACR("gold"))
	fmt.Println(string(claims.Custom["tenant"]), err)

	_, err = guard.Verify(ctx, raw, middleware.MaxAge(10*time.Minute))
	fmt.Println(err)
	_, err = guard.Verify(ctx, issuer.MintExpired(token.Claims{}))
	fmt.Println(err)
	// Output:
	// "acme" <nil>
	// insufficient user authentication: the login is older than 10m0s
	// invalid token: expired
}

// The user logs out, or is thrown out, while the test runs.
func ExampleIssuer_Logout() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	laptop, phone := issuer.Mint(token.Claims{Subject: "alice"}), issuer.Mint(token.Claims{Subject: "alice"})

	issuer.Logout(laptop)
	_, err1 := guard.Verify(ctx, laptop)
	_, err2 := guard.Verify(ctx, phone)
	fmt.Println(middleware.OutcomeOf(err1), middleware.OutcomeOf(err2))

	issuer.Revoke(revocation.Subject, "alice") // everywhere
	_, err2 = guard.Verify(ctx, phone)
	_, err3 := guard.Verify(ctx, issuer.Mint(token.Claims{Subject: "alice"})) // she logs in again
	fmt.Println(middleware.OutcomeOf(err2), middleware.OutcomeOf(err3))
	// Output:
	// revoked accepted
	// revoked accepted
}

// The issuer cannot be reached, and each route does as it says.
func ExampleIssuer_Outage() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	raw := issuer.Mint(token.Claims{})

	issuer.Outage(time.Minute) // for so long nothing was heard of revocations
	_, err1 := guard.Verify(ctx, raw)
	_, err2 := guard.Verify(ctx, raw, middleware.Stale(time.Hour))
	fmt.Println(middleware.OutcomeOf(err1), middleware.OutcomeOf(err2))

	issuer.Outage(0)
	_, err1 = guard.Verify(ctx, raw)
	fmt.Println(middleware.OutcomeOf(err1))
	// Output:
	// unavailable accepted
	// accepted
}
