package ratelimit_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

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

// T3, harder: thousands of addresses cannot keep the owner out of where they have logged in before. Elsewhere
// they get in soon after the attack.
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

// Guesses from one of the owner's addresses do not keep them out of another.
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
	for round := range 2 * 24 * 12 {
		for _, address := range []netip.Addr{home(), cafe(), stranger(round), stranger(round % 7)} {
			d.try("alice", address, false)
		}
		d.clock.Advance(5 * time.Minute)
	}
	if n := len(d.failures["alice"]); n < 140 || n > 150 {
		t.Errorf("%d failures in two days, want almost 3 × 50", n)
	}
}
