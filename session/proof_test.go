package session_test

import (
	"context"
	"errors"
	"testing"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

const (
	thumbprint      = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	otherThumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
)

func (w *world) loginProved(p *session.Proof) (session.Grant, error) {
	return w.service.Login(w.Context(), session.LoginRequest{Username: "alice", Password: password, Proof: p})
}

func (w *world) refreshProved(g session.Grant, p *session.Proof) (session.Grant, error) {
	use := desktop
	use.Proof = p
	return w.service.Refresh(w.Context(), g.RefreshToken, use)
}

// A session that begins with a proof is bound to its key in all its tokens, and lives on with proofs of that key only. What
// is refused leaves everything as it was: neither rotation nor reuse.
func TestBoundSession(t *testing.T) {
	w := newWorld(t)
	g, err := w.loginProved(&session.Proof{Thumbprint: thumbprint})
	if err != nil {
		t.Fatal(err)
	}
	if g.Session.KeyThumbprint != thumbprint || g.Claims.KeyThumbprint != thumbprint {
		t.Fatalf("session bound to %q, token to %q", g.Session.KeyThumbprint, g.Claims.KeyThumbprint)
	}
	first := g
	for range 3 {
		w.past()
		for range 100 { // more than there may be replays
			if _, err := w.refreshProved(g, nil); !errors.Is(err, session.ErrProof) || errors.Is(err, session.ErrInvalidGrant) {
				t.Fatalf("without a proof: %v", err)
			}
			if _, err := w.refreshProved(g, &session.Proof{Thumbprint: otherThumbprint}); !errors.Is(err, session.ErrProof) {
				t.Fatalf("with a proof of another key: %v", err)
			}
		}
		next, err := w.refreshProved(g, &session.Proof{Thumbprint: thumbprint})
		if err != nil || next.Outcome != session.Rotated || next.Claims.KeyThumbprint != thumbprint {
			t.Fatalf("with a proof: %v, %v, bound to %q", err, next.Outcome, next.Claims.KeyThumbprint)
		}
		g = next
	}
	n, _, err := w.service.InspectRefreshToken(t.Context(), g.RefreshToken)
	if err != nil || n.KeyThumbprint != thumbprint {
		t.Errorf("inspected: bound to %q, %v", n.KeyThumbprint, err)
	}
	w.past()
	if _, err := w.refreshProved(first, nil); !errors.Is(err, session.ErrProof) {
		t.Errorf("an old token without the key: %v; want nothing to happen", err)
	}
	if _, err := w.verifier.VerifyBound(t.Context(), g.AccessToken, thumbprint, w.mirror.Within(forever)); err != nil {
		t.Errorf("after that: %v", err)
	}
	if _, err := w.refreshProved(first, &session.Proof{Thumbprint: thumbprint}); !errors.Is(err, session.ErrReuse) {
		t.Errorf("an old token with the key: %v", err)
	}
	if _, err := w.verifier.VerifyBound(t.Context(), g.AccessToken, thumbprint, w.mirror.Within(forever)); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("after that: %v", err)
	}
}

// A proof for a session of bearer tokens must not make its sender believe that the session is bound.
func TestProofForABearerSession(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	if _, err := w.refreshProved(g, &session.Proof{Thumbprint: thumbprint}); !errors.Is(err, session.ErrProof) {
		t.Errorf("with a proof: %v", err)
	}
	if next := w.refresh(g.RefreshToken); next.Outcome != session.Rotated || next.Claims.KeyThumbprint != "" {
		t.Errorf("%v, bound to %q", next.Outcome, next.Claims.KeyThumbprint)
	}
}

// A proof is used up with a good credential only, and one that cannot be refuses before anything has changed.
func TestSpendingProofs(t *testing.T) {
	w := newWorld(t)
	used := errors.New("used before")
	spent := 0
	good := &session.Proof{Thumbprint: thumbprint, Spend: func(context.Context) error { spent++; return nil }}
	bad := &session.Proof{Thumbprint: thumbprint, Spend: func(context.Context) error { return used }}

	if _, err := w.service.Login(t.Context(), session.LoginRequest{Username: "alice", Password: "wrong", Proof: good}); !errors.Is(err, identity.ErrInvalidCredentials) || spent != 0 {
		t.Errorf("a wrong password: %v, spent %d", err, spent)
	}
	if _, err := w.loginProved(bad); !errors.Is(err, used) {
		t.Errorf("login with a used proof: %v", err)
	}
	if list, err := w.service.List(t.Context(), "sub-alice"); err != nil || len(list) != 0 {
		t.Errorf("%d sessions, %v; want none", len(list), err)
	}
	g, err := w.loginProved(good)
	if err != nil || spent != 1 {
		t.Fatalf("login: %v, spent %d", err, spent)
	}
	w.past()
	if _, err := w.refreshProved(session.Grant{RefreshToken: g.RefreshToken[:40]}, good); !errors.Is(err, session.ErrInvalidGrant) || spent != 1 {
		t.Errorf("a broken refresh token: %v, spent %d", err, spent)
	}
	if _, err := w.refreshProved(g, bad); !errors.Is(err, used) {
		t.Errorf("refresh with a used proof: %v", err)
	}
	if next, err := w.refreshProved(g, good); err != nil || next.Outcome != session.Rotated || spent != 2 {
		t.Errorf("refresh: %v, %v, spent %d", err, next.Outcome, spent)
	}
}

func TestMalformedThumbprint(t *testing.T) {
	w := newWorld(t)
	for _, s := range []string{"", "abc", thumbprint + "A", thumbprint[:42] + "J", thumbprint[:42] + "\n"} {
		if _, err := w.loginProved(&session.Proof{Thumbprint: s}); !errors.Is(err, session.ErrInvalidRequest) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
