package redisstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/authd-project/authd/revocation"
)

const (
	// sweepEvery is how often expired entries and old changes are forgotten.
	sweepEvery = 10 * time.Second
	// keepExpired is how long an expired entry is kept, so that a clock that is ahead does no harm.
	keepExpired = time.Minute
	// keepChanges is how long a change stays in the stream at least: a follower that was away for longer reads the whole
	// set again.
	keepChanges = 5 * time.Minute
	// sweepPage is how many entries and changes one script forgets: less than 2 ms of the server's time.
	sweepPage = 1000
	// leaveTimeout bounds how long Run takes to end.
	leaveTimeout = 500 * time.Millisecond
)

// Run does this process's part in keeping the set, until ctx ends, which is no error: it sends heartbeats, writes back
// what the server has lost, adds again what could not be acknowledged, and forgets what has expired. When the server
// cannot be reached it goes on trying.
func (s *Store) Run(ctx context.Context) error {
	defer s.leave(ctx)
	k := keeper{store: s}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.kicked:
		}
		err := k.round(ctx)
		k.report(ctx, err)
		timer.Reset(s.untilNext(err))
	}
}

// untilNext returns the time to the next heartbeat: shorter while others wait for it.
func (s *Store) untilNext(err error) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	period := s.cfg.Lease / beatsPerLease
	if err == nil && !s.pulse.live {
		period /= 5
	}
	return period
}

// leave tells the others not to wait for this process.
func (s *Store) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	err := s.server.roundTrip(ctx, 0, func(ctx context.Context, p pipe) { p.HDel(ctx, peersKey, s.id) })
	if err != nil {
		s.cfg.Logger.Warn("leaving the revocation set failed; its lease will end", "err", err)
	}
}

// keeper is what one Run knows.
type keeper struct {
	store    *Store
	failing  bool
	restored []revocation.Entry // written back, and Restored has not succeeded with them yet
	swept    time.Time
}

// report logs an outage once, not once a try.
func (k *keeper) report(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !k.failing:
		k.store.cfg.Logger.Warn("keeping the revocation set failed, trying again", "err", err)
	case err == nil && k.failing:
		k.store.cfg.Logger.Info("keeping the revocation set works again")
	}
	k.failing = err != nil
}

func (k *keeper) round(ctx context.Context) error {
	s := k.store
	p, err := s.beat(ctx)
	if err != nil {
		return err
	}
	if s.needsWriteBack(p.epoch) {
		if err := k.writeBack(ctx, p); err != nil {
			return err
		}
		if p, err = s.beat(ctx); err != nil {
			return err
		}
	}
	err = errors.Join(s.addPending(ctx), s.remember(ctx, p)) // neither waits for the other's luck
	if now := s.cfg.Now(); now.Sub(k.swept) >= sweepEvery {
		k.swept = now
		err = errors.Join(err, s.sweep(ctx, keepChanges))
	}
	return err
}

func (s *Store) needsWriteBack(epoch string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writtenBack != epoch
}

// writeBack adds everything this process holds to the set of a new epoch. Where nothing was lost, it changes nothing.
// Replicas need not confirm it: whatever is lost again comes with another epoch, and is written back again.
func (k *keeper) writeBack(ctx context.Context, p pulse) error {
	s := k.store
	if err := s.refuseEviction(ctx); err != nil {
		return err
	}
	if err := k.restore(ctx, p.epoch); err != nil {
		return fmt.Errorf("writing back revocations: %w", err)
	}
	if s.cfg.Restored != nil && len(k.restored) > 0 {
		if err := s.cfg.Restored(ctx, k.restored); err != nil {
			return fmt.Errorf("following up on revocations that were written back: %w", err)
		}
	}
	k.restored = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writtenBack = p.epoch
	if slices.Contains(s.held, p.previous) {
		s.hold(p.epoch)
	}
	return nil
}

