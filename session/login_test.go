package session_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

func TestLogin(t *testing.T) {
	w := newWorld(t)
	g, err := w.service.Login(t.Context(), session.LoginRequest{
		Username: "alice", Password: password, ClientID: "web", Scope: "read write",
		Address: "192.0.2.1", UserAgent: "desktop/1\r\n\x1b[2J" + strings.Repeat("x", 400),
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.verifier.Verify(t.Context(), g.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "sub-alice" || c.ClientID != "web" || c.Scope != "read write" || c.SessionID != g.Session.ID.String() ||
		!slices.Equal(c.AMR, []string{"pwd"}) || !slices.Equal(c.Roles, []string{"clerk"}) ||
		c.AuthTime.Unix() != w.clock.Now().Unix() || c.ID == "" || c.ID != g.Claims.ID {
		t.Errorf("claims: %+v", c)
	}
	if g.ExpiresIn < 9*time.Minute || g.ExpiresIn > 10*time.Minute {
		t.Errorf("the access token expires in %v", g.ExpiresIn)
	}
	if !strings.HasPrefix(g.RefreshToken, "authd_rt_") {
		t.Errorf("refresh token %q", g.RefreshToken)
	}
	list, err := w.service.List(t.Context(), "sub-alice")
	if err != nil || len(list) != 1 {
		t.Fatalf("list: %v, %v", list, err)
	}
	s := list[0]
	if s.ID != g.Session.ID || s.Username != "alice" || s.ClientID != "web" || s.Address != "192.0.2.1" ||
		s.UserAgent != "desktop/1[2J"+strings.Repeat("x", 256-len("desktop/1[2J")) || !s.CreatedAt.Equal(w.clock.Now()) {
		t.Errorf("listed: %+v", s)
	}
}

func TestLoginWithoutClientID(t *testing.T) {
	w := newWorld(t)
	g, err := w.service.Login(t.Context(), session.LoginRequest{Username: "alice", Password: password})
	if err != nil || g.Claims.ClientID != "authd" || g.Session.ClientID != "authd" {
		t.Errorf("client %q, %v; want the service's own", g.Claims.ClientID, err)
	}
}

// Session fixation (ASVS 7.2.4): nothing that a client had or sends survives into a new session, and logging in again
// does not touch the session that somebody else may hold.
func TestLoginMakesEverythingNew(t *testing.T) {
	w := newWorld(t)
	first, second := w.login("alice"), w.login("alice")
	if first.Session.ID == second.Session.ID || first.Claims.ID == second.Claims.ID ||
		first.RefreshToken == second.RefreshToken || first.AccessToken == second.AccessToken {
		t.Error("two logins share an identifier or a token")
	}
	if second.Session.ID == (session.ID{}) {
		t.Error("the session id is not random")
	}
	w.wantLive(first)
	w.wantLive(second)
}

func TestLoginErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		request session.LoginRequest
		prepare func(w *world)
		want    error
	}{
		{"wrong password", session.LoginRequest{Username: "alice", Password: "wrong"}, nil, identity.ErrInvalidCredentials},
		{"unknown user", session.LoginRequest{Username: "eve", Password: password}, nil, identity.ErrInvalidCredentials},
		{"bad client id", session.LoginRequest{Username: "alice", Password: password, ClientID: "a\n"}, nil,
			session.ErrInvalidRequest},
		{"bad scope", session.LoginRequest{Username: "alice", Password: password, Scope: "a  b"}, nil,
			session.ErrInvalidRequest},
		{"busy", session.LoginRequest{Username: "alice", Password: password},
			func(w *world) { w.accounts.err = identity.ErrBusy }, identity.ErrBusy},
		{"no users", session.LoginRequest{Username: "alice", Password: password},
			func(w *world) { w.accounts.err = identity.ErrUnavailable }, session.ErrUnavailable},
		{"no MAC key", session.LoginRequest{Username: "alice", Password: password},
			func(w *world) { w.macKeys.err = errDown }, session.ErrUnavailable},
		{"no signing key", session.LoginRequest{Username: "alice", Password: password},
			func(w *world) { w.tokens.err = errDown }, session.ErrUnavailable},
		{"impossible claims", session.LoginRequest{Username: "alice", Password: password},
			func(w *world) { w.accounts.set(identity.Account{Subject: "\x00", Username: "alice"}) }, token.ErrClaims},
		{"no store", session.LoginRequest{Username: "alice", Password: password},
			func(w *world) { w.file.Close() }, session.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.prepare != nil {
				tt.prepare(w)
			}
			g, err := w.service.Login(t.Context(), tt.request)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if g.AccessToken != "" || g.RefreshToken != "" {
				t.Error("tokens were given all the same")
			}
			for _, subject := range []string{"sub-alice", "\x00"} {
				if list, err := w.service.List(t.Context(), subject); err == nil && len(list) > 0 {
					t.Errorf("a session without a holder stays: %v", list)
				}
			}
		})
	}
}

