package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/session"
)

// limits have no grace to speak of, so that a generation rotates as soon as it is presented.
var limits = session.Limits{Idle: time.Hour, Absolute: 2 * time.Hour, Grace: time.Microsecond, MaxReplays: 5}

func create(t *testing.T, s session.Store, id byte) session.Session {
	t.Helper()
	n, err := s.Create(t.Context(), session.Session{ID: session.ID{id}, Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantOutcome(t *testing.T, s session.Store, id session.ID, presented uint64, l session.Limits,
	want session.Outcome, generation uint64,
) {
	t.Helper()
	n, outcome, err := s.Refresh(t.Context(), id, presented, session.Use{}, l)
	if err != nil || outcome != want || n.Chain.Generation != generation {
		t.Fatalf("refresh with %d: %v, now %d, %v; want %v, %d", presented, outcome, n.Chain.Generation, err, want, generation)
	}
}

func wantEnded(t *testing.T, s session.Store, id session.ID) {
	t.Helper()
	for presented := range uint64(5) {
		if _, _, err := s.Refresh(t.Context(), id, presented, session.Use{}, limits); !errors.Is(err, session.ErrEnded) {
			t.Errorf("refresh with %d after the end: %v, want ErrEnded", presented, err)
		}
	}
	list, err := s.List(t.Context(), "alice", limits)
	for _, n := range list {
		if n.ID == id {
			t.Error("the ended session is listed")
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// A client that has rotated is not logged out by a failover that does not know of it.
func TestFailoverLosesRotations(t *testing.T) {
	primary, replica, _ := replicated(t)
	old, promoted := newStore(t, Config{Client: primary}), newStore(t, Config{Client: replica})
	n := create(t, newStore(t, Config{Client: primary, Replicas: 1}), 1)
	promote(t, replica)
	wantOutcome(t, old, n.ID, 1, limits, session.Rotated, 2)
	wantOutcome(t, old, n.ID, 2, limits, session.Rotated, 3)

	patient := limits
	patient.Grace = time.Minute
	wantOutcome(t, promoted, n.ID, 3, patient, session.Adopted, 3)
	wantOutcome(t, promoted, n.ID, 3, patient, session.Replayed, 3)
	wantOutcome(t, promoted, n.ID, 2, patient, session.Replayed, 3) // the other tab, whose answer was lost
	wantOutcome(t, promoted, n.ID, 1, patient, session.Reused, 3)
	wantEnded(t, promoted, n.ID)
}

// An end that a failover has lost is made good by ending the session again, whoever does it and however often.
func TestFailoverLosesEnd(t *testing.T) {
	primary, replica, _ := replicated(t)
	old, promoted := newStore(t, Config{Client: primary}), newStore(t, Config{Client: replica})
	n := create(t, newStore(t, Config{Client: primary, Replicas: 1}), 1)
	promote(t, replica)
	if err := old.End(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, promoted, n.ID, 1, limits, session.Rotated, 2) // lost: the session is back
	for range 2 {
		if err := promoted.End(t.Context(), n.ID); err != nil {
			t.Fatal(err)
		}
		wantEnded(t, promoted, n.ID)
	}
}

// What was confirmed survives the failover at once.
func TestConfirmedSurvivesFailover(t *testing.T) {
	primary, replica, _ := replicated(t)
	s := newStore(t, Config{Client: primary, Replicas: 1})
	ended, reused, live, ofSubject := create(t, s, 1), create(t, s, 2), create(t, s, 3), create(t, s, 4)
	if err := s.End(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, s, reused.ID, 1, limits, session.Rotated, 2)
	wantOutcome(t, s, reused.ID, 0, limits, session.Reused, 2)
	if ids, err := s.EndSubject(t.Context(), "alice", live.ID); err != nil || len(ids) != 3 {
		t.Fatalf("ended %v, %v; want the one that was live and the two that had ended", ids, err)
	}
	promote(t, replica)

	promoted := newStore(t, Config{Client: replica})
	for _, n := range []session.Session{ended, reused, ofSubject} {
		wantEnded(t, promoted, n.ID)
	}
	if list, err := promoted.List(t.Context(), "alice", limits); err != nil || len(list) != 1 || list[0].ID != live.ID {
		t.Errorf("list: %v, %v; want the live session", list, err)
	}
}

// An end is not acknowledged while the replica lags, also not when it is repeated on another connection, where there is
// nothing left to change. Refreshes go on.
func TestUnconfirmed(t *testing.T) {
	primary, _, replica := replicated(t)
	s := newStore(t, Config{Client: primary, Replicas: 1})
	n, reused, ofSubject := create(t, s, 1), create(t, s, 2), create(t, s, 3)
	replica.Freeze()
	const timeout = 600 * time.Millisecond
	another := func() *Store {
		client := redis.NewClient(&redis.Options{Addr: primary.Options().Addr, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = client.Close() })
		return newStore(t, Config{Client: client, Replicas: 1, Timeout: timeout})
	}
	wantOutcome(t, s, n.ID, 1, limits, session.Rotated, 2)
	for name, call := range map[string]func(context.Context, *Store) error{
		"Create": func(ctx context.Context, s *Store) error {
			return errorOf(s.Create(ctx, session.Session{ID: session.ID{9}}))
		},
		"End":        func(ctx context.Context, s *Store) error { return s.End(ctx, n.ID) },
		"EndSubject": func(ctx context.Context, s *Store) error { return errorOf(s.EndSubject(ctx, "alice", n.ID, reused.ID)) },
	} {
		for _, when := range []string{"first", "repeated"} {
			err := call(t.Context(), another())
			if !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, redisscript.ErrUnconfirmed) {
				t.Errorf("%s, %s: %v; want ErrUnavailable, not confirmed", name, when, err)
			}
		}
	}
	if _, _, err := another().Refresh(t.Context(), reused.ID, 0, session.Use{}, limits); !errors.Is(err, redisscript.ErrUnconfirmed) {
		t.Errorf("refresh that ends the session: %v, want it not confirmed", err)
	}
	replica.Thaw()
	for _, id := range []session.ID{n.ID, reused.ID, ofSubject.ID} {
		if err := s.End(t.Context(), id); err != nil {
			t.Errorf("once the replica is back: %v", err)
		}
		wantEnded(t, s, id)
	}
}

func errorOf[T any](_ T, err error) error { return err }
