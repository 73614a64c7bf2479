package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

type introspection struct {
	Active    bool
	TokenType string `json:"token_type"`
	TokenUse  string `json:"token_use"`
	Sub, SID  string
	Username  string
	Aud       []string
	Exp, Iat  int64
}

func (e *env) introspect(raw string) introspection {
	e.t.Helper()
	form := url.Values{"token": {raw}}.Encode()
	a := e.do(request{method: "POST", path: "/oauth2/introspect", basic: true, form: form})
	if a.header.Get("Cache-Control") != "no-store" {
		e.t.Error("introspection may be stored")
	}
	return decode[introspection](e.t, a, http.StatusOK)
}

func TestIntrospection(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	access := e.introspect(g.AccessToken)
	if !access.Active || access.TokenType != "Bearer" || access.TokenUse != "access_token" || access.Sub != e.alice.Subject ||
		access.SID != g.SessionID || len(access.Aud) != 1 || access.Exp <= access.Iat {
		t.Errorf("access token: %+v", access)
	}
	refresh := e.introspect(g.RefreshToken)
	if !refresh.Active || refresh.TokenType != "" || refresh.TokenUse != "refresh_token" || refresh.Sub != e.alice.Subject ||
		refresh.Username != aliceName || refresh.Exp <= time.Now().Add(24*time.Hour).Unix() {
		t.Errorf("refresh token: %+v", refresh)
	}
	if again := e.introspect(g.RefreshToken); again.Exp != refresh.Exp {
		t.Error("looking at a refresh token changes it")
	}
}

// T32: nothing but active false, whatever is wrong.
func TestInactiveTokensLookAlike(t *testing.T) {
	e := newEnv(t)
	revoked, ended := e.loginAlice(), e.loginAlice()
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: ended.AccessToken}), http.StatusNoContent)
	wantStatus(t, e.do(request{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=" + revoked.AccessToken}), http.StatusOK)
	for name, raw := range map[string]string{
		"garbage": "x", "dots": "a.b.c", "revoked": revoked.AccessToken, "ended": ended.AccessToken,
		"refresh of ended": ended.RefreshToken, "expired": e.issueAt(time.Now().Add(-time.Hour)),
		"forged refresh": "authd_rt_" + strings.Repeat("A", 82), "long": strings.Repeat("a", 20_000),
		"newline": revoked.AccessToken + "\n",
	} {
		form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}.Encode()
		a := e.do(request{method: "POST", path: "/oauth2/introspect", basic: true, form: form})
		if a.status != http.StatusOK || strings.TrimSpace(a.body) != `{"active":false}` {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestRevocation(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	revoke := func(raw string) {
		t.Helper()
		form := url.Values{"token": {raw}}.Encode()
		wantStatus(t, e.do(request{method: "POST", path: "/oauth2/revoke", basic: true, form: form}), http.StatusOK)
	}
	revoke(g.AccessToken)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}), http.StatusUnauthorized)
	// The session goes on: only this one token was revoked.
	next := decode[grant](t, e.do(request{
		method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": g.RefreshToken},
	}), http.StatusOK)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: next.AccessToken}), http.StatusOK)
	revoke(next.RefreshToken)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: next.AccessToken}), http.StatusUnauthorized)
	// RFC 7009 section 2.2: what is not valid anyway is revoked.
	for _, raw := range []string{"x", g.AccessToken, next.RefreshToken, e.issueAt(time.Now().Add(-time.Hour)), "authd_rt_x"} {
		revoke(raw)
	}
}

