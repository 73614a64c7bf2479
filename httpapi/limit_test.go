package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/ratelimit"
)

// limited makes the public listener have these limits, in memory.
func limited(t testing.TB, policies map[string]string) options {
	return options{public: func(c *httpapi.PublicConfig) {
		c.RateLimits = make(map[string]httpapi.RateLimiter)
		for name, policy := range policies {
			c.RateLimits[name] = newLimiter(t, memoryLimits{}, name, policy)
		}
	}}
}

// Every route can be limited. Its answers say what is left; beyond the limit they are 429 in the form of the route.
func TestRoutesAreLimited(t *testing.T) {
	const policy = "fixed-window 2/1h"
	all := make(map[string]string)
	for _, name := range httpapi.RateLimitNames() {
		all[name] = policy
	}
	e := newProvider(t, limited(t, all))
	g, err := e.publicConfig.Sessions.Login(t.Context(), loginOfAlice())
	must(t, err)
	tried := make(map[string]bool)
	for _, c := range []struct {
		limit string
		request
		status int
	}{
		{"login", request{method: "POST", path: "/v1/login", json: map[string]string{"username": "x", "password": "y"}}, 401},
		{"refresh", request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": "x"}}, 401},
		{"me", request{method: "GET", path: "/v1/me", bearer: g.AccessToken}, 200},
		{"sessions", request{method: "GET", path: "/v1/sessions", bearer: g.AccessToken}, 200},
		{"verify", request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}, 200},
		{"revocations", request{method: "GET", path: "/v1/revocations?after=nonsense"}, 400},
		{"statuslists", request{method: "GET", path: "/v1/statuslists"}, 404},
		{"ssf", request{method: "GET", path: "/v1/ssf/streams"}, 404},
		{"factors", request{method: "GET", path: "/v1/factors", bearer: g.AccessToken}, 200},
		{"introspect", request{method: "POST", path: "/oauth2/introspect", basic: true, form: "token=x"}, 200},
		{"revoke", request{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=x"}, 200},
		{"token", request{method: "POST", path: "/oauth2/token", form: "grant_type=x"}, 401},
		{"userinfo", request{method: "GET", path: "/oauth2/userinfo", bearer: g.AccessToken}, 403},
		{"authorize", request{method: "GET", path: "/oauth2/authorize"}, 400},
		{"jwks", request{method: "GET", path: "/.well-known/jwks.json"}, 200},
		{"discovery", request{method: "GET", path: "/.well-known/openid-configuration"}, 200},
		{"openapi", request{method: "GET", path: "/openapi.yaml"}, 200},
		{"pages", request{method: "GET", path: "/assets/x/authd.css"}, 200},
		{"logout", request{method: "POST", path: "/v1/logout", bearer: g.AccessToken}, 204},
	} {
		tried[c.limit] = true
		for left := 1; left >= 0; left-- {
			a := e.do(c.request)
			wantStatus(t, a, c.status)
			wantFields(t, a, fmt.Sprintf(`"%s";q=2;w=3600`, c.limit), fmt.Sprintf(`"%s";r=%d;t=`, c.limit, left))
		}
		a := e.do(c.request)
		wantStatus(t, a, http.StatusTooManyRequests)
		wantFields(t, a, fmt.Sprintf(`"%s";q=2;w=3600`, c.limit), fmt.Sprintf(`"%s";r=0;t=`, c.limit))
		if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 3000 || seconds > 3600 {
			t.Errorf("%s: Retry-After %q", c.limit, a.header.Get("Retry-After"))
		}
		switch {
		case c.limit == "authorize": // a page
			continue
		case strings.HasPrefix(c.path, "/oauth2") && c.limit != "userinfo":
			if !strings.Contains(a.body, `"error":"temporarily_unavailable"`) {
				t.Errorf("%s: %s", c.limit, a.body)
			}
			continue
		}
		p := wantProblem(t, a, http.StatusTooManyRequests, "rate_limited")
		if !strings.HasSuffix(p.Type, "#quota-exceeded") || !slices.Equal(p.Quotas, []string{c.limit}) {
			t.Errorf("%s: %+v", c.limit, p)
		}
	}
	for _, name := range httpapi.RateLimitNames() {
		if !tried[name] {
			t.Errorf("%s was not tried", name)
		}
	}
	series := e.series()
	for name, want := range map[string]string{
		`authd_rate_limit_decisions_total{decision="admitted",limit="me"}`:  "2",
		`authd_rate_limit_decisions_total{decision="refused",limit="me"}`:   "1",
		`authd_rate_limit_decisions_total{decision="undecided",limit="me"}`: "0",
	} {
		if got := series[name]; got != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}

func wantFields(t *testing.T, a answer, policy, left string) {
	t.Helper()
	if got := a.header.Get("RateLimit-Policy"); got != policy {
		t.Errorf("RateLimit-Policy %s, want %s", got, policy)
	}
	if got := a.header.Get("RateLimit"); !strings.HasPrefix(got, left) {
		t.Errorf("RateLimit %s, want %s…", got, left)
	}
}

// Routes of one name share its limit, HEAD and GET among them; other routes have none.
func TestWhatALimitCovers(t *testing.T) {
	e := newEnv(t, limited(t, map[string]string{"discovery": "sliding-window 3/1h"}))
	for i, r := range []request{
		{method: "GET", path: "/.well-known/openid-configuration"},
		{method: "GET", path: "/.well-known/oauth-authorization-server"},
		{method: "HEAD", path: "/.well-known/oauth-authorization-server"},
		{method: "HEAD", path: "/.well-known/openid-configuration"},
	} {
		want := http.StatusOK
		if i == 3 {
			want = http.StatusTooManyRequests
		}
		wantStatus(t, e.do(r), want)
	}
	a := e.do(request{method: "GET", path: "/.well-known/jwks.json"})
	wantStatus(t, a, http.StatusOK)
	wantFields(t, a, "", "")
}

// A client's allowance is its own: whoever has not its secret counts by address, and cannot use it up.
func TestClientsAreCountedByTheirCredentials(t *testing.T) {
	e := newEnv(t, limited(t, map[string]string{"introspect": "token-bucket 2/1h"}))
	stranger := request{method: "POST", path: "/oauth2/introspect", form: "token=x"}
	stranger.header = http.Header{"Authorization": {"Basic b3JkZXJzOndyb25n"}} // orders:wrong
	for _, want := range []int{401, 401, 429} {
		wantStatus(t, e.do(stranger), want)
	}
	own := request{method: "POST", path: "/oauth2/introspect", form: "token=x", basic: true}
	for _, want := range []int{200, 200, 429} {
		wantStatus(t, e.do(own), want)
	}
}

// A leaky bucket lets requests wait for their turn, and refuses what would wait behind its burst.
func TestLeakyBucketDelays(t *testing.T) {
	e := newEnv(t, limited(t, map[string]string{"jwks": "leaky-bucket 10/1s burst 2"}))
	var mu sync.Mutex
	var clients sync.WaitGroup
	statuses := make(map[int]int)
	start := time.Now()
	for range 6 {
		clients.Go(func() {
			a := e.do(request{method: "GET", path: "/.well-known/jwks.json"})
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
		})
	}
	clients.Wait()
	took := time.Since(start)
	if served := statuses[http.StatusOK]; served < 3 || served+statuses[http.StatusTooManyRequests] != 6 {
		t.Errorf("answers %v, want three served at least, and all others 429", statuses)
	}
	if took < 200*time.Millisecond {
		t.Errorf("three requests at ten a second took %v, want 200ms at least", took)
	}
}

// broken is a limiter without its store.
type broken struct{ ratelimit.Limiter }

func (broken) Allow(context.Context, string, int) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, ratelimit.ErrUnavailable
}

// A limit that nobody can decide refuses.
func TestUndecidedLimit(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.RateLimits = map[string]httpapi.RateLimiter{"jwks": broken{newLimiter(t, memoryLimits{}, "jwks", "fixed-window 1/1h")}}
	}})
	wantProblem(t, e.do(request{method: "GET", path: "/.well-known/jwks.json"}), http.StatusServiceUnavailable, "temporarily_unavailable")
	if got := e.series()[`authd_rate_limit_decisions_total{decision="undecided",limit="jwks"}`]; got != "1" {
		t.Errorf("%s decisions are counted as undecided", got)
	}
}

func TestRateLimitsAreChecked(t *testing.T) {
	c := newEnv(t).publicConfig
	c.RateLimits = map[string]httpapi.RateLimiter{
		"signup": newLimiter(t, memoryLimits{}, "signup", "fixed-window 1/1h"),
		"verify": newLimiter(t, memoryLimits{}, "verify", "leaky-bucket 1/1s burst 11"),
		"me":     nil,
	}
	_, err := httpapi.NewPublic(c)
	for _, want := range []string{"signup: no such route: want one of ", "verify: leaky-bucket 1/1s burst 11", "me: has no limiter"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err := httpapi.CheckRateLimit("verify", ratelimit.Policy{}); err == nil {
		t.Error("no policy is accepted")
	}
}
