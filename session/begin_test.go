package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
)

func (w *world) authenticate(username string) session.Authentication {
	w.Helper()
	a, err := w.service.Authenticate(w.Context(), username, password, "web")
	if err != nil {
		w.Fatalf("authenticate: %v", err)
	}
	return a
}

func (w *world) begin(who session.Authentication, r session.BeginRequest) session.Grant {
	w.Helper()
	g, err := w.service.Begin(w.Context(), who, r)
	if err != nil {
		w.Fatalf("begin: %v", err)
	}
	return g
}

func TestAuthenticateBeginsNothing(t *testing.T) {
	w := newWorld(t)
	a := w.authenticate("alice")
	if a.Account.Subject != "sub-alice" || !slices.Equal(a.AMR, []string{"pwd"}) || a.ACR != session.OneFactor ||
		!a.Time.Equal(w.clock.Now().Truncate(time.Second)) {
		t.Errorf("authentication: %+v", a)
	}
	if w.store.calls > 0 {
		t.Error("the store was asked")
	}
	for password, client := range map[string]string{"wrong": "web", password: "a\n"} {
		_, err := w.service.Authenticate(t.Context(), "alice", password, client)
		if !errors.Is(err, identity.ErrInvalidCredentials) && !errors.Is(err, session.ErrInvalidRequest) {
			t.Errorf("password %q, client %q: %v", password, client, err)
		}
	}
}

func TestLevels(t *testing.T) {
	password := session.Authentication{}.With("pwd")
	for _, tt := range []struct {
		got  session.Authentication
		want string
	}{
		{session.Authentication{}.With(), ""},
		{password, "aal1"},
		{password.With("otp", "mfa"), "aal2"},
		{session.Authentication{}.With("swk"), "aal1"},
		{session.Authentication{}.With("swk", "user"), "aal2"},
		{password.With("user"), "aal1"},
	} {
		if tt.got.ACR != tt.want {
			t.Errorf("%v is %q, want %q", tt.got.AMR, tt.got.ACR, tt.want)
		}
	}
	if len(password.AMR) != 1 {
		t.Errorf("With changed what it was called on: %v", password.AMR)
	}
}

// A second factor comes later: the session has both methods and the level in both tokens, and the time of the password.
func TestBeginWithTwoFactors(t *testing.T) {
	w := newWorld(t)
	a := w.authenticate("alice")
	w.clock.Advance(90 * time.Second)
	g := w.begin(a.With("otp", "mfa"), session.BeginRequest{ClientID: "web"})
	c, err := w.verifier.Verify(t.Context(), g.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if c.ACR != "aal2" || !slices.Equal(c.AMR, []string{"pwd", "otp", "mfa"}) || !c.AuthTime.Equal(a.Time) {
		t.Errorf("claims: acr %q, amr %v, auth_time %v", c.ACR, c.AMR, c.AuthTime)
	}
	w.past()
	if next := w.refresh(g.RefreshToken); next.Claims.ACR != "aal2" || next.Session.ACR != "aal2" {
		t.Errorf("after a refresh: acr %q, of the session %q", next.Claims.ACR, next.Session.ACR)
	}
}

// A cut-off between the two halves of a login ends what the first half began.
func TestCutoffBetweenTheFactors(t *testing.T) {
	w := newWorld(t)
	a := w.authenticate("alice")
	w.clock.Advance(5 * time.Second)
	if err := w.service.EndSubject(t.Context(), "sub-alice"); err != nil {
		t.Fatal(err)
	}
	if g, err := w.service.Begin(t.Context(), a, session.BeginRequest{}); err == nil {
		t.Errorf("a session began: %v", g.Session)
	}
	if list, err := w.service.List(t.Context(), "sub-alice"); err != nil || len(list) > 0 {
		t.Errorf("list: %v, %v", list, err)
	}
}

func TestVouch(t *testing.T) {
	w := newWorld(t)
	a, err := w.service.Vouch(t.Context(), "sub-alice", "", "swk", "user")
	if err != nil || a.Account.Username != "alice" || a.ACR != session.TwoFactors {
		t.Fatalf("vouch: %+v, %v", a, err)
	}
	w.wantLive(w.begin(a, session.BeginRequest{}))

	if err := w.service.EndSubject(t.Context(), "sub-alice"); err != nil {
		t.Fatal(err)
	}
	a, err = w.service.Vouch(t.Context(), "sub-alice", "", "swk") // in the second of the cut-off
	if err != nil {
		t.Fatal(err)
	}
	w.wantLive(w.begin(a, session.BeginRequest{}))

	w.accounts.set(identity.Account{Subject: "sub-bob", Username: "bob", Disabled: true})
	for subject, want := range map[string]error{
		"sub-bob": identity.ErrInvalidCredentials, "nobody": identity.ErrInvalidCredentials,
	} {
		if _, err := w.service.Vouch(t.Context(), subject, "", "swk"); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", subject, err, want)
		}
	}
	if _, err := w.service.Vouch(t.Context(), "sub-alice", ""); !errors.Is(err, session.ErrInvalidRequest) {
		t.Errorf("without a method: %v", err)
	}
	w.accounts.err = errDown
	if _, err := w.service.Vouch(t.Context(), "sub-alice", "", "swk"); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("without accounts: %v", err)
	}
}

