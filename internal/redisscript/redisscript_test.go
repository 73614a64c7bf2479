package redisscript_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testTimeout = 10 * time.Second

// appendScript appends to the value of its key, and answers how long it is then.
func appendScript() *redis.Script {
	return redis.NewScript(`return redis.call("APPEND", KEYS[1], ARGV[1])`)
}

func connect(t *testing.T, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newRunner(t *testing.T, client redis.UniversalClient, replicas int, timeout time.Duration) *redisscript.Runner {
	t.Helper()
	r, err := redisscript.New(redisscript.Config{Client: client, Replicas: replicas, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each call runs exactly once, whether or not the server has the script, and the answers come in order.
func TestRunAll(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	r := newRunner(t, client, 0, testTimeout)
	script, other := appendScript(), redis.NewScript(`return redis.call("APPEND", KEYS[1], ARGV[1] .. ARGV[1])`)
	for round := range 3 {
		if round == 2 {
			if err := client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Run(t.Context(), redisscript.Call{Script: other, Key: "other", Args: []any{"x"}}); err != nil {
				t.Fatal(err) // now the server has one of the two
			}
		}
		var calls []redisscript.Call
		for i := range 1200 {
			c := redisscript.Call{Script: script, Key: fmt.Sprint("key", i), Args: []any{strings.Repeat("x", i%7+1)}}
			if i%2 == 1 {
				c.Script = other
			}
			calls = append(calls, c)
		}
		answers, err := r.RunAll(t.Context(), calls...)
		if err != nil || len(answers) != len(calls) {
			t.Fatalf("round %d: %d answers, %v", round, len(answers), err)
		}
		for i, answer := range answers {
			if length, err := answer.Int(); err != nil || length != (round+1)*(i%7+1)*(i%2+1) {
				t.Fatalf("round %d, call %d: %d, %v", round, i, length, err)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	r := newRunner(t, connect(t, testenv.Redis(t)), 0, testTimeout)
	call := redisscript.Call{Script: redis.NewScript(`return redis.error_reply("ERR on purpose")`), Key: "key"}
	for _, n := range []int{1, 3} { // the server gets the script with the first
		calls := make([]redisscript.Call, n)
		for i := range calls {
			calls[i] = call
		}
		if _, err := r.RunAll(t.Context(), calls...); err == nil || !strings.Contains(err.Error(), "on purpose") {
			t.Errorf("%d calls: %v, want the script's error", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Run(ctx, call); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// A server that does not answer is a deadline exceeded, and says what it was doing.
func TestDeadline(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and is never read from
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRunner(t, connect(t, l.Addr().String()), 0, 50*time.Millisecond)
	_, err = r.Run(t.Context(), redisscript.Call{Script: appendScript(), Key: "key", Args: []any{"x"}})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "running a script") {
		t.Errorf("%v, want a deadline exceeded while running a script", err)
	}
}

// What the cluster moved is found where it is now, and runs there, although the client's map of the cluster is old.
func TestConfirmFollowsMovedSlots(t *testing.T) {
	first, second := connect(t, clusterNode(t)), connect(t, clusterNode(t))
	const key = "{a}" // of slot 15495
	host, port, _ := net.SplitHostPort(second.Options().Addr)
	for _, err := range []error{
		first.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(),
		first.ClusterMeet(t.Context(), host, port).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range []*redis.Client{first, second} {
		await(t, "the nodes know each other", func() bool {
			return strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_slots_ok:16384") &&
				strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
		})
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{first.Options().Addr}, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	r := newRunner(t, client, 1, 2*time.Second)
	confirm := func() {
		t.Helper()
		_, err := r.Confirm(t.Context(), redisscript.Call{Script: appendScript(), Key: key, Args: []any{"x"}})
		if !errors.Is(err, redisscript.ErrUnconfirmed) { // there are no replicas, but it ran
			t.Fatal(err)
		}
	}
	confirm()
	first.Del(t.Context(), key)
	id := second.ClusterMyID(t.Context()).Val()
	for _, node := range []*redis.Client{second, first} {
		if err := node.Do(t.Context(), "CLUSTER", "SETSLOT", 15495, "NODE", id).Err(); err != nil {
			t.Fatal(err)
		}
	}
	confirm()
	if got := second.Get(t.Context(), key).Val(); got != "x" {
		t.Errorf("the slot's new node has %q, want x", got)
	}
}

func clusterNode(t *testing.T) (addr string) {
	t.Helper()
	return testenv.Redis(t, "--cluster-enabled", "yes")
}

// await asks a server again and again until what is true.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for !is() {
		if ctx.Err() != nil {
			t.Fatalf("not within %v: %s", testTimeout, what)
		}
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	deaf := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	ring := redis.NewRing(&redis.RingOptions{ContextTimeoutEnabled: true})
	t.Cleanup(func() { _, _ = deaf.Close(), ring.Close() })
	good := redisscript.Config{Client: connect(t, "127.0.0.1:1"), Replicas: 1}
	if _, err := redisscript.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*redisscript.Config){
		"no client":           func(c *redisscript.Config) { c.Client = nil },
		"nil client":          func(c *redisscript.Config) { c.Client = (*redis.Client)(nil) },
		"ring":                func(c *redisscript.Config) { c.Client = ring },
		"client ignores ctx":  func(c *redisscript.Config) { c.Client = deaf },
		"negative replicas":   func(c *redisscript.Config) { c.Replicas = -1 },
		"negative timeout":    func(c *redisscript.Config) { c.Replicas, c.Timeout = 0, -1 },
		"no time for replica": func(c *redisscript.Config) { c.Timeout = 599 * time.Millisecond },
	} {
		c := good
		spoil(&c)
		if _, err := redisscript.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
