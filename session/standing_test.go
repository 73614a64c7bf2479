package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/authd-project/authd/session"
)

func TestStanding(t *testing.T) {
	w := newWorld(t)
	standing := func(id session.ID) session.Standing {
		t.Helper()
		s, err := w.service.Standing(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	limits := session.Limits{}.WithDefaults()
	g, other := w.login("alice"), w.login("bob")
	s := standing(g.Session.ID)
	if s.Session.Subject != "sub-alice" || s.CutOff || !s.Session.EndedAt.IsZero() ||
		!s.IdleUntil.Equal(s.Session.LastUsedAt.Add(limits.Idle)) || !s.AbsoluteUntil.Equal(s.Session.CreatedAt.Add(limits.Absolute)) {
		t.Errorf("live: %+v", s)
	}

	w.clock.Advance(time.Minute)
	if err := w.service.EndSessions(t.Context(), g.Session.ID); err != nil {
		t.Fatal(err)
	}
	ended := w.clock.Now()
	w.clock.Advance(time.Minute)
	if s := standing(g.Session.ID); !s.Session.EndedAt.Equal(ended) || s.Session.Subject != "sub-alice" || !s.IdleUntil.IsZero() {
		t.Errorf("ended at %v: %+v", ended, s)
	}

	if err := w.service.EndEverything(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := standing(other.Session.ID); !s.CutOff || !s.Session.EndedAt.IsZero() {
		t.Errorf("cut off: %+v", s)
	}
	w.clock.Advance(limits.Idle)
	for name, id := range map[string]session.ID{"idle for too long": other.Session.ID, "made up": {1}} {
		if s, err := w.service.Standing(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}
