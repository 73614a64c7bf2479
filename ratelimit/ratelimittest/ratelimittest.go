// Package ratelimittest is what every [ratelimit.Limiter] must do.
package ratelimittest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

// Open returns an empty limiter under the policy, and a function that lets time pass for it. Real time may pass as well.
type Open func(t *testing.T, p ratelimit.Policy) (l ratelimit.Limiter, advance func(time.Duration))

// tolerance is by how much real time may pass during a test on a slow machine. Windows are so much longer that it
// changes no outcome.
const (
	tolerance = 2 * time.Minute
	window    = 100 * time.Hour
)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	tests := map[string]func(t *testing.T, open Open, p ratelimit.Policy){
		"admits the capacity and no more":    testCapacity,
		"takes all units or none":            testAllOrNone,
		"keys are independent":               testKeys,
		"refuses impossible units":           testUnits,
		"RetryAfter is true":                 testRetryAfter,
		"ResetAfter is true":                 testResetAfter,
		"a refund gives back what was taken": testRefund,
		"a refund of nothing gives nothing":  testRefundNothing,
		"a late refund gives nothing":        testLateRefund,
		"forgets":                            testForget,
		"an ended context decides nothing":   testEndedContext,
		"concurrent callers share the limit": testConcurrent,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, p := range policies() {
				t.Run(p.Algorithm.String(), func(t *testing.T) { test(t, open, p) })
			}
		})
	}
	t.Run("tokens never exceed the capacity", func(t *testing.T) { testTokensBounded(t, open) })
	t.Run("a leaky bucket spaces what it admits", func(t *testing.T) { testDelay(t, open) })
	t.Run("a window slides", func(t *testing.T) { testSlides(t, open) })
}

// policies have a capacity of ten units each.
func policies() []ratelimit.Policy {
	return []ratelimit.Policy{
		{Algorithm: ratelimit.FixedWindow, Limit: 10, Window: window},
		{Algorithm: ratelimit.SlidingWindow, Limit: 10, Window: window},
		{Algorithm: ratelimit.TokenBucket, Limit: 5, Window: window, Burst: 10},
		{Algorithm: ratelimit.LeakyBucket, Limit: 5, Window: window, Burst: 9},
	}
}

func testCapacity(t *testing.T, open Open, p ratelimit.Policy) {
	l, _ := open(t, p)
	if l.Policy() != p {
		t.Errorf("Policy() = %v, want %v", l.Policy(), p)
	}
	for i := range p.Capacity() {
		d := allow(t, l, "key", 1)
		if want := p.Capacity() - 1 - i; !d.Allowed || d.Remaining != want || d.RetryAfter != 0 {
			t.Fatalf("unit %d: %+v, want it allowed and %d remaining", i+1, d, want)
		}
	}
	if d := allow(t, l, "key", 1); d.Allowed || d.Remaining != 0 || d.RetryAfter <= 0 {
		t.Errorf("one unit more: %+v, want it refused with RetryAfter", d)
	}
}

func testAllOrNone(t *testing.T, open Open, p ratelimit.Policy) {
	l, _ := open(t, p)
	capacity := p.Capacity()
	wantAllowed(t, "all but three", allow(t, l, "key", capacity-3), true)
	wantAllowed(t, "four", allow(t, l, "key", 4), false)
	wantAllowed(t, "three", allow(t, l, "key", 3), true)
}

func testKeys(t *testing.T, open Open, p ratelimit.Policy) {
	l, _ := open(t, p)
	for _, key := range []string{"", "a", "b", "{a}", "a b", "ключ", string(make([]byte, 10_000))} {
		wantAllowed(t, fmt.Sprintf("key %.20q", key), allow(t, l, key, p.Capacity()), true)
		wantAllowed(t, fmt.Sprintf("key %.20q again", key), allow(t, l, key, 1), false)
	}
}

func testUnits(t *testing.T, open Open, p ratelimit.Policy) {
	l, _ := open(t, p)
	for _, n := range []int{-1, 0, p.Capacity() + 1} {
		if _, err := l.Allow(t.Context(), "key", n); !errors.Is(err, ratelimit.ErrUnits) {
			t.Errorf("Allow(%d) = %v, want ErrUnits", n, err)
		}
	}
	wantAllowed(t, "the capacity", allow(t, l, "key", p.Capacity()), true)
}

func testRetryAfter(t *testing.T, open Open, p ratelimit.Policy) {
	l, advance := open(t, p)
	allow(t, l, "key", p.Capacity())
	d := allow(t, l, "key", 4)
	wantAllowed(t, "when full", d, false)
	advance(d.RetryAfter - tolerance)
	wantAllowed(t, "too early", allow(t, l, "key", 4), false)
	advance(tolerance)
	wantAllowed(t, "after RetryAfter", allow(t, l, "key", 4), true)
}

func testResetAfter(t *testing.T, open Open, p ratelimit.Policy) {
	l, advance := open(t, p)
	d := allow(t, l, "key", 7)
	advance(d.ResetAfter - tolerance)
	wantAllowed(t, "too early", allow(t, l, "key", p.Capacity()), false)
	advance(tolerance)
	wantAllowed(t, "after ResetAfter", allow(t, l, "key", p.Capacity()), true)
}

func testRefund(t *testing.T, open Open, p ratelimit.Policy) {
	l, advance := open(t, p)
	allow(t, l, "key", p.Capacity()-4)
	advance(time.Hour)
	d := allow(t, l, "key", 4)
	wantAllowed(t, "when full", allow(t, l, "key", 4), false)
	refund(t, l, "key", d)
	gaveBack := p.Algorithm != ratelimit.LeakyBucket
	wantAllowed(t, "after the refund", allow(t, l, "key", 4), gaveBack)
	wantAllowed(t, "more than the refund", allow(t, l, "key", 4), false)
}

