package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// serveOnSmallDisk starts authd with its data on a disk of a few megabytes, which only it sees. It returns the folder as the
// test can reach it.
func serveOnSmallDisk(t *testing.T) (s *server, data string) {
	t.Helper()
	mount := t.TempDir()
	script := fmt.Sprintf(`mount -t tmpfs -o size=8m none %s && exec %s serve --demo --data %s/data --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0`,
		mount, filepath.Join(bin, "authd"), mount)
	p := &process{cmd: exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script), out: &output{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1", "HOME="+t.TempDir())
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	seen := p.out.await(regexp.MustCompile(`(?m)^ready\b`))
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of authd:\n%s", p.out)
		}
	})
	select {
	case <-seen:
	case <-p.done:
		t.Fatalf("authd ended early: %v\n%s", p.err, p.out)
	case <-time.After(patience):
		t.Fatalf("authd did not get ready\n%s", p.out)
	}
	data = filepath.Join(fmt.Sprintf("/proc/%d/root", p.cmd.Process.Pid), mount, "data")
	return &server{process: p, URL: p.out.find(t, `public API\s+(http://\S+)`), Admin: p.out.find(t, `admin API\s+(http://\S+)`), Data: data}, data
}

// fill writes until there is no room.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 4
		}
	}
}

// The disk is full: what cannot be made durable is not acknowledged, what needs no write goes on, and when there is room again
// so does the rest, without a restart.
func TestDrillDiskFull(t *testing.T) {
	t.Parallel()
	s, data := serveOnSmallDisk(t)
	g := s.login(t, demoUser, demoPassword)
	filler := filepath.Join(data, "filler")
	fill(t, filler)
	began := time.Now()
	until(t, "a login that is refused for want of room", func() bool {
		return s.tryLogin(t, demoUser, demoPassword) == http.StatusServiceUnavailable
	})
	if status := s.verify(t, g.AccessToken); status != http.StatusOK {
		t.Errorf("a token is answered %d on a full disk", status)
	}
	status := s.call(t, http.MethodPost, "/v1/logout", g.AccessToken, map[string]string{"scope": "session"}, nil)
	after := s.verify(t, g.AccessToken)
	if status == http.StatusNoContent && after != http.StatusUnauthorized {
		t.Errorf("a logout was acknowledged, and its token is answered %d", after)
	}
	t.Logf("drill: disk full: a logout is answered %d, and its token then %d", status, after)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	until(t, "a login when there is room", func() bool { return s.tryLogin(t, demoUser, demoPassword) == http.StatusOK })
	outcome(t, "disk full: serving again after room was made", began)
	s.logout(t, g, "session")
	if status := s.verify(t, g.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("after a logout the token is answered %d", status)
	}
	s.terminate(t)
}
