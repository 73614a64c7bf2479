package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// failing fails when err is set.
type failing struct {
	KnownAddresses
	err error
}

func (f *failing) Known(ctx context.Context, account, address string) (time.Duration, bool, error) {
	if f.err != nil {
		return 0, false, f.err
	}
	return f.KnownAddresses.Known(ctx, account, address)
}

// Addresses that are done must not stay in memory: an attacker has many.
func TestFlightsAreForgotten(t *testing.T) {
	memory, err := NewMemoryAddresses(MemoryAddressesConfig{})
	if err != nil {
		t.Fatal(err)
	}
	known := &failing{KnownAddresses: memory}
	g, err := NewLoginGuard(LoginConfig{
		Open:  func(_ string, p Policy) (Limiter, error) { return NewMemory(MemoryConfig{Policy: p}) },
		Known: known,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		known.err = nil
		if i%5 == 0 {
			known.err = ErrUnavailable
		}
		a, err := g.Before(t.Context(), "alice", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
		if !errors.Is(err, known.err) {
			t.Fatal(err)
		}
		if err != nil {
			continue
		}
		switch {
		case !a.Allowed:
		case i%3 == 0:
			g.Failed(a)
		case i%3 == 1:
			err = g.Cancelled(t.Context(), a)
		default:
			err = g.Succeeded(t.Context(), a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.flights.byAddress); n != 0 {
		t.Errorf("%d of 100 addresses are still remembered: %v", n, fmt.Sprint(g.flights.byAddress))
	}
}
