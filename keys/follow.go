package keys

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// errEmpty means that the leader has not made the ring yet.
var errEmpty = fmt.Errorf("%w: the key ring is still empty", ErrUnavailable)

// Run keeps the view current until ctx ends: it loads the ring at once, whenever the store announces a change, and
// often enough besides that a lost announcement or a slow answer does not make the view too old. It returns nil.
func (v *View) Run(ctx context.Context) error {
	for failures := 1; ctx.Err() == nil; failures++ {
		began := v.cfg.Now()
		err := v.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if v.cfg.Now().Sub(began) > v.cfg.Policy.ViewAge {
			failures = 1 // it went well for a while
		}
		v.cfg.Log.Warn("the key ring cannot be followed, trying again", "err", err)
		pause(ctx, min(backoff(failures), v.cfg.Policy.ViewAge/4))
	}
	return nil
}

// follow loads and watches until ctx ends or something fails. It loads before it watches, so that a store which cannot
// announce anything at the moment still keeps the view fresh.
func (v *View) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the watch
	if err := v.load(ctx); err != nil {
		return err
	}
	changes, err := v.cfg.Store.Watch(ctx)
	if err != nil {
		return err
	}
	every := v.cfg.Policy.ViewAge / 4
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-changes:
			if !ok {
				return fmt.Errorf("%w: the watch ended", ErrUnavailable)
			}
		case <-timer.C:
		}
		if err := v.load(ctx); err != nil {
			return err
		}
		timer.Reset(every)
	}
}

// load is Refresh with a deadline. A ring that is still empty is no failure: the change that fills it is announced.
func (v *View) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Policy.ViewAge/2)
	defer cancel()
	if err := v.Refresh(ctx); err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	return nil
}

// backoff grows from 50 ms to 5 s, the upper half of it at random so that replicas do not come back in step.
func backoff(failures int) time.Duration {
	d := min(50*time.Millisecond<<min(failures-1, 10), 5*time.Second)
	return d/2 + rand.N(d/2)
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
