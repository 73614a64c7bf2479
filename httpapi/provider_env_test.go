package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// The clients of these tests. All secrets are clientSecret.
const (
	shopURI  = "https://shop.example/callback"
	shopDone = "https://shop.example/goodbye"
	// The example of RFC 7636 appendix B.
	codeVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func oauthClients() []oauth.Client {
	secret := [][sha256.Size]byte{sha256.Sum256([]byte(clientSecret))}
	scopes := []string{"openid", "profile", "offline_access", "orders:read", "orders:write"}
	return []oauth.Client{
		{
			ID: "shop", Name: "The shop", SecretSHA256: secret, Scopes: scopes, RedirectURIs: []string{shopURI},
			PostLogoutRedirectURIs: []string{shopDone},
		},
		{ID: "mail", SecretSHA256: secret, Scopes: scopes, RedirectURIs: []string{"https://mail.example/callback"}},
		{ID: "spa", Public: true, Scopes: scopes, RedirectURIs: []string{"https://spa.example/"}},
		{ID: "till", Public: true, Native: true, DPoP: true, Scopes: scopes, RedirectURIs: []string{"http://127.0.0.1/callback"}},
		{ID: "bank", SecretSHA256: secret, Scopes: scopes, RedirectURIs: []string{"https://bank.example/"}, ACR: "aal2"},
		{ID: "batch", SecretSHA256: secret, Scopes: scopes, GrantTypes: []string{oauth.GrantClientCredentials}},
		{
			ID: "stock", SecretSHA256: secret, GrantTypes: []string{oauth.GrantExchange, oauth.GrantClientCredentials},
			Scopes: []string{"orders:read"}, ExchangeAudiences: []string{"authd", "warehouse"},
		},
	}
}

// newProvider is newEnv with an authorization server.
func newProvider(t testing.TB, change ...options) *env {
	t.Helper()
	registry, err := oauth.NewRegistry(oauthClients())
	must(t, err)
	with := options{public: func(c *httpapi.PublicConfig) {
		view := c.Keys.(*keys.View)
		wide, err := token.NewVerifier(token.VerifierConfig{
			Issuer: issuerURL, Audience: []string{"authd", "warehouse"}, Keys: view, Revocations: c.Mirror.(revocation.Checker),
		})
		must(t, err)
		c.OAuth = &httpapi.OAuth{Clients: registry, Sessions: c.Sessions.(*session.Service), Keys: view, AnyAudience: wide}
	}}
	return newEnv(t, append([]options{with}, change...)...)
}

// user is a person's browser.
type user struct {
	*env
	cookies map[string]*http.Cookie
}

func (e *env) person() *user { return &user{e, map[string]*http.Cookie{}} }

func (u *user) keep(a answer) answer {
	u.t.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.MaxAge < 0 {
			delete(u.cookies, c.Name)
		} else {
			u.cookies[c.Name] = c
		}
	}
	return a
}

func (u *user) jar() []*http.Cookie {
	var all []*http.Cookie
	for _, c := range u.cookies {
		all = append(all, c)
	}
	return all
}

func (u *user) get(path string) answer { u.t.Helper(); return u.keep(u.getPage(path, u.jar()...)) }

func (u *user) post(path string, form url.Values) answer {
	u.t.Helper()
	return u.keep(u.postForm(path, form, u.jar()...))
}

// signsIn fills in the login form that an answer leads to, and returns where that leads.
func (u *user) signsIn(to answer) string {
	u.t.Helper()
	if to.status != http.StatusSeeOther || !strings.HasPrefix(to.header.Get("Location"), "/login?") {
		u.t.Fatalf("status %d to %q, want the login page: %s", to.status, to.header.Get("Location"), to.body)
	}
	page := u.get(to.header.Get("Location"))
	form := hidden(page.body)
	form.Set("username", aliceName)
	form.Set("password", alicePassword)
	return onward(u.t, u.post("/login", form))
}

// onward returns where a page leads by itself.
func onward(t testing.TB, a answer) string {
	t.Helper()
	next := regexp.MustCompile(`http-equiv="refresh" content="0; url=([^"]*)"`).FindStringSubmatch(a.body)
	if next == nil {
		t.Fatalf("status %d to %q, want a page that leads on: %s", a.status, a.header.Get("Location"), a.body)
	}
	return html.UnescapeString(next[1])
}

