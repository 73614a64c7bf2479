package middleware_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// proving is a client with a key and a token that is bound to it.
type proving struct {
	t   *testing.T
	key *dpop.Key
	raw string
}

func newProving(t *testing.T, issuer *middlewaretest.Issuer, c token.Claims) *proving {
	t.Helper()
	key, err := dpop.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	c.KeyThumbprint = key.Thumbprint()
	return &proving{t: t, key: key, raw: issuer.Mint(c)}
}

const ordersURL = "https://api.example.com/orders"

func (p *proving) proof(change ...func(*dpop.Statement)) string {
	p.t.Helper()
	s := dpop.Statement{Method: "GET", URL: ordersURL, AccessToken: p.raw}
	for _, f := range change {
		f(&s)
	}
	proof, err := p.key.Prove(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return proof
}

// askProved sends a request to a handler behind guard: with an Authorization header and any number of proofs.
func askProved(guard *middleware.Guard, opts []middleware.Option, authorization string, proofs ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/orders?page=2", nil)
	r.Host = "service.internal"
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	r.Header["Dpop"] = proofs
	w := httptest.NewRecorder()
	guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := middleware.ClaimsFrom(r.Context())
		fmt.Fprint(w, claims.Subject)
	}), opts...).ServeHTTP(w, r)
	return w
}

func code(w *httptest.ResponseRecorder) string {
	var p struct{ Code string }
	_ = json.Unmarshal(w.Body.Bytes(), &p)
	return fmt.Sprint(w.Code, " ", p.Code)
}

func TestBoundTokensInHandlers(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	guard := issuer.Guard(middleware.Options{DPoP: middleware.DPoPOptions{URL: "https://api.example.com/"}})
	p, thief := newProving(t, issuer, token.Claims{}), newProving(t, issuer, token.Claims{})
	bearer := issuer.Mint(token.Claims{})
	used := p.proof()
	if w := askProved(guard, nil, "DPoP "+p.raw, used); w.Code != http.StatusOK || w.Body.String() != "alice" {
		t.Fatalf("with a proof: %d %s", w.Code, w.Body)
	}
	if w := askProved(guard, []middleware.Option{middleware.Bound()}, "dpop "+p.raw, p.proof()); w.Code != http.StatusOK {
		t.Errorf("with a proof, where there must be one: %d %s", w.Code, w.Body)
	}
	old := func(s *dpop.Statement) { s.IssuedAt = time.Now().Add(-time.Hour) }
	for _, c := range []struct {
		name, authorization string
		proofs              []string
		code, scheme        string
	}{
		{"replayed", "DPoP " + p.raw, []string{used}, "401 invalid_dpop_proof", "DPoP"},
		{"no proof", "DPoP " + p.raw, nil, "401 invalid_dpop_proof", "DPoP"},
		{"two proofs", "DPoP " + p.raw, []string{p.proof(), p.proof()}, "401 invalid_dpop_proof", "DPoP"},
		{"garbage", "DPoP " + p.raw, []string{"a.b.c"}, "401 invalid_dpop_proof", "DPoP"},
		{"another method", "DPoP " + p.raw, []string{p.proof(func(s *dpop.Statement) { s.Method = "POST" })}, "401 invalid_dpop_proof", "DPoP"},
		{"another URL", "DPoP " + p.raw, []string{p.proof(func(s *dpop.Statement) { s.URL += "/1" })}, "401 invalid_dpop_proof", "DPoP"},
		{"the host behind the proxy", "DPoP " + p.raw, []string{p.proof(func(s *dpop.Statement) { s.URL = "http://service.internal/orders" })}, "401 invalid_dpop_proof", "DPoP"},
		{"another token's hash", "DPoP " + p.raw, []string{p.proof(func(s *dpop.Statement) { s.AccessToken = bearer })}, "401 invalid_dpop_proof", "DPoP"},
		{"no hash", "DPoP " + p.raw, []string{p.proof(func(s *dpop.Statement) { s.AccessToken = "" })}, "401 invalid_dpop_proof", "DPoP"},
		{"old", "DPoP " + p.raw, []string{p.proof(old)}, "401 invalid_dpop_proof", "DPoP"},
		{"stolen, with the thief's key", "DPoP " + p.raw, []string{thief.proof(func(s *dpop.Statement) { s.AccessToken = p.raw })}, "401 invalid_token", "DPoP"},
		{"stolen, as a bearer token", "Bearer " + p.raw, nil, "401 invalid_token", "Bearer"},
		{"as a bearer token with a proof", "Bearer " + p.raw, []string{p.proof()}, "401 invalid_token", "Bearer"},
		{"a bearer token with a proof", "DPoP " + bearer, []string{p.proof(func(s *dpop.Statement) { s.AccessToken = bearer })}, "401 invalid_token", "DPoP"},
		{"forged", "DPoP " + p.raw[:len(p.raw)-20] + strings.Repeat("A", 20), []string{p.proof(func(s *dpop.Statement) {
			s.AccessToken = p.raw[:len(p.raw)-20] + strings.Repeat("A", 20)
		})}, "401 invalid_token", "DPoP"},
		{"nothing", "", nil, "401 ", "Bearer"},
	} {
		w := askProved(guard, nil, c.authorization, c.proofs...)
		challenge := w.Header().Get("WWW-Authenticate")
		if code(w) != c.code || !strings.HasPrefix(challenge, c.scheme+" realm=") {
			t.Errorf("%s: %s, %s", c.name, code(w), challenge)
		}
		if c.scheme == "DPoP" && !strings.HasSuffix(challenge, `, algs="ES256 EdDSA Ed25519 RS256"`) {
			t.Errorf("%s: %s", c.name, challenge)
		}
	}
	if w := askProved(guard, nil, "Bearer "+p.raw); !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_token"`) ||
		!strings.Contains(w.Header().Get("WWW-Authenticate"), `, DPoP realm="orders", algs="`) {
		t.Errorf("a bound token as a bearer token: %s", w.Header())
	}
	for name, authorization := range map[string]string{"a bearer token": "Bearer " + bearer, "nothing": ""} {
		w := askProved(guard, []middleware.Option{middleware.Bound()}, authorization)
		if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "DPoP realm=") {
			t.Errorf("%s where it must be bound: %d, %s", name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	if w := askProved(guard, nil, "Bearer "+bearer); w.Code != http.StatusOK {
		t.Errorf("a bearer token: %d", w.Code)
	}
}

// What a route wants beside holds for bound tokens too, and so do revocations and outages.
func TestBoundTokensOnEveryPolicy(t *testing.T) {
	for name, policy := range map[string]middleware.Option{
		"closed": middleware.Closed(), "stale": middleware.Stale(time.Hour), "strict": middleware.Stale(time.Second), "online": middleware.Online(),
	} {
		issuer := middlewaretest.NewIssuer("orders")
		guard := issuer.Guard(middleware.Options{DPoP: middleware.DPoPOptions{URL: "https://api.example.com"}})
		p := newProving(t, issuer, token.Claims{SessionID: "s1", Scope: "read"})
		for want, opts := range map[string][]middleware.Option{
			"200 ": {policy, middleware.Scopes("read")}, "403 insufficient_scope": {policy, middleware.Scopes("write")},
		} {
			if w := askProved(guard, opts, "DPoP "+p.raw, p.proof()); code(w) != want {
				t.Errorf("%s: %s, want %s", name, code(w), want)
			}
		}
		issuer.Revoke(revocation.Session, "s1")
		if w := askProved(guard, []middleware.Option{policy}, "DPoP "+p.raw, p.proof()); code(w) != "401 invalid_token" {
			t.Errorf("%s: revoked: %s", name, code(w))
		}
		issuer.Close()
	}
}

// Without the address of the service a proof must name the host that the request names.
func TestProofsOfTheRequestsOwnHost(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	p := newProving(t, issuer, token.Claims{})
	mux := http.NewServeMux()
	mux.Handle("/orders/", http.StripPrefix("/orders", issuer.Guard(middleware.Options{}).Handler(http.NotFoundHandler())))
	server := httptest.NewServer(mux)
	defer server.Close()
	for url, want := range map[string]int{server.URL + "/orders/1": http.StatusNotFound, server.URL + "/1": http.StatusUnauthorized, ordersURL: http.StatusUnauthorized} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/orders/1?x=y", nil)
		r.Header.Set("Authorization", "DPoP "+p.raw)
		r.Header.Set("DPoP", p.proof(func(s *dpop.Statement) { s.URL = url }))
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", url, resp.StatusCode, want)
		}
	}
}

