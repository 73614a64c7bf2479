package ratelimit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

// shaky is a shared limiter that can be out of reach, and counts how often it is asked.
type shaky struct {
	ratelimit.Limiter
	down  bool
	asked int
	while func() // what others do while it is being asked
}

func (s *shaky) Allow(ctx context.Context, key string, n int) (ratelimit.Decision, error) {
	s.asked++
	if while := s.while; while != nil {
		s.while = nil
		while()
	}
	if s.down {
		return ratelimit.Decision{}, fmt.Errorf("%w: connection refused", ratelimit.ErrUnavailable)
	}
	return s.Limiter.Allow(ctx, key, n)
}

// While the shared limiter is out of reach the same policy holds in this process, nearly nobody waits for the shared
// one, and when it is back it decides again.
func TestFallback(t *testing.T) {
	c, p := newClock(), policy(t, "fixed-window 3/1h")
	shared := &shaky{Limiter: newMemory(t, ratelimit.MemoryConfig{Policy: p, Now: c.Now})}
	var log bytes.Buffer
	f, err := ratelimit.NewFallback(ratelimit.FallbackConfig{
		Name: "api", Shared: shared, Local: newMemory(t, ratelimit.MemoryConfig{Policy: p, Now: c.Now}),
		Now: c.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.Policy() != p {
		t.Errorf("policy %v, want %v", f.Policy(), p)
	}
	admitted := func() (n int) {
		t.Helper()
		for range 10 {
			d, err := f.Allow(t.Context(), "key", 1)
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				n++
			}
		}
		return n
	}
	if n := admitted(); n != 3 || shared.asked != 10 {
		t.Errorf("%d admitted, asked %d times, want the shared limit of 3 and 10", n, shared.asked)
	}
	shared.down, shared.asked = true, 0
	if n := admitted(); n != 3 || shared.asked != 1 {
		t.Errorf("without the shared limiter %d admitted, asked %d times, want 3 and 1", n, shared.asked)
	}
	c.Advance(time.Second)
	if n := admitted(); n != 0 || shared.asked != 2 {
		t.Errorf("a second later %d admitted, asked %d times, want 0 and 2", n, shared.asked)
	}
	shared.down = false
	c.Advance(time.Hour)
	if n := admitted(); n != 3 || shared.asked != 12 {
		t.Errorf("when it is back %d admitted, asked %d times, want 3 and 12", n, shared.asked)
	}
	for text, want := range map[string]int{"counted by this process alone": 1, "shared again": 1, "limit=api": 2} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("the log says %q %d times, want %d:\n%s", text, got, want, &log)
		}
	}
}

// While one request asks whether the shared limiter is back, others do not wait for its answer.
func TestFallbackAsksOnce(t *testing.T) {
	c, p := newClock(), policy(t, "fixed-window 3/1h")
	shared := &shaky{Limiter: newMemory(t, ratelimit.MemoryConfig{Policy: p, Now: c.Now}), down: true}
	f, err := ratelimit.NewFallback(ratelimit.FallbackConfig{
		Shared: shared, Local: newMemory(t, ratelimit.MemoryConfig{Policy: p, Now: c.Now}), Now: c.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() {
		if d, err := f.Allow(t.Context(), "key", 1); err != nil || !d.Allowed {
			t.Errorf("%+v, %v, want it allowed", d, err)
		}
	}
	ask()
	c.Advance(time.Second)
	shared.while = ask
	ask()
	if shared.asked != 2 {
		t.Errorf("asked %d times, want 2", shared.asked)
	}
}

// What the caller did wrong, or gave up, says nothing about the shared limiter.
func TestFallbackIsForOutagesOnly(t *testing.T) {
	p := policy(t, "fixed-window 3/1h")
	shared := &shaky{Limiter: newMemory(t, ratelimit.MemoryConfig{Policy: p})}
	f, err := ratelimit.NewFallback(ratelimit.FallbackConfig{
		Shared: shared, Local: newMemory(t, ratelimit.MemoryConfig{Policy: p}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Allow(t.Context(), "key", 4); !errors.Is(err, ratelimit.ErrUnits) {
		t.Errorf("four of three: %v, want ErrUnits", err)
	}
	shared.down = true
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := f.Allow(ended, "key", 1); err == nil {
		t.Errorf("with an ended context: %+v, want an error", d)
	}
	shared.down, shared.asked = false, 0
	for range 2 {
		if _, err := f.Allow(t.Context(), "key", 1); err != nil {
			t.Fatal(err)
		}
	}
	if shared.asked != 2 {
		t.Errorf("asked %d times, want 2: nothing was wrong with it", shared.asked)
	}
}

func TestNewFallbackRefusesBadConfigurations(t *testing.T) {
	one := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, "fixed-window 1/1h")})
	two := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, "fixed-window 2/1h")})
	for name, c := range map[string]ratelimit.FallbackConfig{
		"no local limiter":   {Shared: one},
		"no shared limiter":  {Local: one},
		"different policies": {Shared: one, Local: two},
		"negative pause":     {Shared: one, Local: one, Pause: -1},
	} {
		if _, err := ratelimit.NewFallback(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
