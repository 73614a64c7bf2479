package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// leadership is one term of one leader. Its fields belong to the goroutine of run.
type leadership struct {
	r         *Rotator
	term      Term
	log       *slog.Logger
	announced map[string]bool // revoked kids that the revocation set has confirmed during this term
	published []string        // the kids of the ring as last read, but for the revoked
	uncounted bool            // the latest census failed

	commands chan func(context.Context) // taken by run between two steps, with the context of the leadership
	done     chan struct{}              // closed when run has returned
}

// run asks for the next step, performs it, and asks again; when nothing is due, after PollEvery, or as soon as the
// revocation set holds one of the kids.
func (l *leadership) run(ctx context.Context) error {
	every := l.r.cfg.Policy.PollEvery()
	timer := time.NewTimer(0)
	defer timer.Stop()
	look, stop := l.looks()
	defer stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case command := <-l.commands:
			command(ctx)
			timer.Reset(0) // what it did wants confirming
			continue
		case <-look:
			if failures == 0 && slices.ContainsFunc(l.published, l.r.cfg.Revoked.Revoked) {
				timer.Reset(0)
			}
			continue
		case <-timer.C:
		}
		err := l.r.cfg.Pass(ctx, l.advance)
		switch {
		case err == nil:
			failures = 0
			timer.Reset(every)
		case errors.Is(err, ErrUnavailable):
			failures++
			l.log.Warn("the key ring cannot be kept, trying again", "err", err)
			timer.Reset(backoff(failures))
		default:
			return err
		}
	}
}

// advance performs all steps that are due. A revocation that cannot be announced holds up no rotation.
func (l *leadership) advance(ctx context.Context) error {
	for {
		ring, version, now, err := l.load(ctx)
		if err != nil {
			return err
		}
		step := l.due(now, ring)
		if step.Action == Wait {
			step = l.early(ctx, now, ring)
		}
		if step.Action == Wait {
			written, err := l.reseal(ctx, version, ring)
			if err != nil {
				return err
			}
			if !written {
				return l.announce(ctx, ring)
			}
			continue
		}
		next, err := l.r.cfg.Policy.apply(now, ring, step, l.r.generate)
		if err != nil {
			return err
		}
		if err := l.write(ctx, version, next); err != nil {
			return err
		}
		l.log.InfoContext(ctx, "key ring changed", "step", step.String())
		if step.Action == Activate && !step.MAC {
			l.tellMissing(ctx, now, ring, step.KeyID)
		}
	}
}

// load reads the ring, and the clock after it, so that a stamp lies after the commit of what it stamps. It fails with
// ErrStale when another leader has claimed the ring.
func (l *leadership) load(ctx context.Context) (Ring, Version, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	ring, version, err := l.r.cfg.Store.Load(ctx)
	now := l.r.cfg.Now()
	if err == nil && ring.Term != l.term {
		err = fmt.Errorf("%w: term %d has moved on to %d, held by %q", ErrStale, l.term, ring.Term, ring.Holder)
	}
	return ring, version, now, err
}

// write replaces the ring. An ErrStale of the same term is a late effect of a write of our own whose answer was lost; it
// becomes ErrUnavailable, as all that is needed is to look again.
func (l *leadership) write(ctx context.Context, v Version, next Ring) error {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, err := l.r.cfg.Store.Update(bounded, l.term, v, next)
	if !errors.Is(err, ErrStale) {
		return err
	}
	if _, _, _, still := l.load(ctx); still != nil {
		if errors.Is(still, ErrStale) {
			l.log.Warn("a write of the key ring was refused", "err", err)
		}
		return still
	}
	return fmt.Errorf("%w: the ring changed in the meantime: %v", ErrUnavailable, err) //nolint:errorlint // it is not ErrStale any more
}

// change loads the ring, lets f change it and writes it, unless f says that there is nothing to change.
func (l *leadership) change(ctx context.Context, f func(now time.Time, r *Ring) (changed bool, err error)) error {
	ring, version, now, err := l.load(ctx)
	if err != nil {
		return err
	}
	ring.Keys, ring.MACs = slices.Clone(ring.Keys), slices.Clone(ring.MACs)
	changed, err := f(now.UTC().Round(0), &ring)
	if err != nil || !changed {
		return err
	}
	return l.write(ctx, version, ring)
}

// announce hands the revoked keys to the revocation set: those it has not confirmed yet, so that whoever leads completes
// a revocation that was cut short; and in each term once those it has, so that the ring makes up for a revocation set
// that lost them.
func (l *leadership) announce(ctx context.Context, ring Ring) error {
	for _, k := range ring.Keys {
		if k.State != Revoked || l.announced[k.ID] {
			continue
		}
		if err := l.announceKey(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

func (l *leadership) announceKey(ctx context.Context, k Key) error {
	since := k.Since
	if since.IsZero() {
		since = l.r.cfg.Now()
	}
	if err := l.revokeKey(ctx, k.ID, l.entryEnds(since)); err != nil {
		return fmt.Errorf("%w: the kid %s is not in the revocation set yet: %w", ErrUnavailable, k.ID, err)
	}
	if k.Since.IsZero() {
		err := l.change(ctx, func(now time.Time, r *Ring) (bool, error) {
			if have, _ := r.key(k.ID); !have.Since.IsZero() {
				return false, nil
			}
			return true, r.acknowledge(k.ID, now)
		})
		if err != nil {
			return err
		}
		l.log.Warn("revoked key is in the revocation set", "kid", k.ID)
	}
	l.announced[k.ID] = true
	return nil
}

// entryEnds is when the revocation set may forget a kid: not before the ring does, by any leader's clock.
func (l *leadership) entryEnds(since time.Time) time.Time {
	return since.Add(l.r.cfg.Policy.RevokedFor + 2*l.r.cfg.Policy.Skew)
}

func (l *leadership) revokeKey(ctx context.Context, kid string, until time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return l.r.cfg.Revocations.RevokeKey(ctx, kid, until)
}
