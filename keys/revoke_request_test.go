package keys_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// member is one of several processes that share a ring and a revocation set.
type member struct {
	*keys.Rotator
	view *keys.View
	deaf atomic.Bool // its mirror hears nothing
	set  *revocations
}

// Revoked implements [keys.RevokedKeys].
func (r *member) Revoked(kid string) bool { return !r.deaf.Load() && r.set.Revoked(kid) }

// join starts a member, which does not lead.
func join(t *testing.T, name string, store keys.Store, p keys.Policy, set *revocations) *member {
	t.Helper()
	r := &member{set: set}
	var err error
	if r.view, err = keys.NewView(keys.ViewConfig{Store: store, Policy: p, Revoked: r}); err != nil {
		t.Fatal(err)
	}
	r.Rotator, err = keys.NewRotator(keys.RotatorConfig{
		Store: store, Policy: p, Holder: name, Revocations: set, Revoked: r, View: r.view,
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, r.view.Run)
	return r
}

// pair starts a leader and a follower, and waits until the standby is known to everybody.
func pair(t *testing.T, p keys.Policy) (store *keystest.Faults, leader, follower *member, set *revocations, stop func()) {
	t.Helper()
	store, set = keystest.WithFaults(keystest.NewMemory()), new(revocations)
	leader, follower = join(t, "leader", store, p, set), join(t, "follower", store, p, set)
	stop = start(t, leader.Lead)
	<-follower.view.Ready()
	time.Sleep(p.PublishAhead + 3*p.PollEvery() + soon + time.Millisecond) // between the leader's turns, and its looks
	return store, leader, follower, set, stop
}

// soon is more than it takes a leader to look into the revocation set.
const soon = time.Second

func jwks(t *testing.T, v *keys.View) string {
	t.Helper()
	set, err := v.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(set.Body)
}

func TestRevokeFromAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, leader, follower, set, _ := pair(t, p)
		before := stored(t, store)
		bad, standby := inState(before, keys.Active), inState(before, keys.Prepared)
		planned, err := follower.BlastRadius(t.Context(), bad)
		if err != nil || planned.Successor != standby || planned.UnknownFor != 0 {
			t.Fatalf("the dry run says %+v, %v", planned, err)
		}

		if !strings.Contains(jwks(t, follower.view), bad) {
			t.Error("the key that signs is not published")
		}
		began := time.Now()
		res, err := follower.Revoke(t.Context(), bad)
		if want := planned; err != nil || !res.Pending || res.Successor != want.Successor || res.State != keys.Active {
			t.Errorf("got %+v, %v", res, err)
		}
		if d := time.Since(began); d != 0 || set.until(bad).Before(began.Add(p.RevokedFor+2*p.Skew)) {
			t.Errorf("after %v the kid is in the revocation set until %v", d, set.until(bad))
		}
		time.Sleep(100 * time.Millisecond) // before the leader looks
		if state(stored(t, store), bad) != keys.Active || strings.Contains(jwks(t, follower.view), bad) {
			t.Error("the follower still publishes the key")
		}

		time.Sleep(soon)
		after := stored(t, store)
		if state(after, bad) != keys.Revoked || inState(after, keys.Active) != standby || after.Term != before.Term {
			t.Errorf("the leader has made of it %v", after)
		}
		if next := inState(after, keys.Prepared); next == "" || next == standby {
			t.Errorf("no new standby: %v", after)
		}
		for _, v := range []*keys.View{leader.view, follower.view} {
			if kid, _, _, err := v.SigningKey(t.Context()); err != nil || kid != standby {
				t.Errorf("%q signs, %v", kid, err)
			}
			if strings.Contains(jwks(t, v), bad) {
				t.Error("the key is in a JWKS")
			}
		}
		again, err := follower.Revoke(t.Context(), bad)
		if err != nil || again.Pending || again.State != keys.Revoked {
			t.Errorf("repeated: %+v, %v", again, err)
		}
	})
}

