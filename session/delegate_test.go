package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

func TestIssueToClient(t *testing.T) {
	w := newWorld(t)
	g, err := w.service.IssueToClient(t.Context(), session.ClientRequest{ClientID: "batch", Scope: "read"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.verifier.Verify(t.Context(), g.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "batch" || c.ClientID != "batch" || c.SessionID != "" || c.Scope != "read" || c.AuthTime != (time.Time{}) ||
		len(c.Roles) > 0 || g.RefreshToken != "" {
		t.Errorf("claims %+v, refresh token %q", c, g.RefreshToken)
	}
	if w.store.calls > 0 {
		t.Error("it has a session")
	}
	if err := w.service.EndClient(t.Context(), "batch"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.verifier.Verify(t.Context(), g.AccessToken); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("after a revocation of the client: %v", err)
	}
	g, err = w.service.IssueToClient(t.Context(), session.ClientRequest{ClientID: "batch"}) // in the second of the cut-off
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.verifier.Verify(t.Context(), g.AccessToken); err != nil {
		t.Errorf("issued after it: %v", err)
	}
}

// A client must not be taken for the user who has its name as a subject.
func TestClientIsNoUser(t *testing.T) {
	w := newWorld(t)
	w.accounts.set(identity.Account{Subject: "batch", Username: "someone"})
	for id, want := range map[string]error{"batch": session.ErrInvalidGrant, "": session.ErrInvalidRequest} {
		if _, err := w.service.IssueToClient(t.Context(), session.ClientRequest{ClientID: id}); !errors.Is(err, want) {
			t.Errorf("client %q: %v, want %v", id, err, want)
		}
	}
	w.accounts.err = errDown
	if _, err := w.service.IssueToClient(t.Context(), session.ClientRequest{ClientID: "x"}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("while accounts cannot be told: %v", err)
	}
}

// verify reads a token that a service has got.
func (w *world) verify(raw string) *token.Claims {
	w.Helper()
	c, err := w.verifier.Verify(w.Context(), raw)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func TestExchange(t *testing.T) {
	w := newWorld(t)
	login := w.begin(w.authenticate("alice").With("otp", "mfa"), session.BeginRequest{ClientID: "web", Scope: "read write"})
	w.clock.Advance(5 * time.Minute)
	from := w.verify(login.AccessToken)
	g, err := w.service.Exchange(t.Context(), from, session.ClientRequest{
		ClientID: "orders", Scope: "read", Audience: []string{audience, "stock"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := w.verify(g.AccessToken)
	if c.Subject != "sub-alice" || c.SessionID != from.SessionID || c.ClientID != "orders" || c.Scope != "read" ||
		!slices.Equal(c.Audience, []string{audience, "stock"}) || c.Actor.Subject != "orders" || c.Actor.Before != nil ||
		c.ACR != "aal2" || !c.AuthTime.Equal(from.AuthTime) || !slices.Equal(c.Roles, []string{"clerk"}) {
		t.Errorf("claims %+v", c)
	}
	if c.ExpiresAt.After(from.ExpiresAt) || g.RefreshToken != "" {
		t.Errorf("lives until %v, the other until %v; refresh token %q", c.ExpiresAt, from.ExpiresAt, g.RefreshToken)
	}
	next, err := w.service.Exchange(t.Context(), c, session.ClientRequest{ClientID: "stock"})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.verify(next.AccessToken).Actor; a.Subject != "stock" || a.Before.Subject != "orders" || a.Depth() != 2 {
		t.Errorf("actors %+v", a)
	}
	// The logout of the user ends all of them.
	if err := w.service.Logout(t.Context(), "sub-alice", login.Session.ID, session.LogoutSession); err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{g.AccessToken, next.AccessToken} {
		if _, err := w.verifier.Verify(t.Context(), raw); !errors.Is(err, token.ErrRevoked) {
			t.Errorf("after the logout: %v", err)
		}
	}
}

func TestExchangeIsNeverWider(t *testing.T) {
	w := newWorld(t)
	from := w.verify(w.begin(w.authenticate("alice"), session.BeginRequest{ClientID: "web", Scope: "read"}).AccessToken)
	bound, deep := *from, *from
	bound.KeyThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	for range 4 {
		deep.Actor = &token.Actor{Subject: "x", Before: deep.Actor}
	}
	for name, tt := range map[string]struct {
		from  *token.Claims
		scope string
		want  error
	}{
		"scope":    {from, "read write", session.ErrScope},
		"unbound":  {&bound, "", session.ErrProof},
		"too deep": {&deep, "", session.ErrInvalidGrant},
	} {
		_, err := w.service.Exchange(t.Context(), tt.from, session.ClientRequest{ClientID: "orders", Scope: tt.scope})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	g, err := w.service.Exchange(t.Context(), &bound, session.ClientRequest{
		ClientID: "orders", Proof: &session.Proof{Thumbprint: bound.KeyThumbprint},
	})
	if err != nil || g.Claims.KeyThumbprint != bound.KeyThumbprint {
		t.Errorf("with a proof: bound to %q, %v", g.Claims.KeyThumbprint, err)
	}
	w.clock.Advance(time.Hour)
	if _, err := w.service.Exchange(t.Context(), from, session.ClientRequest{ClientID: "orders"}); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("an expired one: %v", err)
	}
}

// A revocation that comes while a token is exchanged must hit the new one as well, or refuse it.
func TestExchangeAgainstRevocation(t *testing.T) {
	w := newWorld(t)
	from := w.verify(w.login("alice").AccessToken)
	w.tokens.during = func() {
		if err := w.service.EndSubject(t.Context(), "sub-alice"); err != nil {
			t.Error(err)
		}
	}
	if g, err := w.service.Exchange(t.Context(), from, session.ClientRequest{ClientID: "orders"}); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("exchanged for %v, %v", g.Claims, err)
	}
}
