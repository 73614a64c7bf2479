package httpapi

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// What these targets try are the parsers of what strangers send, except those of bodies (jsonobject) and tokens (token).

// fuzzRequest is one with these lines as the values of one header.
func fuzzRequest(name, lines string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header[name] = strings.Split(lines, "\n")
	return r
}

// A token is taken only from one header of the one form, and whole.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer a.b.c", "bearer  a", "Bearer a\nBearer b", "", "Bearer ", "Basic YTpi", "Bearer\ta", "Bearer a, Bearer b", "\nBearer a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		raw, err := bearer(fuzzRequest(echo.HeaderAuthorization, lines))
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

// A cookie is taken only if there is one of its name, and never with characters that end it.
func FuzzCookie(f *testing.F) {
	for _, seed := range []string{"__Host-authd_access=a", "a=b; __Host-authd_access=c", "__Host-authd_access=a; __Host-authd_access=b", `__Host-authd_access="a"`, "__host-authd_access=a", "__Host-authd_access", "=;;="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		value, err := cookie(fuzzRequest("Cookie", lines), accessCookie)
		if err != nil || value == "" {
			return
		}
		if strings.ContainsAny(value, ";\"\\\r\n\x00") || !strings.Contains(lines, accessCookie+"=") || !strings.Contains(lines, value) {
			t.Errorf("%q gives %q", lines, value)
		}
	})
}

// Forms are read as net/url reads them.
func FuzzFormPair(f *testing.F) {
	for _, seed := range []string{"token=a.b.c", "token=a%2Eb", "to%6Ben=a+b", "token", "=", "token=a=b", "token=%zz", "token=a;b", "token_type_hint=access_token", "token=%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pair string) {
		if strings.Contains(pair, "&") {
			return // separates pairs
		}
		name, value, err := formPair(pair)
		want, wantErr := url.ParseQuery(pair)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, net/url says %v", pair, err, wantErr)
		}
		if err == nil && pair != "" && (!want.Has(name) || want.Get(name) != value) {
			t.Errorf("%q is %q = %q, net/url says %v", pair, name, value, want)
		}
	})
}

// A client is let in by its own credentials only.
func FuzzClientCredentials(f *testing.F) {
	for _, seed := range []string{"Basic b3JkZXJzOnNlY3JldA==", "basic b3JkZXJzOnNlY3JldA==", "Basic b3JkZXJzOnNlY3JldA", "Basic Og==", "Basic b3JkZXJz", "Basic", "Bearer b3JkZXJzOnNlY3JldA==", "Basic b3JkZXJzOnNlY3JldCUwMA==", "Basic JTZmcmRlcnM6c2VjcmV0"} {
		f.Add(seed)
	}
	p := &public{clients: map[string][sha256.Size]byte{"orders": sha256.Sum256([]byte("secret"))}}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodPost, pathIntrospect, nil)
		r.Header[echo.HeaderAuthorization] = []string{header}
		id := p.clientID(&exchange{Context: echo.New().NewContext(r, httptest.NewRecorder())})
		if id == "" {
			return
		}
		name, password, ok := r.BasicAuth()
		name, err1 := url.QueryUnescape(name)
		password, err2 := url.QueryUnescape(password)
		if id != "orders" || !ok || err1 != nil || err2 != nil || name != "orders" || password != "secret" {
			t.Errorf("%q lets %q in", header, id)
		}
	})
}

// Whatever proxies write, the client's address is one, or nothing, and without a trusted proxy it is the connection's.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{"192.0.2.1", "192.0.2.1, 10.0.0.1", "10.0.0.1\n192.0.2.1", "[2001:db8::1]", "2001:db8::1%eth0", "for=192.0.2.1", "", ",", "unknown", "127.0.0.1:80", " 192.0.2.1 "} {
		f.Add(seed)
	}
	direct, trusting := clientAddress(nil), clientAddress([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.Fuzz(func(t *testing.T, lines string) {
		r := fuzzRequest(echo.HeaderXForwardedFor, lines)
		r.RemoteAddr = "10.0.0.9:1234"
		if got := direct(r); got != "10.0.0.9" {
			t.Errorf("%q makes %q of the connection", lines, got)
		}
		got := trusting(r)
		if _, err := netip.ParseAddr(got); err != nil {
			t.Errorf("%q gives %q", lines, got)
		}
		r.RemoteAddr = "192.0.2.66:1234" // not trusted
		if got := trusting(r); got != "192.0.2.66" {
			t.Errorf("%q of a stranger gives %q", lines, got)
		}
	})
}

// A request's identifier goes into headers and logs.
func FuzzRequestID(f *testing.F) {
	for _, seed := range []string{"0123456789abcdef", "a.b-c_d", "", "a b", "a\r\nb", "é", strings.Repeat("a", 65)} {
		f.Add(seed)
	}
	s := &site{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, id string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.9:1234"
		r.Header[echo.HeaderXRequestID] = []string{id}
		got := s.requestID(r)
		if len(got) == 0 || len(got) > 64 || strings.ContainsFunc(got, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`"\<>%`, c) }) {
			t.Errorf("%q becomes %q", id, got)
		}
	})
}

// What forward authentication puts into a header can be read back, and needs no quoting.
func FuzzHeaderValue(f *testing.F) {
	for _, seed := range []string{"alice", "a b", "a%20b", "a\r\nX: y", "é", "\x00", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := headerValue(s)
		back, err := url.PathUnescape(got)
		if err != nil || back != s && utf8.ValidString(s) || strings.ContainsFunc(got, mustBeEncoded) {
			t.Errorf("%q becomes %q and comes back as %q, %v", s, got, back, err)
		}
	})
}

func mustBeEncoded(r rune) bool { return r <= ' ' || r > '~' }
