package revocation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrExpired is what ends the [Watch] of a token whose time is up.
var ErrExpired = errors.New("expired")

// errIdle ends watches when nobody would tell them of a revocation any more.
var errIdle = fmt.Errorf("%w: the mirror is not being kept current", ErrUnavailable)

// Watch is a token that stays in use after it was checked: by a stream, a websocket, a long answer.
type Watch struct {
	Claims Claims
	// Expires, in Unix seconds, is when the token is dead, leeway included.
	Expires int64
	// MaxAge is how old the mirror may become. Zero means the mirror's own MaxStaleness.
	MaxAge time.Duration
	// Ended is called once, as soon as the token would no longer pass [Mirror.Check], with an error that wraps
	// ErrRevoked, ErrUnavailable or ErrExpired. Others wait behind it, so it must return quickly.
	Ended func(error)
}

// Watch calls w.Ended when the token is revoked on whatever axis, expires, or when the mirror becomes older than w allows
// or is no longer kept current by [Mirror.Run]; before it returns, if that is so already. Revocations are acted upon at
// once, the other ends within half a second however a clock is set.
//
// It starts no goroutine and costs about half a kilobyte. A change of the set costs the same however many are watched,
// but for those that it may end.
//
// The caller calls stop when the token is no longer in use; what it forgets goes when the token expires. stop tells
// whether Ended has not been called and will not be.
func (m *Mirror) Watch(w Watch) (stop func() bool) {
	if w.MaxAge == 0 {
		w.MaxAge = m.cfg.MaxStaleness
	}
	open := &watcher{Watch: w}
	if !m.watchers.add(open) {
		w.Ended(errIdle)
		return func() bool { return false }
	}
	// Not before: of an entry that is merged meanwhile, either this look sees it or its merge sees the watcher.
	if err := m.verdict(open, m.cfg.Now()); err != nil {
		m.watchers.end(open, err)
	}
	return func() bool { return m.watchers.remove(open) }
}

// Watching tells how many watches are open.
func (m *Mirror) Watching() int { return int(m.watchers.open.Load()) }

// verdict is nil as long as the token would pass.
func (m *Mirror) verdict(w *watcher, now time.Time) error {
	if w.Expires <= now.Unix() {
		return ErrExpired
	}
	return m.check(&w.Claims, now, w.MaxAge)
}

// serveWatches ends watches until ctx does, and then all that are left.
func (m *Mirror) serveWatches(ctx context.Context) {
	timer := time.NewTimer(beat)
	defer timer.Stop()
	for ctx.Err() == nil {
		var due <-chan time.Time // never, while nothing is watched
		if next := m.endWatches(); next > 0 {
			timer.Reset(next)
			due = timer.C
		}
		select {
		case <-m.watchers.wake:
		case <-due:
		case <-ctx.Done():
		}
	}
	for _, w := range m.watchers.close() {
		m.watchers.end(w, errIdle)
	}
}

// endWatches ends those whose token would no longer pass, and tells when to look again; zero is when woken.
func (m *Mirror) endWatches() time.Duration {
	if m.Watching() == 0 {
		return 0
	}
	now := m.cfg.Now()
	for w := m.watchers.expired(now); w != nil; w = m.watchers.expired(now) {
		w.Ended(ErrExpired)
	}
	for _, w := range m.watchers.suspects(m.age(now)) {
		if err := m.verdict(w, now); err != nil {
			m.watchers.end(w, err)
		}
	}
	return m.watchers.next(now, m.age(now))
}

// age is how long ago the mirror was complete.
func (m *Mirror) age(now time.Time) time.Duration {
	if asOf := m.asOf.Load(); asOf != nil {
		return age(*asOf, now)
	}
	return 1<<63 - 1
}
