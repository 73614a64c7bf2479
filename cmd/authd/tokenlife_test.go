package main

import (
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
)

// Whatever access-ttl was set to at earlier starts, no token outlives what is remembered at a later one.
func TestTokenLifeCoversEveryToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_800_000_000, 0)
		var state tokenLife
		var lastDeath time.Time // of any token issued so far
		for range rapid.IntRange(1, 12).Draw(t, "starts") {
			ttl := time.Duration(rapid.IntRange(1, 100).Draw(t, "access-ttl")) * time.Minute
			state = state.starting(ttl, now)
			if covered := now.Add(state.longest(now)); lastDeath.After(covered) {
				t.Fatalf("a token lives until %v, but an entry written now goes at %v", lastDeath, covered)
			}
			if state.longest(now) < ttl {
				t.Fatalf("new tokens live %v, remembered are %v", ttl, state.longest(now))
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "runs for")) * time.Minute)
			if death := now.Add(ttl); death.After(lastDeath) {
				lastDeath = death // one issued just before the stop
			}
		}
	})
}

func TestTokenLifeIsForgottenWhenOver(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	state := tokenLife{}.starting(time.Hour, now).starting(time.Minute, now)
	if got := state.longest(now); got != time.Hour {
		t.Errorf("remembered %v right after access-ttl was lowered", got)
	}
	now = now.Add(61 * time.Minute)
	if got := state.starting(time.Minute, now).longest(now); got != time.Minute {
		t.Errorf("still remembered %v when all tokens of an hour are dead", got)
	}
}

func TestTokenLifeIsStored(t *testing.T) {
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "authd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	now := time.Unix(1_800_000_000, 0)
	for _, ttl := range []time.Duration{time.Hour, time.Minute} {
		got, err := startTokenLife(t.Context(), file, ttl, now)
		if err != nil || got != time.Hour {
			t.Errorf("with access-ttl %v: %v, %v", ttl, got, err)
		}
	}
}

// An authd whose data folder is new learns from the ring that others have issued tokens which live longer than its own.
func TestTokenLifeOfOthers(t *testing.T) {
	long, short := keys.Policy{TokenLife: time.Hour}.WithDefaults(), keys.Policy{TokenLife: time.Minute}.WithDefaults()
	ring := keys.Ring{Keys: []keys.Key{{State: keys.Active, KeepFor: long.RetiredFor()}}}
	if got := ringTokenLife(ring, short); got < time.Hour || got > 2*time.Hour {
		t.Errorf("tokens of an hour are said to live %v", got)
	}
	if got := ringTokenLife(ring, long); got != 0 {
		t.Errorf("nothing but tokens of this policy, and they are said to live %v", got)
	}
}
