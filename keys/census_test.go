package keys_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// leastAhead is what lies between the default timetable and the one that depends on reports.
func leastAhead() keys.Policy {
	p := keys.Policy{}.WithDefaults()
	p.PublishAheadLeast = 12 * time.Minute
	return p
}

// hearing is a rotator that hears what verifiers report, and what it logs.
type hearing struct {
	*keys.Rotator
	view    *keys.View
	store   keys.Store
	reports *fallible
	log     *journal
}

// journal is what was logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// fallible is a memory of reports that can be out of reach, and be lost.
type fallible struct {
	down   atomic.Bool
	memory atomic.Pointer[keys.MemoryReports]
}

func newReports(p keys.Policy) *fallible {
	f := new(fallible)
	f.lose(p)
	return f
}

func (f *fallible) lose(p keys.Policy) {
	f.memory.Store(keys.NewMemoryReports(time.Now(), p.ReportedFor(), 0))
}

func (f *fallible) Put(ctx context.Context, r keys.Report) error { return f.memory.Load().Put(ctx, r) }

func (f *fallible) Census(ctx context.Context, q keys.Question) (keys.Census, error) {
	if f.down.Load() {
		return keys.Census{}, keys.ErrUnavailable
	}
	return f.memory.Load().Census(ctx, q)
}

// hear starts a leader and waits until its standby is old enough by the timetable, and its reports complete.
func hear(t *testing.T, p keys.Policy, store keys.Store, reports *fallible) hearing {
	t.Helper()
	h := hearing{view: newView(t, store, p), store: store, reports: reports, log: new(journal)}
	var err error
	h.Rotator, err = keys.NewRotator(keys.RotatorConfig{
		Store: store, Policy: p, Holder: "leader", Revocations: new(revocations), Reports: reports,
		Log: slog.New(slog.NewTextHandler(h.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, h.Lead)
	start(t, h.view.Run)
	<-h.view.Ready()
	return h
}

// verify starts a verifier that fetches the JWKS and reports it, as often as it is asked to; while cut is set it says that
// it could not.
func (h hearing) verify(t *testing.T, p keys.Policy, name string, cut *atomic.Bool) (stop func()) {
	return start(t, func(ctx context.Context) error {
		ticker := time.NewTicker(p.ReportEvery())
		defer ticker.Stop()
		for ctx.Err() == nil {
			r := keys.Report{Verifier: name, From: "address of " + name, At: time.Now()}
			if set, err := h.view.JWKS(ctx); err == nil && !cut.Load() {
				r.Held = strings.Trim(set.ETag, `"`)
			}
			if err := h.reports.Put(ctx, r); err != nil {
				return err
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
		return nil
	})
}

// rotatesAfter rotates twice by command and returns how long the second standby had to wait.
func (h hearing) rotatesAfter(t *testing.T) time.Duration {
	t.Helper()
	if _, err := h.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(30 * time.Second) {
		_, err := h.Rotate(t.Context())
		if young := (*keys.TooYoungError)(nil); err != nil && !errors.As(err, &young) {
			t.Fatal(err)
		}
		if err == nil {
			return time.Since(began)
		}
	}
}

func within(t *testing.T, what string, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s: after %v, want %v to %v", what, got, least, most)
	}
}

// A key signs as soon as every verifier has said that it holds it: when all could load it, and all have reported since.
func TestRotatesAheadOfTheTimetable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := leastAhead()
		h := hear(t, p, keystest.NewMemory(), newReports(p))
		for _, name := range []string{"a", "b", "c"} {
			h.verify(t, p, name, new(atomic.Bool))
		}
		time.Sleep(p.PublishAhead + time.Minute)
		within(t, "all report", h.rotatesAfter(t), p.PublishAheadLeast, p.PublishAheadLeast+p.ReportEvery())
	})
}

// Whoever has not proven that it holds the key is waited for as the timetable says, and named.
func TestMissingVerifierIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := leastAhead()
		h := hear(t, p, keystest.NewMemory(), newReports(p))
		var cut atomic.Bool
		h.verify(t, p, "well", new(atomic.Bool))
		stop := h.verify(t, p, "cut", &cut)
		time.Sleep(p.PublishAhead + time.Minute)
		cut.Store(true)
		within(t, "one cannot fetch", h.rotatesAfter(t), p.PublishAhead, p.PublishAhead+time.Minute)

		// It goes, without a word: it counts until it must be out of service.
		stop()
		time.Sleep(p.PublishAhead + time.Minute)
		within(t, "one has gone long ago", h.rotatesAfter(t), p.PublishAheadLeast, p.PublishAheadLeast+p.ReportEvery())
		stop = h.verify(t, p, "cut", &cut)
		time.Sleep(p.PublishAhead + time.Minute)
		stop()
		within(t, "one has just gone", h.rotatesAfter(t), p.ReportedFor()-p.ReportEvery(), p.ReportedFor()+time.Minute)
	})
}

