package redislock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/authd-project/authd/internal/redisscript"
)

// errLost is why work's context ends when the leadership does.
var errLost = errors.New("leadership lost")

// Lead implements [election.Elector]. While the server does not answer nobody is elected, and Lead goes on asking.
func (l *Lock) Lead(ctx context.Context, work func(ctx context.Context) error) error {
	for {
		won, err := l.campaign(ctx)
		if err != nil {
			return nil // ctx has ended
		}
		if err := l.lead(ctx, won, work); err != nil {
			return err
		}
		if l.pause(ctx) != nil { // and give others a turn
			return nil
		}
	}
}

// campaign asks for the lease until it is won, or ctx ends.
func (l *Lock) campaign(ctx context.Context) (won sight, err error) {
	for {
		s, askErr := l.ask(ctx, l.hold, l.candidate, l.lease.Milliseconds())
		switch {
		case askErr == nil && s.candidate == l.candidate:
			return s, nil
		case askErr != nil && err == nil && ctx.Err() == nil:
			l.log.WarnContext(ctx, "election cannot be reached, trying again", "err", askErr)
		}
		err = askErr
		if ended := l.pause(ctx); ended != nil {
			if err != nil {
				l.giveUp(ctx) // it may have been won without our knowing
			}
			return sight{}, ended
		}
	}
}

// lead runs work for one leadership and returns its error, unless the error is that the leadership ended. The lease is
// renewed until work has returned, which may take a while after its context has ended.
func (l *Lock) lead(ctx context.Context, won sight, work func(ctx context.Context) error) error {
	l.log.InfoContext(ctx, "leading")
	leading, end := context.WithCancelCause(ctx)
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		l.keep(keeping, end, won)
	}()
	err := work(leading)
	cause := context.Cause(leading)
	end(nil)
	stop()
	<-kept
	l.giveUp(ctx)
	l.log.InfoContext(ctx, "no longer leading", "cause", cause)
	if err != nil && (cause == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, cause)) {
		return fmt.Errorf("leading: %w", err)
	}
	return nil
}

// keep renews the lease until ctx ends or somebody else holds it, and ends the work in time when it cannot be renewed.
func (l *Lock) keep(ctx context.Context, end context.CancelCauseFunc, won sight) {
	// A timer of its own ends the work, so that no call that hangs can be in the way.
	expiry := time.AfterFunc(l.left(won), func() { end(fmt.Errorf("%w: not renewed in time", errLost)) })
	defer expiry.Stop()
	for l.pause(ctx) == nil {
		s, err := l.ask(ctx, l.hold, l.candidate, l.lease.Milliseconds())
		switch {
		case err == nil && s.candidate == l.candidate:
			expiry.Reset(l.left(s))
		case err == nil:
			end(fmt.Errorf("%w: somebody else holds the lease", errLost)) // it had expired, or the server lost it
			return
		case ctx.Err() == nil:
			l.log.WarnContext(ctx, "lease not renewed, trying again", "err", err)
		}
	}
}

// left is how long work may go on after the lease was taken or renewed: counted from before the server was asked, and
// less what clocks may differ by in a lease and work may need to notice.
func (l *Lock) left(s sight) time.Duration { return l.lease - l.lease/10 - l.now().Sub(s.asked) }

// giveUp lets others have the lease at once. When it fails the lease expires by itself.
func (l *Lock) giveUp(ctx context.Context) {
	asked := l.now()
	call := redisscript.Call{Script: l.release, Key: l.key, Args: []any{l.candidate}}
	if _, err := l.redis.Run(context.WithoutCancel(ctx), call); err != nil {
		l.log.WarnContext(ctx, "lease not given up, it expires", "err", err)
		return
	}
	if l.last().candidate == l.candidate {
		l.see(sight{asked: asked})
	}
}

// pause waits for a fifth of the lease, or a little less, so that candidates do not ask in step.
func (l *Lock) pause(ctx context.Context) error {
	d := l.lease / 5
	timer := time.NewTimer(d - rand.N(d/5))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
