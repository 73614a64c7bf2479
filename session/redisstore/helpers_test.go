package redisstore

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.RedisDialing()) }

// testTimeout is generous, so that a busy machine is not taken for a broken server.
const testTimeout = 10 * time.Second

// patience is how long a test waits for what must come, such as a failover.
const patience = 60 * time.Second

// cluster starts a cluster of one node that has all slots, and connects to the cluster, with only the rights that the
// package comment lists, and to the node. A script that touches keys of different slots fails there.
func cluster(t testing.TB) (*redis.ClusterClient, *redis.Client) {
	t.Helper()
	addr := testenv.Redis(t, "--cluster-enabled", "yes")
	node := testenv.ConnectRedis(t, addr)
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	await(t, "the cluster serves its slots", func() bool {
		return strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	testenv.GrantRedis(t, node, "+cluster|slots")
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{addr}, Username: testenv.RedisUser, Password: testenv.RedisPassword, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client, node
}

// await asks a server again and again until what is true.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !is() {
		if ctx.Err() != nil {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func newStore(t testing.TB, c Config) *Store {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = testTimeout
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func flush(t testing.TB, client *redis.Client) {
	t.Helper()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// processes answers each call by the next of several stores, which share nothing but the server: replicas of authd
// behind a load balancer.
type processes struct {
	stores []session.Store
	calls  atomic.Uint64
}

func (p *processes) next() session.Store { return p.stores[p.calls.Add(1)%uint64(len(p.stores))] }

func (p *processes) Create(ctx context.Context, s session.Session) (session.Session, error) {
	return p.next().Create(ctx, s)
}

func (p *processes) Get(ctx context.Context, id session.ID, l session.Limits) (session.Session, error) {
	return p.next().Get(ctx, id, l)
}

func (p *processes) Refresh(ctx context.Context, id session.ID, presented uint64, use session.Use, l session.Limits) (
	session.Session, session.Outcome, error,
) {
	return p.next().Refresh(ctx, id, presented, use, l)
}

func (p *processes) End(ctx context.Context, ids ...session.ID) error {
	return p.next().End(ctx, ids...)
}

func (p *processes) EndSubject(ctx context.Context, subject string, keep ...session.ID) ([]session.ID, error) {
	return p.next().EndSubject(ctx, subject, keep...)
}

func (p *processes) List(ctx context.Context, subject string, l session.Limits) ([]session.Session, error) {
	return p.next().List(ctx, subject, l)
}

// clock lets time pass for a store. Nobody can move the server's clock, so everything stored moves into the past
// instead, and the times that the store answers move on by as much.
type clock struct {
	session.Store
	t     testing.TB
	admin *redis.Client

	passed atomic.Int64
}

func (c *clock) Advance(d time.Duration) {
	c.t.Helper()
	c.passed.Add(int64(d))
	for _, key := range c.admin.Keys(c.t.Context(), "*").Val() {
		left := c.admin.PTTL(c.t.Context(), key).Val()
		if left == -1 {
			c.t.Fatalf("key %s does not expire", key)
		}
		if left <= d+time.Second { // the server might delete it while it is being moved
			c.admin.Del(c.t.Context(), key)
			continue
		}
		if strings.HasPrefix(key, "authd:u:") {
			rewindIndex(c.t, c.admin, key, d)
		} else {
			rewindRecord(c.t, c.admin, key, d)
		}
		if err := c.admin.PExpire(c.t.Context(), key, left-d).Err(); err != nil {
			c.t.Fatal(err)
		}
	}
}

func rewindIndex(t testing.TB, admin *redis.Client, key string, d time.Duration) {
	t.Helper()
	for _, member := range admin.ZRange(t.Context(), key, 0, -1).Val() {
		if err := admin.ZIncrBy(t.Context(), key, -float64(d.Milliseconds()), member).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func rewindRecord(t testing.TB, admin *redis.Client, key string, d time.Duration) {
	t.Helper()
	first, rest, _ := strings.Cut(admin.Get(t.Context(), key).Val(), "\n")
	var generation, since, replays, created, used, ended int64
	if _, err := fmt.Sscanf(first, "ended %d", &ended); err == nil {
		first = fmt.Sprintf("ended %d", ended-d.Microseconds())
	} else if _, err := fmt.Sscanf(first, "live %d %d %d %d %d", &generation, &since, &replays, &created, &used); err != nil {
		t.Fatalf("record %s: %v", key, err)
	} else {
		by := d.Microseconds()
		first = fmt.Sprintf("live %d %d %d %d %d", generation, since-by, replays, created-by, used-by)
	}
	if err := admin.Set(t.Context(), key, first+"\n"+rest, redis.KeepTTL).Err(); err != nil {
		t.Fatal(err)
	}
}

// present moves what the store says to when the test believes it is.
func (c *clock) present(s session.Session) session.Session {
	passed := time.Duration(c.passed.Load())
	for _, at := range []*time.Time{&s.CreatedAt, &s.LastUsedAt, &s.Chain.Since, &s.EndedAt} {
		if !at.IsZero() {
			*at = at.Add(passed)
		}
	}
	return s
}

func (c *clock) Create(ctx context.Context, s session.Session) (session.Session, error) {
	s, err := c.Store.Create(ctx, s)
	return c.present(s), err
}

func (c *clock) Get(ctx context.Context, id session.ID, l session.Limits) (session.Session, error) {
	s, err := c.Store.Get(ctx, id, l)
	return c.present(s), err
}

func (c *clock) Refresh(ctx context.Context, id session.ID, presented uint64, use session.Use, l session.Limits) (
	session.Session, session.Outcome, error,
) {
	s, outcome, err := c.Store.Refresh(ctx, id, presented, use, l)
	return c.present(s), outcome, err
}

func (c *clock) List(ctx context.Context, subject string, l session.Limits) ([]session.Session, error) {
	list, err := c.Store.List(ctx, subject, l)
	for i := range list {
		list[i] = c.present(list[i])
	}
	return list, err
}
