package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/httpapi"
)

// prover is a client with a key.
type prover struct {
	*env
	key   *dpop.Key
	nonce string
}

func newProver(e *env) *prover {
	key, err := dpop.GenerateKey()
	must(e.t, err)
	return &prover{env: e, key: key}
}

// proof is one of a request with an access token, "" for none; change makes it another.
func (p *prover) proof(method, path, accessToken string, change ...func(*dpop.Statement)) string {
	p.t.Helper()
	s := dpop.Statement{Method: method, URL: issuerURL + path, AccessToken: accessToken, Nonce: p.nonce}
	for _, f := range change {
		f(&s)
	}
	raw, err := p.key.Prove(s)
	must(p.t, err)
	return raw
}

// post logs in or refreshes.
func (p *prover) post(path string, body any, proofs ...string) answer {
	p.t.Helper()
	return p.do(request{method: "POST", path: path, json: body, header: http.Header{"Dpop": proofs}})
}

var aliceLogin = map[string]any{"username": aliceName, "password": alicePassword}

func (p *prover) loginProved() grant {
	p.t.Helper()
	return decode[grant](p.t, p.post("/v1/login", aliceLogin, p.proof("POST", "/v1/login", "")), http.StatusOK)
}

// call uses an access token with a scheme and any proofs.
func (p *prover) call(method, path, scheme, raw string, proofs ...string) answer {
	p.t.Helper()
	return p.do(request{method: method, path: path, header: http.Header{"Authorization": {scheme + " " + raw}, "Dpop": proofs}})
}

func refreshBody(g grant) any { return map[string]string{"refresh_token": g.RefreshToken} }

func TestBoundSession(t *testing.T) {
	e := newEnv(t)
	p := newProver(e)
	g := p.loginProved()
	if g.TokenType != "DPoP" {
		t.Errorf("token type %q", g.TokenType)
	}
	wantStatus(t, p.call("GET", "/v1/me", "DPoP", g.AccessToken, p.proof("GET", "/v1/me", g.AccessToken)), http.StatusOK)
	next := decode[grant](t, p.post("/v1/refresh", refreshBody(g), p.proof("POST", "/v1/refresh", "")), http.StatusOK)
	if next.TokenType != "DPoP" || next.SessionID != g.SessionID {
		t.Errorf("refresh: %+v after %+v", next, g)
	}
	wantStatus(t, p.call("GET", "/v1/sessions", "dpop", next.AccessToken, p.proof("GET", "/v1/sessions", next.AccessToken)), http.StatusOK)
	logout := func() answer {
		return p.call("POST", "/v1/logout", "DPoP", next.AccessToken, p.proof("POST", "/v1/logout", next.AccessToken))
	}
	wantProblem(t, p.call("POST", "/v1/logout", "Bearer", next.AccessToken), http.StatusUnauthorized, "invalid_token")
	wantStatus(t, logout(), http.StatusNoContent)
	a := p.call("GET", "/v1/me", "DPoP", next.AccessToken, p.proof("GET", "/v1/me", next.AccessToken))
	wantProblem(t, a, http.StatusUnauthorized, "invalid_token")
	if c := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(c, `DPoP realm="authd", error="invalid_token"`) || !strings.HasSuffix(c, `, algs="ES256 EdDSA Ed25519 RS256"`) {
		t.Errorf("challenge %s", c)
	}
	wantStatus(t, logout(), http.StatusNoContent)
}

