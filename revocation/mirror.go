package revocation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/authd-project/authd/revocation/internal/bell"
)

const (
	// DefaultMaxStaleness is how old a mirror may be before it stops vouching for tokens it does not know as revoked.
	DefaultMaxStaleness = 5 * time.Second

	defaultHistory = 1 << 16
	firstRetry     = 50 * time.Millisecond
	lastRetry      = 2 * time.Second  // below the usual bound, so that a short outage does not outlive it
	steady         = 10 * time.Second // a feed that lasted this long is retried at once
	sweepEvery     = time.Minute
	slack          = time.Minute // how long an expired entry is kept at least: small steps of the clock do no harm
)

// MirrorConfig says how a mirror behaves. The zero value is ready to use.
type MirrorConfig struct {
	// MaxStaleness is how old the mirror may be for a token not found in it to pass [Mirror.Check]. It must exceed
	// the feed's second between proofs with room for a reconnection. Default 5 s.
	MaxStaleness time.Duration
	// History is how many recent changes are kept for followers of this mirror, in 72 bytes each as they come; one
	// that lags further gets everything anew. Default 65,536. Negative keeps none: for a mirror that nobody follows.
	History int
	Logger  *slog.Logger     // default: discards
	Now     func() time.Time // default time.Now; must carry a monotonic reading if age is to be safe from clock steps
}

// Mirror is an in-memory replica of a revocation set that knows how old it is. [Mirror.Run] keeps it current; without
// that it grows stale and says so. Methods may be called concurrently.
type Mirror struct {
	cfg  MirrorConfig
	set  *Set
	asOf atomic.Pointer[time.Time] // complete as of then; nil until a feed has proved anything

	running  atomic.Bool
	changed  bell.Bell // rung after each change of history or asOf
	watchers watchers  // told of each change of the set

	mu      sync.Mutex // orders changes: what is in history is in set, what asOf vouches for is in both
	history history
	early   early
	swept   time.Time // when the set was last compacted
	// forgotten is the latest floor so far, in Unix seconds: entries that expire at or before it may be gone. Should
	// the clock be set back beyond it, their tokens would live again, so everything is read again.
	forgotten int64
}

// NewMirror returns a mirror that is empty and, until [Mirror.Run] has filled it, stale.
func NewMirror(cfg MirrorConfig) *Mirror {
	if cfg.MaxStaleness == 0 {
		cfg.MaxStaleness = DefaultMaxStaleness
	}
	if cfg.History == 0 {
		cfg.History = defaultHistory
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Mirror{cfg: cfg, set: NewSet(), history: history{limit: max(cfg.History, 0)}, watchers: watchers{wake: make(chan struct{}, 1)}}
}

// errClock ends a Follow after which everything must be read again.
var errClock = errors.New("the clock was set back: entries may have been forgotten too early")

// Run keeps the mirror current until ctx ends, which is no error. When the feed breaks it follows again from where it
// was, after a pause that is jittered, so that mirrors do not come back in step. Only one Run at a time.
func (m *Mirror) Run(ctx context.Context, feed Feed) error {
	if !m.running.CompareAndSwap(false, true) {
		return errors.New("revocation mirror: Run is already running")
	}
	defer m.running.Store(false)
	var watches sync.WaitGroup
	defer watches.Wait()
	m.watchers.serve() // at once, and not when the goroutine gets to run
	watches.Go(func() { m.serveWatches(ctx) })

	pause, lost := firstRetry, false
	for {
		began := m.cfg.Now()
		err := feed.Follow(ctx, m.position(), func(b Batch) error {
			if err := m.apply(b); err != nil {
				return err
			}
			if lost && !b.AsOf.IsZero() {
				lost = false
				m.cfg.Logger.Info("revocation feed recovered", "position", m.position().String())
			}
			return nil
		})
		if ctx.Err() != nil {
			return nil
		}
		if !lost { // said once an outage, not once a try
			lost = true
			m.cfg.Logger.Warn("revocation feed lost", "err", err, "position", m.position().String())
		}
		if m.cfg.Now().Sub(began) > steady {
			pause = firstRetry
		}
		wait(ctx, time.Duration(float64(pause)*(0.5+rand.Float64()/2)))
		pause = min(2*pause, lastRetry)
	}
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (m *Mirror) position() Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.history.now
}

// Merge adds entries that are known here before the feed brings them: a logout that this process has acknowledged is
// denied by this process at once. An entry that [Entry.Validate] refuses is ignored.
func (m *Mirror) Merge(entries ...Entry) {
	now := m.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.early.add(m.set, entries)
	m.merge(entries, now, false)
	m.changed.Ring()
}

// All yields every unexpired entry that the mirror holds when it begins, and perhaps some that come later: for whoever
// must write the set back where it was lost.
func (m *Mirror) All() iter.Seq[Entry] { return m.set.All(max(0, m.cfg.Now().Unix())) }

// apply takes one step of the feed.
func (m *Mirror) apply(b Batch) error {
	now := m.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.changed.Ring()
	if now.Unix() < m.forgotten {
		m.readAgain()
		return errClock
	}
	for _, e := range b.Entries {
		if err := e.Validate(); err != nil {
			return fmt.Errorf("applying a batch: %w", err)
		}
	}
	// A change that was merged here before the feed brought it is no news to the set, but a follower that comes from
	// elsewhere with a position may lack it: all that lies between two positions is remembered.
	positioned := b.Position != Position{}
	m.history.reach(b.Position, m.merge(b.Entries, now, positioned))
	if positioned {
		m.early.heard(b.Entries)
	}
	m.prove(b.AsOf, now)
	m.sweep(now)
	return nil
}

// merge puts entries into the set, and into the history those that are news, or all of them. Expired ones go nowhere. It
// tells whether the history has got any.
func (m *Mirror) merge(entries []Entry, now time.Time, all bool) (remembered bool) {
	floor := floorAt(now)
	m.forgotten = max(m.forgotten, floor)
	heard := int64(0)
	if m.fresh(m.asOf.Load(), now) {
		heard = now.UnixMilli()
	}
	for _, e := range entries {
		joined, changed := m.set.Merge(e, floor)
		switch {
		case changed:
			m.watchers.touch(joined)
			m.history.append(change{entry: joined, heard: heard})
		case all && e.Expires > floor:
			m.history.append(change{entry: joined})
		default:
			continue
		}
		remembered = true
	}
	return remembered
}

// prove moves asOf forward, after the entries that it vouches for have been merged.
func (m *Mirror) prove(asOf, now time.Time) {
	if asOf.IsZero() {
		return
	}
	if asOf.After(now) {
		asOf = now
	}
	if old := m.asOf.Load(); old == nil || asOf.After(*old) {
		m.asOf.Store(&asOf)
	}
}

// sweep forgets expired entries now and then. merge has noted in m.forgotten up to when.
func (m *Mirror) sweep(now time.Time) {
	if now.Sub(m.swept) >= sweepEvery {
		m.swept = now
		m.set.Compact(floorAt(now))
		m.early.forget(floorAt(now))
	}
}

// readAgain makes the mirror as good as new, but for what it holds: that stays.
func (m *Mirror) readAgain() {
	m.asOf.Store(nil)
	m.history.now = Position{}
	m.forgotten = 0
}

// floorAt returns the floor for the methods of [Set] that forget.
func floorAt(now time.Time) int64 { return max(0, now.Add(-slack).Unix()) }
