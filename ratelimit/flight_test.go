package ratelimit_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

// slow is a store that takes its time, so that attempts overlap before they are decided.
type slow struct{ ratelimit.KnownAddresses }

func (s slow) Known(ctx context.Context, account, address string) (time.Duration, bool, error) {
	time.Sleep(10 * time.Millisecond)
	return s.KnownAddresses.Known(ctx, account, address)
}

func newSlowDoor(t *testing.T) *door {
	t.Helper()
	c := newClock()
	return newDoorWith(t, c, slow{newAddresses(t, c)})
}

// Many right logins at once from one address, more than any budget allows in flight: all get in, a few at a time.
func TestConcurrentSuccessesAllGetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSlowDoor(t)
		var refused, inFlight, most atomic.Int64
		var clients sync.WaitGroup
		for range 50 {
			clients.Go(func() {
				a, err := d.guard.Before(t.Context(), "alice", home())
				if err != nil || !a.Allowed {
					refused.Add(1)
					return
				}
				if n := inFlight.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(100 * time.Millisecond) // the password is hashed
				inFlight.Add(-1)
				if err := d.guard.Succeeded(t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		clients.Wait()
		if refused.Load() > 0 || most.Load() < 8 || most.Load() > 13 {
			t.Errorf("%d refused, %d in flight at most, want none and 8 to 13", refused.Load(), most.Load())
		}
	})
}

// Many guesses at once: waiting for those in flight earns no more guesses, and nobody waits for long.
func TestConcurrentGuessesGainNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSlowDoor(t)
		start := time.Now()
		var looked, refused atomic.Int64
		var clients sync.WaitGroup
		for range 500 {
			clients.Go(func() {
				a, err := d.guard.Before(t.Context(), "alice", stranger(1))
				if err != nil {
					t.Error(err)
					return
				}
				if !a.Allowed {
					refused.Add(1)
					return
				}
				looked.Add(1)
				time.Sleep(100 * time.Millisecond)
				d.guard.Failed(a)
			})
		}
		clients.Wait()
		if looked.Load() != 8 || refused.Load() != 492 {
			t.Errorf("%d looked at and %d refused, want 8 and 492", looked.Load(), refused.Load())
		}
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("the last was refused after %v, want as soon as nothing is in flight", took)
		}
	})
}

// While attempts hang, others from their address are refused after MaxWait, and those from elsewhere at once.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		for range 8 {
			if a, err := d.guard.Before(t.Context(), "alice", home()); err != nil || !a.Allowed {
				t.Fatalf("%+v, %v", a, err)
			}
		}
		for range 512 {
			go func() {
				if a, err := d.guard.Before(t.Context(), "alice", home()); err != nil || a.Allowed {
					t.Errorf("%+v, %v, want it refused", a, err)
				}
			}()
		}
		synctest.Wait()
		start := time.Now()
		d.mustTry("alice", home(), true, false) // 512 wait already
		if took := time.Since(start); took > 0 {
			t.Errorf("one more than may wait was refused after %v, want at once", took)
		}
		time.Sleep(6 * time.Second) // the others give up
		start = time.Now()
		d.mustTry("alice", home(), true, false)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("refused after %v, want 5s", took)
		}
	})
}

// twoDoors are guards of two processes that share their limiters.
func twoDoors(t *testing.T) (one, other *ratelimit.LoginGuard) {
	t.Helper()
	c := newClock()
	known, limiters := newAddresses(t, c), make(map[string]ratelimit.Limiter)
	guard := func() *ratelimit.LoginGuard {
		g, err := ratelimit.NewLoginGuard(ratelimit.LoginConfig{
			Open: func(name string, p ratelimit.Policy) (ratelimit.Limiter, error) {
				if limiters[name] == nil {
					limiters[name] = newMemory(t, ratelimit.MemoryConfig{Policy: p, Now: c.Now})
				}
				return limiters[name], nil
			},
			Known: known, Shared: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	return guard(), guard()
}

func allowed(t *testing.T, g *ratelimit.LoginGuard) *ratelimit.Attempt {
	t.Helper()
	a, err := g.Before(t.Context(), "alice", home())
	if err != nil {
		t.Fatal(err)
	}
	if !a.Allowed {
		return nil
	}
	return a
}

// What another process has in flight cannot be seen, but is worth waiting for when the account has just logged in from
// the address.
func TestWaitingForOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := twoDoors(t)
		var flying []*ratelimit.Attempt
		for a := allowed(t, one); a != nil; a = allowed(t, one) {
			flying = append(flying, a)
			if len(flying) == 8 { // the next call would wait for these
				break
			}
		}
		start := time.Now()
		if a := allowed(t, other); a != nil || time.Since(start) > 0 {
			t.Errorf("a stranger: %+v after %v, want it refused at once", a, time.Since(start))
		}
		if err := one.Succeeded(t.Context(), flying[0]); err != nil {
			t.Fatal(err)
		}
		for range 6 { // a known address has five more
			flying = append(flying, allowed(t, one))
		}
		var clients sync.WaitGroup
		for range 50 {
			clients.Go(func() {
				if a := allowed(t, other); a == nil {
					t.Error("refused")
				} else if err := other.Succeeded(t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Second)
		for _, a := range flying[1:] {
			if err := one.Succeeded(t.Context(), a); err != nil {
				t.Error(err)
			}
		}
		clients.Wait()
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		for range 13 {
			one.Failed(allowed(t, one))
		}
		start = time.Now()
		if a := allowed(t, other); a != nil || time.Since(start) != 5*time.Second {
			t.Errorf("after thirteen failures %+v after %v, want it refused after 5s", a, time.Since(start))
		}
	})
}
