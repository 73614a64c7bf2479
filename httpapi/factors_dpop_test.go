package httpapi_test

import (
	"net/http"
	"testing"
)

// A login that began with the proof of a key ends with one of the same key, and its session is bound; so is the one that a
// step up puts in its place.
func TestFactorsOfBoundSessions(t *testing.T) {
	e := newEnv(t)
	secret, _ := e.withApp(e.loginAlice())
	p := newProver(e)
	const path = "/v1/login/factor"
	begin := func() string {
		t.Helper()
		return decode[moreWanted](t, p.post("/v1/login", aliceLogin, p.proof("POST", "/v1/login", "")), 401).LoginState
	}
	body := func(state string) any { return map[string]any{"login_state": state, "code": e.nextCode(secret)} }

	state := begin()
	wantProblem(t, p.post(path, body(state)), 400, "invalid_dpop_proof")
	wantProblem(t, newProver(e).post(path, body(state), newProver(e).proof("POST", path, "")), 400, "invalid_dpop_proof")
	wantProblem(t, p.post(path, body(e.password(aliceName, alicePassword).LoginState), p.proof("POST", path, "")), 400, "invalid_dpop_proof")
	used := p.proof("POST", path, "")
	bound := decode[grant](t, p.post(path, body(state), used), 200)
	if bound.TokenType != "DPoP" {
		t.Errorf("token type %q", bound.TokenType)
	}
	wantProblem(t, p.post(path, body(begin()), used), 400, "invalid_dpop_proof")
	wantStatus(t, p.call("GET", "/v1/me", "DPoP", bound.AccessToken, p.proof("GET", "/v1/me", bound.AccessToken)), 200)
	wantProblem(t, e.do(request{method: "GET", path: "/v1/me", bearer: bound.AccessToken}), 401, "invalid_token")

	a := p.do(request{method: "POST", path: path, json: map[string]any{"code": e.nextCode(secret)}, header: http.Header{
		"Authorization": {"DPoP " + bound.AccessToken}, "Dpop": {p.proof("POST", path, bound.AccessToken)},
	}})
	next := decode[grant](t, a, 200)
	if next.TokenType != "DPoP" || next.SessionID == bound.SessionID {
		t.Errorf("step up: %+v", next)
	}
	wantStatus(t, p.call("GET", "/v1/me", "DPoP", next.AccessToken, p.proof("GET", "/v1/me", next.AccessToken)), 200)
	wantProblem(t, e.do(request{method: "GET", path: "/v1/me", bearer: next.AccessToken}), 401, "invalid_token")
}
