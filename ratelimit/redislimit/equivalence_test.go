package redislimit

import (
	"context"
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
	for a := ratelimit.FixedWindow; a <= ratelimit.LeakyBucket; a++ {
		t.Run(a.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				checkScript(rt, open(rt, client, drawPolicy(rt, a)))
			})
		})
	}
}

func checkScript(t *rapid.T, l *Limiter) {
	p := l.policy
	s := drawState(t, p, l.server.client.Time(t.Context()).Val())
	write(t, l, s)
	for range rapid.IntRange(1, 4).Draw(t, "calls") {
		n := drawUnits(t, p)
		got, state, now, err := l.step(t.Context(), "key", n)
		if err != nil {
			t.Fatal(err)
		}
		after, want := p.Step(s, now, n)
		if got != want || state != after {
			t.Fatalf("%v, %d units on %+v at %d:\nredis %+v %+v\ngo    %+v %+v", p, n, s, now.UnixMilli(), got, state, want, after)
		}
		s = after
		if !rapid.Bool().Draw(t, "refund") {
			continue
		}
		d := drawReceipt(t, p, s)
		if err := l.Refund(t.Context(), "key", d); err != nil {
			t.Fatal(err)
		}
		s = p.Refund(s, d)
	}
}

// A refusal while the server's clock is behind the state must move the state to the present: a state left in the
// future would refuse until the clock has caught up.
func TestClockSetBack(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: testenv.Redis(t), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	for a := ratelimit.FixedWindow; a <= ratelimit.LeakyBucket; a++ {
		t.Run(a.String(), func(t *testing.T) {
			p := ratelimit.Policy{Algorithm: a, Limit: 1, Window: time.Hour}
			full := int64(1)
			if a == ratelimit.TokenBucket || a == ratelimit.LeakyBucket {
				full = p.Window.Milliseconds()
			}
			l := open(t, client, p)
			write(t, l, ratelimit.State{At: client.Time(t.Context()).Val().Add(time.Hour).UnixMilli(), Level: full})
			if d, err := l.Allow(t.Context(), "key", 1); err != nil || d.Allowed {
				t.Fatalf("%+v, %v, want it refused", d, err)
			}
			var at int64
			if _, err := fmt.Sscan(client.Get(t.Context(), l.key("key")).Val(), &at); err != nil {
				t.Fatal(err)
			}
			if latest := client.Time(t.Context()).Val().UnixMilli(); at > latest {
				t.Errorf("the state is still %d ms in the future", at-latest)
			}
		})
	}
}

// tb is what *testing.T and *rapid.T share.
type tb interface {
	Context() context.Context
	Fatal(args ...any)
}

func open(t tb, client *redis.Client, p ratelimit.Policy) *Limiter {
	l, err := New(Config{Client: client, Name: "test", Policy: p, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func drawPolicy(t *rapid.T, a ratelimit.Algorithm) ratelimit.Policy {
	p := ratelimit.Policy{
		Algorithm: a,
		Limit:     rapid.OneOf(rapid.IntRange(1, 20), rapid.Just(ratelimit.MaxLimit-1), rapid.Just(ratelimit.MaxLimit)).Draw(t, "limit"),
		Window: time.Millisecond * time.Duration(rapid.OneOf(rapid.Int64Range(1, 5), rapid.Int64Range(1, 60_000),
			rapid.Just(ratelimit.MaxWindow.Milliseconds()-1), rapid.Just(ratelimit.MaxWindow.Milliseconds())).Draw(t, "window")),
	}
	if a == ratelimit.TokenBucket || a == ratelimit.LeakyBucket {
		p.Burst = min(rapid.OneOf(rapid.IntRange(0, 20), rapid.Just(ratelimit.MaxLimit)).Draw(t, "burst"), 10*p.Limit-1)
	}
	return p
}

func drawUnits(t *rapid.T, p ratelimit.Policy) int {
	return rapid.OneOf(rapid.Just(1), rapid.IntRange(1, p.Capacity())).Draw(t, "units")
}

// drawState draws a state that the policy could have left: some windows ago, or in the future by a clock set back.
func drawState(t *rapid.T, p ratelimit.Policy, now time.Time) ratelimit.State {
	window := p.Window.Milliseconds()
	amount := func(what string, most int64) int64 {
		return rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, most), rapid.Just(most)).Draw(t, what)
	}
	s := ratelimit.State{At: now.UnixMilli() + rapid.Int64Range(-5*window/2, window/2).Draw(t, "at")}
	switch p.Algorithm {
	case ratelimit.SlidingWindow:
		s.Previous = amount("previous", int64(p.Limit))
		s.Level = amount("level", int64(p.Limit))
	case ratelimit.FixedWindow:
		s.Level = amount("level", int64(p.Limit))
	default:
		s.Level = amount("level", int64(p.Capacity())*window)
	}
	return s
}

// drawReceipt draws a decision that took units in the present window, the one before, or another.
func drawReceipt(t *rapid.T, p ratelimit.Policy, s ratelimit.State) ratelimit.Decision {
	at := s.At - p.Window.Milliseconds()*rapid.Int64Range(-1, 2).Draw(t, "windows ago")
	_, d := p.Step(ratelimit.State{}, time.UnixMilli(at), drawUnits(t, p))
	return d
}

func write(t tb, l *Limiter, s ratelimit.State) {
	state := fmt.Sprint(s.At, s.Level, s.Previous)
	if err := l.server.client.Set(t.Context(), l.key("key"), state, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
}
