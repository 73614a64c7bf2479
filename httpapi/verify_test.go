package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

func TestForwardAuth(t *testing.T) {
	e := newEnv(t)
	body := map[string]any{"username": aliceName, "password": alicePassword, "scope": "orders:read orders:write"}
	g := decode[grant](t, e.do(request{method: "POST", path: "/v1/login", json: body}), http.StatusOK)
	for _, method := range []string{"GET", "HEAD"} {
		a := e.do(request{method: method, path: "/v1/verify", bearer: g.AccessToken, header: http.Header{"X-Auth-Subject": {"mallory"}}})
		wantStatus(t, a, http.StatusOK)
		for name, want := range map[string]string{
			"X-Auth-Subject": e.alice.Subject, "X-Auth-Session": g.SessionID, "X-Auth-Scope": "orders:read orders:write",
		} {
			if got := a.header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q, want %q", method, name, got, want)
			}
		}
	}
	a := e.do(request{method: "GET", path: "/v1/verify", bearer: e.loginAlice().AccessToken})
	if got, ok := a.header["X-Auth-Scope"]; !ok || got[0] != "" {
		t.Errorf("without a scope the header is %q: a client's own would pass", got)
	}
}

// The challenge names no error when no credentials were sent (RFC 6750 section 3.1).
func TestChallenges(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	expired := e.issueAt(time.Now().Add(-time.Hour))
	for name, c := range map[string]struct {
		header http.Header
		path   string
		status int
		want   string // in the challenge
	}{
		"none":           {http.Header{}, "/v1/me", 401, ""},
		"basic":          {http.Header{"Authorization": {"Basic YTpi"}}, "/v1/me", 401, ""},
		"empty":          {http.Header{"Authorization": {""}}, "/v1/me", 401, ""},
		"no token":       {http.Header{"Authorization": {"Bearer "}}, "/v1/me", 401, ""},
		"any case":       {http.Header{"Authorization": {"bEARER " + g.AccessToken}}, "/v1/me", 200, ""},
		"malformed":      {http.Header{"Authorization": {"Bearer x"}}, "/v1/me", 401, `error="invalid_token"`},
		"forged":         {http.Header{"Authorization": {"Bearer " + g.AccessToken[:len(g.AccessToken)-4] + "AAAA"}}, "/v1/me", 401, `error="invalid_token"`},
		"expired":        {http.Header{"Authorization": {"Bearer " + expired}}, "/v1/me", 401, "expired"},
		"two tokens":     {http.Header{"Authorization": {"Bearer " + g.AccessToken + " " + g.AccessToken}}, "/v1/me", 401, `error="invalid_token"`},
		"two headers":    {http.Header{"Authorization": {"Bearer " + g.AccessToken, "Bearer " + g.AccessToken}}, "/v1/me", 400, `error="invalid_request"`},
		"bad beside":     {http.Header{"Authorization": {"Bearer " + g.AccessToken, "Basic YTpi"}}, "/v1/me", 400, `error="invalid_request"`},
		"empty beside":   {http.Header{"Authorization": {"", "Bearer " + g.AccessToken}}, "/v1/me", 400, `error="invalid_request"`},
		"for proxies":    {http.Header{"Authorization": {"Bearer a", "Bearer b"}}, "/v1/verify", 401, `error="invalid_request"`},
		"in the query":   {http.Header{}, "/v1/me?access_token=" + g.AccessToken, 401, ""},
		"two cookies":    {http.Header{"Cookie": {"__Host-authd_access=a; __Host-authd_access=b"}}, "/v1/me", 400, `error="invalid_request"`},
		"other cookie":   {http.Header{"Cookie": {"authd_access=" + g.AccessToken}}, "/v1/me", 401, ""},
		"header or none": {http.Header{"Authorization": {"Basic YTpi"}, "Cookie": {"__Host-authd_access=" + g.AccessToken}}, "/v1/me", 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := e.do(request{method: "GET", path: c.path, header: c.header})
			wantStatus(t, a, c.status)
			got := a.header.Get("WWW-Authenticate")
			if (c.want == "" && strings.Contains(got, "error")) || !strings.Contains(got, c.want) {
				t.Errorf("challenge %q, want %q", got, c.want)
			}
			if c.status == http.StatusUnauthorized && !strings.HasPrefix(got, `Bearer realm="authd"`) {
				t.Errorf("challenge %q", got)
			}
		})
	}
}

// issueAt makes a token as it would have been made at another time.
func (e *env) issueAt(at time.Time) string {
	e.t.Helper()
	issuer, err := token.NewIssuer(token.IssuerConfig{
		Issuer: issuerURL, Audience: []string{"authd"}, Keys: e.ring, Now: func() time.Time { return at },
	})
	must(e.t, err)
	raw, _, err := issuer.Issue(e.t.Context(), token.Claims{Subject: "late", ClientID: "late"})
	must(e.t, err)
	return raw
}

// A token in a form is not looked at either (RFC 6750 section 2.2 is left out on purpose).
func TestTokenInAForm(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", form: "access_token=" + g.AccessToken}), http.StatusUnsupportedMediaType)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}), http.StatusOK)
}

// stale is a verifier whose mirror proves nothing.
type stale struct{ httpapi.Verifier }

func (stale) Verify(context.Context, string) (*token.Claims, error) {
	return nil, fmt.Errorf("%w: %w", token.ErrUnavailable, revocation.ErrUnavailable)
}

func (s stale) VerifyUnproved(ctx context.Context, raw string, r revocation.Checker) (*token.Claims, error) {
	if r == nil {
		return s.Verify(ctx, raw)
	}
	return s.Verifier.VerifyUnproved(ctx, raw, r)
}

// Whoever cannot tell says so: 503, never 401, and a logout goes on working.
func TestStaleMirror(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Verifier = stale{c.Verifier} }})
	g := e.loginAlice()
	for _, r := range []request{
		{method: "GET", path: "/v1/verify", bearer: g.AccessToken},
		{method: "GET", path: "/v1/me", bearer: g.AccessToken},
		{method: "GET", path: "/v1/sessions", bearer: g.AccessToken},
		{method: "POST", path: "/v1/logout", bearer: g.AccessToken, json: `{"scope":"all"}`},
	} {
		a := e.do(r)
		wantProblem(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
		if a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s %s: headers %v", r.method, r.path, a.header)
		}
	}
	a := e.do(request{method: "POST", path: "/oauth2/introspect", basic: true, form: "token=" + g.AccessToken})
	if body := decode[map[string]string](t, a, http.StatusServiceUnavailable); body["error"] != "temporarily_unavailable" {
		t.Errorf("introspection: %v", body)
	}
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken}), http.StatusNoContent)
}

func TestHeaderValuesAreSafeAndOneToOne(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"5cKd0pVhT0mYx3mZ1s2b": "5cKd0pVhT0mYx3mZ1s2b",
		"a b":                  "a%20b",
		"a%20b":                "a%2520b",
		"a\r\nX-Admin: 1":      "a%0D%0AX-Admin:%201",
		"a\x00b\x7f":           "a%00b%7F",
		"ünï":                  "%C3%BCn%C3%AF",
		"uid=a,dc=example":     "uid=a,dc=example",
	} {
		got := httpapi.HeaderValue(in)
		if got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
		if back, err := url.PathUnescape(got); err != nil || back != in {
			t.Errorf("%q comes back as %q, %v", in, back, err)
		}
	}
}
