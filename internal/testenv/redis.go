package testenv

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// Redis starts a redis-server of the test's own on a free loopback port and returns its address. The server keeps
// nothing on disk and ends with the test. Arguments are passed on, such as "--cluster-enabled", "yes".
func Redis(t testing.TB, args ...string) (addr string) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redis-server is missing; install it with internal/testenv/install.sh (make test does): %v", err)
	}
	const attempts = 5 // somebody else may take the port between our choosing it and the server's binding it
	for range attempts {
		if addr, err = startRedis(t, binary, args); err == nil {
			return addr
		}
	}
	t.Fatalf("starting redis-server: %v", err)
	return ""
}

func startRedis(t testing.TB, binary string, args []string) (addr string, err error) {
	t.Helper()
	port, err := freePort()
	if err != nil {
		return "", err
	}
	args = append([]string{
		"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", "", "--appendonly", "no",
		"--daemonize", "no", "--logfile", "",
	}, args...)
	cmd := exec.Command(binary, args...) //nolint:noctx // lives as long as the test: Cleanup ends it
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", fmt.Errorf("connecting to the server's output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting %s: %w", binary, err)
	}
	stop := func() {
		_ = cmd.Process.Kill() // it may have ended already
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait() // "signal: killed"
	}
	if log, ready := awaitReady(stdout); !ready {
		stop()
		return "", fmt.Errorf("the server did not become ready:\n%s", log)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, stdout)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	})
	return net.JoinHostPort("127.0.0.1", port), nil
}

// awaitReady reads the server's log until it says that it accepts connections, or ends.
func awaitReady(log io.Reader) (seen string, ready bool) {
	var lines strings.Builder
	for scanner := bufio.NewScanner(log); scanner.Scan(); {
		fmt.Fprintln(&lines, scanner.Text())
		if strings.Contains(scanner.Text(), "Ready to accept connections") {
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
