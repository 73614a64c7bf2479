package redislock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/election/electiontest"
	"github.com/authd-project/authd/election/redislock"
	"github.com/authd-project/authd/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.RedisDialing()) }

// lease is short, and long enough that a busy machine does not lose it.
const lease = time.Second

func newLock(t testing.TB, client redis.UniversalClient, identity string) *redislock.Lock {
	t.Helper()
	l, err := redislock.New(redislock.Config{Client: client, Identity: identity, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// With only the rights that the package comment lists.
func TestLock(t *testing.T) {
	admin := testenv.ConnectRedis(t, testenv.Redis(t))
	electiontest.Run(t, func(t *testing.T) electiontest.Backend {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return electiontest.Backend{Lease: lease, Candidate: func(identity string) election.Elector {
			return newLock(t, testenv.RestrictedRedis(t, admin.Options().Addr), identity)
		}}
	})
}

// Elections of other names do not disturb each other.
func TestNames(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	for _, name := range []string{"a", "b"} {
		l, err := redislock.New(redislock.Config{Client: client, Name: name, Identity: name})
		if err != nil {
			t.Fatal(err)
		}
		elected(t, l)
	}
}

func TestUnavailable(t *testing.T) {
	l := newLock(t, testenv.ConnectRedis(t, "127.0.0.1:1"), "a")
	if holder, _, err := l.Leader(t.Context()); !errors.Is(err, redislock.ErrUnavailable) || holder != "" {
		t.Errorf("leader %q, %v; want ErrUnavailable", holder, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*lease)
	defer cancel()
	err := l.Lead(ctx, func(context.Context) error {
		t.Error("elected by nobody")
		return nil
	})
	if err != nil {
		t.Errorf("Lead returned %v, want it to go on until its context ended, and then nil", err)
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	good := redislock.Config{Client: testenv.ConnectRedis(t, "127.0.0.1:1"), Identity: "a"}
	if _, err := redislock.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*redislock.Config){
		"no client":           func(c *redislock.Config) { c.Client = nil },
		"no identity":         func(c *redislock.Config) { c.Identity = "" },
		"identity of 2 lines": func(c *redislock.Config) { c.Identity = "a\nb" },
		"braces":              func(c *redislock.Config) { c.Name = "a{b}" },
		"short lease":         func(c *redislock.Config) { c.Lease = 499 * time.Millisecond },
		"negative lease":      func(c *redislock.Config) { c.Lease = -time.Second },
	} {
		c := good
		spoil(&c)
		if _, err := redislock.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
