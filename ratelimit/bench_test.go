package ratelimit_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/authd-project/authd/ratelimit"
)

func benchmarkPolicies() []string {
	return []string{
		"fixed-window 1000000/24h", "sliding-window 1000000/24h", "token-bucket 1000000/24h", "leaky-bucket 1000000/24h burst 999",
	}
}

// BenchmarkMemory is one limiter with 10,000 keys in use, called by as many goroutines as there are processors.
func BenchmarkMemory(b *testing.B) {
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprint("2001:db8:", i, "::/64")
	}
	for _, text := range benchmarkPolicies() {
		b.Run(text, func(b *testing.B) {
			m := newMemory(b, ratelimit.MemoryConfig{Policy: policy(b, text)})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := m.Allow(b.Context(), keys[i%len(keys)], 1); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkMemoryFlood is a full table that meets a new key with each call.
func BenchmarkMemoryFlood(b *testing.B) {
	m := newMemory(b, ratelimit.MemoryConfig{Policy: policy(b, "fixed-window 10/1h"), MaxKeys: 1 << 14})
	key := make([]byte, 8)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for j := range key {
			key[j] = byte(i >> (8 * j))
		}
		if _, err := m.Allow(b.Context(), string(key), 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoginGuard(b *testing.B) {
	d := newDoor(b)
	address := netip.MustParseAddr("2001:db8::1")
	b.ReportAllocs()
	for b.Loop() {
		a, err := d.guard.Before(b.Context(), "alice", address)
		if err != nil || !a.Allowed {
			b.Fatal(a, err)
		}
		if err := d.guard.Succeeded(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}
