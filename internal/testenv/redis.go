package testenv

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Redis starts a redis-server of the test's own on a free loopback port and returns its address. The server keeps
// nothing on disk and ends with the test. Arguments are passed on, such as "--cluster-enabled", "yes".
func Redis(t testing.TB, args ...string) (addr string) {
	t.Helper()
	return NewRedis(t, args...).Addr
}

// RedisServer is a redis-server that a test can hurt. It ends with the test. Methods are called from one goroutine at a
// time.
type RedisServer struct {
	Addr string

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	done chan struct{} // closed when all the server's output has been read
}

// NewRedis is [Redis] for a test that hurts the server.
func NewRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	return newRedis(t, "Ready to accept connections", func(port string) []string {
		return append([]string{
			"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", "", "--appendonly", "no",
			"--daemonize", "no", "--logfile", "",
		}, args...)
	})
}

// newRedis starts a server, which says ready when it is, with the arguments that configure gives for a port.
func newRedis(t testing.TB, ready string, configure func(port string) []string) *RedisServer {
	t.Helper()
	const attempts = 5 // somebody else may take the port between our choosing it and the server's binding it
	var err error
	for range attempts {
		var port string
		if port, err = freePort(); err != nil {
			break
		}
		s := &RedisServer{Addr: net.JoinHostPort("127.0.0.1", port), t: t, args: configure(port)}
		if err = s.start(ready); err == nil {
			t.Cleanup(s.Kill)
			return s
		}
	}
	t.Fatalf("starting redis-server: %v", err)
	return nil
}

func (s *RedisServer) start(ready string) error {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redis-server is missing; install it with internal/testenv/install.sh (make test does): %w", err)
	}
	cmd := exec.Command(binary, s.args...) //nolint:noctx // lives as long as the test: Kill ends it
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("connecting to the server's output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", binary, err)
	}
	s.cmd, s.done = cmd, make(chan struct{})
	log, ok := awaitReady(stdout, ready)
	go func() {
		defer close(s.done)
		_, _ = io.Copy(io.Discard, stdout)
	}()
	if !ok {
		s.Kill()
		return fmt.Errorf("the server did not become ready:\n%s", log)
	}
	return nil
}

// Kill ends the server without notice. What it did not keep on disk is gone. Killing it twice does no harm.
func (s *RedisServer) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.done
	_ = s.cmd.Wait() // "signal: killed"
	s.cmd = nil
}

// Restart starts a server that was killed, on the same port and with the same arguments.
func (s *RedisServer) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.start("Ready to accept connections"); err != nil {
		s.t.Fatalf("restarting redis-server: %v", err)
	}
}

// Freeze stops the server in the middle of what it does: connections stay open, nothing is answered.
func (s *RedisServer) Freeze() {
	s.t.Helper()
	if err := freeze(s.cmd.Process.Pid); err != nil {
		s.t.Fatalf("freezing redis-server: %v", err)
	}
}

// Thaw lets a frozen server go on.
func (s *RedisServer) Thaw() { s.signal(syscall.SIGCONT) }

func (s *RedisServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signalling redis-server: %v", err)
	}
}

// awaitReady reads the server's log until it says that it is ready, or ends.
func awaitReady(log io.Reader, ready string) (seen string, ok bool) {
	var lines strings.Builder
	for scanner := bufio.NewScanner(log); scanner.Scan(); {
		fmt.Fprintln(&lines, scanner.Text())
		if strings.Contains(scanner.Text(), ready) {
			return lines.String(), true
		}
	}
	return lines.String(), false
}

// freePort returns a port that nobody listened on a moment ago. With --cluster-enabled the server binds port+10000 too,
// so the port is below 55536.
func freePort() (string, error) {
	const maxPort = 55535
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binding a loopback port does not wait
		if err != nil {
			return "", fmt.Errorf("choosing a port: %w", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return "", fmt.Errorf("choosing a port: %w", err)
		}
		if port <= maxPort {
			return fmt.Sprint(port), nil
		}
	}
}
