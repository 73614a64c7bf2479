package redisstore

import (
	"context"
	"time"
)

// Sweep forgets expired entries, and changes older than keep.
func (s *Store) Sweep(ctx context.Context, keep time.Duration) error { return s.sweep(ctx, keep) }