func TestBadProofsAtResources(t *testing.T) {
	e := newEnv(t)
	p, thief := newProver(e), newProver(e)
	g, bearer := p.loginProved(), e.loginAlice().AccessToken
	proof := func(change ...func(*dpop.Statement)) []string {
		return []string{p.proof("GET", "/v1/me", g.AccessToken, change...)}
	}
	used := proof()
	wantStatus(t, p.call("GET", "/v1/me", "DPoP", g.AccessToken, used...), http.StatusOK)
	for name, c := range map[string]struct {
		scheme, raw string
		proofs      []string
		code        string
	}{
		"replayed":             {"DPoP", g.AccessToken, used, "invalid_dpop_proof"},
		"none":                 {"DPoP", g.AccessToken, nil, "invalid_dpop_proof"},
		"two":                  {"DPoP", g.AccessToken, append(proof(), proof()...), "invalid_dpop_proof"},
		"method":               {"DPoP", g.AccessToken, proof(func(s *dpop.Statement) { s.Method = "POST" }), "invalid_dpop_proof"},
		"URL":                  {"DPoP", g.AccessToken, proof(func(s *dpop.Statement) { s.URL = issuerURL + "/v1/sessions" }), "invalid_dpop_proof"},
		"the listener's":       {"DPoP", g.AccessToken, proof(func(s *dpop.Statement) { s.URL = e.publicURL + "/v1/me" }), "invalid_dpop_proof"},
		"hash":                 {"DPoP", g.AccessToken, proof(func(s *dpop.Statement) { s.AccessToken = bearer }), "invalid_dpop_proof"},
		"old":                  {"DPoP", g.AccessToken, proof(func(s *dpop.Statement) { s.IssuedAt = time.Now().Add(-time.Hour) }), "invalid_dpop_proof"},
		"stolen, another key":  {"DPoP", g.AccessToken, []string{thief.proof("GET", "/v1/me", g.AccessToken)}, "invalid_token"},
		"stolen, as a bearer":  {"Bearer", g.AccessToken, nil, "invalid_token"},
		"bearer with proof":    {"Bearer", g.AccessToken, proof(), "invalid_token"},
		"a bearer as if bound": {"DPoP", bearer, []string{p.proof("GET", "/v1/me", bearer)}, "invalid_token"},
	} {
		a := p.call("GET", "/v1/me", c.scheme, c.raw, c.proofs...)
		if got := decode[problem](t, a, http.StatusUnauthorized); got.Code != c.code {
			t.Errorf("%s: %s, want %s", name, got.Code, c.code)
		}
		if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, c.scheme+" ") || !strings.Contains(got, `DPoP realm="authd"`) ||
			!strings.Contains(got, `error="`+c.code+`"`) {
			t.Errorf("%s: challenge %s", name, got)
		}
	}
}

// A refresh token that was stolen without the key gets nothing, and the victim notices nothing of the attempts.
func TestStolenBoundRefreshToken(t *testing.T) {
	e := newEnv(t)
	p, thief := newProver(e), newProver(e)
	g := p.loginProved()
	used := p.proof("POST", "/v1/refresh", "")
	g = decode[grant](t, p.post("/v1/refresh", refreshBody(g), used), http.StatusOK)
	for range 70 { // more than there may be replays
		wantProblem(t, thief.post("/v1/refresh", refreshBody(g)), http.StatusBadRequest, "invalid_dpop_proof")
		wantProblem(t, thief.post("/v1/refresh", refreshBody(g), thief.proof("POST", "/v1/refresh", "")), http.StatusBadRequest, "invalid_dpop_proof")
	}
	wantProblem(t, thief.post("/v1/refresh", refreshBody(g), used), http.StatusBadRequest, "invalid_dpop_proof")
	wantProblem(t, p.post("/v1/refresh", refreshBody(g), p.proof("GET", "/v1/refresh", "")), http.StatusBadRequest, "invalid_dpop_proof")
	wantProblem(t, p.post("/v1/refresh", refreshBody(g), p.proof("POST", "/v1/login", "")), http.StatusBadRequest, "invalid_dpop_proof")
	wantStatus(t, p.post("/v1/refresh", refreshBody(g), p.proof("POST", "/v1/refresh", "")), http.StatusOK)

	bearer := e.loginAlice()
	wantProblem(t, p.post("/v1/refresh", refreshBody(bearer), p.proof("POST", "/v1/refresh", "")), http.StatusBadRequest, "invalid_dpop_proof")
	wantStatus(t, p.post("/v1/refresh", refreshBody(bearer)), http.StatusOK)
}

func TestProofsAtLogin(t *testing.T) {
	e := newEnv(t)
	p := newProver(e)
	used := p.proof("POST", "/v1/login", "")
	wrong := map[string]any{"username": aliceName, "password": "wrong"}
	for range 2 { // a wrong password uses nothing up
		wantProblem(t, p.post("/v1/login", wrong, used), http.StatusUnauthorized, "invalid_credentials")
	}
	wantStatus(t, p.post("/v1/login", aliceLogin, used), http.StatusOK)
	wantProblem(t, p.post("/v1/login", aliceLogin, used), http.StatusBadRequest, "invalid_dpop_proof")
	wantProblem(t, p.post("/v1/login", aliceLogin, p.proof("POST", "/v1/refresh", "")), http.StatusBadRequest, "invalid_dpop_proof")
	wantProblem(t, p.post("/v1/login", aliceLogin, "garbage"), http.StatusBadRequest, "invalid_dpop_proof")
	cookies := map[string]any{"username": aliceName, "password": alicePassword, "cookie": true}
	wantProblem(t, p.post("/v1/login", cookies, p.proof("POST", "/v1/login", "")), http.StatusBadRequest, "bad_request")
}

