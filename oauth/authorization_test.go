package oauth_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/oauth"
)

// The example of RFC 7636 appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func registry(t testing.TB) *oauth.Registry {
	t.Helper()
	strict := shop()
	strict.ID, strict.ACR = "bank", "aal2"
	batch := oauth.Client{ID: "batch", SecretSHA256: digests("a"), GrantTypes: []string{oauth.GrantClientCredentials}}
	r, err := oauth.NewRegistry([]oauth.Client{shop(), till(), strict, batch})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// query is a good request, changed.
func query(changes ...string) string {
	q := url.Values{
		"client_id": {"shop"}, "redirect_uri": {"https://shop.example/callback"}, "response_type": {"code"}, "scope": {"openid orders:read"},
		"state": {"af0ifjsldkj"}, "nonce": {"n-0S6_WzA2Mj"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	more := ""
	for _, c := range changes {
		name, value, found := strings.Cut(c, "=")
		if name, ok := strings.CutPrefix(name, "+"); ok {
			more += "&" + name + "=" + url.QueryEscape(value)
			continue
		}
		if q.Del(name); found {
			q.Set(name, value)
		}
	}
	return q.Encode() + more
}

func parse(t testing.TB, encoded string) (*oauth.Authorization, error) {
	t.Helper()
	f, err := oauth.ParseForm(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return oauth.ParseAuthorization(f, registry(t))
}

func TestAuthorization(t *testing.T) {
	a, err := parse(t, query("prompt=login", "max_age=0", "acr_values=x aal2", "unknown=1", "+unknown=2", "login_hint=alice"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Client.ID != "shop" || a.RedirectURI != "https://shop.example/callback" || a.Scope != "openid orders:read" ||
		a.State != "af0ifjsldkj" || a.Nonce != "n-0S6_WzA2Mj" || a.Challenge != challenge || !a.Reauthorize || a.Silent ||
		a.MaxAge == nil || *a.MaxAge != 0 || a.ACR != "aal2" {
		t.Errorf("read %+v", a)
	}
	if a, err = parse(t, query("client_id=bank", "acr_values=aal1")); err != nil || a.ACR != "aal2" {
		t.Errorf("a client that wants aal2 gets along with %q, %v", a.ACR, err)
	}
	if a, err = parse(t, query("prompt=consent", "scope", "response_mode=query")); err != nil || a.Scope != "orders:read orders:write" {
		t.Errorf("the default scope is %q, %v", a.Scope, err)
	}
}

// Errors go to the person until client and redirect URI are proven, and then to the client.
func TestAuthorizationErrors(t *testing.T) {
	for _, tt := range []struct {
		name, query, code string
		toClient          bool
	}{
		{"no client", query("client_id"), "invalid_request", false},
		{"unknown client", query("client_id=nobody"), "invalid_request", false},
		{"two clients", query("+client_id=till"), "invalid_request", false},
		{"no redirect URI", query("redirect_uri"), "invalid_request", false},
		{"another redirect URI", query("redirect_uri=https://evil.example/callback"), "invalid_request", false},
		{"another client's redirect URI", query("client_id=till"), "invalid_request", false},
		{"two redirect URIs", query("+redirect_uri=https://evil.example/"), "invalid_request", false},
		{"two states", query("+state=x"), "invalid_request", false},
		{"long state", query("state=" + strings.Repeat("x", 2049)), "invalid_request", false},
		{"a client without redirect URIs", query("client_id=batch"), "invalid_request", false},

		{"no response type", query("response_type"), "invalid_request", true},
		{"two response types", query("+response_type=code"), "invalid_request", true},
		{"token", query("response_type=token"), "unsupported_response_type", true},
		{"hybrid", query("response_type=code id_token"), "unsupported_response_type", true},
		{"implicit", query("response_type=id_token"), "unsupported_response_type", true},
		{"fragment", query("response_mode=fragment"), "invalid_request", true},
		{"form_post", query("response_mode=form_post"), "invalid_request", true},
		{"no PKCE", query("code_challenge", "code_challenge_method"), "invalid_request", true},
		{"PKCE without a method", query("code_challenge_method"), "invalid_request", true},
		{"plain PKCE", query("code_challenge_method=plain"), "invalid_request", true},
		{"short challenge", query("code_challenge=abc"), "invalid_request", true},
		{"padded challenge", query("code_challenge=" + challenge + "="), "invalid_request", true},
		{"two challenges", query("+code_challenge=" + challenge), "invalid_request", true},
		{"no scope that it may have", query("scope=email"), "invalid_scope", true},
		{"bad scope", query("scope=a  b"), "invalid_scope", true},
		{"long scope", query("scope=" + strings.Repeat("x", 1025)), "invalid_scope", true},
		{"prompt", query("prompt=create"), "invalid_request", true},
		{"prompt none and login", query("prompt=none login"), "invalid_request", true},
		{"negative age", query("max_age=-1"), "invalid_request", true},
		{"age", query("max_age=99999999999"), "invalid_request", true},
		{"long nonce", query("nonce=" + strings.Repeat("x", 513)), "invalid_request", true},
		{"nonce with a line break", query("nonce=a\nb"), "invalid_request", true},
		{"request object", query("request=eyJ"), "request_not_supported", true},
		{"request URI", query("request_uri=https://evil.example/"), "request_uri_not_supported", true},
		{"registration", query("registration={}"), "registration_not_supported", true},
		{"dpop_jkt", query("dpop_jkt=x"), "invalid_request", true},
	} {
		a, err := parse(t, tt.query)
		var e *oauth.Error
		if !errors.As(err, &e) || a != nil {
			t.Errorf("%s: %v, %v", tt.name, a, err)
			continue
		}
		if e.Code != tt.code || (e.To != nil) != tt.toClient {
			t.Errorf("%s: %v, to %v", tt.name, e, e.To)
		}
		if e.To != nil && (e.To.RedirectURI != "https://shop.example/callback" || e.To.State != "af0ifjsldkj") {
			t.Errorf("%s: goes to %+v", tt.name, e.To)
		}
		if strings.ContainsAny(e.Description, "\"\\\r\n") || strings.Contains(e.Description, "evil") {
			t.Errorf("%s: description %q", tt.name, e.Description)
		}
	}
}

func TestErrorsNameTheIssuer(t *testing.T) {
	_, err := parse(t, query("response_type=token"))
	var e *oauth.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	u, err := url.Parse(e.To.Location("https://auth.example", e))
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); q.Get("iss") != "https://auth.example" || q.Get("error") != "unsupported_response_type" ||
		q.Get("state") != "af0ifjsldkj" || q.Has("code") {
		t.Errorf("query %v", q)
	}
}

func TestForms(t *testing.T) {
	for _, bad := range []string{"a=%zz", "a=b;c=d", strings.Repeat("a&", 0) + manyParameters(65)} {
		if _, err := oauth.ParseForm(bad); err == nil {
			t.Errorf("%.20q is a form", bad)
		}
	}
	f, err := oauth.ParseForm("a=1&b=&c=x+y%21&&d=1&d=1")
	if err != nil || f.Get("a") != "1" || f.Get("b") != "" || f.Get("c") != "x y!" || f.Get("d") != "" || !f.Repeated("d") || f.Repeated("a") {
		t.Errorf("%+v, %v", f, err)
	}
}

func manyParameters(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("&p" + strings.Repeat("x", i) + "=1")
	}
	return b.String()
}

// A request is never answered to a place that the client is not registered with, whatever else it says.
func FuzzParseAuthorization(f *testing.F) {
	for _, seed := range []string{
		query(), query("client_id=till", "redirect_uri=http://127.0.0.1:9/callback"), query("prompt=none"), query("response_type=token"),
		query("redirect_uri=https://evil.example/callback"), query("+redirect_uri=https://evil.example/"), "client_id=shop&redirect_uri=%68ttps://shop.example/callback",
		"%", "client_id", query("max_age=1", "acr_values=aal2"), query("+state=1"),
	} {
		f.Add(seed)
	}
	clients := registry(f)
	f.Fuzz(func(t *testing.T, encoded string) {
		form, err := oauth.ParseForm(encoded)
		if err != nil {
			return
		}
		a, err := oauth.ParseAuthorization(form, clients)
		var e *oauth.Error
		var to *oauth.Target
		switch {
		case err == nil:
			target := a.Target()
			to = &target
			if len(a.Challenge) != 43 || a.Client == nil || !oauth.Within(strings.Join(a.Client.Scopes, " "), a.Scope) {
				t.Fatalf("let through: %+v", a)
			}
		case errors.As(err, &e):
			to = e.To
		default:
			t.Fatalf("an error of another type: %v", err)
		}
		if to == nil {
			return
		}
		client := clients.Client(form.Get("client_id"))
		if client == nil || !client.RedirectsTo(to.RedirectURI) || to.RedirectURI != form.Get("redirect_uri") || len(to.State) > 2048 {
			t.Fatalf("answers to %q of %v", to.RedirectURI, client)
		}
	})
}

func TestNeed(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	user := func(ago time.Duration, acr string) *oauth.Login { return &oauth.Login{Time: now.Add(-ago), ACR: acr} }
	for _, tt := range []struct {
		name  string
		query string
		user  *oauth.Login
		since time.Time
		want  oauth.Need
	}{
		{"nobody", query(), nil, time.Time{}, oauth.Authentication},
		{"somebody", query(), user(time.Hour, "aal1"), time.Time{}, oauth.Nothing},
		{"before levels were known", query(), user(time.Hour, ""), time.Time{}, oauth.Nothing},
		{"prompt=login", query("prompt=login"), user(0, "aal1"), time.Time{}, oauth.Authentication},
		{"prompt=login, and came back without", query("prompt=login"), user(time.Hour, "aal1"), now.Add(-time.Minute), oauth.Authentication},
		{"prompt=login, done", query("prompt=login"), user(time.Second, "aal1"), now.Add(-time.Minute), oauth.Nothing},
		{"too old", query("max_age=60"), user(61*time.Second, "aal1"), time.Time{}, oauth.Authentication},
		{"young enough", query("max_age=60"), user(60*time.Second, "aal1"), time.Time{}, oauth.Nothing},
		{"max_age=0, done", query("max_age=0"), user(3*time.Second, "aal1"), now.Add(-3 * time.Second), oauth.Nothing},
		{"one factor of two", query("acr_values=aal2"), user(time.Hour, "aal1"), time.Time{}, oauth.SecondFactor},
		{"two factors", query("acr_values=aal2"), user(time.Hour, "aal2"), time.Time{}, oauth.Nothing},
		{"more than asked for", query("acr_values=aal1"), user(time.Hour, "aal2"), time.Time{}, oauth.Nothing},
		{"has no second factor", query("acr_values=aal2"), user(time.Second, "aal1"), now.Add(-time.Minute), oauth.Impossible},
		{"the client wants two", query("client_id=bank"), user(time.Hour, "aal1"), time.Time{}, oauth.SecondFactor},
	} {
		a, err := parse(t, tt.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Need(tt.user, tt.since, now); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
