package keys_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

func TestLeaderMakesTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, _, _, _ := serve(t, p)
		r := stored(t, store)
		if r.Term != 1 || r.Holder != "leader" || len(r.Keys) != 2 || len(r.MACs) != 2 {
			t.Errorf("got term %d of %q: %v", r.Term, r.Holder, r)
		}
		if inState(r, keys.Active) == "" || inState(r, keys.Prepared) == "" {
			t.Errorf("want an active key and a standby: %v", r)
		}
		for _, k := range r.Keys {
			if k.Since.IsZero() || k.Since.Before(k.CreatedAt) {
				t.Errorf("%v: stamped %v, created %v", k, k.Since, k.CreatedAt)
			}
		}
	})
}

// Reading never changes the ring, and a leader that has nothing to do writes nothing.
func TestIdleLeaderWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, _, _, _ := serve(t, p)
		before := store.Writes()
		time.Sleep(time.Hour)
		if n := store.Writes() - before; n != 0 {
			t.Errorf("%d writes in an idle hour", n)
		}
	})
}

func TestRotateByCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, r, v, _ := serve(t, p)
		standby := inState(stored(t, store), keys.Prepared)
		old := inState(stored(t, store), keys.Active)
		kid, err := r.Rotate(t.Context())
		if err != nil || kid != standby {
			t.Fatalf("got %q, %v, want the standby %q", kid, err, standby)
		}
		synctest.Wait()
		if signing, _, _, err := v.SigningKey(t.Context()); err != nil || signing != standby {
			t.Errorf("the view signs with %q, %v", signing, err)
		}
		if got := state(stored(t, store), old); got != keys.Retired {
			t.Errorf("the old key is %q", got)
		}

		time.Sleep(time.Minute)
		_, err = r.Rotate(t.Context())
		var young *keys.TooYoungError
		if !errors.As(err, &young) {
			t.Fatalf("rotating again: got %v, want a TooYoungError", err)
		}
		if young.KeyID != inState(stored(t, store), keys.Prepared) {
			t.Errorf("it speaks of %q", young.KeyID)
		}
		time.Sleep(young.Wait - 1)
		if _, err := r.Rotate(t.Context()); !errors.As(err, &young) {
			t.Errorf("just before the time that was told: %v", err)
		}
		time.Sleep(young.Wait)
		if _, err := r.Rotate(t.Context()); err != nil {
			t.Errorf("after the time that was told: %v", err)
		}
	})
}

func TestOnlyTheLeaderObeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, leader, _, set := serve(t, p)
		kid := inState(stored(t, store), keys.Active)
		other := newRotator(t, store, p, "other", set)
		if _, err := other.Rotate(t.Context()); !errors.Is(err, keys.ErrNotLeader) {
			t.Errorf("rotate: %v", err)
		}
		if _, err := other.Revoke(t.Context(), kid); !errors.Is(err, keys.ErrNotLeader) {
			t.Errorf("revoke: %v", err)
		}
		if _, err := other.BlastRadius(t.Context(), kid); err != nil {
			t.Errorf("asking needs no leader: %v", err)
		}

		// The other one takes over without the first learning of it: the store refuses the first.
		start(t, other.Lead)
		synctest.Wait()
		if _, err := leader.Rotate(t.Context()); !errors.Is(err, keys.ErrNotLeader) {
			t.Errorf("the deposed leader: %v", err)
		}
		if _, err := other.Rotate(t.Context()); err != nil {
			t.Errorf("the new leader: %v", err)
		}
	})
}

// A deposed leader's work returns, so that its elector can compete again; that is no error.
func TestDeposedLeaderReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store := keystest.NewMemory()
		r := newRotator(t, store, p, "leader", new(revocations))
		done := make(chan error, 1)
		go func() { done <- r.Lead(t.Context()) }()
		synctest.Wait()
		if _, err := store.Claim(t.Context(), "another"); err != nil {
			t.Fatal(err)
		}
		want := stored(t, store)
		if err := <-done; err != nil {
			t.Errorf("got %v", err)
		}
		if got := stored(t, store); got.Term != want.Term || got.Holder != "another" {
			t.Errorf("the deposed leader wrote: %v", got)
		}
	})
}

