package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// lab is where programs run that are measured from outside.
type lab struct {
	dir     string // for everything they keep
	authd   string // the program
	started int
	running []*process
}

// newLab builds authd from the tree that the bench stands in.
func newLab(ctx context.Context) (*lab, error) {
	dir, err := os.MkdirTemp("", "authd-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	l := &lab{dir: dir, authd: filepath.Join(dir, "authd")}
	build := exec.CommandContext(ctx, "go", "build", "-o", l.authd, "./cmd/authd")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		l.close()
		return nil, fmt.Errorf("building authd (run the bench in its own folder): %w\n%s", err, out)
	}
	return l, nil
}

// close ends what still runs and removes the folder.
func (l *lab) close() {
	l.stopAll()
	os.RemoveAll(l.dir)
}

// stopAll ends what runs, the last started first: a server goes before the one that it needs.
func (l *lab) stopAll() {
	for i := len(l.running) - 1; i >= 0; i-- {
		l.running[i].stop()
	}
	l.running = nil
}

// folder makes a new one for a program.
func (l *lab) folder(name string) (string, error) {
	l.started++
	dir := filepath.Join(l.dir, fmt.Sprintf("%02d-%s", l.started, name))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	return dir, nil
}

// process is a program that runs until stopped. One goroutine at a time reads its lines.
type process struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	log    string        // file of its standard error
	silent chan struct{} // closed when nobody reads its output any more; nil while somebody does
}

// start runs a program, whose log goes to a file, as a service manager would keep it.
func (l *lab) start(ctx context.Context, name, program string, args, env []string) (*process, error) {
	dir, err := l.folder(name)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("making a log: %w", err)
	}
	defer log.Close()
	p := &process{name: name, cmd: exec.CommandContext(ctx, program, args...), log: log.Name()}
	p.cmd.Dir, p.cmd.Stderr, p.cmd.Env = dir, log, append(os.Environ(), env...)
	endWithParent(p.cmd)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	l.running = append(l.running, p)
	return p, nil
}

// stop ends the program without notice: nothing that it keeps is needed any more.
func (p *process) stop() {
	_ = p.cmd.Process.Kill() // it may have ended already
	if p.silent != nil {
		<-p.silent
	}
	_ = p.cmd.Wait() // "signal: killed"
}

// line returns the next line of output.
func (p *process) line() (string, error) {
	if !p.out.Scan() {
		log, _ := os.ReadFile(p.log)
		return "", fmt.Errorf("%s ended early: %w\n%s", p.name, p.out.Err(), tail(log))
	}
	return p.out.Text(), nil
}

// tail is enough of a log to say what went wrong.
func tail(log []byte) []byte { return log[max(0, len(log)-4096):] }

// until reads lines up to the one that contains text, and returns all of them.
func (p *process) until(text string) (string, error) {
	var all strings.Builder
	for {
		line, err := p.line()
		if err != nil {
			return "", fmt.Errorf("%w\n%s", err, all.String())
		}
		fmt.Fprintln(&all, line)
		if strings.Contains(line, text) {
			return all.String(), nil
		}
	}
}

// ignore lets the program print what it likes from now on.
func (p *process) ignore() {
	p.silent = make(chan struct{})
	go func() {
		defer close(p.silent)
		for p.out.Scan() {
		}
	}()
}

// tell sends a line to the program's standard input.
func (p *process) tell(line string) error {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return fmt.Errorf("telling %s: %w", p.name, err)
	}
	return nil
}

// cpu is the processor time that the program has used so far; 0 where that cannot be told.
func (p *process) cpu() time.Duration { return processTime(p.cmd.Process.Pid) }

// resident is the memory that the program holds, in bytes; 0 where that cannot be told.
func (p *process) resident() int64 { return processMemory(p.cmd.Process.Pid) }
