package middleware

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// A token is taken only from one header of the one form, and whole.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer a.b.c", "bearer  a", "Bearer a\nBearer b", "", "Bearer ", "Basic YTpi", "Bearer\ta", "Bearer a, Bearer b", "\nBearer a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		raw, err := bearer(strings.Split(lines, "\n"))
		if err != nil {
			if raw != "" {
				t.Errorf("refused, but with the token %q", raw)
			}
			return
		}
		scheme, rest := lines[:min(len(lines), len("Bearer"))], lines[min(len(lines), len("Bearer")):]
		if strings.Contains(lines, "\n") || !strings.EqualFold(scheme, "Bearer") || raw == "" || strings.TrimLeft(rest, " ") != raw || rest[0] != ' ' {
			t.Errorf("%q gives the token %q", lines, raw)
		}
	})
}

// Metadata that is believed names the issuer exactly, and sends nobody anywhere less safe than the issuer is.
func FuzzMetadata(f *testing.F) {
	const issuer = "https://auth.example.com"
	f.Add([]byte(`{"issuer":"https://auth.example.com","jwks_uri":"https://auth.example.com/jwks","revocation_feed_uri":"https://auth.example.com/feed"}`))
	f.Add([]byte(`{"issuer":"https://auth.example.com","jwks_uri":"http://auth.example.com/jwks","revocation_feed_uri":"https://auth.example.com/feed"}`))
	f.Add([]byte(`{"issuer":"https://auth.example.com/","jwks_uri":"//x","revocation_feed_uri":"file:///etc/passwd"}`))
	f.Add([]byte(`null`))
	d := discoverer{issuer: issuer}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var m metadata
		if json.Unmarshal(doc, &m) != nil || d.check(m) != nil {
			return
		}
		if m.Issuer != issuer {
			t.Errorf("believed %q", doc)
		}
		for _, s := range []string{m.JWKS, m.RevocationFeed} {
			if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
				t.Errorf("would ask %q", s)
			}
		}
	})
}
