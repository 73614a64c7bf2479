package ratelimit_test

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/ratelimit"
)

// drawPolicy draws any valid policy, small ones and the largest more often than others.
func drawPolicy(t *rapid.T) ratelimit.Policy {
	p := ratelimit.Policy{
		Algorithm: ratelimit.Algorithm(rapid.IntRange(1, 4).Draw(t, "algorithm")),
		Limit:     rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, ratelimit.MaxLimit), rapid.Just(ratelimit.MaxLimit)).Draw(t, "limit"),
		Window: time.Millisecond * time.Duration(rapid.OneOf(rapid.Int64Range(1, 100),
			rapid.Int64Range(1, ratelimit.MaxWindow.Milliseconds()), rapid.Just(ratelimit.MaxWindow.Milliseconds())).Draw(t, "window")),
	}
	if p.Algorithm == ratelimit.TokenBucket || p.Algorithm == ratelimit.LeakyBucket {
		p.Burst = min(rapid.OneOf(rapid.IntRange(0, 20), rapid.Just(ratelimit.MaxLimit)).Draw(t, "burst"), 10*p.Limit-1)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// drawStep lets a time pass that matters for the policy: nothing, a few milliseconds, or around some windows.
func drawStep(t *rapid.T, p ratelimit.Policy) time.Duration {
	return time.Millisecond * time.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 20),
		rapid.Int64Range(0, 3*p.Window.Milliseconds())).Draw(t, "passes"))
}

// drawUnits draws a number of units, often a large part of the capacity so that limits are met.
func drawUnits(t *rapid.T, p ratelimit.Policy) int {
	return rapid.OneOf(rapid.IntRange(1, min(3, p.Capacity())), rapid.IntRange(1, p.Capacity()), rapid.Just(p.Capacity())).Draw(t, "units")
}

// epoch is when simulated time begins.
func epoch() time.Time { return time.UnixMilli(1_790_000_000_000) }

// What a decision says of the future is exact: a millisecond before RetryAfter is too early, and Remaining is what can
// be taken.
func TestDecisionsTellTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, now, s := drawPolicy(t), epoch(), ratelimit.State{}
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			now = now.Add(drawStep(t, p))
			n := drawUnits(t, p)
			next, d := p.Step(s, now, n)
			if d.Allowed != (d.RetryAfter == 0) {
				t.Fatalf("%+v: RetryAfter is for refusals, and they always have one", d)
			}
			if !d.Allowed {
				wantStep(t, p, next, now.Add(d.RetryAfter-time.Millisecond), n, false)
				wantStep(t, p, next, now.Add(d.RetryAfter), n, true)
			}
			if d.Remaining > 0 {
				wantStep(t, p, next, now, d.Remaining, true)
			}
			if d.Remaining < p.Capacity() {
				wantStep(t, p, next, now, d.Remaining+1, false)
				if d.ResetAfter == 0 {
					t.Fatalf("%+v: nothing to reset, but not all of %d remains", d, p.Capacity())
				}
			}
			wantStep(t, p, next, now.Add(d.ResetAfter), p.Capacity(), true)
			s = next
		}
	})
}

// A refusal changes nothing that later decisions could tell.
func TestRefusalsAreFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, now := drawPolicy(t), epoch()
		var asked, spared ratelimit.State // with and without the refused calls
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			now = now.Add(drawStep(t, p))
			n := drawUnits(t, p)
			var d, other ratelimit.Decision
			asked, d = p.Step(asked, now, n)
			if !d.Allowed {
				continue
			}
			spared, other = p.Step(spared, now, n)
			if d != other {
				t.Fatalf("with refusals %+v, without %+v", d, other)
			}
		}
	})
}

// A refund at once leaves no trace but in a leaky bucket, where it does nothing.
func TestRefundUndoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, now, s := drawPolicy(t), epoch(), ratelimit.State{}
		for range rapid.IntRange(1, 10).Draw(t, "calls") {
			now = now.Add(drawStep(t, p))
			n := drawUnits(t, p)
			next, d := p.Step(s, now, n)
			refunded := p.Refund(next, d)
			if p.Algorithm == ratelimit.LeakyBucket || !d.Allowed {
				if refunded != next {
					t.Fatalf("the refund of %+v changed %+v to %+v", d, next, refunded)
				}
			} else if _, again := p.Step(refunded, now, n); again != d {
				t.Fatalf("after a refund %+v, before %+v", again, d)
			}
			s = next
		}
	})
}

// admission is a call that was admitted.
type admission struct {
	at time.Time
	n  int
}

