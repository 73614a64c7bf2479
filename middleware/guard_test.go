package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

func newIssuer(t testing.TB) *middlewaretest.Issuer {
	i := middlewaretest.NewIssuer("orders")
	t.Cleanup(i.Close)
	return i
}

// whoami answers the subject of the claims that the guard left.
func whoami(w http.ResponseWriter, r *http.Request) {
	claims, ok := middleware.ClaimsFrom(r.Context())
	if !ok {
		http.Error(w, "no claims behind the guard", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte(claims.Subject))
}

// ask sends a request with these Authorization headers through the guard.
func ask(g *middleware.Guard, authorization []string, opts ...middleware.Option) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	w := httptest.NewRecorder()
	g.Handler(http.HandlerFunc(whoami), opts...).ServeHTTP(w, r)
	return w
}

// statusOf is the status that a token is answered with.
func statusOf(g *middleware.Guard, raw string, opts ...middleware.Option) int {
	return ask(g, []string{"Bearer " + raw}, opts...).Code
}

// recorder is an Observer that keeps the decisions.
type recorder struct {
	mu        sync.Mutex
	decisions []middleware.Decision
}

func (r *recorder) Decided(_ context.Context, d middleware.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decisions = append(r.decisions, d)
}

func (r *recorder) last() middleware.Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.decisions[len(r.decisions)-1]
}

const (
	bare    = `Bearer realm="orders"`
	invalid = bare + `, error="invalid_token", error_description="The access token is not valid."`
)

func TestRefusals(t *testing.T) {
	issuer, other := newIssuer(t), newIssuer(t)
	var seen recorder
	guard := issuer.Guard(middleware.Options{Observer: &seen})
	now := time.Now()
	good := issuer.Mint(token.Claims{})
	revoked := issuer.Mint(token.Claims{SessionID: "ended"})
	issuer.Revoke(revocation.Session, "ended")

	for name, c := range map[string]struct {
		authorization []string
		opts          []middleware.Option
		status        int
		challenge     string
		outcome       middleware.Outcome
	}{
		"nothing":       {nil, nil, 401, bare, middleware.NoCredentials},
		"empty":         {[]string{""}, nil, 401, bare, middleware.NoCredentials},
		"other scheme":  {[]string{"Basic " + good}, nil, 401, bare, middleware.NoCredentials},
		"token only":    {[]string{good}, nil, 401, bare, middleware.NoCredentials},
		"scheme only":   {[]string{"Bearer"}, nil, 401, bare, middleware.NoCredentials},
		"no token":      {[]string{"Bearer  "}, nil, 401, bare, middleware.NoCredentials},
		"other spacing": {[]string{"Bearer\t" + good}, nil, 401, bare, middleware.NoCredentials},
		"two headers": {[]string{"Bearer " + good, "Bearer " + good}, nil, 400,
			bare + `, error="invalid_request", error_description="There must be one set of credentials."`, middleware.BadRequest},
		"two schemes": {[]string{"Basic eDp5", "Bearer " + good}, nil, 400,
			bare + `, error="invalid_request", error_description="There must be one set of credentials."`, middleware.BadRequest},
		"two tokens in one":  {[]string{"Bearer " + good + ", Bearer " + good}, nil, 401, invalid, middleware.Malformed},
		"garbage":            {[]string{"Bearer garbage"}, nil, 401, invalid, middleware.Malformed},
		"another issuer's":   {[]string{"Bearer " + other.Mint(token.Claims{})}, nil, 401, invalid, middleware.UnknownKey},
		"for others":         {[]string{"Bearer " + issuer.Mint(token.Claims{Audience: []string{"billing"}})}, nil, 401, invalid, middleware.WrongAudience},
		"from the future":    {[]string{"Bearer " + issuer.MintAt(now.Add(time.Hour), token.Claims{})}, nil, 401, invalid, middleware.NotYetValid},
		"a forged signature": {[]string{"Bearer " + good[:len(good)-4] + "AAAA"}, nil, 401, invalid, middleware.BadSignature},
		"expired": {[]string{"Bearer " + issuer.MintAt(now.Add(-time.Hour), token.Claims{})}, nil, 401,
			bare + `, error="invalid_token", error_description="The access token expired."`, middleware.Expired},
		"revoked": {[]string{"Bearer " + revoked}, nil, 401,
			bare + `, error="invalid_token", error_description="The access token was revoked."`, middleware.Revoked},
		"no scope": {[]string{"Bearer " + good}, []middleware.Option{middleware.Scopes("orders:read", "orders:write")}, 403,
			bare + `, error="insufficient_scope", scope="orders:read orders:write"`, middleware.InsufficientScope},
		"no role": {[]string{"Bearer " + good}, []middleware.Option{middleware.Roles("clerk")}, 403,
			bare + `, error="insufficient_scope"`, middleware.InsufficientScope},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(guard, c.authorization, c.opts...)
			if w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.challenge {
				t.Errorf("have %d, %s; want %d, %s", w.Code, w.Header().Get("WWW-Authenticate"), c.status, c.challenge)
			}
			checkProblem(t, w)
			if d := seen.last(); d.Outcome != c.outcome || d.Err == nil || d.Policy != "closed" || d.Degraded {
				t.Errorf("observed %+v, want %s", d, c.outcome)
			}
			if text := w.Body.String() + seen.last().Err.Error(); strings.Contains(text, good[len(good)-20:]) {
				t.Errorf("the token is in %q", text)
			}
		})
	}
}

