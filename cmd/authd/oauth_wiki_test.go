package main_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/authd-project/authd/internal/testenv"
)

// wiki is the example application, beside an authd that knows it.
type wiki struct {
	*process
	URL string
}

// startWiki starts authd and, as a client of it, examples/wiki.
func startWiki(t *testing.T, args ...string) (*server, *wiki) {
	t.Helper()
	addr := freeAddress(t)
	url := "http://" + addr
	secret, entry := oauthClient(t, "wiki", "--redirect-uri", url+"/callback", "--post-logout-redirect-uri", url+"/",
		"--backchannel-logout-uri", url+"/backchannel-logout", "--scope", "openid,profile,offline_access")
	s := serve(t, t.TempDir(), append([]string{"--demo", "--oauth-clients", oauthFile(t, entry)}, args...)...)
	p := startProcess(t, regexp.MustCompile("listening on"), "wiki",
		"--issuer", s.URL, "--listen", addr, "--secret-file", tempFile(t, "secret", secret+"\n"))
	return s, &wiki{p, url}
}

const (
	greeting = "Hello demo."
	stranger = `<a href="/login">`
)

// An application that is built of go-oidc and x/oauth2 and knows nothing of authd but its URL logs its users in, keeps
// them logged in by refreshes, and logs them out from its side.
func TestGoOIDCApplication(t *testing.T) {
	t.Parallel()
	s, w := startWiki(t, "--access-ttl=4s", "--refresh-grace=1s") // x/oauth2 refreshes ten seconds before the end: each time
	alice := newPerson(t)
	if at := alice.open(t, w.URL); !strings.Contains(at.text, stranger) {
		t.Fatalf("before the login: %s", at.text)
	}
	at := alice.open(t, w.URL+"/login")
	if !strings.HasPrefix(at.url.String(), s.URL) {
		t.Fatalf("the login is at %s, not at authd", at.url)
	}
	if at = alice.logIn(t, at, demoUser, demoPassword); !strings.Contains(at.text, greeting) || at.url.String() != w.URL+"/" {
		t.Fatalf("after the login at %s (%d): %s", at.url, at.status, at.text)
	}
	for range 3 {
		wait(t, 2*time.Second) // beyond the grace, so that the refresh token rotates
		if at = alice.open(t, w.URL); !strings.Contains(at.text, greeting) {
			t.Fatalf("after a refresh: %s\n%s", at.text, w.out)
		}
	}
	if at = alice.open(t, w.URL+"/login"); !strings.Contains(at.text, greeting) {
		t.Errorf("a second login asks again: %s (%d)", at.url, at.status)
	}

	if at = alice.submit(t, at, map[string]string{}); at.url.String() != w.URL+"/" || !strings.Contains(at.text, stranger) {
		t.Errorf("the logout led to %s (%d): %s", at.url, at.status, at.text)
	}
	if at = alice.open(t, w.URL+"/login"); !strings.HasPrefix(at.url.String(), s.URL+"/login") {
		t.Errorf("after the logout a login needs no password: %s", at.url)
	}
}

// However a session ends at authd, the application's own session is over as soon as it has been told.
func TestBackchannelLogout(t *testing.T) {
	t.Parallel()
	s, w := startWiki(t)
	for name, end := range map[string]func(t *testing.T, sid string){
		"administrator": func(t *testing.T, sid string) { s.authd(t, "", "session", "end", sid) },
		"all of a user": func(t *testing.T, _ string) { s.authd(t, "", "session", "end", "--user", demoUser) },
		"revoked":       func(t *testing.T, sid string) { s.authd(t, "", "revoke", "sid", sid) },
		"password":      func(t *testing.T, _ string) { s.authd(t, demoPassword+"\n", "user", "passwd", demoUser) },
		"browser's own": func(t *testing.T, sid string) { s.authd(t, "", "session", "end", s.sessionOf(t, "authd")) },
	} {
		t.Run(name, func(t *testing.T) {
			alice := newPerson(t)
			if at := alice.logIn(t, alice.open(t, w.URL+"/login"), demoUser, demoPassword); !strings.Contains(at.text, greeting) {
				t.Fatalf("after the login at %s (%d): %s", at.url, at.status, at.text)
			}
			sid := s.sessionOf(t, "wiki")
			end(t, sid)
			until(t, "the application told of the end of "+sid, func() bool {
				return strings.Contains(w.out.String(), "told that session "+sid+" has ended")
			})
			if at := alice.open(t, w.URL); !strings.Contains(at.text, stranger) {
				t.Errorf("after the logout: %s", at.text)
			}
		})
	}
	until(t, "the count", func() bool {
		return strings.Contains(s.metrics(t), `authd_backchannel_logouts_total{client_id="wiki",result="delivered"} 5`)
	})
}

// sessionOf returns the demo user's session of a client that was used last.
func (s *server) sessionOf(t *testing.T, client string) (sid string) {
	t.Helper()
	list := s.authd(t, "", "session", "list", demoUser)
	m := regexp.MustCompile(`(?m)^(\S{22}) .* ` + client + ` `).FindStringSubmatch(list)
	if m == nil {
		t.Fatalf("no session of %s in\n%s", client, list)
	}
	return m[1]
}

