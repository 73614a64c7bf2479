package leaselock_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/authd-project/authd/election/electiontest"
	"github.com/authd-project/authd/election/leaselock"
	"github.com/authd-project/authd/internal/testenv"
)

// A leader whose packets vanish stops before another begins.
func TestCutOffLeader(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	proxy := testenv.NewProxy(t, p.server.Addr)
	cutOff := p.lock(t, "cut off", func(c *rest.Config) { c.Host = "https://" + proxy.Addr })
	first := elected(t, cutOff)
	second := electiontest.Campaign(t, p.lock(t, "second"))
	proxy.Swallow()
	cut := time.Now()
	old, began := first.AwaitEnd(), second.AwaitBegin()
	electiontest.InTurn(t, old, began)
	t.Logf("the old leader stopped after %v (%v), the next began after %v", old.Ended.Sub(cut), old.Cause, began.Sub(cut))
	asked := time.Now()
	if holder, asOf, err := cutOff.Leader(t.Context()); holder != "" || err == nil {
		t.Errorf("who is cut off says that %q leads, as of %v ago, %v", holder, time.Since(asOf), err)
	}
	if took := time.Since(asked); took > 10*time.Second { // client-go's own patience is 45 s
		t.Errorf("it took %v to say so", took)
	}

	proxy.Pass()
	electiontest.AwaitLeader(t, cutOff, "second")
}

// A server that hangs ends the leadership in time. Once it goes on somebody leads again, one at a time. Parallel tests
// wait until this one is over, as they share the server.
func TestFrozenServer(t *testing.T) {
	p := newPlace(t)
	first := elected(t, p.lock(t, "first"))
	p.server.Freeze(t)
	frozen := time.Now()
	old := first.AwaitEnd()
	time.Sleep(time.Until(frozen.Add(lease * 2))) // long enough that a candidate may win at once
	second := electiontest.Campaign(t, p.lock(t, "second"))
	p.server.Thaw(t)
	thawed := time.Now()
	_, began := electiontest.AwaitEither(first, second)
	electiontest.InTurn(t, old, began)
	if began.Before(thawed) {
		t.Error("elected by a frozen server")
	}
	t.Logf("stopped after %v (%v), one leads again %v after the thaw", old.Ended.Sub(frozen), old.Cause, began.Sub(thawed))
}

// An answer that comes late does not lengthen the leadership: the lease runs since before the question.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	slow := new(slowTransport)
	first := elected(t, p.lock(t, "slow", slow.wrap))
	second := electiontest.Campaign(t, p.lock(t, "second"))
	slow.delayNext.Store(true)
	for !slow.cut.Load() {
		time.Sleep(time.Millisecond)
	}
	old, began := first.AwaitEnd(), second.AwaitBegin()
	electiontest.InTurn(t, old, began)
	if worked := old.Ended.Sub(slow.asked); worked >= lease {
		t.Errorf("it worked until %v after it asked for its last renewal, want less than the lease", worked)
	}
	t.Logf("the old leader stopped %v before the next began (%v)", began.Sub(old.Ended), old.Cause)
}

// slowTransport delays the answer to one write by nearly as long as the leader waits for it. After that nothing gets
// through.
type slowTransport struct {
	http.RoundTripper
	delayNext, cut atomic.Bool
	asked          time.Time // for the last write; to be read once cut is set
}

func (s *slowTransport) wrap(c *rest.Config) {
	c.Wrap(func(next http.RoundTripper) http.RoundTripper {
		s.RoundTripper = next
		return s
	})
}

