package redisstore

import (
	"slices"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
)

// The index of somebody who logs in and out all day does not grow with it.
func TestIndexForgetsEndedSessions(t *testing.T) {
	admin := testenv.ConnectRedis(t, testenv.Redis(t))
	s := newStore(t, Config{Client: admin, KeepEnded: time.Hour})
	c := &clock{Store: s, t: t, admin: admin}
	kept := create(t, c, 1)
	for id := byte(2); id < 30; id++ {
		n := create(t, c, id)
		if err := c.End(t.Context(), n.ID); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Hour)
	}
	create(t, c, 30)
	if n := admin.ZCard(t.Context(), indexKey("alice")).Val(); n > 4 {
		t.Errorf("%d entries, want the two live sessions and at most two that have just ended", n)
	}
	if n := admin.DBSize(t.Context()).Val(); n > 4 {
		t.Errorf("%d keys, want the index, two records and at most one tombstone", n)
	}
	if list, err := c.List(t.Context(), "alice", session.Limits{}.WithDefaults()); err != nil || len(list) != 2 {
		t.Errorf("list: %v, %v; want two, one of them %v", list, err, kept.ID)
	}
}

// The server deletes what nobody touches, and not before a limit is reached.
func TestServerDeletes(t *testing.T) {
	admin := testenv.ConnectRedis(t, testenv.Redis(t))
	l := session.Limits{Idle: time.Hour, Absolute: 3 * time.Hour}.WithDefaults()
	for name, tt := range map[string]struct {
		do   func(*Store)
		life time.Duration
	}{
		"created": {func(*Store) {}, l.Idle + time.Minute},
		"ended":   {func(s *Store) { _ = s.End(t.Context(), session.ID{1}) }, time.Minute},
		"ended twice": {func(s *Store) {
			_ = s.End(t.Context(), session.ID{1})
			admin.PExpire(t.Context(), recordKey(session.ID{1}), time.Second)
			_ = s.End(t.Context(), session.ID{1})
		}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			flush(t, admin)
			s := newStore(t, Config{Client: admin, KeepEnded: time.Minute, Limits: l})
			create(t, s, 1)
			tt.do(s)
			left := admin.PTTL(t.Context(), recordKey(session.ID{1})).Val()
			if left > tt.life+time.Millisecond || left < tt.life-time.Minute/2 {
				t.Errorf("deleted in %v, want %v", left, tt.life)
			}
			if index := admin.PTTL(t.Context(), indexKey("alice")).Val(); index < left {
				t.Errorf("the index is deleted in %v, before the record", index)
			}
		})
	}
}

// In a cluster a failover can lose an entry of the index while the record, on another server, lives on.
func TestRotationRepairsIndex(t *testing.T) {
	client, node := cluster(t)
	s := newStore(t, Config{Client: client})
	n := create(t, s, 1)
	if err := node.Del(t.Context(), indexKey("alice")).Err(); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, s, n.ID, 1, limits, session.Rotated, 2)
	if ids, err := s.EndSubject(t.Context(), "alice"); err != nil || !slices.Equal(ids, []session.ID{n.ID}) {
		t.Errorf("ended %v, %v; want the session", ids, err)
	}
	wantEnded(t, s, n.ID)
}

// More sessions than fit into one round trip.
func TestManySessions(t *testing.T) {
	client, _ := cluster(t)
	s := newStore(t, Config{Client: client})
	const sessions = 1100
	for i := range sessions {
		_, err := s.Create(t.Context(), session.Session{ID: session.ID{byte(i), byte(i >> 8)}, Subject: "alice"})
		if err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.List(t.Context(), "alice", limits); err != nil || len(list) != sessions {
		t.Fatalf("listed %d, %v; want %d", len(list), err, sessions)
	}
	if ids, err := s.EndSubject(t.Context(), "alice"); err != nil || len(ids) != sessions {
		t.Fatalf("ended %d, %v; want %d", len(ids), err, sessions)
	}
	if list, err := s.List(t.Context(), "alice", limits); err != nil || len(list) != 0 {
		t.Errorf("listed %d after the end, %v", len(list), err)
	}
}
