package testenv_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
)

func TestRedisTopologies(t *testing.T) {
	t.Run("sentinel", func(t *testing.T) {
		set := testenv.NewRedisSentinel(t)
		if got := set.Primary(t); got != set.Servers[0] {
			t.Errorf("primary is %s, want %s", got.Addr, set.Servers[0].Addr)
		}
	})
	t.Run("cluster", func(t *testing.T) {
		cluster := testenv.NewRedisCluster(t)
		client := redis.NewClient(&redis.Options{Addr: cluster.MasterOf(t, "key").Addr})
		defer client.Close()
		if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
			t.Errorf("writing at the master of a key: %v", err)
		}
	})
}

func TestRedisRestart(t *testing.T) {
	server := testenv.NewRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a server that was killed answers")
	}
	server.Restart()
	if err := client.Get(t.Context(), "key").Err(); err != redis.Nil {
		t.Errorf("a server without persistence answers %v after a restart, want nothing", err)
	}
}