// simulate makes calls under a policy of the algorithm and returns those admitted.
func simulate(t *rapid.T, a ratelimit.Algorithm) (ratelimit.Policy, []admission) {
	p := drawPolicy(t)
	p.Algorithm = a
	if a == ratelimit.FixedWindow || a == ratelimit.SlidingWindow {
		p.Burst = 0
	}
	now, s := epoch(), ratelimit.State{}
	var admitted []admission
	for range rapid.IntRange(1, 50).Draw(t, "calls") {
		now = now.Add(drawStep(t, p))
		n := drawUnits(t, p)
		var d ratelimit.Decision
		if s, d = p.Step(s, now, n); d.Allowed {
			admitted = append(admitted, admission{now.Add(d.Delay), n})
		}
	}
	return p, admitted
}

// worst compares what was admitted in each interval that begins and ends with an admission to a bound.
func worst(t *rapid.T, admitted []admission, bound func(interval time.Duration) *big.Rat) {
	for i, first := range admitted {
		var units int64
		for _, last := range admitted[i:] {
			units += int64(last.n)
			if interval := last.at.Sub(first.at); big.NewRat(units, 1).Cmp(bound(interval)) > 0 {
				t.Fatalf("%d units within %v, more than %v", units, interval, bound(interval))
			}
		}
	}
}

// Any interval admits at most the capacity, and the rate times its length.
func TestTokenBucketBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, admitted := simulate(t, ratelimit.TokenBucket)
		worst(t, admitted, func(interval time.Duration) *big.Rat {
			rate := big.NewRat(int64(p.Limit), int64(p.Window))
			drained := rate.Mul(rate, big.NewRat(int64(interval), 1))
			return drained.Add(drained, big.NewRat(int64(p.Capacity()), 1))
		})
	})
}

// Counting each unit at the moment it may be acted on, a leaky bucket is a token bucket that holds one call.
func TestLeakyBucketSpaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, admitted := simulate(t, ratelimit.LeakyBucket)
		for i := 1; i < len(admitted); i++ {
			gap := admitted[i].at.Sub(admitted[i-1].at)
			least := big.NewRat(int64(admitted[i-1].n)*int64(p.Window), int64(p.Limit))
			if big.NewRat(int64(gap+1), 1).Cmp(least) < 0 { // Delay is rounded down to a nanosecond
				t.Fatalf("%v after %d units, want %s ns", gap, admitted[i-1].n, least.FloatString(1))
			}
		}
	})
}

// Windows follow each other, so an interval meets one more of them than fit into it, and two at least.
func TestWindowBounds(t *testing.T) {
	for _, a := range []ratelimit.Algorithm{ratelimit.FixedWindow, ratelimit.SlidingWindow} {
		t.Run(a.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p, admitted := simulate(t, a)
				worst(t, admitted, func(interval time.Duration) *big.Rat {
					return big.NewRat(int64(p.Limit)*(2+int64(interval/p.Window)), 1)
				})
			})
		})
	}
}

// The sliding window's promise: what is taken in this window, and the previous window's share of it that still
// overlaps, never exceed the limit. Recomputed from the admissions with exact fractions.
func TestSlidingWindowEstimate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		p.Algorithm, p.Burst = ratelimit.SlidingWindow, 0
		now, s := epoch(), ratelimit.State{}
		var admitted []admission
		for range rapid.IntRange(1, 50).Draw(t, "calls") {
			now = now.Add(drawStep(t, p))
			n := drawUnits(t, p)
			var d ratelimit.Decision
			if s, d = p.Step(s, now, n); d.Allowed {
				admitted = append(admitted, admission{now, n})
			}
			start := time.UnixMilli(s.At)
			used := big.NewRat(units(admitted, start, now.Add(1)), 1)
			overlap := big.NewRat(int64(p.Window-now.Sub(start)), int64(p.Window))
			used.Add(used, overlap.Mul(overlap, big.NewRat(units(admitted, start.Add(-p.Window), start), 1)))
			if used.Cmp(big.NewRat(int64(p.Limit), 1)) > 0 {
				t.Fatalf("%s units count, the limit is %d", used.FloatString(3), p.Limit)
			}
			if free := int64(p.Limit) - int64(d.Remaining); used.Cmp(big.NewRat(free, 1)) > 0 || used.Cmp(big.NewRat(free-1, 1)) <= 0 {
				t.Fatalf("%s units count, but %d of %d remain", used.FloatString(3), d.Remaining, p.Limit)
			}
		}
	})
}

// units adds up what was admitted from one time, included, to another, excluded.
func units(admitted []admission, from, to time.Time) int64 {
	var sum int64
	for _, a := range admitted {
		if !a.at.Before(from) && a.at.Before(to) {
			sum += int64(a.n)
		}
	}
	return sum
}

func wantStep(t *rapid.T, p ratelimit.Policy, s ratelimit.State, at time.Time, n int, want bool) {
	if n > p.Capacity() {
		return
	}
	if _, d := p.Step(s, at, n); d.Allowed != want {
		t.Fatalf("%v, %+v, %d units at %v: %+v, want Allowed %v", p, s, n, at.Sub(epoch()), d, want)
	}
}
