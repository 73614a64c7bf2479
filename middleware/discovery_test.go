package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// newGuard makes a guard that finds the issuer over HTTP, and ends with the test.
func newGuard(t *testing.T, issuerURL string, opts middleware.Options) *middleware.Guard {
	t.Helper()
	if opts.Audience == "" {
		opts.Audience = "orders"
	}
	g, err := middleware.New(context.Background(), issuerURL, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// eventually asks until the answer has this status.
func eventually(t *testing.T, want int, status func() int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	have := status()
	for ; have != want; have = status() {
		if time.Now().After(deadline) {
			t.Fatalf("still %d after 30 s, want %d", have, want)
		}
		time.Sleep(time.Millisecond)
	}
}

// intercept answers the requests to one path itself and passes the others on.
type intercept struct {
	path    string
	handler atomic.Pointer[http.HandlerFunc] // nil passes on these too
}

func (i *intercept) now(h http.HandlerFunc) {
	if h == nil {
		i.handler.Store(nil)
		return
	}
	i.handler.Store(&h)
}

func (i *intercept) RoundTrip(r *http.Request) (*http.Response, error) {
	h := i.handler.Load()
	if h == nil || !strings.HasSuffix(r.URL.Path, i.path) {
		return http.DefaultTransport.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	(*h)(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func hang(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestGuardFindsEverythingByDiscovery(t *testing.T) {
	issuer := newIssuer(t)
	guard := newGuard(t, issuer.URL, middleware.Options{})
	raw := issuer.Mint(token.Claims{SessionID: "s1"})
	if status := statusOf(guard, raw); status != http.StatusOK { // at once: New waited for keys and revocations
		t.Fatalf("a good token: %d", status)
	}
	st := guard.Status()
	if !st.Found || len(st.Keys.KeyIDs) != 1 || !st.Revocations.Fresh {
		t.Errorf("status %+v", st)
	}

	issuer.Revoke(revocation.Session, "s1")
	eventually(t, http.StatusUnauthorized, func() int { return statusOf(guard, raw) })

	issuer.Rotate()
	next := issuer.Mint(token.Claims{})
	eventually(t, http.StatusOK, func() int { return statusOf(guard, next) })

	guard.Close()
	if status := statusOf(guard, next); status != http.StatusServiceUnavailable {
		t.Errorf("after Close: %d", status)
	}
}

func TestGuardEndsWithItsContext(t *testing.T) {
	issuer := newIssuer(t)
	ctx, cancel := context.WithCancel(t.Context())
	guard, err := middleware.New(ctx, issuer.URL, middleware.Options{Audience: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	guard.Close() // only waits
	if status := statusOf(guard, issuer.Mint(token.Claims{})); status != http.StatusServiceUnavailable {
		t.Errorf("have %d", status)
	}
}

// A cut-off guard says that it cannot tell, except on routes that bear it.
func TestGuardWhenTheIssuerDies(t *testing.T) {
	issuer := newIssuer(t)
	guard := newGuard(t, issuer.URL, middleware.Options{MaxStaleness: time.Second})
	raw, other := issuer.Mint(token.Claims{}), issuer.Mint(token.Claims{})
	issuer.Close()
	eventually(t, http.StatusServiceUnavailable, func() int { return statusOf(guard, raw) })
	for _, raw := range []string{raw, other} { // seen before, and new
		if status := statusOf(guard, raw, middleware.Stale(time.Hour)); status != http.StatusOK {
			t.Errorf("stale route: %d", status)
		}
		if status := statusOf(guard, raw, middleware.Online()); status != http.StatusServiceUnavailable {
			t.Errorf("online route: %d", status)
		}
	}
}

func TestNewWithADeadIssuer(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"failing":     answer(http.StatusBadGateway, ""),
		"hanging":     hang,
		"redirecting": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			dead := &intercept{path: "/.well-known/oauth-authorization-server"}
			dead.now(handler)
			g, err := middleware.New(t.Context(), "http://127.0.0.1:1", middleware.Options{
				Audience: "orders", StartTimeout: 50 * time.Millisecond, Client: &http.Client{Transport: dead},
			})
			if g != nil || err == nil {
				t.Fatalf("have %v, %v", g, err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		_, err := middleware.New(t.Context(), "http://127.0.0.1:1", middleware.Options{
			Audience: "orders", StartTimeout: 50 * time.Millisecond,
		})
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Fatalf("have %v", err)
		}
	})
}

// New also fails when the metadata are there and what they lead to is not.
func TestNewWithoutKeysOrRevocations(t *testing.T) {
	issuer := newIssuer(t)
	for _, path := range []string{"/jwks.json", "/v1/revocations"} {
		broken := &intercept{path: path}
		broken.now(answer(http.StatusInternalServerError, ""))
		_, err := middleware.New(t.Context(), issuer.URL, middleware.Options{
			Audience: "orders", StartTimeout: 200 * time.Millisecond, Client: &http.Client{Transport: broken},
		})
		if err == nil || !strings.Contains(err.Error(), "did not come") {
			t.Errorf("without %s: %v", path, err)
		}
	}
}

// An issuer that starts later than the service does no harm.
func TestLazyGuard(t *testing.T) {
	issuer := newIssuer(t)
	starting := &intercept{path: "/.well-known/oauth-authorization-server"}
	starting.now(answer(http.StatusNotFound, ""))
	guard := newGuard(t, issuer.URL, middleware.Options{Lazy: true, Client: &http.Client{Transport: starting}})
	raw := issuer.Mint(token.Claims{})
	if status := statusOf(guard, raw); status != http.StatusServiceUnavailable {
		t.Errorf("before the issuer: %d", status)
	}
	if guard.Status().Found {
		t.Error("found an issuer that is not there")
	}
	select {
	case <-guard.Ready():
		t.Error("ready before the issuer")
	default:
	}
	starting.now(nil)
	<-guard.Ready()
	if status := statusOf(guard, raw); status != http.StatusOK {
		t.Errorf("with the issuer: %d", status)
	}
}

func TestLazyGuardThatNeverFinds(t *testing.T) {
	guard, err := middleware.New(t.Context(), "http://127.0.0.1:1", middleware.Options{Audience: "orders", Lazy: true})
	if err != nil {
		t.Fatal(err)
	}
	guard.Close() // returns, and goleak finds nothing left
}

// Metadata that can never be right are an error at once, not after StartTimeout.
func TestMetadataRefused(t *testing.T) {
	const https, http1 = "https://issuer.test", "http://127.0.0.1:1"
	doc := func(issuer, jwks, feed string) string {
		return `{"issuer":"` + issuer + `","jwks_uri":"` + jwks + `","revocation_feed_uri":"` + feed + `"}`
	}
	for name, c := range map[string]struct{ issuer, doc, want string }{
		"HTML":             {https, "<html>", "not JSON"},
		"too long":         {https, `{"x":"` + strings.Repeat("x", 1<<16) + `"}`, "not JSON"},
		"empty":            {https, "{}", "not exactly"},
		"another issuer":   {https, doc("https://evil.test", https+"/jwks", https+"/feed"), "not exactly"},
		"a slash more":     {https, doc(https+"/", https+"/jwks", https+"/feed"), "not exactly"},
		"no keys":          {https, doc(https, "", https+"/feed"), "no jwks_uri"},
		"no feed":          {https, doc(https, https+"/jwks", ""), "no revocation_feed_uri"},
		"relative":         {https, doc(https, "/jwks", https+"/feed"), "jwks_uri is not"},
		"a file":           {https, doc(https, "file:///etc/passwd", https+"/feed"), "jwks_uri is not"},
		"user information": {https, doc(https, "https://a:b@issuer.test/jwks", https+"/feed"), "jwks_uri is not"},
		"keys by http":     {https, doc(https, "http://issuer.test/jwks", https+"/feed"), "jwks_uri is http"},
		"feed by http":     {https, doc(https, https+"/jwks", "http://issuer.test/feed"), "revocation_feed_uri is http"},
		"feed of no kind":  {http1, doc(http1, http1+"/jwks", "gopher://x/"), "revocation_feed_uri is not"},
	} {
		t.Run(name, func(t *testing.T) {
			page := &intercept{path: "/.well-known/oauth-authorization-server"}
			page.now(answer(http.StatusOK, c.doc))
			_, err := middleware.New(t.Context(), c.issuer, middleware.Options{
				Audience: "orders", StartTimeout: time.Hour, Client: &http.Client{Transport: page},
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("have %v, want an error with %q", err, c.want)
			}
		})
	}
}

// The metadata of an issuer with a path lie below that path, and http beyond loopback must be asked for.
func TestMetadataURL(t *testing.T) {
	var asked atomic.Value
	page := &intercept{path: ""}
	page.now(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		answer(http.StatusOK, "{}")(w, r)
	})
	for issuer, want := range map[string]string{
		"https://issuer.test/auth":  "https://issuer.test/auth/.well-known/oauth-authorization-server",
		"https://issuer.test/auth/": "https://issuer.test/auth/.well-known/oauth-authorization-server",
		"http://issuer.test":        "http://issuer.test/.well-known/oauth-authorization-server",
	} {
		_, err := middleware.New(t.Context(), issuer, middleware.Options{
			Audience: "orders", InsecureIssuer: true, Client: &http.Client{Transport: page},
		})
		if err == nil || asked.Load() != want {
			t.Errorf("%s: asked %v (%v), want %s", issuer, asked.Load(), err, want)
		}
	}
}
