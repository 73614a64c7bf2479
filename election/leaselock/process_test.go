package leaselock_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/authd-project/authd/election/electiontest"
	"github.com/authd-project/authd/election/leaselock"
)

// candidateEnv makes this program a candidate: "namespace kubeconfig".
const candidateEnv = "AUTHD_TEST_CANDIDATE"

// runCandidate leads until the process is killed, and says when each leadership began and ended.
func runCandidate() int {
	namespace, kubeconfig, _ := strings.Cut(os.Getenv(candidateEnv), " ")
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	client, err := coordinationv1client.NewForConfig(config)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	l, err := leaselock.New(leaselock.Config{Client: client, Namespace: namespace, Identity: "process", Lease: lease})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	err = l.Lead(context.Background(), func(ctx context.Context) error {
		fmt.Println("began", time.Now().UnixNano())
		<-ctx.Done()
		fmt.Println("ended", time.Now().UnixNano())
		return nil
	})
	fmt.Println(err)
	return 1
}

// A process that was frozen while it led stops at once when it wakes, though another has led for long: client-go's own
// context lives on for the renew deadline, which is half a lease.
func TestFrozenLeader(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	frozen := startCandidate(t, p)
	frozen.await(t, "began")
	frozen.signal(t, syscall.SIGSTOP)
	stopped := time.Now()
	second := electiontest.Campaign(t, p.lock(t, "second"))
	began := second.AwaitBegin()
	if waited := began.Sub(stopped); waited < lease/2 {
		t.Errorf("replaced after %v, want the lease to be respected", waited)
	}
	woken := time.Now()
	frozen.signal(t, syscall.SIGCONT)
	worked := frozen.await(t, "ended").Sub(woken)
	if worked > lease*2/5 {
		t.Errorf("it worked for another %v, want it to stop at once", worked)
	}
	t.Logf("replaced after %v; once woken it worked for %v", began.Sub(stopped), worked)
	select {
	case s := <-second.Spans:
		t.Errorf("the new leader was disturbed: %v", s.Cause)
	case <-time.After(lease):
	}
}

// A process that is killed is followed once its lease is over.
func TestKilledLeader(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	killed := startCandidate(t, p)
	killed.await(t, "began")
	second, observer := p.lock(t, "second"), p.lock(t, "observer")
	follows := electiontest.Campaign(t, second)
	electiontest.AwaitLeader(t, second, "process")
	electiontest.AwaitLeader(t, observer, "process")
	killed.signal(t, syscall.SIGKILL)
	at := time.Now()
	t.Logf("followed after %v", follows.AwaitBegin().Sub(at))
	electiontest.AwaitLeader(t, observer, "second")
}

// candidate is another process.
type candidate struct {
	cmd    *exec.Cmd
	stdout *bufio.Scanner
}

func startCandidate(t *testing.T, p place) *candidate {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), candidateEnv+"="+p.namespace+" "+p.kubeconfig)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &candidate{cmd, bufio.NewScanner(stdout)}
}

func (c *candidate) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// await reads what the process says until it says this, and returns when.
func (c *candidate) await(t *testing.T, what string) time.Time {
	t.Helper()
	for c.stdout.Scan() {
		var at int64
		if n, _ := fmt.Sscanf(c.stdout.Text(), what+" %d", &at); n == 1 {
			return time.Unix(0, at)
		}
		t.Log(c.stdout.Text())
	}
	t.Fatalf("the process ended before it said %q", what)
	return time.Time{}
}
