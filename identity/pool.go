package identity

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// pool bounds how many hashes run at once and how many wait. Those who wait are served in the order they came.
type pool struct {
	slots    chan struct{} // holds one element for each hash that runs
	wait     time.Duration // the longest anybody waits
	maxQueue int64
	queued   atomic.Int64
	refused  atomic.Uint64
}

// enter waits for a slot. ErrBusy at once when the queue is full, and after p.wait otherwise; the context's error when
// ctx ends first. leave must be called after nil.
func (p *pool) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("waiting to hash a password: %w", err)
	}
	// No overtaking: while anybody waits the channel is full, since leave hands its slot to the first who waits.
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	if p.queued.Add(1) > p.maxQueue {
		p.queued.Add(-1)
		p.refused.Add(1)
		return ErrBusy
	}
	defer p.queued.Add(-1)
	timeout := time.NewTimer(p.wait)
	defer timeout.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timeout.C:
		p.refused.Add(1)
		return ErrBusy
	case <-ctx.Done():
		return fmt.Errorf("waiting to hash a password: %w", ctx.Err())
	}
}

func (p *pool) leave() { <-p.slots }