func (s *slowTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.cut.Load() {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	asked := time.Now()
	resp, err := s.RoundTripper.RoundTrip(req)
	if req.Method == http.MethodPut && s.delayNext.Swap(false) {
		const longest = lease / 2
		time.Sleep(longest * 9 / 10)
		s.asked = asked
		s.cut.Store(true)
	}
	return resp, err
}

// A Lease that is deleted protects nobody: its leader stops. When it is made again, all wait as long as a leader who has
// not noticed yet may go on.
func TestDeletedLease(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first, second := p.lock(t, "first"), p.lock(t, "second")
	leads := elected(t, first)
	other := electiontest.Campaign(t, second)
	electiontest.AwaitLeader(t, second, "first")
	if out, err := p.server.Kubectl(t, p.server.Kubeconfig, "delete", "lease", "authd-leader", "-n", p.namespace); err != nil {
		t.Fatal(err, out)
	}
	p.server.Apply(t, p.namespace)
	again := time.Now()
	old := leads.AwaitEnd()
	_, began := electiontest.AwaitEither(leads, other)
	electiontest.InTurn(t, old, began)
	if waited := began.Sub(again); waited < lease*9/10 {
		t.Errorf("the next began %v after the Lease was made again, want not before a lease has passed", waited)
	}
	t.Logf("stopped after %v (%v), the next began after %v", old.Ended.Sub(again), old.Cause, began.Sub(again))
}

// A Lease that is missing is not made by a candidate, which would win a deleted one at once, even if it may.
func TestMissingLease(t *testing.T) {
	t.Parallel()
	s := testenv.Kubernetes(t)
	p := place{s, s.Namespace(t), s.Kubeconfig}
	waits := electiontest.Campaign(t, p.lock(t, "a"))
	select {
	case <-waits.Began:
		t.Error("elected without a Lease")
	case <-time.After(lease / 2): // it asks several times
	}
	s.Apply(t, p.namespace)
	waits.AwaitBegin()
}

// A leader that sees another in the Lease stops at once, and respects the other one's lease.
func TestUsurpedLease(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first := elected(t, p.lock(t, "first"))
	record := fmt.Sprintf(`{"spec": {"holderIdentity": "usurper_RANDOM", "leaseDurationSeconds": %d}}`, lease/time.Second)
	out, err := p.server.Kubectl(t, p.server.Kubeconfig,
		"patch", "lease", "authd-leader", "-n", p.namespace, "--type", "merge", "-p", record)
	if err != nil {
		t.Fatal(err, out)
	}
	usurped := time.Now()
	old := first.AwaitEnd()
	if worked := old.Ended.Sub(usurped); worked > lease/2 {
		t.Errorf("it worked for another %v, want a renewal's interval", worked)
	}
	if waited := first.AwaitBegin().Sub(usurped); waited < lease/2 { // it may have seen it before kubectl returned
		t.Errorf("elected again after %v, want the other one's lease to be respected", waited)
	}
}

// A leader that ends in order leaves no lease behind for others to wait for.
func TestGivesUp(t *testing.T) {
	p := newPlace(t)
	failure := errors.New("on purpose")
	holder := func() string {
		out, err := p.server.Kubectl(t, p.kubeconfig, "get", "lease", "authd-leader", "-o", "jsonpath={.spec.holderIdentity}")
		if err != nil {
			t.Fatal(err, out)
		}
		return out
	}
	err := p.lock(t, "pod-1_a").Lead(t.Context(), func(context.Context) error {
		if h := holder(); !strings.HasPrefix(h, "pod-1_a_") {
			t.Errorf("the Lease is held by %q while pod-1_a leads", h)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("Lead returned %v, want what work returned", err)
	}
	if h := holder(); h != "" {
		t.Errorf("the Lease is still held by %q", h)
	}
}

// A leader that renews is not replaced, however many leases pass.
func TestRenews(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first := elected(t, p.lock(t, "first"))
	second := electiontest.Campaign(t, p.lock(t, "second"))
	select {
	case s := <-first.Spans:
		t.Errorf("the leadership ended after %v: %v", s.Ended.Sub(s.Began), s.Cause)
	case <-second.Began:
		t.Error("somebody else was elected")
	case <-time.After(3 * lease):
	}
}

// elected lets a candidate lead, and waits until it does.
func elected(t *testing.T, l *leaselock.Lock) *electiontest.Candidate {
	t.Helper()
	c := electiontest.Campaign(t, l)
	c.AwaitBegin()
	return c
}
