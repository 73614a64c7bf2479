package etcdlock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/authd-project/authd/election/electiontest"
	"github.com/authd-project/authd/election/etcdlock"
	"github.com/authd-project/authd/internal/testenv"
)

// A leader whose packets vanish stops before another begins, which is soon after the lease has expired.
func TestCutOffLeader(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	admin, proxy := connect(t, server.Addr), testenv.NewProxy(t, server.Addr)
	c := &electiontest.Court{T: t}
	first := c.Campaign(newLock(t, connect(t, proxy.Addr), "cut off"))
	first.AwaitBegin()
	second := c.Campaign(newLock(t, admin, "second"))
	awaitQueue(t, admin, "cut off", "second")
	proxy.Swallow()
	cut := time.Now()
	old, began := first.AwaitEnd(), second.AwaitBegin()
	electiontest.InTurn(t, old, began)
	if worked := old.Ended.Sub(cut); worked >= lease {
		t.Errorf("it worked for another %v, want less than the lease", worked)
	}
	t.Logf("lease %v: the old leader stopped after %v, the next began after %v", lease, old.Ended.Sub(cut), began.Sub(cut))
	if holder, asOf, err := first.Leader(t.Context()); err == nil && (holder == "cut off" || time.Since(asOf) > lease) {
		t.Errorf("who is cut off says that %q leads, as of %v ago", holder, time.Since(asOf))
	}

	proxy.Pass()
	electiontest.AwaitLeader(t, first, "second")
	awaitQueue(t, admin, "second", "cut off") // and does not lead, or court would see it
}

// An etcd that hangs ends the leadership in time. Once it goes on somebody leads again, one at a time.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	c := &electiontest.Court{T: t}
	first := c.Campaign(newLock(t, connect(t, server.Addr), "first"))
	first.AwaitBegin()
	second := c.Campaign(newLock(t, connect(t, server.Addr), "second"))
	awaitQueue(t, connect(t, server.Addr), "first", "second")
	server.Freeze()
	frozen := time.Now()
	if worked := first.AwaitEnd().Ended.Sub(frozen); worked >= lease {
		t.Errorf("it worked for %v beside a frozen server, want less than the lease", worked)
	}
	if _, asOf, err := first.Leader(t.Context()); err == nil && time.Since(asOf) > lease {
		t.Errorf("a sight of %v ago counts", time.Since(asOf))
	}
	server.Thaw()
	electiontest.AwaitEither(first, second)
	t.Logf("somebody leads again %v after it was frozen", time.Since(frozen))
}

// Nobody is held up by an etcd that hangs when he is told to end.
func TestStopBesideFrozenServer(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	client := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{server.Addr}}) // which does not see that it hangs
	first := electiontest.Campaign(t, newLock(t, client, "first"))
	first.AwaitBegin()
	second := electiontest.Campaign(t, newLock(t, client, "second"))
	awaitQueue(t, client, "first", "second")
	server.Freeze()
	defer server.Thaw()
	for _, l := range []*electiontest.Candidate{second, first} {
		stopped := make(chan struct{})
		go func() { l.Stop(); close(stopped) }()
		select {
		case <-stopped:
		case <-time.After(electiontest.Patience):
			t.Error("Lead does not return")
		}
	}
}

// A candidate whose key goes while it waits is told by package concurrency, once the others have gone too, that it has
// won. It must not lead before it has a key again.
func TestLostPlaceInQueue(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	admin, proxy := connect(t, server.Addr), testenv.NewProxy(t, server.Addr)
	c := &electiontest.Court{T: t}
	first := c.Campaign(newLock(t, admin, "first"))
	first.AwaitBegin()
	second := c.Campaign(newLock(t, connect(t, proxy.Addr), "second"))
	resp := awaitQueue(t, admin, "first", "second")
	third := c.Campaign(newLock(t, connect(t, server.Addr), "third"))
	awaitQueue(t, admin, "first", "second", "third")
	if _, err := admin.Delete(t.Context(), string(resp.Kvs[1].Key)); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	third.AwaitBegin()
	awaitQueue(t, admin, "third", "second") // second stands again, and has not worked, or court would have seen it
	select {
	case <-second.Began:
		t.Error("elected without a key")
	default:
	}
	third.Stop()
	second.AwaitBegin()
	awaitQueue(t, admin, "second")
}

// The same candidate whose packets vanish meanwhile, so that it hears of everything late.
func TestExpiredInQueue(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	admin, proxy := connect(t, server.Addr), testenv.NewProxy(t, server.Addr)
	c := &electiontest.Court{T: t}
	first := c.Campaign(newLock(t, admin, "first"))
	first.AwaitBegin()
	second := c.Campaign(newLock(t, connect(t, proxy.Addr), "second"))
	awaitQueue(t, admin, "first", "second")
	proxy.Swallow()
	awaitQueue(t, admin, "first")
	third := c.Campaign(newLock(t, connect(t, server.Addr), "third"))
	awaitQueue(t, admin, "first", "third")
	proxy.Pass()
	first.Stop()
	third.AwaitBegin()
	third.Stop()
	second.AwaitBegin()
	awaitQueue(t, admin, "second")
}