func TestNonces(t *testing.T) {
	proofs, err := dpop.NewVerifier(dpop.VerifierConfig{
		Replays: dpop.NewMemory(0, nil), Nonces: dpop.NewNonces(dpop.OwnNonceKey(), 0),
	})
	must(t, err)
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.DPoP = proofs }})
	p := newProver(e)
	a := p.post("/v1/login", aliceLogin, p.proof("POST", "/v1/login", ""))
	wantProblem(t, a, http.StatusBadRequest, "use_dpop_nonce")
	if p.nonce = a.header.Get("DPoP-Nonce"); p.nonce == "" {
		t.Fatal("no nonce came")
	}
	g := p.loginProved()
	a = p.call("GET", "/v1/me", "DPoP", g.AccessToken, p.proof("GET", "/v1/me", g.AccessToken, func(s *dpop.Statement) { s.Nonce = "" }))
	wantProblem(t, a, http.StatusUnauthorized, "use_dpop_nonce")
	if c := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(c, `DPoP realm="authd", error="use_dpop_nonce"`) || a.header.Get("DPoP-Nonce") == "" {
		t.Errorf("challenge %s, nonce %q", c, a.header.Get("DPoP-Nonce"))
	}
	a = p.call("GET", "/v1/me", "DPoP", g.AccessToken, p.proof("GET", "/v1/me", g.AccessToken))
	wantStatus(t, a, http.StatusOK)
	if a.header.Get("DPoP-Nonce") == "" {
		t.Error("no nonce for the next proof")
	}
	wantStatus(t, p.post("/v1/refresh", refreshBody(g), p.proof("POST", "/v1/refresh", "")), http.StatusOK)
	e.loginAlice() // who uses no proofs needs no nonces
}

func TestIntrospectionOfBoundTokens(t *testing.T) {
	e := newEnv(t)
	p := newProver(e)
	g := p.loginProved()
	type confirmed struct {
		Active    bool
		TokenType string `json:"token_type"`
		CNF       struct{ JKT string }
	}
	for raw, kind := range map[string]string{g.AccessToken: "DPoP", g.RefreshToken: "", e.loginAlice().AccessToken: "Bearer"} {
		want := p.key.Thumbprint()
		if kind == "Bearer" {
			want = ""
		}
		got := decode[confirmed](t, e.do(request{method: "POST", path: "/oauth2/introspect", basic: true, form: "token=" + raw}), http.StatusOK)
		if !got.Active || got.TokenType != kind || got.CNF.JKT != want {
			t.Errorf("%+v; want type %q, key %q", got, kind, want)
		}
	}
	wantStatus(t, e.do(request{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=" + g.AccessToken}), http.StatusOK)
	a := p.call("GET", "/v1/me", "DPoP", g.AccessToken, p.proof("GET", "/v1/me", g.AccessToken))
	wantProblem(t, a, http.StatusUnauthorized, "invalid_token")
}

// A proxy's question is about another URL than the proof, so bound tokens do not pass there, whatever the proof says.
func TestForwardAuthRefusesBoundTokens(t *testing.T) {
	e := newEnv(t)
	p := newProver(e)
	g := p.loginProved()
	for name, a := range map[string]answer{
		"with a proof":         p.call("GET", "/v1/verify", "DPoP", g.AccessToken, p.proof("GET", "/v1/verify", g.AccessToken)),
		"as a bearer":          p.call("GET", "/v1/verify", "Bearer", g.AccessToken),
		"as a bearer, a proof": p.call("GET", "/v1/verify", "Bearer", g.AccessToken, p.proof("GET", "/v1/verify", g.AccessToken)),
	} {
		if got := wantProblem(t, a, http.StatusUnauthorized, "invalid_token"); !strings.Contains(got.Detail, "bound to a key") {
			t.Errorf("%s: %s", name, got.Detail)
		}
		if c := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(c, `Bearer realm="authd", error="invalid_token"`) {
			t.Errorf("%s: challenge %s", name, c)
		}
	}
}

// The metadata name the algorithms of proofs, as RFC 9449 section 5.1 wants.
func TestMetadataNameProofAlgorithms(t *testing.T) {
	e := newEnv(t)
	a := e.do(request{method: "GET", path: "/.well-known/oauth-authorization-server"})
	got := decode[struct {
		Algorithms []string `json:"dpop_signing_alg_values_supported"`
	}](t, a, http.StatusOK)
	if strings.Join(got.Algorithms, " ") != strings.Join(dpop.Algorithms(), " ") {
		t.Errorf("%q", got.Algorithms)
	}
}

// The log names no proof and no key.
func TestProofsAreNotLogged(t *testing.T) {
	e := newEnv(t)
	p := newProver(e)
	raw := p.proof("POST", "/v1/login", "")
	p.post("/v1/login", aliceLogin, raw)
	p.post("/v1/login", aliceLogin, raw)
	if log := e.log.String(); strings.Contains(log, raw[:40]) || strings.Contains(log, raw[len(raw)-40:]) || !strings.Contains(log, "used before") {
		t.Error("the log holds a proof, or does not say that it was used before")
	}
}
