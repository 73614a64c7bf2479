package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/session"
)

// ledger is a guard that writes down how each attempt was settled.
type ledger struct {
	httpapi.Logins

	mu      sync.Mutex
	allowed int
	settled []string
}

func (l *ledger) Before(ctx context.Context, account string, address netip.Addr) (*ratelimit.Attempt, error) {
	a, err := l.Logins.Before(ctx, account, address)
	if err == nil && a.Allowed {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.allowed++
	}
	return a, err
}

func (l *ledger) settle(how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled = append(l.settled, how)
}

func (l *ledger) Succeeded(ctx context.Context, a *ratelimit.Attempt) error {
	l.settle("succeeded")
	return l.Logins.Succeeded(ctx, a)
}

func (l *ledger) Failed(a *ratelimit.Attempt) {
	l.settle("failed")
	l.Logins.Failed(a)
}

func (l *ledger) Cancelled(ctx context.Context, a *ratelimit.Attempt) error {
	l.settle("cancelled")
	return l.Logins.Cancelled(ctx, a)
}

func (l *ledger) wantSettled(t *testing.T, want string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Join(l.settled, " "); l.allowed != 1 || got != want {
		t.Errorf("%d attempts were allowed and settled as %q, want one as %q", l.allowed, got, want)
	}
}

// scripted is a service whose logins end as the test says.
type scripted struct {
	httpapi.Sessions
	login func(context.Context) error
}

func (s scripted) Login(ctx context.Context, r session.LoginRequest) (session.Grant, error) {
	if err := s.login(ctx); err != nil {
		return session.Grant{}, fmt.Errorf("login: %w", err)
	}
	return s.Sessions.Login(ctx, r)
}

// Whatever becomes of a login, its attempt is settled once, and counts only when the password was wrong or nobody knows.
func TestAttemptsAreSettledOnce(t *testing.T) {
	for name, c := range map[string]struct {
		login  func(context.Context) error
		status int
		want   string
	}{
		"right":                {func(context.Context) error { return nil }, http.StatusOK, "succeeded"},
		"wrong":                {func(context.Context) error { return identity.ErrInvalidCredentials }, http.StatusUnauthorized, "failed"},
		"busy":                 {func(context.Context) error { return identity.ErrBusy }, http.StatusServiceUnavailable, "cancelled"},
		"no user store":        {func(context.Context) error { return identity.ErrUnavailable }, http.StatusServiceUnavailable, "cancelled"},
		"no session store":     {func(context.Context) error { return session.ErrUnavailable }, http.StatusServiceUnavailable, "cancelled"},
		"took too long":        {func(context.Context) error { return context.DeadlineExceeded }, http.StatusServiceUnavailable, "cancelled"},
		"a defect":             {func(context.Context) error { return errors.New("unheard of") }, http.StatusInternalServerError, "cancelled"},
		"a defect that panics": {func(context.Context) error { panic("unheard of") }, http.StatusInternalServerError, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			l := &ledger{}
			e := newEnv(t, options{public: func(p *httpapi.PublicConfig) {
				l.Logins = p.Logins
				p.Logins, p.Sessions = l, scripted{p.Sessions, c.login}
			}})
			a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{
				"username": aliceName, "password": alicePassword,
			}})
			wantStatus(t, a, c.status)
			l.wantSettled(t, c.want)
		})
	}
}

// A malformed request is no attempt.
func TestMalformedLoginsAreNoAttempts(t *testing.T) {
	l := &ledger{}
	e := newEnv(t, options{public: func(p *httpapi.PublicConfig) { l.Logins, p.Logins = p.Logins, l }})
	for _, body := range []string{`{"username":"alice"}`, `{"username":"alice","password":"x","scope":"more"}`, `{`} {
		wantStatus(t, e.do(request{method: "POST", path: "/v1/login", json: body}), http.StatusBadRequest)
	}
	if l.allowed != 0 {
		t.Errorf("%d attempts", l.allowed)
	}
}

