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

// The emergency: the standby signs at once, the bad key is in no JWKS, its kid is in the revocation set, and a new
// standby is prepared.
func TestRevokeTheActiveKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, r, v, set := serve(t, p)
		bad, standby := inState(stored(t, store), keys.Active), inState(stored(t, store), keys.Prepared)

		before := stored(t, store)
		dry, err := r.BlastRadius(t.Context(), bad)
		if err != nil {
			t.Fatal(err)
		}
		if after := stored(t, store); state(after, bad) != keys.Active || after.Term != before.Term {
			t.Fatalf("the dry run changed the ring: %v", after)
		}
		now := time.Now().UTC()
		want := keys.RevokeResult{
			KeyID: bad, State: keys.Active, Successor: standby, TokensUntil: now.Add(p.RetiredFor()),
			RevokedUntil: now.Add(p.RevokedFor),
		}
		if dry != want {
			t.Errorf("the dry run says %+v, want %+v", dry, want)
		}

		did, err := r.Revoke(t.Context(), bad)
		if err != nil || did != want {
			t.Errorf("got %+v, %v, want %+v", did, err, want)
		}
		if until := set.until(bad); until.Before(did.RevokedUntil) {
			t.Errorf("the revocation set forgets the kid at %v, promised was %v", until, did.RevokedUntil)
		}
		synctest.Wait()
		if kid, _, _, err := v.SigningKey(t.Context()); err != nil || kid != standby {
			t.Errorf("%q signs, %v", kid, err)
		}
		if _, known, err := v.VerificationKey(t.Context(), bad, p.Algorithm); known || err != nil {
			t.Errorf("the revoked key still verifies: %v", err)
		}
		ring := stored(t, store)
		for _, k := range ring.Keys {
			if k.ID == bad && (k.State != keys.Revoked || k.Private != nil || k.Since.IsZero()) {
				t.Errorf("in the ring: %v, private part kept %v, acknowledged %v", k, k.Private != nil, k.Since)
			}
		}
		if next := inState(ring, keys.Prepared); next == "" || next == standby {
			t.Errorf("no new standby: %v", ring)
		}

		again, err := r.Revoke(t.Context(), bad)
		if err != nil || again.State != keys.Revoked || again.Successor != standby {
			t.Errorf("repeated: %+v, %v", again, err)
		}
	})
}

// The second emergency in a row has no standby that verifiers know, and says what that costs.
func TestRevokeTwiceCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, r, _, _ := serve(t, p)
		if _, err := r.Revoke(t.Context(), inState(stored(t, store), keys.Active)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		res, err := r.Revoke(t.Context(), inState(stored(t, store), keys.Active))
		if err != nil {
			t.Fatal(err)
		}
		all := p.JWKSMaxAge + p.JWKSOverstay + p.ViewAge + p.Skew
		if res.UnknownFor > all-5*time.Minute+time.Second || res.UnknownFor < all-5*time.Minute-time.Second {
			t.Errorf("5 minutes after the first it costs %v, want %v less that", res.UnknownFor, all)
		}
		if got := inState(stored(t, store), keys.Active); got != res.Successor {
			t.Errorf("%q signs, promised was %q", got, res.Successor)
		}
	})
}

// A key that has signed nothing costs nothing but a new standby.
func TestRevokeTheStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, r, _, set := serve(t, keys.Policy{}.WithDefaults())
		before := stored(t, store)
		standby := inState(before, keys.Prepared)
		res, err := r.Revoke(t.Context(), standby)
		if err != nil || res.UnknownFor != 0 || !res.TokensUntil.IsZero() || set.until(standby).IsZero() {
			t.Fatalf("got %+v, %v", res, err)
		}
		synctest.Wait()
		after := stored(t, store)
		if got := inState(after, keys.Active); got != inState(before, keys.Active) {
			t.Errorf("%q signs", got)
		}
		if next := inState(after, keys.Prepared); next == "" || next == standby {
			t.Errorf("no new standby: %v", after)
		}
	})
}

func TestRevokeOtherKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, r, _, set := serve(t, p)
		if _, err := r.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ring := stored(t, store)
		active, retired := inState(ring, keys.Active), inState(ring, keys.Retired)
		rotated := time.Now()
		time.Sleep(time.Minute)
		res, err := r.Revoke(t.Context(), retired)
		if err != nil || res.Successor != active || res.UnknownFor != 0 || !res.TokensUntil.Equal(rotated.Add(p.RetiredFor())) {
			t.Errorf("a retired key: %+v, %v", res, err)
		}
		if set.until(retired).IsZero() {
			t.Error("its kid is not in the revocation set")
		}
		if got := inState(stored(t, store), keys.Active); got != active {
			t.Errorf("%q signs, want %q as before", got, active)
		}
		for _, kid := range []string{"", "junk", active[:len(active)-1] + "\n"} {
			if _, err := r.Revoke(t.Context(), kid); !errors.Is(err, keys.ErrNotFound) {
				t.Errorf("revoking %q: %v", kid, err)
			}
			if _, err := r.BlastRadius(t.Context(), kid); !errors.Is(err, keys.ErrNotFound) {
				t.Errorf("dry run for %q: %v", kid, err)
			}
		}
	})
}

// K5 in the emergency: the leader dies between the ring's write and the revocation set's answer. The next one hands the
// kid over, and the ring remembers the key until then however long it takes.
func TestRevocationIsCompletedByTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{RevokedFor: time.Hour}.WithDefaults()
		store, set := keystest.NewMemory(), new(revocations)
		first := newRotator(t, store, p, "first", set)
		stop := start(t, first.Lead)
		time.Sleep(2 * time.Hour)
		set.setDown(true)
		bad := inState(stored(t, store), keys.Active)
		res, err := first.Revoke(t.Context(), bad)
		if !errors.Is(err, keys.ErrUnavailable) {
			t.Fatalf("got %+v, %v; it must not be confirmed", res, err)
		}
		if got := state(stored(t, store), bad); got != keys.Revoked {
			t.Errorf("the key is %q meanwhile", got)
		}
		stop()

		second := newRotator(t, store, p, "second", set)
		start(t, second.Lead)
		time.Sleep(2 * p.RevokedFor) // far past the time for which an acknowledged one is kept
		ring := stored(t, store)
		if state(ring, bad) != keys.Revoked {
			t.Fatalf("forgotten before the revocation set had it: %v", ring)
		}
		if inState(ring, keys.Prepared) == "" {
			t.Error("the outage of the revocation set held up the rotation")
		}
		set.setDown(false)
		time.Sleep(10 * time.Second)
		if until := set.until(bad); until.Before(time.Now().Add(p.RevokedFor - time.Minute)) {
			t.Errorf("the kid is in the revocation set until %v", until)
		}
		time.Sleep(p.RevokedFor + time.Minute)
		if got := state(stored(t, store), bad); got != "" {
			t.Errorf("the key is still %q", got)
		}
	})
}

// Each leader hands over once what is in force, so that a revocation set which lost it gets it back.
func TestEachLeaderAnnouncesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, r, _, set := serve(t, p)
		bad := inState(stored(t, store), keys.Active)
		if _, err := r.Revoke(t.Context(), bad); err != nil {
			t.Fatal(err)
		}
		promised := set.until(bad)
		time.Sleep(time.Minute)
		if n := set.called(); n != 1 {
			t.Errorf("announced %d times in one term", n)
		}
		lost := new(revocations)
		start(t, newRotator(t, store, p, "second", lost).Lead)
		time.Sleep(time.Minute)
		if until := lost.until(bad); !until.Equal(promised) {
			t.Errorf("after the loss: until %v, want %v", until, promised)
		}
	})
}

// A leader that is told to stop does not wait for a command that hangs.
func TestLeaderStopsDuringACommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store := keystest.NewMemory()
		r := newRotator(t, store, p, "leader", keys.KeyRevokerFunc(func(ctx context.Context, _ string, _ time.Time) error {
			<-ctx.Done()
			return ctx.Err()
		}))
		stop := start(t, r.Lead)
		synctest.Wait()
		answered := make(chan error, 1)
		go func() {
			_, err := r.Revoke(t.Context(), inState(stored(t, store), keys.Prepared))
			answered <- err
		}()
		synctest.Wait()
		began := time.Now()
		stop()
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v", d)
		}
		if err := <-answered; err == nil {
			t.Error("the command was confirmed")
		}
	})
}
