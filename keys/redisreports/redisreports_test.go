package redisreports_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
	"github.com/authd-project/authd/keys/redisreports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.RedisDialing()) }

// testTimeout is generous, so that a busy machine is not taken for a broken server.
const testTimeout = 10 * time.Second

func connect(t testing.TB, o redis.Options) *redis.Client {
	t.Helper()
	o.ContextTimeoutEnabled = true
	client := redis.NewClient(&o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// restricted connects as a user with only the rights that the package comment lists.
func restricted(t testing.TB, addr string) *redis.Client {
	t.Helper()
	source, err := os.ReadFile("redisreports.go")
	if err != nil {
		t.Fatal(err)
	}
	rules := []any{"ACL", "SETUSER", "reports", "on", ">secret", "resetkeys", "-@all"}
	for line := range strings.Lines(string(source)) {
		if rest, found := strings.CutPrefix(line, "//\t~"); found {
			for _, rule := range strings.Fields("~" + rest) {
				rules = append(rules, rule)
			}
		}
	}
	if err := connect(t, redis.Options{Addr: addr}).Do(t.Context(), rules...).Err(); err != nil {
		t.Fatal(err)
	}
	return connect(t, redis.Options{Addr: addr, Username: "reports", Password: "secret"})
}

func newReports(t testing.TB, c redisreports.Config) *redisreports.Reports {
	t.Helper()
	c.Timeout = testTimeout
	r, err := redisreports.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// With only the rights that the package comment lists.
func TestReports(t *testing.T) {
	addr := testenv.Redis(t)
	admin := connect(t, redis.Options{Addr: addr})
	keystest.RunReports(t, func(t testing.TB, now time.Time, keepFor time.Duration, most int) (keys.Reports, func(time.Time) keys.Reports) {
		var clock atomic.Pointer[time.Time]
		r := newReports(t, redisreports.Config{
			Client: restricted(t, addr), KeepFor: keepFor, Most: most, Now: func() time.Time { return *clock.Load() },
		})
		lose := func(now time.Time) keys.Reports {
			clock.Store(&now)
			if err := admin.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			return r
		}
		lose(now)
		if _, err := r.Census(t.Context(), keys.Question{}); err != nil { // it begins to be complete
			t.Fatal(err)
		}
		return r, lose
	})
}

// A server that has restarted may lack its latest writes, also one with all the others from before.
func TestRestartBeginsAnew(t *testing.T) {
	server := testenv.NewRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	client := connect(t, redis.Options{Addr: server.Addr})
	now := time.UnixMilli(1_900_000_000_000)
	r := newReports(t, redisreports.Config{Client: client, KeepFor: time.Hour, Now: func() time.Time { return now }})
	put := func() error { return r.Put(t.Context(), keys.Report{Verifier: "v", Held: "new", From: "f", At: now}) }
	if err := put(); err != nil {
		t.Fatal(err)
	}
	began := now
	server.Kill()
	now = now.Add(time.Minute)
	if err := put(); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("without a server Put answers %v", err)
	}
	if _, err := r.Census(t.Context(), keys.Question{}); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("without a server Census answers %v", err)
	}
	server.Restart()
	again := now
	err := r.Put(t.Context(), keys.Report{Verifier: "another", At: again})
	now = now.Add(time.Minute)
	c, censusErr := r.Census(t.Context(), keys.Question{Held: "new", After: began.Add(-1)})
	if late := c.Since.Sub(again); errors.Join(err, censusErr) != nil || c.Verifiers != 2 || late < 0 || late > time.Second {
		t.Errorf("got %+v, %v; want the verifier from before too, and complete since %v", c, errors.Join(err, censusErr), again)
	}
}

// A primary whose replicas do not answer may have been replaced, and others may report to another: it is not believed.
func TestCutOffPrimaryIsNotBelieved(t *testing.T) {
	primary := testenv.NewRedis(t)
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := testenv.NewRedis(t, "--replicaof", host+" "+port)
	client := connect(t, redis.Options{Addr: primary.Addr})
	r, err := redisreports.New(redisreports.Config{Client: client, KeepFor: time.Hour, Replicas: 1, Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	report := keys.Report{Verifier: "v", At: time.Now()}
	for deadline := time.Now().Add(time.Minute); r.Put(t.Context(), report) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the replica does not follow")
		}
	}
	if _, err := r.Census(t.Context(), keys.Question{}); err != nil {
		t.Error(err)
	}
	replica.Freeze()
	defer replica.Thaw()
	if _, err := r.Census(t.Context(), keys.Question{}); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("Census answers %v", err)
	}
	if err := r.Put(t.Context(), report); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("Put answers %v", err)
	}
}

// Where nobody has kept reports for a while, because authd did not run or was told not to, they are not complete since
// before that; and nothing is left behind.
func TestUnusedReportsBeginAnew(t *testing.T) {
	client := connect(t, redis.Options{Addr: testenv.Redis(t)})
	const keepFor = 300 * time.Millisecond
	r := newReports(t, redisreports.Config{Client: client, KeepFor: keepFor})
	if err := r.Put(t.Context(), keys.Report{Verifier: "v", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	kept := client.Keys(t.Context(), "*").Val()
	if len(kept) != 3 {
		t.Errorf("it keeps %q", kept)
	}
	for deadline := time.Now().Add(time.Minute); client.DBSize(t.Context()).Val() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q are left behind", client.Keys(t.Context(), "*").Val())
		}
	}
	before := time.Now()
	c, err := r.Census(t.Context(), keys.Question{})
	if err != nil || c.Since.Before(before) {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestConfig(t *testing.T) {
	client := connect(t, redis.Options{Addr: "127.0.0.1:1"})
	for name, c := range map[string]redisreports.Config{
		"no client":     {KeepFor: time.Hour},
		"no time":       {Client: client},
		"negative most": {Client: client, KeepFor: time.Hour, Most: -1},
	} {
		if _, err := redisreports.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