// The leader's command tells what it did, although its own loop hears of the revocation as well.
func TestRevokeFromTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, leader, _, set, _ := pair(t, keys.Policy{}.WithDefaults())
		bad, standby := inState(stored(t, store), keys.Active), inState(stored(t, store), keys.Prepared)
		set.slow = soon // the loop has seen the entry before the command has its answer
		res, err := leader.Revoke(t.Context(), bad)
		if err != nil || res.Pending || res.State != keys.Active || res.Successor != standby {
			t.Errorf("got %+v, %v", res, err)
		}
		if got := stored(t, store); state(got, bad) != keys.Revoked || inState(got, keys.Active) != standby {
			t.Errorf("the ring is %v", got)
		}
	})
}

// While nobody leads, nobody gets a token that is dead from the start, and the JWKS lacks the key at once. The next leader
// does the rest.
func TestRevokeWhileNobodyLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, leader, follower, _, stop := pair(t, keys.Policy{}.WithDefaults())
		stop()
		bad, standby := inState(stored(t, store), keys.Active), inState(stored(t, store), keys.Prepared)
		if res, err := follower.Revoke(t.Context(), bad); err != nil || !res.Pending {
			t.Fatalf("got %+v, %v", res, err)
		}
		for _, r := range []*member{leader, follower} {
			if _, _, _, err := r.view.SigningKey(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
				t.Errorf("a revoked key signs: %v", err)
			}
			if set := jwks(t, r.view); strings.Contains(set, bad) || !strings.Contains(set, standby) {
				t.Errorf("published is %s", set)
			}
		}
		start(t, follower.Lead)
		time.Sleep(soon)
		if kid, _, _, err := leader.view.SigningKey(t.Context()); err != nil || kid != standby {
			t.Errorf("%q signs, %v", kid, err)
		}
	})
}

// K5: the leader hears of it and dies at any of its writes, on either side; the next one completes it.
func TestRequestIsCompletedByTheNextLeader(t *testing.T) {
	for name, fault := range map[string]keystest.Fault{"never ran": keystest.BeforeWrite, "ran, answer lost": keystest.AfterWrite} {
		for before := range 4 { // writes that go well: the revocation, the stamps, the new standby, its stamp
			synctest.Test(t, func(t *testing.T) {
				store, _, follower, set, stop := pair(t, keys.Policy{}.WithDefaults())
				bad, standby := inState(stored(t, store), keys.Active), inState(stored(t, store), keys.Prepared)
				store.FailNext(append(make([]keystest.Fault, before), fault)...)
				if _, err := follower.Revoke(t.Context(), bad); err != nil {
					t.Fatal(err)
				}
				for writes := store.Writes(); store.Writes() <= writes+before; {
					time.Sleep(time.Millisecond)
				}
				stop()
				start(t, follower.Lead)
				time.Sleep(soon)
				got := stored(t, store)
				if state(got, bad) != keys.Revoked || inState(got, keys.Active) != standby || inState(got, keys.Prepared) == "" {
					t.Errorf("%s, after %d writes: %v", name, before, got)
				}
				for _, k := range got.Keys {
					if k.Since.IsZero() {
						t.Errorf("%s, after %d writes: %v was not confirmed", name, before, k)
					}
				}
				if set.until(bad).IsZero() {
					t.Error("its kid is not in the revocation set")
				}
			})
		}
	}
}

// A leader whose mirror is behind keeps to its timetable, and acts when the news comes.
func TestRequestReachesALeaderThatWasBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{RotateEvery: 2 * time.Hour}.WithDefaults()
		store, leader, follower, _, _ := pair(t, p)
		leader.deaf.Store(true)
		bad := inState(stored(t, store), keys.Prepared) // it is the next to sign
		if res, err := follower.Revoke(t.Context(), bad); err != nil || !res.Pending {
			t.Fatalf("got %+v, %v", res, err)
		}
		time.Sleep(p.RotateEvery)
		if got := inState(stored(t, store), keys.Active); got != bad {
			t.Errorf("%q signs: the rotation did not take place", got)
		}
		leader.deaf.Store(false)
		time.Sleep(soon)
		if got := stored(t, store); state(got, bad) != keys.Revoked || inState(got, keys.Active) == "" {
			t.Errorf("when it has heard: %v", got)
		}
	})
}

