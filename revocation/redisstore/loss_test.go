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

func newChecker(t testing.TB, client redis.UniversalClient) *redisstore.Checker {
	t.Helper()
	return newCheckerWith(t, client, redisstore.CheckerConfig{})
}

func newCheckerWith(t testing.TB, client redis.UniversalClient, cfg redisstore.CheckerConfig) *redisstore.Checker {
	t.Helper()
	checker, err := redisstore.NewChecker(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(checker.Close)
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

// anotherServer makes the data look as it does to a server that was promoted, and changes more with it.
func anotherServer(t *testing.T, client *redis.Client, more func(redis.Pipeliner)) {
	t.Helper()
	_, err := client.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.HSet(t.Context(), "{authd:rev}:meta", "lineage", "another")
		more(p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Leases were granted by the clock of another server: one that is ahead must not end them.
func TestPromotedServerWithClockAhead(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	remembered := &memory{}
	const long = 3 * time.Second
	a := startAuthd(t, redisstore.Config{Client: client, Memory: remembered, Lease: long})
	eventually(t, "live set", isLive(a))
	if _, err := redisstore.Open(t.Context(), redisstore.Config{ // it hangs from then on
		Client: client, Memory: remembered, Lease: long, Mirror: revocation.NewMirror(revocation.MirrorConfig{}),
	}); err != nil {
		t.Fatal(err)
	}
	was := a.store.Stats().Epoch
	begun := time.Now()
	peers := client.HKeys(t.Context(), "{authd:rev}:peers").Val()
	anotherServer(t, client, func(p redis.Pipeliner) {
		for _, peer := range peers {
			p.HSet(t.Context(), "{authd:rev}:peers", peer, "1 ")
		}
	})
	awaitNewEpoch(t, a, was)
	eventually(t, "live set", isLive(a))
	if took := time.Since(begun); took < long/2 {
		t.Errorf("live %v after the promotion, though a peer had a lease of %v", took, long)
	}
}

// What is left of a set whose head is gone is not taken for a part of the new sequence.
func TestHeadDeleted(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	add(t, a, many("before", 3)...)
	eventually(t, "live set", isLive(a))
	was := a.store.Stats().Epoch
	if err := client.Del(t.Context(), "{authd:rev}:meta").Err(); err != nil {
		t.Fatal(err)
	}
	after := many("after", 1)
	add(t, a, after...)
	awaitNewEpoch(t, a, was)
	eventually(t, "live set", isLive(a))
	entries, at := listen(t, a.store, revocation.Position{})
	if len(entries) < 4 || at.Seq != 1 {
		t.Errorf("got %d entries at %v, want 4 of which one is a change of the new sequence", len(entries), at)
	}
}

// Everything is lost while nobody runs who could write it back.
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

// An authd that has never been here before, and remembers nothing, cannot know that nobody was.
func TestNewcomerFindsServerEmpty(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := connect(t, addr)
	proxy := testenv.NewProxy(t, addr)
	const long = 3 * time.Second
	holder := startAuthd(t, redisstore.Config{Client: connect(t, proxy.Addr), Memory: ownMemory{&memory{}}, Lease: long})
	eventually(t, "live set", isLive(holder))
	e, claims := session("held")
	add(t, holder, e)
	proxy.Swallow()
	flush(t, client)
	begun := time.Now()
	newcomer := startAuthd(t, redisstore.Config{Client: client, Memory: ownMemory{&memory{}}, Lease: long})
	checker := newChecker(t, client)
	for time.Since(begun) < long/2 {
		if err := checker.Check(t.Context(), claims); err == nil && time.Since(begun) < long {
			t.Fatal("an empty set is live while somebody may hold what was lost")
		}
	}
	proxy.Pass()
	eventually(t, "live set", isLive(newcomer))
	eventually(t, "mirror that denies what was written back", func() bool { return denied(newcomer.mirror, claims) })
}

// Failovers may follow each other faster than the set goes live, and more of them than a process remembers.
func TestManyFailoversInARow(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	remembered := &memory{}
	a := startAuthd(t, redisstore.Config{Client: client, Memory: remembered})
	startAuthd(t, redisstore.Config{Client: client, Memory: remembered})
	eventually(t, "live set", isLive(a))
	e, claims := session("held")
	add(t, a, e)
	eventually(t, "memory of the epoch", func() bool { e, _ := remembered.LastEpoch(t.Context()); return e == a.store.Stats().Epoch })
	checker := newChecker(t, client)
	for range 20 {
		was := a.store.Stats().Epoch
		anotherServer(t, client, func(p redis.Pipeliner) { p.Del(t.Context(), "{authd:rev}:entries", "{authd:rev}:changes") })
		awaitNewEpoch(t, a, was)
		if checker.Check(t.Context(), claims) == nil || a.mirror.Check(t.Context(), claims) == nil {
			t.Fatal("a revocation was forgotten")
		}
	}
	eventually(t, "live set", isLive(a))
	if lost := a.store.Stats().Lost; lost != "" || !denied(checker, claims) {
		t.Errorf("epoch %q counts as lost, though nothing is missing", lost)
	}
}

// An authd vouches for an epoch only once its mirror has read it, not when it has written to it what it held before: what
// others have added since is not in its hands.
func TestWritingBackIsNotHolding(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := connect(t, addr)
	remembered := &memory{}
	proxy := testenv.NewProxy(t, addr)
	feed, err := redisstore.NewFeed(connect(t, proxy.Addr), redisstore.FeedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	blind := startAuthdWithoutMirror(t, redisstore.Config{Client: client, Memory: remembered})
	runMirror(t, blind.mirror, feed)
	other := startAuthd(t, redisstore.Config{Client: client, Memory: remembered})
	eventually(t, "live set", func() bool { return blind.store.Stats().Live && other.store.Stats().Live })
	eventually(t, "mirror that has read it", func() bool { return blind.mirror.Status().Fresh })

	proxy.Swallow()
	was := other.store.Stats().Epoch
	anotherServer(t, client, func(redis.Pipeliner) {})
	awaitNewEpoch(t, other, was)
	eventually(t, "live set", func() bool { return blind.store.Stats().Live && other.store.Stats().Live })
	epoch := other.store.Stats().Epoch
	e, claims := session("not read by the blind one")
	add(t, other, e)
	eventually(t, "memory of the epoch", func() bool { e, _ := remembered.LastEpoch(t.Context()); return e == epoch })
	other.stop()
	flush(t, client)
	eventually(t, "notice of the loss", func() bool { return blind.store.Stats().Lost == epoch })
	if err := newChecker(t, client).Check(t.Context(), claims); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("a set that lacks an acknowledged revocation answers %v", err)
	}
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
