package keystest

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/keys"
)

// Open opens a store on new, empty data. restart abandons the store as a crash of its process would, without a word, and
// opens the same data again; it may be called any number of times, and what it returns replaces the store before.
type Open func(t testing.TB) (store keys.Store, restart func() keys.Store)

// Run checks that a backend keeps the contract of [keys.Store].
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"an empty store answers an empty ring", testEmpty},
		{"each claim takes the next term", testClaim},
		{"concurrent claims never share a term", testConcurrentClaims},
		{"a ring survives a restart", testRoundTrip},
		{"a write of an old term is refused", testStaleTerm},
		{"a write on an old version is refused", testStaleVersion},
		{"one of many writes on a version wins", testConcurrentUpdates},
		{"an ended context is an unknown outcome", testEndedContext},
		{"a watch delivers", testWatch},
		{"a write may fail on either side", testFaults},
		{"a crash after any step harms nothing", testCrashes},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

func testEmpty(t *testing.T, open Open) {
	store, _ := open(t)
	ring, version, err := store.Load(t.Context())
	if err != nil || version != "" || ring.Epoch != "" || ring.Term != 0 || len(ring.Keys)+len(ring.MACs) != 0 {
		t.Errorf("got %v, version %q, %v", ring, version, err)
	}
}

func testClaim(t *testing.T, open Open) {
	store, restart := open(t)
	versions := []keys.Version{""}
	for i, holder := range []string{"a", "b", "b", "a"} {
		term, err := store.Claim(t.Context(), holder)
		if err != nil || term != keys.Term(i+1) {
			t.Fatalf("claim %d: got term %d, %v", i+1, term, err)
		}
		ring, version := load(t, store)
		if ring.Term != term || ring.Holder != holder {
			t.Errorf("after claim %d the ring says term %d, held by %q", i+1, ring.Term, ring.Holder)
		}
		if slices.Contains(versions, version) {
			t.Errorf("version %q is used again after claim %d", version, i+1)
		}
		versions = append(versions, version)
	}
	if term, err := restart().Claim(t.Context(), "c"); err != nil || term != 5 {
		t.Errorf("after a restart: got term %d, %v", term, err)
	}
}

