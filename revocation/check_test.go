package revocation_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/internal/clocktest"
)

var (
	alice = revocation.IDOf(revocation.Subject, "alice")
	shop  = revocation.IDOf(revocation.Client, "shop")
)

// inAnHour is the expiry of most entries here.
func inAnHour() int64 { return time.Now().Add(time.Hour).Unix() }

func session(name string) revocation.Entry {
	return revocation.Entry{
		Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, name), Expires: inAnHour(),
	}
}

// wants checks what m says about c: nil, ErrRevoked or ErrUnavailable.
func wants(t *testing.T, what string, m revocation.Checker, c revocation.Claims, want error) {
	t.Helper()
	if err := m.Check(t.Context(), c); !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// Invariant V7: a hit denies however old the mirror is; a miss counts only while it is fresh; an empty one is stale.
func TestFreshness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, feed := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: 5 * time.Second}), make(tape)
		c := run(t, m, feed)
		ended := session("ended")
		hit, miss := claimsFor(ended), claimsFor(session("other"))

		wants(t, "before the first batch", m, miss, revocation.ErrUnavailable)
		m.Merge(ended)
		wants(t, "known here before the first batch", m, hit, revocation.ErrRevoked)
		if err := c.play(revocation.Batch{Entries: []revocation.Entry{session("x")}}); err != nil {
			t.Fatal(err)
		}
		wants(t, "in the middle of the snapshot", m, miss, revocation.ErrUnavailable)
		if err := c.play(revocation.Batch{Position: at(1), AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		lenient := m.Within(time.Minute)
		for _, step := range []struct {
			what            string
			pass            time.Duration
			strict, lenient error
		}{
			{"fresh", 0, nil, nil},
			{"at the bound", 5 * time.Second, nil, nil},
			{"past the bound", time.Nanosecond, revocation.ErrUnavailable, nil},
			{"past the other bound", time.Minute - 5*time.Second, revocation.ErrUnavailable, revocation.ErrUnavailable},
		} {
			time.Sleep(step.pass)
			wants(t, step.what, m, miss, step.strict)
			wants(t, step.what+", lenient", lenient, miss, step.lenient)
			wants(t, step.what+", hit", m, hit, revocation.ErrRevoked)
			wants(t, step.what+", lenient hit", lenient, hit, revocation.ErrRevoked)
			if fresh := m.Status().Fresh; fresh != (step.strict == nil) {
				t.Errorf("%s: Status says fresh: %v", step.what, fresh)
			}
		}
	})
}

// Either clock may show that a mirror is old.
func TestBothClocksCount(t *testing.T) {
	start := time.Now()
	for name, later := range map[string]time.Time{
		"both":                     start.Add(time.Minute),
		"only the wall clock":      clocktest.Suspended(t, start.Add(time.Minute), time.Minute),
		"only the monotonic clock": clocktest.Suspended(t, start, -time.Minute),
	} {
		now := start
		m := revocation.NewMirror(revocation.MirrorConfig{Now: func() time.Time { return now }})
		c := run(t, m, make(tape))
		if err := c.play(revocation.Batch{Position: at(1), AsOf: start}); err != nil {
			t.Fatal(err)
		}
		wants(t, name+": no time has passed", m, revocation.Claims{}, nil)
		now = later
		wants(t, name+": a minute has passed", m, revocation.Claims{}, revocation.ErrUnavailable)
	}
}

// A proof that arrives between the look into the set and the look at the proof vouches for a set that was not seen.
func TestProofAfterTheLook(t *testing.T) {
	const rounds = 4_000
	entries := make([]revocation.Entry, rounds)
	for i := range entries {
		entries[i] = revocation.Entry{
			Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, fmt.Sprint(i)), Expires: 1<<32 - 1,
		}
	}
	var hours, round atomic.Int64
	now := func() time.Time { return time.Unix(hours.Load()*3600, 0) }
	m := revocation.NewMirror(revocation.MirrorConfig{Now: now})
	c := run(t, m, make(tape))

	var asking sync.WaitGroup
	done := make(chan struct{})
	defer asking.Wait()
	defer close(done)
	asking.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			// Stale until the proof of this round comes, and with it the entry.
			i := round.Load()
			if err := m.Check(t.Context(), claimsFor(entries[i])); err == nil {
				t.Errorf("round %d: accepted by a proof of what was not seen", i)
			}
			runtime.Gosched() // or it takes a processor for itself, and the others wait for it
		}
	})
	for i := range entries {
		hours.Add(1)
		round.Store(int64(i))
		b := revocation.Batch{Entries: entries[i : i+1], Position: at(uint64(i + 1)), AsOf: now()}
		if err := c.play(b); err != nil {
			t.Fatal(err)
		}
	}
}

// A cut-off revokes what was issued before it, and NotBefore is where a new token survives all of them.
func TestCutoffs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := revocation.NewMirror(revocation.MirrorConfig{})
		c := run(t, m, make(tape))
		if err := c.play(revocation.Batch{Position: at(1), AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if got := m.NotBefore(alice, shop); got != 0 {
			t.Errorf("without entries: not before %d", got)
		}
		token := revocation.Claims{Subject: alice, Client: shop, IssuedAt: -1}
		wants(t, "issued before 1970, no cut-off", m, token, nil)
		for _, step := range []struct {
			entry     revocation.Entry
			notBefore int64
		}{
			{revocation.Entry{Kind: revocation.Subject, ID: alice, NotBefore: 1000, Expires: inAnHour()}, 1000},
			{revocation.Entry{Kind: revocation.Client, ID: shop, NotBefore: 900, Expires: inAnHour()}, 1000},
			{revocation.Entry{Kind: revocation.Client, ID: shop, NotBefore: 1100, Expires: inAnHour()}, 1100},
			{revocation.Entry{Kind: revocation.Everything, NotBefore: 1200, Expires: inAnHour()}, 1200},
		} {
			m.Merge(step.entry)
			if got := m.NotBefore(alice, shop); got != step.notBefore {
				t.Errorf("after %+v: not before %d, want %d", step.entry, got, step.notBefore)
			}
			token.IssuedAt = step.notBefore - 1
			wants(t, "issued before", m, token, revocation.ErrRevoked)
			token.IssuedAt = step.notBefore
			wants(t, "issued at", m, token, nil)
		}
		token = revocation.Claims{Subject: revocation.ID{1}, Client: revocation.ID{2}, IssuedAt: 1199}
		wants(t, "another subject and client, before everything's cut-off", m, token, revocation.ErrRevoked)
		token.IssuedAt = 1200
		wants(t, "another subject and client, at everything's cut-off", m, token, nil)
	})
}

func TestCheckAllocatesNothing(t *testing.T) {
	now := time.Now()
	m := revocation.NewMirror(revocation.MirrorConfig{Now: func() time.Time { return now }})
	c := run(t, m, make(tape))
	ended := session("ended")
	if err := c.play(revocation.Batch{Entries: []revocation.Entry{ended}, Position: at(1), AsOf: now}); err != nil {
		t.Fatal(err)
	}
	ctx, hit, miss := t.Context(), claimsFor(ended), claimsFor(session("other"))
	lenient := m.Within(time.Minute)
	check := func() {
		_ = m.Check(ctx, hit)
		_ = m.Check(ctx, miss)
		_ = lenient.Check(ctx, miss)
	}
	if n := testing.AllocsPerRun(100, check); n != 0 {
		t.Errorf("%v allocations while fresh", n)
	}
	now = now.Add(time.Hour)
	if n := testing.AllocsPerRun(100, check); n != 0 {
		t.Errorf("%v allocations while stale", n)
	}
}
