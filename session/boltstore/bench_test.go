package boltstore

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/authd-project/authd/session"
)

// BenchmarkRefresh measures durable refreshes; concurrent ones share the sync.
func BenchmarkRefresh(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s, _ := open(b, filepath.Join(b.TempDir(), "authd.db"), Options{})
			l := session.Limits{MaxReplays: 1 << 62}.WithDefaults()
			b.SetParallelism(writers) // goroutines per processor
			b.RunParallel(func(pb *testing.PB) {
				var id session.ID
				rand.Read(id[:])
				if _, err := s.Create(b.Context(), session.Session{ID: id, Subject: "alice"}); err != nil {
					b.Error(err)
					return
				}
				for pb.Next() {
					if _, _, err := s.Refresh(b.Context(), id, 1, session.Use{}, l); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