func testConcurrentClaims(t *testing.T, open Open) {
	store, _ := open(t)
	const claimants = 8
	terms := make(chan keys.Term, claimants)
	var wg sync.WaitGroup
	for range claimants {
		wg.Go(func() {
			for {
				term, err := store.Claim(t.Context(), "one of many")
				if err == nil {
					terms <- term
					return
				}
				if !errors.Is(err, keys.ErrStale) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(terms)
	seen := make(map[keys.Term]bool)
	for term := range terms {
		if seen[term] {
			t.Errorf("term %d was given twice", term)
		}
		seen[term] = true
	}
	if ring, _ := load(t, store); ring.Term != claimants {
		t.Errorf("the ring is at term %d after %d claims", ring.Term, claimants)
	}
}

func testRoundTrip(t *testing.T, open Open) {
	store, restart := open(t)
	l := lead(t, store)
	for range 3 { // each state that the policy knows
		l.work()
		l.pass(l.policy.RotateEvery)
	}
	l.work()
	want, version := load(t, store)
	got, after := load(t, restart())
	if after != version {
		t.Errorf("version %q became %q", version, after)
	}
	sameRing(t, got, want)
}

func testStaleTerm(t *testing.T, open Open) {
	store, _ := open(t)
	old := lead(t, store)
	old.work()
	ring, version := load(t, store)
	if _, err := store.Claim(t.Context(), "the next leader"); err != nil {
		t.Fatal(err)
	}
	want, current := load(t, store)

	refused(t, store, old.term, version, ring)
	refused(t, store, old.term, current, ring)
	refused(t, store, want.Term+1, current, ring)
	refused(t, store, 0, current, ring)
	got, after := load(t, store)
	if after != current {
		t.Errorf("a refused write moved the version from %q to %q", current, after)
	}
	sameRing(t, got, want)
}

func testStaleVersion(t *testing.T, open Open) {
	store, _ := open(t)
	refused(t, store, 1, "", keys.Ring{}) // before any claim
	l := lead(t, store)
	_, first := load(t, store)
	l.work()
	want, current := load(t, store)
	for _, version := range []keys.Version{first, "", "no such version"} {
		refused(t, store, l.term, version, keys.Ring{})
	}
	got, _ := load(t, store)
	sameRing(t, got, want)
	claimed := want
	claimed.Term, claimed.Holder = want.Term+7, "somebody else"
	if _, err := store.Update(t.Context(), l.term, current, claimed); err != nil {
		t.Errorf("the current version: %v", err)
	}
	got, _ = load(t, store)
	sameRing(t, got, want) // term and holder are the store's to set
}

func testConcurrentUpdates(t *testing.T, open Open) {
	store, _ := open(t)
	l := lead(t, store)
	l.work()
	ring, version := load(t, store)
	const writers = 8
	won := make(chan keys.Version, writers)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			next, err := store.Update(t.Context(), l.term, version, ring)
			switch {
			case err == nil:
				won <- next
			case !errors.Is(err, keys.ErrStale):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of %d writes on one version were accepted", len(won), writers)
	}
	if _, current := load(t, store); current != <-won {
		t.Errorf("the version that Update returned is not that of the ring")
	}
}

func testEndedContext(t *testing.T, open Open) {
	store, _ := open(t)
	l := lead(t, store)
	l.work()
	ring, version := load(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Update(ctx, l.term, version, ring); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("update: got %v, want ErrUnavailable", err)
	}
	if _, err := store.Claim(ctx, "nobody"); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("claim: got %v, want ErrUnavailable", err)
	}
}

func testWatch(t *testing.T, open Open) {
	store, _ := open(t)
	early, err := store.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := lead(t, store)
	_, version := load(t, store)
	await(t, early, version)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	late, err := store.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	await(t, late, version) // the current version, without a change
	l.work()                // several writes, of which a slow watcher need see the last one only
	_, version = load(t, store)
	await(t, early, version)
	await(t, late, version)

	cancel()
	for range late {
	}
	l.pass(l.policy.RotateEvery)
	l.work()
	_, version = load(t, store)
	await(t, early, version)
}

// await receives until the wanted version comes, which must be the last one.
func await(t *testing.T, versions <-chan keys.Version, want keys.Version) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case v, ok := <-versions:
			if !ok {
				t.Fatal("the watch ended")
			}
			if v == want {
				return
			}
		case <-deadline:
			t.Fatalf("version %q was not announced", want)
		}
	}
}

func refused(t *testing.T, store keys.Store, term keys.Term, version keys.Version, ring keys.Ring) {
	t.Helper()
	if _, err := store.Update(t.Context(), term, version, ring); !errors.Is(err, keys.ErrStale) {
		t.Errorf("update with term %d on version %q: got %v, want ErrStale", term, version, err)
	}
}

func load(t testing.TB, store keys.Store) (keys.Ring, keys.Version) {
	t.Helper()
	ring, version, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ring, version
}

// sameRing compares everything, private keys and secrets included.
func sameRing(t testing.TB, got, want keys.Ring) {
	t.Helper()
	if got.Epoch != want.Epoch || got.Term != want.Term || got.Holder != want.Holder {
		t.Errorf("got ring %q of term %d, held by %q; want %q, %d, %q",
			got.Epoch, got.Term, got.Holder, want.Epoch, want.Term, want.Holder)
	}
	equalKeys := func(a, b keys.Key) bool {
		return a.ID == b.ID && a.Algorithm == b.Algorithm && a.State == b.State && a.Since.Equal(b.Since) &&
			a.CreatedAt.Equal(b.CreatedAt) && samePrivate(a.Private, b.Private)
	}
	if !slices.EqualFunc(got.Keys, want.Keys, equalKeys) {
		t.Errorf("got keys %v, want %v", got.Keys, want.Keys)
	}
	equalMACs := func(a, b keys.MACKey) bool {
		return a.ID == b.ID && slices.Equal(a.Secret, b.Secret) && a.State == b.State && a.Since.Equal(b.Since) &&
			a.CreatedAt.Equal(b.CreatedAt)
	}
	if !slices.EqualFunc(got.MACs, want.MACs, equalMACs) {
		t.Errorf("got MAC keys %v, want %v", got.MACs, want.MACs)
	}
}

func samePrivate(a, b crypto.Signer) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	private, ok := a.(interface{ Equal(crypto.PrivateKey) bool })
	return ok && private.Equal(b)
}
