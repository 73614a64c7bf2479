package redislock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/authd-project/authd/election/electiontest"
	"github.com/authd-project/authd/election/redislock"
	"github.com/authd-project/authd/internal/testenv"
)

// A leader whose packets vanish stops before another begins, which is soon after the lease has expired.
func TestCutOffLeader(t *testing.T) {
	addr := testenv.Redis(t)
	proxy := testenv.NewProxy(t, addr)
	cutOff := newLock(t, testenv.ConnectRedis(t, proxy.Addr), "cut off")
	first := elected(t, cutOff)
	second := electiontest.Campaign(t, newLock(t, testenv.ConnectRedis(t, addr), "second"))
	proxy.Swallow()
	cut := time.Now()
	old, began := first.AwaitEnd(), second.AwaitBegin()
	electiontest.InTurn(t, old, began)
	if worked := old.Ended.Sub(cut); worked >= lease {
		t.Errorf("it worked for another %v, want less than the lease", worked)
	}
	t.Logf("lease %v: the old leader stopped after %v, the next began after %v", lease, old.Ended.Sub(cut), began.Sub(cut))
	if holder, asOf, err := cutOff.Leader(t.Context()); err == nil && (holder == "cut off" || time.Since(asOf) > lease) {
		t.Errorf("who is cut off says that %q leads, as of %v ago", holder, time.Since(asOf))
	}

	proxy.Pass()
	select {
	case <-first.Began:
		t.Error("elected beside another leader")
	case <-time.After(lease / 2): // it asks a few times
	}
	if holder, _, err := cutOff.Leader(t.Context()); err != nil || holder != "second" {
		t.Errorf("back again it says %q, %v; want second", holder, err)
	}
}

// A server that hangs ends the leadership in time. Once it goes on somebody leads again, one at a time.
func TestFrozenServer(t *testing.T) {
	server := testenv.NewRedis(t)
	first := elected(t, newLock(t, testenv.ConnectRedis(t, server.Addr), "first"))
	server.Freeze()
	frozen := time.Now()
	if worked := first.AwaitEnd().Ended.Sub(frozen); worked >= lease {
		t.Errorf("it worked for %v beside a frozen server, want less than the lease", worked)
	}
	server.Thaw()
	again := first.AwaitBegin()
	t.Logf("leads again %v after it was frozen", again.Sub(frozen))
}

// A server that has lost the lease gives it to whoever comes first. If that is another, the old leader sees it at its
// next renewal; what it writes until then is the fence's business.
func TestForgottenLease(t *testing.T) {
	addr := testenv.Redis(t)
	admin := testenv.ConnectRedis(t, addr)
	first := elected(t, newLock(t, testenv.ConnectRedis(t, addr), "first"))
	if err := admin.Set(t.Context(), "authd:election:{authd}", "another\nRANDOM", lease).Err(); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	if worked := first.AwaitEnd().Ended.Sub(lost); worked >= lease*9/10 {
		t.Errorf("it worked for another %v, want a renewal's interval", worked)
	}
	if waited := first.AwaitBegin().Sub(lost); waited < lease*9/10 {
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
	first := elected(t, newLock(t, testenv.ConnectRedis(t, addr), "first"))
	second := electiontest.Campaign(t, newLock(t, testenv.ConnectRedis(t, addr), "second"))
	select {
	case s := <-first.Spans:
		t.Errorf("the leadership ended after %v", s.Ended.Sub(s.Began))
	case <-second.Began:
		t.Error("somebody else was elected")
	case <-time.After(3 * lease):
	}
}

// elected lets a candidate lead, and waits until it does.
func elected(t *testing.T, l *redislock.Lock) *electiontest.Candidate {
	t.Helper()
	c := electiontest.Campaign(t, l)
	c.AwaitBegin()
	return c
}