// An ID that was decided before begins one session. The second time ends it, whoever comes.
func TestBeginOnce(t *testing.T) {
	w := newWorld(t)
	r := session.BeginRequest{ID: session.ID{7}, ClientID: "web"}
	first := w.begin(w.authenticate("alice"), r)
	if first.Session.ID != r.ID {
		t.Fatalf("the session is %v, want %v", first.Session.ID, r.ID)
	}
	w.wantLive(first)
	if _, err := w.service.Begin(t.Context(), w.authenticate("alice"), r); !errors.Is(err, session.ErrExists) {
		t.Errorf("the second time: %v, want ErrExists", err)
	}
	w.wantDead(first)
	if _, err := w.service.Begin(t.Context(), w.authenticate("alice"), r); !errors.Is(err, session.ErrExists) {
		t.Errorf("the third time: %v, want ErrExists", err)
	}
	if got := w.observer.ended[session.ByReuse]; len(got) != 1 || got[0].ID != r.ID || got[0].ClientID != "web" {
		t.Errorf("told of %+v", got)
	}
}

// family logs alice in, in a browser, and in two clients from there.
func (w *world) family() (browser, mail, wiki session.Grant) {
	w.Helper()
	browser = w.login("alice")
	child := func(client string) session.Grant {
		who, n, err := w.service.Resume(w.Context(), browser.Session.ID, client)
		if err != nil {
			w.Fatalf("resume: %v", err)
		}
		if n.UserAgent != desktop.UserAgent || who.Account.Username != "alice" || !who.Time.Equal(browser.Session.AuthTime) || who.ACR != browser.Session.ACR {
			w.Errorf("resumed %+v", who)
		}
		return w.begin(who, session.BeginRequest{ClientID: client, Parent: browser.Session.ID, Audience: []string{audience, client}})
	}
	return browser, child("mail"), child("wiki")
}

func TestResumeErrors(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	resume := func(client string) error {
		_, _, err := w.service.Resume(t.Context(), g.Session.ID, client)
		return err
	}
	if _, _, err := w.service.Resume(t.Context(), session.ID{9}, "mail"); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("an unknown session: %v", err)
	}
	w.clock.Advance(2 * time.Second)
	if err := w.service.EndClient(t.Context(), "mail"); err != nil {
		t.Fatal(err)
	}
	if err := resume("mail"); !errors.Is(err, session.ErrStale) {
		t.Errorf("after a cut-off of the client: %v", err)
	}
	if err := resume("wiki"); err != nil {
		t.Errorf("another client: %v", err)
	}
	w.patient.bound = 0
	if err := resume("wiki"); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("while the mirror cannot tell: %v", err)
	}
	w.patient.bound = forever
	w.accounts.set(identity.Account{Subject: "sub-alice", Username: "alice", Disabled: true})
	if err := resume("wiki"); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("a disabled account: %v", err)
	}
	w.wantDead(g)
}

