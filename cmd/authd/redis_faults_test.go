package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/revocation/redisstore"
)

// A fault of Redis is answered 503, soon, by authd and by a service that verifies over Redis. Never is it a 500, an answer
// about a token or a session that nobody could know, or a revoked token that passes. When Redis is well again so is all.
func TestRedisFaults(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]struct {
		start  func(*testing.T) *patient
		faults []redisFault
	}{
		"server":      {newPatient, serverFaults},
		"permissions": {newPatient, permissionFaults},
		"cluster":     {newClusterPatient, clusterFaults},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := f.start(t)
			p.well()
			for _, f := range f.faults {
				if !t.Run(f.name, func(t *testing.T) { p.suffer(t, f) }) {
					t.Fatalf("what follows %q would show nothing", f.name)
				}
			}
		})
	}
}

// redisFault is something that happens to a Redis.
type redisFault struct {
	name       string
	hurt, heal func(*patient)
	effect     effect
}

// effect is what must stop, and is asked for until it has.
type effect int

const (
	everything effect = iota // nothing can be read, so verification stops too, once its bound is over
	writes                   // what is in memory stays current
	nothing                  // nobody notices
)

var serverFaults = []redisFault{
	{"stopped", func(p *patient) { p.server.Kill() }, func(p *patient) { p.server.Restart(); p.grant() }, everything},
	{"frozen", func(p *patient) { p.server.Freeze() }, func(p *patient) { p.server.Thaw() }, everything},
	{"loading", (*patient).reload, func(p *patient) { p.set("key-load-delay", 0); p.background.Wait() }, everything},
	{"busy", (*patient).runForEver, func(p *patient) { p.do("SCRIPT", "KILL"); p.background.Wait() }, everything},
	{"no connection left", func(p *patient) { p.set("maxclients", 1); p.cutOff() },
		func(p *patient) { p.set("maxclients", 1000) }, everything},
	{"read only", func(p *patient) { p.do("REPLICAOF", "127.0.0.1", "1") },
		func(p *patient) { p.do("REPLICAOF", "NO", "ONE") }, everything}, // a replica may lack the latest
	{"out of memory", func(p *patient) { p.set("maxmemory", 1) }, func(p *patient) { p.set("maxmemory", 0) }, writes},
	{"too few replicas", func(p *patient) { p.set("min-replicas-to-write", 1) },
		func(p *patient) { p.set("min-replicas-to-write", 0) }, writes},
	{"scripts flushed", func(p *patient) { p.do("SCRIPT", "FLUSH") }, func(*patient) {}, nothing},
}

var permissionFaults = []redisFault{
	{"no rights", func(p *patient) { p.users("-@all") }, (*patient).grant, everything},
	{"no keys", func(p *patient) { p.users("resetkeys") }, (*patient).grant, everything},
	{"no scripts", func(p *patient) { p.users("-eval", "-evalsha", "-eval_ro", "-evalsha_ro") }, (*patient).grant, everything},
	{"another password", func(p *patient) { p.users("resetpass", ">other"); p.cutOff() }, (*patient).grant, everything},
	{"no such user", func(p *patient) { p.do("ACL", "DELUSER", "authd", "verifier") }, (*patient).grant, everything},
}

var clusterFaults = []redisFault{
	{"not authenticated", func(p *patient) { p.do("ACL", "SETUSER", "default", "resetpass", ">x"); p.cutOff() },
		func(p *patient) { p.do("ACL", "SETUSER", "default", "nopass") }, everything},
	{"down", func(p *patient) { p.do("CLUSTER", "DELSLOTSRANGE", 0, 16383) },
		func(p *patient) { p.do("CLUSTER", "ADDSLOTSRANGE", 0, 16383) }, everything},
	{"moved", func(p *patient) {
		p.do("CLUSTER", "DELSLOTSRANGE", 0, 16383)
		p.giveSlots(p.other)
	}, func(p *patient) { p.giveSlots(p.admin) }, everything},
}

