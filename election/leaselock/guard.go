package leaselock

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// errLost is why work's context ends when the leadership does.
var errLost = errors.New("leadership lost")

// unknownHolder stands for whoever held a Lease that was deleted and made again. client-go waits until its lease is over.
const unknownHolder = "unknown: the Lease was made again"

// guard is the lock that client-go sees in one attempt to lead. It is for one goroutine; end may be called by a timer.
type guard struct {
	resourcelock.Interface
	l   *Lock
	end context.CancelCauseFunc // of the work

	tried  bool        // to hold the Lease: it may be ours
	expiry *time.Timer // ends the work in time; nil before the Lease was won
	failed error       // of the last question, so that one outage is logged once
}

func (l *Lock) newGuard(end context.CancelCauseFunc) *guard {
	return &guard{Interface: l.newLock(), l: l, end: end}
}

// Get implements [resourcelock.Interface].
func (g *guard) Get(ctx context.Context) (record *resourcelock.LeaderElectionRecord, raw []byte, err error) {
	asked := g.l.now()
	err = g.ask(ctx, func(ctx context.Context) (err error) {
		record, raw, err = g.Interface.Get(ctx)
		return err
	})
	switch {
	case apierrors.IsNotFound(err):
		g.lose(errors.New("the Lease is gone"))
		return nil, nil, err
	case err != nil:
		return nil, nil, err
	}
	if record.HolderIdentity == "" && record.RenewTime.IsZero() && g.l.seen.everHeld() {
		// Whoever held the Lease before it was deleted may be at work still.
		record.HolderIdentity, record.LeaseDurationSeconds = unknownHolder, int(g.l.lease/time.Second)
	} else {
		g.l.seen.see(*record, asked)
	}
	if record.HolderIdentity != g.Identity() {
		g.lose(errors.New("somebody else holds the Lease"))
	}
	return record, raw, nil
}

// Update implements [resourcelock.Interface].
func (g *guard) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	asked := g.l.now()
	g.tried = true
	err := g.ask(ctx, func(ctx context.Context) error { return g.Interface.Update(ctx, record) })
	if err != nil {
		return err
	}
	g.l.seen.see(record, asked)
	if record.HolderIdentity == g.Identity() {
		g.extend(g.l.lease - g.l.margin() - g.l.now().Sub(asked))
	}
	return nil
}

// Create implements [resourcelock.Interface]. It always fails: a Lease that is missing may have been deleted while
// somebody leads, and who may create one may create all of a namespace.
func (g *guard) Create(context.Context, resourcelock.LeaderElectionRecord) error {
	return errors.New("the Lease does not exist; deploy/rbac.yaml makes it")
}

// extend sets a timer of its own to end the work, so that no call that hangs can be in the way.
func (g *guard) extend(left time.Duration) {
	if g.expiry == nil {
		g.expiry = time.AfterFunc(left, func() { g.end(fmt.Errorf("%w: not renewed in time", errLost)) })
	} else {
		g.expiry.Reset(left)
	}
}

// lose ends the work, if there is any.
func (g *guard) lose(why error) {
	if g.expiry != nil {
		g.end(fmt.Errorf("%w: %w", errLost, why))
	}
}

// ask bounds a question, as client-go does not while it campaigns, and logs the first failure of several.
func (g *guard) ask(ctx context.Context, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, g.l.deadline())
	defer cancel()
	err := question(ctx)
	if err != nil && g.failed == nil && g.end != nil && ctx.Err() != context.Canceled && !apierrors.IsConflict(err) {
		g.l.log.WarnContext(ctx, "the election's Lease cannot be read or written, trying again", "err", err)
	}
	g.failed = err
	return err
}