// Whatever ends the browser's session ends those that began from it, and is told to who listens.
func TestChildrenEndWithTheirParent(t *testing.T) {
	for name, tt := range map[string]struct {
		end func(w *world, browser session.Grant) error
		by  session.EndedBy
	}{
		"logout": {func(w *world, g session.Grant) error {
			return w.service.Logout(w.Context(), "sub-alice", g.Session.ID, session.LogoutSession)
		}, session.ByUser},
		"logout of all": {func(w *world, g session.Grant) error {
			return w.service.Logout(w.Context(), "sub-alice", g.Session.ID, session.LogoutAll)
		}, session.ByUser},
		"from the list": {func(w *world, g session.Grant) error {
			return w.service.End(w.Context(), "sub-alice", g.Session.ID)
		}, session.ByUser},
		"refresh token": {func(w *world, g session.Grant) error {
			return w.service.RevokeRefreshToken(w.Context(), g.RefreshToken)
		}, session.ByUser},
		"administrator": {func(w *world, g session.Grant) error {
			return w.service.EndSessions(w.Context(), g.Session.ID)
		}, session.ByAdministrator},
		"theft": {func(w *world, g session.Grant) error {
			w.past()
			w.past()
			next := w.refresh(g.RefreshToken)
			w.past()
			w.refresh(next.RefreshToken)
			w.wantRefreshError(g.RefreshToken, session.ErrReuse)
			return nil
		}, session.ByReuse},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			browser, mail, wiki := w.family()
			other := w.login("bob")
			w.wantLive(mail)
			if err := tt.end(w, browser); err != nil {
				t.Fatal(err)
			}
			told := w.observer.ended[tt.by]
			for _, g := range []session.Grant{browser, mail, wiki} {
				w.wantDead(session.Grant{AccessToken: g.AccessToken, RefreshToken: g.RefreshToken})
				same := func(n session.Session) bool { return n.ID == g.Session.ID && n.ClientID == g.Session.ClientID }
				if !slices.ContainsFunc(told, same) {
					t.Errorf("nobody was told of the end of %s", g.Session.ClientID)
				}
			}
			if len(told) != 3 || len(w.observer.ended) != 1 {
				t.Errorf("told of %+v", w.observer.ended)
			}
			w.wantLive(other)
		})
	}
}

// A session that takes the place of the browser's, after a second factor say, leaves clients logged in, and its end is
// theirs.
func TestReplacedParent(t *testing.T) {
	w := newWorld(t)
	browser, mail, wiki := w.family()
	w.clock.Advance(time.Second)
	next := w.begin(w.authenticate("alice").With("otp", "mfa"), session.BeginRequest{})
	if err := w.service.Logout(t.Context(), "sub-alice", browser.Session.ID, session.LogoutReplaced); err != nil {
		t.Fatal(err)
	}
	w.wantDead(browser)
	for _, g := range []session.Grant{next, mail, wiki} {
		w.wantLive(g)
	}
	if told := w.observer.ended[session.ByUser]; len(told) != 1 || told[0].ID != browser.Session.ID {
		t.Errorf("told of %+v", told)
	}
	if err := w.service.Logout(t.Context(), "sub-alice", next.Session.ID, session.LogoutSession); err != nil {
		t.Fatal(err)
	}
	for _, g := range []session.Grant{next, mail, wiki} {
		w.wantDead(session.Grant{AccessToken: g.AccessToken, RefreshToken: g.RefreshToken})
	}
}

func TestChildEndsAlone(t *testing.T) {
	w := newWorld(t)
	browser, mail, wiki := w.family()
	if err := w.service.Logout(t.Context(), "sub-alice", mail.Session.ID, session.LogoutSession); err != nil {
		t.Fatal(err)
	}
	w.wantDead(mail)
	w.wantLive(browser)
	w.wantLive(wiki)
}

