package redisstore_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

func flush(t *testing.T, client *redis.Client) {
	t.Helper()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

func newChecker(t *testing.T, client redis.UniversalClient) *redisstore.Checker {
	t.Helper()
	checker, err := redisstore.NewChecker(client, redisstore.CheckerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return checker
}

func isLive(a *authd) func() bool { return func() bool { return a.store.Stats().Live } }

// A loss that began a new epoch, as seen by a.
func awaitNewEpoch(t *testing.T, a *authd, was string) {
	t.Helper()
	eventually(t, "new epoch", func() bool { s := a.store.Stats(); return s.Epoch != was && s.Epoch != "" })
}

// R4: the set is live only once every authd has written back what it holds; one that is gone for good is waited for
// until its lease ends.
func TestBarrier(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	remembered := &memory{}
	const long = 3 * time.Second
	a := startAuthd(t, redisstore.Config{Client: client, Memory: remembered, Lease: long})
	eventually(t, "live set", isLive(a))
	// Another authd announces itself, revokes, and then hangs: it neither reads nor writes back.
	hung, err := redisstore.Open(t.Context(), redisstore.Config{
		Client: client, Memory: remembered, Lease: long, Mirror: revocation.NewMirror(revocation.MirrorConfig{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "peer", func() bool { return a.store.Stats().Peers == 1 })
	was := a.store.Stats().Epoch
	flush(t, client)
	begun := time.Now()
	awaitNewEpoch(t, a, was)
	checker := newChecker(t, client)
	for a.store.Stats().Peers == 1 && time.Since(begun) < long/2 {
		if err := checker.Check(t.Context(), live); err == nil && time.Since(begun) < long/2 {
			t.Fatal("live before every peer has written back")
		}
	}
	e, claims := session("during the barrier")
	if err := a.store.Add(t.Context(), e); err != nil {
		t.Errorf("Add while the set is not live: %v", err)
	}
	if !denied(checker, claims) {
		t.Error("a revocation is not denied while the set is not live")
	}
	eventually(t, "live set, without the one that hangs", isLive(a))
	if took := time.Since(begun); took < long/2 {
		t.Errorf("live %v after the loss, though a peer had a lease of %v", took, long)
	}
	if n := a.store.Stats().Peers; n != 0 {
		t.Errorf("%d peers, want none", n)
	}
	if got := hung.Stats().Epoch; got != was {
		t.Errorf("the one that hangs knows of epoch %s", got)
	}
}

// A peer that takes longer than its lease to write back is waited for all the same.
func TestBarrierWaitsForSlowPeer(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	remembered := &memory{}
	finish := make(chan struct{})
	slow := startAuthd(t, redisstore.Config{Client: client, Memory: remembered,
		Restored: func(ctx context.Context, _ []revocation.Entry) error {
			select {
			case <-finish:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
	eventually(t, "live set", isLive(slow))
	add(t, slow, many("held by the slow one", 1)...)
	quick := startAuthdWithoutMirror(t, redisstore.Config{Client: client, Memory: remembered})
	eventually(t, "peers", func() bool { return slow.store.Stats().Peers == 1 && quick.store.Stats().Peers == 1 })
	was := quick.store.Stats().Epoch
	flush(t, client)
	awaitNewEpoch(t, quick, was)
	for begun := time.Now(); time.Since(begun) < 3*lease; time.Sleep(10 * time.Millisecond) {
		if quick.store.Stats().Live {
			t.Fatalf("live %v after the loss, while a peer is still writing back", time.Since(begun))
		}
	}
	close(finish)
	eventually(t, "live set", isLive(quick))
}

// 2.5.2 of the failure model: everything is lost while nobody runs who could write it back.
func TestLostWhileNobodyRan(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	remembered := &memory{}
	first := startAuthd(t, redisstore.Config{Client: client, Memory: remembered})
	eventually(t, "live set", isLive(first))
	epoch := first.store.Stats().Epoch
	eventually(t, "memory of the epoch", func() bool { e, _ := remembered.LastEpoch(t.Context()); return e == epoch })
	first.stop()
	flush(t, client)

	a := startAuthd(t, redisstore.Config{Client: client, Memory: remembered})
	b := startAuthd(t, redisstore.Config{Client: client, Memory: remembered}) // finds an epoch, and must not be fooled
	eventually(t, "notice of the loss", func() bool { return b.store.Stats().Lost == epoch })
	time.Sleep(2 * lease) // nothing must happen by itself
	for name, c := range map[string]revocation.Checker{"mirror": a.mirror, "checker": newChecker(t, client)} {
		if err := c.Check(t.Context(), live); !errors.Is(err, revocation.ErrUnavailable) {
			t.Errorf("%s: vouches for an empty set: %v", name, err)
		}
	}
	e, claims := session("after the loss")
	if err := a.store.Add(t.Context(), e); err != nil {
		t.Errorf("Add: %v", err)
	}
	if err := b.store.AcceptLoss(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "live set", func() bool { return a.store.Stats().Live && b.store.Stats().Live })
	eventually(t, "mirror that denies", func() bool { return denied(b.mirror, claims) })
	eventually(t, "mirror that accepts", func() bool { return b.mirror.Check(t.Context(), live) == nil })
}

// The loss is no loss once an authd comes back that holds the set.
func TestHolderComesBack(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := connect(t, addr)
	remembered := &memory{}
	proxy := testenv.NewProxy(t, addr)
	holder := startAuthd(t, redisstore.Config{Client: connect(t, proxy.Addr), Memory: remembered})
	eventually(t, "live set", isLive(holder))
	e, claims := session("held")
	if err := holder.store.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	epoch := holder.store.Stats().Epoch
	eventually(t, "memory of the epoch", func() bool { e, _ := remembered.LastEpoch(t.Context()); return e == epoch })
	proxy.Swallow()
	flush(t, client)
	fresh := startAuthd(t, redisstore.Config{Client: client, Memory: remembered})
	eventually(t, "notice of the loss", func() bool { return fresh.store.Stats().Lost == epoch })
	proxy.Pass()
	eventually(t, "live set", isLive(fresh))
	eventually(t, "mirror that denies what was written back", func() bool { return denied(fresh.mirror, claims) })
}

// Without a memory, an authd that finds nothing gives others the length of a lease to say that there was something.
func TestUnknownStartWaits(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	begun := time.Now()
	a := startAuthd(t, redisstore.Config{Client: client})
	eventually(t, "live set", isLive(a))
	if took := time.Since(begun); took < lease {
		t.Errorf("live after %v, want at least the lease of %v", took, lease)
	}
}

type brokenMemory struct{ memory }

var errBroken = errors.New("the memory is broken")

func (*brokenMemory) LastEpoch(context.Context) (string, error) { return "", errBroken }

func TestMemoryFails(t *testing.T) {
	t.Parallel()
	_, err := redisstore.Open(t.Context(), redisstore.Config{
		Client: connect(t, testenv.Redis(t)), Memory: &brokenMemory{}, Mirror: revocation.NewMirror(revocation.MirrorConfig{}),
	})
	if !errors.Is(err, errBroken) || !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Open returned %v, want %v", err, errBroken)
	}
}

// Whatever else was lost with an entry is made good before the set is live, and again until that succeeds.
func TestRestoredIsCalledBeforeLive(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	var calls, right atomic.Int32
	e, _ := session("lost")
	var a *authd
	ready := make(chan struct{})
	a = startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}, Restored: func(_ context.Context, got []revocation.Entry) error {
		<-ready
		if len(got) == 1 && got[0] == e && !a.store.Stats().Live {
			right.Add(1)
		}
		if calls.Add(1) < 3 {
			return errors.New("not yet")
		}
		return nil
	}})
	close(ready)
	eventually(t, "live set", isLive(a))
	if err := a.store.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	was := a.store.Stats().Epoch
	flush(t, client)
	awaitNewEpoch(t, a, was)
	eventually(t, "live set", isLive(a))
	if calls.Load() != 3 || right.Load() != 3 {
		t.Errorf("called %d times, %d of them rightly; want 3", calls.Load(), right.Load())
	}
	if n := a.store.Stats().Restored; n != 1 {
		t.Errorf("%d entries restored, want 1", n)
	}
}
