package main_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/redis/go-redis/v9"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// patience is how long tests wait for what has to happen, on a busy machine.
const patience = time.Minute

// replicas are several authd side by side.
type replicas struct {
	t       *testing.T
	kek     string // file of the key-encryption key that they share
	args    []string
	servers []*server
}

// startReplicas starts n authd with these settings, the same users and the same key-encryption key.
func startReplicas(t *testing.T, n int, args ...string) *replicas {
	t.Helper()
	r := &replicas{t: t, kek: newKEK(t)}
	r.args = append([]string{
		"--kek-file", r.kek, "--issuer", "http://127.0.0.1:1", "--election-lease", lease.String(),
	}, args...)
	folders := sharedUsers(t, n)
	var wg sync.WaitGroup
	r.servers = make([]*server, n)
	for i := range n {
		wg.Go(func() { r.servers[i] = serve(t, folders[i], r.args...) })
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow() // of a goroutine that did not start its server
	}
	return r
}

func newKEK(t *testing.T) string {
	t.Helper()
	var kek [32]byte
	_, _ = rand.Read(kek[:])
	file := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(kek[:])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// sharedUsers makes data folders in which alice is the same user.
func sharedUsers(t *testing.T, n int) (folders []string) {
	t.Helper()
	first := t.TempDir()
	if out, err := command(t.Context(), alicesPassword, "user", "add", "alice", "--data", first, "--admin-listen", "127.0.0.1:1"); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	users, err := os.ReadFile(filepath.Join(first, "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "users.db"), users, 0o600); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, folder)
	}
	return folders
}

// sight is the answer of /leader, also of a sidecar.
type sight struct {
	Name       string
	Self       bool
	Term       uint64
	ValidForMS int64 `json:"valid_for_ms"`
}

// leader asks a server who leads.
func (s *server) leader(t *testing.T) sight {
	t.Helper()
	var l sight
	if status := getJSON(t, s.Admin+"/leader", &l); status != http.StatusOK {
		t.Fatalf("/leader: %d", status)
	}
	return l
}

func getJSON(t *testing.T, url string, into any) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return resp.StatusCode
}

// awaitLeader waits until one of the servers leads, has claimed a term above the given one, and all agree.
func (r *replicas) awaitLeader(above uint64) (leader *server, term uint64) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var selves []*server
		sights := map[sight]bool{}
		for _, s := range r.servers {
			l := s.leader(r.t)
			if l.Self {
				selves = append(selves, s)
			}
			l.Self, l.ValidForMS = false, 0
			sights[l] = true
			term = l.Term
		}
		if len(selves) > 1 {
			r.t.Fatalf("%d lead at once", len(selves))
		}
		if len(selves) == 1 && len(sights) == 1 && term > above {
			return selves[0], term
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("no leader that all agree on: %v", sights)
		}
		wait(r.t, 50*time.Millisecond)
	}
}

func (r *replicas) without(gone *server) (left []*server) {
	for _, s := range r.servers {
		if s != gone {
			left = append(left, s)
		}
	}
	return left
}

func (s *server) jwks(t *testing.T) string {
	t.Helper()
	return s.get(t, "/.well-known/jwks.json")
}

// get returns what anybody may read.
func (s *server) get(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		wait(t, 10*time.Millisecond)
	}
}

// Any of several authd serves any request: one leads, all publish the same keys, and what one did the others know.
func TestReplicas(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	r := startReplicas(t, 3, "--redis", "redis://"+addr)
	checkReplicas(t, r)
	checkEmergency(t, r)
	r.checkFailovers()
}

func TestReplicasOnKubernetes(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, 3, append(kubernetes(t).flags, "--redis", "redis://"+testenv.Redis(t),
		"--election", "kubernetes", "--keys", "kubernetes")...)
	checkReplicas(t, r)
	r.checkFailovers()
}

// With an etcd that knows users, and grants what docs/operations.md says.
func TestReplicasOnEtcd(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, 3, append(restrictedEtcd(t), "--redis", "redis://"+testenv.Redis(t), "--election", "etcd", "--keys", "etcd")...)
	checkReplicas(t, r)
	r.checkFailovers()
}

