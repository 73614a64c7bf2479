package revocation_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
)

const million = 1_000_000

// millionEntries are sessions that live for a century.
var millionEntries = sync.OnceValue(func() []revocation.Entry {
	rng := rand.New(rand.NewPCG(1, 2))
	entries := make([]revocation.Entry, million)
	for i := range entries {
		entries[i] = randomEntry(rng, 1<<32-1)
	}
	return entries
})

// fullMirror is fresh for ever, as the clock it keeps does not move the bound.
func fullMirror(b *testing.B) *revocation.Mirror {
	b.Helper()
	m, feed := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: time.Hour, History: -1}), make(tape)
	c := run(b, m, feed)
	if err := c.play(revocation.Batch{Entries: millionEntries(), Position: at(million), AsOf: time.Now()}); err != nil {
		b.Fatal(err)
	}
	// One entry on every other axis, so that a check looks at all of them.
	m.Merge(
		revocation.Entry{Kind: revocation.Token, ID: revocation.ID{1}, Expires: 1<<32 - 1},
		revocation.Entry{Kind: revocation.Subject, ID: alice, NotBefore: 1, Expires: 1<<32 - 1},
		revocation.Entry{Kind: revocation.Client, ID: shop, NotBefore: 1, Expires: 1<<32 - 1},
		revocation.Entry{Kind: revocation.Key, ID: revocation.ID{1}, Expires: 1<<32 - 1},
		revocation.Entry{Kind: revocation.Everything, NotBefore: 1, Expires: 1<<32 - 1},
	)
	return m
}

// BenchmarkCheck asks a mirror of a million sessions about all axes of ever different tokens.
func BenchmarkCheck(b *testing.B) {
	m := fullMirror(b)
	rng := rand.New(rand.NewPCG(3, 4))
	claims := func(known bool) []revocation.Claims {
		cs := make([]revocation.Claims, 1<<16)
		for i := range cs {
			e := randomEntry(rng, 1)
			cs[i] = revocation.Claims{
				Token: randomEntry(rng, 1).ID, Session: e.ID, Subject: randomEntry(rng, 1).ID, Client: shop,
				Key: revocation.ID{2}, IssuedAt: 1 << 30,
			}
			if known {
				cs[i].Session = millionEntries()[rng.IntN(million)].ID
			}
		}
		return cs
	}
	for _, test := range []struct {
		name  string
		known bool
	}{{"miss", false}, {"hit", true}} {
		cs := claims(test.known)
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := b.Context()
			for i := 0; b.Loop(); i++ {
				if err := m.Check(ctx, cs[i%len(cs)]); (err != nil) != test.known {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMerge fills a mirror with a million sessions, growth included.
func BenchmarkMerge(b *testing.B) {
	entries := millionEntries()
	var bytes float64
	for b.Loop() {
		before := heap()
		m := revocation.NewMirror(revocation.MirrorConfig{History: -1})
		m.Merge(entries...)
		bytes = float64(heap()-before) / million
		runtime.KeepAlive(m)
	}
	b.ReportMetric(bytes, "bytes/entry")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/million*1e9, "ns/entry")
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkCheckDuringBurst measures single checks while another goroutine merges as fast as it can and the table is
// rebuilt under the readers.
func BenchmarkCheckDuringBurst(b *testing.B) {
	m := fullMirror(b)
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for rng := rand.New(rand.NewPCG(5, 6)); !stop.Load(); {
			m.Merge(randomEntry(rng, 1<<32-1))
		}
	})
	ctx := b.Context()
	c := revocation.Claims{Subject: alice, Client: shop, IssuedAt: 1 << 30}
	var took []time.Duration
	for rng := rand.New(rand.NewPCG(7, 8)); b.Loop(); {
		c.Session = randomEntry(rng, 1).ID
		start := time.Now()
		if err := m.Check(ctx, c); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	stop.Store(true)
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*999/1000].Nanoseconds()), "p99.9-ns")
}
