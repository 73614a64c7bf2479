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

	"github.com/authd-project/authd/election/leaselock"
	"github.com/authd-project/authd/internal/testenv"
)

// patience is how long tests wait for what has to happen, on a busy machine.
const patience = time.Minute

// span is a leadership as its work saw it.
type span struct {
	began, ended time.Time
	cause        error // why it ended
}

// leader leads until the test ends.
type leader struct {
	began chan time.Time
	spans chan span // of leaderships that have ended
}

// run lets a candidate lead, and waits for the leadership to begin.
func run(t *testing.T, l *leaselock.Lock) *leader {
	t.Helper()
	r := campaign(t, l)
	r.awaitBegin(t)
	return r
}

func campaign(t *testing.T, l *leaselock.Lock) *leader {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &leader{began: make(chan time.Time, 100), spans: make(chan span, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := l.Lead(ctx, func(ctx context.Context) error {
			s := span{began: time.Now()}
			r.began <- s.began
			<-ctx.Done()
			s.ended, s.cause = time.Now(), context.Cause(ctx)
			r.spans <- s
			return context.Cause(ctx)
		})
		if err != nil {
			t.Errorf("Lead: %v", err)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return r
}

func (r *leader) awaitBegin(t *testing.T) time.Time {
	t.Helper()
	select {
	case at := <-r.began:
		return at
	case <-time.After(patience):
		t.Fatalf("not elected within %v", patience)
		return time.Time{}
	}
}

func (r *leader) awaitEnd(t *testing.T) span {
	t.Helper()
	select {
	case s := <-r.spans:
		return s
	case <-time.After(patience):
		t.Fatalf("the leadership did not end within %v", patience)
		return span{}
	}
}

// inTurn checks that one leadership was over before the next began.
func inTurn(t *testing.T, old span, began time.Time) {
	t.Helper()
	if old.ended.After(began) {
		t.Errorf("the old leader worked until %v after the next had begun", old.ended.Sub(began))
	}
}

// A leader whose packets vanish stops before another begins.
func TestCutOffLeader(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	proxy := testenv.NewProxy(t, p.server.Addr)
	cutOff := p.lock(t, "cut off", func(c *rest.Config) { c.Host = "https://" + proxy.Addr })
	first := run(t, cutOff)
	second := campaign(t, p.lock(t, "second"))
	proxy.Swallow()
	cut := time.Now()
	old, began := first.awaitEnd(t), second.awaitBegin(t)
	inTurn(t, old, began)
	t.Logf("the old leader stopped after %v (%v), the next began after %v", old.ended.Sub(cut), old.cause, began.Sub(cut))
	asked := time.Now()
	if holder, asOf, err := cutOff.Leader(t.Context()); holder != "" || err == nil {
		t.Errorf("who is cut off says that %q leads, as of %v ago, %v", holder, time.Since(asOf), err)
	}
	if took := time.Since(asked); took > 10*time.Second { // client-go's own patience is 45 s
		t.Errorf("it took %v to say so", took)
	}

	proxy.Pass()
	deadline := time.Now().Add(patience)
	for {
		holder, _, err := cutOff.Leader(t.Context())
		if err == nil && holder == "second" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("back again it says %q, %v; want second", holder, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A server that hangs ends the leadership in time. Once it goes on somebody leads again, one at a time. Parallel tests
// wait until this one is over, as they share the server.
func TestFrozenServer(t *testing.T) {
	p := newPlace(t)
	first := run(t, p.lock(t, "first"))
	p.server.Freeze(t)
	frozen := time.Now()
	old := first.awaitEnd(t)
	time.Sleep(time.Until(frozen.Add(lease * 2))) // long enough that a candidate may win at once
	second := campaign(t, p.lock(t, "second"))
	p.server.Thaw(t)
	thawed := time.Now()
	var began time.Time
	select {
	case began = <-first.began:
	case began = <-second.began:
	case <-time.After(patience):
		t.Fatal("nobody leads again")
	}
	inTurn(t, old, began)
	if began.Before(thawed) {
		t.Error("elected by a frozen server")
	}
	t.Logf("stopped after %v (%v), one leads again %v after the thaw", old.ended.Sub(frozen), old.cause, began.Sub(thawed))
}

// An answer that comes late does not lengthen the leadership: the lease runs since before the question.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	slow := new(slowTransport)
	first := run(t, p.lock(t, "slow", slow.wrap))
	second := campaign(t, p.lock(t, "second"))
	slow.delayNext.Store(true)
	for !slow.cut.Load() {
		time.Sleep(time.Millisecond)
	}
	old, began := first.awaitEnd(t), second.awaitBegin(t)
	inTurn(t, old, began)
	if worked := old.ended.Sub(slow.asked); worked >= lease {
		t.Errorf("it worked until %v after it asked for its last renewal, want less than the lease", worked)
	}
	t.Logf("the old leader stopped %v before the next began (%v)", began.Sub(old.ended), old.cause)
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
	leads := run(t, first)
	other := campaign(t, second)
	awaitLeader(t, second, "first")
	if out, err := p.server.Kubectl(t, p.server.Kubeconfig, "delete", "lease", "authd-leader", "-n", p.namespace); err != nil {
		t.Fatal(err, out)
	}
	p.server.Apply(t, p.namespace)
	again := time.Now()
	old := leads.awaitEnd(t)
	var began time.Time
	select {
	case began = <-leads.began:
	case began = <-other.began:
	case <-time.After(patience):
		t.Fatal("nobody leads again")
	}
	inTurn(t, old, began)
	if waited := began.Sub(again); waited < lease*9/10 {
		t.Errorf("the next began %v after the Lease was made again, want not before a lease has passed", waited)
	}
	t.Logf("stopped after %v (%v), the next began after %v", old.ended.Sub(again), old.cause, began.Sub(again))
}

// A Lease that is missing is not made by a candidate, which would win a deleted one at once, even if it may.
func TestMissingLease(t *testing.T) {
	t.Parallel()
	s := testenv.Kubernetes(t)
	p := place{s, s.Namespace(t), s.Kubeconfig}
	waits := campaign(t, p.lock(t, "a"))
	select {
	case <-waits.began:
		t.Error("elected without a Lease")
	case <-time.After(lease / 2): // it asks several times
	}
	s.Apply(t, p.namespace)
	waits.awaitBegin(t)
}

// A leader that sees another in the Lease stops at once, and respects the other one's lease.
func TestUsurpedLease(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first := run(t, p.lock(t, "first"))
	record := fmt.Sprintf(`{"spec": {"holderIdentity": "usurper_RANDOM", "leaseDurationSeconds": %d}}`, lease/time.Second)
	out, err := p.server.Kubectl(t, p.server.Kubeconfig,
		"patch", "lease", "authd-leader", "-n", p.namespace, "--type", "merge", "-p", record)
	if err != nil {
		t.Fatal(err, out)
	}
	usurped := time.Now()
	old := first.awaitEnd(t)
	if worked := old.ended.Sub(usurped); worked > lease/2 {
		t.Errorf("it worked for another %v, want a renewal's interval", worked)
	}
	if waited := first.awaitBegin(t).Sub(usurped); waited < lease/2 { // it may have seen it before kubectl returned
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

// awaitLeader asks until the answer is the wanted one.
func awaitLeader(t *testing.T, l *leaselock.Lock, want string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		holder, _, err := l.Leader(t.Context())
		if err == nil && holder == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the leader is %q, %v; want %q", holder, err, want)
		}
	}
}

// A leader that renews is not replaced, however many leases pass.
func TestRenews(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first := run(t, p.lock(t, "first"))
	second := campaign(t, p.lock(t, "second"))
	select {
	case s := <-first.spans:
		t.Errorf("the leadership ended after %v: %v", s.ended.Sub(s.began), s.cause)
	case <-second.began:
		t.Error("somebody else was elected")
	case <-time.After(3 * lease):
	}
}
