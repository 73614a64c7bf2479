package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
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
	known, err := ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
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

// T1: 200 wrong passwords for one account from one address.
func TestGuessingOneAccount(t *testing.T) {
	d := newDoor(t)
	looked, firstRefusal := 0, 0
	for i := range 200 {
		if ok, _ := d.try("alice", stranger(1), false); ok {
			looked++
		} else if firstRefusal == 0 {
			firstRefusal = i + 1
		}
		d.clock.Advance(time.Second)
	}
	if looked != 8 || firstRefusal != 9 {
		t.Errorf("%d guesses were looked at and guess %d was the first refused, want 8 and 9", looked, firstRefusal)
	}
	// The right password from there waits as long as a wrong one, and then gets in.
	ok, retry := d.try("alice", stranger(1), true)
	if ok || retry > 5*time.Hour {
		t.Errorf("right password after the flood: looked at %v, retry after %v, want at most 5h", ok, retry)
	}
	d.clock.Advance(retry)
	d.mustTry("alice", stranger(1), true, true)
}

// T2: one guess at each of many accounts, from one address.
func TestCredentialStuffing(t *testing.T) {
	d := newDoor(t)
	looked := 0
	for i := range 2000 {
		if ok, _ := d.try(fmt.Sprint("user", i), stranger(1), false); ok {
			looked++
		}
		d.clock.Advance(30 * time.Millisecond)
	}
	if looked < 30 || looked > 33 {
		t.Errorf("%d of 2000 guesses were looked at, want about 30", looked)
	}
	d.mustTry("user7", home(), true, true)
	d.mustTry("user1999", stranger(2), true, true)
}

// T3: as long as fewer than 12 addresses attack, however long and hard, the owner gets in at once from an address that
// has never been seen.
func TestNobodyLocksTheOwnerOut(t *testing.T) {
	for _, attackers := range []int{1, 5, 11} {
		t.Run(fmt.Sprint(attackers), func(t *testing.T) {
			d := newDoor(t)
			for round := range 3 * 24 * 12 {
				for i := range attackers {
					d.try("alice", stranger(i), false)
				}
				if round%36 == 0 {
					d.mustTry("alice", stranger(1_000_000+round), true, true)
				}
				d.clock.Advance(5 * time.Minute)
			}
		})
	}
}

// T3, harder: thousands of addresses cannot keep the owner out of where he has logged in before. Elsewhere he gets in
// soon after they stop.
func TestNobodyLocksTheOwnerOutOfHome(t *testing.T) {
	d := newDoor(t)
	d.mustTry("alice", home(), true, true)
	for minute := range 2*24*60 + 10 {
		for i := range 2 {
			d.try("alice", stranger(2*minute+i), false)
		}
		if minute%60 == 0 {
			d.mustTry("alice", home(), true, true)
		}
		d.clock.Advance(time.Minute)
	}
	if n := len(d.failures["alice"]); n < 70 {
		t.Errorf("the attack had %d guesses in two days: too weak to show anything", n)
	}
	d.mustTry("alice", home(), false, true) // even with a few typing errors
	d.mustTry("alice", home(), false, true)
	d.mustTry("alice", home(), true, true)

	d.mustTry("alice", cafe(), true, false)
	d.clock.Advance(42 * time.Minute)
	d.mustTry("alice", cafe(), true, true)
}

// Guesses from one of the owner's addresses do not keep him out of another.
func TestGuessesFromAKnownAddress(t *testing.T) {
	d := newDoor(t)
	d.mustTry("alice", home(), true, true)
	d.mustTry("alice", cafe(), true, true)
	for hour := range 3 * 24 {
		for range 5 {
			d.try("alice", cafe(), false)
		}
		if hour%12 == 0 {
			d.mustTry("alice", home(), true, true)
		}
		d.clock.Advance(time.Hour)
	}
}

// Guesses from everywhere, the owner's addresses included: the bound that try checks must hold, and be near.
func TestFailuresOfAnAccountAreBounded(t *testing.T) {
	d := newDoor(t)
	d.mustTry("alice", home(), true, true)
	d.mustTry("alice", cafe(), true, true)
	for minute := range 2 * 24 * 60 {
		for _, address := range []netip.Addr{home(), cafe(), stranger(minute), stranger(minute % 7)} {
			d.try("alice", address, false)
		}
		d.clock.Advance(time.Minute)
	}
	if n := len(d.failures["alice"]); n < 140 || n > 150 {
		t.Errorf("%d failures in two days, want almost 3 × 50", n)
	}
}

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
