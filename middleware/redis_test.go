package middleware_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
	"github.com/authd-project/authd/token"
)

// redisIssuer is an issuer whose revocations are in a Redis of its own, as authd keeps them. What it knows of revocations
// itself is nothing, so a guard that asks it is found out.
type redisIssuer struct {
	*middlewaretest.Issuer
	t      testing.TB
	server *testenv.RedisServer
	admin  *redis.Client
	store  *redisstore.Store
	stop   func() // ends the keeping of the set
}

func newRedisIssuer(t testing.TB) *redisIssuer {
	t.Helper()
	i := &redisIssuer{Issuer: middlewaretest.NewIssuer("orders"), t: t, server: testenv.NewRedis(t)}
	t.Cleanup(i.Close)
	i.admin = redis.NewClient(&redis.Options{Addr: i.server.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = i.admin.Close() })
	if err := i.admin.Do(t.Context(), verifierRights(t)...).Err(); err != nil {
		t.Fatal(err)
	}
	mirror := revocation.NewMirror(revocation.MirrorConfig{})
	var err error
	i.store, err = redisstore.Open(t.Context(), redisstore.Config{Client: i.admin, Mirror: mirror, Lease: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var jobs sync.WaitGroup
	jobs.Go(func() { _ = i.store.Run(ctx) })         // nil when ctx ends
	jobs.Go(func() { _ = mirror.Run(ctx, i.store) }) // likewise
	i.stop = func() { cancel(); jobs.Wait() }
	t.Cleanup(i.stop)
	return i
}

// verifierRights makes the command that gives a service the rights which docs/redis.md lists.
func verifierRights(t testing.TB) []any {
	t.Helper()
	command := []any{"ACL", "SETUSER"}
	for _, right := range strings.Fields(docs.File(t, "docs/redis.md", "verifier.acl"))[1:] {
		command = append(command, strings.Replace(right, ">PASSWORD", ">secret", 1))
	}
	return command
}

// redisURL is how a service reaches the set, with the rights of one.
func (i *redisIssuer) redisURL() string { return "redis://verifier:secret@" + i.server.Addr }

// revoke ends a session and returns when that is acknowledged.
func (i *redisIssuer) revoke(session string) {
	i.t.Helper()
	err := i.store.Add(i.t.Context(), revocation.Entry{
		Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, session), Expires: time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		i.t.Fatal(err)
	}
}

// guard makes a guard that reads and asks Redis as the user verifier.
func (i *redisIssuer) guard(t *testing.T, opts middleware.Options) *middleware.Guard {
	t.Helper()
	source, err := redisstore.OpenSource(i.redisURL(), redisstore.SourceConfig{Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	opts.Redis = source
	return newGuard(t, i.URL, opts)
}

// counting counts the requests to some paths.
type counting struct {
	paths []string
	n     atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, path := range c.paths {
		if strings.HasPrefix(r.URL.Path, path) {
			c.n.Add(1)
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// With Redis, the issuer is asked for its keys and nothing else; an online route knows of a revocation at once, the others
// soon.
func TestRedisInPlaceOfTheIssuer(t *testing.T) {
	issuer := newRedisIssuer(t)
	asked := &counting{paths: []string{"/v1/"}}
	guard := issuer.guard(t, middleware.Options{Client: &http.Client{Transport: asked}})
	raw, other := issuer.Mint(token.Claims{SessionID: "s1"}), issuer.Mint(token.Claims{SessionID: "s2"})
	for _, raw := range []string{raw, other} {
		if closed, online := statusOf(guard, raw), statusOf(guard, raw, middleware.Online()); closed != 200 || online != 200 {
			t.Errorf("a good token: %d, online %d", closed, online)
		}
	}
	issuer.revoke("s1")
	if status := statusOf(guard, raw, middleware.Online()); status != http.StatusUnauthorized {
		t.Errorf("an online route after the revocation: %d", status)
	}
	eventually(t, http.StatusUnauthorized, func() int { return statusOf(guard, raw) })
	if closed, online := statusOf(guard, other), statusOf(guard, other, middleware.Online()); closed != 200 || online != 200 {
		t.Errorf("another token after the revocation: %d, online %d", closed, online)
	}
	if n := asked.n.Load(); n > 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
	if st := guard.Status(); !st.Found || !st.Revocations.Fresh || st.Revocations.Entries[revocation.Session] != 1 {
		t.Errorf("status %+v", st)
	}
}

// While Redis hangs each route does as it says, what is known to be revoked stays so, and nobody waits for long.
func TestRedisHangs(t *testing.T) {
	issuer := newRedisIssuer(t)
	guard := issuer.guard(t, middleware.Options{MaxStaleness: 2 * time.Second, OnlineTimeout: 100 * time.Millisecond})
	good, revoked := issuer.Mint(token.Claims{SessionID: "s1"}), issuer.Mint(token.Claims{SessionID: "s2"})
	issuer.revoke("s2")
	eventually(t, http.StatusUnauthorized, func() int { return statusOf(guard, revoked) })
	issuer.server.Freeze()
	began := time.Now()
	if status := statusOf(guard, good, middleware.Online()); status != http.StatusServiceUnavailable {
		t.Errorf("an online route: %d", status)
	}
	if took := time.Since(began); took > 15*time.Second { // the source would wait for twice as long
		t.Errorf("an online route with a timeout of 100ms answered after %v", took)
	}
	eventually(t, http.StatusServiceUnavailable, func() int { return statusOf(guard, good) })
	if status := statusOf(guard, good, middleware.Stale(time.Hour)); status != http.StatusOK {
		t.Errorf("a stale route: %d", status)
	}
	for name, option := range map[string]middleware.Option{
		"closed": middleware.Closed(), "stale": middleware.Stale(time.Hour), "online": middleware.Online(),
	} {
		if status := statusOf(guard, revoked, option); status != http.StatusUnauthorized {
			t.Errorf("a revoked token on a route that is %s: %d", name, status)
		}
	}
	issuer.server.Thaw()
	for _, option := range []middleware.Option{middleware.Closed(), middleware.Online()} {
		eventually(t, http.StatusOK, func() int { return statusOf(guard, good, option) })
	}
}

// A service holds a mirror and writes nothing back, also with the rights to: that is for authds, whom the set waits for.
func TestRedisIsOnlyRead(t *testing.T) {
	issuer := newRedisIssuer(t)
	source, err := redisstore.NewSource(issuer.admin, redisstore.SourceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	guard := newGuard(t, issuer.URL, middleware.Options{Redis: source, MaxStaleness: 2 * time.Second})
	good, revoked := issuer.Mint(token.Claims{SessionID: "s1"}), issuer.Mint(token.Claims{SessionID: "s2"})
	issuer.revoke("s2")
	eventually(t, http.StatusUnauthorized, func() int { return statusOf(guard, revoked) })
	issuer.stop()
	if err := issuer.admin.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if status := statusOf(guard, good, middleware.Online()); status != http.StatusServiceUnavailable {
		t.Errorf("an online route over an empty server: %d", status)
	}
	eventually(t, http.StatusServiceUnavailable, func() int { return statusOf(guard, good) })
	if status := statusOf(guard, revoked); status != http.StatusUnauthorized {
		t.Errorf("a revoked token over an empty server: %d", status)
	}
	if n := issuer.admin.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("a service has written %d keys", n)
	}
	guard.Close()
	if err := source.Close(); err != nil {
		t.Error(err)
	}
	if err := issuer.admin.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the client that was lent is closed: %v", err)
	}
}

// The error of a guard that cannot start says what is wrong with Redis.
func TestRedisRefusesTheService(t *testing.T) {
	issuer := newRedisIssuer(t)
	source, err := redisstore.OpenSource("redis://verifier:wrong@"+issuer.server.Addr, redisstore.SourceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	_, err = middleware.New(t.Context(), issuer.URL, middleware.Options{
		Audience: "orders", Redis: source, StartTimeout: time.Second,
	})
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "wrong@") {
		t.Errorf("have %v", err)
	}
}
