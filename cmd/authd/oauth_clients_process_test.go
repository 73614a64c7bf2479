package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// placed puts the addresses of this test into a block in the place of those that it names: each must be there.
func placed(t *testing.T, block string, places ...string) string {
	t.Helper()
	for i := 0; i < len(places); i += 2 {
		if !strings.Contains(block, places[i]) {
			t.Fatalf("%q is not in\n%s", places[i], block)
		}
	}
	return strings.NewReplacer(places...).Replace(block)
}

// The commands of the guides that register a client print what authd's file wants.
func TestGuidesRegisterClients(t *testing.T) {
	t.Parallel()
	for _, guide := range [][]docs.Block{
		docs.Blocks(t, "docs/oidc-go.md", "sh"),
		docs.Blocks(t, "docs/oidc-kubernetes.md", "sh", 0),
		docs.Blocks(t, "docs/oidc-oauth2-proxy.md", "sh", 0),
		docs.Blocks(t, "docs/oidc-openid-client.md", "sh", 0, 2),
	} {
		var entries []string
		for _, block := range guide {
			commands := regexp.MustCompile(`(?m)^authd client new (?:.*\\\n)*.*\n`).FindAllString(block.Text, -1)
			if strings.Join(commands, "") != block.Text {
				t.Errorf("%s has other commands", block)
			}
			for _, c := range commands {
				cmd := exec.CommandContext(t.Context(), "sh", "-c", c)
				cmd.Env = append(os.Environ(), path()...)
				out, err := cmd.CombinedOutput()
				_, entry, found := strings.Cut(string(out), "oauth-clients:\n")
				if err != nil || !found {
					t.Errorf("%s: %s: %v\n%s", block, c, err, out)
				}
				entries = append(entries, entry)
			}
		}
		serve(t, t.TempDir(), "--oauth-clients", oauthFile(t, entries...)).terminate(t)
	}
}

// A real oauth2-proxy with the configuration of docs/oidc-oauth2-proxy.md logs people in to an application that knows nothing
// of logins, and lets them in no longer once their session at authd has ended.
func TestOAuth2ProxyGuide(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user %s roles %s", r.Header.Get("X-Forwarded-User"), r.Header.Get("X-Forwarded-Groups"))
	}))
	defer app.Close()
	clients := tempFile(t, "clients.yaml", "")
	listen := freePorts(t) + "1"
	s := serveAs(t, t.TempDir(), docs.Text(t, "docs/oidc-oauth2-proxy.md", "sh", 1), "https://auth.example.com", "http://"+listen,
		"/etc/authd/oauth-clients.yaml", clients, "…", "--demo --listen "+listen)
	words := strings.Fields(docs.Text(t, "docs/oidc-oauth2-proxy.md", "sh", 2)) // oauth2-proxy, in testenv's version
	addr := testenv.OAuth2Proxy(t, words[1:], func(addr string) string {
		secret, entry := oauthClient(t, "proxy", "--redirect-uri", "http://"+addr+"/oauth2/callback", "--scope", "openid,profile,offline_access")
		if err := os.WriteFile(clients, []byte(entry), 0o600); err != nil { // authd runs already: it reads the file again
			t.Fatal(err)
		}
		return placed(t, docs.Text(t, "docs/oidc-oauth2-proxy.md", "toml", 0),
			"127.0.0.1:4180", addr, "http://127.0.0.1:9090/", app.URL+"/", "https://app.example.com", "http://"+addr,
			"https://auth.example.com", s.URL, "SECRET\"", secret+"\"", "COOKIE SECRET OF 32 BYTES.......", strings.Repeat("k", 32),
			"cookie_secure = true", "cookie_secure = false", `cookie_refresh = "1m"`, `cookie_refresh = "2s"`)
	})
	until(t, "the client read", func() bool { return strings.Contains(s.out.String(), "OAuth clients read again") })

	alice := newPerson(t)
	at := alice.open(t, "http://"+addr+"/some/page")
	if !strings.HasPrefix(at.url.String(), s.URL+"/login") {
		t.Fatalf("a stranger is at %s (%d):\n%s", at.url, at.status, at.text)
	}
	want := "user " + s.subjectOf(t) + " roles demo"
	at = alice.logIn(t, at, demoUser, demoPassword)
	if at.url.String() != "http://"+addr+"/some/page" || at.text != want {
		t.Fatalf("after the login at %s (%d): %s, want %s", at.url, at.status, at.text, want)
	}
	for range 2 {
		wait(t, 2500*time.Millisecond) // beyond cookie_refresh
		if at = alice.open(t, "http://"+addr+"/"); at.text != want {
			t.Fatalf("after a refresh at %s (%d): %s", at.url, at.status, at.text)
		}
	}

	s.authd(t, "", "session", "end", s.sessionOf(t, "authd")) // the browser's, and what began from it
	until(t, "the proxy asks for a login", func() bool {
		at = alice.open(t, "http://"+addr+"/")
		return strings.HasPrefix(at.url.String(), s.URL+"/login")
	})
}

