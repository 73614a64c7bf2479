package redisstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
)

// wantUnavailable checks that every method says that it cannot tell, and nothing about the session.
func wantUnavailable(t *testing.T, s *Store, id session.ID) {
	t.Helper()
	for call, err := range map[string]error{
		"Create":     errorOf(s.Create(t.Context(), session.Session{ID: id, Subject: "alice"})),
		"Get":        errorOf(s.Get(t.Context(), id, limits)),
		"Refresh":    refreshError(t, s, id),
		"End":        s.End(t.Context(), id),
		"EndSubject": errorOf(s.EndSubject(t.Context(), "alice")),
		"List":       errorOf(s.List(t.Context(), "alice", limits)),
	} {
		if !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: %v, want ErrUnavailable", call, err)
		}
	}
}

func refreshError(t *testing.T, s *Store, id session.ID) error {
	_, _, err := s.Refresh(t.Context(), id, 1, session.Use{}, limits)
	return err
}

func TestUnavailable(t *testing.T) {
	for name, addr := range map[string]string{"nobody listens": closedPort(t), "nobody answers": silentServer(t)} {
		t.Run(name, func(t *testing.T) {
			wantUnavailable(t, newStore(t, Config{Client: testenv.ConnectRedis(t, addr), Timeout: 50 * time.Millisecond}), session.ID{1})
		})
	}
}

// A server that hangs holds nobody for longer than the deadline, and once it goes on so does the store.
func TestFrozenServer(t *testing.T) {
	server := testenv.NewRedis(t)
	s := newStore(t, Config{Client: testenv.ConnectRedis(t, server.Addr), Timeout: 50 * time.Millisecond})
	n := create(t, newStore(t, Config{Client: testenv.ConnectRedis(t, server.Addr)}), 1)
	server.Freeze()
	began := time.Now()
	wantUnavailable(t, s, n.ID)
	if took := time.Since(began); took > testTimeout/2 {
		t.Errorf("six calls took %v", took)
	}
	server.Thaw()
	await(t, "the store answers again", func() bool {
		_, err := s.Get(t.Context(), n.ID, limits)
		return !errors.Is(err, session.ErrUnavailable)
	})
}

// Garbage under a session's key is a failure of the store, not an answer about the session, and stays out of the error.
func TestGarbage(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	s := newStore(t, Config{Client: client})
	n := create(t, s, 1)
	for _, garbage := range []string{"secret", "live secret", "live 1 2 3 4\n\"a\"\n\"\"\n{}", "live 1 1 0 1 1\n\"a\"", "ended 1\nsecret"} {
		if err := client.Set(t.Context(), recordKey(n.ID), garbage, 0).Err(); err != nil {
			t.Fatal(err)
		}
		_, err := s.Get(t.Context(), n.ID, limits)
		for call, err := range map[string]error{"get": err, "refresh": refreshError(t, s, n.ID)} {
			if !errors.Is(err, session.ErrUnavailable) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s of %q: %v, want ErrUnavailable, without what is stored", call, garbage, err)
			}
		}
	}
	if err := client.ZAdd(t.Context(), indexKey("alice"), redis.Z{Score: 1e15, Member: "short"}).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context(), "alice", limits); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("list of a broken index: %v, want ErrUnavailable", err)
	}
}

// The client repeats a call whose answer was lost. Nobody notices.
func TestLostAnswers(t *testing.T) {
	addr := testenv.Redis(t)
	proxy := newLossy(t, addr)
	s := newStore(t, Config{Client: testenv.ConnectRedis(t, proxy.addr)})
	patient := limits
	patient.Grace = time.Minute
	n := create(t, s, 1) // this connects, and what follows loads the scripts
	wantOutcome(t, s, n.ID, 1, patient, session.Replayed, 1)
	if err := s.End(t.Context(), session.ID{9}); err != nil {
		t.Fatal(err)
	}

	proxy.loses.Store(1) // from the index
	create(t, s, 2)
	proxy.loses.Store(2) // from the record
	create(t, s, 3)
	proxy.loses.Store(1)
	wantOutcome(t, s, n.ID, 2, patient, session.Replayed, 2) // it was adopted, and then asked again
	proxy.loses.Store(1)
	if err := s.End(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	if left := proxy.loses.Load(); left > 0 {
		t.Error("no answer was lost")
	}
	wantEnded(t, s, n.ID)
	if list, err := s.List(t.Context(), "alice", limits); err != nil || len(list) != 2 {
		t.Errorf("list: %v, %v; want two", list, err)
	}
}

func TestRefreshRefusesImpossibleGenerations(t *testing.T) {
	s := newStore(t, Config{Client: testenv.ConnectRedis(t, closedPort(t))})
	if _, _, err := s.Refresh(t.Context(), session.ID{1}, maxGeneration, session.Use{}, limits); err == nil {
		t.Error("no error")
	} else if errors.Is(err, session.ErrUnavailable) {
		t.Errorf("%v: it would be no better later", err)
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	good := Config{Client: testenv.ConnectRedis(t, closedPort(t))}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no client":           func(c *Config) { c.Client = nil },
		"negative keep ended": func(c *Config) { c.KeepEnded = -1 },
		"negative replicas":   func(c *Config) { c.Replicas = -1 },
		"no time to confirm":  func(c *Config) { c.Replicas, c.Timeout = 1, 100*time.Millisecond },
	} {
		c := good
		spoil(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
