package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	auditwebhook "github.com/authd-project/authd/audit/webhook"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/identitytest"
	"github.com/authd-project/authd/identity/webhook"
)

var secret = []byte("a secret of thirty bytes or so")

// receiver is a service with some people. It refuses what is not signed.
func receiver(people ...identitytest.Person) http.HandlerFunc {
	type account struct {
		Subject  string   `json:"subject"`
		Username string   `json:"username"`
		Roles    []string `json:"roles,omitempty"`
		Disabled bool     `json:"disabled,omitempty"`
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := auditwebhook.Verify(secret, r.Header.Get(webhook.Header), body, time.Now(), 5*time.Minute); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		var q struct{ Type, Username, Password, Subject string }
		if err := json.Unmarshal(body, &q); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		for i, p := range people {
			a := account{Subject: fmt.Sprint("user-", i), Username: p.Username, Roles: p.Roles, Disabled: p.Disabled}
			if q.Type == "account" && q.Subject != a.Subject || q.Type != "account" && q.Username != p.Username {
				continue
			}
			if q.Type == "login" && (p.Password == "" || q.Password != p.Password) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(a)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}
}

func serve(t testing.TB, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func open(t testing.TB, c webhook.Config) *webhook.Source {
	t.Helper()
	if c.Secret == nil {
		c.Secret = secret
	}
	s, err := webhook.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSource(t *testing.T) {
	people := func(t *testing.T, people ...identitytest.Person) identity.Reader {
		return open(t, webhook.Config{URL: serve(t, receiver(people...))})
	}
	identitytest.RunReader(t, people)
	identitytest.RunReaderRoles(t, people)
}

var alice = identitytest.Person{Username: "alice", Password: "violin marmalade tundra"}

// The signature is what receivers of the audit log check too, with the time of the request.
func TestSignature(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var header, body string
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		header, body = r.Header.Get(webhook.Header), string(text)
		w.WriteHeader(http.StatusNotFound)
	}))
	s := open(t, webhook.Config{URL: url, Now: func() time.Time { return now }})
	_, _ = s.Account(t.Context(), "42")
	if want := `{"type":"account","subject":"42"}`; body != want {
		t.Errorf("the body is %s, want %s", body, want)
	}
	if err := auditwebhook.Verify(secret, header, []byte(body), now.Add(4*time.Minute), 5*time.Minute); err != nil {
		t.Errorf("%s: %v", header, err)
	}
	if err := auditwebhook.Verify(secret, header, []byte(body), now.Add(6*time.Minute), 5*time.Minute); err == nil {
		t.Error("a request can be sent again after six minutes")
	}
	if err := auditwebhook.Verify(secret, header, []byte(strings.Replace(body, "42", "43", 1)), now, 5*time.Minute); err == nil {
		t.Error("another body has the same signature")
	}
}

// A receiver that does not know the secret is in trouble, and says nothing of passwords.
func TestOtherSecret(t *testing.T) {
	s := open(t, webhook.Config{URL: serve(t, receiver(alice)), Secret: []byte("another secret of some bytes")})
	if _, err := s.Authenticate(t.Context(), "alice", alice.Password); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}

// Whatever is not an answer as documented is no answer.
func TestOtherAnswers(t *testing.T) {
	good := `{"subject":"42","username":"alice"}`
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, good) }))
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"no content": {204, ""}, "created": {201, good}, "redirect": {307, ""}, "moved": {308, ""}, "bad request": {400, ""},
		"forbidden": {403, ""}, "gone": {410, ""}, "too many": {429, ""}, "error": {500, good}, "away": {503, ""},
		"empty": {200, ""}, "not JSON": {200, "alice"}, "null": {200, "null"}, "array": {200, "[" + good + "]"}, "nothing in it": {200, "{}"},
		"no subject": {200, `{"username":"alice"}`}, "no name": {200, `{"subject":"42"}`}, "more behind it": {200, good + good},
		"subject of a header": {200, `{"subject":"4\r\nX-A: b","username":"alice"}`}, "subject of a number": {200, `{"subject":42,"username":"alice"}`},
		"name with a space": {200, `{"subject":"42","username":"a b"}`}, "role with a space": {200, `{"subject":"42","username":"alice","roles":["a b"]}`},
		"endless": {200, `{"subject":"42","username":"alice","x":"` + strings.Repeat("x", 70000) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, webhook.Config{URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", elsewhere)
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))})
			for call, do := range map[string]func() error{
				"Authenticate": func() error { _, err := s.Authenticate(t.Context(), "alice", alice.Password); return err },
				"Account":      func() error { _, err := s.Account(t.Context(), "42"); return err },
				"Get":          func() error { _, err := s.Get(t.Context(), "alice"); return err },
			} {
				err := do()
				if !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, identity.ErrRoles) || errors.Is(err, identity.ErrUsername) {
					t.Errorf("%s: error %v, want ErrUnavailable", call, err)
				}
				if err != nil && strings.Contains(err.Error(), alice.Password) {
					t.Errorf("%s: the error has the password: %v", call, err)
				}
			}
		})
	}
}