// restrictedEtcd returns the flags of a user that has the rights in docs/operations.md, with a prefix before all of them.
func restrictedEtcd(t *testing.T) (flags []string) {
	t.Helper()
	const prefix, password = "test/", "made-for-tests"
	addr := testenv.Etcd(t).Addr
	client := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{addr}})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(client.RoleAdd(t.Context(), "authd"))
	rights := regexp.MustCompile(`(?m)^etcdctl role grant-permission authd readwrite (\S+)( --prefix)?$`).FindAllStringSubmatch(docs.Text(t, "docs/operations.md", "sh", 0), -1)
	if len(rights) != 2 {
		t.Fatalf("docs/operations.md grants %q", rights)
	}
	for _, right := range rights {
		key, end := prefix+right[1], ""
		if right[2] != "" {
			end = clientv3.GetPrefixRangeEnd(key)
		}
		must(client.RoleGrantPermission(t.Context(), "authd", key, end, clientv3.PermissionType(clientv3.PermReadWrite)))
	}
	must(client.RoleAdd(t.Context(), "root"))
	for _, name := range []string{"authd", "root"} {
		must(client.UserAdd(t.Context(), name, password))
		must(client.UserGrantRole(t.Context(), name, name))
	}
	must(client.AuthEnable(t.Context()))
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--etcd", "http://" + addr, "--etcd-prefix", prefix, "--etcd-username", "authd", "--etcd-password-file", file}
}

// kubernetes is what deploy/rbac.yaml makes in a real API server, for authd's own account.
func kubernetes(t *testing.T) backend {
	t.Helper()
	_, kubeconfig := testenv.Kubernetes(t).Authd(t)
	return backend{"kubernetes", []string{"--kubeconfig", kubeconfig}}
}

// checkFailovers kills the leader again and again, and sees another one claim the ring each time.
func (r *replicas) checkFailovers() {
	r.t.Helper()
	var took []time.Duration
	leader, term := r.awaitLeader(0)
	for range *failovers {
		killed := time.Now()
		leader.kill()
		r.servers = r.without(leader)
		until(r.t, "a leader that has claimed the ring", func() bool {
			for _, s := range r.servers {
				if l := s.leader(r.t); l.Self && l.Term > term {
					return true
				}
			}
			return false
		})
		took = append(took, time.Since(killed))
		r.servers = append(r.servers, serve(r.t, leader.Data, r.args...))
		leader, term = r.awaitLeader(term)
	}
	logTimes(r.t, "killed leader to claimed ring", took)
}

// checkEmergency revokes the key that signs, at an authd that does not lead.
func checkEmergency(t *testing.T, r *replicas) {
	t.Helper()
	leader, _ := r.awaitLeader(0)
	follower := r.without(leader)[0]
	g := leader.login(t, "alice", alicesPassword)
	kid := keyID(t, g.AccessToken)
	if out := follower.authd(t, "", "keys", "revoke", kid, "--yes"); !strings.Contains(out, "revoked "+kid) {
		t.Errorf("keys revoke at a follower printed\n%s", out)
	}
	for i, s := range r.servers {
		until(t, "a denial everywhere", func() bool { return s.verify(t, g.AccessToken) == http.StatusUnauthorized })
		until(t, "another key that signs", func() bool {
			_, status := s.refresh(t, g.RefreshToken)
			return status == http.StatusOK
		})
		if renewed, _ := s.refresh(t, g.RefreshToken); keyID(t, renewed.AccessToken) == kid || strings.Contains(s.jwks(t), kid) {
			t.Errorf("authd %d uses the revoked key", i)
		}
	}
	until(t, "the key revoked in the ring", func() bool {
		return strings.Contains(leader.authd(t, "", "keys", "list"), kid+"  ES256  revoked")
	})
}

