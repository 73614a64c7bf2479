package keys_test

import (
	"context"
	"crypto"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// A view that has never loaded is not an empty one: it cannot tell.
func TestViewBeforeTheFirstLoad(t *testing.T) {
	v := newView(t, keystest.NewMemory(), keys.Policy{}.WithDefaults())
	ctx := t.Context()
	check := func() {
		t.Helper()
		_, _, _, signErr := v.SigningKey(ctx)
		_, _, verifyErr := v.VerificationKey(ctx, "kid", "ES256")
		_, _, macErr := v.MACKey(ctx)
		_, _, macByIDErr := v.MACKeyByID(ctx, 1)
		_, jwksErr := v.JWKS(ctx)
		_, _, ringErr := v.Ring()
		for i, err := range []error{signErr, verifyErr, macErr, macByIDErr, jwksErr, ringErr, v.Check()} {
			if !errors.Is(err, keys.ErrUnavailable) {
				t.Errorf("answer %d: got %v, want ErrUnavailable", i, err)
			}
		}
	}
	check()
	if err := v.Refresh(ctx); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("loading an empty ring: got %v", err)
	}
	check() // an empty ring is no answer either
	select {
	case <-v.Ready():
		t.Error("ready without a ring")
	default:
	}
}

func TestViewAnswersFromTheRing(t *testing.T) {
	p := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
	store := keystest.NewMemory()
	now := time.Now()
	first := turn(t, p, now, keys.Ring{})
	r := turn(t, p, now.Add(p.RotateEvery), first)
	put(t, store, r)
	v := newView(t, store, p)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, k := range r.Keys {
		got, known, err := v.VerificationKey(t.Context(), k.ID, "EdDSA")
		if want := k.Private.Public().(interface{ Equal(crypto.PublicKey) bool }); err != nil || !known || !want.Equal(got) {
			t.Errorf("%v: got %v, known %v, %v", k, got, known, err)
		}
		if _, known, err := v.VerificationKey(t.Context(), k.ID, "ES256"); known || err != nil {
			t.Errorf("%v for another algorithm: known %v, %v", k, known, err)
		}
	}
	if _, known, err := v.VerificationKey(t.Context(), "junk", "EdDSA"); known || err != nil {
		t.Errorf("an unknown kid: known %v, %v", known, err)
	}
	kid, alg, key, err := v.SigningKey(t.Context())
	if err != nil || kid != inState(r, keys.Active) || alg != "EdDSA" || key == nil {
		t.Errorf("signing key: %q %q %v", kid, alg, err)
	}
	id, secret, err := v.MACKey(t.Context())
	if err != nil || id != 2 || len(secret) != 32 {
		t.Errorf("MAC key: %d, %d bytes, %v", id, len(secret), err)
	}
	for id, want := range map[uint32]bool{0: false, 1: true, 2: true, 3: true, 4: false} {
		if secret, known, err := v.MACKeyByID(t.Context(), id); known != want || err != nil || known && len(secret) != 32 {
			t.Errorf("MAC key %d: known %v, %d bytes, %v", id, known, len(secret), err)
		}
	}
	shown, _, err := v.Ring()
	if err != nil || len(shown.Keys) != 3 || len(shown.MACs) != 3 {
		t.Fatalf("ring: %v, %v", shown, err)
	}
	for _, k := range shown.Keys {
		if k.Private != nil {
			t.Errorf("the ring for administrators has the private part of %v", k)
		}
	}
	for _, k := range shown.MACs {
		if k.Secret != nil {
			t.Errorf("the ring for administrators has the secret of %v", k)
		}
	}
}

// K8: a view older than ViewAge neither signs nor publishes, and calls no kid unknown. What it knows stays true.
func TestViewTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store, _, v, _ := serve(t, p)
		kid, alg, _, err := v.SigningKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		macID, _, err := v.MACKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, asOf, _ := v.Ring()

		store.SetDown(true)
		time.Sleep(time.Until(asOf.Add(p.ViewAge)))
		if err := v.Check(); err != nil {
			t.Fatalf("at %v of age: %v", p.ViewAge, err)
		}
		time.Sleep(time.Nanosecond)
		if _, _, _, err := v.SigningKey(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("it signs: %v", err)
		}
		if _, err := v.JWKS(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("it publishes: %v", err)
		}
		if _, _, err := v.MACKey(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("it makes refresh tokens: %v", err)
		}
		if _, _, err := v.VerificationKey(t.Context(), "new", alg); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("it calls a kid unknown: %v", err)
		}
		if _, _, err := v.MACKeyByID(t.Context(), 99); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("it calls a MAC key unknown: %v", err)
		}
		if _, known, err := v.VerificationKey(t.Context(), kid, alg); !known || err != nil {
			t.Errorf("it forgot a key: %v", err)
		}
		if _, known, err := v.MACKeyByID(t.Context(), macID); !known || err != nil {
			t.Errorf("it forgot a MAC key: %v", err)
		}

		store.SetDown(false)
		time.Sleep(6 * time.Second) // the longest pause between two attempts, and a little
		if err := v.Check(); err != nil {
			t.Errorf("back in reach: %v", err)
		}
	})
}