// A watch that hangs at one member, while the others answer, keeps nobody from leading.
func TestDeafCandidate(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	admin, proxy := connect(t, server.Addr), testenv.NewProxy(t, server.Addr)
	client := connect(t, server.Addr)
	client.Watcher = testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{proxy.Addr}}).Watcher
	c := &electiontest.Court{T: t}
	first := c.Campaign(newLock(t, admin, "first"))
	first.AwaitBegin()
	second := c.Campaign(newLock(t, client, "deaf"))
	awaitQueue(t, admin, "first", "deaf")
	time.Sleep(lease / 5) // until its watch runs, most likely
	proxy.Swallow()
	first.Stop()
	second.AwaitBegin()

	resp := awaitQueue(t, admin, "deaf")
	if _, err := admin.Delete(t.Context(), string(resp.Kvs[0].Key)); err != nil {
		t.Fatal(err)
	}
	second.AwaitEnd() // although it hears of nothing
}

// Who takes the lease away by hand ends the leadership, and the next begins; the old leader hears of it at once, long
// before its next renewal. It stands again.
func TestRevokedLease(t *testing.T) {
	t.Parallel()
	const lease = time.Minute
	admin := connect(t, testenv.Etcd(t).Addr)
	candidate := func(name string) *electiontest.Candidate { // not of one court: the work of both may overlap for a moment
		l, err := etcdlock.New(etcdlock.Config{Client: admin, Identity: name, Lease: lease})
		if err != nil {
			t.Fatal(err)
		}
		return electiontest.Campaign(t, l)
	}
	first := candidate("first")
	first.AwaitBegin()
	second := candidate("second")
	resp := awaitQueue(t, admin, "first", "second")
	if _, err := admin.Revoke(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	second.AwaitBegin()
	if worked := first.AwaitEnd().Ended.Sub(revoked); worked >= lease/10 {
		t.Errorf("it worked for another %v, want it to hear of the loss", worked)
	}
	awaitQueue(t, admin, "second", "first")
	second.Stop()
	first.AwaitBegin()
}

// The same where nobody else stands, so that no other leader can be announced.
func TestDeletedKey(t *testing.T) {
	t.Parallel()
	admin := connect(t, testenv.Etcd(t).Addr)
	first := electiontest.Campaign(t, newLock(t, admin, "first"))
	first.AwaitBegin()
	if _, err := admin.Delete(t.Context(), prefix, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	if worked := first.AwaitEnd().Ended.Sub(deleted); worked >= lease*8/10 {
		t.Errorf("it worked for another %v, want it to see the loss", worked)
	}
	first.AwaitBegin()
}

// An etcd that comes back without its data elects anew.
func TestLostData(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	first := electiontest.Campaign(t, newLock(t, connect(t, server.Addr), "first"))
	first.AwaitBegin()
	server.RestartEmpty()
	first.AwaitEnd()
	first.AwaitBegin()
	awaitQueue(t, connect(t, server.Addr), "first")
}

// An answer that comes late counts from when it was asked for.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	const (
		lease = 10 * time.Second
		late  = 6 * time.Second
	)
	server := testenv.Etcd(t)
	clock := &clock{t: time.Now()}
	client := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{server.Addr}, DialOptions: []grpc.DialOption{
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
			streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := streamer(ctx, desc, cc, method, opts...)
			if method != "/etcdserverpb.Lease/LeaseKeepAlive" {
				return s, err
			}
			return lateStream{s, func() { clock.pass(late) }}, err
		}),
	}})
	l, err := etcdlock.New(etcdlock.Config{Client: client, Identity: "a", Lease: lease, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	leader := electiontest.Campaign(t, l)
	leader.AwaitBegin()
	clock.awaitPassed(t, late)
	server.Kill()
	killed := time.Now()
	worked := leader.AwaitEnd().Ended.Sub(killed)
	if most := lease*9/10 - late; worked >= most+2*time.Second {
		t.Errorf("it worked for another %v after an answer that came %v late; want at most %v", worked, late, most)
	}
	server.Restart() // for who gives up its lease
}

// lateStream is one whose answers take long.
type lateStream struct {
	grpc.ClientStream
	received func()
}

func (s lateStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		s.received()
	}
	return err
}

// clock goes only when told.
type clock struct {
	mu     sync.Mutex
	t      time.Time
	passed time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t, c.passed = c.t.Add(d), c.passed+d
}

func (c *clock) awaitPassed(t *testing.T, d time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(electiontest.Patience); ; time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		passed := c.passed
		c.mu.Unlock()
		if passed >= d {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the lease was not renewed")
		}
	}
}

// A leader that ends in order leaves nothing behind for others to wait for.
func TestGivesUp(t *testing.T) {
	admin := connect(t, testenv.Etcd(t).Addr)
	failure := errors.New("on purpose")
	err := newLock(t, admin, "a").Lead(t.Context(), func(context.Context) error {
		awaitQueue(t, admin, "a")
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("Lead returned %v, want what work returned", err)
	}
	awaitQueue(t, admin)
	leases, err := admin.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(leases.Leases); n != 0 {
		t.Errorf("%d leases left behind", n)
	}
}

// A leader that renews is not replaced, however many leases pass.
func TestRenews(t *testing.T) {
	t.Parallel()
	admin := connect(t, testenv.Etcd(t).Addr)
	c := &electiontest.Court{T: t}
	first := c.Campaign(newLock(t, admin, "first"))
	first.AwaitBegin()
	second := c.Campaign(newLock(t, admin, "second"))
	select {
	case s := <-first.Spans:
		t.Errorf("the leadership ended after %v", s.Ended.Sub(s.Began))
	case <-second.Began:
		t.Error("somebody else was elected")
	case <-time.After(3 * lease):
	}
}
