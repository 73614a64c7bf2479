package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
)

// meddled is a store of sessions into which somebody wrote that those of its users are bob's.
type meddled struct {
	httpapi.OAuthSessions
	bob *identity.Account // nil as long as nobody has
}

func (m *meddled) Resume(ctx context.Context, id session.ID, client string) (session.Authentication, session.Session, error) {
	who, n, err := m.OAuthSessions.Resume(ctx, id, client)
	if m.bob != nil {
		who.Account, n.Subject = *m.bob, m.bob.Subject
	}
	return who, n, err
}

// Whoever can write to the store of sessions logs in as nobody: whose session it is, the browser's token says, and the code.
func TestSubjectIsNotTheStoresToSay(t *testing.T) {
	store := &meddled{}
	e := newProvider(t, options{public: func(c *httpapi.PublicConfig) {
		store.OAuthSessions, c.OAuth.Sessions = c.OAuth.Sessions, store
	}})
	u := e.loggedIn()
	code := u.code()
	bob, err := e.users.Get(t.Context(), bobName)
	must(t, err)
	store.bob = &identity.Account{Subject: bob.Subject, Username: bobName}
	wantOAuthError(t, e.asClient("shop", exchange(code)), http.StatusBadRequest, "invalid_grant")
	if a := u.get(askFor()); !strings.HasPrefix(a.header.Get("Location"), "/login?") {
		t.Errorf("a code for somebody else: status %d to %q", a.status, a.header.Get("Location"))
	}
	store.bob = nil
	if got := claimsOf(t, e.tokensOf(e.asClient("shop", exchange(u.code()))).AccessToken)["sub"]; got != e.alice.Subject {
		t.Errorf("the session of %v", got)
	}
}
