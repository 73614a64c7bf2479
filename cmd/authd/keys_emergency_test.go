package main_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
)

// emergency is a cluster of authd with a service that follows one of them, which does not lead.
type emergency struct {
	*replicas
	issuer  *server
	service http.Handler
}

// prepareEmergency takes the lease of the election: what must not expire by accident, on a machine that is busy, is long.
func prepareEmergency(t *testing.T, lease time.Duration) *emergency {
	t.Helper()
	listen := freeAddress(t)
	args := append([]string{"--demo", "--redis", "redis://" + testenv.Redis(t), "--issuer", "http://" + listen}, fastestRotation...)
	e := &emergency{replicas: startReplicas(t, 2, append(args, "--rotate-every=1h", "--election-lease", lease.String())...)}
	leader, _ := e.awaitLeader(0)
	e.issuer = serve(t, t.TempDir(), append(e.args, "--listen", listen)...)
	e.servers = append(e.servers, e.issuer)
	if now, _ := e.awaitLeader(0); now != leader {
		t.Fatal("the lead has moved")
	}
	guard, err := middleware.New(t.Context(), e.issuer.URL, middleware.Options{Audience: "authd"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guard.Close)
	e.service = guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return e
}

// freeAddress returns one of loopback that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ask sends a request with an access token to the service.
func (e *emergency) ask(accessToken string) (status int) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+accessToken)
	e.service.ServeHTTP(w, r)
	return w.Code
}

// revoke revokes the key of a token by a command to one server, and waits for all that must follow at the servers that
// live and at the service. It logs how long each took.
func (e *emergency) revoke(by *server, g grant) {
	e.t.Helper()
	kid := keyID(e.t, g.AccessToken)
	effects := map[string]func() bool{
		"the service refuses the token": func() bool { return e.ask(g.AccessToken) == http.StatusUnauthorized },
	}
	for i, s := range e.servers {
		name := "authd " + string('0'+rune(i))
		effects[name+" refuses the token"] = func() bool { return s.verify(e.t, g.AccessToken) == http.StatusUnauthorized }
		effects[name+" publishes the key no more"] = func() bool { return !strings.Contains(s.jwks(e.t), kid) }
	}
	began := time.Now()
	var all sync.WaitGroup
	for what, holds := range effects {
		all.Go(func() {
			for !holds() {
				if time.Since(began) > patience {
					e.t.Errorf("not within %v: %s", patience, what)
					return
				}
				time.Sleep(time.Millisecond) // it is measured; until is too coarse
			}
			e.t.Logf("%v after the command was begun %s", time.Since(began).Round(time.Millisecond), what)
		})
	}
	out := by.authd(e.t, "", "keys", "revoke", kid, "--yes")
	took := time.Since(began)
	all.Wait()
	e.t.Logf("%v after the command was begun it had seen the key replaced", took.Round(time.Millisecond))
	for _, want := range []string{"refuses every token it signed", "waiting for the leader", "the leader has replaced it"} {
		if !strings.Contains(out, want) {
			e.t.Errorf("the command does not say %q, but\n%s", want, out)
		}
	}
}

// checkRecovered logs in at every server: another key signs, and everybody accepts its tokens.
func (e *emergency) checkRecovered(bad string) {
	e.t.Helper()
	for _, s := range e.servers {
		var g grant
		until(e.t, "a login", func() bool {
			body := map[string]string{"username": demoUser, "password": demoPassword}
			return s.call(e.t, http.MethodPost, "/v1/login", "", body, &g) == http.StatusOK
		})
		if keyID(e.t, g.AccessToken) == bad {
			e.t.Errorf("%s signs with the revoked key", s.URL)
		}
		for _, other := range e.servers {
			if got := other.verify(e.t, g.AccessToken); got != http.StatusOK {
				e.t.Errorf("%s answers %d to a new token", other.URL, got)
			}
		}
		if got := e.ask(g.AccessToken); got != http.StatusOK {
			e.t.Errorf("the service answers %d to a new token", got)
		}
	}
}

// A key is revoked by a command to an authd that does not lead.
func TestKeyEmergencyFromAFollower(t *testing.T) {
	t.Parallel()
	e := prepareEmergency(t, time.Minute)
	leader, term := e.awaitLeader(0)
	follower := e.without(leader)[0]
	g := leader.login(t, demoUser, demoPassword)
	bad := keyID(t, g.AccessToken)
	if got := e.ask(g.AccessToken); got != http.StatusOK {
		t.Fatalf("before, the service answers %d", got)
	}
	out := follower.authd(t, "", "keys", "revoke", bad, "--dry-run")
	if !strings.Contains(out, "refuses every token it signed") || !strings.Contains(follower.jwks(t), bad) {
		t.Errorf("the dry run at a follower: %s", out)
	}
	e.revoke(follower, g)
	e.checkRecovered(bad)
	if _, now := e.awaitLeader(0); now != term {
		t.Errorf("the lead has moved from term %d to %d: this test has not seen what it is about", term, now)
	}
}

// A key is revoked while the leader is dead: what protects takes effect at once, and the next leader replaces the key.
func TestKeyEmergencyWhileNobodyLeads(t *testing.T) {
	t.Parallel()
	e := prepareEmergency(t, 8*time.Second)
	leader, _ := e.awaitLeader(0)
	g := e.issuer.login(t, demoUser, demoPassword)
	if got := e.ask(g.AccessToken); got != http.StatusOK {
		t.Fatalf("before, the service answers %d", got)
	}
	leader.kill()
	e.servers = e.without(leader)
	e.revoke(e.servers[0], g)
	e.checkRecovered(keyID(t, g.AccessToken))
}
