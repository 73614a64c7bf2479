package main_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.yaml.in/yaml/v3"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// A real kube-apiserver with the configuration of docs/kubernetes-tokens.md knows authd's users and their roles.
func TestKubernetesAcceptsTokens(t *testing.T) {
	t.Parallel()
	proxy, target := issuerProxy(t)
	s := serveAs(t, t.TempDir(), docs.Text(t, "docs/kubernetes-tokens.md", "sh", 0), "https://auth.example.com", proxy.URL, "…", "--demo")
	target.Store(s.URL)
	cluster := testenv.NewKubernetes(t, "--authentication-config="+authenticationConfig(t, proxy, docs.Text(t, "docs/kubernetes-tokens.md", "yaml", 0)))

	g := s.login(t, demoUser, demoPassword)
	c := claimsOf(t, g.AccessToken)
	alice := cluster.TokenKubeconfig(t, g.AccessToken)
	who := awaitWhoami(t, cluster, alice)
	if who.Username != "authd:"+c.Subject || !slices.Equal(who.Groups, []string{"authd:demo", "system:authenticated"}) ||
		!slices.Equal(who.Extra["authd.example.com/sid"], []string{c.SessionID}) {
		t.Errorf("the API server knows %+v; want sub %s, role demo, session %s", who, c.Subject, c.SessionID)
	}

	read := func() (string, error) { return cluster.Kubectl(t, alice, "get", "configmaps") }
	if out, err := read(); err == nil || !strings.Contains(out, "Forbidden") {
		t.Errorf("without a right: %v, %s", err, out)
	}
	admin(t, cluster, "create", "role", "reader", "--verb=list,get", "--resource=configmaps")
	bind, whoami, _ := strings.Cut(docs.Text(t, "docs/kubernetes-tokens.md", "sh", 1), "\n")
	admin(t, cluster, kubectlWords(t, bind, "developers", "demo", "authd:developer", "authd:demo", "--namespace=shop", "--namespace=default")...)
	words := kubectlWords(t, whoami, `"$TOKEN"`, g.AccessToken)
	if out, err := cluster.Kubectl(t, cluster.TokenKubeconfig(t, "none"), words...); err != nil || !strings.Contains(out, "authd:"+c.Subject) {
		t.Errorf("%s: %v, %s", whoami, err, out)
	}
	if out, err := read(); err != nil {
		t.Errorf("with a right of the role: %v, %s", err, out)
	}

	for name, token := range map[string]string{
		"no token of authd's":     "none",
		"a signature that is off": g.AccessToken[:len(g.AccessToken)-4] + "AAAA",
	} {
		out, err := cluster.Kubectl(t, cluster.TokenKubeconfig(t, token), "auth", "whoami")
		if err == nil || !strings.Contains(out, "Unauthorized") {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}

// A logout reaches the API server only by the token's expiry, as the page says; and it does reach it then.
func TestKubernetesHearsOfLogoutByExpiry(t *testing.T) {
	t.Parallel()
	proxy, target := issuerProxy(t)
	s := serve(t, t.TempDir(), "--issuer", proxy.URL, "--audience", "kubernetes", "--demo",
		"--access-ttl=20s", "--refresh-grace=5s")
	target.Store(s.URL)
	cluster := testenv.NewKubernetes(t, "--authentication-config="+authenticationConfig(t, proxy, docs.Text(t, "docs/kubernetes-tokens.md", "yaml", 0)))
	awaitWhoami(t, cluster, cluster.TokenKubeconfig(t, s.login(t, demoUser, demoPassword).AccessToken))

	g := s.login(t, demoUser, demoPassword)
	s.logout(t, g, "session")
	user := cluster.TokenKubeconfig(t, g.AccessToken)
	expires := expiry(t, g.AccessToken)
	if out, err := cluster.Kubectl(t, user, "auth", "whoami"); err != nil && time.Now().Before(expires) {
		t.Errorf("after the logout: %v, %s; want it not to have heard", err, out)
	}
	const cached = 10 * time.Second
	wait(t, time.Until(expires.Add(cached+time.Second))) // leeway of its clock
	if out, err := cluster.Kubectl(t, user, "auth", "whoami"); err == nil || !strings.Contains(out, "Unauthorized") {
		t.Errorf("once expired: %v, %s; want Unauthorized", err, out)
	}
}

// issuerProxy ends TLS in front of an authd that is started later, as a proxy does in production. target is its URL.
func issuerProxy(t *testing.T) (proxy *httptest.Server, target *atomic.Value) {
	t.Helper()
	target = new(atomic.Value)
	proxy = httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		to, err := url.Parse(target.Load().(string))
		if err != nil {
			t.Error(err)
			return
		}
		r.SetURL(to)
	}})
	t.Cleanup(proxy.Close)
	return proxy, target
}

// authenticationConfig writes the AuthenticationConfiguration that a page shows, for the issuer behind the proxy.
func authenticationConfig(t *testing.T, proxy *httptest.Server, shown string) (path string) {
	t.Helper()
	var config struct {
		APIVersion string           `yaml:"apiVersion"`
		Kind       string           `yaml:"kind"`
		JWT        []map[string]any `yaml:"jwt"`
	}
	if err := yaml.Unmarshal([]byte(shown), &config); err != nil {
		t.Fatal(err)
	}
	issuer := config.JWT[0]["issuer"].(map[string]any)
	issuer["url"] = proxy.URL
	issuer["certificateAuthority"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}))
	content, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "authentication.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// user is whom the API server takes somebody for.
type user struct {
	Username string
	Groups   []string
	Extra    map[string][]string
}

// awaitWhoami asks until the API server has found the issuer's keys, which it does after it says that it is ready.
func awaitWhoami(t *testing.T, cluster *testenv.KubernetesServer, kubeconfig string) user {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; wait(t, 100*time.Millisecond) {
		out, err := cluster.Kubectl(t, kubeconfig, "auth", "whoami", "-o", "json")
		if err == nil {
			var review struct{ Status struct{ UserInfo user } }
			if err := json.Unmarshal([]byte(out), &review); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			return review.Status.UserInfo
		}
		if time.Now().After(deadline) {
			t.Fatalf("the API server does not accept the token: %v, %s", err, out)
		}
	}
}

// kubectlWords are the arguments of a command on a page.
func kubectlWords(t *testing.T, command string, places ...string) []string {
	t.Helper()
	words := strings.Fields(placed(t, uncommented(command), places...))
	if words[0] != "kubectl" {
		t.Fatalf("the page runs %q", words)
	}
	return words[1:]
}

func admin(t *testing.T, cluster *testenv.KubernetesServer, args ...string) {
	t.Helper()
	if out, err := cluster.Kubectl(t, cluster.Kubeconfig, args...); err != nil {
		t.Fatal(err, out)
	}
}

func expiry(t *testing.T, raw string) time.Time {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Expires int64 `json:"exp"`
	}
	if err := json.Unmarshal(parsed.UnsafePayloadWithoutVerification(), &c); err != nil {
		t.Fatal(err)
	}
	return time.Unix(c.Expires, 0)
}
