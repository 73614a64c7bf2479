package middlewaretest

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/revocation/httpfeed"
)

// handler serves what a guard asks an authd for. Streams end with ctx.
func (i *Issuer) handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]string{
			"issuer": i.URL, "jwks_uri": i.URL + "/.well-known/jwks.json", "revocation_feed_uri": i.URL + "/v1/revocations",
			"introspection_endpoint": i.URL + "/oauth2/introspect",
		})
	})
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, r *http.Request) {
		var set []map[string]string
		for _, k := range i.ring.all() {
			set = append(set, jwk(k.kid, &k.signer.PublicKey))
		}
		w.Header().Set("Cache-Control", "max-age=1")
		answer(w, map[string]any{"keys": set})
	})
	mux.Handle("GET /v1/revocations", httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: i.mirror, Context: ctx}))
	mux.Handle("GET /v1/verify", i.verify())
	mux.Handle("POST /oauth2/introspect", i.introspect())
	return mux
}

// verify answers a service that asks about the token of its request.
func (i *Issuer) verify() http.Handler {
	guard := i.Guard(middleware.Options{})
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := middleware.ClaimsFrom(r.Context())
		w.Header().Set("X-Auth-Subject", claims.Subject)
		w.Header().Set("X-Auth-Session", claims.SessionID)
		w.Header().Set("X-Auth-Scope", claims.Scope)
	}))
}

// introspect answers whether the token of a form is good (RFC 7662), to clients with whatever credentials.
func (i *Issuer) introspect() http.Handler {
	guard := i.Guard(middleware.Options{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="introspection"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		active := false
		asked := r.Clone(r.Context())
		asked.Header.Set("Authorization", "Bearer "+r.PostFormValue("token"))
		verdict := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { active = true }))
		verdict.ServeHTTP(httptest.NewRecorder(), asked)
		answer(w, map[string]bool{"active": active})
	})
}

func jwk(kid string, public *ecdsa.PublicKey) map[string]string {
	point, err := public.Bytes() // 0x04, x, y
	if err != nil {
		panic(fmt.Errorf("middlewaretest: %w", err))
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]string{
		"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:]), "kid": kid, "alg": "ES256", "use": "sig",
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // an error means that the client is gone
}
