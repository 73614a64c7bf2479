package oauth_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/oauth"
)

const secret = "c29tZSBzZWNyZXQgb2YgMTI4IGJpdHM"

func digests(secrets ...string) (d [][sha256.Size]byte) {
	for _, s := range secrets {
		d = append(d, sha256.Sum256([]byte(s)))
	}
	return d
}

// shop is a client of a web server.
func shop() oauth.Client {
	return oauth.Client{
		ID: "shop", SecretSHA256: digests(secret), Scopes: []string{"openid", "profile", "orders:read", "orders:write"},
		RedirectURIs: []string{"https://shop.example/callback", "https://shop.example/callback?tenant=a"},
	}
}

// till is a native program.
func till() oauth.Client {
	return oauth.Client{
		ID: "till", Public: true, Native: true, Scopes: []string{"openid"},
		RedirectURIs: []string{
			"http://127.0.0.1/callback", "http://[::1]:8000/callback?x=1", "http://localhost/callback", "example.till:/callback",
		},
	}
}

func TestClientsThatAreFine(t *testing.T) {
	batch := oauth.Client{ID: "batch", SecretSHA256: digests("a", "b"), GrantTypes: []string{oauth.GrantClientCredentials}}
	stock := oauth.Client{
		ID: "stock", SecretSHA256: digests("a"), GrantTypes: []string{oauth.GrantExchange}, ExchangeAudiences: []string{"orders"},
	}
	registry, err := oauth.NewRegistry([]oauth.Client{shop(), till(), batch, stock})
	if err != nil {
		t.Fatal(err)
	}
	if registry.Client("shop").ID != "shop" || registry.Client("nobody") != nil || registry.Empty() {
		t.Error("the registry finds other clients than it was given")
	}
}

func TestClientsThatAreWrong(t *testing.T) {
	for want, change := range map[string]func(*oauth.Client){
		"id":                   func(c *oauth.Client) { c.ID = "a:b" },
		"id: must":             func(c *oauth.Client) { c.ID = "" },
		"public":               func(c *oauth.Client) { c.SecretSHA256 = nil },
		"a client has secrets": func(c *oauth.Client) { c.Public = true },
		"of no secret":         func(c *oauth.Client) { c.SecretSHA256 = digests("") },
		"one is of no secret":  func(c *oauth.Client) { c.SecretSHA256 = [][32]byte{{}} },
		"grant types":          func(c *oauth.Client) { c.GrantTypes = []string{"password", oauth.GrantCode} },
		"cannot act for itself": func(c *oauth.Client) {
			*c = till()
			c.GrantTypes = []string{oauth.GrantClientCredentials, oauth.GrantCode}
		},
		"cannot exchange":             func(c *oauth.Client) { *c = till(); c.GrantTypes = []string{oauth.GrantExchange, oauth.GrantCode} },
		"redirect URIs: at least one": func(c *oauth.Client) { c.RedirectURIs = nil },
		"for nothing else":            func(c *oauth.Client) { c.GrantTypes = []string{oauth.GrantClientCredentials} },
		"exchange audiences":          func(c *oauth.Client) { c.ExchangeAudiences = []string{"x"} },
		"scopes":                      func(c *oauth.Client) { c.Scopes = []string{"a b"} },
		"audiences":                   func(c *oauth.Client) { c.Audiences = []string{""} },
		"acr":                         func(c *oauth.Client) { c.ACR = "aal3" },
		"more than 64":                func(c *oauth.Client) { c.Scopes = strings.Fields(strings.Repeat("a ", 65)) },
		"post-logout":                 func(c *oauth.Client) { c.PostLogoutRedirectURIs = []string{"http://shop.example/"} },
		"back-channel": func(c *oauth.Client) {
			c.BackchannelLogoutURI = "https://shop.example/#x"
		},
	} {
		c := shop()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestEveryProblemIsReported(t *testing.T) {
	broken := shop()
	broken.Scopes, broken.RedirectURIs, broken.ACR = []string{"a b"}, []string{"http://shop.example/"}, "x"
	_, err := oauth.NewRegistry([]oauth.Client{shop(), broken})
	for _, want := range []string{"given twice", "scopes", "redirect URI", "acr"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %q is missing", err, want)
		}
	}
}

func TestRedirectURIsThatNobodyMayHave(t *testing.T) {
	for _, uri := range []string{
		"", "/callback", "//shop.example/", "http://shop.example/", "https:///callback", "https:callback", "javascript:alert(1)",
		"data:text/html,x", "file:///etc/passwd", "https://shop.example/#fragment", "https://shop.example/#", "https://*.example/",
		"https://user@shop.example/", "https://user:pw@shop.example/", `https://shop.example\@evil.example/`, "https://shop.example/ x",
		"https://shop.example/\n", "https://shöp.example/", "https://shop.example/%zz", "com.example.app:/callback",
		"https://" + strings.Repeat("a", 1100), "HTTP://shop.example/", "https://[::1", `https://shop.example/"x`,
	} {
		c := shop()
		c.RedirectURIs = []string{uri}
		if err := c.Validate(); err == nil {
			t.Errorf("%q is allowed", uri)
		}
	}
	native := till()
	native.RedirectURIs = []string{"javascript:alert(1)", "till:/callback"}
	if err := native.Validate(); err == nil {
		t.Error("a scheme that is no reversed domain name is allowed")
	}
}

func TestHasSecret(t *testing.T) {
	c := shop()
	c.SecretSHA256 = digests("first", "second")
	for given, want := range map[string]bool{"first": true, "second": true, "": false, "third": false, "firs": false} {
		if c.HasSecret(given) != want {
			t.Errorf("%q: %v", given, !want)
		}
	}
	public := till()
	if public.HasSecret("") {
		t.Error("a public client has the empty secret")
	}
}

func TestScopes(t *testing.T) {
	c := shop()
	for _, tt := range []struct {
		asked, granted string
		ok, exact      bool
	}{
		{"", "orders:read orders:write", true, true},
		{"openid", "openid", true, true},
		{"openid email orders:read", "openid orders:read", true, false},
		{"openid openid", "openid", true, true},
		{"email", "", false, false},
	} {
		granted, ok := c.GrantedScope(tt.asked)
		if ok != tt.ok || ok && granted != tt.granted {
			t.Errorf("%q: granted %q, %v; want %q, %v", tt.asked, granted, ok, tt.granted, tt.ok)
		}
		if _, exact := c.ExactScope(tt.asked); exact != tt.exact {
			t.Errorf("%q: exactly: %v", tt.asked, exact)
		}
	}
	if oauth.Within("a b", "a c") || !oauth.Within("a b", "b a") || !oauth.Within("", "") || oauth.HasScope("ab c", "a") {
		t.Error("words of a scope are compared as something else")
	}
}

func TestExchangedAudience(t *testing.T) {
	c := oauth.Client{ExchangeAudiences: []string{"orders", "stock"}}
	for _, tt := range []struct {
		asked, want []string
		ok          bool
	}{
		{nil, nil, false},
		{[]string{"stock"}, []string{"stock"}, true},
		{[]string{"stock", "orders"}, []string{"stock", "orders"}, true},
		{[]string{"stock", "mail"}, nil, false},
	} {
		if got, ok := c.ExchangedAudience(tt.asked); ok != tt.ok || ok && !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, %v", tt.asked, got, ok)
		}
	}
	c.ExchangeAudiences = []string{"orders"}
	if got, ok := c.ExchangedAudience(nil); !ok || !slices.Equal(got, c.ExchangeAudiences) {
		t.Errorf("without one: %v, %v", got, ok)
	}
}