// checkProblem checks that a refusal is an RFC 9457 document which nobody keeps.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var p struct {
		Type, Title, Code, Detail string
		Status                    int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	if p.Type != "about:blank" || p.Title != http.StatusText(w.Code) || p.Status != w.Code || p.Detail == "" {
		t.Errorf("problem %+v", p)
	}
	if h := w.Header(); h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v", h)
	}
}

func TestAccepted(t *testing.T) {
	issuer := newIssuer(t)
	var seen recorder
	guard := issuer.Guard(middleware.Options{Observer: &seen, Aliases: []string{"sales"}})
	raw := issuer.Mint(token.Claims{Subject: "bob", Scope: "orders:read orders:write", Roles: []string{"clerk", "admin"}})
	for name, c := range map[string]struct {
		authorization string
		opts          []middleware.Option
	}{
		"plain":           {"Bearer " + raw, nil},
		"lower case":      {"bearer " + raw, nil},
		"upper case":      {"BEARER " + raw, nil},
		"several spaces":  {"Bearer   " + raw, nil},
		"scope":           {"Bearer " + raw, []middleware.Option{middleware.Scopes("orders:write")}},
		"scopes and role": {"Bearer " + raw, []middleware.Option{middleware.Scopes("orders:write", "orders:read"), middleware.Roles("admin")}},
		"another name":    {"Bearer " + issuer.Mint(token.Claims{Subject: "bob", Audience: []string{"x", "sales"}}), nil},
	} {
		if w := ask(guard, []string{c.authorization}, c.opts...); w.Code != http.StatusOK || w.Body.String() != "bob" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if d := seen.last(); d.Outcome != middleware.Accepted || d.Policy != "closed" || d.Degraded || d.Err != nil || d.Duration <= 0 {
			t.Errorf("%s: observed %+v", name, d)
		}
	}
	for _, scope := range []string{"orders", "orders:rea", "orders:read orders:write", "write", ""} {
		if status := statusOf(guard, raw, middleware.Scopes(scope)); status != http.StatusForbidden {
			t.Errorf("scope %q: %d", scope, status)
		}
	}
}

// A token in a query, a form or a cookie is not looked at.
func TestTokenElsewhere(t *testing.T) {
	issuer := newIssuer(t)
	raw := issuer.Mint(token.Claims{})
	r := httptest.NewRequest(http.MethodPost, "/?access_token="+raw, strings.NewReader("access_token="+raw))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: "access_token", Value: raw})
	w := httptest.NewRecorder()
	issuer.Guard(middleware.Options{}).Handler(http.HandlerFunc(whoami)).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != bare {
		t.Errorf("have %d, %v", w.Code, w.Header())
	}
}

func TestClaimsWithoutAGuard(t *testing.T) {
	if claims, ok := middleware.ClaimsFrom(t.Context()); claims != nil || ok {
		t.Errorf("have %v, %v", claims, ok)
	}
}

// The audience goes into a header: it cannot break out of its quotes.
func TestRealmIsQuoted(t *testing.T) {
	guard := newIssuer(t).Guard(middleware.Options{Audience: "a\"b\\c\r\nd\u00e9"})
	if have := ask(guard, nil).Header().Get("WWW-Authenticate"); have != `Bearer realm="a\"b\\cd"` {
		t.Errorf("have %s", have)
	}
}