func testRefundNothing(t *testing.T, open Open, p ratelimit.Policy) {
	l, _ := open(t, p)
	allow(t, l, "key", p.Capacity())
	d := allow(t, l, "key", 1)
	refund(t, l, "key", d)
	refund(t, l, "key", ratelimit.Decision{})
	wantAllowed(t, "after refunds of nothing", allow(t, l, "key", 1), false)
	refund(t, l, "never seen", d)
	wantAllowed(t, "another key", allow(t, l, "never seen", p.Capacity()), true)
}

func testLateRefund(t *testing.T, open Open, p ratelimit.Policy) {
	l, advance := open(t, p)
	d := allow(t, l, "key", 1)
	advance(3 * window)
	refund(t, l, "key", d)
	wantAllowed(t, "the capacity", allow(t, l, "key", p.Capacity()), true)
	wantAllowed(t, "more than the capacity", allow(t, l, "key", 1), false)
}

func testForget(t *testing.T, open Open, p ratelimit.Policy) {
	l, _ := open(t, p)
	allow(t, l, "key", p.Capacity())
	allow(t, l, "other", p.Capacity())
	for range 2 {
		if err := l.Forget(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
	}
	wantAllowed(t, "forgotten", allow(t, l, "key", p.Capacity()), true)
	wantAllowed(t, "not forgotten", allow(t, l, "other", 1), false)
}

func testEndedContext(t *testing.T, open Open, p ratelimit.Policy) {
	l, _ := open(t, p)
	d := allow(t, l, "key", p.Capacity())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, allowErr := l.Allow(ctx, "key", 1)
	for call, err := range map[string]error{"Allow": allowErr, "Forget": l.Forget(ctx, "key")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", call, err)
		}
	}
	if err := l.Refund(ctx, "key", d); p.Algorithm != ratelimit.LeakyBucket && !errors.Is(err, context.Canceled) {
		t.Errorf("Refund = %v, want context.Canceled", err)
	}
	wantAllowed(t, "afterwards", allow(t, l, "key", 1), false)
}

func testConcurrent(t *testing.T, open Open, p ratelimit.Policy) {
	l, _ := open(t, p)
	var admitted atomic.Int64
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 10 {
				d, err := l.Allow(t.Context(), "key", 1)
				if err != nil {
					t.Error(err)
				}
				if d.Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	callers.Wait()
	if got := admitted.Load(); got != int64(p.Capacity()) {
		t.Errorf("admitted %d of 80 concurrent units, want %d", got, p.Capacity())
	}
}

func testDelay(t *testing.T, open Open) {
	l, advance := open(t, ratelimit.Policy{Algorithm: ratelimit.LeakyBucket, Limit: 10, Window: window, Burst: 4})
	for i := range 5 {
		d := allow(t, l, "key", 1)
		if want := time.Duration(i) * window / 10; d.Delay > want || d.Delay < want-tolerance {
			t.Errorf("unit %d waits %v, want %v", i+1, d.Delay, want)
		}
	}
	advance(window / 10)
	if d := allow(t, l, "key", 1); d.Delay > 4*window/10 || d.Delay < 4*window/10-tolerance {
		t.Errorf("after one has been served, the next waits %v, want %v", d.Delay, 4*window/10)
	}
}

// Of the first tokens a part has come back by time when they are refunded.
func testTokensBounded(t *testing.T, open Open) {
	l, advance := open(t, ratelimit.Policy{Algorithm: ratelimit.TokenBucket, Limit: 10, Window: window})
	first := allow(t, l, "key", 4)
	advance(first.ResetAfter / 2)
	second := allow(t, l, "key", 4)
	refund(t, l, "key", first)
	refund(t, l, "key", second)
	wantAllowed(t, "the capacity", allow(t, l, "key", 10), true)
	wantAllowed(t, "more than the capacity", allow(t, l, "key", 1), false)
}

func testSlides(t *testing.T, open Open) {
	l, advance := open(t, ratelimit.Policy{Algorithm: ratelimit.SlidingWindow, Limit: 10, Window: window})
	allow(t, l, "key", 10)
	advance(window + window*35/100) // 65 % of the ten still count
	if d := allow(t, l, "key", 1); !d.Allowed || d.Remaining != 2 {
		t.Errorf("a third into the next window: %+v, want three units of room and one taken", d)
	}
	wantAllowed(t, "more than the room", allow(t, l, "key", 3), false)
	wantAllowed(t, "the room", allow(t, l, "key", 2), true)
}

func allow(t *testing.T, l ratelimit.Limiter, key string, n int) ratelimit.Decision {
	t.Helper()
	d, err := l.Allow(t.Context(), key, n)
	if err != nil {
		t.Fatalf("Allow(%.20q, %d): %v", key, n, err)
	}
	return d
}

func refund(t *testing.T, l ratelimit.Limiter, key string, d ratelimit.Decision) {
	t.Helper()
	if err := l.Refund(t.Context(), key, d); err != nil {
		t.Fatalf("Refund(%.20q): %v", key, err)
	}
}

func wantAllowed(t *testing.T, what string, d ratelimit.Decision, want bool) {
	t.Helper()
	if d.Allowed != want {
		t.Errorf("%s: %+v, want Allowed %v", what, d, want)
	}
}
