package deploy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/authd-project/authd/internal/testenv"
)

const (
	alicesPassword = "correct horse battery staple"
	redisPassword  = "made-for-tests"
)

// fastKeys rotate every few seconds, with time enough for everything on a busy machine.
const fastKeys = `{"rotate_every": "6s", "publish_ahead": "5500ms", "jwks_max_age": "1s", "jwks_overstay": "1ms", "view_age": "3s", "skew": "1s",
	"access_ttl": "8s", "refresh_grace": "4s", "leeway": "1s", "election_lease": "3s"}`

// Two authd run as the chart's Deployment says, with the rights that it gives and nothing else: they get ready by its probes,
// one leads, people log in, keys rotate, commands work in the pod. An upgrade in between, which replaces the pods one by one,
// costs no session.
func TestChartRuns(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	redis := testenv.Redis(t, "--requirepass", redisPassword)
	c.secret(t, "authd-kek", "kek", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	c.secret(t, "authd-admin-token", "token", strings.Repeat("t", 43))
	c.secret(t, "authd-redis", "password", redisPassword)
	install := func(command []string, set ...string) {
		args := []string{"authd", chart, "--values", filepath.Join(chart, "ci", "kubernetes.yaml"), "--set-json", "config=" + fastKeys,
			"--set", "shutdownDelaySeconds=1", "--set", "config.issuer=https://auth.example.com", "--set", "config.redis=redis://" + redis,
			"--set", "secrets.usersPassword.name=", "--set", "config.users=htpasswd:/etc/authd/users",
			"--set-string", "files.users=alice:" + hash(t) + "\n"}
		c.helm(t, slices.Concat(command, args, flags(set))...)
	}
	install([]string{"install"})
	a, b := startPod(t, c, nil), startPod(t, c, nil)

	g := a.login(t)
	for _, p := range []*pod{a, b} {
		if status := p.call(t, http.MethodGet, "/v1/verify", g.AccessToken, nil, nil); status != http.StatusOK {
			t.Errorf("verify: %d", status)
		}
	}
	leader := oneLeads(t, a, b)
	if c.ring(t) == "" {
		t.Error("the ring is not in the Secret of the chart")
	}
	first := a.signs(t)
	until(t, "another key that signs", func() bool { return a.signs(t) != first && b.signs(t) != first })
	if out := b.exec(t, "", "keys", "list"); !strings.Contains(out, "active") {
		t.Errorf("keys list in the pod printed\n%s", out)
	}

	install([]string{"upgrade"}, "config.session_idle=48h", "drainSeconds=11")
	a2 := startPod(t, c, nil) // it is ready before the first may go
	a.terminate(t)
	b2 := startPod(t, c, nil)
	b.terminate(t)
	if next := oneLeads(t, a2, b2); next.Name == leader.Name || next.Term <= leader.Term {
		t.Errorf("after %+v leads %+v", leader, next)
	}
	// Force is the one thing that empties the Secret; who runs puts the ring back.
	install([]string{"upgrade", "--force-replace", "--server-side=false"}, "config.session_idle=48h", "drainSeconds=11")
	until(t, "the ring in the Secret", func() bool { return c.ring(t) != "" })
	until(t, "the session, after all pods were replaced", func() bool {
		return b2.call(t, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": g.RefreshToken}, &g) == http.StatusOK
	})
	if status := a2.call(t, http.MethodPost, "/v1/logout", g.AccessToken, map[string]string{"scope": "session"}, nil); status != http.StatusNoContent {
		t.Errorf("logout: %d", status)
	}
	until(t, "the logout, at the other", func() bool {
		return b2.call(t, http.MethodGet, "/v1/verify", g.AccessToken, nil, nil) == http.StatusUnauthorized
	})
	for _, p := range []*pod{a, b, a2, b2} {
		if out := p.out.String(); strings.Contains(out, "forbidden") || strings.Contains(out, redisPassword) {
			t.Errorf("authd printed\n%s", out)
		}
	}
}

// One authd runs with a volume and nothing else; what follows it on the volume knows its users, sessions and keys.
func TestChartRunsEmbedded(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.helm(t, slices.Concat([]string{"install", "authd", chart}, values("embedded", "shutdownDelaySeconds=0"))...)
	first := startPod(t, c, nil)
	first.exec(t, alicesPassword, "user", "add", "alice")
	g := first.login(t)
	c.helm(t, slices.Concat([]string{"upgrade", "authd", chart}, values("embedded", "shutdownDelaySeconds=0", "config.access_ttl=5m"))...)
	first.terminate(t)
	next := startPod(t, c, first)
	if status := next.call(t, http.MethodGet, "/v1/verify", g.AccessToken, nil, nil); status != http.StatusOK {
		t.Errorf("verify after an upgrade: %d", status)
	}
	if out := next.exec(t, "", "session", "list", "alice"); strings.Count(out, "\n") < 2 {
		t.Errorf("session list in the pod printed\n%s", out)
	}
}

// ring is what the Secret holds, sealed; "" for nothing.
func (c cluster) ring(t *testing.T) string {
	t.Helper()
	data, _ := c.get(t, ringSecret)["data"].(map[string]any)
	ring, _ := data["ring"].(string)
	return ring
}

// secret makes a Secret, as docs/kubernetes.md says.
func (c cluster) secret(t *testing.T, name, key, value string) {
	t.Helper()
	c.must(t, http.MethodPost, c.at("/api/v1/namespaces/NS/secrets"), object{
		"metadata": object{"name": name}, "stringData": object{key: value},
	})
}

func hash(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(alicesPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// sight is the answer of /leader.
type sight struct {
	Name string
	Self bool
	Term uint64
}

// oneLeads waits until one leads and both know who.
func oneLeads(t *testing.T, pods ...*pod) (leader sight) {
	t.Helper()
	until(t, "one that leads, as both know", func() bool {
		var selves int
		names := map[string]bool{}
		for _, p := range pods {
			var s sight
			p.admin(t, "/leader", &s)
			names[s.Name] = true
			if s.Self {
				selves, leader = selves+1, s
			}
		}
		return selves == 1 && len(names) == 1
	})
	return leader
}

// grant is the answer to a login or a refresh.
type grant struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

func (p *pod) login(t *testing.T) (g grant) {
	t.Helper()
	body := map[string]string{"username": "alice", "password": alicesPassword}
	if status := p.call(t, http.MethodPost, "/v1/login", "", body, &g); status != http.StatusOK {
		t.Fatalf("login: %d", status)
	}
	return g
}

// signs returns the key by which a login's token is signed.
func (p *pod) signs(t *testing.T) string {
	t.Helper()
	var header struct{ Kid string }
	text, _, _ := strings.Cut(p.login(t).AccessToken, ".")
	unmarshal(t, decode(t, text), &header)
	return header.Kid
}

func (p *pod) admin(t *testing.T, path string, result any) {
	t.Helper()
	if status := request(t, http.MethodGet, "http://"+p.ports["admin"]+path, "", nil, result); status != http.StatusOK {
		t.Fatalf("%s: %d", path, status)
	}
}

// call sends a request to the public API and decodes an answer of 200 into result.
func (p *pod) call(t *testing.T, method, path, bearer string, body, result any) int {
	t.Helper()
	return request(t, method, "http://"+p.ports["http"]+path, bearer, body, result)
}

func request(t *testing.T, method, url, bearer string, body, result any) int {
	t.Helper()
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(mustJSON(t, body))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if result != nil && resp.StatusCode == http.StatusOK {
		unmarshal(t, answer, result)
	}
	return resp.StatusCode
}

// try asks where nothing may listen yet.
func try(t *testing.T, url string) (status int, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "10.0.0.7:8081" // a kubelet asks the pod's address
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