// subjectOf returns the "sub" of the demo user.
func (s *server) subjectOf(t *testing.T) string {
	t.Helper()
	return claimsOf(t, s.login(t, demoUser, demoPassword).AccessToken).Subject
}

// The modules of docs/oidc-openid-client.md do what they say, with npm's openid-client as it is published.
func TestOpenIDClientGuide(t *testing.T) {
	t.Parallel()
	const callback, home = "https://shop.example.com/callback", "https://shop.example.com/"
	shopSecret, shop := oauthClient(t, "shop", "--redirect-uri", callback, "--post-logout-redirect-uri", home, "--scope", "openid,profile,orders:read")
	reportsSecret, reports := oauthClient(t, "reports", "--grant", "client_credentials", "--scope", "orders:read")
	ordersSecret, orders := oauthClient(t, "orders", "--grant", "urn:ietf:params:oauth:grant-type:token-exchange", "--exchange-audience", "billing", "--scope", "orders:read")
	s := serve(t, t.TempDir(), "--demo", "--oauth-clients", oauthFile(t, shop, reports, orders))

	dir := testenv.OpenIDClientDir(t)
	name, found := strings.CutPrefix(docs.Text(t, "docs/oidc-openid-client.md", "sh", 1), "npm install ")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", strings.TrimSpace(name))); err != nil || !found {
		t.Errorf("the page installs %q, which is not what runs here: %v", name, err)
	}
	const laptop = ", undefined, { execute: [client.allowInsecureRequests] })"
	files := map[string]string{
		"auth.mjs": placed(t, docs.Text(t, "docs/oidc-openid-client.md", "js", 0), "https://auth.example.com", s.URL, "process.env.CLIENT_SECRET)", "process.env.CLIENT_SECRET"+laptop),
		"services.mjs": placed(t, docs.Text(t, "docs/oidc-openid-client.md", "js", 1), "https://auth.example.com", s.URL,
			"process.env.REPORTS_SECRET)", "process.env.REPORTS_SECRET"+laptop, "process.env.ORDERS_SECRET)", "process.env.ORDERS_SECRET"+laptop),
		"main.mjs": openIDClientMain,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "main.mjs"))
	cmd.Env = append(os.Environ(), "CLIENT_SECRET="+shopSecret, "REPORTS_SECRET="+reportsSecret, "ORDERS_SECRET="+ordersSecret)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	answer := func() (a map[string]any) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the application ended: %v\n%s", cmd.Wait(), s.out)
		}
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		return a
	}

	alice := newPerson(t)
	alice.stop = home
	at := alice.logIn(t, alice.open(t, answer()["url"].(string)), demoUser, demoPassword)
	if !strings.HasPrefix(at.url.String(), callback+"?") {
		t.Fatalf("the login led to %s (%d):\n%s", at.url, at.status, at.text)
	}
	fmt.Fprintln(stdin, at.url)
	a := answer()
	sub := s.subjectOf(t)
	for name, want := range map[string]string{
		"sub": sub, "name": demoUser, "roles": "demo", "refreshedFor": sub, "ownSubject": "reports", "exchangedSubject": sub,
		"exchangedAudience": "billing", "exchangedActor": "orders", "exchangedScope": "orders:read",
	} {
		if a[name] != want {
			t.Errorf("%s: %v, want %s", name, a[name], want)
		}
	}
	if at = alice.open(t, a["logoutURL"].(string)); at.url.String() != home {
		t.Errorf("the logout led to %s (%d):\n%s", at.url, at.status, at.text)
	}
	fmt.Fprintln(stdin, "logged out")
	if a = answer(); a["refresh"] != "invalid_grant" {
		t.Errorf("a refresh after the logout: %v", a["refresh"])
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// openIDClientMain is the rest of an application around the modules of the guide: a line out for each line in.
const openIDClientMain = `
import { createInterface } from 'node:readline'
import { webcrypto } from 'node:crypto'
globalThis.crypto ??= webcrypto // Node.js 18 hides it

const auth = await import('./auth.mjs')
const services = await import('./services.mjs')
const { decodeJwt } = await import('jose')
const say = (answer) => console.log(JSON.stringify(answer))
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

const { url, login } = await auth.beginLogin()
say({ url })
const { tokens, claims } = await auth.finishLogin((await lines.next()).value, login)
const refreshed = await auth.refresh(tokens)
const info = await auth.userinfo(refreshed, claims.sub)
const own = decodeJwt((await services.ownToken()).access_token)
const exchanged = decodeJwt((await services.tokenForBilling(refreshed.access_token)).access_token)
say({
  sub: claims.sub, name: info.preferred_username, roles: info.roles.join(' '), refreshedFor: refreshed.claims().sub,
  ownSubject: own.sub, exchangedSubject: exchanged.sub, exchangedAudience: [exchanged.aud].flat().join(' '),
  exchangedActor: exchanged.act.sub, exchangedScope: exchanged.scope, logoutURL: auth.logoutURL(tokens),
})
await lines.next()
say({ refresh: await auth.refresh(refreshed).then(() => 'still good', (e) => e.error) })
process.exit(0)
`

// A real kube-apiserver with the configuration of docs/oidc-kubernetes.md knows people by the ID tokens of the client that is
// kubectl's, with their roles; other tokens for that client do not pass.
func TestKubernetesAcceptsIDTokens(t *testing.T) {
	t.Parallel()
	proxy, target := issuerProxy(t)
	told := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.PostFormValue("logout_token") }))
	defer receiver.Close()
	_, entry := oauthClient(t, "kubernetes", "--public", "--native", "--redirect-uri", "http://127.0.0.1/callback",
		"--scope", "openid,profile,offline_access", "--backchannel-logout-uri", receiver.URL)
	_, other := oauthClient(t, "other", "--public", "--redirect-uri", "https://other.example/", "--scope", "openid,profile")
	s := serve(t, t.TempDir(), "--issuer", proxy.URL, "--demo", "--oauth-clients", oauthFile(t, entry, other))
	target.Store(s.URL)
	cluster := testenv.NewKubernetes(t, "--authentication-config="+authenticationConfig(t, proxy, docs.Text(t, "docs/oidc-kubernetes.md", "yaml", 0)))

	alice := newPerson(t, proxy)
	flow := oauth2.Config{
		ClientID: "kubernetes", RedirectURL: "http://127.0.0.1:18000/callback", Scopes: []string{"openid", "profile", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: proxy.URL + "/oauth2/authorize", TokenURL: proxy.URL + "/oauth2/token"},
	}
	tokens := alice.logInTo(t, flow)
	id := tokens.Extra("id_token").(string)
	subject := claimsOf(t, tokens.AccessToken).Subject
	who := awaitWhoami(t, cluster, cluster.TokenKubeconfig(t, id))
	if who.Username != "authd:"+subject || !slices.Equal(who.Groups, []string{"authd:demo", "system:authenticated"}) {
		t.Errorf("the API server knows %+v; want sub %s, role demo", who, subject)
	}

	bind := kubectlWords(t, docs.Text(t, "docs/oidc-kubernetes.md", "sh", 1), "authd:admin", "authd:demo", "--clusterrole=view", "--clusterrole=lists")
	admin(t, cluster, "create", "clusterrole", "lists", "--verb=list", "--resource=namespaces") // "view" is filled by a controller
	admin(t, cluster, bind...)
	if out, err := kubectlByPlugin(t, cluster, docs.Text(t, "docs/oidc-kubernetes.md", "sh", 2), id); err != nil || !strings.Contains(out, "authd:"+subject) {
		t.Errorf("with the credential plugin kubectl prints, %v\n%s", err, out)
	}
	if out, err := cluster.Kubectl(t, cluster.TokenKubeconfig(t, id), "get", "namespaces"); err != nil {
		t.Errorf("with a right of the role: %v, %s", err, out)
	}

	flow.ClientID, flow.RedirectURL = "other", "https://other.example/"
	elsewhere := alice.logInTo(t, flow).Extra("id_token").(string)
	s.authd(t, "", "session", "end", claimsOf(t, tokens.AccessToken).SessionID)
	for name, token := range map[string]string{
		"an access token":                     tokens.AccessToken, // for authd's own audience
		"an ID token for another application": elsewhere,
		"a logout token":                      <-told,
	} {
		out, err := cluster.Kubectl(t, cluster.TokenKubeconfig(t, token), "auth", "whoami")
		if err == nil || !strings.Contains(out, "Unauthorized") {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}

// kubectlByPlugin runs commands that set a credential plugin up and use it, and returns what the last prints. A script is in the
// plugin's place: it checks how it is called, and gives kubectl an ID token.
func kubectlByPlugin(t *testing.T, cluster *testenv.KubernetesServer, commands, id string) (out string, err error) {
	t.Helper()
	plugin := tempFile(t, "kubectl", `#!/bin/sh
[ "$1 $2 $3 $4" = "oidc-login get-token --oidc-issuer-url=https://auth.example.com --oidc-client-id=kubernetes" ] || exit 1
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"`+id+`"}}'
`)
	if err := os.Chmod(plugin, 0o700); err != nil {
		t.Fatal(err)
	}
	kubeconfig := cluster.TokenKubeconfig(t, "none")
	commands = placed(t, strings.ReplaceAll(commands, "\\\n", ""), "--exec-command=kubectl", "--exec-command="+plugin)
	for command := range strings.Lines(commands) {
		if out, err = cluster.Kubectl(t, kubeconfig, kubectlWords(t, command)...); err != nil {
			return out, err
		}
	}
	return out, nil
}
