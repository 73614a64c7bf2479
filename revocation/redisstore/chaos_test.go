package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
)

// Each of these hurts Redis while two authds revoke and every kind of verifier looks on. What they assert all along is
// in witness_test.go.

func dialer(addr string) func(testing.TB) redis.UniversalClient {
	return func(t testing.TB) redis.UniversalClient { return connect(t, addr) }
}

func TestFlushAll(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	s := newScenario(t, 0, dialer(addr))
	for range 3 {
		if err := connect(t, addr).FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		s.holds("flushed")
		s.settled()
		s.traffic()
	}
	s.finish()
	if s.authds[0].store.Stats().Restored+s.authds[1].store.Stats().Restored == 0 {
		t.Error("nothing was written back")
	}
}

func TestKilledAndRestartedEmpty(t *testing.T) {
	t.Parallel()
	server := testenv.NewRedis(t)
	s := newScenario(t, 0, dialer(server.Addr))
	for range 2 {
		server.Kill()
		s.holds("killed")
		server.Restart()
		s.holds("restarted")
		s.settled()
		s.traffic()
	}
	s.finish()
}

// A server that hangs for longer than the bound makes verifiers say that they cannot tell; and nothing is lost.
func TestFrozen(t *testing.T) {
	t.Parallel()
	server := testenv.NewRedis(t)
	s := newScenario(t, 0, dialer(server.Addr))
	server.Freeze()
	s.holds("frozen")
	for name, c := range s.checkers() {
		if name == "authd 0" || name == "authd 1" {
			continue // their bound is the default
		}
		eventually(t, name+" that cannot tell", func() bool { return c.Check(t.Context(), live) != nil })
	}
	s.holds("frozen past the bound")
	server.Thaw()
	s.holds("thawed")
	s.settled()
	s.finish()
}

// Packets to Redis vanish, from the verifiers only, then from everybody.
func TestHalfOpenConnections(t *testing.T) {
	t.Parallel()
	proxy := testenv.NewProxy(t, testenv.Redis(t))
	s := newScenario(t, 0, dialer(proxy.Addr))
	proxy.Swallow()
	s.holds("packets vanish")
	eventually(t, "mirror that cannot tell", func() bool { return s.long.Check(t.Context(), live) != nil })
	s.holds("packets vanish past the bound")
	proxy.Pass()
	s.holds("packets pass")
	s.settled()
	proxy.Cut()
	s.holds("cut")
	s.settled()
	s.finish()
}

func sentinelDialer(set *testenv.RedisSentinel) func(testing.TB) redis.UniversalClient {
	return func(t testing.TB) redis.UniversalClient {
		client := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: set.Name, SentinelAddrs: set.Sentinels, ContextTimeoutEnabled: true,
		})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
}

// The promoted replica lacks acknowledged writes: replicas are cut off while the primary acknowledges, and then it dies.
func TestPromotedWithoutAcknowledgedWrites(t *testing.T) {
	t.Parallel()
	set := testenv.NewRedisSentinel(t)
	s := newScenario(t, 0, sentinelDialer(set))
	primary := set.Primary(t)
	for _, server := range set.Servers {
		if server != primary {
			server.Freeze()
		}
	}
	// What is in a frozen replica's socket would still reach it.
	if err := connect(t, primary.Addr).Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	s.traffic() // which no replica has
	primary.Kill()
	s.holds("primary killed")
	for _, server := range set.Servers {
		if server != primary {
			server.Thaw()
		}
	}
	s.holds("replicas thawed")
	s.settled()
	s.finish()
	if s.authds[0].store.Stats().Restored+s.authds[1].store.Stats().Restored == 0 {
		t.Error("nothing was lost: the test shows nothing")
	}
}

// A primary that is frozen, replaced and woken goes on answering whoever is still connected. With a replica to confirm,
// it acknowledges nothing and proves nothing.
func TestPrimaryReplacedAndWoken(t *testing.T) {
	t.Parallel()
	set := testenv.NewRedisSentinel(t)
	s := newScenario(t, 1, sentinelDialer(set))
	old := set.Primary(t)
	old.Freeze()
	s.holds("primary frozen")
	eventually(t, "failover", func() bool { return set.Primary(t) != old })
	s.holds("replaced")
	s.traffic() // for the new one alone
	old.Thaw()
	s.holds("woken")
	s.settled()
	s.finish()
}

func TestClusterLosesMaster(t *testing.T) {
	t.Parallel()
	cluster := testenv.NewRedisCluster(t)
	grant := func(addr string) { // the rights in docs/redis.md are enough in a cluster too
		rules := append(rights(t)["authd"], clusterRights(t)...)
		if err := connect(t, addr).Do(t.Context(), rules...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, addr := range cluster.Addrs() {
		grant(addr)
	}
	dial := func(t testing.TB) redis.UniversalClient {
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: cluster.Addrs(), Username: "authd", Password: "secret", ContextTimeoutEnabled: true,
		})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	s := newScenario(t, 1, dial)
	master := cluster.MasterOf(t, "{authd:rev}:meta")
	master.Kill()
	s.holds("master killed")
	eventually(t, "failover", func() bool { return cluster.MasterOf(t, "{authd:rev}:meta") != master })
	s.holds("promoted")
	master.Restart() // or the new one has no replica to confirm anything
	grant(master.Addr)
	s.settled()
	s.finish()
}
