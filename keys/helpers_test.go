package keys_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// turn performs every step that is due on a ring.
func turn(t testing.TB, p keys.Policy, now time.Time, r keys.Ring) keys.Ring {
	t.Helper()
	for {
		step := p.Next(now, r)
		if step.Action == keys.Wait {
			return r
		}
		var err error
		if r, err = p.Apply(now, r, step); err != nil {
			t.Fatal(err)
		}
	}
}

// put stores a ring under a new term.
func put(t testing.TB, store keys.Store, r keys.Ring) {
	t.Helper()
	term, err := store.Claim(t.Context(), "a test")
	if err != nil {
		t.Fatal(err)
	}
	_, version, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Update(t.Context(), term, version, r); err != nil {
		t.Fatal(err)
	}
}

// revocations is the revocation set, as far as the rotator sees it.
type revocations struct {
	slow    time.Duration // what it takes to answer, the entry being in force already
	mu      sync.Mutex
	down    bool
	entries map[string]time.Time // kid → until
	calls   int
}

func (s *revocations) RevokeKey(_ context.Context, kid string, until time.Time) error {
	defer time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.down {
		return context.DeadlineExceeded
	}
	if s.entries == nil {
		s.entries = make(map[string]time.Time)
	}
	s.entries[kid] = until
	return nil
}

// Revoked implements [keys.RevokedKeys]: a mirror that is always current.
func (s *revocations) Revoked(kid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.entries[kid])
}

func (s *revocations) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *revocations) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func (s *revocations) until(kid string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[kid]
}

func newRotator(t testing.TB, store keys.Store, p keys.Policy, holder string, set keys.KeyRevoker) *keys.Rotator {
	t.Helper()
	r, err := keys.NewRotator(keys.RotatorConfig{Store: store, Policy: p, Holder: holder, Revocations: set})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newView(t testing.TB, store keys.Store, p keys.Policy) *keys.View {
	t.Helper()
	v, err := keys.NewView(keys.ViewConfig{Store: store, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// start runs f until the returned function is called, which waits for it and reports its error. Left alone, it ends with
// the test.
func start(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// serve starts a leader and a view on a store in memory, and waits until the first rotation is possible.
func serve(t testing.TB, p keys.Policy) (*keystest.Faults, *keys.Rotator, *keys.View, *revocations) {
	t.Helper()
	store, set := keystest.WithFaults(keystest.NewMemory()), new(revocations)
	r, v := newRotator(t, store, p, "leader", set), newView(t, store, p)
	start(t, r.Lead)
	start(t, v.Run)
	<-v.Ready()
	time.Sleep(p.PublishAhead + 3*p.PollEvery())
	return store, r, v, set
}

func stored(t testing.TB, s keys.Store) keys.Ring {
	t.Helper()
	r, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func state(r keys.Ring, kid string) keys.State {
	for _, k := range r.Keys {
		if k.ID == kid {
			return k.State
		}
	}
	return ""
}

func inState(r keys.Ring, s keys.State) (kid string) {
	for _, k := range r.Keys {
		if k.State == s {
			kid = k.ID
		}
	}
	return kid
}