// 401 says that a password is wrong, and nothing else; an answer about another account is none.
func TestAccountAnswers(t *testing.T) {
	status := http.StatusUnauthorized
	s := open(t, webhook.Config{URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, `{"subject":"43","username":"alice","password_changed_at":"2026-01-02T03:04:05Z"}`)
	}))})
	if _, err := s.Account(t.Context(), "42"); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("a refresh answered 401: error %v, want ErrUnavailable", err)
	}
	status = http.StatusOK
	if _, err := s.Account(t.Context(), "42"); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("an answer about another account: error %v, want ErrUnavailable", err)
	}
	got, err := s.Account(t.Context(), "43")
	if want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC); err != nil || !got.PasswordChangedAt.Equal(want) {
		t.Errorf("Account = %+v, %v", got, err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(receiver(alice))
	server.StartTLS()
	t.Cleanup(server.Close)
	stranger := open(t, webhook.Config{URL: server.URL})
	if _, err := stranger.Authenticate(t.Context(), "alice", alice.Password); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("with a certificate of an unknown authority: error %v, want ErrUnavailable", err)
	}
	pool := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := open(t, webhook.Config{URL: server.URL, CA: pool}).Authenticate(t.Context(), "alice", alice.Password); err != nil {
		t.Error(err)
	}
}

// A receiver that does not answer is left alone, tried by one request after a while, and used again once that is answered.
func TestCircuit(t *testing.T) {
	var clock atomic.Int64
	now := func() time.Time { return time.Unix(1772366400, clock.Load()) }
	var asked, down atomic.Int32
	down.Store(1)
	people := receiver(alice)
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if down.Load() == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		people(w, r)
	}))
	// The receiver checks signatures by the real time, so the source signs with that; the circuit goes by the clock.
	s := open(t, webhook.Config{URL: url, Now: now})
	down.Store(1)
	account := func() error { _, err := s.Get(t.Context(), "nobody"); return err }
	for range 20 {
		if err := account(); !errors.Is(err, identity.ErrUnavailable) {
			t.Fatalf("error %v, want ErrUnavailable", err)
		}
	}
	if n := asked.Load(); n != 5 {
		t.Errorf("a receiver that is away was asked %d times of 20, want 5", n)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}
	for _, step := range []struct {
		after time.Duration
		want  int32
	}{{time.Second, 6}, {time.Second, 6}, {time.Second, 7}, {3 * time.Second, 7}, {time.Second, 8}, {8 * time.Second, 9}, {16 * time.Second, 10}, {29 * time.Second, 10}, {time.Second, 11}, {30 * time.Second, 12}} {
		clock.Add(int64(step.after))
		_, _ = account(), account()
		if n := asked.Load(); n != step.want {
			t.Errorf("%v later it was asked %d times, want %d", step.after, n, step.want)
		}
	}
	clock.Add(int64(30 * time.Second))
	down.Store(2) // answers 403, as the signature is of another time
	for range 10 {
		if err := account(); !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	}
	if n := asked.Load(); n != 22 {
		t.Errorf("a receiver that answers was asked %d times, want 22", n)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

// Requests end in time, do not pile up, and a caller who leaves is not the receiver's failure.
func TestFrozen(t *testing.T) {
	var active, most atomic.Int32
	release := make(chan struct{})
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := active.Add(1)
		defer active.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer close(release)
	s := open(t, webhook.Config{URL: url, Timeout: 300 * time.Millisecond, Connections: 3})
	for range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, err := s.Get(ctx, "alice")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("when the caller's time is up: error %v", err)
		}
		cancel()
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("after callers who left: %v", err)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			_, err := s.Authenticate(t.Context(), "alice", alice.Password)
			if !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want ErrUnavailable before the caller's time is up", err)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > 3 {
		t.Errorf("%d requests at once, allowed are 3", n)
	}
}

// A connection that died while it was idle is not noticed.
func TestReceiverRestarts(t *testing.T) {
	server := httptest.NewServer(receiver(alice))
	defer server.Close()
	s := open(t, webhook.Config{URL: server.URL})
	for range 5 {
		if _, err := s.Authenticate(t.Context(), "alice", alice.Password); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		config webhook.Config
		want   []string
	}{
		"nothing":      {webhook.Config{}, []string{"url: required", "secret_file: "}},
		"clear text":   {webhook.Config{URL: "http://example.com", Secret: secret}, []string{"url: must be https"}},
		"user":         {webhook.Config{URL: "https://u:s3cr3t@example.com", Secret: secret}, []string{"url: "}},
		"scheme":       {webhook.Config{URL: "ftp://s3cr3t", Secret: secret}, []string{"url: want an https URL"}},
		"short secret": {webhook.Config{URL: "https://example.com", Secret: []byte("s3cr3t")}, []string{"secret_file: "}},
		"numbers":      {webhook.Config{URL: "https://example.com", Secret: secret, Timeout: -1, Connections: -1}, []string{"timeout", "connections"}},
	} {
		_, err := webhook.New(c.config)
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not mention %q: %v", name, want, err)
			}
		}
	}
}
