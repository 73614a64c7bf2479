package keys

import (
	"context"
	"slices"
	"time"
)

// early is what the leader does ahead of the timetable, as every verifier holds the standby; Wait when there is nothing,
// or one is not known to.
func (l *leadership) early(ctx context.Context, now time.Time, r Ring) Step {
	step := l.r.cfg.Policy.early(now, r)
	if step.Action == Wait || !l.allHold(ctx, now, r, step.KeyID) {
		return Step{Action: Wait}
	}
	return step
}

// readyStandby is [Policy.readyStandby] that also takes a standby which every verifier holds.
func (l *leadership) readyStandby(ctx context.Context, now time.Time, r Ring) (Key, error) {
	p := l.r.cfg.Policy
	standby, err := p.readyStandby(now, r)
	switch {
	case err == nil:
		l.tellMissing(ctx, now, r, standby.ID)
		return standby, nil
	case p.PublishAheadLeast == 0:
		return Key{}, err
	}
	early, tooYoung := p.hastened().readyStandby(now, r)
	if tooYoung != nil || !l.allHold(ctx, now, r, early.ID) {
		return Key{}, err
	}
	return early, nil
}

// allHold tells whether every verifier is known to hold a standby.
func (l *leadership) allHold(ctx context.Context, now time.Time, r Ring, kid string) bool {
	c, proven := l.census(ctx, now, r, kid)
	if proven {
		l.log.Info("every verifier holds the standby key: it need not wait for the timetable", "kid", kid, "verifiers", c.Verifiers)
	}
	return proven
}

// census asks who holds a standby. It is not worth a failure: without an answer the timetable stands.
func (l *leadership) census(ctx context.Context, now time.Time, r Ring, kid string) (c Census, proven bool) {
	standby, _ := r.key(kid)
	_, etag, err := jwksOf(r)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		q := l.r.cfg.Policy.question(now, etag, standby)
		if c, err = l.r.cfg.Reports.Census(ctx, q); err == nil {
			proven = q.proven(c)
		}
	}
	if err != nil && !l.uncounted {
		l.log.Warn("the verifiers cannot be counted: keys keep to the timetable", "err", err)
	}
	l.uncounted = err != nil
	return c, proven
}

// tellMissing says who is not known to hold a standby that signs all the same, as the timetable says.
func (l *leadership) tellMissing(ctx context.Context, now time.Time, r Ring, kid string) {
	if l.r.cfg.Policy.PublishAheadLeast == 0 {
		return
	}
	if c, proven := l.census(ctx, now, r, kid); !proven && c.Missing > 0 {
		l.log.Warn("a key signs by the timetable, and some verifiers have not reported that they hold it", "kid", kid,
			"missing", c.Missing, "verifiers", c.Verifiers, "from", slices.Compact(c.From))
	}
}
