package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/authd-project/authd/revocation"
)

// tape is a feed that plays what it holds and then proves once in a while that nothing else came.
type tape []revocation.Entry

func (t tape) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	entries := []revocation.Entry(t)
	for {
		err := apply(revocation.Batch{
			Entries: entries, AsOf: time.Now(),
			Position: revocation.Position{Epoch: "bench", Seq: uint64(len(t))},
		})
		if err != nil {
			return err
		}
		entries = nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// newMirror returns a mirror that entries stream into, once it is fresh, and what ends it.
func newMirror(ctx context.Context, entries []revocation.Entry) (*revocation.Mirror, func() error) {
	m := revocation.NewMirror(revocation.MirrorConfig{History: -1})
	stop := background(ctx, func(ctx context.Context) error { return m.Run(ctx, tape(entries)) })
	for !m.Status().Fresh && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return m, stop
}

// sampleEntries are revocations on all axes that hit nobody: sessions for the most part, as people log out, and a few
// of everything else.
func sampleEntries(sessions int) []revocation.Entry {
	expires := time.Now().Add(time.Hour).Unix()
	entries := []revocation.Entry{{Kind: revocation.Everything, NotBefore: 1, Expires: expires}}
	add := func(n int, kind revocation.Kind, notBefore int64) {
		for range n {
			entries = append(entries, revocation.Entry{
				Kind: kind, ID: randomID(), NotBefore: notBefore, Expires: expires,
			})
		}
	}
	add(sessions, revocation.Session, 0)
	add(sessions/10, revocation.Token, 0)
	add(sessions/10, revocation.Subject, 1)
	add(sessions/1000+1, revocation.Client, 1)
	add(sessions/1000+1, revocation.Key, 0)
	return entries
}

func randomID() (id revocation.ID) {
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	return id
}

// mirrorResult is what the revocation check cost by itself.
type mirrorResult struct {
	entries       int
	miss, hit     result
	bytesPerEntry float64
}

const (
	nameMiss = "mirror check, not revoked"
	nameHit  = "mirror check, session revoked"
)

// measureMirrors measures sets of both sizes, and what a reader notices of a writer.
func measureMirrors(ctx context.Context, e effort) ([]mirrorResult, burst, error) {
	var results []mirrorResult
	for _, n := range []int{e.entries, e.moreEntries} {
		r, err := measureMirror(ctx, e.rounds, n)
		if err != nil {
			return nil, burst{}, err
		}
		results = append(results, r)
		runtime.GC() // the set is large
	}
	b, err := measureBurst(ctx, e)
	return results, b, err
}

// measureMirror fills a mirror with sessions and a few entries on all other axes, and asks it about ever different
// tokens.
func measureMirror(ctx context.Context, rounds, n int) (mirrorResult, error) {
	sessions := make([]revocation.ID, 1<<16) // those to ask about: some of the revoked ones, from all over the set
	entries := sampleSessions(n, sessions)
	before := heap()
	m, stop := newMirror(ctx, entries)
	used := heap() - before
	m.Merge(sampleEntries(10)...)

	runtime.KeepAlive(entries)

	now := time.Now() // a verifier has read the clock by then
	ask := func(known bool) func(i int) error {
		claims := make([]revocation.Claims, len(sessions))
		for i := range claims {
			claims[i] = revocation.Claims{
				Token: randomID(), Session: randomID(), Subject: randomID(), Client: randomID(), Key: randomID(),
				IssuedAt: now.Unix(),
			}
			if known {
				claims[i].Session = sessions[i]
			}
		}
		return func(i int) error {
			err := m.CheckAt(&claims[i%len(claims)], now)
			if known != errors.Is(err, revocation.ErrRevoked) || !known && err != nil {
				return fmt.Errorf("revoked is %v, but the mirror says: %w", known, err)
			}
			return nil
		}
	}
	results, err := measure(rounds, []contender{
		{name: nameMiss, do: ask(false), batch: seenBatch},
		{name: nameHit, do: ask(true), batch: seenBatch},
	})
	if err := errors.Join(err, stop()); err != nil {
		return mirrorResult{}, err
	}
	return mirrorResult{entries: n, miss: results[0], hit: results[1], bytesPerEntry: float64(used) / float64(n)}, nil
}

// sampleSessions returns n revoked sessions, and puts as many of them as fit into some.
func sampleSessions(n int, some []revocation.ID) []revocation.Entry {
	entries := make([]revocation.Entry, n)
	expires := time.Now().Add(time.Hour).Unix()
	for i := range entries {
		entries[i] = revocation.Entry{Kind: revocation.Session, ID: randomID(), Expires: expires}
	}
	for i := range some {
		some[i] = entries[rand.IntN(n)].ID
	}
	return entries
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func mirrorTable(mirrors []mirrorResult) table {
	t := table{columns: []string{"check", "entries", clockName + "/check", "allocations", "bytes/entry"}}
	for _, m := range mirrors {
		for _, r := range []result{m.miss, m.hit} {
			t.add(r.name, fmt.Sprint(m.entries), fmt.Sprintf("%.0f", r.ns), fmt.Sprintf("%.0f", r.allocs), fmt.Sprintf("%.1f", m.bytesPerEntry))
		}
	}
	return t
}

func (m mirrorResult) budgets() []budget {
	of := func(what string) string { return fmt.Sprintf("%s, %d entries", what, m.entries) }
	return []budget{
		{what: of(m.miss.name), have: m.miss.ns, limit: 150, unit: "ns"},
		{what: of(m.hit.name), have: m.hit.ns, limit: 150, unit: "ns"},
		{what: of("mirror check: allocations"), have: max(m.miss.allocs, m.hit.allocs)},
		{what: of("mirror: memory of an entry"), have: m.bytesPerEntry, limit: 64, unit: "bytes"},
	}
}