func TestDPoPNonces(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	guard := issuer.Guard(middleware.Options{DPoP: middleware.DPoPOptions{
		URL: "https://api.example.com", Nonces: dpop.NewNonces(dpop.OwnNonceKey(), 0),
	}})
	p := newProving(t, issuer, token.Claims{})
	w := askProved(guard, nil, "DPoP "+p.raw, p.proof())
	nonce := w.Header().Get("DPoP-Nonce")
	if code(w) != "401 use_dpop_nonce" || nonce == "" || !strings.Contains(w.Header().Get("WWW-Authenticate"), `DPoP realm="orders", error="use_dpop_nonce"`) {
		t.Fatalf("without a nonce: %s, %v", code(w), w.Header())
	}
	w = askProved(guard, nil, "DPoP "+p.raw, p.proof(func(s *dpop.Statement) { s.Nonce = nonce }))
	if w.Code != http.StatusOK || w.Header().Get("DPoP-Nonce") == "" {
		t.Errorf("with the nonce: %s, %v", code(w), w.Header())
	}
}

// Proofs fill the memory of used ones with good tokens only; a full one refuses without a word about the token.
func TestMemoryOfProofs(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	replays := dpop.NewMemory(1, nil) // one proof for each key
	guard := issuer.Guard(middleware.Options{DPoP: middleware.DPoPOptions{URL: "https://api.example.com", Replays: replays}})
	p := newProving(t, issuer, token.Claims{})
	expired := issuer.MintAt(time.Now().Add(-time.Hour), token.Claims{KeyThumbprint: p.key.Thumbprint()})
	for range 3 {
		w := askProved(guard, nil, "DPoP "+expired, p.proof(func(s *dpop.Statement) { s.AccessToken = expired }))
		if code(w) != "401 invalid_token" {
			t.Fatalf("an expired token: %s", code(w))
		}
	}
	for _, want := range []string{"200 ", "503 temporarily_unavailable"} {
		if w := askProved(guard, nil, "DPoP "+p.raw, p.proof()); code(w) != want {
			t.Errorf("%s, want %s", code(w), want)
		}
	}
}

func TestDPoPSettings(t *testing.T) {
	for what, o := range map[string]middleware.DPoPOptions{
		"relative": {URL: "/orders"}, "query": {URL: "https://api.example.com/?a"}, "user": {URL: "https://a@api.example.com"}, "age": {MaxAge: -1},
	} {
		_, err := middleware.New(t.Context(), "http://127.0.0.1:1", middleware.Options{Audience: "orders", Lazy: true, DPoP: o})
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
