package ratelimit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// defaultPause is how long a shared limiter that failed is left alone: one request a second pays for asking it again.
const defaultPause = time.Second

// FallbackConfig configures a [Fallback].
type FallbackConfig struct {
	Name   string  // of the limit, for the log
	Shared Limiter // asked first; required
	Local  Limiter // of the same policy, asked while Shared is unavailable; required
	// Pause is how long Shared is left alone after it failed; default 1 s.
	Pause time.Duration
	Log   *slog.Logger     // told when Shared fails and when it is back; default none
	Now   func() time.Time // default time.Now
}

// Fallback counts in a limiter that many processes share, and while that is unavailable in one of this process. A limit
// then admits at most its allowance more for each process: it is never switched off, and what it guards does not depend
// on the shared store. That suits limits which protect a server from load; the failures of a [LoginGuard] must be counted
// where everybody sees them, so it has no fallback.
//
// Methods may be called concurrently.
type Fallback struct {
	c FallbackConfig

	mu   sync.Mutex
	down bool
	next time.Time // while down: when Shared is asked again
}

// NewFallback returns a limiter that trusts Shared until it fails. It fails only for an invalid configuration.
func NewFallback(c FallbackConfig) (*Fallback, error) {
	switch {
	case c.Shared == nil || c.Local == nil:
		return nil, errors.New("rate limit fallback: Shared and Local are required")
	case c.Shared.Policy() != c.Local.Policy():
		return nil, errors.New("rate limit fallback: Shared and Local must have the same policy")
	case c.Pause < 0:
		return nil, errors.New("rate limit fallback: the pause must not be negative")
	}
	if c.Pause == 0 {
		c.Pause = defaultPause
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Fallback{c: c}, nil
}

// Policy is what both limiters enforce.
func (f *Fallback) Policy() Policy { return f.c.Local.Policy() }

// Allow is as of [Limiter]. It fails only for a wrong number of units, or when ctx ends.
func (f *Fallback) Allow(ctx context.Context, key string, n int) (Decision, error) {
	if !f.ask() {
		return f.c.Local.Allow(ctx, key, n)
	}
	d, err := f.c.Shared.Allow(ctx, key, n)
	switch {
	case err == nil:
		f.answered(ctx)
		return d, nil
	case !errors.Is(err, ErrUnavailable) || ctx.Err() != nil: // says nothing about the store
		return d, err
	}
	f.failed(ctx, err)
	return f.c.Local.Allow(ctx, key, n)
}

// ask tells whether to ask Shared. While it is down, one call for each pause does.
func (f *Fallback) ask() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.down {
		return true
	}
	now := f.c.Now()
	if now.Before(f.next) {
		return false
	}
	f.next = now.Add(f.c.Pause)
	return true
}

func (f *Fallback) answered(ctx context.Context) {
	if f.change(false) {
		f.c.Log.InfoContext(ctx, "rate limit shared again", "limit", f.c.Name)
	}
}

func (f *Fallback) failed(ctx context.Context, err error) {
	if f.change(true) {
		f.c.Log.WarnContext(ctx, "rate limit counted by this process alone, as the shared one does not answer",
			"limit", f.c.Name, "err", err)
	}
}

// change notes whether Shared is down, and tells whether that is new.
func (f *Fallback) change(down bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if down {
		f.next = f.c.Now().Add(f.c.Pause)
	}
	changed := f.down != down
	f.down = down
	return changed
}