// patient is a Redis that is hurt, with an authd that keeps everything there and a service that verifies by it.
type patient struct {
	t      *testing.T
	server *testenv.RedisServer
	admin  *redis.Client // unaffected by what happens to the users
	other  *redis.Client // of a node without slots, in a cluster
	authd  *server
	guard  *middleware.Guard
	live   grant

	spare      []grant        // to be logged out, one after the other
	tried      []int          // what else may answer the logout of the first of them, which was tried before
	acked      []acked        // the latest that were logged out
	background sync.WaitGroup // what keeps the server busy
}

type acked struct {
	grant
	at time.Time
}

const (
	faultsBound = 2 * time.Second // on staleness
	answerTime  = 20 * time.Second
)

func newPatient(t *testing.T) *patient {
	t.Helper()
	server := testenv.NewRedis(t, "--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "local",
		"--user default on nopass ~* &* +@all", "--user admin on >admin ~* &* +@all")
	p := &patient{t: t, server: server, admin: connectAdmin(t, server.Addr)}
	p.grant()
	p.start("redis://authd:secret@"+server.Addr, "redis://verifier:secret@"+server.Addr)
	return p
}

func connectAdmin(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, Username: "admin", Password: "admin", PoolSize: 1, ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// newClusterPatient is one with a master that has all slots, and another that has none. Nobody has a password.
func newClusterPatient(t *testing.T) *patient {
	t.Helper()
	start := func() (*testenv.RedisServer, *redis.Client) {
		s := testenv.NewRedis(t, "--cluster-enabled", "yes", "--user admin on >admin ~* &* +@all")
		return s, connectAdmin(t, s.Addr)
	}
	p := &patient{t: t}
	p.server, p.admin = start()
	var other *testenv.RedisServer
	other, p.other = start()
	p.do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	host, port, err := net.SplitHostPort(other.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p.do("CLUSTER", "MEET", host, port)
	until(t, "a cluster of two", func() bool {
		for _, node := range []*redis.Client{p.admin, p.other} {
			info := node.ClusterInfo(t.Context()).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:2\r") {
				return false
			}
		}
		return true
	})
	p.start("redis-cluster://"+p.server.Addr, "redis-cluster://"+p.server.Addr)
	return p
}

// start starts authd and the service.
func (p *patient) start(authdURL, serviceURL string) {
	t := p.t
	t.Helper()
	p.authd = serve(t, t.TempDir(), "--demo", "--redis", authdURL, "--kek-file", newKEK(t), "--max-staleness", faultsBound.String(),
		"--election-lease", lease.String(), "--refresh-replays", "100000")
	source, err := redisstore.OpenSource(serviceURL, redisstore.SourceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	p.guard, err = middleware.New(context.Background(), p.authd.URL, middleware.Options{
		Audience: "authd", Redis: source, MaxStaleness: faultsBound, StartTimeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.guard.Close()
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
}

// do sends a command that must succeed.
func (p *patient) do(args ...any) any {
	p.t.Helper()
	v, err := p.admin.Do(context.Background(), args...).Result()
	if err != nil {
		p.t.Fatalf("%v: %v", args, err)
	}
	return v
}

func (p *patient) set(name string, value any) { p.t.Helper(); p.do("CONFIG", "SET", name, value) }

// grant gives both users the rights that docs/redis.md lists for them, whatever was done to them.
func (p *patient) grant() {
	p.t.Helper()
	for _, command := range documentedRights(p.t) {
		p.do(command...)
	}
}

// users changes the rights of both.
func (p *patient) users(rules ...any) {
	p.t.Helper()
	for _, user := range []string{"authd", "verifier"} {
		p.do(append([]any{"ACL", "SETUSER", user}, rules...)...)
	}
}

// cutOff ends all connections but this one.
func (p *patient) cutOff() { p.t.Helper(); p.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }

// reload has the server load its data slowly.
func (p *patient) reload() {
	p.t.Helper()
	filler := strings.Repeat("x", 2000)
	for i := range 2000 {
		p.do("SET", fmt.Sprint("filler", i), fmt.Sprint(i, filler[:1000+i%1000]))
	}
	p.set("rdbcompression", "no")
	p.set("loading-process-events-interval-bytes", 1024)
	p.set("key-load-delay", 60_000) // µs
	p.inBackground("DEBUG", "RELOAD")
	until(p.t, "loading", func() bool {
		return strings.Contains(p.admin.Info(context.Background(), "persistence").Val(), "loading:1")
	})
}

// runForEver keeps the server busy with a script.
func (p *patient) runForEver() {
	p.t.Helper()
	p.set("busy-reply-threshold", 10)
	p.inBackground("EVAL", "while true do end", 0)
	until(p.t, "BUSY", func() bool { return redis.HasErrorPrefix(p.admin.Ping(context.Background()).Err(), "BUSY") })
}

// inBackground sends a command that takes long.
func (p *patient) inBackground(args ...any) {
	client := redis.NewClient(&redis.Options{Addr: p.server.Addr, Username: "admin", Password: "admin", ReadTimeout: -1, MaxRetries: -1})
	p.background.Go(func() {
		defer client.Close()
		client.Do(context.Background(), args...)
	})
}

// giveSlots tells the master that all slots are another's.
func (p *patient) giveSlots(owner *redis.Client) {
	p.t.Helper()
	id := owner.Do(context.Background(), "CLUSTER", "MYID").Val()
	_, err := p.admin.Pipelined(context.Background(), func(pipe redis.Pipeliner) error {
		for slot := range 16384 {
			pipe.Do(context.Background(), "CLUSTER", "SETSLOT", slot, "NODE", id)
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// suffer lets a fault happen, looks on until it has the effect that it must have, and then until all is well again.
func (p *patient) suffer(t *testing.T, f redisFault) {
	outer := p.t
	p.t = t
	defer func() { p.t = outer }()
	p.live = p.authd.login(t, demoUser, demoPassword)
	f.hurt(p)
	switch f.effect {
	case everything:
		p.until("a fault that is noticed by all", func(seen map[string]int) bool {
			return all(seen, http.StatusServiceUnavailable, "ready", "login", "refresh", "logout", "sessions", "verify", "closed", "online")
		})
	case writes:
		p.until("a fault that is noticed by who must write", func(seen map[string]int) bool {
			return all(seen, http.StatusServiceUnavailable, "ready", "login", "refresh", "logout") &&
				all(seen, http.StatusOK, "verify", "closed", "online", "sessions")
		})
	}
	f.heal(p)
	p.well()
}

// well waits until everything works.
func (p *patient) well() {
	p.t.Helper()
	if p.live.AccessToken == "" {
		p.live = p.authd.login(p.t, demoUser, demoPassword)
	}
	p.until("everything to work", func(seen map[string]int) bool {
		return all(seen, http.StatusOK, "ready", "login", "refresh", "sessions", "verify", "closed", "online", "introspect") &&
			all(seen, http.StatusNoContent, "logout")
	})
}

func all(seen map[string]int, status int, names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return seen[name] != status })
}

func (p *patient) until(what string, ok func(map[string]int) bool) {
	p.t.Helper()
	var seen map[string]int
	for deadline := time.Now().Add(patience); ; wait(p.t, 100*time.Millisecond) {
		if seen = p.look(); ok(seen) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no %s within %v: %v", what, patience, seen)
		}
	}
}

// look asks everything there is once, and checks that no answer claims what nobody can know.
func (p *patient) look() map[string]int {
	p.t.Helper()
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		seen = map[string]int{}
	)
	ask := func(name string, request func() int, allowed ...int) {
		all.Go(func() {
			begun := time.Now()
			status := request()
			if took := time.Since(begun); took > answerTime {
				p.t.Errorf("%s: answered after %v", name, took)
			}
			if !slices.Contains(append(allowed, http.StatusServiceUnavailable), status) {
				p.t.Errorf("%s: answered %d", name, status)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[name] = status
		})
	}
	get := func(path, bearer string) func() int {
		return func() int { return p.send(http.MethodGet, p.authd.URL+path, bearer, nil, nil) }
	}
	guarded := func(g grant, policy middleware.Option) func() int {
		return func() int {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+g.AccessToken)
			w := httptest.NewRecorder()
			p.guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), policy).ServeHTTP(w, r)
			return w.Code
		}
	}
	ask("ready", func() int { return p.send(http.MethodGet, p.authd.Admin+"/readyz", "", nil, nil) }, 200)
	var fresh grant
	ask("login", func() int {
		return p.send(http.MethodPost, p.authd.URL+"/v1/login", "", map[string]string{"username": demoUser, "password": demoPassword}, &fresh)
	}, 200)
	ask("refresh", func() int {
		return p.send(http.MethodPost, p.authd.URL+"/v1/refresh", "", map[string]string{"refresh_token": p.live.RefreshToken}, nil)
	}, 200)
	var ending grant
	if len(p.spare) > 0 {
		ending = p.spare[0]
		// A logout that was not acknowledged may be done all the same, and then its token is not good for another.
		ask("logout", func() int {
			return p.send(http.MethodPost, p.authd.URL+"/v1/logout", ending.AccessToken, map[string]string{"scope": "session"}, nil)
		}, append([]int{204}, p.tried...)...)
	}
	ask("sessions", get("/v1/sessions", p.live.AccessToken), 200)
	ask("verify", get("/v1/verify", p.live.AccessToken), 200)
	ask("closed", guarded(p.live, middleware.Closed()), 200)
	ask("online", guarded(p.live, middleware.Online()), 200)
	ask("introspect", func() int { return p.introspect(p.live, true) }, 200)
	for i, a := range p.acked {
		ask(fmt.Sprint("revoked verify ", i), get("/v1/verify", a.AccessToken), 401)
		ask(fmt.Sprint("revoked online ", i), guarded(a.grant, middleware.Online()), 401)
		ask(fmt.Sprint("revoked refresh ", i), func() int {
			return p.send(http.MethodPost, p.authd.URL+"/v1/refresh", "", map[string]string{"refresh_token": a.RefreshToken}, nil)
		}, 401)
		ask(fmt.Sprint("revoked introspect ", i), func() int { return p.introspect(a.grant, false) }, 200)
		if time.Since(a.at) > faultsBound {
			ask(fmt.Sprint("revoked closed ", i), guarded(a.grant, middleware.Closed()), 401)
			ask(fmt.Sprint("revoked stale ", i), guarded(a.grant, middleware.Stale(time.Hour)), 401)
		}
	}
	all.Wait()

	if seen["login"] == http.StatusOK && len(p.spare) < 5 {
		p.spare = append(p.spare, fresh)
	}
	switch seen["logout"] {
	case http.StatusNoContent, http.StatusUnauthorized:
		p.acked = append(p.acked, acked{ending, time.Now()})
		p.acked = p.acked[max(0, len(p.acked)-5):]
		p.spare, p.tried = p.spare[1:], nil
	case http.StatusServiceUnavailable:
		p.tried = []int{http.StatusUnauthorized}
	}
	return seen
}

// introspect returns the status, or 500 when the answer is wrong.
func (p *patient) introspect(g grant, want bool) int {
	var answer struct{ Active bool }
	form := url.Values{"token": {g.AccessToken}}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.authd.URL+"/oauth2/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("demo-service", "demo-service-secret")
	status := p.roundTrip(req, &answer)
	if status == http.StatusOK && answer.Active != want {
		p.t.Errorf("introspection says active: %v", answer.Active)
	}
	return status
}

// send sends a request, and decodes an answer of 200 into result.
func (p *patient) send(method, to, bearer string, body, result any) int {
	var reader io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			p.t.Error(err)
			return 0
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, to, reader)
	if err != nil {
		p.t.Error(err)
		return 0
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return p.roundTrip(req, result)
}

func (p *patient) roundTrip(req *http.Request, result any) int {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Errorf("%s: %v", req.URL.Path, err)
		return 0
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && result != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, result)
	}
	if err != nil {
		p.t.Errorf("%s: %v", req.URL.Path, err)
	}
	if resp.StatusCode >= http.StatusInternalServerError && resp.StatusCode != http.StatusServiceUnavailable {
		p.t.Errorf("%s: %s\n%s", req.URL.Path, resp.Status, body)
	}
	return resp.StatusCode
}