// restore writes the entries back. An entry is pending until it is in the mirror, so what is pending comes first.
func (k *keeper) restore(ctx context.Context, epoch string) error {
	s := k.store
	s.mu.Lock()
	mine := s.pending.all(s.cfg.Now())
	s.mu.Unlock()
	news, err := s.write(ctx, epoch, mine, 0)
	k.restored = append(k.restored, news...) // but not lost: they were not acknowledged
	if err != nil {
		return err
	}
	lost, compared := 0, 0
	for page := range pages(s.cfg.Mirror.All(), perTrip) {
		news, err := s.write(ctx, epoch, page, 0)
		k.restored = append(k.restored, news...)
		lost, compared = lost+len(news), compared+len(page)
		s.countRestored(len(news))
		if err != nil {
			return err
		}
	}
	if lost > 0 {
		s.cfg.Logger.Warn("wrote back revocations that redis had lost", "entries", lost, "of", compared, "epoch", epoch)
	}
	return nil
}

func (s *Store) countRestored(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restored += uint64(n)
}

// pages collects entries into pages, each valid until the next.
func pages(entries iter.Seq[revocation.Entry], size int) iter.Seq[[]revocation.Entry] {
	return func(yield func([]revocation.Entry) bool) {
		page := make([]revocation.Entry, 0, size)
		for e := range entries {
			if page = append(page, e); len(page) < size {
				continue
			}
			if !yield(page) {
				return
			}
			page = page[:0]
		}
		if len(page) > 0 {
			yield(page)
		}
	}
}

// addPending adds again what could not be acknowledged.
func (s *Store) addPending(ctx context.Context) error {
	s.mu.Lock()
	list := s.pending.waiting(s.cfg.Now())
	s.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	if err := s.add(ctx, list); err != nil {
		return fmt.Errorf("adding revocations that were not acknowledged: %w", err)
	}
	s.cfg.Logger.Info("added revocations that had not been acknowledged", "entries", len(list))
	return nil
}

// remember has Memory know of the live epoch, once this process holds its set: after a loss, somebody who can make it
// good must be known to.
func (s *Store) remember(ctx context.Context, p pulse) error {
	s.mu.Lock()
	needed := p.live && s.remembered != p.epoch && slices.Contains(s.held, p.epoch)
	s.mu.Unlock()
	if s.cfg.Memory == nil || !needed {
		return nil
	}
	if err := s.cfg.Memory.RememberEpoch(ctx, p.epoch); err != nil {
		return fmt.Errorf("remembering the epoch of the revocation set: %w", err)
	}
	s.mu.Lock()
	s.remembered = p.epoch
	s.mu.Unlock()
	return nil
}

// sweep forgets what has expired, and changes older than keep, a page at a time.
func (s *Store) sweep(ctx context.Context, keep time.Duration) error {
	for {
		values, err := s.server.call(ctx, sweepScript,
			s.cfg.Now().Unix(), int64(keepExpired/time.Second), keep.Milliseconds(), sweepPage)
		a := answer{values: values, err: err}
		entries, changes := a.number(), a.number()
		if a.err != nil {
			return fmt.Errorf("forgetting expired revocations: %w", a.err)
		}
		if entries < sweepPage && changes < sweepPage/2 { // whole nodes of the stream go, or none
			return nil
		}
	}
}

// AcceptLoss takes the set back into service after a loss that nobody could repair: [Stats.Lost] names the epoch whose
// entries are gone. Tokens that were revoked then and have not expired are accepted again, so whoever calls it first
// adds a cut-off for everything, or waits for the longest life of a token.
func (s *Store) AcceptLoss(ctx context.Context) error {
	err := s.server.roundTrip(ctx, 0, func(ctx context.Context, p pipe) { p.HDel(ctx, metaKey, "lost") })
	if err != nil {
		return unavailable("accepting the loss of revocations", err)
	}
	s.kick()
	return nil
}
