package redisstore_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// BenchmarkDeniedElsewhere revokes 100 sessions a second while 20 other processes hold mirrors. It reports how long
// after Add has returned each of them denies (zero where it did before), and how long Add took.
func BenchmarkDeniedElsewhere(b *testing.B) {
	const mirrors, period = 20, 10 * time.Millisecond
	addr := testenv.Redis(b)
	a := startAuthd(b, redisstore.Config{Client: connect(b, addr), Memory: &memory{}})
	eventually(b, "live set", isLive(a))
	var watchers []*watcher
	for range mirrors {
		watchers = append(watchers, startWatcher(b, addr))
	}
	for _, w := range watchers {
		w.line() // it is ready
	}
	acked := make([]time.Time, b.N)
	var calls []float64
	tick := time.NewTicker(period)
	defer tick.Stop()
	for i := range b.N {
		<-tick.C
		e := revocation.Entry{Kind: revocation.Session, ID: benchID(i), Expires: time.Now().Add(time.Hour).Unix()}
		begun := time.Now()
		if err := a.store.Add(b.Context(), e); err != nil {
			b.Fatal(err)
		}
		acked[i] = time.Now()
		calls = append(calls, ms(acked[i].Sub(begun)))
	}
	var late []float64
	for _, w := range watchers {
		for range b.N {
			n, at, _ := strings.Cut(w.line(), " ")
			i, err1 := strconv.Atoi(n)
			denied, err2 := strconv.ParseInt(at, 10, 64)
			if err1 != nil || err2 != nil {
				b.Fatal(err1, err2)
			}
			late = append(late, max(0, ms(time.Duration(denied-acked[i].UnixNano()))))
		}
	}
	report(b, late, "deny")
	report(b, calls, "add")
	b.ReportMetric(0, "ns/op") // it is the pace
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

func report(b *testing.B, samples []float64, name string) {
	b.Helper()
	slices.Sort(samples)
	at := func(q float64) float64 { return samples[min(len(samples)-1, int(q*float64(len(samples))))] }
	b.ReportMetric(at(0.5), name+"-p50-ms")
	b.ReportMetric(at(0.99), name+"-p99-ms")
	b.ReportMetric(at(1), name+"-max-ms")
}

// benchID is the id of the session with this number, which it can be read from.
func benchID(i int) (id revocation.ID) {
	copy(id[:], fmt.Sprintf("bench %010d", i))
	return id
}

// watchVariable holds the server's address in processes that watch for a benchmark.
const watchVariable = "AUTHD_TEST_WATCH_REDIS"

// watcher is a process with a mirror, which prints when it denies what.
type watcher struct {
	b     *testing.B
	lines *bufio.Scanner
}

func startWatcher(b *testing.B, addr string) *watcher {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), watchVariable+"="+addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // "signal: killed"
	})
	return &watcher{b, bufio.NewScanner(out)}
}

func (w *watcher) line() string {
	w.b.Helper()
	if !w.lines.Scan() {
		w.b.Fatalf("a watcher ended: %v", w.lines.Err())
	}
	return w.lines.Text()
}

// watch is what a watcher's process does.
func watch(addr string) error {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	defer client.Close()
	feed, err := redisstore.NewFeed(client, redisstore.FeedConfig{})
	if err != nil {
		return err
	}
	m := revocation.NewMirror(revocation.MirrorConfig{})
	ready := false
	return m.Run(context.Background(), watched{feed, func(b revocation.Batch) {
		now := time.Now().UnixNano()
		for _, e := range b.Entries {
			n, err := strconv.Atoi(string(e.ID[len("bench "):]))
			if err == nil && denied(m, revocation.Claims{Session: e.ID, IssuedAt: math.MaxInt64}) {
				fmt.Println(n, now)
			}
		}
		if !ready && !b.AsOf.IsZero() {
			ready = true
			fmt.Println("ready")
		}
	}})
}

// watched is a feed that tells when a batch has been applied.
type watched struct {
	revocation.Feed
	applied func(revocation.Batch)
}

