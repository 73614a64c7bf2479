package redisstore

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/sessiontest"
)

// Two replicas of authd share the server, with only the rights that the package comment lists.
func TestStore(t *testing.T) {
	addr := testenv.Redis(t)
	clients := []redis.UniversalClient{testenv.RestrictedRedis(t, addr), testenv.RestrictedRedis(t, addr)}
	conform(t, testenv.ConnectRedis(t, addr), clients)
	if err := clients[0].Get(t.Context(), "other").Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("the user may read another key: %v", err)
	}
}

func TestStoreInCluster(t *testing.T) {
	client, node := cluster(t)
	conform(t, node, []redis.UniversalClient{client})
}

func conform(t *testing.T, admin *redis.Client, clients []redis.UniversalClient) {
	t.Helper()
	sessiontest.Run(t, func(t *testing.T) sessiontest.Backend {
		flush(t, admin)
		c := &clock{t: t, admin: admin}
		reopen := func() session.Store {
			var p processes
			for _, client := range clients {
				p.stores = append(p.stores, newStore(t, Config{Client: client}))
			}
			c.Store = &p
			return c
		}
		return sessiontest.Backend{Store: reopen(), Advance: c.Advance, Reopen: reopen}
	})
}
