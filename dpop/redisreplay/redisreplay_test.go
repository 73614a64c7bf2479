package redisreplay_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/dpop/redisreplay"
	"github.com/authd-project/authd/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newClient(t *testing.T, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestStore(t *testing.T) {
	addr := testenv.Redis(t)
	a, b := redisreplay.New(newClient(t, addr), 0), redisreplay.New(newClient(t, addr), 0)
	name := dpop.Name{1}
	if err := a.Spend(t.Context(), "key", name, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := b.Spend(t.Context(), "key", name, time.Second); !errors.Is(err, dpop.ErrReplayed) {
		t.Errorf("at another server: %v", err)
	}
	if err := a.Spend(t.Context(), "key", dpop.Name{2}, time.Second); err != nil {
		t.Errorf("another proof: %v", err)
	}
	client := newClient(t, addr)
	keys := client.Keys(t.Context(), "*").Val()
	if ttl := client.PTTL(t.Context(), keys[0]).Val(); len(keys) != 2 || ttl <= 0 || ttl > time.Second {
		t.Errorf("keys %q, life %v", keys, ttl)
	}
	deadline := time.Now().Add(30 * time.Second)
	for client.DBSize(t.Context()).Val() > 0 {
		if time.Now().After(deadline) {
			t.Fatal("used proofs are kept for ever")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := b.Spend(t.Context(), "key", name, time.Second); err != nil {
		t.Errorf("once it is over: %v", err)
	}
}

func TestOneOfManyPasses(t *testing.T) {
	client := newClient(t, testenv.Redis(t))
	s := redisreplay.New(client, 0)
	var accepted atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if s.Spend(t.Context(), "key", dpop.Name{1}, time.Minute) == nil {
				accepted.Add(1)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 1 {
		t.Errorf("%d accepted", accepted.Load())
	}
}

func TestWithoutServer(t *testing.T) {
	s := redisreplay.New(newClient(t, "127.0.0.1:1"), 200*time.Millisecond)
	if err := s.Spend(t.Context(), "key", dpop.Name{1}, time.Minute); !errors.Is(err, dpop.ErrUnavailable) || errors.Is(err, dpop.ErrInvalid) {
		t.Errorf("without a server: %v", err)
	}
}
