package testenv

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// settleTime is how long servers get to find each other, on a machine that is busy with other things.
const settleTime = 60 * time.Second

// RedisSentinel is a primary with two replicas, watched by three sentinels.
type RedisSentinel struct {
	Name      string   // of the primary, as the sentinels know it
	Sentinels []string // their addresses
	Servers   []*RedisServer
}

// NewRedisSentinel starts one, which ends with the test. A failover begins a second after the primary has gone silent.
func NewRedisSentinel(t testing.TB) *RedisSentinel {
	t.Helper()
	primary := NewRedis(t)
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	set := &RedisSentinel{Name: "authd", Servers: []*RedisServer{primary}}
	for range 2 {
		set.Servers = append(set.Servers, NewRedis(t, "--replicaof", host, port, "--repl-diskless-sync-delay", "0"))
	}
	redisUntil(t, primary.Addr, "two replicas", func(ctx context.Context, c *redis.Client) bool {
		return strings.Count(c.Info(ctx, "replication").Val(), "state=online") == 2
	})
	const sentinels = 3
	for range sentinels {
		set.Sentinels = append(set.Sentinels, startSentinel(t, set.Name, host, port))
	}
	for _, addr := range set.Sentinels {
		redisUntil(t, addr, "a sentinel that knows the others", func(ctx context.Context, c *redis.Client) bool {
			info := c.Info(ctx, "sentinel").Val()
			return strings.Contains(info, "status=ok") && strings.Contains(info, fmt.Sprintf("slaves=2,sentinels=%d", sentinels))
		})
	}
	return set
}

// Primary returns the server that the sentinels take for the primary.
func (s *RedisSentinel) Primary(t testing.TB) *RedisServer {
	t.Helper()
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: s.Sentinels[0]})
	defer func() { _ = sentinel.Close() }()
	addr, err := sentinel.GetMasterAddrByName(t.Context(), s.Name).Result()
	if err != nil {
		t.Fatalf("asking a sentinel for the primary: %v", err)
	}
	for _, server := range s.Servers {
		if server.Addr == net.JoinHostPort(addr[0], addr[1]) {
			return server
		}
	}
	t.Fatalf("the sentinels name an unknown primary: %v", addr)
	return nil
}

func startSentinel(t testing.TB, name, host, port string) (addr string) {
	t.Helper()
	return newRedis(t, "+monitor master", func(own string) []string {
		dir := t.TempDir()
		file := filepath.Join(dir, "sentinel.conf") // which the sentinel rewrites
		conf := fmt.Sprintf(`bind 127.0.0.1
port %s
dir %s
sentinel monitor %s %s %s 2
sentinel down-after-milliseconds %[3]s 1000
sentinel failover-timeout %[3]s 5000
sentinel parallel-syncs %[3]s 2
`, own, dir, name, host, port)
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{file, "--sentinel"}
	}).Addr
}

// redisUntil waits until ok says that the server at addr has got there.
func redisUntil(t testing.TB, addr, what string, ok func(context.Context, *redis.Client) bool) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	defer client.Close()
	for deadline := time.Now().Add(settleTime); ; time.Sleep(20 * time.Millisecond) {
		if ok(t.Context(), client) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, settleTime)
		}
	}
}
