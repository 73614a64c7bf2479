package testenv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Nginx starts nginx and returns the address it listens on. configure is given that address, of a free loopback port, and
// returns what a file of /etc/nginx/conf.d would hold. nginx is one process, keeps its files in a temporary folder and
// ends with the test, also when the test's process dies; a test that fails logs what it said. So do [Caddy] and
// [HAProxy].
func Nginx(t testing.TB, configure func(addr string) string) (addr string) {
	t.Helper()
	return startReverseProxy(t, reverseProxy{
		program: "nginx", args: []string{"-p", ".", "-e", "stderr", "-c", "main.conf"}, ready: `using the "`,
		file: "site.conf", more: map[string]string{"main.conf": nginxMain},
	}, configure)
}

// nginxMain is what distributions put around the files of conf.d, with everything in nginx's own folder.
const nginxMain = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	include site.conf;
}
`

// Caddy starts caddy with a Caddyfile that has no global options; see [Nginx].
func Caddy(t testing.TB, configure func(addr string) string) (addr string) {
	t.Helper()
	return startReverseProxy(t, reverseProxy{
		program: "caddy", args: []string{"run", "--config", "Caddyfile"}, ready: "serving initial configuration",
		file: "Caddyfile",
	}, func(addr string) string { return "{\n\tadmin off\n}\n" + configure(addr) })
}

// HAProxy starts haproxy with a whole configuration; see [Nginx]. Its worker ends when the process that started it does.
func HAProxy(t testing.TB, configure func(addr string) string) (addr string) {
	t.Helper()
	return startReverseProxy(t, reverseProxy{
		program: "haproxy", args: []string{"-W", "-f", "haproxy.cfg"}, ready: "Loading success", file: "haproxy.cfg",
	}, configure)
}

// reverseProxy says how to run one.
type reverseProxy struct {
	program string
	args    []string
	ready   string            // what it logs once it listens
	file    string            // where it looks for its configuration
	more    map[string]string // further files
}

func startReverseProxy(t testing.TB, p reverseProxy, configure func(addr string) string) (addr string) {
	t.Helper()
	const attempts = 5 // somebody else may take the port between our choosing it and the proxy's binding it
	var err error
	for range attempts {
		var port string
		if port, err = freePort(); err != nil {
			break
		}
		addr = net.JoinHostPort("127.0.0.1", port)
		var log *proxyLog
		var stop func()
		if log, stop, err = p.start(t.TempDir(), configure(addr)); err == nil {
			t.Cleanup(func() {
				stop()
				if t.Failed() {
					t.Logf("log of %s:\n%s", p.program, log)
				}
			})
			return addr
		}
		if !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			break
		}
	}
	t.Fatalf("starting %s: %v", p.program, err)
	return ""
}

// start runs the proxy in the folder dir until it is stopped, and returns once it listens.
func (p reverseProxy) start(dir, config string) (log *proxyLog, stop func(), err error) {
	files := map[string]string{p.file: config}
	for name, content := range p.more {
		files[name] = content
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, nil, fmt.Errorf("writing the configuration: %w", err)
		}
	}
	binary, err := findDaemon(p.program)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is missing; install it with internal/testenv/install.sh (make test does): %w", p.program, err)
	}
	cmd := exec.Command(binary, p.args...) //nolint:noctx // lives as long as the test: stop ends it
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the output: %w", err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	log = &proxyLog{ready: []byte(p.ready), isReady: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(log, out) // until every process of the proxy has ended
	}()
	stop = func() {
		_ = cmd.Process.Kill() // it may have ended already
		<-ended
		_ = cmd.Wait() // "signal: killed"
	}
	select {
	case <-log.isReady:
		return log, stop, nil
	case <-ended:
		err = errors.New("it ended early")
	case <-time.After(settleTime):
		err = fmt.Errorf("it was not ready within %v", settleTime)
	}
	stop()
	return nil, nil, fmt.Errorf("%w:\n%s", err, log)
}

// findDaemon also looks where the path of a user who is not root does not.
func findDaemon(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path, otherErr := exec.LookPath("/usr/sbin/" + name); otherErr == nil {
		return path, nil
	}
	return "", err
}

// proxyLog keeps what a proxy says, and tells when it is ready.
type proxyLog struct {
	mu      sync.Mutex
	said    bytes.Buffer
	ready   []byte // nil once seen
	isReady chan struct{}
}

func (l *proxyLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said.Write(p)
	if l.ready != nil && bytes.Contains(l.said.Bytes(), l.ready) {
		l.ready = nil
		close(l.isReady)
	}
	return len(p), nil
}

func (l *proxyLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}
