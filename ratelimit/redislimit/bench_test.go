package redislimit_test

import (
	"testing"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/ratelimit/redislimit"
)

// BenchmarkLimiter is one round trip to a server on loopback; the bare round trip of a GET is beside it.
func BenchmarkLimiter(b *testing.B) {
	client := testenv.ConnectRedis(b, testenv.Redis(b))
	b.Run("GET", func(b *testing.B) {
		for b.Loop() {
			client.Get(b.Context(), "nothing")
		}
	})
	for _, text := range []string{
		"fixed-window 1000/1s", "sliding-window 1000/1s", "token-bucket 1000/1s", "leaky-bucket 1000/1s burst 100",
	} {
		b.Run(text, func(b *testing.B) {
			p, err := ratelimit.ParsePolicy(text)
			if err != nil {
				b.Fatal(err)
			}
			l, err := redislimit.New(redislimit.Config{Client: client, Name: "bench", Policy: p, Timeout: testTimeout})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := l.Allow(b.Context(), "key", 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