func (w watched) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	return w.Feed.Follow(ctx, from, func(b revocation.Batch) error {
		err := apply(b)
		w.applied(b)
		return err
	})
}

// million sessions, revoked through an authd: the set that the benchmarks below read.
func million(b *testing.B) (client *redis.Client, a *authd) {
	b.Helper()
	client = connect(b, testenv.Redis(b))
	a = startAuthd(b, redisstore.Config{Client: client, Memory: &memory{}, Timeout: time.Minute})
	eventually(b, "live set", isLive(a))
	entries := make([]revocation.Entry, 1_000_000)
	expires := time.Now().Add(time.Hour).Unix()
	for i := range entries {
		entries[i] = revocation.Entry{Kind: revocation.Session, Expires: expires + int64(i%600)}
		_, _ = rand.Read(entries[i].ID[:])
	}
	if err := a.store.Add(b.Context(), entries...); err != nil {
		b.Fatal(err)
	}
	return client, a
}

// BenchmarkCatchUp boots a mirror on a million entries. slowest-ms is the longest that the server was busy with one
// command meanwhile; bytes/entry is what the set takes in Redis, the stream of changes included.
func BenchmarkCatchUp(b *testing.B) {
	client, a := million(b)
	a.stop()
	base := client.Info(b.Context(), "memory").Val()
	if err := client.ConfigSet(b.Context(), "slowlog-log-slower-than", "500").Err(); err != nil {
		b.Fatal(err)
	}
	if err := client.SlowLogReset(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		feed, err := redisstore.NewFeed(client, redisstore.FeedConfig{})
		if err != nil {
			b.Fatal(err)
		}
		m := revocation.NewMirror(revocation.MirrorConfig{History: -1, MaxStaleness: time.Minute})
		ctx, cancel := context.WithCancel(b.Context())
		err = m.Run(ctx, watched{feed, func(batch revocation.Batch) {
			if !batch.AsOf.IsZero() {
				cancel()
			}
		}})
		if err != nil {
			b.Fatal(err)
		}
		if n := m.Status().Entries[revocation.Session]; n != 1_000_000 {
			b.Fatalf("the mirror holds %d entries", n)
		}
	}
	b.StopTimer()
	var slowest time.Duration
	for _, s := range client.SlowLogGet(b.Context(), -1).Val() {
		slowest = max(slowest, s.Duration)
	}
	b.ReportMetric(ms(slowest), "slowest-ms")
	for line := range strings.Lines(base) {
		if v, ok := strings.CutPrefix(line, "used_memory_dataset:"); ok {
			bytes, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(bytes/1_000_000, "bytes/entry")
		}
	}
}

// BenchmarkWriteBack empties the server and has an authd write a million entries back.
func BenchmarkWriteBack(b *testing.B) {
	client, a := million(b)
	eventually(b, "mirror that holds everything", func() bool {
		return a.mirror.Status().Entries[revocation.Session] == 1_000_000
	})
	for b.Loop() {
		was := a.store.Stats().Epoch
		if err := client.FlushAll(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
		eventually(b, "live set", func() bool { s := a.store.Stats(); return s.Epoch != was && s.Live })
	}
}

// BenchmarkOnlineCheck asks the server about tokens: from one goroutine, and from 64 that share round trips or do not.
func BenchmarkOnlineCheck(b *testing.B) {
	client := connect(b, testenv.Redis(b))
	a := startAuthd(b, redisstore.Config{Client: client, Memory: &memory{}})
	eventually(b, "live set", isLive(a))
	checker, alone := newChecker(b, client), newChecker(b, client)
	alone.Alone()
	b.Run("one", func(b *testing.B) { askFrom(b, 1, checker) })
	b.Run("64-batched", func(b *testing.B) { askFrom(b, 64, checker) })
	b.Run("64-alone", func(b *testing.B) { askFrom(b, 64, alone) })
}

func askFrom(b *testing.B, goroutines int, checker *redisstore.Checker) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all errgroup.Group
	b.ResetTimer()
	for range goroutines {
		all.Go(func() error {
			for left.Add(-1) >= 0 {
				if err := checker.Check(b.Context(), live); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		b.Fatal(err)
	}
}
