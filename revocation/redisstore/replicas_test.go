package redisstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// Without the replica that confirms, nothing is acknowledged and nothing proven, though the primary looks healthy. What
// was asked for is not given up.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	primary, replica := replica(t)
	client := connect(t, primary.Addr)
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}, Replicas: 1})
	feed, err := redisstore.NewFeed(client, redisstore.FeedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m := startMirror(t, feed)
	checker := newCheckerWith(t, client, redisstore.CheckerConfig{MaxStaleness: bound})
	verifiers := map[string]revocation.Checker{"mirror": m, "checker": checker}
	for name, c := range verifiers {
		eventually(t, name+" that accepts", func() bool { return c.Check(t.Context(), live) == nil })
	}

	replica.Freeze()
	e, claims := session("unconfirmed")
	for range 2 { // a repeat, which changes nothing, is not confirmed either
		err = a.store.Add(t.Context(), e)
		if !errors.Is(err, redisstore.ErrUnconfirmed) || !errors.Is(err, revocation.ErrUnavailable) {
			t.Errorf("Add returned %v, want %v and %v", err, redisstore.ErrUnconfirmed, revocation.ErrUnavailable)
		}
	}
	if n := a.store.Stats().Pending; n != 1 {
		t.Errorf("%d entries are pending, want 1", n)
	}
	for name, c := range verifiers {
		eventually(t, name+" that cannot tell", func() bool { return errors.Is(c.Check(t.Context(), live), revocation.ErrUnavailable) })
		if !denied(c, claims) {
			t.Errorf("the %s does not deny what it knows is revoked", name)
		}
	}
	replica.Thaw()
	eventually(t, "nothing pending", func() bool { return a.store.Stats().Pending == 0 })
	for name, c := range verifiers {
		eventually(t, name+" that accepts again", func() bool { return c.Check(t.Context(), live) == nil })
	}
}

// What replicas confirmed of one server says nothing about the next.
func TestConfirmationEndsWithEpoch(t *testing.T) {
	t.Parallel()
	primary, replica := replica(t)
	client := connect(t, primary.Addr)
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}, Replicas: 1})
	checker := newCheckerWith(t, client, redisstore.CheckerConfig{MaxStaleness: time.Hour})
	eventually(t, "checker that accepts", func() bool { return checker.Check(t.Context(), live) == nil })
	replica.Freeze()
	was := a.store.Stats().Epoch
	anotherServer(t, client, func(redis.Pipeliner) {})
	awaitNewEpoch(t, a, was)
	eventually(t, "live set", isLive(a))
	if err := checker.Check(t.Context(), live); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("a server that no replica has confirmed is asked about a token: %v", err)
	}
}

// A replica answers like its primary, and may lack the latest changes: it is not believed.
func TestReplicaProvesNothing(t *testing.T) {
	t.Parallel()
	primary, replica := replica(t)
	a := startAuthd(t, redisstore.Config{Client: connect(t, primary.Addr), Memory: &memory{}, Replicas: 1})
	eventually(t, "live set", func() bool { return a.store.Stats().Live })
	e, claims := session("revoked")
	if err := a.store.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	checker := newCheckerWith(t, connect(t, replica.Addr), redisstore.CheckerConfig{})
	if err := checker.Check(t.Context(), live); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("a replica is asked about a token: %v", err)
	}
	if !denied(checker, claims) {
		t.Error("a replica knows of a revocation and does not deny")
	}
	_, err := redisstore.Open(t.Context(), redisstore.Config{
		Client: connect(t, replica.Addr), Mirror: revocation.NewMirror(revocation.MirrorConfig{}),
	})
	if !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("opening a store at a replica: %v", err)
	}
}
