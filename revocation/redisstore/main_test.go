package redisstore_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

func TestMain(m *testing.M) {
	for variable, job := range map[string]func(addr string) error{watchVariable: watch, verifyVariable: verify} {
		if addr := os.Getenv(variable); addr != "" { // a process that a test has started
			if err := job(addr); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	// Most of these tests wait most of the time: they need company, not processors. An argument still wins.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, testenv.RedisDialing())
}

const (
	// patience is how long a test waits for what must come, on a machine that is busy with other things.
	patience = 30 * time.Second
	// lease is short, so that a silent authd is not waited for long, and long enough for a busy machine.
	lease = time.Second
)

func connect(t testing.TB, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// authd is what an authd process does about revocations.
type authd struct {
	store  *redisstore.Store
	mirror *revocation.Mirror
	cancel context.CancelFunc
	jobs   *errgroup.Group
	t      testing.TB
}

// startAuthd opens a store and runs it with its mirror until the test ends.
func startAuthd(t testing.TB, cfg redisstore.Config) *authd {
	t.Helper()
	return launch(t, cfg, true)
}

// startAuthdWithoutMirror is startAuthd for one that never reads, and holds nothing.
func startAuthdWithoutMirror(t testing.TB, cfg redisstore.Config) *authd {
	t.Helper()
	return launch(t, cfg, false)
}

func launch(t testing.TB, cfg redisstore.Config, reads bool) *authd {
	t.Helper()
	cfg.Mirror = revocation.NewMirror(revocation.MirrorConfig{})
	_, own := cfg.Memory.(ownMemory)
	cfg.SharedMemory = !own
	if cfg.Lease == 0 {
		cfg.Lease = lease
	}
	if _, benchmark := t.(*testing.B); !benchmark && cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	store, err := redisstore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &authd{store: store, mirror: cfg.Mirror, cancel: cancel, jobs: new(errgroup.Group), t: t}
	a.jobs.Go(func() error { return store.Run(ctx) })
	if reads {
		a.jobs.Go(func() error { return cfg.Mirror.Run(ctx, store) })
	}
	t.Cleanup(a.stop)
	return a
}

func (a *authd) stop() {
	a.cancel()
	if err := a.jobs.Wait(); err != nil {
		a.t.Errorf("Run: %v", err)
	}
}

// testWriter puts logs beside the test that caused them.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Helper()
	w.t.Log(string(p[:len(p)-1]))
	return len(p), nil
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}

// session returns the entry and the claims of the session of this name.
func session(name string) (revocation.Entry, revocation.Claims) {
	id := revocation.IDOf(revocation.Session, name)
	return revocation.Entry{Kind: revocation.Session, ID: id, Expires: time.Now().Add(time.Hour).Unix()},
		revocation.Claims{Session: id, IssuedAt: time.Now().Unix()}
}

func denied(c revocation.Checker, claims revocation.Claims) bool {
	return errors.Is(c.Check(context.Background(), claims), revocation.ErrRevoked)
}

// memory is a redisstore.Memory as the key ring's store would keep it.
type memory struct {
	mu    sync.Mutex
	epoch string
}

func (m *memory) LastEpoch(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch, nil
}

func (m *memory) RememberEpoch(_ context.Context, epoch string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch = epoch
	return nil
}

// ownMemory is one that no other authd has.
type ownMemory struct{ *memory }

func names(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

// startMirror runs a mirror until the test ends.
func startMirror(t testing.TB, feed revocation.Feed) *revocation.Mirror {
	t.Helper()
	m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: bound})
	runMirror(t, m, feed)
	return m
}

// runMirror has a mirror follow a feed until the test ends.
func runMirror(t testing.TB, m *revocation.Mirror, feed revocation.Feed) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var jobs errgroup.Group
	jobs.Go(func() error { return m.Run(ctx, feed) })
	t.Cleanup(func() {
		cancel()
		if err := jobs.Wait(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
