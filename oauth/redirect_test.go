package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/oauth"
)

// research: RFC 9700 section 4.1 lists how redirect URIs that are nearly right were let through.
func TestRedirectsAreExact(t *testing.T) {
	c := shop()
	for _, uri := range c.RedirectURIs {
		if !c.RedirectsTo(uri) {
			t.Errorf("%s is refused", uri)
		}
	}
	for _, uri := range []string{
		"", "https://shop.example/callback/", "https://shop.example/callback?", "https://shop.example/callback#",
		"https://shop.example/callback?tenant=b", "https://shop.example/callback?tenant=a&x=y", "https://SHOP.example/callback",
		"HTTPS://shop.example/callback", "https://shop.example:443/callback", "https://shop.example/%63allback",
		"https://shop.example/a/../callback", "https://shop.example//callback", "http://shop.example/callback",
		"https://shop.example.evil.example/callback", "https://evil.example/https://shop.example/callback",
		"https://shop.example@evil.example/callback", "https://shop.example\\@evil.example/callback",
		"https://shop.example/callback\n", " https://shop.example/callback", "https://shop.example/callback%00",
		"//shop.example/callback", "/callback", "https://shop.example", "https://www.shop.example/callback",
	} {
		if c.RedirectsTo(uri) {
			t.Errorf("%q is let through", uri)
		}
	}
}

func TestLoopbackPorts(t *testing.T) {
	c := till()
	for _, uri := range []string{
		"http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback",
		"http://[::1]/callback?x=1", "http://[::1]:51234/callback?x=1", "example.till:/callback", "http://localhost/callback",
	} {
		if !c.RedirectsTo(uri) {
			t.Errorf("%s is refused", uri)
		}
	}
	for _, uri := range []string{
		"http://127.0.0.1:/callback", "http://127.0.0.1:123456/callback", "http://127.0.0.1:1", "http://127.0.0.1:1/other",
		"http://127.0.0.1:1@evil.example/callback", "http://127.0.0.1.evil.example/callback", "http://127.0.0.1:1.evil.example/callback",
		"http://127.0.0.2:1/callback", "http://[::1]:1/callback", "http://localhost:1/callback", "https://127.0.0.1:1/callback",
		"http://127.0.0.1:1x/callback", "http://127.0.0.1:1\\@evil.example/callback", "http://127.0.0.1callback", "http://127.0.0.1:1#/callback",
	} {
		if c.RedirectsTo(uri) {
			t.Errorf("%q is let through", uri)
		}
	}
	c.Native = false
	if c.RedirectsTo("http://127.0.0.1:1/callback") {
		t.Error("a client that is not native may choose the port")
	}
}

// Whatever is let through leads to the host that was registered, by the URL parser that browsers are closest to.
func FuzzRedirectsTo(f *testing.F) {
	c := till()
	for _, uri := range append(c.RedirectURIs, "http://127.0.0.1:9/callback", "http://127.0.0.1:9@evil/callback", "http://[::1]:1/callback?x=1") {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if !c.RedirectsTo(uri) || strings.HasPrefix(uri, "example.till:") {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "http" || u.User != nil || u.Path != "/callback" || u.Fragment != "" {
			t.Fatalf("%q is let through: %v, %v", uri, u, err)
		}
		if host := u.Hostname(); host != "127.0.0.1" && host != "::1" && uri != "http://localhost/callback" {
			t.Fatalf("%q leads to %s", uri, host)
		}
	})
}

// Nothing that a client sends can break out of its parameter.
func TestRedirectKeepsParametersApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]string{"https://shop.example/callback", "https://shop.example/callback?tenant=a", "example.till:/callback"}).Draw(t, "base")
		state, code := rapid.String().Draw(t, "state"), rapid.String().Draw(t, "code")
		got := oauth.Redirect(base, [2]string{"code", code}, [2]string{"state", state}, [2]string{"iss", "https://auth.example"})
		if !strings.HasPrefix(got, base) {
			t.Fatalf("%q does not begin with %q", got, base)
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || q.Get("code") != code || q.Get("state") != state || q.Get("iss") != "https://auth.example" {
			t.Fatalf("%q: %v, %v", got, q, err)
		}
		if q.Has("state") != (state != "") || strings.Contains(base, "tenant") != (q.Get("tenant") == "a") {
			t.Fatalf("%q has other parameters: %v", got, q)
		}
	})
}
