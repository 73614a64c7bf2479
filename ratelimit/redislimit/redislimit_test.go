package redislimit_test

import (
	"context"
	"fmt"
	"net/netip"
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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.RedisDialing()) }

// testTimeout is generous, so that a busy machine is not taken for a broken server.
const testTimeout = 10 * time.Second

func newLimiter(t *testing.T, client redis.UniversalClient, name string, p ratelimit.Policy) *redislimit.Limiter {
	t.Helper()
	l, err := redislimit.New(redislimit.Config{Client: client, Name: name, Policy: p, Timeout: testTimeout})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLimiter(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	ratelimittest.Run(t, func(t *testing.T, p ratelimit.Policy) (ratelimit.Limiter, func(time.Duration)) {
		t.Helper()
		flush(t, client)
		return newLimiter(t, client, "test", p), func(d time.Duration) { rewind(t, client, d) }
	})
}

// With only the rights that the package comment lists.
func TestLimiterAsRestrictedUser(t *testing.T) {
	addr := testenv.Redis(t)
	admin, client := testenv.ConnectRedis(t, addr), testenv.RestrictedRedis(t, addr)
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
	node := testenv.ConnectRedis(t, addr)
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

func TestAddresses(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	ratelimittest.RunAddresses(t, func(t *testing.T) (ratelimit.KnownAddresses, func(time.Duration)) {
		t.Helper()
		flush(t, client)
		return newAddresses(t, client), func(d time.Duration) { rewind(t, client, d) }
	})
	wantExpiry(t, client, ratelimit.KnownFor)
}

// Two processes share one account's budget and known addresses, with only the rights that the package comment lists.
func TestLoginGuard(t *testing.T) {
	addr := testenv.Redis(t)
	admin, client := testenv.ConnectRedis(t, addr), testenv.RestrictedRedis(t, addr)
	guard := func() *ratelimit.LoginGuard {
		g, err := ratelimit.NewLoginGuard(ratelimit.LoginConfig{
			Open: func(name string, p ratelimit.Policy) (ratelimit.Limiter, error) {
				return redislimit.New(redislimit.Config{Client: client, Name: name, Policy: p, Timeout: testTimeout})
			},
			Known: newAddresses(t, client),
		})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	processes := []*ratelimit.LoginGuard{guard(), guard()}
	home, cafe, attacker := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.9")
	login(t, processes[0], home, true, true)
	for i := range 8 {
		login(t, processes[i%2], attacker, false, true)
	}
	login(t, processes[0], attacker, true, false)
	login(t, processes[1], attacker, true, false)
	for i := range 5 {
		login(t, processes[i%2], home, false, true) // known to both
	}
	login(t, processes[1], cafe, true, true)
	for _, key := range admin.Keys(t.Context(), "*").Val() {
		if strings.Contains(key, "alice") || strings.Contains(key, "192.0.2") {
			t.Errorf("key %s tells who logs in", key)
		}
	}
}

func login(t *testing.T, g *ratelimit.LoginGuard, from netip.Addr, right, want bool) {
	t.Helper()
	a, err := g.Before(t.Context(), "alice", from)
	if err != nil {
		t.Fatal(err)
	}
	if a.Allowed != want {
		t.Errorf("from %v: %+v, want Allowed %v", from, a, want)
	}
	if right {
		err = g.Succeeded(t.Context(), a)
	} else {
		g.Failed(a)
	}
	if err != nil {
		t.Error(err)
	}
}

func newAddresses(t *testing.T, client redis.UniversalClient) *redislimit.Addresses {
	t.Helper()
	a, err := redislimit.NewAddresses(redislimit.AddressesConfig{Client: client, Timeout: testTimeout})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestKeysExpire(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
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
			before := wantExpiry(t, client, longest)
			if err := l.Refund(t.Context(), "key", d); err != nil {
				t.Fatal(err)
			}
			if after := wantExpiry(t, client, longest); after < before-time.Minute {
				t.Errorf("the refund shortened the expiry from %v to %v", before, after)
			}
		})
	}
}

// wantExpiry checks that every key expires, and returns when the last of them does.
func wantExpiry(t *testing.T, client *redis.Client, longest time.Duration) (last time.Duration) {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("keys %v, %v, want some", keys, err)
	}
	for _, key := range keys {
		if left := client.PTTL(t.Context(), key).Val(); left <= 0 || left > longest {
			t.Errorf("%s expires in %v, want at most %v", key, left, longest)
		} else {
			last = max(last, left)
		}
	}
	return last
}

func TestLimitsAreToldApart(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	small := ratelimit.Policy{Algorithm: ratelimit.FixedWindow, Limit: 1, Window: time.Hour}
	other := small
	other.Window = 2 * time.Hour
	for _, l := range []*redislimit.Limiter{
		newLimiter(t, client, "a", small), newLimiter(t, client, "b", small), newLimiter(t, client, "a", other),
	} {
		if d, err := l.Allow(t.Context(), "key", 1); err != nil || !d.Allowed {
			t.Errorf("first unit of a limit of its own: %+v, %v", d, err)
		}
	}
	if d, err := newLimiter(t, client, "a", small).Allow(t.Context(), "key", 1); err != nil || d.Allowed {
		t.Errorf("another process, same limit: %+v, %v, want it refused", d, err)
	}
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
		if client.Type(t.Context(), key).Val() == "zset" {
			rewindAddresses(t, client, key, d)
			continue
		}
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

func rewindAddresses(t *testing.T, client *redis.Client, key string, d time.Duration) {
	t.Helper()
	for _, address := range client.ZRange(t.Context(), key, 0, -1).Val() {
		if err := client.ZIncrBy(t.Context(), key, -float64(d.Milliseconds()), address).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.PExpire(t.Context(), key, client.PTTL(t.Context(), key).Val()-d).Err(); err != nil {
		t.Fatal(err)
	}
}
