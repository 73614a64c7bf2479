package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bin holds the programs under test, built once with the race detector.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "authd-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		build := exec.Command("go", "build", "-race", "-o", dir+string(filepath.Separator), ".", "../../examples/orders", "../../examples/leaderjob", "../../examples/wiki")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the programs under test:", err)
			return 1
		}
		return m.Run()
	}())
}

// process is a program that runs until stopped.
type process struct {
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when it has ended
	err  error         // how, once done is closed
}

// startProcess runs a built program, or that at an absolute path, and returns once a line of its output matches ready.
func startProcess(t *testing.T, ready *regexp.Regexp, name string, args ...string) *process {
	t.Helper()
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(bin, name)
	}
	p := &process{cmd: exec.Command(path, args...), out: &output{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1", "HOME="+t.TempDir())
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	seen := p.out.await(ready)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", name, p.out)
		}
	})
	select {
	case <-seen:
	case <-p.done:
		t.Fatalf("%s ended early: %v\n%s", name, p.err, p.out)
	case <-time.After(time.Minute):
		t.Fatalf("%s did not get ready\n%s", name, p.out)
	}
	return p
}

// terminate sends SIGTERM and waits for a clean end.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("ended with %v\n%s", p.err, p.out)
		}
	case <-time.After(time.Minute):
		t.Fatalf("did not end within a minute of SIGTERM\n%s", p.out)
	}
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// output collects what a process prints and tells when it matches an expression.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	pattern *regexp.Regexp
	seen    chan struct{}
}

func (o *output) await(pattern *regexp.Regexp) <-chan struct{} {
	o.pattern, o.seen = pattern, make(chan struct{})
	return o.seen
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if o.pattern != nil && o.pattern.Match(o.buf.Bytes()) {
		close(o.seen)
		o.pattern = nil
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// find returns the first group of pattern in what was printed.
func (o *output) find(t *testing.T, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(o.String())
	if m == nil {
		t.Fatalf("no %s in:\n%s", pattern, o)
	}
	return m[1]
}

// server is a running `authd serve`.
type server struct {
	*process
	URL, Admin, Data string
}

// serve starts authd on free ports with its data in the folder data.
func serve(t *testing.T, data string, args ...string) *server {
	t.Helper()
	return serveWith(t, "authd", data, args...)
}

// serveWith is serve with a program as startProcess knows them.
func serveWith(t *testing.T, program, data string, args ...string) *server {
	t.Helper()
	args = append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)
	p := startProcess(t, regexp.MustCompile(`(?m)^ready\b`), program, args...)
	return &server{
		process: p,
		URL:     p.out.find(t, `public API\s+(http://\S+)`),
		Admin:   p.out.find(t, `admin API\s+(http://\S+)`),
		Data:    data,
	}
}

// authd runs a command against this server and returns what it printed.
func (s *server) authd(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := command(t.Context(), stdin, append(args, "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))...)
	if err != nil {
		t.Fatalf("authd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// command runs authd and returns its output, standard error included.
func command(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "authd"), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// grant is the answer to a login or a refresh.
type grant struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	SessionID    string `json:"session_id"`
}

func (s *server) login(t *testing.T, username, password string) grant {
	t.Helper()
	var g grant
	status := s.call(t, http.MethodPost, "/v1/login", "", map[string]string{"username": username, "password": password}, &g)
	if status != http.StatusOK {
		t.Fatalf("login: %d", status)
	}
	return g
}

func (s *server) refresh(t *testing.T, refreshToken string) (grant, int) {
	t.Helper()
	var g grant
	status := s.call(t, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": refreshToken}, &g)
	return g, status
}

func (s *server) logout(t *testing.T, g grant, scope string) {
	t.Helper()
	if status := s.call(t, http.MethodPost, "/v1/logout", g.AccessToken, map[string]string{"scope": scope}, nil); status != http.StatusNoContent {
		t.Fatalf("logout: %d", status)
	}
}

// verify asks forward-auth about an access token.
func (s *server) verify(t *testing.T, accessToken string) int {
	t.Helper()
	return s.call(t, http.MethodGet, "/v1/verify", accessToken, nil, nil)
}

// call sends a request to the public API and decodes an answer of 200 into result.
func (s *server) call(t *testing.T, method, path, bearer string, body, result any) int {
	t.Helper()
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, reader)
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
	if result != nil && resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(result); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.Copy(io.Discard, bufio.NewReader(resp.Body))
	return resp.StatusCode
}