// The timetable does what it always did while the reports are new, or out of reach.
func TestIncompleteReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := leastAhead()
		h := hear(t, p, keystest.NewMemory(), newReports(p))
		h.verify(t, p, "a", new(atomic.Bool))
		time.Sleep(p.PublishAhead + time.Minute)
		h.reports.down.Store(true)
		within(t, "no census", h.rotatesAfter(t), p.PublishAhead, p.PublishAhead+time.Minute)
		if n := strings.Count(h.log.String(), "cannot be counted"); n != 1 {
			t.Errorf("said %d times that there is no census", n)
		}
		h.reports.down.Store(false)
		time.Sleep(p.PublishAhead + time.Minute)
		h.reports.lose(p)
		within(t, "new reports", h.rotatesAfter(t), p.ReportedFor(), p.ReportedFor()+p.ReportEvery())
	})
}

// What the timetable does by itself it also does ahead, here a change of the algorithm; and it says who was not ready.
func TestChangesAlgorithmAheadOfTheTimetable(t *testing.T) {
	for name, c := range map[string]struct {
		cut   bool
		least func(keys.Policy) time.Duration
		logs  string
	}{
		"all report":       {false, func(p keys.Policy) time.Duration { return p.PublishAheadLeast }, "every verifier holds the standby key"},
		"one cannot fetch": {true, func(p keys.Policy) time.Duration { return p.PublishAhead }, `missing=1 verifiers=2 from="[address of cut]"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, store := leastAhead(), keystest.NewMemory()
				reports := newReports(p)
				before := newRotator(t, store, keys.Policy{}.WithDefaults(), "before", new(revocations))
				stop := start(t, before.Lead)
				time.Sleep(p.PublishAhead + time.Minute)
				stop()

				p.Algorithm = "EdDSA"
				h := hear(t, p, store, reports)
				var cut atomic.Bool
				cut.Store(c.cut)
				h.verify(t, p, "well", new(atomic.Bool))
				h.verify(t, p, "cut", &cut)
				began := time.Now()
				for {
					time.Sleep(10 * time.Second)
					_, alg, _, err := h.view.SigningKey(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if alg == "EdDSA" {
						break
					}
				}
				within(t, "the algorithm changed", time.Since(began), c.least(p), c.least(p)+p.ReportEvery()+time.Minute)
				if !strings.Contains(h.log.String(), c.logs) {
					t.Errorf("no %q in the log:\n%s", c.logs, h.log)
				}
				if early := strings.Contains(h.log.String(), "by the timetable, and"); early != c.cut {
					t.Errorf("the log:\n%s", h.log)
				}
			})
		})
	}
}

func TestLeastAheadNeedsReports(t *testing.T) {
	_, err := keys.NewRotator(keys.RotatorConfig{
		Store: keystest.NewMemory(), Policy: leastAhead(), Holder: "leader", Revocations: new(revocations),
	})
	if err == nil || !strings.Contains(err.Error(), "Reports") {
		t.Errorf("got %v", err)
	}
}

// How often verifiers report, and how long they count, follows from how long they cache the JWKS.
func TestReportTimes(t *testing.T) {
	for _, c := range []struct{ maxAge, overstay, skew, every, counts time.Duration }{
		{10 * time.Minute, 5 * time.Minute, 30 * time.Second, 5 * time.Minute, 25*time.Minute + 30*time.Second},
		{10 * time.Second, 1500 * time.Millisecond, time.Second, 11 * time.Second, 34*time.Second + 500*time.Millisecond},
	} {
		p := keys.Policy{JWKSMaxAge: c.maxAge, JWKSOverstay: c.overstay, Skew: c.skew}
		if p.ReportEvery() != c.every || p.ReportLife() != 2*c.every || p.ReportedFor() != c.counts {
			t.Errorf("%+v: every %v, for %v", c, p.ReportEvery(), p.ReportedFor())
		}
	}
}
