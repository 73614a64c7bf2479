package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
)

// Sentinel promotes one of two replicas. What both have confirmed is there, whichever it was.
func TestSentinelFailover(t *testing.T) {
	t.Parallel() // it mostly waits
	set := testenv.NewRedisSentinel(t)
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: set.Name, SentinelAddrs: set.Sentinels, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	s := newStore(t, Config{Client: client, Replicas: 2})
	wantToSurvive(t, s, newStore(t, Config{Client: client, Timeout: time.Second}), func() { set.Primary(t).Kill() })
}

// A cluster loses one of its three masters, and with it neither sessions nor ends nor the index.
func TestClusterLosesMaster(t *testing.T) {
	t.Parallel()
	nodes := testenv.NewRedisCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: nodes.Addrs(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	s := newStore(t, Config{Client: client, Replicas: 1})
	wantToSurvive(t, s, newStore(t, Config{Client: client, Timeout: time.Second}), func() {
		nodes.MasterOf(t, indexKey("alice")).Kill()
	})
}

// wantToSurvive makes sessions, lets a server die, and looks what has become of them.
func wantToSurvive(t *testing.T, s, after *Store, disaster func()) {
	t.Helper()
	const sessions = 12 // odd ones end; they spread over a cluster
	for id := range byte(sessions) {
		n := create(t, s, id)
		wantOutcome(t, s, n.ID, 1, limits, session.Rotated, 2)
		if id%2 == 1 {
			if err := s.End(t.Context(), n.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	disaster()
	for id := range byte(sessions) {
		awaitAnswer(t, after, session.ID{id})
		if id%2 == 1 {
			wantEnded(t, after, session.ID{id})
		} else if _, outcome, err := after.Refresh(t.Context(), session.ID{id}, 2, session.Use{}, limits); err != nil ||
			outcome != session.Rotated && outcome != session.Adopted {
			t.Errorf("refresh of session %d: %v, %v; want it rotated or adopted", id, outcome, err)
		}
	}
	if list, err := after.List(t.Context(), "alice", limits); err != nil || len(list) != sessions/2 {
		t.Errorf("listed %d, %v; want %d", len(list), err, sessions/2)
	}
}

// awaitAnswer asks until the store can tell about a session; until then it must say that it cannot.
func awaitAnswer(t *testing.T, s *Store, id session.ID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		_, err := s.Get(ctx, id, limits)
		switch {
		case err == nil, errors.Is(err, session.ErrEnded):
			return
		case ctx.Err() != nil:
			t.Fatalf("the store does not come back: %v", err)
		case !errors.Is(err, session.ErrUnavailable):
			t.Fatalf("during the failover: %v, want ErrUnavailable", err)
		}
	}
}