// Should nobody lead for as long as the entry lasts, the request lapses as a whole: no leader finds half of it. It can be
// made again.
func TestRequestLapsesWithItsEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{RevokedFor: 2 * time.Hour}.WithDefaults()
		store, leader, follower, set, stop := pair(t, p)
		stop()
		bad := inState(stored(t, store), keys.Active)
		if _, err := follower.Revoke(t.Context(), bad); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(set.until(bad)))
		stop = start(t, leader.Lead)
		time.Sleep(soon)
		stop()
		if got := state(stored(t, store), bad); got != keys.Active {
			t.Errorf("after the entry is gone the key is %q", got)
		}
		if kid, _, _, err := follower.view.SigningKey(t.Context()); err != nil || kid != bad {
			t.Errorf("%q signs, %v", kid, err)
		}
		if _, err := follower.Revoke(t.Context(), bad); err != nil {
			t.Fatal(err)
		}
		start(t, leader.Lead)
		time.Sleep(soon)
		if got := state(stored(t, store), bad); got != keys.Revoked {
			t.Errorf("asked for again, the key is %q", got)
		}
	})
}

// The emergency does not need the ring's store, only the revocation set.
func TestRevokeWhileTheRingIsOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, leader, follower, set, _ := pair(t, keys.Policy{}.WithDefaults())
		bad, standby := inState(stored(t, store), keys.Active), inState(stored(t, store), keys.Prepared)
		store.SetDown(true)
		for _, r := range []*member{follower, leader} {
			if res, err := r.Revoke(t.Context(), bad); err != nil || !res.Pending || res.Successor != standby {
				t.Errorf("got %+v, %v", res, err)
			}
		}
		if set.until(bad).IsZero() {
			t.Error("the kid is not in the revocation set")
		}
		store.SetDown(false)
		time.Sleep(10 * time.Second) // the leader pauses between its tries
		if got := state(stored(t, store), bad); got != keys.Revoked {
			t.Errorf("when the store is back, the key is %q", got)
		}
	})
}

// What the revocation set has not confirmed is no success, and a follower can do nothing else.
func TestRevokeWhileTheSetIsOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, leader, follower, set, _ := pair(t, keys.Policy{}.WithDefaults())
		bad := inState(stored(t, store), keys.Active)
		set.setDown(true)
		if _, err := follower.Revoke(t.Context(), bad); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("the follower: %v", err)
		}
		if got := state(stored(t, store), bad); got != keys.Active {
			t.Errorf("the key is %q", got)
		}
		// The leader can at least take it out of the ring.
		if _, err := leader.Revoke(t.Context(), bad); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("the leader: %v", err)
		}
		if got := state(stored(t, store), bad); got != keys.Revoked {
			t.Errorf("the key is %q", got)
		}
		set.setDown(false)
		time.Sleep(10 * time.Second)
		if set.until(bad).IsZero() {
			t.Error("its kid is not in the revocation set")
		}
	})
}

// Whoever has stolen the whole ring is answered by revoking all of it: the last key to go is replaced by one that did not
// exist before, at the price that was told.
func TestRevokeEveryKeyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, leader, follower, set, _ := pair(t, p)
		if _, err := leader.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(soon)
		stolen := stored(t, store)
		if len(stolen.Keys) != 3 {
			t.Fatalf("want a retired key, an active one and a standby: %v", stolen)
		}
		for _, k := range stolen.Keys { // all of them at one moment
			if err := set.RevokeKey(context.Background(), k.ID, time.Now().Add(p.RevokedFor)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(soon)
		got := stored(t, store)
		for _, k := range stolen.Keys {
			if state(got, k.ID) != keys.Revoked {
				t.Errorf("of the stolen keys, %s is %q", k.ID, state(got, k.ID))
			}
		}
		kid, _, _, err := follower.view.SigningKey(t.Context())
		if err != nil || state(stolen, kid) != "" || inState(got, keys.Prepared) == "" {
			t.Errorf("%q signs in %v, %v", kid, got, err)
		}
	})
}

// A leader that was not given the set leaves followers no way, and they say so.
func TestFollowersNeedAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, _, _, set := serve(t, p)
		other := newRotator(t, store, p, "other", set)
		bad := inState(stored(t, store), keys.Active)
		if _, err := other.Revoke(t.Context(), bad); !errors.Is(err, keys.ErrNotLeader) || !set.until(bad).IsZero() {
			t.Errorf("got %v, and the kid is in the set until %v", err, set.until(bad))
		}
	})
}