// An application that is down when a session ends hears of it all the same, also when authd is killed meanwhile.
func TestBackchannelLogoutSurvivesAKill(t *testing.T) {
	t.Parallel()
	addr := freeAddress(t)
	secret, entry := oauthClient(t, "shop", "--redirect-uri", "https://shop.example/callback", "--scope", "openid",
		"--backchannel-logout-uri", "http://"+addr+"/logout")
	data, listen := t.TempDir(), freeAddress(t)
	args := []string{"--demo", "--oauth-clients", oauthFile(t, entry), "--listen", listen}
	s := serve(t, data, args...)
	tokens := newPerson(t).logInTo(t, oauth2.Config{
		ClientID: "shop", ClientSecret: secret, RedirectURL: "https://shop.example/callback", Scopes: []string{"openid"},
		Endpoint: oauth2.Endpoint{AuthURL: s.URL + "/oauth2/authorize", TokenURL: s.URL + "/oauth2/token"},
	})
	claims := claimsOf(t, tokens.AccessToken)
	s.authd(t, "", "session", "end", claims.SessionID)
	failed := regexp.MustCompile(`authd_backchannel_logouts_total\{client_id="shop",result="failed"\} [1-9]`)
	until(t, "a failed delivery", func() bool { return failed.MatchString(s.metrics(t)) })
	s.kill()
	s = serve(t, data, args...)

	provider, err := oidc.NewProvider(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: "shop"})
	told := make(chan *oidc.LogoutToken, 10)
	var tries atomic.Int32
	receiver := listenAt(t, addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 { // still starting
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		token, err := verifier.VerifyLogout(t.Context(), r.PostFormValue("logout_token"))
		if err != nil || r.URL.Path != "/logout" {
			t.Errorf("told at %s: %v", r.URL, err)
		}
		told <- token
	}))
	defer receiver.Close()
	token := <-told
	if token.SessionID != claims.SessionID || token.Subject != claims.Subject || token.Issuer != s.URL {
		t.Errorf("told of %+v, want session %s of %s", token, claims.SessionID, claims.Subject)
	}
}

// listenAt serves at an address that was free.
func listenAt(t *testing.T, addr string, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	var err error
	if server.Listener, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	server.Start()
	return server
}

// A client may be in both settings, and then introspects too: tokens for whatever audience some client is registered with,
// also one that the file has had only since authd runs.
func TestClientOfBothSettings(t *testing.T) {
	t.Parallel()
	secret, entry := oauthClient(t, "reports", "--grant", "client_credentials", "--scope", "orders:read", "--audience", "orders")
	digest := regexp.MustCompile(`secret_sha256: (\S+)`).FindStringSubmatch(entry)[1]
	file := oauthFile(t)
	s := serve(t, t.TempDir(), "--oauth-clients", file, "--clients", "reports:"+digest)
	ask := func(path string, form url.Values) (answer map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("reports", secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	grant := url.Values{"grant_type": {"client_credentials"}}
	if a := ask("/oauth2/token", grant); a["error"] != "invalid_client" {
		t.Errorf("a client that is only in the setting clients: %v", a)
	}
	if err := os.WriteFile(file, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	var token map[string]any
	until(t, "a token", func() bool { token = ask("/oauth2/token", grant); return token["access_token"] != nil })
	a := ask("/oauth2/introspect", url.Values{"token": {token["access_token"].(string)}})
	if a["active"] != true || a["aud"].([]any)[0] != "orders" || a["sub"] != "reports" || a["scope"] != "orders:read" {
		t.Errorf("introspected: %v", a)
	}
}

// Of several authd the one that ended a session tells the client, wherever the session began.
func TestBackchannelLogoutOfReplicas(t *testing.T) {
	t.Parallel()
	told := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.PostFormValue("logout_token") }))
	defer receiver.Close()
	secret, entry := oauthClient(t, "shop", "--redirect-uri", "https://shop.example/callback", "--scope", "openid",
		"--backchannel-logout-uri", receiver.URL)
	r := startReplicas(t, 2, "--redis", "redis://"+testenv.Redis(t), "--oauth-clients", oauthFile(t, entry))
	a, b := r.servers[0], r.servers[1]
	alice := newPerson(t)
	alice.username, alice.password = "alice", alicesPassword
	tokens := alice.logInTo(t, oauth2.Config{
		ClientID: "shop", ClientSecret: secret, RedirectURL: "https://shop.example/callback", Scopes: []string{"openid"},
		Endpoint: oauth2.Endpoint{AuthURL: a.URL + "/oauth2/authorize", TokenURL: b.URL + "/oauth2/token"},
	})
	sid := claimsOf(t, tokens.AccessToken).SessionID
	b.authd(t, "", "session", "end", sid)
	if token := <-told; claimsOf(t, token).SessionID != sid {
		t.Errorf("told of %s, want session %s", token, sid)
	}
	const delivered = `authd_backchannel_logouts_total{client_id="shop",result="delivered"} 1`
	until(t, "the count of the one that ended it", func() bool { return strings.Contains(b.metrics(t), delivered) })
	if strings.Contains(a.metrics(t), delivered) {
		t.Error("both have told the client")
	}
}

// metrics returns what the admin listener measures.
func (s *server) metrics(t *testing.T) string {
	t.Helper()
	resp, err := http.Get(s.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
