package testenv

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// RedisCluster is a cluster of three masters, each with a replica.
type RedisCluster struct {
	Servers []*RedisServer
}

// clusterSlots is how many slots the masters share.
const clusterSlots = 16384

// NewRedisCluster starts a cluster, which ends with the test. A failover begins a second and a half after a master has
// gone silent.
func NewRedisCluster(t testing.TB) *RedisCluster {
	t.Helper()
	const masters = 3
	c := new(RedisCluster)
	for range 2 * masters {
		c.Servers = append(c.Servers, NewRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1500",
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"))
	}
	for i, s := range c.Servers {
		redisDo(t, s.Addr, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < masters {
			redisDo(t, s.Addr, "CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/masters, (i+1)*clusterSlots/masters-1)
		}
		host, port, err := net.SplitHostPort(c.Servers[0].Addr)
		if err != nil {
			t.Fatal(err)
		}
		redisDo(t, s.Addr, "CLUSTER", "MEET", host, port)
	}
	c.until(t, "nodes that know each other", func(info string) bool {
		return strings.Contains(info, "cluster_known_nodes:6\r") && strings.Contains(info, "cluster_state:ok\r")
	})
	for i, s := range c.Servers[masters:] {
		redisDo(t, s.Addr, "CLUSTER", "REPLICATE", redisDo(t, c.Servers[i].Addr, "CLUSTER", "MYID"))
	}
	for _, s := range c.Servers[:masters] {
		redisUntil(t, s.Addr, "a replica", func(ctx context.Context, c *redis.Client) bool {
			return strings.Contains(c.Info(ctx, "replication").Val(), "state=online")
		})
	}
	for _, s := range c.Servers { // each must have learned the roles, or clients ask a replica for its master's keys
		redisUntil(t, s.Addr, "a node that knows the roles", func(ctx context.Context, client *redis.Client) bool {
			nodes := client.ClusterNodes(ctx).Val()
			return strings.Count(nodes, "slave ") == masters && !strings.Contains(nodes, "fail")
		})
	}
	return c
}

// Addrs returns the addresses of all nodes.
func (c *RedisCluster) Addrs() (list []string) {
	for _, s := range c.Servers {
		list = append(list, s.Addr)
	}
	return list
}

// MasterOf returns the server that is the master of a key's slot, as the given node sees it.
func (c *RedisCluster) MasterOf(t testing.TB, key string) *RedisServer {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ContextTimeoutEnabled: true})
	defer client.Close()
	master, err := client.MasterForKey(t.Context(), key)
	if err != nil {
		t.Fatalf("asking the cluster for the master of %s: %v", key, err)
	}
	for _, s := range c.Servers {
		if s.Addr == master.Options().Addr {
			return s
		}
	}
	t.Fatalf("the cluster names an unknown master of %s", key)
	return nil
}

func (c *RedisCluster) until(t testing.TB, what string, ok func(info string) bool) {
	t.Helper()
	for _, s := range c.Servers {
		redisUntil(t, s.Addr, what, func(ctx context.Context, client *redis.Client) bool {
			return ok(client.ClusterInfo(ctx).Val())
		})
	}
}

// redisDo sends one command, which must succeed, and returns its answer.
func redisDo(t testing.TB, addr string, args ...any) any {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	defer client.Close()
	v, err := client.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}
