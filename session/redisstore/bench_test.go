package redisstore

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
)

// BenchmarkRefresh rotates sessions of clients that refresh at the same time. redis-B is what the server holds for the
// only session of a subject.
func BenchmarkRefresh(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			admin := testenv.ConnectRedis(b, testenv.Redis(b))
			client := redis.NewClient(&redis.Options{
				Addr: admin.Options().Addr, PoolSize: clients, ContextTimeoutEnabled: true,
			})
			b.Cleanup(func() { _ = client.Close() })
			s := newStore(b, Config{Client: client})
			for i := range clients {
				_, err := s.Create(b.Context(), session.Session{
					ID: session.ID{byte(i)}, Subject: fmt.Sprintf("user-%08d", i), Username: "somebody@example.com",
					ClientID: "web", Scope: "read write", AMR: []string{"pwd"}, Address: "192.0.2.1",
					UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			held := admin.MemoryUsage(b.Context(), recordKey(session.ID{})).Val() +
				admin.MemoryUsage(b.Context(), indexKey("user-00000000")).Val()
			l := session.Limits{Grace: time.Nanosecond}.WithDefaults() // it is over at once
			var next atomic.Uint32
			b.SetParallelism(clients) // times GOMAXPROCS; those beyond the clients end at once
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := next.Add(1) - 1
				if int(i) >= clients {
					return
				}
				for generation := uint64(1); pb.Next(); generation++ {
					if _, _, err := s.Refresh(b.Context(), session.ID{byte(i)}, generation, session.Use{}, l); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(held), "redis-B/session")
		})
	}
}

// BenchmarkParseRecord is what a process spends on reading the answer to a refresh.
func BenchmarkParseRecord(b *testing.B) {
	described, err := describe(session.Session{
		Subject: "0yVhGkH3RkqC1FGsvbGtLw", Username: "somebody@example.com", ClientID: "web", Scope: "read write",
		AMR: []string{"pwd"}, Address: "192.0.2.1", AuthTime: time.Unix(1_700_000_000, 0),
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	})
	if err != nil {
		b.Fatal(err)
	}
	stored := "live 17 1764153000000000 3 1764150000000000 1764153000000000\n" + described
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseRecord(session.ID{1}, stored); err != nil {
			b.Fatal(err)
		}
	}
}
