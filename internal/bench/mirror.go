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

// measureMirror fills a mirror with sessions and a few entries on all other axes, and asks it about ever different
// tokens.
func measureMirror(ctx context.Context, e effort) (mirrorResult, error) {
	entries := make([]revocation.Entry, e.entries)
	expires := time.Now().Add(time.Hour).Unix()
	for i := range entries {
		entries[i] = revocation.Entry{Kind: revocation.Session, ID: randomID(), Expires: expires}
	}
	before := heap()
	m, stop := newMirror(ctx, entries)
	used := heap() - before
	m.Merge(sampleEntries(10)...)

	now := time.Now() // a verifier has read the clock by then
	ask := func(known bool) func(i int) error {
		claims := make([]revocation.Claims, 1<<16)
		for i := range claims {
			claims[i] = revocation.Claims{
				Token: randomID(), Session: randomID(), Subject: randomID(), Client: randomID(), Key: randomID(),
				IssuedAt: time.Now().Unix(),
			}
			if known {
				claims[i].Session = entries[rand.IntN(len(entries))].ID
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
	results, err := measure(e.rounds, []contender{
		{name: nameMiss, do: ask(false), batch: seenBatch},
		{name: nameHit, do: ask(true), batch: seenBatch},
	})
	if err := errors.Join(err, stop()); err != nil {
		return mirrorResult{}, err
	}
	return mirrorResult{
		entries: len(entries), miss: results[0], hit: results[1],
		bytesPerEntry: float64(used) / float64(len(entries)),
	}, nil
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func (m mirrorResult) table() table {
	t := table{columns: []string{"check", "entries", clockName + "/check", "allocations", "bytes/entry"}}
	for _, r := range []result{m.miss, m.hit} {
		t.add(r.name, fmt.Sprint(m.entries), fmt.Sprintf("%.0f", r.ns), fmt.Sprintf("%.0f", r.allocs), fmt.Sprintf("%.1f", m.bytesPerEntry))
	}
	return t
}

func (m mirrorResult) budgets() []budget {
	return []budget{
		{what: m.miss.name, have: m.miss.ns, limit: 150, unit: "ns"},
		{what: m.hit.name, have: m.hit.ns, limit: 150, unit: "ns"},
		{what: "mirror check: allocations", have: max(m.miss.allocs, m.hit.allocs)},
		{what: "mirror: memory of an entry", have: m.bytesPerEntry, limit: 64, unit: "bytes"},
	}
}
