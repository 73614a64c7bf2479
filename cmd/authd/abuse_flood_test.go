package main_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// plainAuthd builds authd as it is released, without the race detector, which takes memory of its own.
func plainAuthd(t *testing.T) (name string) {
	t.Helper()
	const plain = "authd-plain"
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, plain), ".").CombinedOutput(); err != nil {
		t.Fatalf("building authd: %v\n%s", err, out)
	}
	return plain
}

// peakMemory returns the most memory that a process has had, in MiB.
func (p *process) peakMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no peak of memory in\n%s", status)
	}
	kB, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kB >> 10
}

// T5: 500 logins at once are served by few hashes at a time. Memory stays within twice theirs, as the garbage of earlier ones
// waits to be collected; the surplus is refused, and meanwhile health and tokens are answered. A stored hash that wants 4 GiB
// is refused, not computed.
func TestLoginFloodStaysWithinMemory(t *testing.T) {
	const pool, hashMiB, rest = 2, 19, 200
	data := t.TempDir()
	p := startProcess(t, regexp.MustCompile(`(?m)^ready\b`), plainAuthd(t), "serve", "--demo", "--data", data, "--hash-pool", strconv.Itoa(pool),
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--trusted-proxies", "127.0.0.1/32")
	s := &server{process: p, URL: p.out.find(t, `public API\s+(http://\S+)`), Admin: p.out.find(t, `admin API\s+(http://\S+)`), Data: data}
	g := s.login(t, demoUser, demoPassword)

	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "users.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const huge = "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	s.authd(t, alicesPassword+"\n", "user", "add", "alice")
	if _, err := db.ExecContext(t.Context(), `UPDATE users SET password_hash = $1 WHERE username = 'alice'`, huge); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.loginFrom(t, ownersHome, "alice", alicesPassword); got != http.StatusUnauthorized {
		t.Errorf("with a stored hash of 4 GiB a login is answered %d", got)
	}

	var mu sync.Mutex
	answers := make(map[int]int)
	var flood sync.WaitGroup
	for i := range 500 {
		flood.Go(func() {
			status, _ := s.loginFrom(t, fmt.Sprintf("2001:db8:9:%x::1", i), fmt.Sprint("user", i), "copper lantern giraffe")
			mu.Lock()
			defer mu.Unlock()
			answers[status]++
		})
	}
	over := make(chan struct{})
	go func() { flood.Wait(); close(over) }()
	var slowest time.Duration
	looks := 0
	for done := false; !done; looks++ {
		began := time.Now()
		if got := s.livez(t); got != http.StatusOK {
			t.Errorf("in the flood health is answered %d", got)
		}
		if got := s.verify(t, g.AccessToken); got != http.StatusOK {
			t.Errorf("in the flood a good token is answered %d", got)
		}
		slowest = max(slowest, time.Since(began))
		select {
		case <-over:
			done = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Logf("answers %v; health and a token took %v at most, in %d looks; %d MiB at most", answers, slowest, looks, s.peakMemory(t))
	if answers[http.StatusUnauthorized] < pool || answers[http.StatusServiceUnavailable]+answers[http.StatusTooManyRequests] == 0 ||
		answers[http.StatusUnauthorized]+answers[http.StatusServiceUnavailable]+answers[http.StatusTooManyRequests] != 500 {
		t.Errorf("answers %v, want some 401, the rest 503 or 429", answers)
	}
	if peak := s.peakMemory(t); peak > 2*pool*hashMiB+rest {
		t.Errorf("authd took %d MiB, want at most %d", peak, 2*pool*hashMiB+rest)
	}

	for name, tt := range map[string]struct {
		password string
		want     int
	}{
		"password over 1 KiB": {strings.Repeat("x", 1025), http.StatusBadRequest},
		"body over 64 KiB":    {strings.Repeat("x", 70_000), http.StatusRequestEntityTooLarge},
	} {
		if got, _ := s.loginFrom(t, ownersHome, demoUser, tt.password); got != tt.want {
			t.Errorf("%s is answered %d, want %d", name, got, tt.want)
		}
	}
}

func (s *server) livez(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Admin+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
