package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/token"
)

// A token that is bound to a key is worth nothing to who has the token alone.
func ExampleBound() {
	issuer := middlewaretest.NewIssuer("orders") // stands in for an authd
	defer issuer.Close()
	ctx, issuerURL, mux := context.Background(), issuer.URL, http.NewServeMux()
	transfers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") })

	guard, err := middleware.New(ctx, issuerURL, middleware.Options{
		Audience: "orders",
		DPoP:     middleware.DPoPOptions{URL: "https://api.example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close()
	mux.Handle("/transfers", guard.Handler(transfers, middleware.Bound())) // no bearer tokens here

	key, err := dpop.GenerateKey() // of the client
	if err != nil {
		fmt.Println(err)
		return
	}
	bound := issuer.Mint(token.Claims{Subject: "alice", KeyThumbprint: key.Thumbprint()})
	proof, err := key.Prove(dpop.Statement{Method: "GET", URL: "https://api.example.com/transfers", AccessToken: bound})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, headers := range []http.Header{
		{"Authorization": {"DPoP " + bound}, "Dpop": {proof}},
		{"Authorization": {"DPoP " + bound}},
		{"Authorization": {"Bearer " + issuer.Mint(token.Claims{Subject: "alice"})}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/transfers", nil)
		r.Header = headers
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 401
	// 401
}

// A route that wants two factors, of which one was shown not long ago.
func ExampleACR() {
	issuer := middlewaretest.NewOffline("bank")
	guard := issuer.Guard(middleware.Options{})
	transfer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") })

	mux := http.NewServeMux()
	mux.Handle("/transfer", guard.Handler(transfer, middleware.ACR("aal2"), middleware.MaxAge(5*time.Minute)))

	for _, acr := range []string{"aal1", "aal2"} {
		raw := issuer.Mint(token.Claims{ACR: acr, AuthTime: time.Now()})
		fmt.Println(get(mux, "/transfer", raw)[:3])
	}
	// Output:
	// 401
	// 200
}
