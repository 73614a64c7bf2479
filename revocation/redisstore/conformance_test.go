package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation/redisstore"
	"github.com/authd-project/authd/revocation/revocationtest"
)

func TestConformance(t *testing.T) {
	revocationtest.Run(t, func(t *testing.T) revocationtest.Backend {
		return backend(t, connect(t, testenv.Redis(t)))
	})
}

func backend(t *testing.T, client *redis.Client) revocationtest.Backend {
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	again := func(t *testing.T, lose bool) revocationtest.Backend {
		a.stop()
		if lose {
			if err := client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		return backend(t, client)
	}
	return revocationtest.Backend{
		Store:  a.store,
		Reopen: func(t *testing.T) revocationtest.Backend { return again(t, false) },
		Lose:   func(t *testing.T) revocationtest.Backend { return again(t, true) },
	}
}