func TestReplicasUnderSentinel(t *testing.T) {
	t.Parallel()
	set := testenv.NewRedisSentinel(t)
	url := "redis-sentinel://" + strings.Join(set.Sentinels, ",") + "/?master=" + set.Name
	r := startReplicas(t, 3, "--redis", url, "--redis-replicas", "1")
	checkReplicas(t, r)
	_, term := r.awaitLeader(0)
	jwks := r.servers[0].jwks(t)
	set.Primary(t).Kill()
	until(t, "a login after the failover", func() bool {
		body := map[string]string{"username": "alice", "password": alicesPassword}
		return r.servers[0].call(t, http.MethodPost, "/v1/login", "", body, nil) == http.StatusOK
	})
	if _, after := r.awaitLeader(0); after < term {
		t.Errorf("term %d after term %d", after, term)
	}
	for _, s := range r.servers {
		if s.jwks(t) != jwks {
			t.Error("the failover changed the keys")
		}
	}
}

func checkReplicas(t *testing.T, r *replicas) {
	t.Helper()
	leader, _ := r.awaitLeader(0)
	until(t, "the same JWKS everywhere", func() bool {
		return r.servers[0].jwks(t) == r.servers[1].jwks(t) && r.servers[1].jwks(t) == r.servers[2].jwks(t)
	})
	g := r.servers[0].login(t, "alice", alicesPassword)
	for i, s := range r.servers {
		if got := s.verify(t, g.AccessToken); got != http.StatusOK {
			t.Errorf("authd %d answers %d to a token of another", i, got)
		}
	}
	renewed, status := r.servers[1].refresh(t, g.RefreshToken)
	if status != http.StatusOK {
		t.Fatalf("refresh at another authd: %d", status)
	}
	r.servers[2].logout(t, renewed, "session")
	for i, s := range r.servers {
		for _, token := range []string{g.AccessToken, renewed.AccessToken} {
			until(t, "a denial everywhere", func() bool { return s.verify(t, token) == http.StatusUnauthorized })
		}
		if _, status := s.refresh(t, renewed.RefreshToken); status != http.StatusUnauthorized {
			t.Errorf("authd %d answers %d to a refresh after the logout", i, status)
		}
	}
	follower := r.without(leader)[0]
	var ready struct{ Status string }
	if status := getJSON(t, follower.Admin+"/readyz", &ready); status != http.StatusOK {
		t.Errorf("a follower's readiness: %d", status)
	}
	out, err := command(t.Context(), "", "keys", "rotate", "--data", follower.Data, "--admin-listen", strings.TrimPrefix(follower.Admin, "http://"))
	if name := follower.leader(t).Name; err == nil || !strings.Contains(out, "Only the leader changes keys. It is "+name) {
		t.Errorf("keys rotate at a follower: %v\n%s", err, out)
	}
}

// steadyRotation rotates often, and leaves a busy machine time for everything.
var steadyRotation = []string{
	"--rotate-every=6s", "--publish-ahead=5500ms", "--jwks-max-age=1s", "--jwks-overstay=1ms", "--view-age=3s", "--skew=1s",
	"--access-ttl=8s", "--refresh-grace=4s", "--leeway=1s", "--refresh-replays=1000",
}

// When the leader is lost without notice another goes on where it stood, and no valid token is rejected by anybody.
func TestLostLeader(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, 3, append(steadyRotation, "--redis", "redis://"+testenv.Redis(t))...)
	leader, term := r.awaitLeader(0)
	survivors := r.without(leader)
	g := survivors[0].login(t, "alice", alicesPassword)
	keySet := &honestCache{url: survivors[1].URL + "/.well-known/jwks.json"}
	verifier := oidc.NewVerifier("http://127.0.0.1:1", keySet, &oidc.Config{ClientID: "authd", SupportedSigningAlgs: []string{"ES256"}})
	kids := map[string]bool{}
	check := func() {
		var status int
		if g, status = survivors[0].refresh(t, g.RefreshToken); status != http.StatusOK {
			t.Fatalf("refresh: %d", status)
		}
		if _, err := verifier.Verify(t.Context(), g.AccessToken); err != nil {
			t.Fatalf("a valid token was rejected: %v", err)
		}
		if status := survivors[1].verify(t, g.AccessToken); status == http.StatusUnauthorized {
			t.Fatal("forward-auth rejected a valid token")
		}
		kids[keyID(t, g.AccessToken)] = true
	}
	check()
	for range 2 {
		leader.kill()
		r.servers = r.without(leader)
		killed := time.Now()
		for next := (sight{}); next.Term <= term; wait(t, 20*time.Millisecond) {
			check()
			for _, s := range r.servers {
				if l := s.leader(t); l.Self {
					next = l
				}
			}
			if time.Since(killed) > patience {
				t.Fatalf("nobody leads %v after the leader was killed", patience)
			}
		}
		t.Logf("lease %v: the next leader had claimed the ring after %v", *lease, time.Since(killed))
		clear(kids)
		until(t, "two rotations under the new leader", func() bool { check(); return len(kids) > 2 })
		r.servers = append(r.servers, serve(t, leader.Data, r.args...))
		leader, term = r.awaitLeader(term)
		if leader == survivors[0] || leader == survivors[1] {
			break // these must live to the end, as they are asked all the time
		}
	}
}

