package echomw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/echomw"
	"github.com/authd-project/authd/middleware/internal/surfacetest"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts an echo server with one guarded route, which answers the subject of its claims.
func serve(t *testing.T, guard *middleware.Guard, opts ...middleware.Option) *httptest.Server {
	e := echo.New()
	e.GET("/of/:owner", func(c echo.Context) error {
		claims, ok := echomw.Claims(c)
		same, _ := middleware.ClaimsFrom(c.Request().Context())
		if !ok || claims != same {
			return errors.New("no claims behind the guard")
		}
		return c.String(http.StatusOK, claims.Subject)
	}, echomw.Require(guard, opts...))
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return s
}

// get asks a server, with these Authorization headers.
func get(t *testing.T, url string, authorization ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Authorization"] = authorization
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// Echo's answers are those of net/http, to the byte.
func TestRequire(t *testing.T) {
	surfacetest.Run(t, func(t *testing.T, guard *middleware.Guard, opts ...middleware.Option) func(...string) surfacetest.Reply {
		server := serve(t, guard, opts...)
		plain := httptest.NewServer(guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), opts...))
		t.Cleanup(plain.Close)
		return func(authorization ...string) surfacetest.Reply {
			want, wantBody := get(t, plain.URL, authorization...)
			resp, body := get(t, server.URL+"/of/alice", authorization...)
			if resp.StatusCode == http.StatusOK {
				return surfacetest.Reply{Status: resp.StatusCode, Header: resp.Header, Subject: body}
			}
			if resp.StatusCode != want.StatusCode || body != wantBody {
				t.Errorf("echo answers %d %s, net/http %d %s", resp.StatusCode, body, want.StatusCode, wantBody)
			}
			for _, name := range []string{"WWW-Authenticate", "Retry-After", "Content-Type", "Cache-Control", "Content-Length"} {
				if have, want := resp.Header.Get(name), want.Header.Get(name); have != want {
					t.Errorf("%s: echo answers %q, net/http %q", name, have, want)
				}
			}
			return surfacetest.Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}
		}
	})
}

// A check finds echo's context, with the parameters of the path, and the request.
func TestContextFrom(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	check := middleware.Check(func(ctx context.Context, claims *token.Claims) error {
		c, ok := echomw.ContextFrom(ctx)
		if r, found := middleware.RequestFrom(ctx); !ok || !found || r != c.Request() {
			return token.ErrUnavailable
		}
		if c.Param("owner") != claims.Subject {
			return errors.New("somebody else's")
		}
		return nil
	})
	guard := issuer.Guard(middleware.Options{})
	server := serve(t, guard, check)
	raw := issuer.Mint(token.Claims{Subject: "bob"})
	for path, want := range map[string]int{"/of/bob": 200, "/of/alice": 403} {
		if resp, body := get(t, server.URL+path, "Bearer "+raw); resp.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
	if _, err := guard.Verify(t.Context(), raw, check); !errors.Is(err, token.ErrUnavailable) {
		t.Errorf("without echo: %v", err)
	}
}

// A refusal is seen by the middleware around it, is not answered a second time, and reaches no handler.
func TestRefusalInsideOtherMiddleware(t *testing.T) {
	guard := middlewaretest.NewOffline("orders").Guard(middleware.Options{})
	e := echo.New()
	var status int
	e.HTTPErrorHandler = func(err error, _ echo.Context) { t.Errorf("echo was given %v", err) }
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			status = c.Response().Status
			return err
		}
	})
	e.Group("/orders", echomw.Require(guard)).GET("", func(echo.Context) error {
		t.Error("the handler was reached")
		return nil
	})
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/orders", nil))
	if status != http.StatusUnauthorized || w.Code != status {
		t.Errorf("the middleware saw %d, the client %d", status, w.Code)
	}
}

// An online route hears of a logout from an issuer on the network at once.
func TestOnline(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	guard, err := middleware.New(t.Context(), issuer.URL, middleware.Options{Audience: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	defer guard.Close()
	server := serve(t, guard, middleware.Online())
	raw := issuer.Mint(token.Claims{})
	if resp, body := get(t, server.URL+"/of/alice", "Bearer "+raw); resp.StatusCode != http.StatusOK {
		t.Errorf("before the logout: %d %s", resp.StatusCode, body)
	}
	issuer.Logout(raw)
	if resp, body := get(t, server.URL+"/of/alice", "Bearer "+raw); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the logout: %d %s", resp.StatusCode, body)
	}
}

// What net/http's answers bring beside a decision, echo's bring too: the nonce for the next proof of DPoP.
func TestNonce(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{DPoP: middleware.DPoPOptions{Nonces: dpop.NewNonces(dpop.OwnNonceKey(), 0)}})
	server := serve(t, guard)
	for want, authorization := range map[int]string{200: "Bearer " + issuer.Mint(token.Claims{}), 401: "Bearer garbage"} {
		resp, body := get(t, server.URL+"/of/alice", authorization)
		if resp.StatusCode != want || resp.Header.Get("DPoP-Nonce") == "" {
			t.Errorf("%d %s with the header %v", resp.StatusCode, body, resp.Header)
		}
	}
}

// The context of a request that goes on for long ends at the logout.
func TestWhileValid(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	raw := issuer.Mint(token.Claims{})
	e := echo.New()
	e.GET("/", func(c echo.Context) error {
		issuer.Logout(raw)
		<-c.Request().Context().Done()
		return context.Cause(c.Request().Context())
	}, echomw.Require(issuer.Guard(middleware.Options{}), middleware.WhileValid()))
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if !errors.Is(err, token.ErrRevoked) {
			t.Errorf("ended by %v", err)
		}
		c.Response().WriteHeader(http.StatusTeapot)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	e.ServeHTTP(w, r)
	if w.Code != http.StatusTeapot { // by echo's own way with errors of handlers
		t.Errorf("answered %d", w.Code)
	}
}
