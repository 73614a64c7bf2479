package revocation_test

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/revocation"
)

type key struct {
	kind revocation.Kind
	id   revocation.ID
}

// model is what a Set must be like: a map that never forgets.
type model map[key]revocation.Entry

func (m model) merge(e revocation.Entry) {
	k := key{e.Kind, e.ID}
	if old, ok := m[k]; ok {
		e = old.Merge(e)
	}
	m[k] = e
}

// claimsFor returns claims that only e can hit.
func claimsFor(e revocation.Entry) (c revocation.Claims) {
	c.IssuedAt = 1<<32 - 1 // survives every cut-off
	switch e.Kind {
	case revocation.Token:
		c.Token = e.ID
	case revocation.Session:
		c.Session = e.ID
	case revocation.Subject:
		c.Subject = e.ID
	case revocation.Client:
		c.Client = e.ID
	case revocation.Key:
		c.Key = e.ID
	}
	return c
}

// forget drops what has expired.
func (m model) forget(floor int64) {
	for k, e := range m {
		if e.Expires <= floor {
			delete(m, k)
		}
	}
}

// Whatever is merged, in whatever order, with forgetting in between: what has not expired hits, exactly; what was never
// merged does not. An entry that has expired may still be there or not, so two models bound the set.
func TestSetAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, least, most, floor := revocation.NewSet(), model{}, model{}, int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"merge": func(t *rapid.T) {
				for _, e := range rapid.SliceOfN(entries(), 1, 30).Draw(t, "entries") {
					joined, changed := set.Merge(e, floor)
					if e.Expires <= floor {
						continue
					}
					k := key{e.Kind, e.ID}
					before, atMost := least[k], most[k]
					least.merge(e)
					most.merge(e)
					if joined.Merge(least[k]) != joined || joined.Merge(most[k]) != most[k] {
						t.Fatalf("%+v into %+v: got %+v", e, before, joined)
					}
					if changed && joined == before || !changed && joined.Merge(atMost) != atMost {
						t.Fatalf("%+v into %+v: got %+v, news: %v", e, before, joined, changed)
					}
				}
			},
			"time passes": func(t *rapid.T) {
				floor += rapid.Int64Range(0, 1<<28).Draw(t, "seconds")
				least.forget(floor)
			},
			"compact": func(*rapid.T) { set.Compact(floor) },
			"": func(t *rapid.T) {
				for _, e := range least {
					checkHit(t, set, e)
				}
				checkAll(t, set, least, most, floor)
				miss := revocation.ID{15: 0xff} // entries() draws no such ID
				c := revocation.Claims{Token: miss, Session: miss, Subject: miss, Client: miss, Key: miss, IssuedAt: 1<<32 - 1}
				if k := set.Hit(&c); k != 0 {
					t.Fatalf("an ID never merged is a hit by %v", k)
				}
			},
		})
	})
}

// checkHit checks that e hits what it must and nothing more.
func checkHit(t *rapid.T, set *revocation.Set, e revocation.Entry) {
	c := claimsFor(e)
	if !cutoff(e.Kind) {
		if got := set.Hit(&c); got != e.Kind {
			t.Fatalf("%+v: got %v", e, got)
		}
		return
	}
	if got := set.NotBefore(c.Subject, c.Client); got < e.NotBefore {
		t.Fatalf("%+v: not before %d", e, got)
	}
	c.IssuedAt = e.NotBefore - 1
	if got := set.Hit(&c); got == 0 {
		t.Fatalf("%+v: a token issued before is no hit", e)
	}
	c.IssuedAt = set.NotBefore(c.Subject, c.Client)
	if got := set.Hit(&c); got != 0 {
		t.Fatalf("%+v: a token issued at the latest cut-off is a hit by %v", e, got)
	}
}

// checkAll checks that All yields each entry once, with times between the two models.
func checkAll(t *rapid.T, set *revocation.Set, least, most model, floor int64) {
	all, held := model{}, [revocation.Everything + 1]int{}
	for e := range set.All(floor) {
		k := key{e.Kind, e.ID}
		if _, twice := all[k]; twice || e.Merge(most[k]) != most[k] {
			t.Fatalf("All yields %+v, twice: %v", e, twice)
		}
		all[k] = e
		held[e.Kind]++
	}
	for k, e := range least {
		if got := all[k]; got.Merge(e) != got {
			t.Fatalf("All yields %+v, want at least %+v", got, e)
		}
	}
	for k := revocation.Token; k <= revocation.Everything; k++ {
		if set.Len(k) < held[k] {
			t.Fatalf("Len(%v) = %d, but All yields %d", k, set.Len(k), held[k])
		}
	}
}

// randomEntry returns a session that expires at the given time.
func randomEntry(rng *rand.Rand, expires int64) revocation.Entry {
	e := revocation.Entry{Kind: revocation.Session, Expires: expires}
	binary.LittleEndian.PutUint64(e.ID[:8], rng.Uint64())
	binary.LittleEndian.PutUint64(e.ID[8:], rng.Uint64()|1)
	return e
}

// Readers take no lock, while the table under them is rebuilt again and again: what was merged before a reader looks
// must be there, always.
func TestReadersNeverMiss(t *testing.T) {
	const entries = 5_000
	set := revocation.NewSet()
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([]revocation.Entry, entries)
	var merged atomic.Int64 // all[:merged] is in the set
	var wg sync.WaitGroup
	for r := range 2 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(3, uint64(r)))
			for n := int64(0); n < entries; n = merged.Load() {
				if n == 0 {
					continue
				}
				c := claimsFor(all[rng.Int64N(n)])
				if set.Hit(&c) != revocation.Session {
					t.Error("a reader missed an entry")
					return
				}
			}
		})
	}
	for i := range all {
		all[i] = randomEntry(rng, 1000)
		set.Merge(all[i], 0)
		set.Merge(randomEntry(rng, 1), 0) // expires before the next rebuild
		merged.Store(int64(i + 1))
		if i%1000 == 0 {
			set.Compact(1)
		}
	}
	wg.Wait()
}

func TestCompactForgets(t *testing.T) {
	set := revocation.NewSet()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		set.Merge(randomEntry(rng, 100), 0)
	}
	late := randomEntry(rng, 200)
	set.Merge(late, 0)
	set.Merge(revocation.Entry{Kind: revocation.Everything, NotBefore: 1, Expires: 100}, 0)

	set.Compact(99)
	if got := set.Len(revocation.Session); got != 1001 {
		t.Errorf("%d sessions before any expired", got)
	}
	set.Compact(100)
	c := claimsFor(late)
	if got := set.Len(revocation.Session); got != 1 || set.Hit(&c) != revocation.Session {
		t.Errorf("%d sessions after all but one expired", got)
	}
	if got := set.Len(revocation.Everything); got != 0 {
		t.Errorf("%d entries for everything after it expired", got)
	}
	set.Compact(200)
	if got := set.Len(revocation.Session); got != 0 {
		t.Errorf("%d sessions after all expired", got)
	}
}
