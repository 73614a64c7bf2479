package ratelimit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/ratelimit/ratelimittest"
)

// clock is a clock that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 9, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newMemory(t testing.TB, c ratelimit.MemoryConfig) *ratelimit.Memory {
	t.Helper()
	m, err := ratelimit.NewMemory(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemory(t *testing.T) {
	ratelimittest.Run(t, func(t *testing.T, p ratelimit.Policy) (ratelimit.Limiter, func(time.Duration)) {
		t.Helper()
		c := newClock()
		return newMemory(t, ratelimit.MemoryConfig{Policy: p, Now: c.Now}), c.Advance
	})
}

func TestMemoryAddresses(t *testing.T) {
	ratelimittest.RunAddresses(t, func(t *testing.T) (ratelimit.KnownAddresses, func(time.Duration)) {
		t.Helper()
		c := newClock()
		k, err := ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		return k, c.Advance
	})
}

func TestMemoryAddressesAreBounded(t *testing.T) {
	k, err := ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{MaxAccounts: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range []string{"alice", "bob", "alice", "carol"} {
		if err := k.Remember(t.Context(), account, "home"); err != nil {
			t.Fatal(err)
		}
	}
	for account, want := range map[string]bool{"alice": true, "bob": false, "carol": true} {
		if _, got, err := k.Known(t.Context(), account, "home"); err != nil || got != want {
			t.Errorf("Known(%s) = %v, %v, want %v: bob is the least recent of three", account, got, err, want)
		}
	}
	if _, err := ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{MaxAccounts: -1}); err == nil {
		t.Error("a negative bound was accepted")
	}
}

func TestNewMemoryRefusesBadConfigurations(t *testing.T) {
	valid := policy(t, "fixed-window 1/1s")
	for name, c := range map[string]ratelimit.MemoryConfig{
		"no policy": {}, "negative keys": {Policy: valid, MaxKeys: -1},
	} {
		if _, err := ratelimit.NewMemory(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An attacker who makes up keys must neither make the table grow nor push out the key that is used up.
func TestFloodOfKeysEvictsNothingWorthHaving(t *testing.T) {
	const maxKeys = 1024
	for _, text := range []string{
		"fixed-window 10/1h", "sliding-window 10/1h", "token-bucket 10/1h", "leaky-bucket 10/1h burst 9",
	} {
		t.Run(text, func(t *testing.T) {
			c := newClock()
			m := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, text), MaxKeys: maxKeys, Now: c.Now})
			mustAllow(t, m, "victim", 10, true)
			for i := range 4 * maxKeys {
				mustAllow(t, m, fmt.Sprint("flood ", i), 1, true)
			}
			if m.Len() > maxKeys {
				t.Errorf("%d keys in a table of %d", m.Len(), maxKeys)
			}
			mustAllow(t, m, "victim", 1, false)
		})
	}
}

// What a fresh allowance costs by eviction, as the comment on Memory promises: about the whole table in allowances.
func TestEvictionCostsATableOfAllowances(t *testing.T) {
	const maxKeys, limit = 64, 10
	c := newClock()
	m := newMemory(t, ratelimit.MemoryConfig{
		Policy: ratelimit.Policy{Algorithm: ratelimit.TokenBucket, Limit: limit, Window: time.Hour}, MaxKeys: maxKeys, Now: c.Now,
	})
	mustAllow(t, m, "victim", limit, true)
	spent := 0
	for i := range 100 * maxKeys {
		if d, err := m.Allow(t.Context(), "victim", limit); err != nil {
			t.Fatal(err)
		} else if d.Allowed {
			break
		}
		mustAllow(t, m, fmt.Sprint("flood ", i), limit, true)
		spent += limit
	}
	t.Logf("%d units spent for an allowance of %d", spent, limit)
	if least := (maxKeys - 1) * limit; spent < least {
		t.Errorf("an allowance of %d was won back for %d units, want at least %d", limit, spent, least)
	}
}

// A key that was pushed out comes back as one never seen, and has nothing to do with whoever has its place.
func TestEvictedKeysComeBackFresh(t *testing.T) {
	c := newClock()
	m := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, "fixed-window 2/1h"), MaxKeys: 1, Now: c.Now})
	for _, key := range []string{"a", "b", "a", "b", "b"} {
		mustAllow(t, m, key, 1, true)
	}
	mustAllow(t, m, "b", 1, false)
}

func TestKeysOutOfUseMakeRoom(t *testing.T) {
	c := newClock()
	m := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, "fixed-window 1/1s"), MaxKeys: 1000, Now: c.Now})
	for i := range 10_000 {
		mustAllow(t, m, fmt.Sprint(i), 1, true)
		c.Advance(100 * time.Millisecond) // so that ten keys are in use at once
	}
	if m.Len() > 40 {
		t.Errorf("%d keys take room, but only ten are in use", m.Len())
	}
}

func TestForgottenKeysMakeRoom(t *testing.T) {
	c := newClock()
	m := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, "fixed-window 1/1h"), MaxKeys: 2, Now: c.Now})
	mustAllow(t, m, "a", 1, true)
	mustAllow(t, m, "b", 1, true)
	if err := m.Forget(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	mustAllow(t, m, "c", 1, true)
	mustAllow(t, m, "b", 1, false)
	mustAllow(t, m, "c", 1, false)
}

// A refund belongs to the window of its units: it frees nothing in a later one.
func TestRefundOfAnEndedWindow(t *testing.T) {
	for text, stillCounts := range map[string]bool{"fixed-window 10/1m": false, "sliding-window 10/1m": true} {
		t.Run(text, func(t *testing.T) {
			c := newClock()
			m := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, text), Now: c.Now})
			d, err := m.Allow(t.Context(), "key", 10)
			if err != nil {
				t.Fatal(err)
			}
			c.Advance(90 * time.Second) // of a sliding window half the units still count
			mustAllow(t, m, "key", 5, true)
			if !stillCounts {
				mustAllow(t, m, "key", 5, true)
			}
			mustAllow(t, m, "key", 1, false)
			if err := m.Refund(t.Context(), "key", d); err != nil {
				t.Fatal(err)
			}
			mustAllow(t, m, "key", 5, stillCounts)
			c.Advance(2 * time.Minute)
			mustAllow(t, m, "key", 10, true)
			if err := m.Refund(t.Context(), "key", d); err != nil {
				t.Fatal(err)
			}
			mustAllow(t, m, "key", 1, false)
		})
	}
}

// The wall clock set back by an hour neither frees nor blocks anybody for long.
func TestClockSetBack(t *testing.T) {
	for _, text := range []string{
		"fixed-window 10/1m", "sliding-window 10/1m", "token-bucket 10/1m", "leaky-bucket 10/1m burst 9",
	} {
		t.Run(text, func(t *testing.T) {
			c := newClock()
			m := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, text), Now: c.Now})
			mustAllow(t, m, "key", 10, true)
			c.Advance(-time.Hour)
			mustAllow(t, m, "key", 1, false)
			c.Advance(2 * time.Minute)
			mustAllow(t, m, "key", 10, true)
		})
	}
}

func policy(t testing.TB, text string) ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustAllow(t testing.TB, l ratelimit.Limiter, key string, n int, want bool) {
	t.Helper()
	d, err := l.Allow(t.Context(), key, n)
	if err != nil {
		t.Fatal(err)
	}
	if d.Allowed != want {
		t.Fatalf("%s, %d units: %+v, want Allowed %v", key, n, d, want)
	}
}