// hidden returns the hidden fields of a form.
func hidden(page string) url.Values {
	form := url.Values{}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(page, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	return form
}

// askFor is a good authorization request of shop, with changes NAME=VALUE; NAME alone takes a parameter away.
func askFor(changes ...string) string {
	return "/oauth2/authorize?" + changed(url.Values{
		"client_id": {"shop"}, "redirect_uri": {shopURI}, "response_type": {"code"}, "scope": {"openid profile orders:read"},
		"state": {"af0ifjsldkj"}, "nonce": {"n-0S6_WzA2Mj"}, "code_challenge": {codeChallenge}, "code_challenge_method": {"S256"},
	}, changes...).Encode()
}

func changed(values url.Values, changes ...string) url.Values {
	for _, c := range changes {
		name, value, found := strings.Cut(c, "=")
		if values.Del(name); found {
			values.Set(name, value)
		}
	}
	return values
}

// response reads the parameters that a redirect gives to a client.
func response(t testing.TB, a answer, to string) url.Values {
	t.Helper()
	location := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(location, to+"?") {
		t.Fatalf("status %d to %q, want 303 to %s: %s", a.status, location, to, a.body)
	}
	if a.header.Get("Referrer-Policy") != "no-referrer" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.header)
	}
	u, err := url.Parse(location)
	must(t, err)
	q := u.Query()
	if q.Get("iss") != issuerURL {
		t.Errorf("iss is %q", q.Get("iss"))
	}
	return q
}

// loggedIn is a browser in which alice has logged in.
func (e *env) loggedIn() *user {
	e.t.Helper()
	u := e.person()
	wantRedirect(e.t, u.post("/login", credentials(aliceName, alicePassword)), "/account")
	return u
}

// code gets a code for a request of shop.
func (u *user) code(changes ...string) string {
	u.t.Helper()
	to := shopURI
	for _, c := range changes {
		if uri, ok := strings.CutPrefix(c, "redirect_uri="); ok {
			to = uri
		}
	}
	code := response(u.t, u.get(askFor(changes...)), to).Get("code")
	if code == "" {
		u.t.Fatal("no code")
	}
	return code
}

// tokens is the answer of the token endpoint.
type tokens struct {
	AccessToken     string `json:"access_token"`
	TokenType       string `json:"token_type"`
	IssuedTokenType string `json:"issued_token_type"`
	ExpiresIn       int    `json:"expires_in"`
	RefreshToken    string `json:"refresh_token"`
	IDToken         string `json:"id_token"`
	Scope           string
	Error           string
	Description     string `json:"error_description"`
}

// exchange is a good token request of shop for a code, changed.
func exchange(code string, changes ...string) url.Values {
	return changed(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {shopURI}, "code_verifier": {codeVerifier},
	}, changes...)
}

// asClient posts to the token endpoint with a client's secret in the header.
func (e *env) asClient(id string, form url.Values, header ...http.Header) answer {
	e.t.Helper()
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, clientSecret)
	for _, h := range header {
		for name, values := range h {
			r.Header[name] = values
		}
	}
	a := e.do(request{method: "POST", path: "/oauth2/token", form: form.Encode(), header: r.Header})
	if a.header.Get("Cache-Control") != "no-store" || len(a.header["Set-Cookie"]) > 0 {
		e.t.Errorf("headers %v", a.header)
	}
	return a
}

func (e *env) tokensOf(a answer) tokens { e.t.Helper(); return decode[tokens](e.t, a, http.StatusOK) }

// wantOAuthError checks an error of the token endpoint.
func wantOAuthError(t testing.TB, a answer, status int, code string) {
	t.Helper()
	if got := decode[tokens](t, a, status); got.Error != code || got.AccessToken != "" || got.Description == "" {
		t.Errorf("error %q (%s), want %s", got.Error, got.Description, code)
	}
}

// claimsOf reads a token without checking it.
func claimsOf(t testing.TB, raw string) map[string]any {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", raw)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var claims map[string]any
	must(t, json.Unmarshal(text, &claims))
	return claims
}

func (e *env) wantGood(raw string) {
	e.t.Helper()
	wantStatus(e.t, e.do(request{method: "GET", path: "/v1/verify", bearer: raw}), http.StatusOK)
}

func (e *env) wantRefused(raw string) {
	e.t.Helper()
	wantStatus(e.t, e.do(request{method: "GET", path: "/v1/verify", bearer: raw}), http.StatusUnauthorized)
}

// quoted says what a list of claims is, for comparing it with want.
func quoted(v any) string { return fmt.Sprintf("%q", v) }
