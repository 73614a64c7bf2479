package revocation_test

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
)

const manyStreams = 100_000

// watching returns a fresh mirror on which so many streams are open, of as many sessions and a hundred clients, and what
// counts those that have ended.
func watching(b *testing.B, streams int) (*revocation.Mirror, *atomic.Int64) {
	b.Helper()
	m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: time.Hour, History: -1})
	proven(b, run(b, m, make(tape)))
	var ended atomic.Int64
	for i := range streams {
		m.Watch(revocation.Watch{
			Claims: streamClaims(uint64(i)), Expires: inAnHour() + int64(i%600), Ended: func(error) { ended.Add(1) },
		})
	}
	return m, &ended
}

func streamClaims(i uint64) revocation.Claims {
	id := func(kind byte, n uint64) (id revocation.ID) {
		id[15] = kind
		binary.LittleEndian.PutUint64(id[:8], n*0x9e3779b97f4a7c15)
		return id
	}
	return revocation.Claims{
		Token: id(1, i), Session: id(2, i), Subject: id(3, i), Client: id(4, i%100), Key: id(5, 0), IssuedAt: 1000,
	}
}

// What a change costs that ends no stream, with none open and with many.
func BenchmarkMergeBesideStreams(b *testing.B) {
	for name, streams := range map[string]int{"none": 0, "100000": manyStreams} {
		b.Run(name, func(b *testing.B) {
			m, _ := watching(b, streams)
			rng := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				m.Merge(randomEntry(rng, 1<<32-1))
			}
		})
	}
}

// What a stream costs that opens and ends while many are open.
func BenchmarkWatch(b *testing.B) {
	m, _ := watching(b, manyStreams)
	i := uint64(manyStreams)
	b.ReportAllocs()
	for b.Loop() {
		i++
		m.Watch(revocation.Watch{Claims: streamClaims(i), Expires: inAnHour(), Ended: func(error) {}})()
	}
}

// How long it takes to end one stream of many, and all of them.
func BenchmarkEndStreams(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		m, _ := watching(b, manyStreams)
		i := uint64(manyStreams)
		for b.Loop() {
			i++
			ended := make(chan struct{})
			c := streamClaims(i)
			m.Watch(revocation.Watch{Claims: c, Expires: inAnHour(), Ended: func(error) { close(ended) }})
			m.Merge(revocation.Entry{Kind: revocation.Session, ID: c.Session, Expires: 1<<32 - 1})
			<-ended
		}
	})
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			m, ended := watching(b, manyStreams)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/manyStreams, "B/stream")
			b.StartTimer()
			m.Merge(revocation.Entry{Kind: revocation.Everything, NotBefore: 2000, Expires: 1<<32 - 1})
			for ended.Load() < manyStreams {
				runtime.Gosched()
			}
		}
	})
}
