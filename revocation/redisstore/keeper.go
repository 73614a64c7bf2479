package redisstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
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
	var jobs sync.WaitGroup
	defer jobs.Wait()
	// On its own, because a peer that is writing back must not be taken for one that is gone.
	jobs.Go(func() { s.keepBeating(ctx) })
	k := keeper{store: s}
	for {
		err := k.round(ctx)
		k.outage.report(ctx, s.cfg.Logger, "keeping the revocation set", err)
		select {
		case <-ctx.Done():
			return nil
		case <-s.kicked:
		case <-time.After(s.period()):
		}
	}
}

// keepBeating sends heartbeats until ctx ends.
func (s *Store) keepBeating(ctx context.Context) {
	var o outage
	for {
		_, err := s.beat(ctx)
		if err == nil {
			err = s.tryToWrite(ctx)
		}
		s.mu.Lock()
		if s.writeErr = err; err == nil {
			s.wrote = s.cfg.Now()
		}
		s.mu.Unlock()
		o.report(ctx, s.cfg.Logger, "taking part in the revocation set", err)
		if pause(ctx, s.period()) != nil {
			return
		}
	}
}

// tryToWrite sends a command that a full server refuses, as heartbeats are taken all the same.
func (s *Store) tryToWrite(ctx context.Context) error {
	err := s.server.roundTrip(ctx, 0, func(ctx context.Context, p pipe) { p.HSet(ctx, metaKey, "tried", 1) })
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// period returns the time between two heartbeats: shorter while somebody may wait for the set to go live.
func (s *Store) period() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	period := s.cfg.Lease / beatsPerLease
	if !s.pulse.live {
		period /= 5
	}
	return period
}

// outage logs once that something fails, and once that it works again.
type outage bool

func (o *outage) report(ctx context.Context, log *slog.Logger, doing string, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !bool(*o):
		log.Warn(doing+" failed, trying again", "err", err)
	case err == nil && bool(*o):
		log.Info(doing + " works again")
	}
	*o = err != nil
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
	outage   outage
	restored []revocation.Entry // written back, and Restored has not succeeded with them yet
	swept    time.Time
}

func (k *keeper) round(ctx context.Context) error {
	s := k.store
	if p, needed := s.needsWriteBack(); needed {
		if err := k.writeBack(ctx, p); err != nil {
			return err
		}
		if _, err := s.beat(ctx); err != nil { // others wait for it
			return err
		}
	}
	err := errors.Join(s.addPending(ctx), s.remember(ctx)) // neither waits for the other's luck
	if now := s.cfg.Now(); now.Sub(k.swept) >= sweepEvery {
		k.swept = now
		err = errors.Join(err, s.sweep(ctx, keepChanges))
	}
	return err
}

func (s *Store) needsWriteBack() (p pulse, needed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pulse, s.writtenBack != s.pulse.epoch
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
	return nil
}

// restore writes back what the mirror holds. What is pending need not be: it is added under the new epoch, by the call
// that has not returned yet or by addPending, before anybody may rely on it.
func (k *keeper) restore(ctx context.Context, epoch string) error {
	s := k.store
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
func (s *Store) remember(ctx context.Context) error {
	s.mu.Lock()
	p := s.pulse
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
