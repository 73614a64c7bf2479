package sessiontest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/session"
)

func testCreate(t *testing.T, h *harness) {
	s := h.create("alice")
	if s.CreatedAt.IsZero() || !s.LastUsedAt.Equal(s.CreatedAt) {
		t.Errorf("created %v, last used %v; want both now", s.CreatedAt, s.LastUsedAt)
	}
	if s.Chain.Generation != 1 || !s.Chain.Since.Equal(s.CreatedAt) || s.Chain.Replays != 0 {
		t.Errorf("chain %+v; want generation 1 from %v on", s.Chain, s.CreatedAt)
	}
	if s.Subject != "alice" || s.Username != "Ada" || s.ClientID != "web" || s.Scope != "read write" ||
		!slices.Equal(s.AMR, []string{"pwd", "otp", "mfa"}) || s.ACR != "aal2" || s.Parent != (session.ID{1, 2, 3}) ||
		s.AuthTime.Unix() != 1_700_000_000 ||
		s.Address != "192.0.2.1" || s.UserAgent != "test/1" ||
		s.KeyThumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("stored something else: %+v", s)
	}
	if got := h.get(s.ID); !equal(got, s) {
		t.Errorf("get: %+v\nwant: %+v", got, s)
	}
}

// Create is the only way into life, so it must not be one back from death.
func testCreateTwice(t *testing.T, h *harness) {
	s := h.create("alice")
	if _, err := h.Store.Create(t.Context(), session.Session{ID: s.ID, Subject: "mallory"}); !errors.Is(err, session.ErrExists) {
		t.Errorf("created a session with the ID of a live one: %v; want ErrExists", err)
	}
	if got := h.get(s.ID); !equal(got, s) {
		t.Errorf("the first session is now %+v", got)
	}
	h.end(s.ID)
	if _, err := h.Store.Create(t.Context(), session.Session{ID: s.ID, Subject: "alice"}); !errors.Is(err, session.ErrExists) {
		t.Errorf("created a session with the ID of an ended one: %v; want ErrExists", err)
	}
	h.wantEnded(s)
}

// What is good for one time must not be taken for a repeat, also when both times everything is the same: of those who
// present it at once, one gets a session.
func testCreateAlike(t *testing.T, h *harness) {
	n := session.Session{ID: newID(), Subject: "alice", Username: "Ada", ClientID: "web", AuthTime: time.Unix(1_700_000_000, 0)}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { _, errs[i] = h.Store.Create(t.Context(), n) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, session.ErrExists):
			t.Errorf("create: %v; want ErrExists", err)
		}
	}
	if made != 1 {
		t.Errorf("%d of %d created the session", made, len(errs))
	}
}

func testUnknown(t *testing.T, h *harness) {
	id := newID()
	if _, err := h.Store.Get(t.Context(), id, limits); !errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrEnded) {
		t.Errorf("get: %v; want ErrNotFound, not ErrEnded", err)
	}
	if _, _, err := h.Store.Refresh(t.Context(), id, 1, session.Use{}, limits); !errors.Is(err, session.ErrNotFound) ||
		errors.Is(err, session.ErrEnded) {
		t.Errorf("refresh: %v; want ErrNotFound, not ErrEnded", err)
	}
	h.end(id)
	h.end()
	if ids, err := h.Store.EndSubject(t.Context(), "nobody"); err != nil || len(ids) > 0 {
		t.Errorf("end of an unknown subject: %v, %v", ids, err)
	}
	if list := h.list("nobody"); len(list) > 0 {
		t.Errorf("list of an unknown subject: %v", list)
	}
}

func testEnd(_ *testing.T, h *harness) {
	s1, s2, s3 := h.create("alice"), h.create("bob"), h.create("alice")
	h.end(s1.ID, newID(), s2.ID)
	h.wantEnded(s1)
	h.wantEnded(s2)
	h.end(s1.ID) // again
	h.wantEnded(s1)
	h.get(s3.ID)
	h.Advance(time.Minute)
	h.refresh(s3.ID, 1, session.Rotated, 2)
}

