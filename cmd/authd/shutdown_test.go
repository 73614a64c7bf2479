package main_test

import (
	"errors"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
)

// After SIGTERM authd says that it is not ready, and goes on for shutdown-delay: a login is answered, on a connection that
// is closed with the answer. A second SIGTERM ends it at once.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo", "--shutdown-delay", "5m")
	ready := func() (string, error) {
		return command(t.Context(), "", "ready", "--data", s.Data, "--admin-listen", hostOf(s.Admin))
	}
	if out, err := ready(); err != nil || !strings.Contains(out, `{"status":"ready"}`) {
		t.Fatalf("ready: %v\n%s", err, out)
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	until(t, "a no", func() bool {
		var problem struct{ Errors []struct{ Field string } }
		status := getJSON(t, s.Admin+"/readyz", &problem)
		return status == http.StatusServiceUnavailable && len(problem.Errors) == 1 && problem.Errors[0].Field == "shutdown"
	})
	if out, err := ready(); err == nil || !strings.Contains(out, "not ready") || !strings.Contains(out, "shutdown") {
		t.Errorf("ready, while it stops: %v\n%s", err, out)
	}
	s.login(t, demoUser, demoPassword)
	if a := ask(t, http.MethodGet, s.URL+"/.well-known/jwks.json", "", nil); a.StatusCode != http.StatusOK || !a.Close {
		t.Errorf("answered %d, closing: %v", a.StatusCode, a.Close)
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

// A port that was chosen is closed until requests can be answered, so that a load balancer asks another authd. The admin
// API is there before, and says what is missing.
func TestPortOpensWhenReady(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	const key = "authd:election:{authd}"
	if err := client.Set(t.Context(), key, "somebody\nelse", 0).Err(); err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	p := startProcess(t, regexp.MustCompile("the key ring is empty: waiting for a leader"), "authd",
		"serve", "--data", t.TempDir(), "--listen", listen, "--admin-listen", "127.0.0.1:0",
		"--issuer", "http://127.0.0.1:1", "--redis", "redis://"+addr, "--kek-file", newKEK(t), "--users", "htpasswd:"+fireUsers(t), "--election-lease=3s")
	until(t, "the addresses", func() bool { return strings.Contains(p.out.String(), "admin API") })
	admin := p.out.find(t, `admin API\s+(http://\S+)`)
	until(t, "a no", func() bool { return getJSON(t, admin+"/readyz", &struct{}{}) == http.StatusServiceUnavailable })
	connect := func() error {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listen)
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := connect(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting before it is ready: %v", err)
	}
	if err := client.Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "a yes", func() bool { return getJSON(t, admin+"/readyz", &struct{}{}) == http.StatusOK })
	if err := connect(); err != nil {
		t.Errorf("connecting once it is ready: %v", err)
	}
	p.terminate(t)
}
