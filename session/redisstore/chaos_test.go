package redisstore

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/sessiontest"
)

// Each of these hurts Redis under two authd. What has been acknowledged is asserted after every step, by the witness of
// sessiontest: S1 to S3 and R5.

// witnessed returns a witness of two processes over the servers that dial reaches, with some sessions of which half have
// ended.
func witnessed(t *testing.T, replicas int, dial func() redis.UniversalClient) (w *sessiontest.Witness, live []session.ID) {
	t.Helper()
	var stores []session.Store
	for range 2 {
		stores = append(stores, newStore(t, Config{Client: dial(), Replicas: replicas, Timeout: time.Second}))
	}
	w = sessiontest.NewWitness(t, stores...)
	ids := w.Create("alice", 8) // they spread over a cluster
	w.Settle("in peace")
	await(t, "acknowledged ends", func() bool { return w.End(ids[:4]...) })
	w.Settle("half of them ended")
	return w, ids[4:]
}

func dialer(t *testing.T, addr string) func() redis.UniversalClient {
	return func() redis.UniversalClient { return testenv.ConnectRedis(t, addr) }
}

func TestEverythingLost(t *testing.T) {
	t.Parallel()
	server := testenv.NewRedis(t)
	w, _ := witnessed(t, 0, dialer(t, server.Addr))
	for step, disaster := range map[string]func(){
		"flushed":              func() { flush(t, testenv.ConnectRedis(t, server.Addr)) },
		"killed and restarted": func() { server.Kill(); w.Check("killed"); server.Restart() },
	} {
		w.MayForget()
		disaster()
		w.Check(step)
		w.Settle(step)
		next := w.Create("alice", 2)
		w.Settle(step + ", and new ones")
		if !w.End(next[0]) {
			t.Errorf("%s: an end is not acknowledged", step)
		}
		w.Check(step + ", and one of the new ended")
	}
}

func TestServerFrozen(t *testing.T) {
	t.Parallel()
	server := testenv.NewRedis(t)
	w, live := witnessed(t, 0, dialer(t, server.Addr))
	for range 2 {
		server.Freeze()
		if w.Check("frozen") {
			t.Error("a frozen server answers")
		}
		server.Thaw()
		w.Check("thawed")
		w.Settle("thawed")
	}
	if !w.End(live[0]) {
		t.Error("an end is not acknowledged")
	}
	w.Check("another one ended")
	w.Steal("stolen", live[1])
	w.Settle("stolen")
}

// Packets vanish, then connections break in the middle of whatever is under way.
func TestPacketsSwallowed(t *testing.T) {
	t.Parallel()
	proxy := testenv.NewProxy(t, testenv.Redis(t))
	w, live := witnessed(t, 0, dialer(t, proxy.Addr))
	proxy.Swallow()
	if w.Check("swallowed") {
		t.Error("somebody answers")
	}
	if w.End(live[0]) {
		t.Error("an end is acknowledged that nobody heard of")
	}
	proxy.Pass()
	w.Settle("packets pass")
	for range 5 {
		proxy.Cut()
		w.Check("cut")
	}
	w.Settle("cut")
	if !w.End(live[0]) {
		t.Error("an end is not acknowledged")
	}
	w.Settle("ended after all")
}

// Sentinel promotes one of two replicas. What both have confirmed is there, whichever it was.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	set := testenv.NewRedisSentinel(t)
	w, live := witnessed(t, 2, func() redis.UniversalClient {
		client := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: set.Name, SentinelAddrs: set.Sentinels, ContextTimeoutEnabled: true,
		})
		t.Cleanup(func() { _ = client.Close() })
		return client
	})
	old := set.Primary(t)
	old.Kill()
	w.Check("primary killed")
	await(t, "failover", func() bool { w.Check("failing over"); return set.Primary(t) != old })
	w.Settle("promoted")
	if w.End(live[0]) {
		t.Error("an end is acknowledged that only one replica can have")
	}
	w.Check("one replica left")
}

// A cluster loses one of its three masters, and with it neither sessions nor ends nor the index.
func TestClusterLosesMaster(t *testing.T) {
	t.Parallel()
	nodes := testenv.NewRedisCluster(t)
	w, live := witnessed(t, 1, func() redis.UniversalClient {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: nodes.Addrs(), ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = client.Close() })
		return client
	})
	old := nodes.MasterOf(t, indexKey("alice"))
	old.Kill()
	w.Check("master killed")
	await(t, "failover", func() bool { w.Check("failing over"); return nodes.MasterOf(t, indexKey("alice")) != old })
	w.Settle("promoted")
	old.Restart() // or the new one has no replica to confirm anything
	w.Check("the old one is back")
	await(t, "acknowledged end", func() bool { return w.End(live[0]) })
	w.Settle("another one ended")
}