func testEndSubject(t *testing.T, h *harness) {
	s1, s2, s3, kept, other := h.create("alice"), h.create("alice"), h.create("alice"), h.create("alice"), h.create("bob")
	h.end(s3.ID)
	for _, when := range []string{"first", "repeated"} {
		ids, err := h.Store.EndSubject(t.Context(), "alice", kept.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !sameIDs(ids, s1.ID, s2.ID, s3.ID) {
			t.Errorf("%s: ended %v; want the two live ones and the one that ended before", when, ids)
		}
		h.wantEnded(s1)
		h.wantEnded(s2)
		h.get(kept.ID)
		h.get(other.ID)
	}
	later := h.create("alice")
	h.get(later.ID)
}

func sameIDs(got []session.ID, want ...session.ID) bool {
	if len(got) != len(want) {
		return false
	}
	for _, id := range want {
		if !slices.Contains(got, id) {
			return false
		}
	}
	return true
}

func testSubjectsAreApart(t *testing.T, h *harness) {
	subjects := []string{"a", "ab", "a\x00b", "b", "A", ""}
	for _, subject := range subjects {
		h.create(subject)
	}
	for i, subject := range subjects {
		if list := h.list(subject); len(list) != 1 || list[0].Subject != subject {
			t.Fatalf("list of %q: %v", subject, list)
		}
		if ids, err := h.Store.EndSubject(t.Context(), subject); err != nil || len(ids) != 1 {
			t.Fatalf("end of %q: %v, %v", subject, ids, err)
		}
		for _, rest := range subjects[i+1:] {
			if list := h.list(rest); len(list) != 1 {
				t.Fatalf("after the end of %q, the list of %q: %v", subject, rest, list)
			}
		}
	}
}

func testList(t *testing.T, h *harness) {
	var made []session.Session
	for range 4 {
		made = append(made, h.create("alice"))
		h.Advance(time.Minute)
	}
	h.create("bob")
	h.end(made[2].ID)
	refreshed := h.refresh(made[0].ID, 1, session.Rotated, 2)
	want := []session.Session{refreshed, made[3], made[1]}
	if got := h.list("alice"); !slices.EqualFunc(got, want, equal) {
		t.Errorf("list: %+v\nwant: %+v", got, want)
	}
}

func testIdleLimit(t *testing.T, h *harness) {
	used, idle := h.create("alice"), h.create("alice")
	h.Advance(limits.Idle * 2 / 3)
	h.refresh(used.ID, 1, session.Rotated, 2)
	h.Advance(limits.Idle * 2 / 3)
	h.refresh(used.ID, 2, session.Rotated, 3)
	h.wantExpired(idle)
	if list := h.list("alice"); len(list) != 1 || list[0].ID != used.ID {
		t.Errorf("list: %v; want only the session in use", list)
	}
}

func testAbsoluteLimit(t *testing.T, h *harness) {
	s := h.create("alice")
	generation := uint64(1)
	for age := time.Duration(0); age+limits.Idle/2 < limits.Absolute; age += limits.Idle / 2 {
		if age > 0 {
			h.refresh(s.ID, generation, session.Rotated, generation+1)
			generation++
		}
		h.Advance(limits.Idle / 2)
	}
	h.refresh(s.ID, generation, session.Rotated, generation+1)
	h.Advance(limits.Idle * 2 / 3)
	h.wantExpired(s)
	if list := h.list("alice"); len(list) > 0 {
		t.Errorf("list: %v", list)
	}
}

func (h *harness) wantExpired(s session.Session) {
	h.Helper()
	if _, err := h.Store.Get(h.Context(), s.ID, limits); !errors.Is(err, session.ErrNotFound) {
		h.Errorf("get of an expired session: %v", err)
	}
	for presented := uint64(1); presented < 9; presented++ {
		_, _, err := h.Store.Refresh(h.Context(), s.ID, presented, session.Use{}, limits)
		if !errors.Is(err, session.ErrNotFound) {
			h.Errorf("refresh of an expired session: %v", err)
		}
	}
}

func testReopen(t *testing.T, h *harness) {
	live, ended := h.create("alice"), h.create("alice")
	h.Advance(2 * limits.Grace)
	live = h.refresh(live.ID, 1, session.Rotated, 2)
	h.end(ended.ID)
	h.Store = h.Reopen()
	if got := h.get(live.ID); !equal(got, live) {
		t.Errorf("after reopening: %+v\nwant: %+v", got, live)
	}
	h.refresh(live.ID, 1, session.Replayed, 2) // the answer was lost in the crash, say
	h.wantEnded(ended)
	if list := h.list("alice"); len(list) != 1 {
		t.Errorf("list after reopening: %v", list)
	}
}
