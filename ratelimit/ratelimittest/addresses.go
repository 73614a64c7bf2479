package ratelimittest

import (
	"fmt"
	"testing"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

// OpenAddresses returns an empty memory of known addresses, and a function that lets time pass for it.
type OpenAddresses func(t *testing.T) (k ratelimit.KnownAddresses, advance func(time.Duration))

// RunAddresses runs the suite of [ratelimit.KnownAddresses].
func RunAddresses(t *testing.T, open OpenAddresses) {
	t.Helper()
	t.Run("remembers", func(t *testing.T) {
		k, advance := open(t)
		wantKnown(t, k, "alice", "home", false)
		remember(t, k, "alice", "home")
		wantKnown(t, k, "alice", "home", true)
		wantKnown(t, k, "alice", "work", false)
		wantKnown(t, k, "bob", "home", false)
		advance(ratelimit.KnownFor - tolerance)
		wantKnown(t, k, "alice", "home", true)
		advance(tolerance)
		wantKnown(t, k, "alice", "home", false)
	})
	t.Run("tells how long ago", func(t *testing.T) {
		k, advance := open(t)
		remember(t, k, "alice", "home")
		advance(time.Hour)
		if ago, known, err := k.Known(t.Context(), "alice", "home"); err != nil || !known || ago < time.Hour || ago > time.Hour+tolerance {
			t.Errorf("Known = %v, %v, %v, want an hour ago", ago, known, err)
		}
		remember(t, k, "alice", "home")
		if ago, known, err := k.Known(t.Context(), "alice", "home"); err != nil || !known || ago > tolerance {
			t.Errorf("Known = %v, %v, %v, want a moment ago", ago, known, err)
		}
	})
	t.Run("a login renews", func(t *testing.T) {
		k, advance := open(t)
		remember(t, k, "alice", "home")
		remember(t, k, "alice", "work")
		advance(ratelimit.KnownFor - tolerance)
		remember(t, k, "alice", "home")
		advance(2 * tolerance)
		wantKnown(t, k, "alice", "home", true)
		wantKnown(t, k, "alice", "work", false)
	})
	t.Run("an address is counted once", func(t *testing.T) {
		k, advance := open(t)
		remember(t, k, "alice", "home")
		for range 2 * ratelimit.KnownPerAccount {
			advance(time.Second)
			remember(t, k, "alice", "work")
		}
		wantKnown(t, k, "alice", "home", true)
	})
	t.Run("keeps the latest of an account", func(t *testing.T) {
		k, advance := open(t)
		remember(t, k, "bob", "home")
		for i := range ratelimit.KnownPerAccount + 1 {
			advance(time.Second)
			remember(t, k, "alice", fmt.Sprint(i))
		}
		wantKnown(t, k, "alice", "0", false)
		for i := range ratelimit.KnownPerAccount {
			wantKnown(t, k, "alice", fmt.Sprint(i+1), true)
		}
		wantKnown(t, k, "bob", "home", true)
	})
}

func remember(t *testing.T, k ratelimit.KnownAddresses, account, address string) {
	t.Helper()
	if err := k.Remember(t.Context(), account, address); err != nil {
		t.Fatalf("Remember(%s, %s): %v", account, address, err)
	}
}

func wantKnown(t *testing.T, k ratelimit.KnownAddresses, account, address string, want bool) {
	t.Helper()
	_, got, err := k.Known(t.Context(), account, address)
	if err != nil || got != want {
		t.Errorf("Known(%s, %s) = %v, %v, want %v", account, address, got, err, want)
	}
}