// An authd that cannot open the ring says so and ends, instead of waiting for what will not come.
func TestWrongKEK(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	r := startReplicas(t, 1, "--redis", "redis://"+addr)
	other := newKEK(t)
	out, err := command(t.Context(), "", "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--issuer", "http://127.0.0.1:1", "--redis", "redis://"+addr, "--kek-file", other)
	if err == nil || !strings.Contains(out, "kek-file "+other) || !strings.Contains(out, "sealed under key-encryption key") {
		t.Errorf("started with another key-encryption key: %v\n%s", err, out)
	}
	if got := r.servers[0].leader(t); !got.Self {
		t.Errorf("the right one leads no more: %+v", got)
	}
}

// While nobody leads and there is no ring, an authd waits, says so, and gets ready by itself. When somebody else makes a
// ring that it cannot open, it ends.
func TestWaitsForTheFirstLeader(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	const key = "authd:election:{authd}"
	if err := client.Set(t.Context(), key, "somebody\nelse", 0).Err(); err != nil {
		t.Fatal(err)
	}
	start := func(kek string) *server {
		s := &server{process: startProcess(t, regexp.MustCompile("the key ring is empty: waiting for a leader"), "authd",
			"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
			"--issuer", "http://127.0.0.1:1", "--redis", "redis://"+addr, "--kek-file", kek, "--election-lease=3s")}
		until(t, "the addresses", func() bool { return strings.Contains(s.out.String(), "admin API") })
		s.URL, s.Admin = s.out.find(t, `public API\s+(http://\S+)`), s.out.find(t, `admin API\s+(http://\S+)`)
		return s
	}
	s := start(newKEK(t))
	until(t, "sight of who leads", func() bool { return s.leader(t).Name == "somebody" })
	var problem struct{ Errors []struct{ Field string } }
	if status := getJSON(t, s.Admin+"/readyz", &problem); status != http.StatusServiceUnavailable || len(problem.Errors) == 0 || problem.Errors[0].Field != "keys" {
		t.Errorf("readiness without keys: %d %+v", status, problem)
	}
	stranger := start(newKEK(t)) // will not be able to open the ring of the other
	stranger.process.cmd.Process.Signal(syscall.SIGSTOP)
	if err := client.Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "ready", func() bool { return strings.Contains(s.out.String(), "\nready\n") })
	stranger.process.cmd.Process.Signal(syscall.SIGCONT)
	select {
	case <-stranger.done:
		if stranger.err == nil || !strings.Contains(stranger.out.String(), "sealed under key-encryption key") {
			t.Errorf("it ended with %v\n%s", stranger.err, stranger.out)
		}
	case <-time.After(patience):
		t.Error("an authd with another key-encryption key goes on for ever")
	}
}

// A leader that cannot keep the ring for good ends: nobody would notice until its keys are too old.
func TestBrokenRingEndsTheLeader(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	s := startReplicas(t, 1, "--redis", "redis://"+addr).servers[0]
	if err := client.HSet(t.Context(), "authd:keys", "value", "broken", "version", "broken").Err(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.done:
		if s.err == nil || !strings.Contains(s.out.String(), "background work: leading") {
			t.Errorf("it ended with %v\n%s", s.err, s.out)
		}
	case <-time.After(patience):
		t.Error("it goes on without rotation")
	}
}
