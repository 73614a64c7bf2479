package ratelimit_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

const day = 24 * time.Hour

// door is a login behind a guard: whether an account's password is right is the caller's word.
type door struct {
	t        testing.TB
	clock    *clock
	guard    *ratelimit.LoginGuard
	failures map[string][]time.Time // by account: guesses that reached the password check
}

func newDoor(t testing.TB) *door {
	t.Helper()
	c := newClock()
	return newDoorWith(t, c, newAddresses(t, c))
}

func newAddresses(t testing.TB, c *clock) ratelimit.KnownAddresses {
	t.Helper()
	known, err := ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func newDoorWith(t testing.TB, c *clock, known ratelimit.KnownAddresses) *door {
	t.Helper()
	g, err := ratelimit.NewLoginGuard(ratelimit.LoginConfig{
		Open: func(_ string, p ratelimit.Policy) (ratelimit.Limiter, error) {
			return ratelimit.NewMemory(ratelimit.MemoryConfig{Policy: p, Now: c.Now})
		},
		Known: known,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &door{t: t, clock: c, guard: g, failures: make(map[string][]time.Time)}
}

// try attempts a login and returns whether the password was looked at, and if not, when to try again.
func (d *door) try(account string, address netip.Addr, right bool) (looked bool, retryAfter time.Duration) {
	d.t.Helper()
	a, err := d.guard.Before(d.t.Context(), account, address)
	if err != nil {
		d.t.Fatal(err)
	}
	if a.Allowed != (a.RetryAfter == 0) {
		d.t.Fatalf("%+v: RetryAfter is for refusals, and they always have one", a)
	}
	switch {
	case !a.Allowed:
		return false, a.RetryAfter
	case right:
		if err := d.guard.Succeeded(d.t.Context(), a); err != nil {
			d.t.Fatal(err)
		}
	default:
		d.guard.Failed(a)
		d.failures[account] = append(d.failures[account], d.clock.Now())
		d.wantBounded(account)
	}
	return true, 0
}

// wantBounded checks after every failure that an account suffers at most 100 in any 24 hours.
func (d *door) wantBounded(account string) {
	d.t.Helper()
	f := d.failures[account]
	if len(f) > 100 && f[len(f)-1].Sub(f[len(f)-101]) < day {
		d.t.Fatalf("101 failures of %s within %v", account, f[len(f)-1].Sub(f[len(f)-101]))
	}
}

func (d *door) mustTry(account string, address netip.Addr, right, want bool) {
	d.t.Helper()
	if got, retry := d.try(account, address, right); got != want {
		d.t.Errorf("at %v %s from %v, right %v: looked at %v (retry after %v), want %v",
			d.clock.Now().Format(time.TimeOnly), account, address, right, got, retry, want)
	}
}

// stranger is the i-th address of an attacker.
func stranger(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
}

// home and cafe are addresses of the owner.
func home() netip.Addr { return netip.MustParseAddr("192.0.2.1") }
func cafe() netip.Addr { return netip.MustParseAddr("198.51.100.7") }

// An owner's own logins are free, and do not free anybody else's.
func TestSuccessCostsNothing(t *testing.T) {
	d := newDoor(t)
	for range 1000 {
		d.mustTry("alice", home(), true, true)
	}
	for range 8 {
		d.mustTry("alice", stranger(1), false, true)
	}
	d.mustTry("alice", home(), true, true)
	d.mustTry("alice", stranger(1), false, false)
}

// An attempt is charged to one lane: what the lane before took until it refused is given back, and once.
func TestOneLaneIsCharged(t *testing.T) {
	d := newDoor(t)
	d.mustTry("alice", cafe(), false, true) // one of its three
	for i := range 36 {
		d.try("alice", stranger(i/3), false) // uses the lane of new addresses up, and two of five repeats
	}
	d.mustTry("alice", home(), false, true) // repeats
	d.mustTry("alice", home(), false, true)
	d.clock.Advance(3 * 42 * time.Minute) // three places in the lane of new addresses
	for range 3 {
		d.mustTry("alice", home(), false, true) // all three of its own are there
	}
	a, err := d.guard.Before(t.Context(), "alice", cafe()) // repeats
	if err != nil || !a.Allowed {
		t.Fatalf("%+v, %v", a, err)
	}
	if err := d.guard.Cancelled(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	d.clock.Advance(3 * 42 * time.Minute)
	looked := 0
	for range 10 {
		if ok, _ := d.try("alice", cafe(), false); ok {
			looked++
		}
	}
	if looked != 3 {
		t.Errorf("%d guesses were looked at, want the two that are left of its own and a repeat", looked)
	}
}

// unavailable is known addresses out of reach.
type unavailable struct{}

func (unavailable) Remember(context.Context, string, string) error { return ratelimit.ErrUnavailable }
func (unavailable) Known(context.Context, string, string) (time.Duration, bool, error) {
	return 0, false, ratelimit.ErrUnavailable
}

// A store out of reach admits nobody, and costs nobody anything.
func TestUnavailableStore(t *testing.T) {
	c := newClock()
	addresses := &switchable{KnownAddresses: unavailable{}}
	d := newDoorWith(t, c, addresses)
	for range 100 {
		if a, err := d.guard.Before(t.Context(), "alice", home()); !errors.Is(err, ratelimit.ErrUnavailable) {
			t.Fatalf("%+v, %v, want ErrUnavailable", a, err)
		}
	}
	addresses.KnownAddresses = newAddresses(t, c)
	a, err := d.guard.Before(t.Context(), "alice", home())
	if err != nil || !a.Allowed {
		t.Fatalf("%+v, %v, want it allowed again", a, err)
	}
	addresses.KnownAddresses = unavailable{}
	if err := d.guard.Succeeded(t.Context(), a); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("Succeeded = %v, want ErrUnavailable", err)
	}
}

type switchable struct{ ratelimit.KnownAddresses }

func TestCancelledCostsNothing(t *testing.T) {
	d := newDoor(t)
	for range 1000 {
		a, err := d.guard.Before(t.Context(), "alice", home())
		if err != nil || !a.Allowed {
			t.Fatalf("%+v, %v", a, err)
		}
		if err := d.guard.Cancelled(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

// A client that hangs up after the password was checked must not turn a success into a failure.
func TestSettlingOutlivesTheRequest(t *testing.T) {
	d := newDoor(t)
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		a, err := d.guard.Before(ctx, "alice", home())
		if err != nil || !a.Allowed {
			t.Fatalf("%+v, %v", a, err)
		}
		cancel()
		if err := d.guard.Succeeded(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
}

// An attempt is settled once: what comes later neither refunds again nor upsets the count of attempts in flight.
func TestSettlingTwice(t *testing.T) {
	d := newDoor(t)
	for range 8 {
		a, err := d.guard.Before(t.Context(), "alice", home())
		if err != nil || !a.Allowed {
			t.Fatalf("%+v, %v", a, err)
		}
		d.guard.Failed(a)
		d.guard.Failed(a)
		if err := errors.Join(d.guard.Cancelled(t.Context(), a), d.guard.Succeeded(t.Context(), a)); err != nil {
			t.Fatal(err)
		}
	}
	d.mustTry("alice", home(), true, false)
}

func TestSpellingsShareABudget(t *testing.T) {
	d := newDoor(t)
	for i, name := range []string{"alice", "Alice", " ALICE ", "ａｌｉｃｅ", "alice\t", "aLiCe", "alicE", "ALice"} {
		if ok, _ := d.try(name, stranger(1), false); !ok {
			t.Errorf("guess %d was refused", i+1)
		}
	}
	d.mustTry("alice", stranger(1), false, false)
	d.mustTry("alicia", stranger(1), false, true)
}

func TestAddressesCountByNetwork(t *testing.T) {
	for name, addresses := range map[string][2]string{
		"one /64":           {"2001:db8::1", "2001:db8::ffff:1:2"},
		"zones":             {"fe80::1%eth0", "fe80::1%eth1"},
		"IPv4 through IPv6": {"::ffff:192.0.2.9", "192.0.2.9"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			for i := range 8 {
				d.mustTry("alice", netip.MustParseAddr(addresses[i%2]), false, true)
			}
			d.mustTry("alice", netip.MustParseAddr(addresses[0]), false, false)
			d.mustTry("alice", netip.MustParseAddr(addresses[1]), false, false)
		})
	}
	d := newDoor(t)
	for range 8 {
		d.mustTry("alice", netip.MustParseAddr("2001:db8::1"), false, true)
	}
	d.mustTry("alice", netip.MustParseAddr("2001:db8:0:1::1"), false, true)
	d.mustTry("alice", netip.Addr{}, false, true) // an address nobody could tell is one address
}

func TestForgive(t *testing.T) {
	d := newDoor(t)
	for i := range 100 {
		d.try("alice", stranger(i), false)
	}
	d.mustTry("alice", cafe(), true, false)
	if err := d.guard.Forgive(t.Context(), "Alice"); err != nil {
		t.Fatal(err)
	}
	d.mustTry("alice", cafe(), true, true)
}

func TestNewLoginGuardRefusesBadConfigurations(t *testing.T) {
	known, err := ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{})
	if err != nil {
		t.Fatal(err)
	}
	open := func(_ string, p ratelimit.Policy) (ratelimit.Limiter, error) {
		return ratelimit.NewMemory(ratelimit.MemoryConfig{Policy: p})
	}
	for name, c := range map[string]ratelimit.LoginConfig{
		"Open and Known are required": {},
		"Known are required":          {Open: open},
		"must not be negative":        {Open: open, Known: known, MaxWait: -1},
		"login-new: fixed-window":     {Open: open, Known: known, Policies: ratelimit.LoginPolicies{New: policy(t, "fixed-window 1/1h")}},
		"opening login-address: limit 0": {Open: open, Known: known, Policies: ratelimit.LoginPolicies{
			Address: ratelimit.Policy{Algorithm: ratelimit.TokenBucket},
		}},
	} {
		if _, err := ratelimit.NewLoginGuard(c); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "rate limit policy: ", ""), name) {
			t.Errorf("%v does not say %q", err, name)
		}
	}
}
