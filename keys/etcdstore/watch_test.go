package etcdstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/etcdstore"
)

// All that watch see a change, within moments.
func TestManyWatchers(t *testing.T) {
	t.Parallel()
	const watchers = 20
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	s := newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec})
	claim(t, s)
	_, first := load(t, s)
	var all []<-chan keys.Version
	for range watchers {
		versions := watch(t, newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec}))
		await(t, versions, first)
		all = append(all, versions)
	}
	claim(t, s)
	began := time.Now()
	_, second := load(t, s)
	for _, versions := range all {
		await(t, versions, second)
	}
	t.Logf("%d watchers saw the change within %v", watchers, time.Since(began))
}

// A watch ends when the ring is deleted, so that whoever follows it loads the ring and puts it back.
func TestLossEndsWatch(t *testing.T) {
	t.Parallel()
	admin := connect(t, testenv.Etcd(t).Addr)
	s := newStore(t, etcdstore.Config{Client: admin})
	claim(t, s)
	_, version := load(t, s)
	versions := watch(t, s)
	await(t, versions, version)
	if _, err := admin.Delete(t.Context(), ringKey); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, versions)
	await(t, watch(t, s), version)
}

// The same when etcd begins anew, where etcd's watch waits for revisions that are far away.
func TestLostDiskEndsWatch(t *testing.T) {
	t.Parallel()
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	client := connect(t, server.Addr)
	follower := newStore(t, etcdstore.Config{Client: client, Codec: codec})
	for range 5 {
		claim(t, follower)
	}
	_, version := load(t, follower)
	versions := watch(t, follower)
	await(t, versions, version)
	server.RestartEmpty()
	awaitEnd(t, versions)
	if ring, _ := load(t, follower); ring.Term != 5 {
		t.Errorf("term %d after the loss, want the ring back", ring.Term)
	}
}

// A watch whose place in etcd's history was compacted while it was cut off ends, or sees the change.
func TestCompactedWatch(t *testing.T) {
	t.Parallel()
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	admin, proxy := connect(t, server.Addr), testenv.NewProxy(t, server.Addr)
	leader := newStore(t, etcdstore.Config{Client: admin, Codec: codec})
	claim(t, leader)
	_, first := load(t, leader)
	follower := newStore(t, etcdstore.Config{Client: connect(t, proxy.Addr), Codec: codec})
	versions := watch(t, follower)
	await(t, versions, first)
	proxy.Swallow()
	claim(t, leader)
	claim(t, leader)
	if _, err := admin.Compact(t.Context(), revisionOf(t, admin)); err != nil {
		t.Fatal(err)
	}
	proxy.Pass()
	_, last := load(t, leader)
	for deadline := time.Now().Add(patience); ; {
		v, open := <-versions
		if v == last {
			return
		}
		if !open {
			versions = watch(t, follower)
		}
		if time.Now().After(deadline) {
			t.Fatalf("version %q was not announced", last)
		}
	}
}

// A member that hangs while it is asked does not hold up what another announces, nor takes it back with a late answer.
func TestSlowChecks(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	asked, answer := make(chan struct{}), make(chan struct{})
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	client := intercepted(t, server.Addr, func(ctx context.Context, method string, err error) error {
		if method == "/etcdserverpb.KV/Range" && slow.Load() {
			for _, step := range []chan struct{}{asked, answer} {
				select {
				case step <- struct{}{}:
				case <-ctx.Done():
				}
			}
		}
		return err
	})
	leader := newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec})
	claim(t, leader)
	_, version := load(t, leader)
	versions := watch(t, newStore(t, etcdstore.Config{Client: client, Codec: codec, Timeout: patience}))
	await(t, versions, version)
	slow.Store(true)
	<-asked // with an answer that is old when it comes
	claim(t, leader)
	_, version = load(t, leader)
	await(t, versions, version)
	<-answer
	select {
	case v := <-versions:
		t.Errorf("%q was announced after %q", v, version)
	case <-asked:
		slow.Store(false)
		<-answer
	}
}

// A watch that hangs at one member, while the others answer, does not hide a change.
func TestDeafWatch(t *testing.T) {
	t.Parallel()
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	proxy := testenv.NewProxy(t, server.Addr)
	client := connect(t, server.Addr)
	client.Watcher = testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{proxy.Addr}}).Watcher
	s := newStore(t, etcdstore.Config{Client: client, Codec: codec})
	claim(t, s)
	_, version := load(t, s)
	versions := watch(t, s)
	await(t, versions, version)
	proxy.Swallow()
	claim(t, s)
	_, version = load(t, s)
	await(t, versions, version)
}

// A watch beside an etcd that hangs ends.
func TestFrozenWatch(t *testing.T) {
	t.Parallel()
	server := testenv.Etcd(t)
	s := newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Timeout: time.Second})
	claim(t, s)
	versions := watch(t, s)
	server.Freeze()
	defer server.Thaw()
	awaitEnd(t, versions)
}