func TestRevocationThatIsNotConfirmed(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	e.revocations.failing.Store(true)
	for _, raw := range []string{g.AccessToken, g.RefreshToken} {
		a := e.do(request{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=" + raw})
		if body := decode[map[string]string](t, a, http.StatusServiceUnavailable); body["error"] != "temporarily_unavailable" {
			t.Errorf("error %v", body)
		}
	}
	e.revocations.failing.Store(false)
	wantStatus(t, e.do(request{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=" + g.AccessToken}), http.StatusOK)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}), http.StatusUnauthorized)
}

func TestClientCredentials(t *testing.T) {
	e := newEnv(t)
	basic := func(id, secret string) http.Header {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(id, secret)
		return r.Header
	}
	for name, header := range map[string]http.Header{
		"none":           {},
		"wrong secret":   basic(clientID, "wrong"),
		"unknown client": basic("nobody", clientSecret),
		"empty":          basic("", ""),
		"bad escape":     basic(clientID, "%zz"),
		"bearer":         {"Authorization": {"Bearer x"}},
		"not base64":     {"Authorization": {"Basic ***"}},
		"no colon":       {"Authorization": {"Basic eA=="}},
	} {
		for _, path := range []string{"/oauth2/introspect", "/oauth2/revoke"} {
			a := e.do(request{method: "POST", path: path, form: "token=x&client_id=orders&client_secret=" + clientSecret, header: header})
			if body := decode[map[string]string](t, a, http.StatusUnauthorized); body["error"] != "invalid_client" {
				t.Errorf("%s: %v", name, body)
			}
			if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic ") {
				t.Errorf("%s: challenge %q", name, got)
			}
		}
	}
	two := basic(clientID, clientSecret)
	two["Authorization"] = append(two["Authorization"], two["Authorization"][0])
	a := e.do(request{method: "POST", path: "/oauth2/introspect", form: "token=x", header: two})
	if body := decode[map[string]string](t, a, http.StatusBadRequest); body["error"] != "invalid_request" {
		t.Errorf("two headers: %v", body)
	}
}

func TestTokenFormsMayEscapeAnything(t *testing.T) {
	e := newEnv(t)
	token := e.loginAlice().AccessToken
	var escaped strings.Builder
	for _, c := range []byte("token") {
		fmt.Fprintf(&escaped, "%%%02x", c)
	}
	escaped.WriteByte('=')
	for _, c := range []byte(token) {
		fmt.Fprintf(&escaped, "%%%02X", c)
	}
	a := e.do(request{method: "POST", path: "/oauth2/introspect", basic: true, form: escaped.String()})
	if wantStatus(t, a, http.StatusOK); !strings.Contains(a.body, `"active":true`) {
		t.Errorf("body %s", a.body)
	}
}

func TestTokenForms(t *testing.T) {
	e := newEnv(t)
	for name, c := range map[string]struct {
		r      request
		status int
	}{
		"no token":    {request{form: "token_type_hint=access_token"}, 400},
		"empty token": {request{form: "token="}, 400},
		"token twice": {request{form: "token=a&token=b"}, 400},
		"hint twice":  {request{form: "token=a&token_type_hint=a&token_type_hint=b"}, 400},
		"bad escape":  {request{form: "token=%zz"}, 400},
		"elsewhere":   {request{form: "token=a&b=%zz"}, 400},
		"in a name":   {request{form: "token=a&%zz=b"}, 400},
		"spelt twice": {request{form: "token=a&%74oken=b"}, 400},
		"semicolon":   {request{form: "token=a;b=c"}, 400},
		"empty pairs": {request{form: "&token=a&&b"}, 200},
		"no body":     {request{}, 400},
		"json":        {request{json: `{"token":"x"}`}, 415},
		"compressed":  {request{form: "token=a", header: http.Header{"Content-Encoding": {"gzip"}}}, 415},
		"too large":   {request{form: "token=" + strings.Repeat("a", 65<<10)}, 413},
		"more":        {request{form: "token=a&other=b&other=c&token_type_hint=nonsense"}, 200},
	} {
		for _, path := range []string{"/oauth2/introspect", "/oauth2/revoke"} {
			t.Run(name+path, func(t *testing.T) {
				r := c.r
				r.method, r.path, r.basic = "POST", path, true
				a := e.do(r)
				wantStatus(t, a, c.status)
				if c.status != http.StatusOK && !strings.Contains(a.body, `"error":"invalid_request"`) {
					t.Errorf("body %s", a.body)
				}
			})
		}
	}
}
