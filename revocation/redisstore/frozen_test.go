package redisstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// A verifier that is stopped for longer than its bound, in the middle of its work, trusts nothing that it believed before:
// the first question that it answers afterwards is about a session that was revoked meanwhile.
func TestVerifierFrozenPastItsBound(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	a := startAuthd(t, redisstore.Config{Client: connect(t, addr), Memory: &memory{}})
	v := startVerifier(t, addr)
	eventually(t, "verifier that accepts", func() bool { return v.ask("live") == "accepted" })
	for i := range 5 {
		name := fmt.Sprint("revoked while it slept ", i)
		if got := v.ask(name); got != "accepted" {
			t.Fatalf("before: %s", got)
		}
		testenv.Freeze(t, v.cmd.Process.Pid)
		e, _ := session(name)
		add(t, a, e)
		questions := strings.Repeat(name+"\nlive\n", 50)
		if _, err := io.WriteString(v.questions, questions); err != nil {
			t.Fatal(err)
		}
		time.Sleep(bound + bound/10) // it must be over
		v.signal(syscall.SIGCONT)
		for range 50 {
			if got := v.answer(); got != "revoked" && got != "unavailable" {
				t.Errorf("a session that was revoked %v ago is %s", bound, got)
			}
			if got := v.answer(); got != "accepted" && got != "unavailable" {
				t.Errorf("a live session is %s", got)
			}
		}
		eventually(t, "verifier that accepts", func() bool { return v.ask("live") == "accepted" })
		if got := v.ask(name); got != "revoked" {
			t.Errorf("in the end: %s", got)
		}
	}
}

// verifyVariable holds the server's address in the process of a verifier.
const verifyVariable = "AUTHD_TEST_VERIFY_REDIS"

// verifier is a process with a mirror, which answers questions about sessions.
type verifier struct {
	t         *testing.T
	cmd       *exec.Cmd
	questions io.WriteCloser
	answers   *bufio.Scanner
}

func startVerifier(t *testing.T, addr string) *verifier {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), verifyVariable+"="+addr)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // "signal: killed"
	})
	return &verifier{t, cmd, in, bufio.NewScanner(out)}
}

func (v *verifier) signal(s syscall.Signal) {
	v.t.Helper()
	if err := v.cmd.Process.Signal(s); err != nil {
		v.t.Fatal(err)
	}
}

func (v *verifier) ask(name string) string {
	v.t.Helper()
	if _, err := fmt.Fprintln(v.questions, name); err != nil {
		v.t.Fatal(err)
	}
	return v.answer()
}

func (v *verifier) answer() string {
	v.t.Helper()
	if !v.answers.Scan() {
		v.t.Fatalf("the verifier ended: %v", v.answers.Err())
	}
	return v.answers.Text()
}

// verify is what a verifier's process does.
func verify(addr string) error {
	source, err := redisstore.OpenSource("redis://"+addr, redisstore.SourceConfig{})
	if err != nil {
		return err
	}
	m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: bound})
	ctx, cancel := context.WithCancel(context.Background())
	var jobs errgroup.Group
	jobs.Go(func() error { return m.Run(ctx, source) })
	questions := bufio.NewScanner(os.Stdin)
	for questions.Scan() {
		_, claims := session(questions.Text())
		switch err := m.Check(ctx, claims); {
		case err == nil:
			fmt.Println("accepted")
		case errors.Is(err, revocation.ErrRevoked):
			fmt.Println("revoked")
		default:
			fmt.Println("unavailable")
		}
	}
	cancel()
	return errors.Join(questions.Err(), jobs.Wait(), source.Close())
}