// A client that leaves while its password is being checked leaves no debt behind, and no attempt in flight.
func TestAttemptOutlivesItsClient(t *testing.T) {
	l := &ledger{}
	began, release := make(chan struct{}), make(chan struct{})
	e := newEnv(t, options{public: func(p *httpapi.PublicConfig) {
		l.Logins = p.Logins
		p.Logins, p.Sessions = l, scripted{p.Sessions, func(ctx context.Context) error {
			close(began)
			<-release
			return ctx.Err()
		}}
	}})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		resp, err := e.http.Do(e.newRequest(e.publicURL, request{method: "POST", path: "/v1/login", json: map[string]string{
			"username": aliceName, "password": alicePassword,
		}}).WithContext(ctx))
		if err == nil {
			resp.Body.Close()
			t.Error("the request was answered")
		}
	}()
	<-began
	leave()
	<-gone
	close(release)
	await(t, "settled attempt", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.settled) > 0
	})
	l.wantSettled(t, "succeeded")
}

// When nobody can tell how many logins have failed, no password is looked at: right and wrong ones get the same answer.
func TestLoginsWithoutLimiter(t *testing.T) {
	server := testenv.NewRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { must(t, client.Close()) })
	looked := 0
	e := newEnv(t, options{public: func(p *httpapi.PublicConfig) {
		p.Logins = newLogins(t, redisLimits{client})
		p.Sessions = scripted{p.Sessions, func(context.Context) error { looked++; return nil }}
	}})
	var bodies []string
	login := func(password string) answer {
		return e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": aliceName, "password": password}})
	}
	wantStatus(t, login(alicePassword), http.StatusOK)
	server.Kill()
	for _, password := range []string{alicePassword, "wrong"} {
		a := login(password)
		wantProblem(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		body, _, _ := strings.Cut(a.body, `"request_id"`)
		bodies = append(bodies, body)
	}
	if bodies[0] != bodies[1] || looked != 1 {
		t.Errorf("answers %q, %d passwords looked at, want the same and 1", bodies, looked)
	}
	if got := e.series()[`authd_logins_total{outcome="unavailable"}`]; got != "2" {
		t.Errorf("%s logins are counted as unavailable, want 2", got)
	}
	server.Restart()
	wantStatus(t, login(alicePassword), http.StatusOK)
}

// lost is a guard whose store is lost between the question and the settlement.
type lost struct{ httpapi.Logins }

func (l lost) Succeeded(ctx context.Context, a *ratelimit.Attempt) error {
	return errors.Join(l.Logins.Succeeded(ctx, a), ratelimit.ErrUnavailable)
}

// A login that has succeeded is answered even if its attempt cannot be taken back, and the operator is told.
func TestSettlementIsNoReasonToRefuse(t *testing.T) {
	e := newEnv(t, options{public: func(p *httpapi.PublicConfig) { p.Logins = lost{p.Logins} }})
	e.loginAlice()
	if !strings.Contains(e.log.String(), "a login attempt was not taken back") {
		t.Error("the log does not tell")
	}
}

func TestForgiving(t *testing.T) {
	e := newEnv(t)
	wantRefusal(t, e.client().ForgiveUser(t.Context(), "nobody"), http.StatusNotFound, "not_found")
	for range 10 {
		e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": aliceName, "password": "wrong"}})
	}
	must(t, e.client().ForgiveUser(t.Context(), aliceName))
	series := e.series()
	for name, want := range map[string]string{
		`authd_logins_total{outcome="invalid_credentials"}`: "8", `authd_logins_total{outcome="limited"}`: "2",
	} {
		if got := series[name]; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// unforgiving is a guard whose store is away.
type unforgiving struct{}

func (unforgiving) Forgive(context.Context, string) error { return ratelimit.ErrUnavailable }

func TestForgivingWithoutLimiter(t *testing.T) {
	e := newEnv(t, options{admin: func(c *httpapi.AdminConfig) { c.Logins = unforgiving{} }})
	wantRefusal(t, e.client().ForgiveUser(t.Context(), aliceName), http.StatusServiceUnavailable, "temporarily_unavailable")
}
