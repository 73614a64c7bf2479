package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// changePassword is a change whose maker died, or that was made elsewhere: the account has it, and no session was ended.
func (w *world) changePassword(at time.Time) {
	w.accounts.set(identity.Account{Subject: "sub-alice", Username: "alice", PasswordChangedAt: at})
}

// However little time lies between a login and a change of the password, the session does not outlive the change.
func TestSessionsOfTheOldPasswordEnd(t *testing.T) {
	for _, between := range []time.Duration{time.Microsecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second, time.Minute} {
		t.Run(between.String(), func(t *testing.T) {
			w := newWorld(t)
			g, bob := w.login("alice"), w.login("bob")
			w.clock.Advance(between)
			w.changePassword(w.clock.Now())
			if _, _, err := w.service.InspectRefreshToken(t.Context(), g.RefreshToken); !errors.Is(err, session.ErrInvalidGrant) {
				t.Errorf("inspecting: %v, want %v", err, session.ErrInvalidGrant)
			}
			w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
			w.wantDead(g)
			w.wantLive(bob)
		})
	}
}

// However soon after the change, who logs in with the new password stays logged in.
func TestSessionsOfTheNewPasswordLive(t *testing.T) {
	for _, between := range []time.Duration{0, time.Microsecond, 500 * time.Millisecond, 749 * time.Millisecond, 750 * time.Millisecond, time.Second} {
		t.Run(between.String(), func(t *testing.T) {
			w := newWorld(t)
			w.changePassword(w.clock.Now())
			w.clock.Advance(between)
			g := w.login("alice")
			w.wantLive(g)
			w.past()
			w.wantLive(w.refresh(g.RefreshToken))
		})
	}
}

// A session whose time of authentication was raised to a cut-off of its second ends like any other.
func TestRaisedSessionsOfTheOldPasswordEnd(t *testing.T) {
	w := newWorld(t)
	if err := w.service.EndSubject(t.Context(), "sub-alice"); err != nil {
		t.Fatal(err)
	}
	g := w.login("alice")
	if !g.Session.AuthTime.After(w.clock.Now()) {
		t.Fatalf("authenticated at %v, which was not raised", g.Session.AuthTime)
	}
	w.clock.Advance(time.Millisecond)
	w.changePassword(w.clock.Now())
	w.wantDead(g)
	w.clock.Advance(time.Millisecond)
	later := w.login("alice")
	w.past()
	w.wantLive(w.refresh(later.RefreshToken))
}

// A second change ends also what the first one let live.
func TestPasswordChangesTwice(t *testing.T) {
	w := newWorld(t)
	w.changePassword(w.clock.Now())
	g := w.login("alice")
	w.clock.Advance(2 * time.Second)
	w.changePassword(w.clock.Now())
	w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
	w.wantDead(g)
}

func TestEndSubjectBefore(t *testing.T) {
	w := newWorld(t)
	old, bob := w.login("alice"), w.login("bob")
	w.clock.Advance(5 * time.Second)
	changed := w.clock.Now()
	w.clock.Advance(5 * time.Second)
	later := w.login("alice")
	renewed := w.refresh(old.RefreshToken) // the access token is younger than the change, and yet of a session before it
	w.clock.Advance(5 * time.Second)
	for range 2 {
		if err := w.service.EndSubjectBefore(t.Context(), "sub-alice", changed); err != nil {
			t.Fatal(err)
		}
	}
	// Before a refresh, which completes an end that was interrupted.
	if _, err := w.verifier.Verify(t.Context(), renewed.AccessToken); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("the younger access token: %v, want revoked", err)
	}
	w.wantDead(old)
	w.wantDead(renewed)
	w.wantLive(later)
	w.wantLive(bob)
	w.past()
	w.wantLive(w.refresh(later.RefreshToken))

	// Nobody can have logged in after a time to come.
	if err := w.service.EndSubjectBefore(t.Context(), "sub-alice", w.clock.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	w.wantDead(later)
	w.wantLive(bob)
}

// An end whose revocation failed, or was never begun, is completed by the next.
func TestEndSubjectBeforeIsCompleted(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.clock.Advance(5 * time.Second)
	changed := w.clock.Now()
	w.clock.Advance(5 * time.Second)
	w.revocations.err = errDown
	if err := w.service.EndSubjectBefore(t.Context(), "sub-alice", changed); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("error %v, want %v", err, session.ErrUnavailable)
	}
	w.revocations.err = nil
	if err := w.service.EndSubjectBefore(t.Context(), "sub-alice", changed); err != nil {
		t.Fatal(err)
	}
	w.wantDead(g)
}

// Nothing begins from a session of the old password.
func TestNothingResumesTheOldPassword(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.clock.Advance(time.Millisecond)
	w.changePassword(w.clock.Now())
	if _, _, err := w.service.Resume(t.Context(), g.Session.ID, "web"); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("resuming: %v, want %v", err, session.ErrInvalidGrant)
	}
	w.wantDead(g)
}