func TestPoliciesInAnOutage(t *testing.T) {
	issuer := newIssuer(t)
	var seen recorder
	guard := issuer.Guard(middleware.Options{Observer: &seen, MaxStaleness: 5 * time.Second})
	good, revoked := issuer.Mint(token.Claims{}), issuer.Mint(token.Claims{SessionID: "ended"})
	issuer.Revoke(revocation.Session, "ended")
	stale := middleware.Stale(time.Minute)

	type want struct {
		status   int
		degraded bool
	}
	for _, c := range []struct {
		age  time.Duration
		name string
		opts []middleware.Option
		want want
	}{
		{0, "default", nil, want{200, false}},
		{0, "closed", []middleware.Option{middleware.Closed()}, want{200, false}},
		{0, "stale", []middleware.Option{stale}, want{200, false}},
		{4 * time.Second, "closed", nil, want{200, false}},
		{4 * time.Second, "stricter", []middleware.Option{middleware.Stale(3 * time.Second)}, want{503, false}},
		{4 * time.Second, "stale", []middleware.Option{stale}, want{200, false}},
		{30 * time.Second, "default", nil, want{503, false}},
		{30 * time.Second, "stale", []middleware.Option{stale}, want{200, true}},
		{30 * time.Second, "the last policy counts", []middleware.Option{stale, middleware.Closed()}, want{503, false}},
		{30 * time.Second, "online, in this process", []middleware.Option{middleware.Online()}, want{503, false}},
		{2 * time.Minute, "stale", []middleware.Option{stale}, want{503, false}},
		{2 * time.Minute, "stale by nothing", []middleware.Option{middleware.Stale(0)}, want{503, false}},
	} {
		issuer.Outage(c.age)
		w := ask(guard, []string{"Bearer " + good}, c.opts...)
		if w.Code != c.want.status || seen.last().Degraded != c.want.degraded {
			t.Errorf("%s after %v: %d, %+v; want %+v", c.name, c.age, w.Code, seen.last(), c.want)
		}
		if w.Code == http.StatusServiceUnavailable {
			checkProblem(t, w)
			if w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s after %v: header %v", c.name, c.age, w.Header())
			}
			if d := seen.last(); d.Outcome != middleware.Unavailable || !errors.Is(d.Err, token.ErrUnavailable) {
				t.Errorf("%s after %v: observed %+v", c.name, c.age, d)
			}
		}
		// What is known to be revoked is refused as such, however old the copy.
		if status := statusOf(guard, revoked, c.opts...); status != http.StatusUnauthorized {
			t.Errorf("%s after %v: %d for a revoked token", c.name, c.age, status)
		}
	}
}

type (
	noKeys        struct{ token.VerificationKeys }
	noRevocations struct{ middleware.Revocations }
	noRedis       struct{ middleware.RedisSource }
)

func TestOptionsAreChecked(t *testing.T) {
	const loopback = "http://127.0.0.1:1"
	good := middleware.Options{Audience: "orders", StartTimeout: time.Nanosecond}
	with := func(change func(*middleware.Options)) middleware.Options {
		o := good
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		issuer string
		opts   middleware.Options
		want   string
	}{
		"no audience":    {loopback, with(func(o *middleware.Options) { o.Audience = "" }), "Audience"},
		"empty alias":    {loopback, with(func(o *middleware.Options) { o.Aliases = []string{""} }), "Audience"},
		"negative":       {loopback, with(func(o *middleware.Options) { o.MaxStaleness = -1 }), "MaxStaleness"},
		"half in memory": {loopback, with(func(o *middleware.Options) { o.Keys = noKeys{} }), "together"},
		"two sources": {loopback, with(func(o *middleware.Options) {
			o.Keys, o.Revocations, o.Redis = noKeys{}, noRevocations{}, noRedis{}
		}), "exclude"},
		"no issuer":     {"", good, "issuer"},
		"relative":      {"/auth", good, "issuer"},
		"other scheme":  {"ftp://auth.example.com", good, "issuer"},
		"query":         {"https://auth.example.com?a=b", good, "issuer"},
		"password":      {"https://a:b@auth.example.com", good, "issuer"},
		"plain http":    {"http://auth.example.com", good, "InsecureIssuer"},
		"like loopback": {"http://127.0.0.1.example.com", good, "InsecureIssuer"},
	} {
		g, err := middleware.New(t.Context(), c.issuer, c.opts)
		if g != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: have %v, want an error with %q", name, err, c.want)
		}
	}
}
