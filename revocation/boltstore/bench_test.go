package boltstore_test

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/boltstore"
)

// BenchmarkAdd revokes one session at a time, synced to disk each, by so many writers.
func BenchmarkAdd(b *testing.B) {
	for _, writers := range []int{1, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			store, _ := open(b, filepath.Join(b.TempDir(), "authd.db"), boltstore.Options{})
			b.SetParallelism(writers) // goroutines for each processor
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					e := revocation.Entry{Kind: revocation.Session, Expires: inAnHour()}
					_, _ = rand.Read(e.ID[:])
					if err := store.Add(b.Context(), e); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
