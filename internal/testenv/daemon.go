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
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/programs"
)

// daemon is a program of the distribution, and how to run it.
type daemon struct {
	program string
	args    []string
	ready   string            // what it logs once it listens
	file    string            // where it looks for its configuration
	more    map[string]string // further files
	listen  string            // the flag that is given the address, where the configuration does not name it
}

func startDaemon(t testing.TB, d daemon, configure func(addr string) string) (addr string) {
	t.Helper()
	const attempts = 5 // somebody else may take the port between our choosing it and the program's binding it
	var err error
	for range attempts {
		var port string
		if port, err = freePort(); err != nil {
			break
		}
		addr = net.JoinHostPort("127.0.0.1", port)
		var log *daemonLog
		var stop func()
		run := d
		if d.listen != "" {
			run.args = append(slices.Clone(d.args), d.listen+"="+addr)
		}
		if log, stop, err = run.start(t.TempDir(), configure(addr)); err == nil {
			t.Cleanup(func() {
				stop()
				if t.Failed() {
					t.Logf("log of %s:\n%s", d.program, log)
				}
			})
			return addr
		}
		if !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			break
		}
	}
	t.Fatalf("starting %s: %v", d.program, err)
	return ""
}

// start runs it in the folder dir until it is stopped, and returns once it listens.
func (d daemon) start(dir, config string) (log *daemonLog, stop func(), err error) {
	files := map[string]string{d.file: config}
	for name, content := range d.more {
		files[name] = content
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, nil, fmt.Errorf("writing the configuration: %w", err)
		}
	}
	binary, err := programs.Find(d.program)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is missing; install it with internal/testenv/install.sh (make test does): %w", d.program, err)
	}
	cmd := exec.Command(binary, d.args...) //nolint:noctx // lives as long as the test: stop ends it
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
	log = &daemonLog{ready: []byte(d.ready), isReady: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(log, out) // until every process of it has ended
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

// daemonLog keeps what a daemon says, and tells when it is ready.
type daemonLog struct {
	mu      sync.Mutex
	said    bytes.Buffer
	ready   []byte // nil once seen
	isReady chan struct{}
}

func (l *daemonLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said.Write(p)
	if l.ready != nil && bytes.Contains(l.said.Bytes(), l.ready) {
		l.ready = nil
		close(l.isReady)
	}
	return len(p), nil
}

func (l *daemonLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}
