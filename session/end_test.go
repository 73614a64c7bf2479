package session_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
)

func TestLogoutScopes(t *testing.T) {
	for _, tt := range []struct {
		scope       session.LogoutScope
		here, there bool // whether the sessions survive
	}{
		{session.LogoutSession, false, true},
		{session.LogoutOthers, true, false},
		{session.LogoutAll, false, false},
	} {
		t.Run(string(tt.scope), func(t *testing.T) {
			w := newWorld(t)
			here, there, bob := w.login("alice"), w.login("alice"), w.login("bob")
			for range 2 { // once more changes nothing
				if err := w.service.Logout(t.Context(), "sub-alice", here.Session.ID, tt.scope); err != nil {
					t.Fatal(err)
				}
				w.want(here, tt.here)
				w.want(there, tt.there)
				w.want(bob, true)
			}
			if len(w.revocations.early) > 0 {
				t.Errorf("revoked before the record ended: %v", w.revocations.early)
			}
			w.wantLive(w.login("alice"))
		})
	}
}

func (w *world) want(g session.Grant, live bool) {
	w.Helper()
	if live {
		w.wantLive(g)
	} else {
		w.wantDead(g)
	}
}

func TestLogoutRefusesUnknownScope(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	if err := w.service.Logout(t.Context(), "sub-alice", g.Session.ID, "everybody"); !errors.Is(err, session.ErrInvalidRequest) {
		t.Errorf("got %v", err)
	}
	w.wantLive(g)
}

// Every way to end a session is interrupted after its first half; what is acknowledged in the end is complete.
func TestInterruptedEndIsCompletedByRepeating(t *testing.T) {
	for name, end := range map[string]func(w *world, victim, current session.Grant) error{
		"logout": func(w *world, victim, _ session.Grant) error {
			return w.service.Logout(w.Context(), "sub-alice", victim.Session.ID, session.LogoutSession)
		},
		"logout of others": func(w *world, _, current session.Grant) error {
			return w.service.Logout(w.Context(), "sub-alice", current.Session.ID, session.LogoutOthers)
		},
		"logout of all": func(w *world, _, current session.Grant) error {
			return w.service.Logout(w.Context(), "sub-alice", current.Session.ID, session.LogoutAll)
		},
		"one from the list": func(w *world, victim, _ session.Grant) error {
			return w.service.End(w.Context(), "sub-alice", victim.Session.ID)
		},
		"sessions": func(w *world, victim, _ session.Grant) error {
			return w.service.EndSessions(w.Context(), victim.Session.ID)
		},
		"subject": func(w *world, _, _ session.Grant) error { return w.service.EndSubject(w.Context(), "sub-alice") },
		"refresh token": func(w *world, victim, _ session.Grant) error {
			return w.service.RevokeRefreshToken(w.Context(), victim.RefreshToken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			victim, current := w.login("alice"), w.login("alice")
			w.revocations.err = errDown
			for range 2 {
				if err := end(w, victim, current); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, errDown) {
					t.Fatalf("not revoked, but: %v", err)
				}
			}
			w.revocations.err = nil
			w.file.Close() // and the process ends, too
			w.open()
			w.store.ended = append(w.store.ended, victim.Session.ID, current.Session.ID)
			if err := end(w, victim, current); err != nil {
				t.Fatalf("repeated: %v", err)
			}
			w.wantDead(victim)
		})
	}
}

// A valid access token may outlive its session's record: a logout with it revokes it all the same.
func TestLogoutWithoutARecord(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	if err := w.store.End(t.Context(), g.Session.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.verifier.Verify(t.Context(), g.AccessToken); err != nil {
		t.Fatalf("the access token: %v", err)
	}
	if err := w.service.Logout(t.Context(), "sub-alice", g.Session.ID, session.LogoutSession); err != nil {
		t.Fatal(err)
	}
	w.wantDead(g)
}

// R3: what a revocation covers is dead before the revocation expires.
func TestRevocationOutlivesItsTokens(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	if err := w.service.Logout(t.Context(), "sub-alice", g.Session.ID, session.LogoutAll); err != nil {
		t.Fatal(err)
	}
	kinds := map[revocation.Kind]bool{}
	for _, e := range w.revocations.added {
		kinds[e.Kind] = true
		if dead := g.Claims.ExpiresAt.Unix() + 30; e.Expires < dead {
			t.Errorf("%v expires at %d, the token is dead at %d", e.Kind, e.Expires, dead)
		}
	}
	if !kinds[revocation.Session] || !kinds[revocation.Subject] {
		t.Errorf("entries of kinds %v; want the session and the subject", kinds)
	}
}

func TestEndOne(t *testing.T) {
	w := newWorld(t)
	mine, other := w.login("alice"), w.login("bob")
	for name, id := range map[string]session.ID{"somebody else's": other.Session.ID, "unknown": {1}} {
		if err := w.service.End(t.Context(), "sub-alice", id); !errors.Is(err, session.ErrNotFound) ||
			err.Error() != "ending a session: session not found" {
			t.Errorf("%s: %v; want the same ErrNotFound for all", name, err)
		}
	}
	w.wantLive(other)
	if err := w.service.End(t.Context(), "sub-alice", mine.Session.ID); err != nil {
		t.Fatal(err)
	}
	w.wantDead(mine)
	if err := w.service.End(t.Context(), "sub-alice", mine.Session.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if err := w.service.End(t.Context(), "sub-bob", mine.Session.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("somebody else's, ended: %v", err)
	}
}

func TestAdministratorsEnd(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.login("alice"), w.login("bob"), w.login("bob")
	if err := w.service.EndSessions(t.Context(), a.Session.ID, b.Session.ID, session.ID{9}); err != nil {
		t.Fatal(err)
	}
	w.wantDead(a)
	w.wantDead(b)
	w.wantLive(c)
	if err := w.service.EndSessions(t.Context()); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if err := w.service.EndSubject(t.Context(), "sub-bob"); err != nil {
		t.Fatal(err)
	}
	w.wantDead(c)
}

// RFC 7009: any generation of the refresh token ends the session.
func TestRevokeRefreshToken(t *testing.T) {
	w := newWorld(t)
	first := w.login("alice")
	w.past()
	second := w.refresh(first.RefreshToken)
	w.past()
	if err := w.service.RevokeRefreshToken(t.Context(), first.RefreshToken); err != nil {
		t.Fatal(err)
	}
	w.wantDead(first)
	w.wantDead(second)
	w.macKeys.err = errDown
	if err := w.service.RevokeRefreshToken(t.Context(), first.RefreshToken); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("without keys: %v; it cannot be told whether the token is ours", err)
	}
}

// Restarting keeps sessions, and what ended stays ended.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	live, ended := w.login("alice"), w.login("alice")
	if err := w.service.End(t.Context(), "sub-alice", ended.Session.ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := w.file.Close(); err != nil {
			t.Fatal(err)
		}
		w.open()
		w.wantDead(ended)
		w.past()
		live = w.refresh(live.RefreshToken)
		w.wantLive(live)
	}
	if list, err := w.service.List(t.Context(), "sub-alice"); err != nil || len(list) != 1 || list[0].ID != live.Session.ID {
		t.Errorf("list: %v, %v", list, err)
	}
}

func TestServiceConfig(t *testing.T) {
	_, err := session.NewService(session.ServiceConfig{ClientID: "\n", Leeway: -1, Limits: session.Limits{MaxReplays: -1}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, setting := range []string{
		"store", "accounts", "tokens", "MAC keys", "revocations", "mirror", "leeway", "client id", "replays",
	} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("%s is not reported in: %v", setting, err)
		}
	}
}