// A monotonic clock stands still while a machine sleeps; the wall clock does not.
func TestViewAgeGoesByTheWallClockToo(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	store := keystest.NewMemory()
	put(t, store, turn(t, p, time.Now(), keys.Ring{}))
	loaded := time.Now()
	now := loaded
	v, err := keys.NewView(keys.ViewConfig{Store: store, Policy: p, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = loaded.Round(0).Add(p.ViewAge + 1) // no monotonic reading: the wall clock alone went on
	if err := v.Check(); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// A ring that vanishes from the store is not served as "no keys": the view keeps what it has until it is too old.
func TestViewNeverServesAnEmptyRing(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	full, empty := keystest.NewMemory(), keystest.NewMemory()
	put(t, full, turn(t, p, time.Now(), keys.Ring{}))
	store := &switched{Store: full}
	v := newView(t, store, p)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	want, err := v.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store.Store = empty
	if err := v.Refresh(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("loading the lost ring: %v", err)
	}
	if got, err := v.JWKS(t.Context()); err != nil || got.ETag != want.ETag {
		t.Errorf("after the loss: %v, %v", got, err)
	}
}

// A process that starts before the first leader waits for the ring and has it as soon as it is there.
func TestViewWaitsForTheFirstRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		store := keystest.NewMemory()
		v := newView(t, store, p)
		start(t, v.Run)
		time.Sleep(time.Hour)
		put(t, store, turn(t, p, time.Now(), keys.Ring{}))
		synctest.Wait()
		if err := v.Check(); err != nil {
			t.Error(err)
		}
	})
}

// switched is a store that can be exchanged.
type switched struct{ keys.Store }

// The announcement of a change may be lost, and the watch may end: the view is renewed all the same.
func TestViewFollowsWithoutAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{}.WithDefaults()
		for name, watch := range map[string]func(context.Context) (<-chan keys.Version, error){
			"silent":  func(context.Context) (<-chan keys.Version, error) { return make(chan keys.Version), nil },
			"refused": func(context.Context) (<-chan keys.Version, error) { return nil, keys.ErrUnavailable },
			"ended": func(context.Context) (<-chan keys.Version, error) {
				ch := make(chan keys.Version)
				close(ch)
				return ch, nil
			},
		} {
			store := &watchedBy{Store: keystest.NewMemory(), watch: watch}
			r := turn(t, p, time.Now(), keys.Ring{})
			put(t, store, r)
			v := newView(t, store, p)
			stop := start(t, v.Run)
			<-v.Ready()
			r = turn(t, p, time.Now().Add(p.RotateEvery), r)
			put(t, store, r)
			time.Sleep(p.ViewAge/4 + time.Second)
			if kid, _, _, err := v.SigningKey(t.Context()); err != nil || kid != inState(r, keys.Active) {
				t.Errorf("%s: signs with %s, %v; want %s", name, kid, err, inState(r, keys.Active))
			}
			time.Sleep(3 * p.ViewAge)
			if err := v.Check(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			stop()
		}
	})
}

type watchedBy struct {
	keys.Store
	watch func(context.Context) (<-chan keys.Version, error)
}

func (s *watchedBy) Watch(ctx context.Context) (<-chan keys.Version, error) { return s.watch(ctx) }

func TestNewViewRefusesAnIncompleteConfig(t *testing.T) {
	if _, err := keys.NewView(keys.ViewConfig{Policy: keys.Policy{}.WithDefaults()}); err == nil {
		t.Error("no store")
	}
	if _, err := keys.NewView(keys.ViewConfig{Store: keystest.NewMemory()}); err == nil {
		t.Error("no policy")
	}
}

// Looking up a known kid is part of every verification.
func BenchmarkViewVerificationKey(b *testing.B) {
	p := keys.Policy{}.WithDefaults()
	store := keystest.NewMemory()
	r := turn(b, p, time.Now(), keys.Ring{})
	put(b, store, r)
	v := newView(b, store, p)
	if err := v.Refresh(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx, kid := b.Context(), r.Keys[0].ID
	b.ReportAllocs()
	for b.Loop() {
		if _, known, err := v.VerificationKey(ctx, kid, "ES256"); !known || err != nil {
			b.Fatal(err)
		}
	}
}

func TestVerificationKeyDoesNotAllocate(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	store := keystest.NewMemory()
	r := turn(t, p, time.Now(), keys.Ring{})
	put(t, store, r)
	v := newView(t, store, p)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, kid := t.Context(), r.Keys[0].ID
	if n := testing.AllocsPerRun(100, func() {
		if _, known, _ := v.VerificationKey(ctx, kid, "ES256"); !known {
			t.Fatal("unknown")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
