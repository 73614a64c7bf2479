package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.RedisDialing()) }

// testTimeout is generous, so that a busy machine is not taken for a broken server.
const testTimeout = 10 * time.Second

func newStore(t testing.TB, c Config) keys.Store {
	t.Helper()
	if c.Codec == nil {
		c.Codec = keys.NewCodec(keys.GenerateKEK())
	}
	if c.Timeout == 0 {
		c.Timeout = testTimeout
	}
	c.Poll = 10 * time.Millisecond
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testCell(t *testing.T, client *redis.Client) *cell {
	t.Helper()
	c, err := newCell(Config{Client: client, Timeout: testTimeout})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// With only the rights that the package comment lists.
func TestStore(t *testing.T) {
	addr := testenv.Redis(t)
	admin, codec := testenv.ConnectRedis(t, addr), keys.NewCodec(keys.GenerateKEK())
	keystest.Run(t, func(t testing.TB) (keys.Store, func() keys.Store) {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		client := testenv.RestrictedRedis(t, addr)
		open := func() keys.Store { return newStore(t, Config{Client: client, Codec: codec}) }
		return open(), open
	})
}

func claim(t *testing.T, s keys.Store) keys.Term {
	t.Helper()
	term, err := s.Claim(t.Context(), rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func load(t *testing.T, s keys.Store) (keys.Ring, keys.Version) {
	t.Helper()
	ring, version, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ring, version
}

// A server that has lost everything gets the ring back from whoever has it, whatever is asked of him first.
func TestLostRingIsPutBack(t *testing.T) {
	addr := testenv.Redis(t)
	admin, codec := testenv.ConnectRedis(t, addr), keys.NewCodec(keys.GenerateKEK())
	s := newStore(t, Config{Client: admin, Codec: codec})
	fresh := newStore(t, Config{Client: testenv.ConnectRedis(t, addr), Codec: codec})
	for want := keys.Term(1); want <= 2; want++ {
		if got := claim(t, s); got != want {
			t.Fatalf("term %d, want %d", got, want)
		}
		before, version := load(t, s)
		lose(t, admin)
		after, now := load(t, s)
		if after.Term != want || after.Holder != before.Holder || now != version {
			t.Errorf("put back %v, version %s; want %v, version %s", after, now, before, version)
		}
		lose(t, admin)
	}
	if ring, version := load(t, fresh); version != "" {
		t.Errorf("who has seen nothing loads %v", ring)
	}
}

// Of many that find the ring lost one puts it back, and the others see that it is there.
func TestLostRingIsPutBackOnce(t *testing.T) {
	addr := testenv.Redis(t)
	admin, codec := testenv.ConnectRedis(t, addr), keys.NewCodec(keys.GenerateKEK())
	stores := make([]keys.Store, 8)
	for i := range stores {
		stores[i] = newStore(t, Config{Client: testenv.ConnectRedis(t, addr), Codec: codec})
	}
	claim(t, stores[0])
	for range 10 {
		for _, s := range stores {
			load(t, s)
		}
		lose(t, admin)
		var wg sync.WaitGroup
		for _, s := range stores {
			wg.Go(func() {
				if ring, _, err := s.Load(t.Context()); err != nil || ring.Term != 1 {
					t.Errorf("got %v, %v; want the ring of term 1", ring, err)
				}
			})
		}
		wg.Wait()
	}
}

// A watch ends when the ring is lost, so that whoever follows it loads the ring and puts it back.
func TestLossEndsWatch(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	s := newStore(t, Config{Client: client})
	claim(t, s)
	versions, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, version := load(t, s)
	if v := <-versions; v != version {
		t.Errorf("first %q, want the current version %q", v, version)
	}
	lose(t, client)
	if v, open := <-versions; open {
		t.Errorf("the watch says %q, want it to end", v)
	}
}

func lose(t *testing.T, admin *redis.Client) {
	t.Helper()
	if err := admin.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// An old sight of the ring is not put back, and not taken for an empty store either.
func TestOldRingIsNotPutBack(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	now := time.Unix(1_700_000_000, 0)
	s := newStore(t, Config{Client: client, ViewAge: time.Minute, Now: func() time.Time { return now }})
	claim(t, s)
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute + 1)
	_, _, err := s.Load(t.Context())
	if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "lost the key ring") {
		t.Errorf("load: %v, want ErrUnavailable, which says why", err)
	}
	if _, err := s.Claim(t.Context(), "somebody"); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("claim: %v, want ErrUnavailable", err)
	}
	if n := client.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys written", n)
	}
}

// As long as a watch sees that the ring has not changed, the sight of it does not age.
func TestWatchKeepsSightFresh(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	now := time.Unix(1_700_000_000, 0)
	s := newStore(t, Config{Client: client, ViewAge: time.Minute, Now: func() time.Time { return now }})
	claim(t, s)
	now = now.Add(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	versions, err := s.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range versions {
	}
	now = now.Add(time.Minute)
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if ring, _ := load(t, s); ring.Term != 1 {
		t.Errorf("got %v, want the ring of term 1 back", ring)
	}
}

// A write that the replica may not have is not acknowledged; asked again, the leader finds it done.
func TestUnconfirmed(t *testing.T) {
	primary, replica := replicated(t)
	codec := keys.NewCodec(keys.GenerateKEK())
	s := newStore(t, Config{Client: primary, Codec: codec, Replicas: 1, Timeout: testTimeout}) // a busy machine confirms late
	claim(t, s)
	if ring, _ := load(t, newStore(t, Config{Client: testenv.ConnectRedis(t, replica.Addr), Codec: codec})); ring.Term != 1 {
		t.Errorf("the replica has %v after a confirmed claim", ring)
	}
	replica.Freeze()
	hasty := newStore(t, Config{Client: primary, Codec: codec, Replicas: 1, Timeout: time.Second})
	_, err := hasty.Claim(t.Context(), "b")
	if !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, redisscript.ErrUnconfirmed) {
		t.Errorf("%v, want ErrUnavailable, not confirmed", err)
	}
	replica.Thaw()
	if next := claim(t, s); next != 3 {
		t.Errorf("term %d after the unconfirmed one, want 3", next)
	}
}

// A write whose answer was lost is sent again by the client, and finds itself done.
func TestRepeatedWrite(t *testing.T) {
	c := testCell(t, testenv.ConnectRedis(t, testenv.Redis(t)))
	for range 2 {
		if written, now, err := c.write(t.Context(), "", "a", []byte("ring")); !written || now != "a" || err != nil {
			t.Errorf("%v, now %q, %v; want it written", written, now, err)
		}
	}
	if written, now, err := c.write(t.Context(), "", "b", []byte("ring")); written || now != "a" || err != nil {
		t.Errorf("another: %v, now %q, %v; want it refused", written, now, err)
	}
}

// Answers may overtake each other: the ring that was asked for later is the newer one.
func TestSightsOvertakeEachOther(t *testing.T) {
	c := testCell(t, testenv.ConnectRedis(t, "127.0.0.1:1"))
	now := time.Unix(1_700_000_000, 0)
	c.see(sight{version: "new", at: now})
	c.see(sight{version: "old", at: now.Add(-1)})
	if last := c.last(); last.version != "new" {
		t.Errorf("last seen %q, want the one that was asked for later", last.version)
	}
}

func TestUnavailable(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newStore(t, Config{Client: testenv.ConnectRedis(t, l.Addr().String()), Timeout: 50 * time.Millisecond})
	for call, err := range map[string]error{
		"Load":   errorOf2(s.Load(t.Context())),
		"Claim":  errorOf(s.Claim(t.Context(), "a")),
		"Update": errorOf(s.Update(t.Context(), 1, "v", keys.Ring{})),
		"Watch":  errorOf(s.Watch(t.Context())),
	} {
		if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrStale) {
			t.Errorf("%s: %v, want ErrUnavailable", call, err)
		}
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	good := Config{Client: testenv.ConnectRedis(t, "127.0.0.1:1"), Codec: keys.NewCodec(keys.GenerateKEK())}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no client":         func(c *Config) { c.Client = nil },
		"no codec":          func(c *Config) { c.Codec = nil },
		"codec in clear":    func(c *Config) { c.Codec = keys.NewCodec() },
		"negative view age": func(c *Config) { c.ViewAge = -1 },
		"negative poll":     func(c *Config) { c.Poll = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func errorOf[T any](_ T, err error) error          { return err }
func errorOf2[T, U any](_ T, _ U, err error) error { return err }

// replicated starts a primary with one replica that is in step with it.
func replicated(t *testing.T) (primary *redis.Client, replica *testenv.RedisServer) {
	t.Helper()
	addr := testenv.Redis(t, "--repl-diskless-sync-delay", "0")
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	replica = testenv.NewRedis(t, "--replicaof", host, port)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	// A link that is up does not suffice: after a diskless sync the primary sends nothing before the first REPLCONF ACK.
	primary = testenv.ConnectRedis(t, addr)
	for conn := primary.Conn(); ; {
		conn.Set(ctx, "in step", 1, 0)
		conn.Del(ctx, "in step")
		if n, err := conn.Wait(ctx, 1, time.Second).Result(); err != nil {
			t.Fatal("the replica does not come into step:", err)
		} else if n == 1 {
			return primary, replica
		}
	}
}
