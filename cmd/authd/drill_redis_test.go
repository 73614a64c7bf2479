package main_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
)

// follower is a service that follows an authd.
type follower struct{ http.Handler }

func follow(t *testing.T, url string) *follower {
	t.Helper()
	guard, err := middleware.New(t.Context(), url, middleware.Options{Audience: "authd"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guard.Close)
	return &follower{guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))}
}

func (f *follower) ask(g grant) (status int) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+g.AccessToken)
	f.ServeHTTP(w, r)
	return w.Code
}

// Redis is gone for a while, and all that was in it for good. Nobody who logged out gets in again, at any moment; verifiers go on
// for their bound and then say that they cannot tell; sessions are lost, so everybody logs in again when the token is over.
func TestDrillRedisLost(t *testing.T) {
	t.Parallel()
	redis := testenv.NewRedis(t)
	listen := freeAddress(t)
	r := startReplicas(t, 2, "--redis", "redis://"+redis.Addr, "--issuer", "http://"+listen)
	issuer := serve(t, t.TempDir(), append(r.args, "--listen", listen)...)
	r.awaitLeader(0)
	service := follow(t, issuer.URL)
	stays, leaves := r.servers[0].login(t, "alice", alicesPassword), r.servers[0].login(t, "alice", alicesPassword)
	until(t, "a token at the service", func() bool { return service.ask(stays) == http.StatusOK })
	r.servers[0].logout(t, leaves, "session")
	until(t, "the logout at the service", func() bool { return service.ask(leaves) == http.StatusUnauthorized })
	jwks := r.servers[0].jwks(t)
	never := func() {
		t.Helper()
		for _, status := range []int{service.ask(leaves), r.servers[0].verify(t, leaves.AccessToken), r.servers[1].verify(t, leaves.AccessToken)} {
			if status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
				t.Fatalf("who logged out is answered %d", status)
			}
		}
	}

	redis.Kill()
	began := time.Now()
	if status := service.ask(stays); status != http.StatusOK {
		t.Errorf("a verifier with a fresh mirror answers %d", status)
	}
	until(t, "a verifier that cannot tell any more", func() bool { never(); return service.ask(stays) == http.StatusServiceUnavailable })
	outcome(t, "Redis gone: verifiers went on", began)
	if status := r.servers[0].tryLogin(t, "alice", alicesPassword); status != http.StatusServiceUnavailable {
		t.Errorf("a login without Redis is answered %d", status)
	}
	if _, status := r.servers[1].refresh(t, stays.RefreshToken); status != http.StatusServiceUnavailable {
		t.Errorf("a refresh without Redis is answered %d", status)
	}

	redis.Restart() // empty
	back := time.Now()
	until(t, "the service again", func() bool { never(); return service.ask(stays) == http.StatusOK })
	outcome(t, "Redis back, empty: verifiers answer again", back)
	until(t, "logins again", func() bool { never(); return r.servers[0].tryLogin(t, "alice", alicesPassword) == http.StatusOK })
	outcome(t, "Redis back, empty: logins again", back)
	if _, status := r.servers[1].refresh(t, leaves.RefreshToken); status != http.StatusUnauthorized {
		t.Errorf("a refresh of who logged out is answered %d", status)
	}
	if _, status := r.servers[1].refresh(t, stays.RefreshToken); status != http.StatusUnauthorized {
		t.Errorf("a refresh of a session that Redis has lost is answered %d", status)
	}
	if status := r.servers[1].verify(t, stays.AccessToken); status != http.StatusOK {
		t.Errorf("the token of a session that Redis has lost is answered %d, although nobody ended it", status)
	}
	for _, s := range r.servers {
		until(t, "the ring that was put back", func() bool { return s.jwks(t) == jwks })
	}
	never()
}

// A backup of Redis is restored, from before a logout that is longer ago than revocations last: the session is back. Ending all
// sessions, as docs/disasters.md says, is what holds.
func TestDrillOldRedisBackup(t *testing.T) {
	t.Parallel()
	redis := testenv.NewRedis(t, "--dbfilename", "backup.rdb")
	client := testenv.ConnectRedis(t, redis.Addr)
	r := startReplicas(t, 2, "--redis", "redis://"+redis.Addr)
	r.awaitLeader(0)
	g := r.servers[0].login(t, "alice", alicesPassword)
	if err := client.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	r.servers[0].logout(t, g, "session")
	for _, s := range r.servers {
		s.terminate(t) // nobody is left who remembers
	}
	redis.Restart()
	for i, s := range r.servers {
		r.servers[i] = serve(t, s.Data, r.args...)
	}
	_, before := r.servers[0].refresh(t, g.RefreshToken)
	t.Logf("drill: Redis restored from a backup: a refresh of a session that ended after it is answered %d", before)
	began := time.Now()
	r.servers[0].authd(t, "", strings.Fields(docs.Text(t, "docs/disasters.md", "sh", 0))[1:]...)
	for i, s := range r.servers {
		until(t, "the end of all sessions", func() bool { return s.verify(t, g.AccessToken) == http.StatusUnauthorized })
		if _, status := s.refresh(t, g.RefreshToken); status != http.StatusUnauthorized {
			t.Errorf("authd %d answers %d to a refresh", i, status)
		}
	}
	outcome(t, "Redis restored from a backup: all sessions ended", began)
	if again := r.servers[1].login(t, "alice", alicesPassword); r.servers[0].verify(t, again.AccessToken) != http.StatusOK {
		t.Error("a new login is refused")
	}
}