// "Others" are the other devices, also when a client in this browser says it.
func TestLogoutOfOthersKeepsTheFamily(t *testing.T) {
	for _, from := range []int{0, 1} {
		w := newWorld(t)
		phone := w.login("alice")
		browser, mail, wiki := w.family()
		current := []session.Grant{browser, mail}[from]
		if err := w.service.Logout(t.Context(), "sub-alice", current.Session.ID, session.LogoutOthers); err != nil {
			t.Fatal(err)
		}
		for _, g := range []session.Grant{browser, mail, wiki} {
			w.wantLive(g)
		}
		w.wantDead(phone)
		if told := w.observer.ended[session.ByUser]; len(told) != 1 || told[0].ID != phone.Session.ID {
			t.Errorf("told of %+v", told)
		}
	}
}

// A client's session that begins while its parent ends: one of the two sees the other.
func TestParentEndsMeanwhile(t *testing.T) {
	w := newWorld(t)
	browser := w.login("alice")
	who, _, err := w.service.Resume(t.Context(), browser.Session.ID, "mail")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.service.Logout(t.Context(), "sub-alice", browser.Session.ID, session.LogoutSession); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.Begin(t.Context(), who, session.BeginRequest{Parent: browser.Session.ID}); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("after the parent's end: %v", err)
	}
	if list, err := w.service.List(t.Context(), "sub-alice"); err != nil || len(list) > 0 {
		t.Errorf("a session without a holder stays: %v, %v", list, err)
	}
}

// An end that failed half-way is completed by repeating it, children included.
func TestEndOfAFamilyIsRepeated(t *testing.T) {
	w := newWorld(t)
	browser, mail, _ := w.family()
	w.revocations.err = errDown
	logout := func() error {
		return w.service.Logout(t.Context(), "sub-alice", browser.Session.ID, session.LogoutSession)
	}
	if err := logout(); !errors.Is(err, session.ErrUnavailable) {
		t.Fatalf("logout: %v", err)
	}
	w.revocations.err = nil
	if err := logout(); err != nil {
		t.Fatal(err)
	}
	w.wantDead(browser)
	if _, _, err := w.service.InspectRefreshToken(t.Context(), mail.RefreshToken); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("the child's refresh token: %v", err)
	}
	if told := w.observer.ended[session.ByUser]; len(told) != 3 {
		t.Errorf("told of %d ends, want 3", len(told))
	}
}

func TestClientsRefresh(t *testing.T) {
	w := newWorld(t)
	_, mail, _ := w.family()
	w.past()
	use := session.Use{ClientID: "mail", Audience: []string{audience}}
	for name, tt := range map[string]struct {
		use  session.Use
		want error
	}{
		"another client": {session.Use{ClientID: "wiki"}, session.ErrInvalidGrant},
		"a wider scope":  {session.Use{ClientID: "mail", Scope: "write"}, session.ErrScope},
		"no client":      {session.Use{}, session.ErrInvalidGrant},
	} {
		if _, err := w.service.Refresh(t.Context(), mail.RefreshToken, tt.use); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	g, err := w.service.Refresh(t.Context(), mail.RefreshToken, use)
	if err != nil || !slices.Equal(g.Claims.Audience, use.Audience) || g.Claims.ClientID != "mail" {
		t.Errorf("its client: %+v, %v", g.Claims, err)
	}
}

func TestRefreshWithLessScope(t *testing.T) {
	w := newWorld(t)
	g := w.begin(w.authenticate("alice"), session.BeginRequest{ClientID: "web", Scope: "read write"})
	w.past()
	narrow, err := w.service.Refresh(t.Context(), g.RefreshToken, session.Use{ClientID: "web", Scope: "read"})
	if err != nil || narrow.Claims.Scope != "read" {
		t.Fatalf("scope %q, %v", narrow.Claims.Scope, err)
	}
	w.past()
	if wide := w.refresh(narrow.RefreshToken); wide.Claims.Scope != "read write" {
		t.Errorf("scope %q after that; the session has lost some", wide.Claims.Scope)
	}
}
