package etcdlock_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/election/etcdlock"
)

// patience is how long tests wait for what has to happen, on a busy machine.
const patience = time.Minute

// span is a leadership as its work saw it.
type span struct{ began, ended time.Time }

// leader leads until the test ends, or is stopped.
type leader struct {
	*etcdlock.Lock
	began chan time.Time
	spans chan span // of leaderships that have ended
	stop  func()    // and wait
}

// court sees to it that only one of several candidates works at a time.
type court struct {
	*testing.T
	working atomic.Int32
}

func campaign(t *testing.T, l *etcdlock.Lock) *leader {
	t.Helper()
	return (&court{T: t}).campaign(l)
}

// campaign lets a candidate lead.
func (c *court) campaign(l *etcdlock.Lock) *leader {
	ctx, cancel := context.WithCancel(c.Context())
	r := &leader{Lock: l, began: make(chan time.Time, 100), spans: make(chan span, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := l.Lead(ctx, func(ctx context.Context) error {
			if n := c.working.Add(1); n != 1 {
				c.Errorf("%d work at once", n)
			}
			s := span{began: time.Now()}
			r.began <- s.began
			<-ctx.Done()
			c.working.Add(-1)
			s.ended = time.Now()
			r.spans <- s
			return context.Cause(ctx)
		})
		if err != nil {
			c.Errorf("Lead: %v", err)
		}
	}()
	r.stop = func() { cancel(); <-done }
	c.Cleanup(r.stop)
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

// awaitAny waits until one of several is elected.
func awaitAny(t *testing.T, a, b *leader) (elected *leader) {
	t.Helper()
	select {
	case <-a.began:
		return a
	case <-b.began:
		return b
	case <-time.After(patience):
		t.Fatalf("nobody was elected within %v", patience)
		return nil
	}
}

// queue returns the keys of the candidates, oldest first.
func queue(t *testing.T, admin *clientv3.Client) *clientv3.GetResponse {
	t.Helper()
	resp, err := admin.Get(t.Context(), prefix, clientv3.WithPrefix(),
		clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// awaitQueue waits until the candidates of these identities stand, oldest first.
func awaitQueue(t *testing.T, admin *clientv3.Client, want ...string) *clientv3.GetResponse {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		resp := queue(t, admin)
		var names []string
		for _, kv := range resp.Kvs {
			names = append(names, string(kv.Value))
		}
		if strings.Join(names, " ") == strings.Join(want, " ") {
			return resp
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q stand for election, want %q", names, want)
		}
	}
}

// awaitLeader asks until the answer is the wanted one.
func awaitLeader(t *testing.T, l *etcdlock.Lock, want string) {
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
