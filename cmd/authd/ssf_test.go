package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/authd-project/authd/internal/docs"
)

// The commands of docs/shared-signals.md print what it says.
func TestSharedSignalsGuide(t *testing.T) {
	t.Parallel()
	places := strings.NewReplacer("127.0.0.1:8080", freePorts(t)+"1", "127.0.0.1:8081", freePorts(t)+"2")
	docs.Shell{Env: path(), Places: places}.Run(t, docs.Steps(t, "docs/shared-signals.md"))
}

// A receiver is pushed what happens to sessions and accounts, signed by a key that the issuer publishes, also what happened
// while the receiver was away and authd was killed.
func TestSharedSignalsArePushed(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	sets := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.Header.Get("Authorization") != "Bearer of the receiver" || r.Header.Get("Content-Type") != "application/secevent+jwt" {
			t.Errorf("pushed with %v", r.Header)
		}
		sets <- string(body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer receiver.Close()
	at, err := url.Parse(receiver.URL)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	args := []string{"--demo", "--ssf", "--ssf-push-hosts=" + at.Host}
	s := serve(t, data, args...)
	s.authd(t, alicesPassword, "user", "add", "alice")
	body := placed(t, docs.Text(t, "docs/shared-signals.md", "json", 0), "https://shop.example.com", receiver.URL, "Bearer …", "Bearer of the receiver",
		`session-revoked"]`, `session-revoked", "https://schemas.openid.net/secevent/risc/event-type/account-disabled"]`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/ssf/streams", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("demo-service", "demo-service-secret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || strings.Contains(string(text), "of the receiver") {
		t.Fatalf("creating a stream: %d %s", resp.StatusCode, text)
	}

	issuer := s.URL
	next := func(kind string) string {
		t.Helper()
		select {
		case raw := <-sets:
			return readSET(t, s, issuer, raw, kind)
		case <-time.After(time.Minute):
			t.Fatal("no event within a minute")
			return ""
		}
	}
	g := s.login(t, "alice", alicesPassword)
	s.logout(t, g, "session")
	if subject := next("session-revoked"); !strings.Contains(subject, g.SessionID) {
		t.Errorf("the session %s ended, told was %s", g.SessionID, subject)
	}
	g = s.login(t, "alice", alicesPassword)
	away.Store(true)
	s.authd(t, "", "user", "disable", "alice")
	s.kill()
	away.Store(false)
	s = serve(t, data, append(args, "--issuer="+issuer)...)
	if subject := next("session-revoked"); !strings.Contains(subject, g.SessionID) {
		t.Errorf("the session %s ended, told was %s", g.SessionID, subject)
	}
	next("account-disabled")
}

// readSET verifies a token with the keys that s serves, and returns its sub_id. The type of its event must end in kind.
func readSET(t *testing.T, s *server, issuer, raw, kind string) string {
	t.Helper()
	resp, err := http.Get(s.URL + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var keys jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&keys); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	payload, err := jws.Verify(keys)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Iss, Aud string
		SubID    json.RawMessage `json:"sub_id"`
		Events   map[string]any
	}
	if err := json.Unmarshal(payload, &c); err != nil || c.Iss != issuer || c.Aud != "demo-service" || len(c.Events) != 1 {
		t.Errorf("%v: %s", err, payload)
	}
	for name := range c.Events {
		if !strings.HasSuffix(name, "/"+kind) {
			t.Errorf("an event of the type %s, want %s", name, kind)
		}
	}
	return string(c.SubID)
}
