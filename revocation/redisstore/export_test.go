package redisstore

import (
	"context"
	"time"
)

// Sweep forgets expired entries, and changes older than keep.
func (s *Store) Sweep(ctx context.Context, keep time.Duration) error { return s.sweep(ctx, keep) }

// The bounds of a [Checker].
const (
	MaxFlights = maxFlights
	MaxWaiting = maxWaiting
)

// Waiting returns how many checks have not been sent yet.
func (c *Checker) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// UnderWay returns how many round trips are.
func (c *Checker) UnderWay() int { return len(c.slots) }

// Alone has each check make a round trip of its own, as many at once as there are checks.
func (c *Checker) Alone() { c.perFlight, c.slots = 1, make(chan struct{}, maxWaiting) }
