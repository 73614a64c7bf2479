package ratelimit

import (
	"fmt"
	"time"
)

// State is what is remembered of a key between two calls. The zero State is a key never seen. A state means something
// only under the policy that made it.
type State struct {
	At       int64 // Unix milliseconds. Windows: when the window began. Buckets: when Level was true.
	Level    int64 // Windows: units taken in this window. Buckets: what has not drained yet, in units × window milliseconds.
	Previous int64 // Sliding window: units taken in the window before; else 0.
}

// rule is what distinguishes the algorithms. Amounts are in shares: a unit is as many shares as the window has
// milliseconds, so that a bucket drains limit shares in each millisecond and nothing is ever rounded.
type rule interface {
	// advance brings s to now. Every other method but remove wants an advanced state.
	advance(s State, now int64) State
	// used is how many shares count against the key.
	used(s State, now int64) int64
	// add counts n units.
	add(s State, n int64) State
	// remove takes back n units that were counted when State.At was at.
	remove(s State, n, at int64) State
	// wait is how many milliseconds from now n units will fit, when they do not fit now.
	wait(s State, now, n int64) int64
	// reset is how many milliseconds from now nothing counts any more.
	reset(s State, now int64) int64
}

func (p Policy) rule() rule {
	limit, window := int64(p.Limit), p.Window.Milliseconds()
	switch p.Algorithm {
	case FixedWindow:
		return fixedWindow{limit: limit, window: window}
	case SlidingWindow:
		return slidingWindow{limit: limit, window: window}
	case TokenBucket:
		return bucket{rate: limit, window: window, capacity: p.shares()}
	default:
		return leakyBucket{bucket{rate: limit, window: window, capacity: p.shares()}}
	}
}

// Step is the algorithm: it takes n units at the time now if they fit, and says what is remembered next. A refusal
// changes nothing. The policy must be valid, and n from 1 to Capacity.
//
// A clock that was set back counts as one that stood still: what was taken stays counted, and no key waits for the
// clock to catch up.
func (p Policy) Step(s State, now time.Time, n int) (State, Decision) {
	r := p.rule()
	next, allowed := p.take(r, s, now.UnixMilli(), int64(n))
	return next, p.decide(r, next, now.UnixMilli(), int64(n), allowed)
}

// Decision explains what a store has decided by the same rules as Step: s is the state it left behind.
func (p Policy) Decision(s State, now time.Time, n int, allowed bool) Decision {
	return p.decide(p.rule(), s, now.UnixMilli(), int64(n), allowed)
}

// Refund gives back what d took, as far as s still counts it. It needs no clock.
func (p Policy) Refund(s State, d Decision) State { return p.rule().remove(s, d.taken, d.at) }

// CheckUnits says whether one call may ask for n units.
func (p Policy) CheckUnits(n int) error {
	if n < 1 || n > p.Capacity() {
		return fmt.Errorf("%w: %d, %v admits from 1 to %d at once", ErrUnits, n, p, p.Capacity())
	}
	return nil
}

func (p Policy) take(r rule, s State, now, n int64) (State, bool) {
	s = r.advance(notAfter(s, now), now)
	if r.used(s, now)+n*p.Window.Milliseconds() > p.shares() {
		return s, false
	}
	return r.add(s, n), true
}

// decide reads a decision off the state that it left behind.
func (p Policy) decide(r rule, s State, now, n int64, allowed bool) Decision {
	window := p.Window.Milliseconds()
	used := r.used(s, now)
	d := Decision{
		Allowed:    allowed,
		Remaining:  int(max(0, p.shares()-used) / window),
		ResetAfter: milliseconds(r.reset(s, now)),
	}
	if !allowed {
		d.RetryAfter = milliseconds(r.wait(s, now, n))
		return d
	}
	d.taken, d.at = n, s.At
	if p.Algorithm == LeakyBucket {
		ahead, rate := used-n*window, int64(p.Limit)
		d.Delay = milliseconds(ahead/rate) + milliseconds(ahead%rate)/time.Duration(rate)
	}
	return d
}

// shares is the capacity in shares.
func (p Policy) shares() int64 { return int64(p.Capacity()) * p.Window.Milliseconds() }

// notAfter moves a state out of the future, where only a clock that was set back can have left it.
func notAfter(s State, now int64) State {
	s.At = min(s.At, now)
	return s
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
