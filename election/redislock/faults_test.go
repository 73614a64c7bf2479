package redislock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/authd-project/authd/election/redislock"
	"github.com/authd-project/authd/internal/testenv"
)

// patience is how long tests wait for what has to happen, on a busy machine.
const patience = 20 * time.Second

// span is a leadership as its work saw it.
type span struct{ began, ended time.Time }

// leader leads until the test ends.
type leader struct {
	began chan time.Time
	spans chan span // of leaderships that have ended
}

// run lets a candidate lead, and waits for the leadership to begin.
func run(t *testing.T, l *redislock.Lock) (*leader, time.Time) {
	t.Helper()
	r := campaign(t, l)
	return r, r.awaitBegin(t)
}

func campaign(t *testing.T, l *redislock.Lock) *leader {
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
			s.ended = time.Now()
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

// A leader whose packets vanish stops before another begins, which is soon after the lease has expired.
func TestCutOffLeader(t *testing.T) {
	addr := testenv.Redis(t)
	proxy := testenv.NewProxy(t, addr)
	cutOff := newLock(t, testenv.ConnectRedis(t, proxy.Addr), "cut off")
	first, _ := run(t, cutOff)
	second := campaign(t, newLock(t, testenv.ConnectRedis(t, addr), "second"))
	proxy.Swallow()
	cut := time.Now()
	old, began := first.awaitEnd(t), second.awaitBegin(t)
	if old.ended.After(began) {
		t.Errorf("the old leader worked until %v after the next had begun", old.ended.Sub(began))
	}
	if worked := old.ended.Sub(cut); worked >= lease {
		t.Errorf("it worked for another %v, want less than the lease", worked)
	}
	t.Logf("lease %v: the old leader stopped after %v, the next began after %v", lease, old.ended.Sub(cut), began.Sub(cut))
	if holder, asOf, err := cutOff.Leader(t.Context()); err == nil && (holder == "cut off" || time.Since(asOf) > lease) {
		t.Errorf("who is cut off says that %q leads, as of %v ago", holder, time.Since(asOf))
	}

	proxy.Pass()
	first.stays(t)
	if holder, _, err := cutOff.Leader(t.Context()); err != nil || holder != "second" {
		t.Errorf("back again it says %q, %v; want second", holder, err)
	}
}

// stays checks that the candidate is not elected while others lead, for as long as it asks a few times.
func (r *leader) stays(t *testing.T) {
	t.Helper()
	select {
	case <-r.began:
		t.Error("elected beside another leader")
	case <-time.After(lease / 2):
	}
}

// A server that hangs ends the leadership in time. Once it goes on somebody leads again, one at a time.
func TestFrozenServer(t *testing.T) {
	server := testenv.NewRedis(t)
	first, _ := run(t, newLock(t, testenv.ConnectRedis(t, server.Addr), "first"))
	server.Freeze()
	frozen := time.Now()
	if worked := first.awaitEnd(t).ended.Sub(frozen); worked >= lease {
		t.Errorf("it worked for %v beside a frozen server, want less than the lease", worked)
	}
	server.Thaw()
	again := first.awaitBegin(t)
	t.Logf("leads again %v after it was frozen", again.Sub(frozen))
}

// A server that has lost the lease gives it to whoever comes first. If that is another, the old leader sees it at its
// next renewal; what it writes until then is the fence's business.
func TestForgottenLease(t *testing.T) {
	addr := testenv.Redis(t)
	admin := testenv.ConnectRedis(t, addr)
	first, _ := run(t, newLock(t, testenv.ConnectRedis(t, addr), "first"))
	if err := admin.Set(t.Context(), "authd:election:{authd}", "another\nRANDOM", lease).Err(); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	if worked := first.awaitEnd(t).ended.Sub(lost); worked >= lease*9/10 {
		t.Errorf("it worked for another %v, want a renewal's interval", worked)
	}
	if waited := first.awaitBegin(t).Sub(lost); waited < lease*9/10 {
		t.Errorf("elected again after %v, want the other one's lease to be respected", waited)
	}
}

// A leader that ends in order leaves no lease behind for others to wait for.
func TestGivesUp(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	failure := errors.New("on purpose")
	err := newLock(t, client, "a").Lead(t.Context(), func(ctx context.Context) error {
		if left := client.PTTL(ctx, "authd:election:{authd}").Val(); left <= 0 || left > lease {
			t.Errorf("the lease expires in %v, want at most %v", left, lease)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("Lead returned %v, want what work returned", err)
	}
	if n := client.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys left behind", n)
	}
}

// A leader that renews is not replaced, however many leases pass.
func TestRenews(t *testing.T) {
	addr := testenv.Redis(t)
	first, _ := run(t, newLock(t, testenv.ConnectRedis(t, addr), "first"))
	second := campaign(t, newLock(t, testenv.ConnectRedis(t, addr), "second"))
	select {
	case s := <-first.spans:
		t.Errorf("the leadership ended after %v", s.ended.Sub(s.began))
	case <-second.began:
		t.Error("somebody else was elected")
	case <-time.After(3 * lease):
	}
}
