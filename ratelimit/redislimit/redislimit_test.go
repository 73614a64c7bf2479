package redislimit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/ratelimit/ratelimittest"
	"github.com/authd-project/authd/ratelimit/redislimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testTimeout is generous, so that a busy machine is not taken for a broken server.
const testTimeout = 10 * time.Second

// aclRules are the rights that the package comment lists.
func aclRules(t *testing.T) []any {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(doc)) {
		if rest, found := strings.CutPrefix(line, "//\t~"); found {
			var rules []any
			for _, rule := range strings.Fields("~" + rest) {
				rules = append(rules, rule)
			}
			return rules
		}
	}
	t.Fatal("the package comment lists no rights")
	return nil
}

func connect(t *testing.T, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newLimiter(t *testing.T, client redis.UniversalClient, name string, p ratelimit.Policy) *redislimit.Limiter {
	t.Helper()
	l, err := redislimit.New(redislimit.Config{Client: client, Name: name, Policy: p, Timeout: testTimeout})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLimiter(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	ratelimittest.Run(t, func(t *testing.T, p ratelimit.Policy) (ratelimit.Limiter, func(time.Duration)) {
		t.Helper()
		flush(t, client)
		return newLimiter(t, client, "test", p), func(d time.Duration) { rewind(t, client, d) }
	})
}

// With only the rights that the package comment lists.
func TestLimiterAsRestrictedUser(t *testing.T) {
	addr := testenv.Redis(t)
	admin := connect(t, addr)
	rules := append([]any{"ACL", "SETUSER", "limiter", "on", ">secret", "resetkeys", "-@all"}, aclRules(t)...)
	if err := admin.Do(t.Context(), rules...).Err(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{
		Addr: addr, Username: "limiter", Password: "secret", ContextTimeoutEnabled: true, DisableIdentity: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	ratelimittest.Run(t, func(t *testing.T, p ratelimit.Policy) (ratelimit.Limiter, func(time.Duration)) {
		t.Helper()
		flush(t, admin)
		return newLimiter(t, client, "test", p), func(d time.Duration) { rewind(t, admin, d) }
	})
	if err := client.Get(t.Context(), "other").Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("the user may read another key: %v", err)
	}
}

// In a cluster a script may touch only keys of one slot, and it goes to the node that has it.
func TestLimiterInCluster(t *testing.T) {
	addr := testenv.Redis(t, "--cluster-enabled", "yes")
	node := connect(t, addr)
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	awaitCluster(t, node)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	ratelimittest.Run(t, func(t *testing.T, p ratelimit.Policy) (ratelimit.Limiter, func(time.Duration)) {
		t.Helper()
		flush(t, node)
		return newLimiter(t, client, "test {brace}", p), func(d time.Duration) { rewind(t, node, d) }
	})
}

// awaitCluster returns when the node serves its slots. INFO is asked without pause: the node needs some milliseconds.
func awaitCluster(t *testing.T, node *redis.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for {
		info, err := node.ClusterInfo(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "cluster_state:ok") {
			return
		}
	}
}

func TestKeysExpire(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	for text, longest := range map[string]time.Duration{
		"fixed-window 10/1h":           time.Hour,
		"sliding-window 10/1h":         2 * time.Hour,
		"token-bucket 10/1h burst 30":  3 * time.Hour,
		"leaky-bucket 10/1h burst 100": 30 * time.Minute,
	} {
		t.Run(text, func(t *testing.T) {
			flush(t, client)
			p, err := ratelimit.ParsePolicy(text)
			if err != nil {
				t.Fatal(err)
			}
			l := newLimiter(t, client, "test", p)
			d, err := l.Allow(t.Context(), "key", min(p.Capacity(), 5))
			if err != nil {
				t.Fatal(err)
			}
			wantExpiry(t, client, longest)
			if err := l.Refund(t.Context(), "key", d); err != nil {
				t.Fatal(err)
			}
			wantExpiry(t, client, longest)
		})
	}
}

func wantExpiry(t *testing.T, client *redis.Client, longest time.Duration) {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v, %v, want one", keys, err)
	}
	if left := client.PTTL(t.Context(), keys[0]).Val(); left <= 0 || left > longest {
		t.Errorf("%s expires in %v, want at most %v", keys[0], left, longest)
	}
}

func TestLimitsAreToldApart(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	small := ratelimit.Policy{Algorithm: ratelimit.FixedWindow, Limit: 1, Window: time.Hour}
	large := small
	large.Limit = 2
	for _, l := range []*redislimit.Limiter{
		newLimiter(t, client, "a", small), newLimiter(t, client, "b", small), newLimiter(t, client, "a", large),
	} {
		if d, err := l.Allow(t.Context(), "key", 1); err != nil || !d.Allowed {
			t.Errorf("first unit of a limit of its own: %+v, %v", d, err)
		}
	}
	if d, err := newLimiter(t, client, "a", small).Allow(t.Context(), "key", 1); err != nil || d.Allowed {
		t.Errorf("another process, same limit: %+v, %v, want it refused", d, err)
	}
}

func TestUnavailable(t *testing.T) {
	for name, addr := range map[string]string{"nobody listens": closedPort(t), "nobody answers": silentServer(t)} {
		t.Run(name, func(t *testing.T) {
			l, err := redislimit.New(redislimit.Config{
				Client: connect(t, addr), Name: "test", Timeout: 50 * time.Millisecond,
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
	client := connect(t, testenv.Redis(t))
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
		Client: connect(t, "127.0.0.1:1"), Name: "test",
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

func flush(t *testing.T, client *redis.Client) {
	t.Helper()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// rewind lets time pass: nobody can move the server's clock, so it moves every state into the past instead.
func rewind(t *testing.T, client *redis.Client, d time.Duration) {
	t.Helper()
	for _, key := range client.Keys(t.Context(), "*").Val() {
		var at, level, previous int64
		if _, err := fmt.Sscan(client.Get(t.Context(), key).Val(), &at, &level, &previous); err != nil {
			t.Fatalf("state of %s: %v", key, err)
		}
		state := fmt.Sprint(at-d.Milliseconds(), level, previous)
		left := client.PTTL(t.Context(), key).Val() - d
		if left <= 0 {
			client.Del(t.Context(), key)
		} else if err := client.Set(t.Context(), key, state, left).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
