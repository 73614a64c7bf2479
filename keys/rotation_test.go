package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// Keys turn every two seconds while leaders die in the middle of their writes, replicas are cut off from the store, and
// verifiers cache the JWKS for as long as they may. No verifier ever meets a kid it does not know, and no replica signs
// with a key that a live token outlasts.
func TestRotationNobodyNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{RotateEvery: 2 * time.Second, TokenLife: 10 * time.Second, Leeway: time.Second}.WithDefaults()
		store := keystest.NewMemory()
		var rotated atomic.Int64
		start(t, dyingLeaders(t, store, p, &rotated))

		var replicas []replica
		for range 3 {
			r := replica{link: keystest.WithFaults(&watchedBy{Store: store, watch: silence})}
			r.View = newView(t, r.link, p)
			start(t, r.Run)
			<-r.Ready()
			replicas = append(replicas, r)
		}
		verifiers := []*verifier{{}, {}, {overstay: p.JWKSOverstay}, {overstay: p.JWKSOverstay}}
		live := make(map[string]time.Time) // kid → when its last token is refused by every clock
		signed := make(map[string]bool)
		rng := rand.New(rand.NewPCG(1, 2))

		const tick = 20 * time.Millisecond
		for range 2 * time.Minute / tick {
			time.Sleep(tick)
			now := time.Now()
			r := replicas[rng.IntN(len(replicas))]
			if rng.IntN(20) == 0 {
				r.link.SetDown(rng.IntN(2) == 0) // for a while, possibly longer than ViewAge
			}
			kid, _, _, err := r.SigningKey(t.Context())
			switch {
			case err == nil:
				live[kid] = now.Add(p.TokenLife + p.Leeway)
				signed[kid] = true
			case !errors.Is(err, keys.ErrUnavailable):
				t.Fatal(err)
			}
			for i, v := range verifiers {
				v.refresh(t, now, replicas)
				for kid, until := range live {
					if now.Before(until) && now.Before(v.expires) && !v.known[kid] {
						t.Fatalf("after %d keys, verifier %d does not know %s", len(signed), i, kid)
					}
				}
			}
		}
		if len(signed) < 25 || rotated.Load() == 0 {
			t.Errorf("only %d keys signed in two minutes, %d of them by command", len(signed), rotated.Load())
		}
	})
}

// silence is a watch that announces nothing: the view learns of a change as late as it may.
func silence(context.Context) (<-chan keys.Version, error) { return make(chan keys.Version), nil }

// dyingLeaders leads again and again; each leader dies after a few writes, whose last answer it may not have seen, and the
// next one comes some time later. An impatient operator asks each of them to rotate as often as it will.
func dyingLeaders(t *testing.T, store keys.Store, p keys.Policy, rotated *atomic.Int64) func(context.Context) error {
	rng := rand.New(rand.NewPCG(3, 4))
	return func(ctx context.Context) error {
		for i := 0; ctx.Err() == nil; i++ {
			life, die := context.WithCancel(ctx)
			mortal := &mortalStore{Store: store, writes: 1 + rng.IntN(12), before: rng.IntN(2) == 0, die: die}
			r := newRotator(t, mortal, p, fmt.Sprint("leader ", i), new(revocations))
			var operator sync.WaitGroup
			operator.Go(func() {
				for ; life.Err() == nil; time.Sleep(200 * time.Millisecond) {
					if _, err := r.Rotate(life); err == nil {
						rotated.Add(1)
					}
				}
			})
			if err := r.Lead(life); err != nil {
				return err
			}
			die()
			operator.Wait()
			time.Sleep(time.Duration(rng.Int64N(int64(5 * p.RotateEvery / 4))))
		}
		return nil
	}
}

// mortalStore ends its user with one of its writes: before it runs, or before the answer arrives.
type mortalStore struct {
	keys.Store
	writes int
	before bool
	die    func()
}

func (s *mortalStore) Update(ctx context.Context, t keys.Term, v keys.Version, r keys.Ring) (keys.Version, error) {
	s.writes--
	if s.writes > 0 {
		return s.Store.Update(ctx, t, v, r)
	}
	s.die()
	if !s.before {
		if _, err := s.Store.Update(context.WithoutCancel(ctx), t, v, r); err != nil {
			return "", err
		}
	}
	return "", keys.ErrUnavailable
}

type replica struct {
	*keys.View
	link *keystest.Faults
}

// verifier is a JWKS client that never fetches for an unknown kid.
type verifier struct {
	overstay time.Duration // how much longer than max-age it keeps a set
	known    map[string]bool
	etag     string
	expires  time.Time
}

// refresh fetches the set from the first replica that serves it, once the one at hand is too old.
func (v *verifier) refresh(t *testing.T, now time.Time, replicas []replica) {
	t.Helper()
	if now.Before(v.expires) {
		return
	}
	for _, r := range replicas {
		set, err := r.JWKS(t.Context())
		if err != nil {
			continue
		}
		v.expires = now.Add(set.MaxAge + v.overstay)
		if set.ETag == v.etag {
			return
		}
		var doc struct {
			Keys []struct{ Kid string }
		}
		if err := json.Unmarshal(set.Body, &doc); err != nil || len(doc.Keys) == 0 {
			t.Fatalf("got %s: %v", set.Body, err)
		}
		v.etag, v.known = set.ETag, make(map[string]bool)
		for _, k := range doc.Keys {
			v.known[k.Kid] = true
		}
		return
	}
}
