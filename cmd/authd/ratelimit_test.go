package main

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/ratelimit"
)

func TestRateLimitDefaults(t *testing.T) {
	cfg, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := cfg.rateLimits()
	if err != nil {
		t.Fatal(err)
	}
	for _, unlimited := range []string{"login", "refresh", "logout", "verify", "introspect", "jwks"} {
		if p, ok := routes[unlimited]; ok {
			t.Errorf("%s is limited by %v", unlimited, p)
		}
	}
	if p := routes["revocations"]; p.Capacity() < 1000 || p.Validate() != nil {
		t.Errorf("revocations is limited by %v: a thousand services behind one address must come back at once", p)
	}
	logins, err := cfg.loginPolicies()
	if err != nil || logins != ratelimit.DefaultLoginPolicies() {
		t.Errorf("logins are limited by %+v, %v", logins, err)
	}
}

// docs/ratelimit.md has every route with its default, and every budget.
func TestRateLimitsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/ratelimit.md")
	if err != nil {
		t.Fatal(err)
	}
	routes, err := new(LimitConfig).rateLimits()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range httpapi.RateLimitNames() {
		row := regexp.MustCompile("(?m)^\\| `" + name + "` \\|.*\\| (.+) \\|$").FindSubmatch(text)
		switch p, limited := routes[name]; {
		case row == nil:
			t.Errorf("%s has no row", name)
		case limited && string(row[1]) != "`"+p.String()+"`":
			t.Errorf("the default of %s is %v, not %s", name, p, row[1])
		case !limited && !strings.HasPrefix(string(row[1]), "none"):
			t.Errorf("%s has no default, and not %s", name, row[1])
		}
	}
	logins := ratelimit.DefaultLoginPolicies()
	for name := range loginBudgets(&logins) {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the budget %s is not named", name)
		}
	}
}

// The file that docs/ratelimit.md shows changes what it names, and nothing else.
func TestRateLimitsExample(t *testing.T) {
	cfg, err := load(t, nil, "--config", write(t, docs.Text(t, "docs/ratelimit.md", "yaml", 0)))
	if err != nil {
		t.Fatal(err)
	}
	routes, err := cfg.rateLimits()
	if err != nil {
		t.Fatal(err)
	}
	want, err := new(LimitConfig).rateLimits()
	if err != nil {
		t.Fatal(err)
	}
	delete(want, "revocations")
	want["introspect"] = ratelimit.Policy{Algorithm: ratelimit.TokenBucket, Limit: 500, Window: time.Second, Burst: 1000}
	want["me"] = ratelimit.Policy{Algorithm: ratelimit.SlidingWindow, Limit: 600, Window: time.Minute}
	if !maps.Equal(routes, want) {
		t.Errorf("routes are limited by %v, want %v", routes, want)
	}
	logins, err := cfg.loginPolicies()
	wantLogins := ratelimit.DefaultLoginPolicies()
	wantLogins.Address = ratelimit.Policy{Algorithm: ratelimit.TokenBucket, Limit: 200, Window: 15 * time.Minute}
	if err != nil || logins != wantLogins {
		t.Errorf("logins are limited by %+v, %v, want %+v", logins, err, wantLogins)
	}
}

// A route or a budget that is not named keeps its default; each algorithm can be chosen.
func TestRateLimitsAreChosen(t *testing.T) {
	file := write(t, `
rate_limits:
  - revocations=none
  - login=leaky-bucket 10/1s burst 20
  - jwks = sliding-window 100/1m
  - me=fixed-window 1000/24h
  - introspect=token-bucket 50/1s burst 100
login_limits: [address=token-bucket 100/15m burst 300]
`)
	cfg, err := load(t, nil, "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := cfg.rateLimits()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := joinPolicies(routes), "introspect=token-bucket 50/1s burst 100, jwks=sliding-window 100/1m, "+
		"login=leaky-bucket 10/1s burst 20, me=fixed-window 1000/24h"; got != want {
		t.Errorf("limits %s\nwant %s", got, want)
	}
	logins, err := cfg.loginPolicies()
	want := ratelimit.DefaultLoginPolicies()
	want.Address.Limit, want.Address.Burst = 100, 300
	if err != nil || logins != want {
		t.Errorf("logins are limited by %+v, %v, want %+v", logins, err, want)
	}
	cfg, err = load(t, map[string]string{"AUTHD_RATE_LIMITS": "refresh=token-bucket 9/1s,me=fixed-window 5/1m"}, "--login-limits", "new=token-bucket 1/1h,known=token-bucket 2/1h")
	if err != nil {
		t.Fatal(err)
	}
	if routes, _ := cfg.rateLimits(); joinPolicies(routes) != "me=fixed-window 5/1m, refresh=token-bucket 9/1s, revocations=token-bucket 100/1s burst 1000" {
		t.Errorf("limits %s", joinPolicies(routes))
	}
	if logins, _ := cfg.loginPolicies(); logins.New.Limit != 1 || logins.Known.Limit != 2 {
		t.Errorf("logins are limited by %+v", logins)
	}
}

func TestBadRateLimitsAreAllReported(t *testing.T) {
	_, err := load(t, nil,
		"--rate-limits", "signup=fixed-window 1/1m,me=5 a minute,jwks,verify=leaky-bucket 1/1m burst 5,=fixed-window 1/1m,me=none",
		"--rate-limits", "login=token-bucket 0/1m,logout=fixed-window 1/1m burst 2",
		"--login-limits", "address=fixed-window 1/1m,owner=token-bucket 1/1m,known=none,repeat", "--leeway", "1h")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`rate-limits "signup": no such route: want one of authorize`,
		`rate-limits me: given twice`,
		`rate-limits me: rate limit "5 a minute"`,
		`rate-limits "jwks": want NAME=`,
		`rate-limits "=fixed-window 1/1m": want NAME=`,
		`rate-limits verify: leaky-bucket 1/1m burst 5: a request could wait for 5m0s`,
		`rate-limits login: rate limit "token-bucket 0/1m"`,
		`rate-limits logout: rate limit "fixed-window 1/1m burst 2"`,
		`login-limits address: fixed-window 1/1m: must be a token-bucket`,
		`login-limits "owner": no such budget: want one of address, known`,
		`login-limits known: rate limit "none"`,
		`login-limits "repeat": want NAME=`,
		`leeway 1h`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}
