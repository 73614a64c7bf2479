package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

func TestRefusedConfigurations(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	good := redisstore.Config{Client: connect(t, addr), Mirror: revocation.NewMirror(revocation.MirrorConfig{}), Memory: &memory{}}
	if _, err := redisstore.Open(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	deaf := redis.NewClient(&redis.Options{Addr: addr})
	short := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, ReadTimeout: 100 * time.Millisecond})
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": addr}})
	t.Cleanup(func() { _ = errors.Join(deaf.Close(), short.Close(), ring.Close()) })
	for name, spoil := range map[string]func(*redisstore.Config){
		"no client":          func(c *redisstore.Config) { c.Client = nil },
		"client ignores ctx": func(c *redisstore.Config) { c.Client = deaf },
		"client gives up":    func(c *redisstore.Config) { c.Client = short },
		"ring":               func(c *redisstore.Config) { c.Client = ring },
		"no mirror":          func(c *redisstore.Config) { c.Mirror = nil },
		"negative replicas":  func(c *redisstore.Config) { c.Replicas = -1 },
		"negative timeout":   func(c *redisstore.Config) { c.Timeout = -1 },
		"negative lease":     func(c *redisstore.Config) { c.Lease = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := redisstore.Open(t.Context(), c); err == nil || errors.Is(err, revocation.ErrUnavailable) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	if _, err := redisstore.NewFeed(deaf, redisstore.FeedConfig{}); err == nil {
		t.Error("NewFeed takes a client that ignores contexts")
	}
	if _, err := redisstore.NewChecker(deaf, redisstore.CheckerConfig{}); err == nil {
		t.Error("NewChecker takes a client that ignores contexts")
	}
	if _, err := redisstore.NewChecker(connect(t, addr), redisstore.CheckerConfig{MaxStaleness: -1}); err == nil {
		t.Error("NewChecker takes a negative bound")
	}
}

// A server that evicts is refused at the start, and when a loss brings one.
func TestEvictingServer(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	eventually(t, "live set", isLive(a))
	if err := client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := redisstore.Open(t.Context(), redisstore.Config{
		Client: client, Mirror: revocation.NewMirror(revocation.MirrorConfig{}),
	})
	if !errors.Is(err, redisstore.ErrEvicts) {
		t.Errorf("Open returned %v, want %v", err, redisstore.ErrEvicts)
	}
	was := a.store.Stats().Epoch
	flush(t, client)
	awaitNewEpoch(t, a, was)
	checker := newChecker(t, client)
	if err := checker.Check(t.Context(), live); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("a set on a server that evicts is live: %v", err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "live set", isLive(a))
}

// Every call has a deadline, every error of the server is ErrUnavailable, and nothing that was asked for is given up.
func TestServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	proxy := testenv.NewProxy(t, testenv.Redis(t))
	client := connect(t, proxy.Addr)
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}, Timeout: 200 * time.Millisecond})
	checker := newCheckerWith(t, client, redisstore.CheckerConfig{Timeout: 200 * time.Millisecond})
	eventually(t, "live set", isLive(a))
	proxy.Swallow()
	e, claims := session("revoked")
	begun := time.Now()
	if err := a.store.Add(t.Context(), e); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Add returned %v", err)
	}
	if err := checker.Check(t.Context(), claims); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Check returned %v", err)
	}
	if _, err := redisstore.Open(t.Context(), redisstore.Config{
		Client: client, Mirror: revocation.NewMirror(revocation.MirrorConfig{}), Timeout: 200 * time.Millisecond,
	}); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Open returned %v", err)
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("three calls with a timeout of 200ms took %v", took)
	}
	proxy.Pass()
	eventually(t, "nothing pending", func() bool { return a.store.Stats().Pending == 0 })
	eventually(t, "checker that denies", func() bool { return denied(checker, claims) })
}

func TestStats(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	remembered := &memory{}
	a := startAuthd(t, redisstore.Config{Client: client, Memory: remembered})
	b := startAuthd(t, redisstore.Config{Client: client, Memory: remembered})
	eventually(t, "peers", func() bool { return a.store.Stats().Peers == 1 && b.store.Stats().Peers == 1 })
	s := a.store.Stats()
	if s.Epoch == "" || s.Lost != "" || s.Pending != 0 || s.Restored != 0 || s.Age < 0 || s.Age > patience {
		t.Errorf("got %+v", s)
	}
	b.stop()
	if n := client.HLen(t.Context(), "{authd:rev}:peers").Val(); n != 1 {
		t.Errorf("%d peers when one of two has left, want 1", n)
	}
	eventually(t, "peer that has left", func() bool { return a.store.Stats().Peers == 0 })
}

// A server that is full answers who reads, and mirrors stay fresh: readiness must tell that nothing can be written.
func TestNotReadyWhenFull(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	eventually(t, "live set", isLive(a))
	eventually(t, "store that is ready", func() bool { return a.store.Ready() == nil })
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "store that is not ready", func() bool { return a.store.Ready() != nil })
	if err := a.store.Ready(); !errors.Is(err, revocation.ErrUnavailable) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("Ready returned %v", err)
	}
	if age := a.store.Stats().Age; age > patience/2 {
		t.Errorf("no heartbeat for %v", age)
	}
	if err := a.store.Sweep(t.Context(), 0); err != nil {
		t.Errorf("a full server cannot forget: %v", err)
	}
	e, _ := session("revoked")
	if err := a.store.Add(t.Context(), e); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Add returned %v", err)
	}
	if err := a.mirror.Check(t.Context(), live); err != nil {
		t.Errorf("the mirror, which only reads: %v", err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "store that is ready", func() bool { return a.store.Ready() == nil && a.store.Stats().Pending == 0 })
}

// An entry may reach a server that is lost before Add has returned: nobody has read it, and the write-back has passed
// it over. It is added again.
func TestLostBeforeAcknowledged(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client, other := connect(t, addr), connect(t, addr)
	a := startAuthdWithoutMirror(t, redisstore.Config{Client: client, Memory: &memory{}})
	eventually(t, "live set", isLive(a))
	was := a.store.Stats().Epoch
	e, claims := session("lost on its way")
	client.AddHook(&afterAdd{entry: e, do: func() {
		flush(t, other)
		awaitNewEpoch(t, a, was)
	}})
	add(t, a, e)
	if !denied(newChecker(t, other), claims) {
		t.Error("a revocation was acknowledged that is not in the set")
	}
	if !denied(a.mirror, claims) {
		t.Error("the mirror of this process does not know of a revocation that was acknowledged")
	}
}

// afterAdd does something once, when the script that adds an entry has been answered.
type afterAdd struct {
	entry revocation.Entry
	once  sync.Once
	do    func()
}

func (*afterAdd) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*afterAdd) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *afterAdd) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			for _, arg := range cmd.Args() {
				if b, ok := arg.([]byte); ok && bytes.Contains(b, h.entry.ID[:]) && cmd.Err() == nil {
					h.once.Do(h.do)
				}
			}
		}
		return err
	}
}
