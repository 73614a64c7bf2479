package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/authd-project/authd/httpapi"
)

// at sends what is meant for the issuer to the server under test.
type at struct {
	url  string
	next http.RoundTripper
}

func (a at) RoundTrip(req *http.Request) (*http.Response, error) {
	target, err := url.Parse(a.url)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host = target.Scheme, target.Host
	return a.next.RoundTrip(req)
}

// go-oidc shares no code with authd: it finds the keys by discovery and verifies an access token.
func TestDiscoveryByGoOIDC(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: at{e.publicURL, e.http.Transport}})
	provider, err := oidc.NewProvider(ctx, issuerURL)
	must(t, err)
	idToken, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: "authd"}).Verify(ctx, g.AccessToken)
	must(t, err)
	if idToken.Subject != e.alice.Subject {
		t.Errorf("subject %q", idToken.Subject)
	}
}

func TestMetadata(t *testing.T) {
	e := newEnv(t)
	var documents []string
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		a := e.do(request{method: "GET", path: path})
		m := decode[map[string]any](t, a, http.StatusOK)
		for name, want := range map[string]string{
			"issuer": "", "jwks_uri": "/.well-known/jwks.json", "introspection_endpoint": "/oauth2/introspect",
			"revocation_endpoint": "/oauth2/revoke", "revocation_feed_uri": "/v1/revocations",
		} {
			if m[name] != issuerURL+want {
				t.Errorf("%s: %s is %v", path, name, m[name])
			}
		}
		documents = append(documents, a.body)
	}
	if documents[0] != documents[1] {
		t.Error("the two documents differ")
	}
}

func TestJWKSIsCached(t *testing.T) {
	e := newEnv(t)
	a := e.do(request{method: "GET", path: "/.well-known/jwks.json"})
	wantStatus(t, a, http.StatusOK)
	if strings.Contains(a.body, `"d"`) || !strings.Contains(a.body, `"use":"sig"`) {
		t.Errorf("key set %s", a.body)
	}
	age, ok := strings.CutPrefix(a.header.Get("Cache-Control"), "public, max-age=")
	if seconds, err := strconv.Atoi(age); !ok || err != nil || seconds < 1 || seconds > 600 {
		t.Errorf("Cache-Control %q", a.header.Get("Cache-Control"))
	}
	etag := a.header.Get("ETag")
	for match, status := range map[string]int{
		etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, "*": 304, `"other"`: 200, strings.Trim(etag, `"`): 200,
	} {
		a := e.do(request{method: "GET", path: "/.well-known/jwks.json", header: http.Header{"If-None-Match": {match}}})
		wantStatus(t, a, status)
		if a.header.Get("ETag") != etag || (status == 304) != (a.body == "") {
			t.Errorf("If-None-Match %s: ETag %s, body %q", match, a.header.Get("ETag"), a.body)
		}
	}
	head := e.do(request{method: "HEAD", path: "/.well-known/jwks.json"})
	if head.status != 200 || head.header.Get("ETag") != etag || head.header.Get("Content-Length") != strconv.Itoa(len(a.body)) {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
}

// A document that was cached stays the same until the process does.
func TestDocumentsAreServed(t *testing.T) {
	e := newEnv(t)
	for url, text := range map[string][]byte{e.publicURL: httpapi.PublicDocument(), e.adminURL: httpapi.AdminDocument()} {
		a := e.send(e.newRequest(url, request{method: "GET", path: "/openapi.yaml"}))
		if a.status != http.StatusOK || a.body != string(text) {
			t.Errorf("%s: status %d, %d bytes", url, a.status, len(a.body))
		}
		again := e.newRequest(url, request{method: "GET", path: "/openapi.yaml", header: http.Header{"If-None-Match": {a.header.Get("ETag")}}})
		wantStatus(t, e.send(again), http.StatusNotModified)
	}
}

func TestIssuerWithPath(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Issuer = "https://example.com/auth/" }})
	m := decode[map[string]any](t, e.do(request{method: "GET", path: "/.well-known/openid-configuration"}), 200)
	if m["issuer"] != "https://example.com/auth/" || m["jwks_uri"] != "https://example.com/auth/.well-known/jwks.json" {
		t.Errorf("metadata %v", m)
	}
}

// T36, T38: what carries a token or a secret is never stored, and nothing is sniffed.
func TestNothingSecretIsStored(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	for _, r := range []request{
		{method: "POST", path: "/v1/login", json: map[string]string{"username": aliceName, "password": alicePassword}},
		{method: "POST", path: "/v1/login", json: `{}`},
		{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": g.RefreshToken}},
		{method: "GET", path: "/v1/me", bearer: g.AccessToken},
		{method: "GET", path: "/v1/sessions", bearer: g.AccessToken},
		{method: "GET", path: "/v1/verify", bearer: g.AccessToken},
		{method: "GET", path: "/nowhere"},
		{method: "PUT", path: "/v1/login"},
	} {
		a := e.do(r)
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" ||
			a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: headers %v", r.method, r.path, a.header)
		}
	}
}

// A token's times and the key set are JSON numbers and strings that other languages read alike.
func TestTokensAreAsDocumented(t *testing.T) {
	e := newEnv(t)
	before := time.Now().Add(-time.Minute)
	g := e.loginAlice()
	access := e.introspect(g.AccessToken)
	if time.Unix(access.Iat, 0).Before(before) || access.Exp-access.Iat > 600 || access.Exp-access.Iat < 570 {
		t.Errorf("life %d s from %d", access.Exp-access.Iat, access.Iat)
	}
	var set struct{ Keys []map[string]string }
	must(t, json.Unmarshal([]byte(e.do(request{method: "GET", path: "/.well-known/jwks.json"}).body), &set))
	seen := map[string]bool{}
	for _, k := range set.Keys {
		if seen[k["kid"]] || k["kid"] == "" || k["alg"] != "ES256" {
			t.Errorf("key %v", k)
		}
		seen[k["kid"]] = true
	}
}
