package ratelimit

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrUnavailable means that the limiter's store did not answer, so that nobody knows whether the limit is reached.
	// Refuse the request (503): letting it pass would switch every limit off for whoever can overload the store.
	ErrUnavailable = errors.New("rate limiter unavailable")
	// ErrUnits refuses a number of units that no state of the key could ever admit: less than one, or more than
	// [Policy.Capacity].
	ErrUnits = errors.New("units out of range")
)

// Limiter counts units against keys under one policy. Methods may be called concurrently and honour ctx; errors caused
// by the store wrap [ErrUnavailable].
type Limiter interface {
	// Allow takes n units of the key's allowance, all or none. After an error the units may have been taken.
	Allow(ctx context.Context, key string, n int) (Decision, error)
	// Refund gives back what a decision of the same key took, as far as it still counts. A decision must not be
	// refunded twice; one that took nothing refunds nothing. Nor does one of a leaky bucket: those behind it have been
	// told their times.
	Refund(ctx context.Context, key string, d Decision) error
	// Forget makes the key one never seen.
	Forget(ctx context.Context, key string) error
	// Policy is what the limiter enforces.
	Policy() Policy
}

// Decision is the answer to one Allow. Durations count from the moment of the decision by the store's clock; they are
// whole milliseconds, rounded up, but for Delay.
type Decision struct {
	Allowed    bool
	Remaining  int           // units that one more call could take at this moment
	ResetAfter time.Duration // until the whole allowance is there again if nothing more is taken
	RetryAfter time.Duration // when refused: until the same call is admitted if nothing more is taken; else 0
	Delay      time.Duration // when allowed by a leaky bucket: how long to wait before acting on it; else 0

	taken int64 // units, for Refund
	at    int64 // State.At when they were taken: which window a refund belongs to
}

// Receipt is what a store needs to refund the decision: how many units it took, and the [State.At] it left behind.
func (d Decision) Receipt() (units int64, at int64) { return d.taken, d.at }

// Wait returns after Delay, or with ctx's error when that ends before.
func (d Decision) Wait(ctx context.Context) error {
	if d.Delay <= 0 {
		return nil
	}
	timer := time.NewTimer(d.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
