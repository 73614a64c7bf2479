package etcdstore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/etcdstore"
)

// An etcd that hangs is unavailable, in bounded time.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	// A client that does not see for itself that a connection hangs.
	client := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{server.Addr}})
	s := newStore(t, etcdstore.Config{Client: client, Timeout: 500 * time.Millisecond})
	claim(t, s)
	server.Freeze()
	defer server.Thaw()
	unavailable(t, s)
}

// Nobody listens.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	unavailable(t, newStore(t, etcdstore.Config{Client: connect(t, "127.0.0.1:1"), Timeout: 500 * time.Millisecond}))
}

func unavailable(t *testing.T, s keys.Store) {
	t.Helper()
	for call, f := range map[string]func() error{
		"Load":   func() error { _, _, err := s.Load(t.Context()); return err },
		"Claim":  func() error { _, err := s.Claim(t.Context(), "a"); return err },
		"Update": func() error { _, err := s.Update(t.Context(), 1, "v", keys.Ring{}); return err },
		"Watch":  func() error { _, err := s.Watch(t.Context()); return err },
	} {
		began := time.Now()
		if err := f(); !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrStale) {
			t.Errorf("%s: %v, want ErrUnavailable", call, err)
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("%s took %v", call, took)
		}
	}
}

// A write whose answer was lost is unavailable, and done: who looks again goes on from it.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	var lose atomic.Bool
	client := intercepted(t, testenv.Etcd(t).Addr, func(_ context.Context, method string, err error) error {
		if err == nil && method == "/etcdserverpb.KV/Txn" && lose.Load() {
			return status.Error(codes.Unavailable, "the connection broke")
		}
		return err
	})
	s := newStore(t, etcdstore.Config{Client: client})
	claim(t, s)
	lose.Store(true)
	if _, err := s.Claim(t.Context(), "unheard"); !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrStale) {
		t.Errorf("claim: %v, want ErrUnavailable", err)
	}
	lose.Store(false)
	if ring, _ := load(t, s); ring.Term != 2 || ring.Holder != "unheard" {
		t.Errorf("got %v, want the term that was claimed unheard", ring)
	}
	if term := claim(t, s); term != 3 {
		t.Errorf("term %d, want 3", term)
	}
}

// intercepted returns a client whose calls end as answered says, who is told how they ended.
func intercepted(t *testing.T, addr string, answered func(ctx context.Context, method string, err error) error) *clientv3.Client {
	t.Helper()
	intercept := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return answered(ctx, method, invoke(ctx, method, req, reply, cc, opts...))
	}
	return testenv.EtcdClient(t, clientv3.Config{
		Endpoints: []string{addr}, DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(intercept)},
	})
}

// Terms are given once each, also while members of the cluster, and its leader, come and go.
func TestClaimsWhileLeaderIsLost(t *testing.T) {
	t.Parallel()
	cluster, codec := testenv.EtcdCluster(t), keys.NewCodec(keys.GenerateKEK())
	const claimants = 4
	var mu sync.Mutex
	seen := make(map[keys.Term]bool)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range claimants {
		s := newStore(t, etcdstore.Config{Client: connect(t, cluster.Addrs()...), Codec: codec, Timeout: time.Second})
		wg.Go(func() {
			for last := keys.Term(0); ctx.Err() == nil; {
				term, err := s.Claim(ctx, "one of many")
				switch {
				case err == nil:
					mu.Lock()
					if seen[term] || term <= last {
						t.Errorf("term %d was given twice, or after %d", term, last)
					}
					seen[term], last = true, term
					mu.Unlock()
				case !errors.Is(err, keys.ErrUnavailable) && !errors.Is(err, keys.ErrStale):
					t.Error(err)
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(seen) }
	more := func() {
		for want, deadline := count()+20, time.Now().Add(patience); count() < want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Error("no claim succeeds any more")
				return
			}
		}
	}
	for range 2 {
		more()
		member := cluster.Leader(t)
		member.Kill()
		more()
		member.Restart()
		member = cluster.Leader(t)
		member.Freeze()
		more()
		member.Thaw()
	}
	stop()
	wg.Wait()
}

// A rotation that loses etcd's leader half-way is completed, and every process has the same ring.
func TestRotationWhileLeaderIsLost(t *testing.T) {
	t.Parallel()
	cluster, codec := testenv.EtcdCluster(t), keys.NewCodec(keys.GenerateKEK())
	s := newStore(t, etcdstore.Config{Client: connect(t, cluster.Addrs()...), Codec: codec, Timeout: time.Second})
	policy := keys.Policy{Algorithm: "EdDSA", RotateEvery: 2 * time.Hour, SessionIdle: 6 * time.Hour}.WithDefaults()
	now, term := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), claim(t, s)
	const rotations = 4
	for range rotations {
		if err := step(t, s, policy, term, now); err != nil { // one of several that are due
			t.Fatal(err)
		}
		member := cluster.Leader(t)
		member.Kill()
		for deadline := time.Now().Add(patience); ; {
			err := step(t, s, policy, term, now)
			if errors.Is(err, errSettled) {
				break
			}
			if err != nil && !errors.Is(err, keys.ErrUnavailable) && !errors.Is(err, keys.ErrStale) || time.Now().After(deadline) {
				t.Fatalf("%v", err)
			}
		}
		member.Restart()
		now = now.Add(policy.RotateEvery)
	}
	ring, version := load(t, s)
	active := 0
	for _, k := range ring.Keys {
		if k.State == keys.Active {
			active++
		}
	}
	if last := ring.MACs[len(ring.MACs)-1].ID; active != 1 || last != rotations+1 {
		t.Errorf("%d active keys and MAC keys up to %d, want 1 and %d: %v", active, last, rotations+1, ring)
	}
	for _, m := range cluster.Members {
		other := newStore(t, etcdstore.Config{Client: connect(t, m.Addr), Codec: codec})
		if _, v := load(t, other); v != version {
			t.Errorf("at %s the ring has version %s, want %s", m.Addr, v, version)
		}
	}
}

var errSettled = errors.New("nothing is due")

// step performs one transition, or answers errSettled.
func step(t *testing.T, s keys.Store, policy keys.Policy, term keys.Term, now time.Time) error {
	t.Helper()
	ring, version, err := s.Load(t.Context())
	if err != nil {
		return err
	}
	due := policy.Next(now, ring)
	if due.Action == keys.Wait {
		return errSettled
	}
	next, err := policy.Apply(now, ring, due)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Update(t.Context(), term, version, next)
	return err
}

// revisionOf returns the revision of etcd that wrote the ring, 0 when there is none.
func revisionOf(t *testing.T, admin *clientv3.Client) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		resp, err := admin.Get(ctx, ringKey)
		switch {
		case err == nil && len(resp.Kvs) > 0:
			return resp.Kvs[0].ModRevision
		case err == nil:
			return 0
		case ctx.Err() != nil:
			t.Fatal(err)
		}
	}
}
