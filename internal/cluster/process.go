package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a node that runs.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how, once done is closed
}

// start runs the node's program. It ends when this program does, however that ends.
func (n *node) start() (*process, error) {
	path, err := n.find(n.args[0])
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(n.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()                        // the program has its own
	cmd := exec.Command(path, n.args[1:]...) //nolint:noctx // whoever starts it ends it
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = n.rewrite.root, n.environ(), log, log
	// A group of its own: Ctrl-C is for this program, which ends the others in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: n.as, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // those that it has left behind
		close(p.done)
	}()
	return p, nil
}

func (p *process) runs() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop sends a signal and waits for the end, which it makes after the grace.
func (p *process) stop(sig syscall.Signal, grace time.Duration) {
	_ = p.cmd.Process.Signal(sig) // it may have ended already
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// killed tells whether somebody else ended it.
func (p *process) killed() bool {
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// healthy runs the node's health check once.
func (n *node) healthy(ctx context.Context) error {
	h := n.service.Healthcheck
	if h == nil {
		return nil
	}
	args := n.rewrite.all(h.Test[1:])
	if h.Test[0] == "CMD-SHELL" {
		args = append([]string{"sh", "-c"}, args...)
	}
	path, err := n.find(args[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Dir, cmd.Env = n.rewrite.root, n.environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(h.Test[1:], " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// awaitHealthy checks until the node is healthy, for as long as the file says and this machine may be slow.
func (n *node) awaitHealthy(ctx context.Context, p *process) error {
	const slowness = time.Minute
	patience := slowness
	if h := n.service.Healthcheck; h != nil {
		patience += h.StartPeriod + time.Duration(h.Retries)*h.Interval
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := n.healthy(ctx)
		if err == nil && p.runs() {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", n.name, p.err, n.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s is not healthy: %w\n%s", n.name, err, n.lastWords())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lastWords returns the end of the node's log.
func (n *node) lastWords() string {
	const enough = 2000
	text, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-enough):]))
}
