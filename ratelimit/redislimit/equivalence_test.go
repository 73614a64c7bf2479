package redislimit

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/ratelimit"
)

// Every script computes exactly what the pure function in Go does: from any state, at whatever time the server says it
// is. So all that is tested of the pure functions holds for the scripts, up to the largest limits and windows.
func TestScriptsEqualStep(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: testenv.Redis(t), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPolicy(rt)
		l, err := New(Config{Client: client, Name: "test", Policy: p, Timeout: 10 * time.Second})
		if err != nil {
			rt.Fatal(err)
		}
		s := drawState(rt, p, client.Time(t.Context()).Val())
		write(rt, client, l, s)
		var taken []ratelimit.Decision
		for range rapid.IntRange(1, 4).Draw(rt, "calls") {
			n := rapid.OneOf(rapid.Just(1), rapid.IntRange(1, p.Capacity())).Draw(rt, "units")
			got, state, now, err := l.step(t.Context(), "key", n)
			if err != nil {
				rt.Fatal(err)
			}
			after, want := p.Step(s, now, n)
			if got != want || state != after {
				rt.Fatalf("%v, %d units on %+v at %d:\nredis %+v %+v\ngo    %+v %+v", p, n, s, now.UnixMilli(), got, state, want, after)
			}
			s, taken = after, append(taken, got)
			if rapid.Bool().Draw(rt, "refund") {
				d := rapid.SampledFrom(taken).Draw(rt, "decision")
				if err := l.Refund(t.Context(), "key", d); err != nil {
					rt.Fatal(err)
				}
				s = p.Refund(s, d)
			}
		}
	})
}

func drawPolicy(t *rapid.T) ratelimit.Policy {
	p := ratelimit.Policy{
		Algorithm: ratelimit.Algorithm(rapid.IntRange(1, 4).Draw(t, "algorithm")),
		Limit:     rapid.OneOf(rapid.IntRange(1, 20), rapid.Just(ratelimit.MaxLimit-1), rapid.Just(ratelimit.MaxLimit)).Draw(t, "limit"),
		Window: time.Millisecond * time.Duration(rapid.OneOf(rapid.Int64Range(1, 5), rapid.Int64Range(1, 60_000),
			rapid.Just(ratelimit.MaxWindow.Milliseconds()-1), rapid.Just(ratelimit.MaxWindow.Milliseconds())).Draw(t, "window")),
	}
	if p.Algorithm == ratelimit.TokenBucket || p.Algorithm == ratelimit.LeakyBucket {
		p.Burst = min(rapid.OneOf(rapid.IntRange(0, 20), rapid.Just(ratelimit.MaxLimit)).Draw(t, "burst"), 10*p.Limit-1)
	}
	return p
}

// drawState draws a state that the policy could have left: some windows ago, or in the future by a clock set back.
func drawState(t *rapid.T, p ratelimit.Policy, now time.Time) ratelimit.State {
	window := p.Window.Milliseconds()
	s := ratelimit.State{At: now.UnixMilli() + rapid.Int64Range(-5*window/2, window/2).Draw(t, "at")}
	switch p.Algorithm {
	case ratelimit.SlidingWindow:
		s.Previous = rapid.Int64Range(0, int64(p.Limit)).Draw(t, "previous")
		fallthrough
	case ratelimit.FixedWindow:
		s.Level = rapid.Int64Range(0, int64(p.Limit)).Draw(t, "level")
	default:
		s.Level = rapid.Int64Range(0, int64(p.Capacity())*window).Draw(t, "level")
	}
	return s
}

func write(t *rapid.T, client *redis.Client, l *Limiter, s ratelimit.State) {
	state := fmt.Sprint(s.At, s.Level, s.Previous)
	if err := client.Set(t.Context(), l.key("key"), state, 0).Err(); err != nil {
		t.Fatal(err)
	}
}
