package redisstore

import (
	"context"
	"errors"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/sessiontest"
)

// revoked is what a process knows of revocations.
type revoked struct {
	mu    sync.Mutex
	ids   []session.ID
	hold  chan struct{} // until it is closed nobody is told; nil when there is no need to wait
	asked atomic.Int64
}

func (r *revoked) set(hold chan struct{}, ids ...session.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids, r.hold = ids, hold
}

func (r *revoked) all() iter.Seq[session.ID] {
	r.asked.Add(1)
	r.mu.Lock()
	ids, hold := r.ids, r.hold
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return slices.Values(ids)
}

// watched returns a store that watches its servers until the test ends.
func watched(t *testing.T, client redis.UniversalClient) (*Store, *revoked) {
	t.Helper()
	r := new(revoked)
	s := newStore(t, Config{Client: client, Revoked: r.all, Timeout: time.Second})
	s.lookEvery = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	var jobs errgroup.Group
	jobs.Go(func() error { return s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := jobs.Wait(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s, r
}

// R5: one shard of a cluster fails over and loses an end. The revocation set, on another shard or not, has lost nothing, so
// nothing is written back; the session ends again all the same.
func TestShardThatLosesAnEnd(t *testing.T) {
	t.Parallel()
	nodes := testenv.NewRedisCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: nodes.Addrs(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	s, known := watched(t, client)
	w := sessiontest.NewWitness(t, s)
	id := w.Create("alice", 1)[0]
	others := w.Create("alice", 6)
	w.Settle("in peace")

	master := nodes.MasterOf(t, recordKey(id))
	replica := nodes.Servers[slices.Index(nodes.Servers, master)+3]
	admin := testenv.ConnectRedis(t, master.Addr)
	conn := admin.Conn() // WAIT counts what was written before on its own connection
	defer conn.Close()
	await(t, "a replica that has the session", func() bool {
		conn.Set(t.Context(), "in step {"+id.String()+"}", 1, time.Hour)
		return conn.Wait(t.Context(), 1, time.Second).Val() == 1
	})
	replica.Freeze()
	if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil { // or it is in its socket
		t.Fatal(err)
	}
	seen := make(chan struct{})
	see := sync.OnceFunc(func() { close(seen) })
	t.Cleanup(see)
	if !w.End(id) {
		t.Fatal("the end is not acknowledged")
	}
	known.set(seen, id)
	w.Check("ended, at the master alone")
	master.Kill()
	replica.Thaw()
	w.Lost(id)
	await(t, "a promoted replica that has lost the end", func() bool {
		_, err := s.Get(t.Context(), id, limits)
		return err == nil
	})
	see()
	await(t, "the session ended again", func() bool {
		_, err := s.Get(t.Context(), id, limits)
		return errors.Is(err, session.ErrEnded)
	})
	if !w.End(id) { // which is what it was all along
		t.Error("the end is not acknowledged")
	}
	w.Settle("ended again")
	for _, other := range others {
		if _, err := s.Get(t.Context(), other, limits); err != nil {
			t.Errorf("a session that nobody ended: %v", err)
		}
	}
}

// R5: the server comes back with older data after the revocation has expired, so that nobody could write it back.
func TestOutageThatOutlastsTheRevocation(t *testing.T) {
	t.Parallel()
	server := testenv.NewRedis(t)
	admin := testenv.ConnectRedis(t, server.Addr)
	s, known := watched(t, testenv.ConnectRedis(t, server.Addr))
	w := sessiontest.NewWitness(t, s)
	id := w.Create("alice", 1)[0]
	w.Create("alice", 3)
	w.Settle("in peace")
	if err := admin.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if !w.End(id) {
		t.Fatal("the end is not acknowledged")
	}
	known.set(nil, id)
	w.Check("ended")
	server.Kill()
	asked := known.asked.Load()
	await(t, "a watcher that keeps it in mind", func() bool { return known.asked.Load() > asked })
	known.set(nil) // it has expired
	w.Check("killed")
	w.Lost(id)
	server.Restart()
	await(t, "the session ended again", func() bool {
		_, err := s.Get(t.Context(), id, limits)
		return errors.Is(err, session.ErrEnded)
	})
	if !w.End(id) {
		t.Error("the end is not acknowledged")
	}
	w.Settle("ended again")
}

// Without a loss nothing is ended, whatever Config.Revoked says: it may name sessions that a script of the operator
// has revoked for a while.
func TestNothingLost(t *testing.T) {
	t.Parallel()
	server := testenv.NewRedis(t)
	s, known := watched(t, testenv.ConnectRedis(t, server.Addr))
	n := create(t, s, 1)
	awaitLooks(t, testenv.ConnectRedis(t, server.Addr), 2) // or the first look may find the server frozen, and fear a loss that it missed
	known.set(nil, n.ID)
	for range 2 {
		server.Freeze()
		asked := known.asked.Load()
		await(t, "a watcher that notices", func() bool { return known.asked.Load() > asked })
		server.Thaw()
		await(t, "the store answers again", func() bool {
			_, err := s.Get(t.Context(), n.ID, limits)
			return err == nil
		})
	}
}

// awaitLooks waits until a watcher has looked at a server so many times. The last look may not have come to its end.
func awaitLooks(t *testing.T, admin *redis.Client, looks int) {
	t.Helper()
	calls, own := regexp.MustCompile(`cmdstat_info:calls=(\d+)`), 0
	await(t, "a watcher that looks", func() bool {
		stats := admin.Info(t.Context(), "commandstats").Val()
		seen := 0
		if m := calls.FindStringSubmatch(stats); m != nil {
			seen, _ = strconv.Atoi(m[1])
		}
		looked := seen-own >= looks
		own++
		return looked
	})
}
