package leaselock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// Lead implements [election.Elector]. While the API server does not answer nobody is elected, and Lead goes on asking.
func (l *Lock) Lead(ctx context.Context, work func(ctx context.Context) error) error {
	for ctx.Err() == nil {
		if err := l.attempt(ctx, work); err != nil {
			return err
		}
		pause(ctx, l.retry()) // and give others a turn
	}
	return nil
}

// attempt waits for a leadership, runs work for it, and gives the Lease up. It returns work's error, unless the error is
// that the leadership ended.
func (l *Lock) attempt(ctx context.Context, work func(ctx context.Context) error) error {
	leading, end := context.WithCancelCause(ctx)
	defer end(nil)
	g := l.newGuard(end)
	// The elector renews until work has returned, which may take a while after its context has ended.
	electing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	won, over := make(chan struct{}), make(chan struct{})
	elector, err := l.elector(g, won)
	if err != nil {
		return fmt.Errorf("election: %w", err)
	}
	go func() {
		defer close(over)
		elector.Run(klog.NewContext(electing, logr.Discard())) // the guard logs
		end(fmt.Errorf("%w: not renewed in time", errLost))
	}()
	select {
	case <-won:
		err = l.lead(leading, work)
	case <-ctx.Done():
	case <-over: // before the news of its having been won
	}
	stop()
	<-over
	if g.expiry != nil {
		g.expiry.Stop()
	}
	if g.tried {
		l.giveUp(ctx, g)
	}
	return err
}

// elector returns client-go's. It closes won in a goroutine of its own.
func (l *Lock) elector(g *guard, won chan struct{}) (*leaderelection.LeaderElector, error) {
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: g, Name: g.Describe(),
		LeaseDuration: l.lease, RenewDeadline: l.deadline(), RetryPeriod: l.retry(),
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(won) },
			OnStoppedLeading: func() {}, // is called even where nobody led
		},
	})
}

// lead runs work and returns its error, unless the error is that the leadership ended.
func (l *Lock) lead(ctx context.Context, work func(ctx context.Context) error) error {
	l.log.InfoContext(ctx, "leading")
	err := work(ctx)
	cause := context.Cause(ctx)
	l.log.InfoContext(ctx, "no longer leading", "cause", cause)
	if err != nil && (cause == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, cause)) {
		return fmt.Errorf("leading: %w", err)
	}
	return nil
}

// giveUp lets others have the Lease at once, if it is still ours. When it fails the lease expires by itself.
func (l *Lock) giveUp(ctx context.Context, g *guard) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.deadline())
	defer cancel()
	for {
		held, _, err := g.Get(ctx)
		if err == nil && held.HolderIdentity != g.Identity() {
			return
		}
		if err == nil {
			now := metav1.NewTime(l.now())
			err = g.Update(ctx, resourcelock.LeaderElectionRecord{ // as client-go does it
				LeaseDurationSeconds: 1, LeaderTransitions: held.LeaderTransitions, RenewTime: now, AcquireTime: now,
			})
		}
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) { // a conflict is a renewal of ours that arrived late
			l.log.WarnContext(ctx, "lease not given up, it expires", "err", err)
			return
		}
	}
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
