// Package sessiontest holds what every session.Store must do. A backend's test calls [Run].
package sessiontest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/authd-project/authd/session"
)

// Backend is one empty store and its clock.
type Backend struct {
	Store session.Store
	// Advance moves the store's clock forward. Between calls the clock stands still, or nearly so.
	Advance func(time.Duration)
	// Reopen closes the store and opens it again over the same data, as a restart of the process would.
	Reopen func() session.Store
}

// limits of all tests. Times that tests step by keep well away from the bounds, so that a clock that does not stand
// quite still gives the same answers.
var limits = session.Limits{
	Idle:       24 * time.Hour,
	Absolute:   72 * time.Hour,
	Grace:      30 * time.Second,
	MaxReplays: 5,
}

// Run runs the suite; open is called for each test and registers its own clean-up.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	tests := []struct {
		name string
		test func(*testing.T, *harness)
	}{
		{"Create", testCreate},
		{"CreateTwice", testCreateTwice},
		{"CreateAlike", testCreateAlike},
		{"Unknown", testUnknown},
		{"Rotate", testRotate},
		{"ReplayCurrent", testReplayCurrent},
		{"ReplayParent", testReplayParent},
		{"TooManyReplays", testTooManyReplays},
		{"ReuseEnds", testReuseEnds},
		{"ParentAfterGraceEnds", testParentAfterGraceEnds},
		{"Adopt", testAdopt},
		{"End", testEnd},
		{"EndSubject", testEndSubject},
		{"SubjectsAreApart", testSubjectsAreApart},
		{"List", testList},
		{"IdleLimit", testIdleLimit},
		{"AbsoluteLimit", testAbsoluteLimit},
		{"Reopen", testReopen},
		{"Context", testContext},
		{"ConcurrentRefreshes", testConcurrentRefreshes},
		{"RefreshAgainstEnd", testRefreshAgainstEnd},
		{"Linearizable", testLinearizable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, &harness{T: t, Backend: open(t)}) })
	}
}

// harness adds to a backend what most tests need.
type harness struct {
	*testing.T
	Backend
}

func newID() (id session.ID) {
	rand.Read(id[:]) // never fails
	return id
}

// create stores a session with every field set.
func (h *harness) create(subject string) session.Session {
	h.Helper()
	s, err := h.Store.Create(h.Context(), session.Session{
		ID: newID(), Subject: subject, Username: "Ada", ClientID: "web", Scope: "read write",
		AMR: []string{"pwd", "otp", "mfa"}, ACR: "aal2", AuthTime: time.Unix(1_700_000_000, 0), Parent: session.ID{1, 2, 3},
		Address: "192.0.2.1", UserAgent: "test/1", KeyThumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
	})
	if err != nil {
		h.Fatalf("create: %v", err)
	}
	return s
}

func (h *harness) get(id session.ID) session.Session {
	h.Helper()
	s, err := h.Store.Get(h.Context(), id, limits)
	if err != nil {
		h.Fatalf("get: %v", err)
	}
	return s
}

// refresh presents a generation and wants an outcome and the generation that is then current.
func (h *harness) refresh(id session.ID, presented uint64, want session.Outcome, wantGeneration uint64) session.Session {
	h.Helper()
	s, outcome, err := h.Store.Refresh(h.Context(), id, presented, session.Use{Address: "192.0.2.2"}, limits)
	if err != nil {
		h.Fatalf("refresh with generation %d: %v", presented, err)
	}
	if outcome != want || s.Chain.Generation != wantGeneration {
		h.Fatalf("refresh with generation %d: %v, now %d; want %v, %d",
			presented, outcome, s.Chain.Generation, want, wantGeneration)
	}
	return s
}

// wantEnded checks that a session is gone for good and, while it is remembered, names its subject, says when it ended, and
// nothing else.
func (h *harness) wantEnded(s session.Session) {
	h.Helper()
	got, err := h.Store.Get(h.Context(), s.ID, limits)
	if !errors.Is(err, session.ErrEnded) || !equal(got, session.Session{ID: s.ID, Subject: s.Subject}) {
		h.Errorf("get after the end: %+v, %v; want ID and subject, ErrEnded", got, err)
	}
	if got.EndedAt.Before(s.CreatedAt) || got.EndedAt.Sub(s.CreatedAt) > time.Hour {
		h.Errorf("the session began at %v and ended at %v", s.CreatedAt, got.EndedAt)
	}
	for presented := s.Chain.Generation; presented < s.Chain.Generation+3; presented++ {
		_, outcome, err := h.Store.Refresh(h.Context(), s.ID, presented, session.Use{}, limits)
		if !errors.Is(err, session.ErrEnded) || outcome != 0 {
			h.Errorf("refresh with %d after the end: %v, %v; want ErrEnded", presented, outcome, err)
		}
	}
	for _, l := range h.list(s.Subject) {
		if l.ID == s.ID {
			h.Errorf("ended session is listed")
		}
	}
}

func (h *harness) list(subject string) []session.Session {
	h.Helper()
	list, err := h.Store.List(h.Context(), subject, limits)
	if err != nil {
		h.Fatalf("list: %v", err)
	}
	return list
}

func (h *harness) end(ids ...session.ID) {
	h.Helper()
	if err := h.Store.End(h.Context(), ids...); err != nil {
		h.Fatalf("end: %v", err)
	}
}

// equal compares two sessions by instants, not by how their times are represented.
func equal(a, b session.Session) bool {
	return a.ID == b.ID && a.Subject == b.Subject && a.Username == b.Username && a.ClientID == b.ClientID &&
		a.Scope == b.Scope && slices.Equal(a.AMR, b.AMR) && a.ACR == b.ACR && a.Parent == b.Parent && a.AuthTime.Equal(b.AuthTime) &&
		a.CreatedAt.Equal(b.CreatedAt) && a.LastUsedAt.Equal(b.LastUsedAt) &&
		a.Address == b.Address && a.UserAgent == b.UserAgent && a.KeyThumbprint == b.KeyThumbprint &&
		a.Chain.Generation == b.Chain.Generation && a.Chain.Since.Equal(b.Chain.Since) &&
		a.Chain.Replays == b.Chain.Replays
}

func testContext(t *testing.T, h *harness) {
	s := h.create("alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs [6]error
	_, errs[0] = h.Store.Create(ctx, session.Session{ID: newID(), Subject: "alice"})
	_, errs[1] = h.Store.Get(ctx, s.ID, limits)
	_, _, errs[2] = h.Store.Refresh(ctx, s.ID, 1, session.Use{}, limits)
	errs[3] = h.Store.End(ctx, s.ID)
	_, errs[4] = h.Store.EndSubject(ctx, "alice")
	_, errs[5] = h.Store.List(ctx, "alice", limits)
	for i, err := range errs {
		if !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("call %d with an ended context: %v; want ErrUnavailable and context.Canceled", i, err)
		}
	}
	h.get(s.ID)
}
