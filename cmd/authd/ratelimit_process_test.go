package main_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
)

// loginFrom asks a server that trusts the test as a proxy, and returns the answer's status and body.
func (s *server) loginFrom(t *testing.T, address, username, password string) (int, string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"username": username, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/login", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", address)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	return resp.StatusCode, string(answer)
}

func (s *server) wantLoginFrom(t *testing.T, address, password string, want int) {
	t.Helper()
	if got, body := s.loginFrom(t, address, demoUser, password); got != want {
		t.Errorf("a login from %s is answered %d, want %d: %s", address, got, want, body)
	}
}

// redisAsDocumented starts a Redis whose user authd has the rights of docs/redis.md and no others, and returns its URL.
func redisAsDocumented(t *testing.T, r *testenv.RedisServer) string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer client.Close()
	if err := client.Do(t.Context(), documentedRights(t)["authd"]...).Err(); err != nil {
		t.Fatal(err)
	}
	return "redis://authd:secret@" + r.Addr
}

// sharing are the settings with which several authd share a Redis.
func sharing(t *testing.T, url string) []string {
	t.Helper()
	kek := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(kek, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--demo", "--redis", url, "--kek-file", kek, "--issuer", "http://127.0.0.1:1", "--trusted-proxies", "127.0.0.1/32"}
}

// Two authd share their limits, and an attack on one account through both neither goes further nor keeps the owner out.
// Their user in Redis has the documented rights.
func TestLimitsAreShared(t *testing.T) {
	t.Parallel()
	args := append(sharing(t, redisAsDocumented(t, testenv.NewRedis(t))), "--rate-limits", "jwks=fixed-window 4/1h")
	servers := []*server{serve(t, t.TempDir(), args...), serve(t, t.TempDir(), args...)}

	servers[0].wantLoginFrom(t, "192.0.2.1", demoPassword, http.StatusOK) // the owner at home
	for i := range 8 {
		servers[i%2].wantLoginFrom(t, "203.0.113.66", "wrong", http.StatusUnauthorized)
	}
	for _, s := range servers {
		s.wantLoginFrom(t, "203.0.113.66", demoPassword, http.StatusTooManyRequests)
	}
	for i := range 40 {
		servers[i%2].loginFrom(t, fmt.Sprint("203.0.113.", 100+i), demoUser, "wrong")
	}
	servers[1].wantLoginFrom(t, "192.0.2.1", demoPassword, http.StatusOK)
	servers[1].wantLoginFrom(t, "198.51.100.7", demoPassword, http.StatusTooManyRequests)
	if out := servers[0].authd(t, "", "user", "forgive", demoUser); !strings.Contains(out, "failed logins forgotten") {
		t.Errorf("user forgive printed %q", out)
	}
	servers[1].wantLoginFrom(t, "198.51.100.7", demoPassword, http.StatusOK)

	for i, want := range []int{200, 200, 200, 200, 429, 429} {
		if got := servers[i%2].call(t, http.MethodGet, "/.well-known/jwks.json", "", nil, nil); got != want {
			t.Errorf("request %d for the keys is answered %d, want %d", i+1, got, want)
		}
	}
}

// Without Redis nobody logs in, with the right password or a wrong one; what is answered from memory goes on, and so does
// its limit.
func TestLimitsWithoutRedis(t *testing.T) {
	t.Parallel()
	r := testenv.NewRedis(t)
	s := serve(t, t.TempDir(), append(sharing(t, "redis://"+r.Addr), "--rate-limits", "jwks=fixed-window 3/1h")...)
	s.wantLoginFrom(t, "192.0.2.1", demoPassword, http.StatusOK)
	r.Kill()
	for _, password := range []string{demoPassword, "wrong"} {
		status, body := s.loginFrom(t, "192.0.2.1", demoUser, password)
		if status != http.StatusServiceUnavailable || !strings.Contains(body, "whether a limit is reached") {
			t.Errorf("without Redis a login is answered %d %s", status, body)
		}
	}
	for i, want := range []int{200, 200, 200, 429} {
		if got := s.call(t, http.MethodGet, "/.well-known/jwks.json", "", nil, nil); got != want {
			t.Errorf("without Redis request %d for the keys is answered %d, want %d", i+1, got, want)
		}
	}
	if out := s.out.String(); !strings.Contains(out, "counted by this process alone") || strings.Contains(out, demoPassword+`"`+"}") {
		t.Errorf("the log does not tell of the outage:\n%s", out)
	}
}

// With the defaults, neither many refreshes nor many logins at once are refused, nor a proxy that asks without pause; and
// an attacker who claims other addresses gets no further.
func TestDefaultLimitsAreForAttackers(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo", "--hash-pool", "2")
	g := s.login(t, demoUser, demoPassword)
	var mu sync.Mutex
	refused := make(map[string]int)
	all := func(n int, what string, ask func() int) {
		var clients sync.WaitGroup
		for range n {
			clients.Go(func() {
				status := ask()
				if status == http.StatusServiceUnavailable && what == "login" {
					return // this machine hashes no faster, which is no limit
				}
				if status != http.StatusOK {
					mu.Lock()
					defer mu.Unlock()
					refused[fmt.Sprint(what, " ", status)]++
				}
			})
		}
		clients.Wait()
	}
	all(50, "refresh", func() int { _, status := s.refresh(t, g.RefreshToken); return status })
	all(13, "login", func() int { status, _ := s.loginFrom(t, "", demoUser, demoPassword); return status })
	all(500, "verify", func() int { return s.verify(t, g.AccessToken) })
	if len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	looked := 0
	for i := range 30 {
		if status, _ := s.loginFrom(t, fmt.Sprint("203.0.113.", i), demoUser, "wrong"); status == http.StatusUnauthorized {
			looked++
		}
	}
	if looked != 13 { // five as of a known address, three as of a new one, five repeats
		t.Errorf("%d guesses were looked at, want 13", looked)
	}
}

// Forgiving works without a server too, as do all commands, and names nobody who is not there.
func TestForgiveCommand(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	off := func(stdin string, args ...string) (string, error) {
		return command(context.WithoutCancel(t.Context()), stdin, append(args, "--data", data, "--admin-listen", "127.0.0.1:1")...)
	}
	if out, err := off(alicesPassword+"\n", "user", "add", "alice"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := off("", "user", "forgive", "alice"); err != nil || !strings.Contains(out, "alice: failed logins forgotten") {
		t.Errorf("user forgive: %v\n%s", err, out)
	}
	if out, err := off("", "user", "forgive", "nobody"); err == nil || !strings.Contains(out, "No such user") {
		t.Errorf("user forgive nobody: %v\n%s", err, out)
	}
}
