package redislimit_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/ratelimit/redislimit"
)

func TestUnavailable(t *testing.T) {
	for name, addr := range map[string]string{"nobody listens": closedPort(t), "nobody answers": silentServer(t)} {
		t.Run(name, func(t *testing.T) {
			// A client that would wait forever: the deadline is the limiter's.
			client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, ReadTimeout: -1, WriteTimeout: -1})
			t.Cleanup(func() { _ = client.Close() })
			l, err := redislimit.New(redislimit.Config{
				Client: client, Name: "test", Timeout: 50 * time.Millisecond,
				Policy: ratelimit.Policy{Algorithm: ratelimit.TokenBucket, Limit: 1, Window: time.Hour},
			})
			if err != nil {
				t.Fatal(err)
			}
			wantUnavailable(t, l)
		})
	}
}

func TestScriptErrorIsUnavailable(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	l := newLimiter(t, client, "test", ratelimit.Policy{Algorithm: ratelimit.TokenBucket, Limit: 1, Window: time.Hour})
	d, err := l.Allow(t.Context(), "key", 1)
	if err != nil {
		t.Fatal(err)
	}
	key := client.Keys(t.Context(), "*").Val()[0]
	if err := client.Set(t.Context(), key, "garbage", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Allow(t.Context(), "key", 1); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("Allow on garbage = %v, want ErrUnavailable", err)
	}
	if err := l.Refund(t.Context(), "key", d); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("Refund on garbage = %v, want ErrUnavailable", err)
	}
}

func wantUnavailable(t *testing.T, l *redislimit.Limiter) {
	t.Helper()
	_, receipt := l.Policy().Step(ratelimit.State{}, time.UnixMilli(1), 1)
	_, allowErr := l.Allow(t.Context(), "key", 1)
	for call, err := range map[string]error{
		"Allow": allowErr, "Refund": l.Refund(t.Context(), "key", receipt), "Forget": l.Forget(t.Context(), "key"),
	} {
		if !errors.Is(err, ratelimit.ErrUnavailable) {
			t.Errorf("%s = %v, want ErrUnavailable", call, err)
		}
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	deaf := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = deaf.Close() })
	good := redislimit.Config{
		Client: testenv.ConnectRedis(t, "127.0.0.1:1"), Name: "test",
		Policy: ratelimit.Policy{Algorithm: ratelimit.FixedWindow, Limit: 1, Window: time.Second},
	}
	if _, err := redislimit.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*redislimit.Config){
		"no client":          func(c *redislimit.Config) { c.Client = nil },
		"client ignores ctx": func(c *redislimit.Config) { c.Client = deaf },
		"no name":            func(c *redislimit.Config) { c.Name = "" },
		"no policy":          func(c *redislimit.Config) { c.Policy = ratelimit.Policy{} },
		"negative timeout":   func(c *redislimit.Config) { c.Timeout = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := redislimit.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

// silentServer accepts connections and swallows what it reads.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed by Cleanup
			}
			go func() {
				_, _ = io.Copy(io.Discard, conn) // until the client closes
				_ = conn.Close()
			}()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