// A store that is out of reach makes the leader wait, not end; lost answers make it look again.
func TestLeaderSurvivesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{RotateEvery: 2 * time.Hour}.WithDefaults()
		store := keystest.WithFaults(keystest.NewMemory())
		store.SetDown(true)
		r := newRotator(t, store, p, "leader", new(revocations))
		start(t, r.Lead)
		time.Sleep(10 * time.Minute)
		store.SetDown(false)
		store.FailNext(keystest.AfterWrite, keystest.BeforeWrite, 0, keystest.AfterWrite, keystest.AfterWrite, keystest.BeforeWrite)
		time.Sleep(time.Minute)
		if ring := stored(t, store); inState(ring, keys.Active) == "" || len(ring.Keys) != 2 || len(ring.MACs) != 2 {
			t.Errorf("after all that: %v", ring)
		}
		store.SetDown(true)
		time.Sleep(p.RotateEvery)
		store.SetDown(false)
		time.Sleep(time.Minute)
		if ring := stored(t, store); inState(ring, keys.Retired) == "" {
			t.Errorf("the rotation that fell into the outage was not made up for: %v", ring)
		}
	})
}

// A command whose answer was lost is not performed twice.
func TestRotateOnceDespiteALostAnswer(t *testing.T) {
	for name, fault := range map[string]keystest.Fault{"never ran": keystest.BeforeWrite, "ran, answer lost": keystest.AfterWrite} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, r, _, _ := serve(t, keys.Policy{}.WithDefaults())
				standby := inState(stored(t, store), keys.Prepared)
				store.FailNext(fault)
				if kid, err := r.Rotate(t.Context()); err != nil || kid != standby {
					t.Errorf("got %q, %v, want %q", kid, err, standby)
				}
				if got := inState(stored(t, store), keys.Active); got != standby {
					t.Errorf("%q signs", got)
				}
			})
		})
	}
}

// A caller that cannot wait is not kept, and a store that stays away does not keep it for ever.
func TestCommandsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, r, _, _ := serve(t, keys.Policy{}.WithDefaults())
		store.SetDown(true)
		began := time.Now()
		if _, err := r.Rotate(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("it took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if _, err := r.Rotate(ctx); err == nil {
			t.Error("no error")
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// An error that waiting does not mend ends the leadership, and says why.
func TestLeaderReportsARingItCannotRead(t *testing.T) {
	broken := errors.New("the seal is broken")
	store := &brokenStore{Store: keystest.NewMemory(), err: broken}
	r := newRotator(t, store, keys.Policy{}.WithDefaults(), "leader", new(revocations))
	if err := r.Lead(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type brokenStore struct {
	keys.Store
	err error
}

func (s *brokenStore) Claim(context.Context, string) (keys.Term, error) { return 0, s.err }

func TestNewRotatorRefusesAnIncompleteConfig(t *testing.T) {
	full := keys.RotatorConfig{
		Store: keystest.NewMemory(), Policy: keys.Policy{}.WithDefaults(), Holder: "leader", Revocations: new(revocations),
	}
	for name, change := range map[string]func(*keys.RotatorConfig){
		"no store":       func(c *keys.RotatorConfig) { c.Store = nil },
		"no holder":      func(c *keys.RotatorConfig) { c.Holder = "" },
		"no revocations": func(c *keys.RotatorConfig) { c.Revocations = nil },
		"no policy":      func(c *keys.RotatorConfig) { c.Policy = keys.Policy{} },
	} {
		cfg := full
		change(&cfg)
		if _, err := keys.NewRotator(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