// A password changed while a login with the old one is under way: the login must fail.
func TestLoginAgainstPasswordChange(t *testing.T) {
	for name, before := range map[string]time.Duration{"same second": 0, "earlier second": -2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.clock.Advance(before)
			w.accounts.during = func() {
				w.clock.Advance(-before)
				w.accounts.set(identity.Account{Subject: "sub-alice", Username: "alice", Disabled: true})
				if err := w.service.EndSubject(t.Context(), "sub-alice"); err != nil {
					t.Error(err)
				}
			}
			_, err := w.service.Login(t.Context(), session.LoginRequest{Username: "alice", Password: password})
			if !errors.Is(err, identity.ErrInvalidCredentials) {
				t.Errorf("login: %v", err)
			}
		})
	}
}

// A cut-off that comes after the password was checked, when the session is stored already.
func TestLoginAgainstCutoff(t *testing.T) {
	w := newWorld(t)
	w.store.afterStep = func() {
		if err := w.service.EndEverything(t.Context()); err != nil {
			t.Error(err)
		}
	}
	_, err := w.service.Login(t.Context(), session.LoginRequest{Username: "alice", Password: password})
	if !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("login: %v; want it to be tried again", err)
	}
	if list, err := w.service.List(t.Context(), "sub-alice"); err != nil || len(list) > 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	w.wantLive(w.login("alice"))
}

// Whoever ends all sessions and logs in again in the same second must get a session that lasts.
func TestLoginInTheSecondOfACutoff(t *testing.T) {
	for name, cutOff := range map[string]func(w *world) error{
		"subject":    func(w *world) error { return w.service.EndSubject(w.Context(), "sub-alice") },
		"client":     func(w *world) error { return w.service.EndClient(w.Context(), "web") },
		"everything": func(w *world) error { return w.service.EndEverything(w.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := cutOff(w); err != nil {
				t.Fatal(err)
			}
			g := w.login("alice")
			w.wantLive(g)
			w.past()
			w.wantLive(w.refresh(g.RefreshToken))
		})
	}
}

// A login in the second of a cut-off is stamped with it. The next cut-off of that second, on another axis, ends it all the
// same.
func TestCutoffsOfOneSecond(t *testing.T) {
	for name, last := range map[string]func(w *world) error{
		"client":     func(w *world) error { return w.service.EndClient(w.Context(), "web") },
		"everything": func(w *world) error { return w.service.EndEverything(w.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, cutOff := range []func() error{
				func() error { return w.service.EndSubject(w.Context(), "sub-alice") },
				func() error { return w.service.EndClient(w.Context(), "another") },
			} {
				if err := cutOff(); err != nil {
					t.Fatal(err)
				}
			}
			g := w.login("alice")
			if err := last(w); err != nil {
				t.Fatal(err)
			}
			w.wantDead(g)
		})
	}
}

func TestLogsHoldNoSecret(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	next := w.refresh(g.RefreshToken)
	w.past()
	w.refresh(next.RefreshToken)
	w.wantRefreshError(g.RefreshToken, session.ErrReuse)
	if err := w.service.Logout(t.Context(), "sub-alice", g.Session.ID, session.LogoutAll); err != nil {
		t.Fatal(err)
	}
	log := w.log.String()
	if !strings.Contains(log, `"msg":"login"`) || !strings.Contains(log, `"msg":"refresh token reused, session ended"`) ||
		!strings.Contains(log, `"sid":"`+g.Session.ID.String()+`"`) {
		t.Errorf("the log lacks an event:\n%s", log)
	}
	for _, secret := range []string{password, "authd_rt_", g.RefreshToken[20:], g.AccessToken, "eyJ"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
}
