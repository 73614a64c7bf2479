package keys_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// A leader seals the ring anew when its store seals under another key-encryption key, once, and changes nothing else.
func TestLeaderReseals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
		old, next := keys.GenerateKEK(), keys.GenerateKEK()
		cell := keystest.NewCell()
		before := keys.NewStore(cell, keys.NewCodec(old))
		stop := start(t, newRotator(t, before, p, "first", new(revocations)).Lead)
		time.Sleep(time.Minute)
		stop()
		ring := stored(t, before)
		if ring.KEK != old.ID() {
			t.Fatalf("sealed under %q, want %q", ring.KEK, old.ID())
		}

		store := new(exchanged)
		store.to(keys.NewStore(cell, keys.NewCodec(old, next)))
		leader := start(t, newRotator(t, store, p, "second", new(revocations)).Lead)
		time.Sleep(time.Minute)
		if r := stored(t, store); r.KEK != old.ID() {
			t.Fatalf("sealed under %q before the new key is the first", r.KEK)
		}
		store.to(keys.NewStore(cell, keys.NewCodec(next, old)))
		time.Sleep(time.Minute)
		after, version, err := store.Load(t.Context())
		if err != nil || after.KEK != next.ID() || len(after.Keys) != len(ring.Keys) || inState(after, keys.Active) != inState(ring, keys.Active) {
			t.Errorf("afterwards %v under %q, %v", after, after.KEK, err)
		}
		time.Sleep(time.Hour)
		if _, later, _ := store.Load(t.Context()); later != version {
			t.Error("it is sealed again and again")
		}
		leader()
		if alone := stored(t, keys.NewStore(cell, keys.NewCodec(next))); inState(alone, keys.Active) != inState(ring, keys.Active) {
			t.Errorf("without the old key: %v", alone)
		}
	})
}

// exchanged is a store whose key-encryption keys are exchanged while it is used.
type exchanged struct{ now atomic.Value }

func (s *exchanged) to(store keys.Store) { s.now.Store(&store) }
func (s *exchanged) store() keys.Store   { return *s.now.Load().(*keys.Store) }

func (s *exchanged) SealsUnder() string {
	return s.store().(interface{ SealsUnder() string }).SealsUnder()
}

func (s *exchanged) Load(ctx context.Context) (keys.Ring, keys.Version, error) {
	return s.store().Load(ctx)
}

func (s *exchanged) Claim(ctx context.Context, holder string) (keys.Term, error) {
	return s.store().Claim(ctx, holder)
}

func (s *exchanged) Update(ctx context.Context, t keys.Term, v keys.Version, r keys.Ring) (keys.Version, error) {
	return s.store().Update(ctx, t, v, r)
}

func (s *exchanged) Watch(ctx context.Context) (<-chan keys.Version, error) {
	return s.store().Watch(ctx)
}
