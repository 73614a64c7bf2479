package election

import (
	"context"
	"time"
)

// Elector runs work on at most one process at a time. Methods may be called concurrently; Lead once per process.
type Elector interface {
	// Lead calls work once for each leadership won, again and again until ctx ends or work returns an error. work's ctx
	// ends no later than the earliest moment another candidate could win; Lead waits for work to return, and only then
	// gives the lease up. It returns nil when ctx ended.
	Lead(ctx context.Context, work func(ctx context.Context) error) error
	// Leader tells who led when last seen, and when that was; the name is empty when nobody leads or the sight is
	// older than the lease.
	Leader(ctx context.Context) (holder string, asOf time.Time, err error)
}
